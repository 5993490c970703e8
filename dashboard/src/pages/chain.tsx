// Money: who has what, what was earned and why, and what was sent.
import { useEffect, useState } from "preact/hooks";
import { readMoney } from "../api/client";
import type { Money, State } from "../api/types";
import { capital, clock, credits, head } from "../format";
import { title } from "../state/words";
import { Bar, Card, Empty, Figure, Say, Table } from "../ui/pieces";

/** How often the chain is asked while one looks. */
const LOOK_MS = 2000;

export function Chain({ state }: { state: State }) {
  const [money, put] = useState<Money | null>(null);
  const [why, fail] = useState<string | null>(null);
  useEffect(() => {
    const stop = new AbortController();
    const look = () => {
      if (document.hidden) return;
      readMoney(stop.signal).then(
        (money) => {
          put(money);
          fail(null);
        },
        (error: Error) => !stop.signal.aborted && fail(error.message),
      );
    };
    look();
    const again = setInterval(look, LOOK_MS);
    return () => {
      stop.abort();
      clearInterval(again);
    };
  }, []);
  const paid = state.nodes.filter((node) => !node.alone && (node.runs || node.paid.rounds > 0));
  const most = Math.max(1e-9, ...paid.map((node) => Number(node.paid.credits || 0)));
  const trouble = why ?? money?.trouble;
  return (
    <div class="grid">
      {trouble && (
        <div class="wide">
          <Say tone="warn" words={`${capital(trouble)}. Learning goes on; what is due is done when the chain answers again.`} />
        </div>
      )}
      <Card title={money?.chain ? capital(money.chain) : "The chain"} wide>
        {money && !money.chain && !money.trouble ? (
          <p>This swarm is on no chain: its rounds go by the clock, and nobody is paid.</p>
        ) : (
          <div class="figures">
            <Figure value={money ? money.height : "–"} label="blocks" note={money ? `chain ${money.id}` : ""} />
            <Figure value={money ? money.rounds : "–"} label="rounds opened" note={money ? `swarm ${money.swarm}` : ""} />
            <Figure value={money ? credits(money.reward) : "–"} label="credits a round" />
            <Figure value={money ? credits(money.pool) : "–"} label="credits left in the pool" />
            <Figure value={money ? credits(money.bond) : "–"} label="credits each has at stake" />
          </div>
        )}
      </Card>
      <Card title="Earned">
        {paid.some((node) => node.paid.rounds > 0) ? (
          <ul class="earned">
            {paid.map((node) => (
              <li key={node.name}>
                <span>{capital(title(node))}</span>
                <Bar share={Number(node.paid.credits || 0) / most} label={`${title(node)} has earned ${credits(node.paid.credits || "0")} credits`} tone="good" />
                <b>{credits(node.paid.credits || "0")}</b>
              </li>
            ))}
          </ul>
        ) : (
          <Empty>Nobody has been paid yet: a round is paid once it was revealed, scored, and could be challenged.</Empty>
        )}
      </Card>
      <Card title="Why">
        <ol class="steps">
          <li>Each node commits to what it made, then reveals it: nobody can claim another's work.</li>
          <li>Everyone scores the others' answers, never its own. A node's score is the median, so that no single voice counts for much.</li>
          <li>The round's credits are shared by these scores. Anyone may have a wrong result overturned, and its poster loses the bond.</li>
          <li>Shares are claimed eight rounds at a time: it costs less.</li>
        </ol>
        <Last state={state} />
      </Card>
      <Card title="Wallets" wide>
        <Table label="Wallets" head={["Node", "Wallet", "Agent", "At stake", "Credits", "For transactions"].map((words) => <th key={words} scope="col">{words}</th>)}>
          {(money?.accounts ?? []).map((account) => {
            const node = state.nodes.find((node) => node.name === account.node);
            return (
              <tr key={account.node}>
                <th scope="row">{capital(title(node ?? { name: account.node, alone: false }))}</th>
                <td><code title={account.wallet}>{head(account.wallet)}</code></td>
                <td>{account.agent ?? (node?.alone ? "watches only" : "not registered")}</td>
                <td>{credits(account.staked || "0")}</td>
                <td>{credits(account.credits || "0")}</td>
                <td>{credits(account.balance || "0")}</td>
              </tr>
            );
          })}
        </Table>
      </Card>
      <Card title="Sent to the contracts" wide>
        {money && money.sent.length > 0 ? (
          <ol class="sent" tabIndex={0} aria-label="The last transactions, the newest first">
            {money.sent.map((sent) => (
              <li key={sent.hash}>
                <span class="chip">{sent.contract}</span>
                <b>{sent.function}</b>
                <span class="by">{whose(state, sent.from)}</span>
                <code title={sent.arguments}>{sent.arguments}</code>
                <small>
                  block {sent.block}, {clock(1000 * sent.at)}
                </small>
              </li>
            ))}
          </ol>
        ) : (
          <Empty>Nothing in the last blocks.</Empty>
        )}
      </Card>
      {money && money.contracts.length > 0 && (
        <Card title="Contracts" wide>
          <p class="note">
            The same addresses on every chain, since they follow from the code. {money.rpc && <>This chain answers at <code>{money.rpc}</code>, to any wallet.</>}
          </p>
          <dl class="contracts">
            {money.contracts.map((contract) => (
              <div key={contract.name}>
                <dt>{contract.name}</dt>
                <dd><code>{contract.address}</code></dd>
              </div>
            ))}
          </dl>
        </Card>
      )}
    </div>
  );
}

function whose(state: State, wallet: string): string {
  const node = state.nodes.find((node) => node.wallet.toLowerCase() === wallet.toLowerCase());
  return node ? title(node) : head(wallet);
}

/** The last payments, and what was done for them. */
function Last({ state }: { state: State }) {
  const last = state.nodes
    .flatMap((node) => node.status.paid.slice(-3).map(([round, amount]) => ({ node: title(node), round, amount })))
    .sort((a, b) => b.round - a.round)
    .slice(0, 5);
  if (last.length === 0) return null;
  return (
    <ul class="plainlist">
      {last.map(({ node, round, amount }) => (
        <li key={`${node}${round}`}>
          {capital(node)}: {credits(amount)} credits for round {round}
        </li>
      ))}
    </ul>
  );
}
