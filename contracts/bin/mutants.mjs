// Does a test notice when a rule is gone? Each mutant below takes one rule out of a contract; the tests named with it must
// then fail. Run by `cargo xtask conformance mutants`, in a copy of this folder.
import fs from "node:fs";
import path from "node:path";
import { spawnSync } from "node:child_process";

const [forge, home, work] = process.argv.slice(2);
const only = process.argv[5]?.split(",");

// [contract, tests, what stands there, what the mutant has]
const MUTANTS = [
  ["Credit", "Credit", "_burn(msg.sender, amount);", ""],
  ["Credit", "Credit", "if (to != msg.sender) revert ERC20InvalidReceiver(to);", ""],
  ["Credit", "Credit", "if (block.timestamp > deadline) revert ERC2612ExpiredSignature(deadline);", ""],
  ["Credit", "Credit", "block.timestamp <= validAfter || ", ""],
  ["Credit", "Credit", "|| block.timestamp >= validBefore", ""],
  ["Agents", "Agents", "|| signer != peer", ""],
  ["Agents", "Agents", "if (known == RETIRED) revert PeerRetired(x);", "if (known == RETIRED) known = 0;"],
  ["Agents", "Agents", "if (known != 0) revert PeerTaken(known);", ""],
  ["Agents", "Agents", "_agentOfPeer[x] = retire ? RETIRED : 0;", "_agentOfPeer[x] = 0;"],
  ["Agents", "Agents", "_setWallet(agentId, address(0));\n            _unbind(agentId, false);", "_unbind(agentId, false);"],
  ["Agents", "Agents", "            _unbind(agentId, false);\n", ""],
  ["Agents", "Agents", "if (keccak256(bytes(key)) == WALLET_KEY) revert ReservedKey();", ""],
  ["Agents", "Agents", " && ownerOf(agentId) == msg.sender) return agentId;", ") return agentId;"],
  ["Agents", "Agents", " || _records[agentId].peerPrefix != bytes1(publicKey[0])", ""],
  ["Agents", "Agents", "if (deadline > block.timestamp + LONGEST_DEADLINE) revert DeadlineTooFar(deadline);", ""],
  ["Agents", "Agents", "if (block.timestamp > deadline) revert SignatureExpired(deadline);", ""],
  ["Agents", "Agents", "if (newWallet == address(0)) revert InvalidWallet();", ""],
  ["Agents", "Agents", "if (_agentOfPeer[x] == agentId) return;", ""],
  ["Agents", "Agents", "_unbind(agentId, true);\n        _bind(", "_unbind(agentId, false);\n        _bind("],
  ["Agents", "Agents", "abi.encode(PEER_TYPEHASH, owner)", "abi.encode(PEER_TYPEHASH)"],
  ["Bonds", "Bonds", "if (block.timestamp < time) revert TooEarly(time);", ""],
  ["Bonds", "Bonds", "bond.releaseAt > bond.heldUntil ? bond.releaseAt : bond.heldUntil", "bond.releaseAt"],
  ["Bonds", "Bonds", "bond.releaseAt > bond.heldUntil ? bond.releaseAt : bond.heldUntil", "bond.heldUntil"],
  ["Bonds", "Bonds", "taken = fromStaked + fromUnbonding;", "taken = fromStaked;"],
  ["Bonds", "Bonds", "bond.unbonding -= fromUnbonding;", ""],
  ["Bonds", "Bonds", "owed[msg.sender] = 0;", ""],
  ["Bonds", "Bonds", "if (until <= bond.heldUntil) return;", ""],
  ["Bonds", "Bonds", "if (!agents.isAuthorizedOrOwner(msg.sender, agentId)) revert NotAuthorized(agentId, msg.sender);", ""],
  ["Swarms", "Swarms", 'if (longest > bonds.UNBONDING()) revert InvalidRule("longer than unbonding takes");', ""],
  ["Swarms", "Swarms", "if (block.timestamp < swarm.nextAt) revert TooEarly(swarm.nextAt);", ""],
  ["Swarms", "Swarms", "if (staked < needed) revert BondTooSmall(staked, needed);", ""],
  ["Swarms", "Swarms", "if (seat > r.seats) revert RoundFull();", ""],
  ["Swarms", "Swarms", "if (phase != needed) revert WrongPhase(phase);", ""],
  ["Swarms", "Swarms", "revert AlreadyCommitted();", ""],
  ["Swarms", "Swarms", "if (r.entries[agentId].scored) revert AlreadyScored();", ""],
  ["Swarms", "Swarms", "if (r.absent & _bit(seat) != 0) revert NotRevealed();", ""],
  ["Swarms", "Swarms", "if (r.struck & _bit(_present(r, agentId)) != 0) revert AlreadyStruck();", "_present(r, agentId);"],
  ["Swarms", "Swarms", "(given != 0 && absent & (1 << i) != 0)", "false"],
  ["Swarms", "Swarms", "if (all != r.scores) revert WrongScores();", ""],
  ["Swarms", "Swarms", "p.posted == right || r.absent & _bit(p.seat) != 0", "r.absent & _bit(p.seat) != 0"],
  ["Swarms", "Swarms", "p.posted == right || r.absent & _bit(p.seat) != 0", "p.posted == right"],
  ["Swarms", "Swarms", "_strike(p.swarmId, p.round, poster, msg.sender);", ""],
  ["Swarms", "Swarms", "if (msg.sender != swarm.referee) revert NotReferee();", ""],
  ["Swarms", "Swarms", "if (r.claimed & bit != 0) return 0;", ""],
  ["Swarms", "Swarms", "r.claimed |= bit;", ""],
  ["Swarms", "Swarms", "if (struck) {", "if (false) {"],
  ["Swarms", "Swarms", "if (r.settled) return;", ""],
  ["Swarms", "Swarms", "if (slashable < r.bond) revert BondTooSmall(slashable, r.bond);", ""],
  ["Swarms", "Swarms", "keccak256(abi.encode(swarmId, round, agentId, root, salt))", "keccak256(abi.encode(swarmId, round, root, salt))"],
  ["Swarms", "Swarms", "if (rules.quorum < 2 || rules.quorum > rules.seats) revert InvalidRule(\"quorum\");", ""],
  ["Swarms", "Swarms", "if (parts < r.quorum) parts = r.quorum;", ""],
  ["Scores", "Swarms", " || 2 * opinions < quorum", ""],
  ["Scores", "Scores", "2 * opinions < quorum", "2 * opinions + 1 < quorum"],
  ["Scores", "Scores", "keccak256(abi.encode(swarmId, round))", "0"],
  ["Scores", "Scores", "if (scorers[i] == seat) continue;", ""],
  ["Scores", "Scores", "if (opinion == 255) continue;", "if (opinion == 255) opinion = 0;"],
  ["Scores", "Scores", "(opinions - 1) / 2", "opinions / 2"],
  ["Scores", "Scores", "keccak256(bytes.concat(keccak256(abi.encode(seat, score))))", "keccak256(abi.encode(score))"],
  ["Jobs", "Jobs", "if (block.timestamp < time) revert NotExpired(time);", ""],
  ["Jobs", "Jobs", "time = job.submittedAt + EVALUATION_TIME;", "{}"],
  ["Jobs", "Jobs", "job.token == credit && ", ""],
  ["Jobs", "Jobs", " && _actsFor(job.provider, job.agentId)", ""],
  ["Jobs", "Jobs", "if (agentId != 0 && !_actsFor(msg.sender, agentId)) revert NotAgent(agentId, msg.sender);", ""],
  ["Jobs", "Jobs", "status == JobStatus.Rejected ? submitted : !submitted", "false"],
  ["Jobs", "Jobs", "status == JobStatus.Rejected ? submitted : !submitted", "true"],
  ["Jobs", "Jobs", "if (job.budget != expectedBudget) revert BudgetMismatch(job.budget, expectedBudget);", ""],
  ["Jobs", "Jobs", "!= amount) revert WrongTransfer();", "> amount) revert WrongTransfer();"],
  ["Jobs", "Jobs", "function reject(uint256 jobId, bytes32 reason, bytes calldata optParams) external nonReentrant {", "function reject(uint256 jobId, bytes32 reason, bytes calldata optParams) external {"],
  ["Jobs", "Jobs", "if (msg.sender == job.evaluator) revert ProviderCannotBeEvaluator();", ""],
  ["Jobs", "Jobs", "owed[token][msg.sender] = 0;", ""],
  ["Crowd", "Crowd", "if (voted[requestId][msg.sender]) revert AlreadyVoted();", ""],
  ["Crowd", "Crowd", "r.accepting * 2 > r.raised", "r.accepting * 2 >= r.raised"],
  ["Crowd", "Crowd", "contributed[requestId][msg.sender] = 0;", ""],
  ["Crowd", "Crowd", "r.accepting >= r.rejecting", "r.accepting > r.rejecting"],
  ["Crowd", "Crowd", "if (block.timestamp < time) revert TooEarly(time);", ""],
  ["Crowd", "Crowd", "if (r.ask.evaluator != address(0)) revert NotJudge();", ""],
  ["Crowd", "Crowd", "(bond * weight) / r.raised", "bond"],
  ["Crowd", "Crowd", "if (r.jobId != 0 || block.timestamp >= r.ask.fundingEnds) revert FundingOver();", ""],
  ["Crowd", "Crowd", "r.raised < r.ask.goal || ", ""],
  ["Crowd", "Crowd", "r.raised < r.ask.goal || block.timestamp >= r.ask.fundingEnds", "r.raised < r.ask.goal"],
  ["Crowd", "Crowd", "if (block.timestamp < r.ask.fundingEnds) revert NotFailed();", ""],
  ["Crowd", "Crowd", "status != Jobs.JobStatus.Rejected && status != Jobs.JobStatus.Expired", "false"],
  ["Crowd", "Crowd", "if (token.balanceOf(address(this)) - had != amount) revert WrongTransfer();", ""],
  ["Crowd", "Crowd", "if (weight == 0) revert NothingToDo();\n        if (voted", "if (voted"],
  ["Reputation", "Registries", "paid != 0 && ", ""],
  ["Reputation", "Registries", "if (_agents.isAuthorizedOrOwner(msg.sender, agentId)) revert SelfFeedback();", ""],
  ["Reputation", "Registries", "if (f.isRevoked && !filter.revokedToo) return false;", ""],
  ["Reputation", "Registries", "if (feedback.valueDecimals > 18) revert TooManyDecimals(feedback.valueDecimals);", ""],
  ["Reputation", "Registries", "feedback.value < -LARGEST || ", ""],
  ["Reputation", "Registries", " || feedback.value > LARGEST", ""],
  ["Reputation", "Registries", "if (feedback.isRevoked) revert AlreadyRevoked();", ""],
  ["Reputation", "Registries", "if (given.length == 0) _clients", "_clients"],
  ["Reputation", "Registries", "if (clientAddresses.length == 0) revert ClientsRequired();", ""],
  ["Reputation", "Registries", " && i - from < limit", ""],
  ["Reputation", "Registries", " && _same(filter.tag2, f.tag2)", ""],
  ["Reputation", "Registries", "if (bytes(responseURI).length == 0) revert EmptyURI();", ""],
  ["Validation", "Registries", "if (!_agents.isAuthorizedOrOwner(msg.sender, agentId)) revert NotAuthorized(agentId, msg.sender);", ""],
  ["Validation", "Registries", "if (response > 100) revert ResponseTooLarge(response);", ""],
  ["Validation", "Registries", "!s.hasResponse || ", ""],
  ["Validation", "Registries", "!s.hasResponse || !_among(s.validatorAddress, validatorAddresses)", "!s.hasResponse"],
  ["Validation", "Registries", "bytes(tag).length != 0 && keccak256(bytes(tag)) != keccak256(bytes(s.tag))", "false"],
  ["Validation", "Registries", "if (validatorAddress == address(0)) revert InvalidValidator();", ""],
  ["Validation", "Registries", "if (msg.sender != status.validatorAddress) revert NotValidator(msg.sender);", ""],
  ["Validation", "Registries", "if (_requests[requestHash].validatorAddress != address(0)) revert RequestExists(requestHash);", ""],
];

fs.mkdirSync(work, { recursive: true });
for (const name of ["src", "test", "bin", "foundry.toml", "package.json"]) {
  fs.rmSync(path.join(work, name), { recursive: true, force: true });
  fs.cpSync(path.join(home, name), path.join(work, name), { recursive: true });
}
const modules = path.join(work, "node_modules");
if (!fs.existsSync(modules)) fs.symlinkSync(path.join(home, "node_modules"), modules);

// Tests are linked to what they test at run time, so that a mutant costs one contract's compilation and not all.
const env = {
  ...process.env,
  FOUNDRY_DYNAMIC_TEST_LINKING: "true",
  FOUNDRY_OUT: path.join(work, "out"),
  FOUNDRY_CACHE_PATH: path.join(work, "cache"),
};
const test = (tests) =>
  spawnSync(forge, ["test", "--offline", "--match-path", `test/${tests}.t.sol`], { cwd: work, encoding: "utf8", env });

let wrong = 0;
for (const [contract, tests, rule, without] of MUTANTS) {
  if (only && !only.includes(contract)) continue;
  const file = path.join(work, "src", `${contract}.sol`);
  const source = fs.readFileSync(file, "utf8");
  const shown = `${contract}: ${rule.split("\n")[0].trim()} → ${without.split("\n")[0].trim() || "nothing"}`;
  if (source.split(rule).length < 2) {
    console.log(`GONE      ${shown}`); // The list is out of date.
    wrong += 1;
    continue;
  }
  fs.writeFileSync(file, source.replaceAll(rule, without));
  const run = test(tests);
  fs.writeFileSync(file, source);
  const failed = /(\d+) failed/.exec(run.stdout)?.[1] ?? "0";
  if (/Compil(er|ation)[^\n]*failed/.test(run.stdout + run.stderr)) {
    console.log(`BROKEN    ${shown}\n${run.stderr.slice(0, 600)}`);
    wrong += 1;
  } else if (run.status !== 0 && /Suite result: FAILED/.test(run.stdout)) {
    console.log(`noticed   ${shown} (${failed} failed)`);
  } else {
    console.log(`SURVIVED  ${shown}`);
    wrong += 1;
  }
}
console.log(wrong ? `${wrong} not noticed` : "every mutant was noticed");
process.exit(wrong ? 1 : 0);
