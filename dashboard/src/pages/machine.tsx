// What the nodes take of the machine, and what they have to say.
import { useEffect, useState } from "preact/hooks";
import { readLimits, readLog, setLimit } from "../api/client";
import type { Limit, Line, Node, Report, State, Told } from "../api/types";
import { ago, bytes, capital, clock, many, percent } from "../format";
import { store } from "../state/store";
import { namer, title } from "../state/words";
import { Bar, Card, Choose, Empty, Figure, Say } from "../ui/pieces";

export function MachinePage({ state }: { state: State }) {
  const nodes = state.nodes.filter((node) => node.runs);
  const machine = nodes[0]?.machine;
  const sum = (of: (node: Node) => number) => nodes.reduce((sum, node) => sum + of(node), 0);
  const memory = sum((node) => node.vitals?.resident_bytes ?? node.status.resident_bytes);
  const processor = sum((node) => node.vitals?.processor ?? 0);
  return (
    <div class="grid">
      <Card title={machine?.processor || machine?.system || "This machine"} wide>
        <div class="figures">
          <Figure value={machine ? percent(processor / Math.max(1, machine.cores)) : "–"} label="of the processor" note={machine ? many(machine.cores, "thread") : ""} />
          <Figure value={bytes(memory)} label="memory" note={machine?.memory_bytes ? `of ${bytes(machine.memory_bytes)}` : ""} />
          <Figure value={bytes(sum((node) => node.vitals?.disk_bytes ?? 0))} label="on the disk" />
          <Figure value={sum((node) => node.vitals?.messages ?? 0)} label="messages came" />
          <Figure value={nodes.length} label={nodes.length === 1 ? "node runs" : "nodes run"} note={machine?.system ?? ""} />
        </div>
      </Card>
      <Card title="Node by node" wide>
        {nodes.length === 0 ? (
          <Empty>No node runs.</Empty>
        ) : (
          <ul class="machines">
            {nodes.map((node) => (
              <Row key={node.name} node={node} now={state.at_ms} />
            ))}
          </ul>
        )}
        <p class="note">No node here uses a graphics processor: models of this size learn on the processor.</p>
      </Card>
      {nodes.length > 0 && <Owner nodes={nodes} />}
      <Words state={state} />
      {nodes.length > 0 && <Log nodes={nodes} />}
    </div>
  );
}

function Row({ node, now }: { node: Node; now: number }) {
  const { vitals, machine } = node;
  const resident = vitals?.resident_bytes ?? node.status.resident_bytes;
  const processor = vitals?.processor ?? null;
  return (
    <li>
      <div class="who">
        <b>{capital(title(node))}</b>
        <small title={`process ${node.status.process}`}>{node.status.rests ? "rests" : `for ${ago(now - node.started_ms)}`}</small>
      </div>
      <div class="meter">
        <span>processor</span>
        <Bar share={(processor ?? 0) / Math.max(1, machine.threads)} label={processor === null ? "not measured yet" : `${percent(processor)} of a thread`} />
        <b>{processor === null ? "–" : percent(processor)}</b>
      </div>
      <div class="meter">
        <span>memory</span>
        <Bar share={machine.model_bytes ? resident / machine.model_bytes : 0} label={`${bytes(resident)}; its model may take ${bytes(machine.model_bytes)}`} />
        <b>{bytes(resident)}</b>
      </div>
      <div class="meter">
        <span>disk</span>
        <Bar share={(vitals?.disk_bytes ?? 0) / (1 << 30)} label={`${bytes(vitals?.disk_bytes ?? 0)}`} />
        <b>{bytes(vitals?.disk_bytes ?? 0)}</b>
      </div>
    </li>
  );
}

/** What the owner lets nodes have: read from one of them, set for all that are meant. */
function Owner({ nodes }: { nodes: readonly Node[] }) {
  const [whose, choose] = useState("");
  const [limits, put] = useState<Limit[] | null>(null);
  const [why, fail] = useState<string | null>(null);
  const meant = nodes.filter((node) => !whose || node.name === whose).map((node) => node.name);
  const first = meant[0];
  useEffect(() => {
    if (first === undefined) return;
    const stop = new AbortController();
    readLimits(first, stop.signal).then(put, (error: Error) => !stop.signal.aborted && fail(error.message));
    return () => stop.abort();
  }, [first]);
  const set = async (key: string, value: string) => {
    fail(null);
    try {
      for (const name of meant) put(await setLimit(name, key, value || "none"));
    } catch (error) {
      fail(error instanceof Error ? error.message : String(error));
    }
  };
  const paused = limits?.find((limit) => limit.key === "paused")?.value === "true";
  return (
    <Card title="What they may have" wide aside={<Choose label="for" value={whose} options={[["", "everyone"], ...nodes.map((node) => [node.name, title(node)] as const)]} onChange={choose} />}>
      <div class="pause">
        <button type="button" onClick={() => void set("paused", paused ? "false" : "true")} disabled={!limits}>
          {paused ? "Resume" : "Pause"}
        </button>
        <p class="note">
          {paused
            ? "Paused: it stays connected, reveals and claims what it owes, and begins no round."
            : "One that is paused stays connected, ends the round it is in, and does what it owes on the chain."}
        </p>
      </div>
      {why && <Say tone="warn" words={capital(why)} />}
      <ul class="limits">
        {(limits ?? [])
          .filter((limit) => limit.key !== "paused")
          .map((limit) => (
            <Setting key={limit.key + whose} limit={limit} set={(value) => void set(limit.key, value)} />
          ))}
      </ul>
    </Card>
  );
}

function Setting({ limit, set }: { limit: Limit; set: (value: string) => void }) {
  const is = (limit.value ?? "").replace(/^"(.*)"$/, "$1");
  const id = `limit-${limit.key}`;
  const truth = limit.example === "true";
  return (
    <li>
      <label for={id}>
        <b>{capital(limit.key.replaceAll("_", " "))}</b>
        <small>
          {capital(limit.says)}
          {limit.at_start ? "; heeded when it is started again" : ""}
        </small>
      </label>
      {truth ? (
        <input id={id} type="checkbox" checked={is === "true"} onChange={(event) => set(String(event.currentTarget.checked))} />
      ) : (
        <input id={id} type="text" value={is} placeholder="none" title={`for instance ${limit.example.replaceAll('"', "")}`} maxLength={80} onChange={(event) => set(event.currentTarget.value.trim())} />
      )}
    </li>
  );
}

const LEVELS = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];

/** What a node has written into its log. */
function Log({ nodes }: { nodes: readonly Node[] }) {
  const [whose, choose] = useState(nodes[0]?.name ?? "");
  const [least, filter] = useState("INFO");
  const [lines, put] = useState<Line[] | null>(null);
  const [why, fail] = useState<string | null>(null);
  const name = nodes.some((node) => node.name === whose) ? whose : (nodes[0]?.name ?? "");
  const [again, read] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    readLog(name, stop.signal).then(
      (lines) => {
        put(lines);
        fail(null);
      },
      (error: Error) => !stop.signal.aborted && fail(error.message),
    );
    return () => stop.abort();
  }, [name, again]);
  let shows = true;
  const shown = (lines ?? []).filter((line) => {
    if (line.level) shows = LEVELS.indexOf(line.level) <= LEVELS.indexOf(least);
    return shows;
  });
  return (
    <Card
      title="Log"
      wide
      aside={
        <span class="mover">
          <Choose label="of" value={name} options={nodes.map((node) => [node.name, title(node)] as const)} onChange={choose} />
          <Choose label="from" value={least} options={LEVELS.map((level) => [level, level.toLowerCase()] as const)} onChange={filter} />
          <button type="button" onClick={() => read(again + 1)}>
            Read again
          </button>
        </span>
      }
    >
      {why && <Say tone="warn" words={capital(why)} />}
      {shown.length === 0 ? (
        <Empty>{lines ? "It has written nothing of that weight." : "Reading…"}</Empty>
      ) : (
        <pre class="lines" tabIndex={0} aria-label="The log, the newest last">
          {shown.map((line) => line.text).join("\n")}
        </pre>
      )}
    </Card>
  );
}

type Level = "all" | "news" | "trouble";

/** What each report weighs: trouble, news for people, or detail. */
function levelOf(report: Report): Level | null {
  switch (report.what) {
    case "trouble":
    case "refused":
    case "heard":
    case "gone":
    case "behind":
    case "said":
      return "trouble";
    case "audited":
      return report.holds ? "news" : "trouble";
    case "connected":
      return report.complaints.length > 0 ? "trouble" : "news";
    case "started":
    case "registered":
    case "listening":
    case "examined":
    case "learned":
    case "paid":
    case "well":
    case "ended":
    case "redone":
    case "rests":
    case "works":
      return "news";
    case "opened":
    case "answered":
    case "received":
    case "did":
      return "all";
    default:
      return null;
  }
}

function sentence(told: Told, name: (peer: string) => string): string {
  const report = told.report;
  switch (report.what) {
    case "started":
      return `starts${report.resumed ? `, and goes on after round ${report.resumed}` : ""}`;
    case "listening":
      return `listens on ${report.addresses.length} addresses`;
    case "connected":
      return [`is connected to ${many(report.peers, "peer")}`, ...report.complaints].join("; ");
    case "registered":
      return `is agent ${report.agent} on ${report.chain}`;
    case "opened":
      return `hears that round ${report.round} is open`;
    case "answered":
      return `answers ${report.groups} prompts of round ${report.round}`;
    case "received":
      return `has answers of ${name(report.peer)} for round ${report.round}`;
    case "learned":
      return `has learned in round ${report.round}: reward ${report.reward.toFixed(3)}, ${report.tokens_per_second.toFixed(0)} tokens/s`;
    case "examined":
      return `knows ${percent(report.right, 1)} of ${report.asked} questions it has never seen`;
    case "audited":
      return `checked ${name(report.peer)}: ${report.finding}`;
    case "heard":
      return report.heard ? `hears ${name(report.peer)} again` : `does not hear ${name(report.peer)} any more: ${report.why}`;
    case "did":
      return `on the chain: ${report.deed} (round ${report.round})`;
    case "paid":
      return `is paid for round ${report.round}`;
    case "refused":
      return `refused a message of ${name(report.peer)}: it broke the rule ${report.rule.toLowerCase()}`;
    case "behind":
      return `is not done with the round before ${report.round}, and comes later`;
    case "trouble":
      return `${report.part}: ${report.why}`;
    case "well":
      return `${report.part}: well again`;
    case "redone":
      return `has learned round ${report.round} again from its log, to the same bits`;
    case "rests":
      return `rests: ${report.why}`;
    case "works":
      return "works again";
    case "ended":
      return `ends after round ${report.round}`;
    case "said":
      return report.words;
    case "gone":
      return "has ended: its process is gone";
    default:
      return "";
  }
}

function Words({ state }: { state: State }) {
  const [level, choose] = useState<Level>("news");
  const [node, only] = useState("");
  const name = namer(state);
  const shows = (of: Level | null) => of !== null && (level === "all" || of === level || (level === "news" && of === "trouble"));
  const lines: Told[] = [];
  for (let at = store.tail.events.length - 1; at >= 0 && lines.length < 150; at--) {
    const told = store.tail.events[at];
    if (told && told.node && shows(levelOf(told.report)) && (!node || told.node === node)) lines.push(told);
  }
  return (
    <Card
      title="What they say"
      wide
      aside={
        <span class="mover">
          <Choose label="who" value={node} options={[["", "everyone"], ...state.nodes.map((node) => [node.name, title(node)] as const)]} onChange={only} />
          <Choose label="what" value={level} options={[["trouble", "trouble only"], ["news", "news"], ["all", "everything"]]} onChange={choose} />
        </span>
      }
    >
      {lines.length === 0 ? (
        <Empty>{level === "trouble" ? "No trouble." : "Nothing yet."}</Empty>
      ) : (
        <ol class="log" tabIndex={0} aria-label="What nodes say, the newest first">
          {lines.map((told) => (
            <li key={told.id} class={levelOf(told.report) === "trouble" ? "trouble" : ""}>
              <time>{clock(told.at_ms)}</time>
              <span>
                {capital(title(state.nodes.find((node) => node.name === told.node) ?? { name: told.node, alone: false }))} {sentence(told, name)}
              </span>
            </li>
          ))}
        </ol>
      )}
    </Card>
  );
}
