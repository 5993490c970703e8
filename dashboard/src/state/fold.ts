// What an event makes of the state. The node does the same (crates/node/src/api/state.rs); a test holds one against the other.
import type { Node, Point, Progress, Report, State, Told } from "../api/types";

const LIMIT_NODES = 128;
const LIMIT_POINTS = 512;
const LIMIT_EXAMS = 256;
const LIMIT_AUDITS = 64;
const LIMIT_DEEDS = 48;
const LIMIT_PEERS = 128;
const LIMIT_WORDS = 32;
const LIMIT_PAID = 32;

/** Takes an event into a state, which is changed. */
export function take(state: State, told: Told): void {
  state.last = told.id;
  state.at_ms = told.at_ms;
  if (told.node === "") {
    if (told.report.what === "said") keepLast(state.words, told.report.words, LIMIT_WORDS);
    return;
  }
  let node = state.nodes.find((node) => node.name === told.node);
  if (!node) {
    if (state.nodes.length >= LIMIT_NODES) return;
    node = emptyNode(told.node);
    state.nodes.push(node);
  }
  if (told.report.what === "started") state.swarm = told.report.swarm;
  takeReport(node, told.at_ms, told.report);
}

export function emptyNode(name: string): Node {
  return {
    name,
    alone: false,
    runs: false,
    started_ms: 0,
    status: {
      at: 0,
      process: 0,
      peer: "",
      swarm: "",
      addresses: [],
      peers: 0,
      complaints: [],
      agent: null,
      round: 0,
      reward: 0,
      heard: 0,
      right: null,
      paid: [],
      resident_bytes: 0,
      rests: null,
      ended: false,
      counts: {
        rounds: 0,
        rewards: 0,
        own: 0,
        heard: 0,
        tokens: 0,
        answer_ms: 0,
        learn_ms: 0,
        audits_held: 0,
        audits_failed: 0,
        unheard: 0,
        troubles: 0,
        payments: 0,
        credits: 0,
      },
    },
    wallet: "",
    model: "",
    game: "",
    environments: [],
    machine: { processor: "", cores: 0, threads: 0, memory_bytes: 0, model_bytes: 0, system: "" },
    opened: null,
    links: [],
    vitals: null,
    curve: [],
    exams: [],
    heard: {},
    checked: {},
    audits: [],
    samples: null,
    paid: { credits: "", rounds: 0 },
    deeds: [],
  };
}

/** An empty state that begins with the first event. */
export function emptyState(like: State): State {
  return { ...like, last: 0, words: [], nodes: [] };
}

function takeReport(node: Node, at_ms: number, report: Report): void {
  const status = node.status;
  status.at = Math.floor(at_ms / 1000);
  count(status.counts, report);
  switch (report.what) {
    case "started":
      Object.assign(status, { peer: report.peer, process: report.process, swarm: report.swarm, complaints: [], ended: false });
      Object.assign(node, { alone: report.alone ?? false, runs: true, started_ms: at_ms, wallet: report.wallet, model: report.model });
      if (report.machine) node.machine = report.machine;
      Object.assign(node, { game: report.game ?? "", environments: report.environments ?? [], links: [], vitals: null });
      break;
    case "listening":
      status.addresses = report.addresses;
      break;
    case "connected":
      status.peers = report.peers;
      status.complaints = [...report.complaints];
      break;
    case "linked":
      node.links = report.links;
      break;
    case "registered":
      status.agent = [report.chain, report.agent];
      break;
    case "vitals": {
      const { processor, resident_bytes, disk_bytes, messages } = report;
      node.vitals = { at_ms, processor: processor ?? null, resident_bytes, disk_bytes, messages };
      break;
    }
    case "opened":
      node.opened = { round: report.round, at_ms };
      break;
    case "learned": {
      Object.assign(status, { round: report.round, reward: report.reward, resident_bytes: report.resident_bytes });
      status.heard = report.heard.reduce((sum, [, count]) => sum + count, 0);
      node.heard = sorted(Object.fromEntries(report.heard.slice(0, LIMIT_PEERS)));
      node.model = report.model;
      node.curve.push(pointOf(at_ms, report, node.environments));
      thin(node.curve);
      break;
    }
    case "examined":
      status.right = [report.round, report.right];
      node.exams = node.exams.filter((exam) => exam.round !== report.round);
      keepLast(node.exams, { round: report.round, right: report.right, asked: report.asked }, LIMIT_EXAMS);
      break;
    case "audited": {
      const known = node.checked[report.peer];
      if (known || Object.keys(node.checked).length < LIMIT_PEERS) {
        const checked = known ?? { held: 0, failed: 0, answers: 0 };
        checked[report.holds ? "held" : "failed"] += 1;
        checked.answers += report.answers ?? 0;
        node.checked[report.peer] = checked;
        if (!known) node.checked = sorted(node.checked);
      }
      const { round, peer, holds, finding, answers = 0, took_ms = 0 } = report;
      keepLast(node.audits, { at_ms, round, peer, holds, finding, answers, took_ms }, LIMIT_AUDITS);
      break;
    }
    case "samples":
      node.samples = { round: report.round, samples: report.samples };
      break;
    case "did":
      keepLast(node.deeds, { at_ms, round: report.round, deed: report.deed }, LIMIT_DEEDS);
      break;
    case "paid":
      keepLast(status.paid, [report.round, report.credits], LIMIT_PAID);
      node.paid = { credits: addCredits(node.paid.credits, report.credits), rounds: node.paid.rounds + 1 };
      break;
    case "trouble": {
      const complaint = `${report.part}: ${report.why}`;
      if (!status.complaints.includes(complaint)) status.complaints.push(complaint);
      break;
    }
    case "well":
      status.complaints = status.complaints.filter((complaint) => !complaint.startsWith(`${report.part}: `));
      break;
    case "rests":
      status.rests = report.why;
      break;
    case "works":
      status.rests = null;
      break;
    case "ended":
      status.ended = true;
      node.runs = false;
      break;
    case "gone":
      node.runs = false;
      break;
  }
}

/** What a node has counted since it started. */
function count(counts: Node["status"]["counts"], report: Report): void {
  switch (report.what) {
    case "learned":
      counts.rounds += 1;
      counts.rewards += report.reward;
      counts.own += report.own;
      counts.heard += report.heard.reduce((sum, [, count]) => sum + count, 0);
      counts.tokens += Math.round((report.tokens_per_second * report.answer_ms) / 1000);
      counts.answer_ms += report.answer_ms;
      counts.learn_ms += report.learn_ms;
      break;
    case "audited":
      counts[report.holds ? "audits_held" : "audits_failed"] += 1;
      break;
    case "heard":
      if (!report.heard) counts.unheard += 1;
      break;
    case "trouble":
      counts.troubles += 1;
      break;
    case "paid":
      counts.payments += 1;
      counts.credits += Number(report.credits) || 0;
      break;
  }
}

function pointOf(at_ms: number, report: Extract<Report, { what: "learned" }>, names: string[]): Point {
  const reward = (name: string) => report.environments?.find((practice) => practice.name === name)?.reward;
  return {
    round: report.round,
    rounds: 1,
    at_ms,
    reward: brief(report.reward),
    own: report.own,
    heard: report.heard.reduce((sum, [, count]) => sum + count, 0),
    tokens_per_second: brief(report.tokens_per_second),
    answer_tokens: brief(report.answer_tokens ?? 0),
    answer_ms: report.answer_ms,
    learn_ms: report.learn_ms,
    resident_bytes: report.resident_bytes,
    progress: report.progress ? zip(report.progress, report.progress, brief) : null,
    environments: names.map((name) => {
      const found = reward(name);
      return found === undefined ? null : brief(found);
    }),
  };
}

function together(a: Point, b: Point): Point {
  const rounds = a.rounds + b.rounds;
  const share = b.rounds / rounds;
  const mean = (a: number, b: number) => brief(a + share * (b - a));
  const numbers = [
    "reward",
    "own",
    "heard",
    "tokens_per_second",
    "answer_tokens",
    "answer_ms",
    "learn_ms",
    "resident_bytes",
  ] as const;
  const point: Point = { ...b, rounds };
  for (const name of numbers) point[name] = mean(a[name], b[name]);
  point.progress = a.progress && b.progress ? zip(a.progress, b.progress, mean) : (a.progress ?? b.progress ?? null);
  point.environments = a.environments.slice(0, b.environments.length).map((one, at) => {
    const other = b.environments[at] ?? null;
    return one === null || other === null ? (one ?? other) : mean(one, other);
  });
  return point;
}

function zip(a: Progress, b: Progress, mean: (a: number, b: number) => number): Progress {
  return {
    loss: mean(a.loss, b.loss),
    entropy: mean(a.entropy, b.entropy),
    ratio: mean(a.ratio, b.ratio),
    clipped: mean(a.clipped, b.clipped),
    norm: mean(a.norm, b.norm),
  };
}

/** Makes room in a curve that has become too long: neighbours in its older half become one. */
function thin(curve: Point[]): void {
  if (curve.length <= LIMIT_POINTS) return;
  const older = curve.splice(0, LIMIT_POINTS / 2);
  const merged: Point[] = [];
  for (let at = 0; at < older.length; at += 2) {
    const [a, b] = [older[at], older[at + 1]];
    if (a && b) merged.push(together(a, b));
    else if (a) merged.push(a);
  }
  curve.unshift(...merged);
}

/** Six decimals, halves away from zero as the node rounds them. */
function brief(number: number): number {
  const scaled = Math.abs(number) * 1e6;
  return (Math.sign(number) * Math.round(scaled)) / 1e6;
}

/** Credits have up to eighteen decimals: too many for a number. */
export function addCredits(a: string, b: string): string {
  const sum = wei(a) + wei(b);
  const text = sum.toString().padStart(19, "0");
  const part = text.slice(-18).replace(/0+$/, "");
  return text.slice(0, -18) + (part ? `.${part}` : "");
}

function wei(text: string): bigint {
  const found = /^(\d+)(?:\.(\d{0,18}))?$/.exec(text);
  return found ? BigInt(found[1] ?? "0") * 10n ** 18n + BigInt((found[2] ?? "").padEnd(18, "0")) : 0n;
}

function sorted<T>(of: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(of).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function keepLast<T>(list: T[], item: T, limit: number): void {
  list.push(item);
  if (list.length > limit) list.splice(0, list.length - limit);
}
