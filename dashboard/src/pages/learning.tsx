// What is learned, and whether sharing helps.
import { useMemo, useState } from "preact/hooks";
import type { Node, Point, Sample, State } from "../api/types";
import { capital, bytes, percent } from "../format";
import { compare, mean } from "../state/compare";
import { exams, namer, title, worth } from "../state/words";
import { Card, Choose, Empty } from "../ui/pieces";
import { Plot, type Curve } from "../ui/plot";

export function Learning({ state }: { state: State }) {
  const nodes = state.nodes.filter((node) => node.curve.length > 0 || node.exams.length > 0);
  const last = Math.max(0, ...nodes.map((node) => node.curve.at(-1)?.round ?? 0));
  const answer = useMemo(() => worth(compare(nodes), nodes), [last, nodes.length]);
  const examined = exams(nodes);
  if (nodes.length === 0) return <Empty>The first round is not over yet: curves begin with it.</Empty>;
  const xs = rounds(nodes);
  const environments = nodes[0]?.environments ?? [];
  return (
    <div class="grid">
      <section class={`verdict wide ${answer.tone}`} aria-label="Is sharing worth it?">
        <h2>{answer.headline}</h2>
        <p>{answer.detail}</p>
        {examined && <p>{examined}</p>}
      </section>
      <Card title="Reward, round by round" wide>
        <Plot label={`Mean reward over ${xs.length} rounds. ${answer.headline}`} xs={xs} curves={curves(nodes, xs, (point) => point.reward)} height={280} range={[0, 0.1]} />
      </Card>
      <Card title="Questions never learned from">
        <Exams nodes={nodes} />
      </Card>
      <Small title="Tokens each speaks in a second" nodes={nodes} xs={xs} of={(point) => point.tokens_per_second} format={(value) => value.toFixed(0)} low />
      {environments.length > 1 &&
        environments.map((name, at) => (
          <Small key={name} title={`Reward of ${name}`} nodes={nodes} xs={xs} of={(point) => point.environments[at] ?? null} low />
        ))}
      <Small title="Surprise at its own answers" note="The policy's entropy, in nats for each token: it falls as a model grows sure." nodes={nodes} xs={xs} of={(point) => point.progress?.entropy ?? null} low />
      <Small title="Loss" note="What a step of learning makes smaller; its height means little, its steadiness much." nodes={nodes} xs={xs} of={(point) => point.progress?.loss ?? null} format={(value) => value.toFixed(3)} />
      <Small still={0} title="Steps held back by the clip" nodes={nodes} xs={xs} of={(point) => point.progress?.clipped ?? null} format={(value) => percent(value, 1)} low />
      <Small still={1} title="How far a step moves the policy" note="The mean ratio of new to old probability of the answers; 1 is not at all." nodes={nodes} xs={xs} of={(point) => point.progress?.ratio ?? null} format={(value) => value.toFixed(3)} />
      <Small title="Length of answers, in tokens" nodes={nodes} xs={xs} of={(point) => point.answer_tokens} format={(value) => value.toFixed(1)} low />
      <Small title="Memory" nodes={nodes} xs={xs} of={(point) => point.resident_bytes} format={bytes} low />
      <Reader nodes={nodes} state={state} />
    </div>
  );
}

type Of = (point: Point) => number | null;

function Small({ title, note, nodes, xs, of, format, low, still }: { still?: number; title: string; note?: string; nodes: readonly Node[]; xs: number[]; of: Of; format?: (value: number) => string; low?: boolean }) {
  const shown = curves(nodes, xs, of);
  // One step a round from its own policy moves nothing before it, and nothing is held back: there is nothing to see then.
  const values = shown.flatMap((curve) => curve.values).filter((value) => value !== null);
  if (still !== undefined && values.every((value) => value === still)) return null;
  return (
    <Card title={title}>
      {note && <p class="note">{note}</p>}
      <Plot label={`${title} over ${xs.length} rounds`} xs={xs} curves={shown} height={150} {...(format ? { format } : {})} {...(low ? { range: [0, 0.001] as [number, number] } : {})} />
    </Card>
  );
}

/** All rounds that some node has a point for. */
function rounds(nodes: readonly Node[]): number[] {
  return [...new Set(nodes.flatMap((node) => node.curve.map((point) => point.round)))].sort((a, b) => a - b);
}

/** Those together thin, their mean strong, the one alone dashed. */
function curves(nodes: readonly Node[], xs: readonly number[], of: Of): Curve[] {
  const values = (node: Node) => {
    const points = new Map(node.curve.map((point) => [point.round, of(point)]));
    return xs.map((round) => points.get(round) ?? null);
  };
  const flock = nodes.filter((node) => !node.alone);
  const each = flock.map(values);
  const found: Curve[] = [];
  if (flock.length > 1) each.forEach((values, at) => found.push({ label: flock[at]?.name ?? "", colour: "faint", width: 1, values }));
  const middle = xs.map((_, at) => {
    const there = each.map((values) => values[at]).filter((value) => value !== null && value !== undefined);
    return there.length > 0 ? mean(there) : null;
  });
  for (const node of nodes) if (node.alone) found.push({ label: "alone", colour: "alone", width: 2, dash: [6, 4], values: values(node) });
  if (flock.length > 0) found.push({ label: flock.length > 1 ? "together" : title(flock[0]!), colour: "together", width: 2.5, values: middle });
  return found;
}

function Exams({ nodes }: { nodes: readonly Node[] }) {
  const xs = [...new Set(nodes.flatMap((node) => node.exams.map((exam) => exam.round)))].sort((a, b) => a - b);
  const of = (some: readonly Node[]) =>
    xs.map((round) => {
      const there = some.map((node) => node.exams.find((exam) => exam.round === round)?.right).filter((right) => right !== undefined);
      return there.length > 0 ? mean(there) : null;
    });
  const [flock, alone] = [nodes.filter((node) => !node.alone), nodes.filter((node) => node.alone)];
  const shown: Curve[] = [];
  if (alone.length > 0) shown.push({ label: "alone", colour: "alone", values: of(alone), width: 2, dash: [6, 4], points: true });
  if (flock.length > 0) shown.push({ label: "together", colour: "together", values: of(flock), width: 2, points: true });
  return <Plot label="Share of right answers in examinations" xs={xs} curves={shown} height={150} range={[0, 0.1]} format={(value) => percent(value)} />;
}

function Reader({ nodes, state }: { nodes: readonly Node[]; state: State }) {
  const having = nodes.filter((node) => node.samples);
  const [chosen, choose] = useState("");
  const node = having.find((node) => node.name === chosen) ?? having[0];
  const name = namer(state);
  if (!node?.samples) return null;
  return (
    <Card
      title="Answers to read"
      wide
      aside={<Choose label="of" value={node.name} options={having.map((node) => [node.name, title(node)] as const)} onChange={choose} />}
    >
      <p class="note">
        From round {node.samples.round}, scored by {title(node)} itself: what others say of their answers is not believed. Some of them are worked out again, bit by bit; the page Proof has those.
      </p>
      <div class="samples">
        {node.samples.samples.map((sample, at) => (
          <Read key={at} sample={sample} whose={sample.peer ? name(sample.peer) : title(node)} own={!sample.peer} />
        ))}
      </div>
    </Card>
  );
}

const STAGES = ["answers", "criticises", "votes"];

function Read({ sample, whose, own }: { sample: Sample; whose: string; own: boolean }) {
  return (
    <article class={`sample ${own ? "own" : "foreign"}`}>
      <header>
        <b>{capital(whose)}</b> {STAGES[sample.stage] ?? `says in stage ${sample.stage}`}
        <span class="chip">{sample.environment}</span>
      </header>
      <p class="question">{sample.question}</p>
      <p class="right">
        right: <code>{sample.right || "–"}</code>
      </p>
      <ul>
        {sample.answers.map((answer, at) => (
          <li key={at} class={answer.reward >= 0.999 ? "best" : answer.reward > 0 ? "some" : "none"}>
            <code>{answer.text ?? "cut off before its end"}</code>
            <span title="reward">{answer.reward.toFixed(2)}</span>
          </li>
        ))}
      </ul>
    </article>
  );
}
