// Asking the node: questions, and the stream of what it tells.
import { Frames } from "./frames";
import type { Limit, Line, Missed, Money, Page, State, Step, Told } from "./types";

/** The token stands behind the # of the address that was printed; it is kept for as long as the tab is. */
const token = (() => {
  const found = /^#token=([0-9a-f]+)/.exec(location.hash)?.[1];
  if (found) {
    sessionStorage.setItem("token", found);
    history.replaceState(null, "", location.pathname + "#/");
  }
  return found ?? sessionStorage.getItem("token");
})();

const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};

/** An answer that says what is the matter, in the node's words. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    why: string,
  ) {
    super(why);
  }
}

async function ask<T>(path: string, signal?: AbortSignal, change?: unknown): Promise<T> {
  const how = change === undefined ? {} : { method: "POST", body: JSON.stringify(change) };
  const kind = change === undefined ? {} : { "content-type": "application/json" };
  const answer = await fetch(path, { headers: { ...headers, ...kind }, signal: signal ?? null, ...how });
  if (answer.ok) return (await answer.json()) as T;
  throw await refusal(answer);
}

async function refusal(answer: Response): Promise<Refused> {
  const why = await answer.json().then(
    (body: { error?: string }) => body.error,
    () => undefined,
  );
  return new Refused(answer.status, why ?? `the node answers ${answer.status}`);
}

const of = (node: string) => `/api/v1/nodes/${encodeURIComponent(node)}`;

export const readState = (signal?: AbortSignal) => ask<State>("/api/v1/state", signal);
export const readMoney = (signal?: AbortSignal) => ask<Money>("/api/v1/money", signal);
export const readEvents = (after: number, signal?: AbortSignal) =>
  ask<Page>(`/api/v1/events?after=${Math.max(0, after)}`, signal);
export const readRound = (node: string, round: number, signal?: AbortSignal) =>
  ask<Step[]>(`${of(node)}/rounds/${round}`, signal);

export const readLimits = (node: string, signal?: AbortSignal) => ask<Limit[]>(`${of(node)}/limits`, signal);
export const setLimit = (node: string, key: string, value: string) => ask<Limit[]>(`${of(node)}/limits`, undefined, { key, value });
export const readLog = (node: string, signal?: AbortSignal) => ask<Line[]>(`${of(node)}/log`, signal);

export interface Follower {
  told(events: Told[]): void;
  missed(missed: Missed): void;
}

/** Follows what is told after an event until the stream breaks, which is an error. */
export async function follow(feed: number, after: number, to: Follower, signal: AbortSignal, live: () => void) {
  const answer = await fetch(`/api/v1/stream?after=${after}&feed=${feed}`, { headers, signal });
  if (!answer.ok || !answer.body) throw await refusal(answer);
  live();
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  const frames = new Frames();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error("the node has ended the stream");
    let events: Told[] = [];
    for (const frame of frames.push(value)) {
      if (frame.event !== "missed") {
        events.push(JSON.parse(frame.data) as Told);
        continue;
      }
      to.told(events);
      events = [];
      to.missed(JSON.parse(frame.data) as Missed);
    }
    if (events.length > 0) to.told(events);
  }
}
