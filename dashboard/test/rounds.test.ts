import { expect, test } from "vitest";
import type { Report, Told } from "../src/api/types";
import { LIMIT_EVENTS, Tail, latecomers, rounds } from "../src/state/rounds";

const told = (id: number, node: string, report: Report): Told => ({ id, at_ms: 1000 * id, node, report });
const opened = (round: number): Report => ({ what: "opened", round });
const learned = (round: number) => ({ what: "learned", round, reward: 0.5, heard: [] }) as unknown as Report;

test("a round is what happened from its opening on", () => {
  const events = [
    told(1, "1", learned(1)),
    told(2, "1", opened(2)),
    told(3, "2", opened(2)),
    told(4, "1", { what: "received", round: 2, stage: 0, peer: "p", groups: 3, reward: 0.1 }),
    told(5, "1", learned(2)),
    told(9, "1", { what: "paid", round: 2, credits: "1" }),
  ];
  const found = rounds(events, (peer) => `peer ${peer}`);
  expect(found.map((round) => round.round)).toEqual([2]);
  expect(found[0]).toMatchObject({ begin_ms: 2000, end_ms: 5000 });
  expect(found[0]?.marks.map((mark) => mark.kind)).toEqual(["opened", "opened", "received", "learned", "paid"]);
  expect(found[0]?.marks[2]?.words).toBe("has 3 groups of answers from peer p");
});

test("who is missing and who is late is told", () => {
  const marks = (["1", "2", "3"] as const).map((node, at) => told(at + 1, node, opened(1)));
  const ends = [told(4, "1", learned(1)), told(5, "2", learned(1)), told(30, "3", learned(1))];
  const [round] = rounds([...marks, ...ends], String);
  expect(latecomers(round!, ["1", "2", "3", "4"])).toEqual({ missing: ["4"], late: ["3"] });
});

test("what is kept is bounded", () => {
  const tail = new Tail();
  for (let id = 1; id <= 200_000; id++) tail.push(told(id, "1", opened(id)));
  expect(tail.events.length).toBeLessThanOrEqual(2 * LIMIT_EVENTS);
  expect(tail.events.at(-1)?.id).toBe(200_000);
});
