import { expect, test } from "vitest";
import type { Node, Point } from "../src/api/types";
import { compare } from "../src/state/compare";
import { emptyNode } from "../src/state/fold";
import { worth } from "../src/state/words";

function node(name: string, alone: boolean, rewards: number[], own = 10): Node {
  const point = (reward: number, at: number) => ({ round: at + 1, rounds: 1, reward, own }) as Point;
  return { ...emptyNode(name), alone, curve: rewards.map(point) };
}

/** Neither rising nor falling, and never the same. */
const around = (middle: number, count: number) => Array.from({ length: count }, (_, at) => middle + 0.05 * Math.sin(at * 2.4));

test("what is better is said to be better, and the truth is in the interval", () => {
  const nodes = [node("1", false, around(0.6, 60)), node("2", false, around(0.64, 60)), node("alone", true, around(0.5, 60), 40)];
  const found = compare(nodes);
  expect(found).toMatchObject({ from: 1, to: 60, rounds: 60, drawn: { together: 10, alone: 40 } });
  expect(found?.gain).toBeCloseTo(0.24, 2);
  expect(found!.low).toBeLessThan(0.24);
  expect(found!.high).toBeGreaterThan(0.24);
  expect(found!.low).toBeGreaterThan(0);
  const said = worth(found, nodes);
  expect(said).toMatchObject({ tone: "good", headline: "Sharing gives +24 % reward." });
  expect(said.detail).toContain("drew 10 answers a round itself, the one alone 40");
  expect(compare(nodes)).toEqual(found);
});

test("what makes no difference is said to make none", () => {
  const nodes = [node("1", false, around(0.5, 40)), node("alone", true, around(0.5, 40).reverse())];
  expect(worth(compare(nodes), nodes)).toMatchObject({ tone: "plain", headline: expect.stringContaining("equally well") });
});

test("what is worse is said to be worse", () => {
  const nodes = [node("1", false, around(0.3, 40)), node("alone", true, around(0.5, 40))];
  expect(worth(compare(nodes), nodes)).toMatchObject({ tone: "warn", headline: "Sharing costs −40 % reward here." });
});

test("too few rounds, or nobody alone, is nothing to compare", () => {
  const few = [node("1", false, around(0.3, 19)), node("alone", true, around(0.5, 19))];
  expect(compare(few)).toBeNull();
  expect(worth(null, few).headline).toContain("too early");
  const company = [node("1", false, around(0.3, 50))];
  expect(compare(company)).toBeNull();
  expect(worth(null, company).headline).toContain("Nobody here learns alone");
  const nothing = [node("1", false, around(0.3, 50)), node("alone", true, Array(50).fill(0))];
  expect(compare(nothing)).toBeNull();
});

test("only the last hundred rounds that all had are compared", () => {
  const nodes = [node("1", false, around(0.3, 500)), node("alone", true, around(0.5, 480))];
  expect(compare(nodes)).toMatchObject({ from: 381, to: 480, rounds: 100 });
});
