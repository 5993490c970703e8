// What pages are made of.
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import type { Sentence } from "../state/words";

export function Card({ title, children, aside, wide }: { title: string; children: ComponentChildren; aside?: ComponentChildren; wide?: boolean }) {
  const id = useId();
  return (
    <section class={`card${wide ? " wide" : ""}`} aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  );
}

/** A sentence that matters. */
export function Say({ tone, words, children }: Sentence & { children?: ComponentChildren }) {
  return (
    <div class={`say ${tone}`}>
      <p>{words}</p>
      {children}
    </div>
  );
}

export function Figure({ value, label, note }: { value: ComponentChildren; label: string; note?: string }) {
  return (
    <div class="figure">
      <b>{value}</b>
      <span>{label}</span>
      {note && <small>{note}</small>}
    </div>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

/** A share of a whole, as a bar. */
export function Bar({ share, label, tone = "together" }: { share: number; label: string; tone?: string }) {
  const shown = Math.max(0, Math.min(1, share));
  return (
    <div class={`bar ${tone}`} role="img" aria-label={label}>
      <div style={{ width: `${(100 * shown).toFixed(1)}%` }} />
    </div>
  );
}

export function Choose<T extends string>({ label, value, options, onChange }: { label: string; value: T; options: readonly (readonly [T, string])[]; onChange: (value: T) => void }) {
  return (
    <label class="choose">
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value as T)}>
        {options.map(([key, words]) => (
          <option key={key} value={key}>
            {words}
          </option>
        ))}
      </select>
    </label>
  );
}

/** A table that scrolls inside its card on a narrow screen, also with the keyboard. */
export function Table({ label, head, children }: { label: string; head: ComponentChildren; children: ComponentChildren }) {
  return (
    <div class="table" role="region" aria-label={label} tabIndex={0}>
      <table>
        <thead>
          <tr>{head}</tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
