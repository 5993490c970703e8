import { expect, test } from "vitest";
import { Frames } from "../src/api/frames";

const STREAM = "retry: 1000\n\nid: 1\ndata: {\"a\":1}\n\n: still here\n\nevent: missed\ndata: {\"from\":2,\"to\":3}\n\nid: 4\ndata: x\ndata: y\n\n";

test("the same frames come of any pieces", () => {
  const whole = new Frames().push(STREAM);
  expect(whole).toEqual([
    { event: "message", id: "1", data: '{"a":1}' },
    { event: "missed", id: null, data: '{"from":2,"to":3}' },
    { event: "message", id: "4", data: "x\ny" },
  ]);
  for (const size of [1, 2, 3, 7, 50]) {
    const frames = new Frames();
    const found = [];
    for (let at = 0; at < STREAM.length; at += size) found.push(...frames.push(STREAM.slice(at, at + size)));
    expect(found).toEqual(whole);
  }
});

test("an event that does not end is refused", () => {
  const frames = new Frames();
  expect(() => {
    for (let at = 0; at < 10; at++) frames.push("x".repeat(1 << 20));
  }).toThrow("does not end");
});
