// How things are, in sentences.
import { ago, capital, credits, letters, listed, many, percent } from "../format";
import type { Node, State } from "../api/types";
import type { Comparison } from "./compare";

export type Tone = "good" | "plain" | "warn" | "bad";

export interface Sentence {
  tone: Tone;
  words: string;
}

/** What a node is called on the page. */
export const title = (node: Pick<Node, "name" | "alone">) => (/^\d+$/.test(node.name) ? `node ${node.name}` : node.alone ? "the one alone" : node.name);

/** Names for peers: those that tell of themselves here by their names, others by the end of their ids. */
export function namer(state: State): (peer: string) => string {
  const known = new Map(state.nodes.map((node) => [node.status.peer, title(node)]));
  return (peer) => known.get(peer) ?? `peer …${peer.slice(-6)}`;
}

/** How it is in all. */
export function health(state: State, now: number): Sentence {
  const running = state.nodes.filter((node) => node.runs);
  if (state.nodes.length === 0) {
    return { tone: "plain", words: state.words.at(-1) ? `${capital(state.words.at(-1) ?? "")}…` : "The first node is being started…" };
  }
  if (running.length === 0) return { tone: "warn", words: "No node is running. What you see is what they last told; start them again with the same command, and they go on." };
  const alone = running.filter((node) => node.alone).length;
  const flock = running.length - alone;
  const round = Math.max(0, ...running.map((node) => node.opened?.round ?? 0));
  const opened = Math.max(0, ...running.map((node) => node.opened?.at_ms ?? 0));
  const troubled = running.filter((node) => node.status.complaints.length > 0);
  const lonely = running.filter((node) => !node.alone && node.status.peers === 0 && now - node.started_ms > 10_000 && flock > 1);
  const who =
    flock === 1 && running.length === 1
      ? `Connected to ${many(running[0]?.status.peers ?? 0, "peer")}`
      : `${capital(letters(flock))} ${flock === 1 ? "node learns" : "nodes learn together"}${alone ? `, ${letters(alone)} alone` : ""}`;
  const when = round > 0 ? `; round ${round} began ${ago(now - opened)} ago` : "; the first round is about to begin";
  const resting = running.filter((node) => node.status.rests);
  if (resting.length === running.length && resting.length > 0) return { tone: "plain", words: `Everyone rests: ${resting[0]?.status.rests ?? ""}` };
  if (lonely.length > 0) return { tone: "warn", words: `${who}${when}, but ${listed(lonely.map(title))} ${lonely.length === 1 ? "hears" : "hear"} nobody.` };
  if (troubled.length > 0) return { tone: "warn", words: `${who}${when}. ${capital(listed(troubled.map(title)))} ${troubled.length === 1 ? "has" : "have"} something to say.` };
  if (resting.length > 0) return { tone: "plain", words: `${who}${when}. ${capital(listed(resting.map(title)))} ${resting.length === 1 ? "rests" : "rest"}.` };
  return { tone: "good", words: `${who}${when}.` };
}

/** Whether sharing helps. */
export function worth(comparison: Comparison | null, nodes: readonly Node[]): { headline: string; detail: string; tone: Tone } {
  if (!nodes.some((node) => node.alone)) {
    return {
      tone: "plain",
      headline: "Nobody here learns alone, so there is nothing to compare with.",
      detail: "With starling up, a node that hears nobody runs beside the others, unless it is told --no-control.",
    };
  }
  if (!comparison) {
    return {
      tone: "plain",
      headline: "It is too early to say what sharing is worth.",
      detail: "After twenty rounds that all had, the ones together are compared with the one alone.",
    };
  }
  const { gain, low, high, rounds, from, to, drawn } = comparison;
  const sign = (share: number) => `${share >= 0 ? "+" : "−"}${Math.abs(100 * share).toFixed(0)} %`;
  const over = `over ${rounds} rounds (${from} to ${to}), reward ${comparison.together.toFixed(3)} together and ${comparison.alone.toFixed(3)} alone`;
  const cost =
    drawn.alone > 1.05 * drawn.together
      ? ` Each of those together drew ${drawn.together.toFixed(0)} answers a round itself, the one alone ${drawn.alone.toFixed(0)}.`
      : "";
  const spread = `95 % interval ${sign(low)} to ${sign(high)}, ${over}.${cost} The interval is of this run's rounds; another run may come out otherwise.`;
  if (low > 0) return { tone: "good", headline: `Sharing gives ${sign(gain)} reward.`, detail: spread };
  if (high < 0) return { tone: "warn", headline: `Sharing costs ${sign(gain)} reward here.`, detail: spread };
  return { tone: "plain", headline: "Together and alone they do equally well, as far as can be seen.", detail: `${sign(gain)}, ${spread}` };
}

/** What has been checked. */
export function checks(nodes: readonly Node[]): Sentence & { audits: number; failed: number; answers: number } {
  let [held, failed, answers] = [0, 0, 0];
  for (const node of nodes) {
    for (const checked of Object.values(node.checked)) {
      held += checked.held;
      failed += checked.failed;
      answers += checked.answers;
    }
  }
  const audits = held + failed;
  const facts = { audits, failed, answers };
  if (audits === 0) return { ...facts, tone: "plain", words: "Nothing has been checked yet. After each round some nodes are drawn by lot, and work out again what another said it did." };
  const done = `${many(answers, "answer")} in ${many(audits, "audit")} were worked out again`;
  if (failed === 0) return { ...facts, tone: "good", words: `${done}: every bit held.` };
  return { ...facts, tone: "bad", words: `${done}. ${many(failed, "audit")} did not hold: who failed is not heard any more, and what it said is not learned from.` };
}

/** What was earned. */
export function earned(nodes: readonly Node[]): string {
  const paid = nodes.filter((node) => node.paid.rounds > 0);
  if (paid.length === 0) return "Nobody has been paid yet: a round is paid once it was revealed, scored and could be challenged.";
  return listed(paid.map((node) => `${title(node)} ${credits(node.paid.credits)}`), 9) + " credits";
}

export function exams(nodes: readonly Node[]): string | null {
  const of = (some: readonly Node[]) => {
    const both = some.map((node) => [node.exams[0]?.right, node.exams.at(-1)?.right] as const).filter(([a, b]) => a !== undefined && b !== undefined);
    if (both.length === 0) return null;
    const mid = (list: number[]) => list.sort((a, b) => a - b)[list.length >> 1] ?? 0;
    return [mid(both.map(([a]) => a ?? 0)), mid(both.map(([, b]) => b ?? 0))] as const;
  };
  const flock = of(nodes.filter((node) => !node.alone));
  const alone = of(nodes.filter((node) => node.alone));
  if (!flock) return null;
  const them = `Of questions never learned from, the middle node answered ${percent(flock[0])} rightly at first and ${percent(flock[1])} at last`;
  return alone ? `${them}; the one alone ${percent(alone[0])} and ${percent(alone[1])}.` : `${them}.`;
}
