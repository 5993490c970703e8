// What the page knows: the state, kept up with the stream, and the last events.
import { useEffect, useReducer } from "preact/hooks";
import { Refused, follow, readEvents, readState } from "../api/client";
import type { State, Told } from "../api/types";
import { emptyState, take } from "./fold";
import { LIMIT_EVENTS, Tail } from "./rounds";

export type Line = "connecting" | "live" | "lost";

/** The least time between two paintings. */
const PAINT_MS = 120;
/** From one attempt to the next. */
const PAUSES_MS = [500, 1000, 2000, 5000];

class Store {
  state: State | null = null;
  tail = new Tail();
  line: Line = "connecting";
  /** What is the matter, in a sentence. */
  trouble: string | null = null;
  #watchers = new Set<() => void>();
  #due = false;
  #painted = 0;
  #pulses: ((told: Told) => void) | null = null;

  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Who wants each event as it comes. */
  onTold(watcher: ((told: Told) => void) | null): void {
    this.#pulses = watcher;
  }

  changed(): void {
    if (this.#due) return;
    this.#due = true;
    const wait = Math.max(0, this.#painted + PAINT_MS - performance.now());
    setTimeout(() => {
      this.#due = false;
      this.#painted = performance.now();
      for (const watcher of this.#watchers) watcher();
    }, wait);
  }

  told(events: Told[]): void {
    if (!this.state) return;
    for (const told of events) {
      // What was sent twice is taken once.
      if (told.id <= this.state.last) continue;
      take(this.state, told);
      this.tail.push(told);
      this.#pulses?.(told);
    }
    this.changed();
  }

  say(line: Line, trouble: string | null): void {
    this.line = line;
    this.trouble = trouble;
    this.changed();
  }

  /** Follows the node for as long as the page is open. With `again`, from the first event that is kept. */
  async run(again: boolean): Promise<never> {
    let begun = false;
    for (let attempt = 0; ; attempt++) {
      const stop = new AbortController();
      try {
        if (!this.state || !begun) {
          const state = await readState(stop.signal);
          this.tail.clear();
          if (again) this.state = emptyState(state);
          else {
            const page = await tailOf(state.last, stop.signal);
            for (const told of page) this.tail.push(told);
            this.state = state;
          }
          begun = true;
          this.changed();
        }
        const missed = () => {
          if (again) return;
          // The state has them; it is read again.
          begun = false;
          stop.abort();
        };
        await follow(this.state.feed, this.state.last, { told: (events) => this.told(events), missed }, stop.signal, () => {
          attempt = 0;
          this.say("live", null);
        });
      } catch (why) {
        if (!begun && stop.signal.aborted) continue;
        this.say("lost", why instanceof Refused ? why.message : null);
      }
      await new Promise((done) => setTimeout(done, PAUSES_MS[Math.min(attempt, PAUSES_MS.length - 1)]));
    }
  }
}

/** The last events up to one. */
async function tailOf(last: number, signal: AbortSignal): Promise<Told[]> {
  const events: Told[] = [];
  let after = Math.max(0, last - LIMIT_EVENTS);
  while (after < last) {
    const page = await readEvents(after, signal);
    if (page.events.length === 0) break;
    events.push(...page.events.filter((told) => told.id <= last));
    after = page.events.at(-1)?.id ?? last;
  }
  return events;
}

export const store = new Store();

/** Paints again when something has changed. */
export function useStore(): Store {
  const [, paint] = useReducer((count: number) => count + 1, 0);
  useEffect(() => store.watch(() => paint(undefined as never)), []);
  return store;
}
