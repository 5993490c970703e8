import { expect, test } from "vitest";
import type { Node, State } from "../src/api/types";
import { bytes, credits, listed } from "../src/format";
import { addCredits, emptyNode } from "../src/state/fold";
import { checks, health, namer } from "../src/state/words";

function state(nodes: Partial<Node>[], words: string[] = []): State {
  const whole = nodes.map((node, at) => ({ ...emptyNode(String(at + 1)), runs: true, started_ms: 0, ...node }));
  return { feed: 1, last: 1, at_ms: 0, version: "", swarm: "s", invite: "", words, nodes: whole };
}

const status = (change: Partial<Node["status"]>) => ({ ...emptyNode("").status, ...change });
const opened = { round: 7, at_ms: 97_000 };

test("how it is, in a sentence", () => {
  const good = status({ peers: 3 });
  expect(health(state([{ opened, status: good }, { status: good }, { alone: true, name: "alone" }]), 100_000)).toEqual({
    tone: "good",
    words: "Two nodes learn together, one alone; round 7 began 3 s ago.",
  });
  expect(health(state([], ["the chain is at block 3"]), 0).words).toBe("The chain is at block 3…");
  expect(health(state([{ runs: false }]), 0)).toMatchObject({ tone: "warn", words: expect.stringContaining("start them again") });
  expect(health(state([{ opened, status: good }, {}]), 100_000)).toMatchObject({ tone: "warn", words: expect.stringContaining("node 2 hears nobody") });
  expect(health(state([{ opened, status: status({ peers: 1, complaints: ["no"] }) }]), 100_000).words).toContain("Node 1 has something to say");
});

test("what was checked, in a sentence", () => {
  expect(checks([]).words).toContain("Nothing has been checked yet");
  const held = { ...emptyNode("1"), checked: { a: { held: 3, failed: 0, answers: 30 } } };
  expect(checks([held])).toMatchObject({ tone: "good", words: "30 answers in 3 audits were worked out again: every bit held." });
  const liar = { ...emptyNode("2"), checked: { b: { held: 0, failed: 1, answers: 1 } } };
  expect(checks([held, liar])).toMatchObject({ tone: "bad", failed: 1, words: expect.stringContaining("1 audit did not hold") });
});

test("peers have the names of their nodes, others the end of their ids", () => {
  const name = namer(state([{ status: status({ peer: "16Uiu2HAabcdef" }) }]));
  expect(name("16Uiu2HAabcdef")).toBe("node 1");
  expect(name("16Uiu2HAuvwxyz")).toBe("peer …uvwxyz");
});

test("numbers as people read them", () => {
  expect([bytes(500), bytes(3 << 20), bytes(1.5 * 2 ** 30)]).toEqual(["0 KiB", "3 MiB", "1.5 GiB"]);
  expect(["0", "1.5", "99990.123456", "1234567"].map(credits)).toEqual(["0", "1.50", "99\u202f990.12", "1\u202f234\u202f567"]);
  expect(listed(["a", "b", "c", "d", "e", "f"])).toBe("a, b, c and 3 more");
  expect(addCredits("0.1", "2.25")).toBe("2.35");
  expect(addCredits("", "999999999999.999999999999999999")).toBe("999999999999.999999999999999999");
  expect(addCredits("0.5", "no number")).toBe("0.5");
});
