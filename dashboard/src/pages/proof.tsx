// Who has checked whom, and what was found.
import type { Node, State } from "../api/types";
import { ago, capital, clock, many } from "../format";
import { store } from "../state/store";
import { checks, namer, title } from "../state/words";
import { Card, Empty, Figure, Say } from "../ui/pieces";

export function Proof({ state }: { state: State }) {
  const found = checks(state.nodes);
  const audits = state.nodes
    .flatMap((node) => node.audits.map((audit) => ({ ...audit, by: node })))
    .sort((a, b) => b.at_ms - a.at_ms)
    .slice(0, 60);
  const longest = Math.max(1, ...audits.map((audit) => audit.took_ms));
  const took = audits.filter((audit) => audit.took_ms > 0).map((audit) => audit.took_ms);
  const refused = store.tail.events.filter((told) => told.report.what === "refused").slice(-20).reverse();
  const name = namer(state);
  return (
    <div class="grid">
      <div class="wide">
        <Say tone={found.tone} words={found.words} />
      </div>
      <Card title="In numbers">
        <div class="figures">
          <Figure value={found.audits} label={found.audits === 1 ? "audit" : "audits"} />
          <Figure value={found.answers} label="answers worked out again" />
          <Figure value={found.failed} label="that did not hold" />
          <Figure value={took.length > 0 ? `${Math.round(took.reduce((a, b) => a + b, 0) / took.length)} ms` : "–"} label="an audit, on average" />
        </div>
      </Card>
      <Card title="What an audit is">
        <ol class="steps">
          <li>In a round a node answers, and says which model it answered with: the root of its weights.</li>
          <li>Another, drawn by lot after that and in secret, fetches these weights.</li>
          <li>It reads each answer once and works out whether this model, with these random numbers, says exactly that.</li>
          <li>One wrong bit convicts. Honest machines agree on every bit, whatever they are made of.</li>
        </ol>
      </Card>
      <Card title="Who has checked whom" wide>
        <Matrix nodes={state.nodes.filter((node) => !node.alone)} />
      </Card>
      <Card title="The last audits" wide>
        {audits.length > 0 ? (
          <ol class="audits" tabIndex={0} aria-label="The last audits, the newest first">
            {audits.map((audit) => (
              <li key={`${audit.by.name}${audit.at_ms}${audit.peer}`} class={audit.holds ? "holds" : "fails"}>
                <span class="mark" aria-hidden="true">{audit.holds ? "✓" : "✕"}</span>
                <span>
                  {capital(title(audit.by))} checked {name(audit.peer)}: {audit.finding}
                  <small>
                    round {audit.round}, {many(audit.answers, "answer")}, {clock(audit.at_ms)}
                  </small>
                </span>
                <svg class="took" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label={`took ${audit.took_ms} milliseconds`}>
                  <rect width={Math.max(1, (100 * audit.took_ms) / longest)} height="8" rx="2" />
                </svg>
                <small class="ms">{audit.took_ms} ms</small>
              </li>
            ))}
          </ol>
        ) : (
          <Empty>None yet.</Empty>
        )}
      </Card>
      {refused.length > 0 && (
        <Card title="Messages that broke a rule" wide>
          <ul class="plainlist">
            {refused.map((told) =>
              told.report.what === "refused" ? (
                <li key={told.id}>
                  {capital(title(state.nodes.find((node) => node.name === told.node) ?? { name: told.node, alone: false }))} refused one of {name(told.report.peer)}: rule {told.report.rule.toLowerCase()}, {ago(state.at_ms - told.at_ms)} ago
                </li>
              ) : null,
            )}
          </ul>
        </Card>
      )}
    </div>
  );
}

/** A row for who checks, a column for who is checked; the more often, the stronger the colour. */
function Matrix({ nodes }: { nodes: readonly Node[] }) {
  const most = Math.max(1, ...nodes.flatMap((node) => Object.values(node.checked).map((checked) => checked.held + checked.failed)));
  if (nodes.length < 2) return <Empty>It takes two to check each other.</Empty>;
  return (
    <div class="table" role="region" aria-label="Who has checked whom" tabIndex={0}>
      <table class="matrix">
        <thead>
          <tr>
            <td class="corner">checks ↓ whom →</td>
            {nodes.map((node) => (
              <th key={node.name} scope="col">
                {node.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {nodes.map((by) => (
            <tr key={by.name}>
              <th scope="row">{capital(title(by))}</th>
              {nodes.map((of) => {
                const checked = by.checked[of.status.peer];
                const count = checked ? checked.held + checked.failed : 0;
                if (by === of) return <td key={of.name} class="self" aria-label="itself" />;
                const level = count === 0 ? 0 : 1 + Math.min(3, Math.floor((4 * (count - 1)) / most));
                return (
                  <td key={of.name} class={checked?.failed ? "fails" : `level${level}`} title={checked ? `${checked.held} held, ${checked.failed} did not, ${checked.answers} answers` : "not yet"}>
                    {count || ""}
                    {checked?.failed ? "!" : ""}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
