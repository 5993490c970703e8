// Who is here, whom each hears, and how each is.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Node, State, Told } from "../api/types";
import { ago, bytes, capital, head, many, percent } from "../format";
import { store } from "../state/store";
import { namer, title } from "../state/words";
import { Card, Say } from "../ui/pieces";
import { Spark } from "../ui/plot";

export function Flock({ state }: { state: State }) {
  const [chosen, choose] = useState<string | null>(null);
  const running = state.nodes.filter((node) => node.runs);
  const shown = running.length > 0 ? running : state.nodes;
  const bird = shown.find((node) => node.name === chosen) ?? null;
  const complaints = running.flatMap((node) => node.status.complaints.map((words) => ({ node: title(node), words })));
  return (
    <div class="grid">
      {complaints.length > 0 && (
        <div class="wide stack">
          {complaints.slice(0, 6).map(({ node, words }) => (
            <Say key={node + words} tone="warn" words={`${capital(node)}: ${words}`} />
          ))}
        </div>
      )}
      <Card title="Who hears whom" wide aside={<span class="hint">choose one to see its history</span>}>
        {shown.length > 0 ? (
          <div class="split">
            <Sky nodes={shown} chosen={bird?.name ?? null} choose={(name) => choose(name === chosen ? null : name)} />
            {bird ? <History node={bird} state={state} close={() => choose(null)} /> : <List nodes={shown} choose={choose} />}
          </div>
        ) : (
          <Beginning state={state} />
        )}
      </Card>
      {state.invite && <Invite word={state.invite} />}
    </div>
  );
}

function Beginning({ state }: { state: State }) {
  return (
    <ol class="beginning">
      {state.words.map((words) => (
        <li key={words}>{capital(words)}</li>
      ))}
      <li aria-busy="true">The nodes are being started…</li>
    </ol>
  );
}

interface Place {
  x: number;
  y: number;
}

const SIZE = 420;
/** A little above the middle: who is alone has its place below. */
const MIDDLE = 198;
const PULSES = 40;

/** The flock as a picture: birds in a ring, lines where they are connected, and answers as they fly. */
function Sky({ nodes, chosen, choose }: { nodes: readonly Node[]; chosen: string | null; choose: (name: string) => void }) {
  const places = new Map<string, Place>();
  const flock = nodes.filter((node) => !node.alone);
  const strangers = strange(nodes);
  const radius = flock.length > 1 ? 132 : 0;
  flock.forEach((node, at) => places.set(node.status.peer || node.name, on(radius, at, flock.length)));
  nodes.filter((node) => node.alone).forEach((node, at) => places.set(node.status.peer || node.name, { x: SIZE - 38, y: SIZE - 38 - 70 * at }));
  strangers.forEach((peer, at) => places.set(peer, on(184, at + 0.5, strangers.length)));
  const best = Math.max(0.001, ...nodes.map((node) => node.status.reward));
  const links = linksOf(nodes);
  const air = useRef<SVGGElement>(null);
  usePulses(air, nodes, places);

  return (
    <svg class="sky" viewBox={`0 0 ${SIZE} ${SIZE}`} role="group" aria-label={`${nodes.length} nodes and ${links.length} connections between them`}>
      {links.map(({ a, b, latency }) => {
        const [from, to] = [places.get(a), places.get(b)];
        if (!from || !to) return null;
        const lit = chosen !== null && nodes.some((node) => node.name === chosen && (node.status.peer === a || node.status.peer === b));
        const apart = nodes.some((node) => node.alone && (node.status.peer === a || node.status.peer === b));
        return (
          <line key={a + b} x1={from.x} y1={from.y} x2={to.x} y2={to.y} class={`link${lit ? " lit" : ""}${apart ? " apart" : ""}`}>
            <title>{latency === null ? "connected" : `${latency.toFixed(1)} ms there and back`}</title>
          </line>
        );
      })}
      <g ref={air} aria-hidden="true" />
      {strangers.map((peer) => {
        const place = places.get(peer);
        return place && <circle key={peer} cx={place.x} cy={place.y} r="7" class="stranger"><title>peer …{peer.slice(-6)}</title></circle>;
      })}
      {nodes.map((node) => {
        const place = places.get(node.status.peer || node.name);
        if (!place) return null;
        const ring = 2 * Math.PI * 27;
        return (
          <g
            key={node.name}
            class={`bird${node.alone ? " alone" : ""}${node.name === chosen ? " chosen" : ""}${node.runs ? "" : " gone"}${node.status.complaints.length ? " troubled" : ""}`}
            transform={`translate(${place.x} ${place.y})`}
          >
            <circle r="31" class="body" />
            <circle r="27" class="track" />
            <circle r="27" class="reward" stroke-dasharray={`${(ring * node.status.reward) / best} ${ring}`} transform="rotate(-90)" />
            <text y="-1" class="name" aria-hidden="true">{node.alone ? "alone" : node.name}</text>
            <text y="13" class="small" aria-hidden="true">{node.status.reward.toFixed(2)}</text>
            <circle
              r="31"
              class="hit"
              role="button"
              tabindex={0}
              aria-pressed={node.name === chosen}
              aria-label={`${title(node)}, round ${node.opened?.round ?? 0}, reward ${node.status.reward.toFixed(2)}, ${many(node.status.peers, "peer")}`}
              onClick={() => choose(node.name)}
              onKeyDown={(event) => {
                if (event.key !== "Enter" && event.key !== " ") return;
                event.preventDefault();
                choose(node.name);
              }}
            />
          </g>
        );
      })}
    </svg>
  );
}

const on = (radius: number, at: number, of: number): Place => ({
  x: MIDDLE + radius * Math.sin((2 * Math.PI * at) / Math.max(1, of)),
  y: MIDDLE - radius * Math.cos((2 * Math.PI * at) / Math.max(1, of)),
});

/** Peers that do not tell of themselves here. */
function strange(nodes: readonly Node[]): string[] {
  const known = new Set(nodes.map((node) => node.status.peer));
  return [...new Set(nodes.flatMap((node) => node.links.map((link) => link.peer)))].filter((peer) => !known.has(peer)).slice(0, 24);
}

function linksOf(nodes: readonly Node[]): { a: string; b: string; latency: number | null }[] {
  const found = new Map<string, { a: string; b: string; latency: number | null }>();
  for (const node of nodes) {
    for (const link of node.links) {
      const [a, b] = [node.status.peer, link.peer].sort() as [string, string];
      const known = found.get(a + b);
      found.set(a + b, { a, b, latency: link.latency_ms ?? known?.latency ?? null });
    }
  }
  return [...found.values()];
}

/** A dot flies along the line when answers arrive. Who prefers less motion sees none. */
function usePulses(air: { current: SVGGElement | null }, nodes: readonly Node[], places: Map<string, Place>) {
  const latest = useRef({ nodes, places });
  latest.current = { nodes, places };
  useEffect(() => {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    store.onTold((told: Told) => {
      const group = air.current;
      if (told.report.what !== "received" || !group || group.childElementCount >= PULSES || document.hidden) return;
      const to = latest.current.nodes.find((node) => node.name === told.node);
      const [start, end] = [latest.current.places.get(told.report.peer), to && latest.current.places.get(to.status.peer)];
      if (!start || !end) return;
      const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
      dot.setAttribute("r", "4");
      dot.setAttribute("class", "pulse");
      group.append(dot);
      const flight = dot.animate(
        [{ transform: `translate(${start.x}px, ${start.y}px)`, opacity: 0.9 }, { transform: `translate(${end.x}px, ${end.y}px)`, opacity: 0.2 }],
        { duration: 700, easing: "ease-in-out" },
      );
      flight.onfinish = () => dot.remove();
    });
    return () => store.onTold(null);
  }, []);
}

const speed = (node: Node) => node.curve.at(-1)?.tokens_per_second ?? 0;
const recent = (node: Node) => node.curve.slice(-40).map((point) => point.reward);

function List({ nodes, choose }: { nodes: readonly Node[]; choose: (name: string) => void }) {
  return (
    <ul class="birds">
      {nodes.map((node) => (
        <li key={node.name}>
          <button type="button" onClick={() => choose(node.name)}>
            <span class="who">
              <b>{capital(title(node))}</b>
              <small>{node.alone ? "hears nobody" : `${many(node.status.peers, "peer")}, ${latency(node)}`}</small>
            </span>
            <Spark values={recent(node)} tone={node.alone ? "alone" : "together"} label={`reward, now ${node.status.reward.toFixed(2)}`} />
            <span class="now">
              <b>{node.status.reward.toFixed(2)}</b>
              <small>{speed(node).toFixed(0)} tokens/s</small>
            </span>
          </button>
        </li>
      ))}
    </ul>
  );
}

function latency(node: Node): string {
  const measured = node.links.map((link) => link.latency_ms).filter((ms) => ms !== null && ms !== undefined);
  if (measured.length === 0) return "not measured yet";
  return `up to ${Math.max(...measured).toFixed(1)} ms`;
}

function History({ node, state, close }: { node: Node; state: State; close: () => void }) {
  const name = namer(state);
  const from = Object.entries(node.heard).map(([peer, count]) => `${count} of ${name(peer)}`);
  const { machine } = node;
  return (
    <div class="history">
      <header>
        <h3>{capital(title(node))}</h3>
        <button type="button" class="quiet" onClick={close}>
          All nodes
        </button>
      </header>
      <Spark values={recent(node)} tone={node.alone ? "alone" : "together"} label="reward of the last rounds" />
      <dl>
        <Fact term="Peer" words={<code title={node.status.peer}>{head(node.status.peer)}</code>} />
        <Fact term="Role" words={node.alone ? "learns alone, to compare with" : `learns, ${node.game === "debate" ? "debates" : "shares answers"}`} />
        <Fact term="Round" words={node.opened ? `${node.opened.round}, opened ${ago(state.at_ms - node.opened.at_ms)} before the last news` : "none yet"} />
        <Fact term="Reward" words={`${node.status.reward.toFixed(3)}, from ${many(node.curve.at(-1)?.own ?? 0, "answer")} of its own`} />
        <Fact term="Learned from" words={from.length > 0 ? from.join(", ") : "its own answers only"} />
        <Fact term="Examined" words={node.exams.length > 0 ? `${percent(node.exams.at(-1)?.right ?? 0, 1)} of questions it has never seen` : "not yet"} />
        <Fact term="Connected" words={node.links.length > 0 ? node.links.map((link) => `${name(link.peer)}${link.latency_ms != null ? ` ${link.latency_ms.toFixed(1)} ms` : ""}`).join(", ") : "to nobody"} />
        <Fact term="Machine" words={machine.system ? `${machine.processor || machine.system}, ${many(machine.threads, "thread")} of ${machine.cores}, ${bytes(node.vitals?.resident_bytes ?? node.status.resident_bytes)}` : "unknown"} />
        <Fact term="Model" words={<code title={node.model}>{head(node.model)}</code>} />
      </dl>
    </div>
  );
}

function Fact({ term, words }: { term: string; words: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{term}</dt>
      <dd>{words}</dd>
    </div>
  );
}

function Invite({ word }: { word: string }) {
  const [copied, copy] = useState(false);
  const command = `starling join ${word}`;
  return (
    <Card title="Invite another node" wide>
      <p>Whoever has this word can take part. The chain of <code>starling up</code> answers on this machine only, and so its word is for another node here.</p>
      <div class="command">
        <code tabIndex={0}>{command}</code>
        <button type="button" onClick={() => void navigator.clipboard.writeText(command).then(() => copy(true), () => copy(false))}>
          {copied ? "Copied" : "Copy"}
        </button>
      </div>
    </Card>
  );
}

