// Against a node that runs: what the page makes of events is what the node makes of them, also over a break in the stream.
import { expect, test } from "vitest";
import { Frames } from "../src/api/frames";
import type { State, Told } from "../src/api/types";
import { take } from "../src/state/fold";

const url = process.env.DASHBOARD_URL;
if (!url) throw new Error("DASHBOARD_URL names no dashboard: `cargo xtask dashboard --test` starts one");

const read = async (): Promise<State> => (await fetch(new URL("/api/v1/state", url))).json() as Promise<State>;

/** So many events after one, by a stream that is then broken off. */
async function some(feed: number, after: number, count: number): Promise<Told[]> {
  const stop = new AbortController();
  const answer = await fetch(new URL(`/api/v1/stream?feed=${feed}`, url), {
    headers: { "last-event-id": String(after) },
    signal: stop.signal,
  });
  const frames = new Frames();
  const found: Told[] = [];
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  while (found.length < count) {
    const { value, done } = await reader.read();
    if (done) break;
    for (const frame of frames.push(value)) {
      expect(frame.event).toBe("message");
      found.push(JSON.parse(frame.data) as Told);
    }
  }
  stop.abort();
  return found.slice(0, count);
}

test("page and node come to the same, and a broken stream misses nothing", async () => {
  const state = await read();
  let taken = 0;
  // In pieces of odd sizes, each with a stream of its own.
  for (const count of [1, 7, 40, 13, 60]) {
    for (const told of await some(state.feed, state.last, count)) {
      expect(told.id).toBe(state.last + 1);
      take(state, told);
      taken += 1;
    }
  }
  expect(taken).toBe(121);
  let node = await read();
  for (const told of node.last > state.last ? await some(state.feed, state.last, node.last - state.last) : []) take(state, told);
  // More may have come between the two: then the node is ahead, and is asked until nothing has.
  for (let again = 0; node.last !== state.last && again < 50; again++) {
    for (const told of await some(state.feed, state.last, node.last - state.last)) take(state, told);
    node = await read();
  }
  expect(node.last).toBe(state.last);
  expect(JSON.parse(JSON.stringify(state))).toEqual(node);
}, 120_000);

test("events of another count are said to be missed", async () => {
  const state = await read();
  const answer = await fetch(new URL(`/api/v1/stream?after=5&feed=${state.feed + 1}`, url));
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  const frames = new Frames();
  const found = [];
  while (found.length === 0) found.push(...frames.push((await reader.read()).value ?? ""));
  await reader.cancel();
  expect(found[0]?.event).toBe("missed");
});
