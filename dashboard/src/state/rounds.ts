// Rounds as they happened, from the last events: who did what when, and who was late.
import type { Told } from "../api/types";

export interface Mark {
  node: string;
  at_ms: number;
  kind: "opened" | "answered" | "received" | "learned" | "audited" | "did" | "paid" | "behind";
  words: string;
}

export interface Round {
  round: number;
  begin_ms: number;
  end_ms: number;
  marks: Mark[];
}

/** Events that are kept, and marks of a round. */
export const LIMIT_EVENTS = 4000;
const LIMIT_MARKS = 1500;

/** The last events, the oldest first. */
export class Tail {
  #events: Told[] = [];

  push(told: Told): void {
    this.#events.push(told);
    // Cut now and then, not each time.
    if (this.#events.length > 2 * LIMIT_EVENTS) this.#events = this.#events.slice(-LIMIT_EVENTS);
  }

  clear(): void {
    this.#events = [];
  }

  get events(): readonly Told[] {
    return this.#events;
  }
}

/** The rounds of some events, the oldest first. A round whose opening is not among them is left out. */
export function rounds(events: readonly Told[], name: (peer: string) => string): Round[] {
  const found = new Map<number, Round>();
  for (const told of events) {
    const mark = markOf(told, name);
    if (!mark) continue;
    const [number, kind, words] = mark;
    let round = found.get(number);
    if (!round) {
      if (kind !== "opened") continue;
      round = { round: number, begin_ms: told.at_ms, end_ms: told.at_ms, marks: [] };
      found.set(number, round);
    }
    if (round.marks.length >= LIMIT_MARKS) continue;
    round.marks.push({ node: told.node, at_ms: told.at_ms, kind, words });
    // What is paid comes rounds later, and is not what a round takes.
    if (kind !== "paid" && kind !== "did") round.end_ms = Math.max(round.end_ms, told.at_ms);
  }
  return [...found.values()].sort((a, b) => a.round - b.round);
}

function markOf(told: Told, name: (peer: string) => string): [number, Mark["kind"], string] | null {
  const report = told.report;
  switch (report.what) {
    case "opened":
      return [report.round, "opened", "hears that the round is open"];
    case "answered":
      return [
        report.round,
        "answered",
        `answers ${report.groups} prompts${report.stage ? ` of stage ${report.stage}` : ""}, reward ${report.reward.toFixed(3)}`,
      ];
    case "received":
      return [report.round, "received", `has ${report.groups} groups of answers from ${name(report.peer)}`];
    case "learned":
      return [report.round, "learned", `has learned, reward ${report.reward.toFixed(3)}`];
    case "audited":
      return [report.round, "audited", `checked ${name(report.peer)}: ${report.finding}`];
    case "did":
      return [report.round, "did", `on the chain: ${report.deed}`];
    case "paid":
      return [report.round, "paid", `is paid ${report.credits} credits`];
    case "behind":
      return [report.round, "behind", "is not done with the round before, and comes later"];
    default:
      return null;
  }
}

/** Who of these nodes took no part in a round that is over, or was much later than the others. */
export function latecomers(round: Round, nodes: readonly string[]): { missing: string[]; late: string[] } {
  const done = new Map<string, number>();
  for (const mark of round.marks) if (mark.kind === "learned") done.set(mark.node, mark.at_ms - round.begin_ms);
  const missing = nodes.filter((node) => !done.has(node));
  const times = [...done.values()].sort((a, b) => a - b);
  const middle = times[times.length >> 1] ?? 0;
  const late = nodes.filter((node) => (done.get(node) ?? 0) > 2 * middle + 500);
  return { missing, late };
}
