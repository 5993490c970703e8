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
  ["Float32", "Arithmetic", "x == 0 ? ey : ex + eb - 150", "ex + eb - 150"],
  ["Float32", "Arithmetic", "if (y != 0) y = 1;", "y = 0;"],
  ["Float32", "Arithmetic", "ey = ex - FAR;", "ey = ey;"],
  ["Float32", "Arithmetic", "uint256 constant FAR = 64;", "uint256 constant FAR = 40;"],
  ["Float32", "Arithmetic", "return x == y ? ZERO : rounded", "return rounded"],
  ["Float32", "Arithmetic", "and(shr(cut, m), 1)", "1"],
  ["Float32", "Arithmetic", "if slt(add(e, cut), 1) { cut := sub(1, e) }", ""],
  ["Float32", "Arithmetic", "if gt(m, INFINITE) { m := INFINITE }", ""],
  ["Float32", "Arithmetic", "if (m == 0) return F32.wrap(sign);", ""],
  ["Float32", "Arithmetic", "if (quotient * y != x) quotient |= 1;", ""],
  ["Float32", "Arithmetic", "if (root * root != m) root |= 1;", ""],
  ["Float32", "Arithmetic", "if (y == 0) return x == 0 ? NAN : F32.wrap(sign | INFINITE);", "if (y == 0) return F32.wrap(sign | INFINITE);"],
  ["Float32", "Arithmetic", "isFinite(c) || F32.unwrap(c) == F32.unwrap(product) ? product : NAN", "product"],
  ["Float32", "Arithmetic", "if (F32.unwrap(a) & MAGNITUDE == 0 || F32.unwrap(b) & MAGNITUDE == 0) return NAN;", ""],
  ["Float32", "Arithmetic", "F32.wrap(F32.unwrap(a) & F32.unwrap(b))", "a"],
  ["Float32", "Arithmetic", "F32.wrap(F32.unwrap(a) | F32.unwrap(b))", "b"],
  ["Float32", "Arithmetic", "e := or(e, iszero(e))", ""],
  ["Functions", "Arithmetic", "if (x > EXP_LARGEST) x = EXP_LARGEST;", ""],
  ["Functions", "Arithmetic", "if (x < MINUS_EDGE) x = MINUS_EDGE;", ""],
  ["Functions", "Arithmetic", "shift = -23;", "shift = -24;"],
  ["Functions", "Arithmetic", "a < TANH_SMALL", "a <= TANH_SMALL"],
  ["Functions", "Arithmetic", "if (x > SIN_SMALL) return _quarterTurnsHuge(F32.unwrap(x));", ""],
  ["Functions", "Arithmetic", "if (negative) r = -r;", ""],
  ["Functions", "Arithmetic", "fma(residual * y, BELOW_HALF, y)", "y"],
  ["Functions", "Arithmetic", "w = b < ONE ? t + b + ONE : t + ONE + b;", "w = t + ONE + b;"],
  ["Functions", "Arithmetic", "m < -100 ? int256(100) : -m", "-m"],
  ["Functions", "Arithmetic", "m < -126 ? int256(-126) : m", "m"],
  ["Functions", "Arithmetic", "x <= ZERO || isNaN(x) ? ZERO", "x <= ZERO ? ZERO"],
  ["Functions", "Referee", "return (b <= a, b <= a ? a - b : 0);", "return (true, b <= a ? a - b : 0);"],
  ["Functions", "Referee", "fits = r <= type(uint32).max;", "fits = true;"],
  ["Philox", "Referee", "(k + 0x9e3779b9) & 0xffffffff", "k + 0x9e3779b9"],
  ["Operation", "Referee", "if (shape.dim(axis) == length) index", "index"],
  ["Operation", "Referee", " || record.length != 61 + 30 * operands", ""],
  ["Operation", "Referee", "if (rank(shape) > 6) revert MalformedOperation();", ""],
  ["Referee", "Referee", "if (op.code == SUM || op.code == DOT) ++n;", ""],
  ["Referee", "Referee", "if (n == 0) n = 1;", ""],
  ["Referee", "Referee", "if (block_ >= _blocks(op)) return false;", ""],
  ["Referee", "Referee", "state.length != 4 * words || ", ""],
  ["Referee", "Referee", " || reads.length % 4 != 0", ""],
  ["Referee", "Referee", "if (operand != NOTHING) return false;", ""],
  ["Referee", "Referee", "if (n == 0) return true;\n        (operand,) = _read(op, e, block_, n - 1, reads);\n        return operand != NOTHING;", "return true;"],
  ["Referee", "Referee", "if (j == 1 && before.word(0) == 0) j = 2;\n            else if", "if"],
  ["Referee", "Referee", "if (place < ahead || ", "if ("],
  ["Referee", "Referee", "place - ahead >= op.operands[0].dim(axis)", "false"],
  ["Referee", "Referee", "if (along < pad || along - pad >= x.dim(axis)) return (NOTHING, 0);", ""],
  ["Referee", "Referee", "return id < x.dim(0) ? (0, id * row + e % row) : (NOTHING, 0);", "return (0, id * row + e % row);"],
  ["Referee", "Referee", "return id < x.last() ? (0, e * x.last() + id) : (NOTHING, 0);", "return (0, e * x.last() + id);"],
  ["Referee", "Referee", "if (id + rows > x.dim(1)) return (NOTHING, 0);", ""],
  ["Referee", "Referee", "return (x < op.result.last(), ", "return (true, "],
  ["Referee", "Referee", "if (j > 0) row /= op.operands[0].dim(0) / op.operands[1].dim(0);", ""],
  ["Referee", "Referee", "if ((attribute(op, side) != 0) == (side == 0)) (k, lane) = (lane, k);", ""],
  ["Referee", "Referee", "low > high || ", ""],
  ["Referee", "Referee", " || high > _steps(op)", ""],
  ["Referee", "Referee", "if (k < low || k >= high) continue;", ""],
  ["Referee", "Referee", "if (k % CUT == 0 && k > low)", "if (k > low && false)"],
  ["Referee", "Referee", "k / CUT == low / CUT ? chain : total + chain", "total + chain"],
  ["Referee", "Referee", " || (isNaN(x) && !isNaN(greatest))", ""],
  ["Referee", "Referee", "if (id >= op.result.dim(0)) return (false, \"\");", ""],
  ["Referee", "Referee", "if (id == row) sum", "sum"],
  ["Referee", "Referee", "equal ? first + i < own : other > x || isNaN(other)", "other > x || isNaN(other)"],
  ["Referee", "Referee", " || (isNaN(other) && isNaN(x))", ""],
  ["Referee", "Referee", "else if (first + i < e % op.result.last()) carried", "else carried"],
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
