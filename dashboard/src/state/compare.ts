// Is sharing worth it? Together against alone, with an interval.
import type { Node, Point } from "../api/types";

/** The last rounds that are compared. */
const WINDOW = 100;
/** With fewer there is nothing to say. */
const LEAST = 20;
const RESAMPLES = 1000;

export interface Comparison {
  /** The first and the last of the rounds. */
  from: number;
  to: number;
  rounds: number;
  together: number;
  alone: number;
  /** How much more the ones together get, as a share of what the one alone gets: 0.31 is 31 % more. */
  gain: number;
  /** In between these, in 95 of 100 runs of rounds like these. */
  low: number;
  high: number;
  /** Answers that each drew itself in a round. */
  drawn: { together: number; alone: number };
}

/** Compares the rounds that all had; nothing without a node that is alone, or while there are too few. */
export function compare(nodes: readonly Node[]): Comparison | null {
  const alone = nodes.find((node) => node.alone);
  const flock = nodes.filter((node) => !node.alone && node.curve.length > 0);
  if (!alone || flock.length === 0) return null;
  const byRound = flock.map((node) => new Map(single(node.curve).map((point) => [point.round, point])));
  const pairs: { round: number; together: number; alone: number; drawn: number; drawnAlone: number }[] = [];
  for (const point of single(alone.curve)) {
    const others = byRound.map((points) => points.get(point.round)).filter((found) => found !== undefined);
    if (others.length === 0) continue;
    pairs.push({
      round: point.round,
      together: mean(others.map((other) => other.reward)),
      alone: point.reward,
      drawn: mean(others.map((other) => other.own)),
      drawnAlone: point.own,
    });
  }
  const last = pairs.slice(-WINDOW);
  const [first, end] = [last[0], last.at(-1)];
  if (last.length < LEAST || !first || !end) return null;
  const ratio = (of: typeof last) => {
    const base = mean(of.map((pair) => pair.alone));
    return base > 0 ? mean(of.map((pair) => pair.together)) / base - 1 : Number.NaN;
  };
  const gain = ratio(last);
  if (!Number.isFinite(gain)) return null;
  const [low, high] = interval(last, ratio);
  return {
    from: first.round,
    to: end.round,
    rounds: last.length,
    together: mean(last.map((pair) => pair.together)),
    alone: mean(last.map((pair) => pair.alone)),
    gain,
    low,
    high,
    drawn: { together: mean(last.map((pair) => pair.drawn)), alone: mean(last.map((pair) => pair.drawnAlone)) },
  };
}

/** The bootstrap over blocks of neighbouring rounds, which are alike. The same numbers give the same interval. */
function interval<T>(items: readonly T[], of: (some: T[]) => number): [number, number] {
  const block = Math.ceil(Math.cbrt(items.length));
  const random = generator(items.length);
  const found: number[] = [];
  for (let again = 0; again < RESAMPLES; again++) {
    const some: T[] = [];
    while (some.length < items.length) {
      const start = Math.floor(random() * (items.length - block + 1));
      some.push(...items.slice(start, start + block));
    }
    const value = of(some.slice(0, items.length));
    if (Number.isFinite(value)) found.push(value);
  }
  found.sort((a, b) => a - b);
  const at = (share: number) => found[Math.min(found.length - 1, Math.floor(share * found.length))] ?? Number.NaN;
  return [at(0.025), at(0.975)];
}

/** Points of one round each: those that were put together cannot be matched. */
const single = (curve: readonly Point[]) => curve.filter((point) => point.rounds === 1);

export const mean = (numbers: readonly number[]) =>
  numbers.reduce((sum, number) => sum + number, 0) / Math.max(1, numbers.length);

/** Mulberry32. */
function generator(seed: number): () => number {
  let a = seed | 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
