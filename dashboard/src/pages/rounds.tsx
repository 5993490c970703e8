// Rounds as they happen: who does what when. And any round again, step by step.
import { useEffect, useMemo, useState } from "preact/hooks";
import { readRound } from "../api/client";
import type { State, Step } from "../api/types";
import { capital, clock, listed } from "../format";
import { type Mark, type Round, latecomers, rounds } from "../state/rounds";
import { store } from "../state/store";
import { namer, title } from "../state/words";
import { Card, Choose, Empty, Say } from "../ui/pieces";

const KINDS: [Mark["kind"], string][] = [
  ["answered", "answers"],
  ["received", "hears others"],
  ["learned", "has learned"],
  ["audited", "has checked another"],
  ["did", "acts on the chain"],
];

export function Rounds({ state }: { state: State }) {
  const name = useMemo(() => namer(state), [state.nodes.length, state.last >> 4]);
  const all = rounds(store.tail.events, name);
  const [chosen, choose] = useState<number | null>(null);
  // The newest is still under way: the one before it can be read in peace.
  const shown = all.find((round) => round.round === chosen) ?? all.at(-1);
  if (!shown) return <Empty>No round was opened yet, or none since the last events that are kept.</Empty>;
  const at = all.indexOf(shown);
  const move = (by: number) => choose(all[Math.max(0, Math.min(all.length - 1, at + by))]?.round ?? null);
  return (
    <div class="grid">
      <Card
        title={`Round ${shown.round}`}
        wide
        aside={
          <span class="mover">
            <button type="button" onClick={() => move(-1)} disabled={at === 0} aria-label="The round before">
              ‹
            </button>
            <button type="button" onClick={() => move(1)} disabled={at === all.length - 1} aria-label="The round after">
              ›
            </button>
            <button type="button" class="quiet" onClick={() => choose(null)} disabled={chosen === null}>
              newest
            </button>
          </span>
        }
      >
        <input
          type="range"
          class="scrub"
          min={0}
          max={Math.max(0, all.length - 1)}
          value={at}
          aria-label="Round"
          aria-valuetext={`round ${shown.round}`}
          onInput={(event) => choose(all[Number(event.currentTarget.value)]?.round ?? null)}
        />
        <Timeline round={shown} state={state} />
        <Late round={shown} state={state} over={at < all.length - 1} />
      </Card>
      <Again state={state} round={shown.round} />
      <Events state={state} />
    </div>
  );
}

/** A row for each node; time goes to the right. */
function Timeline({ round, state }: { round: Round; state: State }) {
  const nodes = state.nodes.filter((node) => round.marks.some((mark) => mark.node === node.name));
  const span = Math.max(500, round.end_ms - round.begin_ms);
  const x = (at_ms: number) => 90 + 890 * Math.min(1, Math.max(0, at_ms - round.begin_ms) / span);
  const height = 34 * nodes.length + 26;
  const step = [100, 250, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000].find((ms) => span / ms <= 8) ?? 600_000;
  const ticks = Array.from({ length: Math.floor(span / step) + 1 }, (_, at) => at * step);
  return (
    <>
      <div class="scroll" role="region" aria-label={`What happened in round ${round.round}`} tabIndex={0}>
        <svg class="timeline" viewBox={`0 0 1000 ${height}`} style={{ height: `${height}px` }} role="img" aria-label={`${nodes.length} nodes over ${(span / 1000).toFixed(1)} seconds`}>
          {ticks.map((ms) => (
            <g key={ms}>
              <line x1={x(round.begin_ms + ms)} x2={x(round.begin_ms + ms)} y1={4} y2={height - 20} class="tick" />
              <text x={x(round.begin_ms + ms)} y={height - 5} class="when">
                {(ms / 1000).toFixed(step < 1000 ? 1 : 0)} s
              </text>
            </g>
          ))}
          {nodes.map((node, row) => {
            const y = 34 * row + 20;
            const marks = round.marks.filter((mark) => mark.node === node.name);
            const first = marks[0]?.at_ms ?? round.begin_ms;
            const answered = marks.find((mark) => mark.kind === "answered")?.at_ms;
            const learned = marks.find((mark) => mark.kind === "learned")?.at_ms;
            return (
              <g key={node.name} class={node.alone ? "alone" : "together"}>
                <text x={0} y={y + 4} class="row">
                  {node.alone ? "alone" : title(node)}
                </text>
                <rect x={x(first)} y={y - 7} width={Math.max(1, x(answered ?? round.end_ms) - x(first))} height={14} rx={4} class="answering" />
                {answered !== undefined && <rect x={x(answered)} y={y - 7} width={Math.max(1, x(learned ?? round.end_ms) - x(answered))} height={14} rx={4} class="learning" />}
                {marks
                  .filter((mark) => mark.kind !== "opened" && mark.kind !== "paid")
                  .map((mark, at) => (
                    <circle key={at} cx={x(mark.at_ms)} cy={y} r={mark.kind === "received" ? 3 : 5} class={`mark ${mark.kind}`}>
                      <title>
                        {capital(title(node))} {mark.words}, {((mark.at_ms - round.begin_ms) / 1000).toFixed(2)} s
                      </title>
                    </circle>
                  ))}
              </g>
            );
          })}
        </svg>
      </div>
      <p class="legend">
        <span><i class="key block answering" />the model answers</span>
        <span><i class="key block learning" />it hears others and learns</span>
        {KINDS.map(([kind, words]) => (
          <span key={kind}>
            <i class={`key dot ${kind}`} />
            {words}
          </span>
        ))}
      </p>
    </>
  );
}

function Late({ round, state, over }: { round: Round; state: State; over: boolean }) {
  if (!over) return <p class="note">This round is under way.</p>;
  const names = state.nodes.filter((node) => node.runs && node.started_ms < round.begin_ms).map((node) => node.name);
  const { missing, late } = latecomers(round, names);
  const called = (some: string[]) => capital(listed(some.map((name) => title(state.nodes.find((node) => node.name === name) ?? { name, alone: false }))));
  if (missing.length > 0) return <Say tone="warn" words={`${called(missing)} did not finish this round: nobody waits longer than the charter says, and ${missing.length === 1 ? "it goes" : "they go"} on with the next.`} />;
  if (late.length > 0) return <Say tone="plain" words={`${called(late)} took more than twice as long as the others; its answers are used as they come.`} />;
  return <p class="note">Everyone finished this round.</p>;
}

/** A node's event log of a round: the machine goes through it again, and comes to the same. */
function Again({ state, round }: { state: State; round: number }) {
  const having = state.nodes.filter((node) => node.runs);
  const [node, choose] = useState("");
  const name = having.some((one) => one.name === node) ? node : (having[0]?.name ?? "");
  const [steps, put] = useState<Step[] | null>(null);
  const [at, go] = useState(0);
  const [why, fail] = useState<string | null>(null);
  const [busy, work] = useState(false);
  const [of, read] = useState<number | null>(null);
  useEffect(() => {
    put(null);
    fail(null);
  }, [name]);
  const load = async () => {
    work(true);
    fail(null);
    try {
      put(await readRound(name, round));
      read(round);
      go(0);
    } catch (error) {
      fail(error instanceof Error ? error.message : String(error));
    }
    work(false);
  };
  const step = steps?.[at];
  return (
    <Card title="Step through a round" wide aside={<Choose label="of" value={name} options={having.map((one) => [one.name, title(one)] as const)} onChange={choose} />}>
      <p class="note">Every step is worked out again from the node's event log, and has to come to the same, to the bit.</p>
      <p>
        <button type="button" onClick={() => void load()} disabled={busy || !name}>
          {busy ? "Working it out again…" : `Go through round ${round}`}
        </button>
      </p>
      {why && <Say tone="warn" words={capital(why)} />}
      {steps && step && (
        <div class="stepper">
          <p>
            <b>
              Round {of}, step {at + 1} of {steps.length}
            </b>{" "}
            at {clock(step.at_ms)}
          </p>
          <input type="range" class="scrub" min={0} max={steps.length - 1} value={at} aria-label="Step" aria-valuetext={step.told ?? "time passes"} onInput={(event) => go(Number(event.currentTarget.value))} />
          <div class="step" aria-live="polite">
            <h3>{capital(step.told ?? "time passes")}</h3>
            {step.done.length > 0 ? (
              <ul>
                {step.done.map((done, at) => (
                  <li key={at}>{done}</li>
                ))}
              </ul>
            ) : (
              <p class="note">Nothing is to be done about it.</p>
            )}
          </div>
        </div>
      )}
    </Card>
  );
}

function Events({ state }: { state: State }) {
  const name = namer(state);
  const lines = rounds(store.tail.events, name)
    .flatMap((round) => round.marks.map((mark) => ({ ...mark, round: round.round })))
    .sort((a, b) => b.at_ms - a.at_ms)
    .slice(0, 60);
  const of = (name: string) => title(state.nodes.find((node) => node.name === name) ?? { name, alone: false });
  return (
    <Card title="As it happens" wide>
      <ol class="log" tabIndex={0} aria-label="The last events, the newest first">
        {lines.map((line, at) => (
          <li key={`${line.at_ms}${line.node}${at}`}>
            <time>{clock(line.at_ms)}</time>
            <span class={`key dot ${line.kind}`} />
            <span>
              {capital(of(line.node))} {line.words} <small>round {line.round}</small>
            </span>
          </li>
        ))}
      </ol>
    </Card>
  );
}
