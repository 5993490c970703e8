// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Multicall} from "@openzeppelin/contracts/utils/Multicall.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Agents} from "./Agents.sol";
import {Bonds} from "./Bonds.sol";
import {Scores} from "./Scores.sol";

/// @title Swarms: rounds of work that nobody manages and that are paid from a pool.
/// @notice Whoever creates a swarm fixes its rules for good and has no say afterwards. A round goes by the clock:
///
/// 1. *open*: anyone opens the next round once its time has come. It sets the round's reward aside from the pool.
/// 2. *commit*: each node takes a seat and commits to what it made, as the hash of a Merkle root and a salt.
/// 3. *reveal*: the roots come out. Who does not reveal is absent: the others go on.
/// 4. *score*: each node present gives every other a score of 0 to 254, or no opinion (255).
/// 5. *post*: any node present posts the result: for each seat the median of the opinions that others have of it.
/// 6. *challenge*: anyone may show that a posted score is not that median. The contract then works the median out
///    itself, strikes the result and slashes the poster, and another node may post.
/// 7. *claim*: each seat is paid its score's share, by a Merkle proof, whenever its owner likes.
///
/// @dev Invariant: the credits held equal the pools plus what rounds set aside and have neither paid nor returned. Who
/// did not commit and reveal is paid nothing, nobody is paid twice, and who was struck is paid nothing: its share goes
/// back to the pool. A round's nodes are paid its reward at most, and no state of a round waits for any single node.
///
/// What scores are worth: as long as most of those with an opinion on a node are honest, its score lies within the range
/// of their scores. Who holds most seats of a round dictates its scores; the bond is the price of a seat, and the quorum
/// is what keeps a quiet round from being cheap: a score takes the opinions of half a quorum, and a seat's part of the
/// reward is never more than one of a quorum's. What a node earns does not depend on what others earn (at full score,
/// `reward / max(present, quorum)`; the rest returns to the pool), so that nobody gains by scoring others down. The
/// contract cannot know whether an honest majority scored with care.
contract Swarms is Multicall {
    using SafeERC20 for IERC20;

    /// @notice What a swarm's creator fixes. Times are in seconds, amounts in credits.
    struct Rules {
        /// When the first round may be opened.
        uint64 start;
        /// The least time from the opening of a round to that of the next. Rounds may overlap.
        uint32 period;
        uint32 commitTime;
        uint32 revealTime;
        uint32 scoreTime;
        /// How long a result may be posted after scoring, and how long a posted result may be challenged.
        uint32 challengeTime;
        /// How many nodes a round takes: 2 to 256.
        uint16 seats;
        /// How many nodes make a round worth its whole reward: 2 to `seats`. With fewer, each can earn what it could with
        /// this many. A score takes opinions of half as many others at least, and is zero without them.
        uint16 quorum;
        /// What a node must have at stake in `Bonds`, with this contract as the judge.
        uint80 bond;
        /// What a round pays at most, as far as the pool goes.
        uint96 reward;
        /// A contract that may convict nodes until a round is final, as of lies about their work; or zero.
        address referee;
        /// The hash of what the swarm does: environments, model, roles. Its meaning is the nodes' affair.
        bytes32 spec;
    }

    /// @notice A swarm: its rules, and what changes.
    struct Swarm {
        uint32 period;
        uint32 commitTime;
        uint32 revealTime;
        uint32 scoreTime;
        uint32 challengeTime;
        uint16 seats;
        uint80 bond;
        //
        uint128 pool;
        uint96 reward;
        uint32 rounds;
        //
        address referee;
        uint64 nextAt;
        uint16 quorum;
        //
        bytes32 spec;
    }

    /// @notice What a node holds in a round.
    struct Entry {
        /// The first 29 bytes of its commitment, so that all fits into one slot.
        bytes29 commitment;
        /// From 1, in the order of commitments; zero for none.
        uint16 seat;
        bool scored;
    }

    /// @dev The first slot has all that a node's calls in a round read of the rules: copied, since a slot read is dear.
    struct Round {
        uint40 commitEnds;
        uint40 revealEnds;
        uint40 scoreEnds;
        uint16 seats;
        uint16 committed;
        uint80 bond;
        //
        uint40 openedAt;
        uint40 postedAt;
        uint32 challengeTime;
        uint96 reward;
        uint16 earned;
        uint16 quorum;
        bool settled;
        // Sets of seats, one bit each: seat s is bit s - 1.
        /// Seats that did not reveal, taken or not. It begins full, so that the first to reveal finds the slot in use.
        uint256 absent;
        uint256 struck;
        /// Seats that have nothing to claim, or not any more.
        uint256 claimed;
        /// A chain of hashes over everyone's scores in the order in which they came. It begins with the round's own.
        bytes32 scores;
        bytes32 result;
        uint256 poster;
        mapping(uint256 agentId => Entry) entries;
    }

    /// @notice What everyone may know of a round.
    struct RoundView {
        Phase phase;
        uint64 openedAt;
        uint64 commitEnds;
        uint64 revealEnds;
        uint64 scoreEnds;
        /// When it is final: the end of the challenge, or of the time to post.
        uint64 finalAt;
        uint96 reward;
        uint16 committed;
        uint16 quorum;
        /// The sum of the posted scores.
        uint16 earned;
        bool settled;
        uint256 revealed;
        uint256 struck;
        uint256 claimed;
        bytes32 scores;
        bytes32 result;
        uint256 poster;
    }

    /// @notice One seat's share of one round, to claim.
    struct Share {
        uint256 swarmId;
        uint256 round;
        uint8 score;
        bytes32[] proof;
    }

    /// @notice What shows that a posted score is wrong.
    struct Proof {
        uint256 swarmId;
        uint256 round;
        uint256 seat;
        /// The score in the result, and the Merkle proof that it is.
        uint8 posted;
        bytes32[] proof;
        /// The seats that scored, in the order in which they did, and what each gave, as in the `Scored` events.
        uint256[] scorers;
        bytes[] given;
    }

    /// @notice `Post` ends with the first result that stands, `Lapsed` is a round whose time passed without one.
    enum Phase {
        None,
        Commit,
        Reveal,
        Score,
        Post,
        Challenge,
        Final,
        Lapsed
    }

    event Created(uint256 indexed swarmId, address indexed creator, bytes32 indexed spec, Rules rules, string uri);
    event ToppedUp(uint256 indexed swarmId, address indexed from, uint256 amount);
    event Opened(uint256 indexed swarmId, uint256 indexed round, uint256 reward);
    event Committed(
        uint256 indexed swarmId, uint256 indexed round, uint256 indexed agentId, uint256 seat, bytes32 commitment
    );
    event Revealed(uint256 indexed swarmId, uint256 indexed round, uint256 indexed agentId, bytes32 root, bytes32 salt);
    event Scored(uint256 indexed swarmId, uint256 indexed round, uint256 indexed agentId, bytes scores);
    event Posted(uint256 indexed swarmId, uint256 indexed round, uint256 indexed agentId, bytes32 result, bytes scores);
    event Overturned(
        uint256 indexed swarmId, uint256 indexed round, address indexed challenger, uint256 seat, uint8 posted, uint8 right
    );
    event Struck(uint256 indexed swarmId, uint256 indexed round, uint256 indexed agentId, uint256 slashed);
    event Settled(uint256 indexed swarmId, uint256 indexed round, uint256 returned);
    event Claimed(
        uint256 indexed swarmId, uint256 indexed round, uint256 indexed agentId, address to, uint256 amount, bool struck
    );

    error NoSuchSwarm(uint256 swarmId);
    /// @notice The named rule is out of bounds; `Rules` says what they are.
    error InvalidRule(string rule);
    error NothingToDo();
    /// @notice The next round may be opened at `time`, and not before.
    error TooEarly(uint256 time);
    /// @notice The round is in another phase than this takes.
    error WrongPhase(Phase phase);
    error NotAuthorized(uint256 agentId, address caller);
    /// @notice The node needs `needed` staked in `Bonds` with this contract as the judge, and has `staked`.
    error BondTooSmall(uint256 staked, uint256 needed);
    error AlreadyCommitted();
    error RoundFull();
    error NoCommitment();
    /// @notice Root and salt are not what the node committed to.
    error WrongReveal();
    error NotRevealed();
    error AlreadyScored();
    /// @notice There must be one score for each seat that committed.
    error WrongLength(uint256 given, uint256 needed);
    /// @notice A result gives 0 to 254, and 0 to a seat that did not reveal.
    error InvalidScore(uint256 seat);
    error AlreadyStruck();
    /// @notice The scores shown are not those that were given, all of them and in their order.
    error WrongScores();
    /// @notice The posted score is right.
    error ResultStands();
    error InvalidProof();
    error NotReferee();

    /// @notice A score that says nothing.
    uint8 public constant NO_OPINION = 255;
    /// @notice The best score.
    uint8 public constant FULL_SCORE = 254;

    IERC20 public immutable credit;
    Agents public immutable agents;
    Bonds public immutable bonds;

    /// @notice How many swarms there are; they are numbered from 1.
    uint256 public count;
    mapping(uint256 swarmId => Swarm) private _swarms;
    mapping(uint256 swarmId => mapping(uint256 round => Round)) private _rounds;

    constructor(IERC20 credit_, Agents agents_, Bonds bonds_) {
        credit = credit_;
        agents = agents_;
        bonds = bonds_;
    }

    // ---------------------------------------------------------------- a swarm

    /// @notice Makes a swarm of the given rules, which nobody can change. `uri` says more to people.
    function create(Rules calldata rules, string calldata uri) external returns (uint256 swarmId) {
        if (rules.commitTime == 0) revert InvalidRule("commitTime");
        if (rules.revealTime == 0) revert InvalidRule("revealTime");
        if (rules.scoreTime == 0) revert InvalidRule("scoreTime");
        if (rules.challengeTime == 0) revert InvalidRule("challengeTime");
        if (rules.period == 0) revert InvalidRule("period");
        if (rules.seats < 2 || rules.seats > 256) revert InvalidRule("seats");
        if (rules.quorum < 2 || rules.quorum > rules.seats) revert InvalidRule("quorum");
        // A stake that is asked back right after the commitment must stay slashable until the round is final.
        uint256 longest =
            uint256(rules.commitTime) + rules.revealTime + rules.scoreTime + 2 * uint256(rules.challengeTime);
        if (longest > bonds.UNBONDING()) revert InvalidRule("longer than unbonding takes");
        swarmId = ++count;
        _swarms[swarmId] = Swarm({
            period: rules.period,
            commitTime: rules.commitTime,
            revealTime: rules.revealTime,
            scoreTime: rules.scoreTime,
            challengeTime: rules.challengeTime,
            seats: rules.seats,
            bond: rules.bond,
            pool: 0,
            reward: rules.reward,
            rounds: 0,
            referee: rules.referee,
            nextAt: rules.start,
            quorum: rules.quorum,
            spec: rules.spec
        });
        emit Created(swarmId, msg.sender, rules.spec, rules, uri);
    }

    /// @notice Adds credits of the caller to a swarm's pool. They are the nodes' to earn and do not come back.
    function topUp(uint256 swarmId, uint128 amount) external {
        Swarm storage swarm = _swarm(swarmId);
        if (amount == 0) revert NothingToDo();
        swarm.pool += amount;
        emit ToppedUp(swarmId, msg.sender, amount);
        credit.safeTransferFrom(msg.sender, address(this), amount);
    }

    // ---------------------------------------------------------------- a round, step by step

    /// @notice Opens the next round, once its time has come.
    /// @dev It pays for the slots that all nodes write to, so that the first of them pays what the others do.
    function open(uint256 swarmId) external returns (uint256 round) {
        Swarm storage swarm = _swarm(swarmId);
        if (block.timestamp < swarm.nextAt) revert TooEarly(swarm.nextAt);
        uint96 reward = swarm.pool < swarm.reward ? uint96(swarm.pool) : swarm.reward;
        swarm.nextAt = uint64(block.timestamp + swarm.period);
        swarm.pool -= reward;
        round = ++swarm.rounds;
        Round storage r = _rounds[swarmId][round];
        r.commitEnds = uint40(block.timestamp + swarm.commitTime);
        r.revealEnds = r.commitEnds + swarm.revealTime;
        r.scoreEnds = r.revealEnds + swarm.scoreTime;
        r.seats = swarm.seats;
        r.bond = swarm.bond;
        r.openedAt = uint40(block.timestamp);
        r.challengeTime = swarm.challengeTime;
        r.reward = reward;
        r.quorum = swarm.quorum;
        r.absent = type(uint256).max;
        r.scores = Scores.start(swarmId, round);
        emit Opened(swarmId, round, reward);
    }

    /// @notice Takes a seat for a node and commits to its work: `commitmentTo(…)` of a root and a salt.
    /// @dev Doing it again with the same commitment is harmless.
    function commit(uint256 swarmId, uint256 round, uint256 agentId, bytes32 commitment) external {
        Round storage r = _rounds[swarmId][round];
        _require(Phase.Commit, r);
        _authorize(agentId);
        Entry memory entry = r.entries[agentId];
        if (entry.seat != 0) {
            if (entry.commitment == bytes29(commitment)) return;
            revert AlreadyCommitted();
        }
        uint256 needed = r.bond;
        if (needed != 0) {
            uint256 staked = bonds.staked(agentId, address(this));
            if (staked < needed) revert BondTooSmall(staked, needed);
        }
        uint16 seat = r.committed + 1;
        if (seat > r.seats) revert RoundFull();
        r.committed = seat;
        r.entries[agentId] = Entry(bytes29(commitment), seat, false);
        emit Committed(swarmId, round, agentId, seat, commitment);
    }

    /// @notice Shows what a node committed to. Anyone who knows the salt may.
    /// @dev Doing it again is harmless. Root and salt are in the event; the commitment that stays proves them.
    function reveal(uint256 swarmId, uint256 round, uint256 agentId, bytes32 root, bytes32 salt) external {
        Round storage r = _rounds[swarmId][round];
        _require(Phase.Reveal, r);
        Entry memory entry = r.entries[agentId];
        if (entry.seat == 0) revert NoCommitment();
        if (bytes29(commitmentTo(swarmId, round, agentId, root, salt)) != entry.commitment) revert WrongReveal();
        uint256 bit = _bit(entry.seat);
        if (r.absent & bit == 0) return;
        r.absent ^= bit;
        emit Revealed(swarmId, round, agentId, root, salt);
    }

    /// @notice Gives a node's scores: one byte for each seat that committed, 255 for no opinion.
    /// @dev What it gives its own seat or an absent one counts for nothing.
    function score(uint256 swarmId, uint256 round, uint256 agentId, bytes calldata scores) external {
        Round storage r = _rounds[swarmId][round];
        _require(Phase.Score, r);
        _authorize(agentId);
        uint256 seat = _present(r, agentId);
        if (scores.length != r.committed) revert WrongLength(scores.length, r.committed);
        if (r.entries[agentId].scored) revert AlreadyScored();
        r.entries[agentId].scored = true;
        r.scores = Scores.chain(r.scores, seat, scores);
        emit Scored(swarmId, round, agentId, scores);
    }

    /// @notice Posts a round's result, for a node that was present and has its bond at stake.
    /// @param scores for each seat that committed, the median of the others' opinions of it.
    function post(uint256 swarmId, uint256 round, uint256 agentId, bytes calldata scores) external {
        Round storage r = _rounds[swarmId][round];
        _require(Phase.Post, r);
        _authorize(agentId);
        if (r.struck & _bit(_present(r, agentId)) != 0) revert AlreadyStruck();
        uint256 slashable = bonds.slashable(agentId, address(this));
        if (slashable < r.bond) revert BondTooSmall(slashable, r.bond);
        if (scores.length != r.committed) revert WrongLength(scores.length, r.committed);
        uint256 absent = r.absent;
        uint256 earned = 0;
        for (uint256 i = 0; i < scores.length; ++i) {
            uint256 given = uint8(scores[i]);
            if (given > FULL_SCORE || (given != 0 && absent & (1 << i) != 0)) revert InvalidScore(i + 1);
            earned += given;
        }
        r.postedAt = uint40(block.timestamp);
        r.earned = uint16(earned);
        r.poster = agentId;
        r.claimed = absent;
        r.result = Scores.root(scores);
        emit Posted(swarmId, round, agentId, r.result, scores);
    }

    /// @notice Shows that the posted score of a seat is wrong. The poster's bond is the caller's to collect.
    function challenge(Proof calldata p) external {
        Round storage r = _rounds[p.swarmId][p.round];
        _require(Phase.Challenge, r);
        if (!MerkleProof.verifyCalldata(p.proof, r.result, Scores.leaf(p.seat, p.posted))) revert InvalidProof();
        (bytes32 all, uint8 right) = Scores.median(Scores.start(p.swarmId, p.round), r.quorum, p.seat, p.scorers, p.given);
        if (all != r.scores) revert WrongScores();
        // What is posted for an absent seat is zero; `post` sees to that.
        if (p.posted == right || r.absent & _bit(p.seat) != 0) revert ResultStands();
        uint256 poster = r.poster;
        r.postedAt = 0;
        r.earned = 0;
        r.poster = 0;
        r.result = 0;
        emit Overturned(p.swarmId, p.round, msg.sender, p.seat, p.posted, right);
        _strike(p.swarmId, p.round, poster, msg.sender);
    }

    /// @notice Strikes a node from a round and slashes its bond, for the swarm's referee, until the round is final.
    function convict(uint256 swarmId, uint256 round, uint256 agentId, address to) external {
        Swarm storage swarm = _swarm(swarmId);
        Round storage r = _rounds[swarmId][round];
        if (msg.sender != swarm.referee) revert NotReferee();
        Phase phase = _phase(r);
        if (phase == Phase.None || phase == Phase.Final || phase == Phase.Lapsed) revert WrongPhase(phase);
        uint256 seat = r.entries[agentId].seat;
        if (seat == 0) revert NoCommitment();
        if (r.struck & _bit(seat) != 0) revert AlreadyStruck();
        _strike(swarmId, round, agentId, to);
    }

    /// @notice Returns to the pool what nobody earned in a round that is over. Anyone may; doing it again is harmless.
    function settle(uint256 swarmId, uint256 round) external {
        Swarm storage swarm = _swarm(swarmId);
        Round storage r = _rounds[swarmId][round];
        Phase phase = _phase(r);
        if (phase != Phase.Final && phase != Phase.Lapsed) revert WrongPhase(phase);
        if (r.settled) return;
        uint256 returned = r.reward - _worth(r) * r.earned;
        r.settled = true;
        swarm.pool += uint128(returned);
        emit Settled(swarmId, round, returned);
    }

    /// @notice Pays an agent what it earned in any number of rounds. Anyone may call it; the agent's payee is paid.
    /// @dev A share that was claimed before is passed over.
    function claim(uint256 agentId, Share[] calldata shares) external {
        address to = agents.payee(agentId);
        uint256 sum = 0;
        for (uint256 i = 0; i < shares.length; ++i) {
            sum += _claim(agentId, to, shares[i]);
        }
        if (sum != 0) credit.safeTransfer(to, sum);
    }

    // ---------------------------------------------------------------- to read

    /// @notice What a node commits to.
    function commitmentTo(uint256 swarmId, uint256 round, uint256 agentId, bytes32 root, bytes32 salt)
        public
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(swarmId, round, agentId, root, salt));
    }

    /// @notice A swarm's rules, pool, number of rounds, and when the next may be opened.
    function swarmOf(uint256 swarmId) external view returns (Swarm memory) {
        return _swarm(swarmId);
    }

    /// @notice Everything known of a round.
    function roundOf(uint256 swarmId, uint256 round) external view returns (RoundView memory) {
        Round storage r = _rounds[swarmId][round];
        return RoundView({
            phase: _phase(r),
            openedAt: r.openedAt,
            commitEnds: r.commitEnds,
            revealEnds: r.revealEnds,
            scoreEnds: r.scoreEnds,
            finalAt: uint64(r.postedAt == 0 ? r.scoreEnds : r.postedAt) + r.challengeTime,
            reward: r.reward,
            committed: r.committed,
            quorum: r.quorum,
            earned: r.earned,
            settled: r.settled,
            revealed: r.openedAt == 0 ? 0 : ~r.absent,
            struck: r.struck,
            claimed: r.claimed,
            scores: r.scores,
            result: r.result,
            poster: r.poster
        });
    }

    /// @notice What a node holds in a round.
    function entryOf(uint256 swarmId, uint256 round, uint256 agentId) external view returns (Entry memory) {
        return _rounds[swarmId][round].entries[agentId];
    }

    /// @notice What one point of score is worth in a round.
    function worthOf(uint256 swarmId, uint256 round) external view returns (uint256) {
        return _worth(_rounds[swarmId][round]);
    }

    // ---------------------------------------------------------------- inside

    function _claim(uint256 agentId, address to, Share calldata share) private returns (uint256 amount) {
        Round storage r = _rounds[share.swarmId][share.round];
        _require(Phase.Final, r);
        uint256 seat = r.entries[agentId].seat;
        if (seat == 0) revert NoCommitment();
        uint256 bit = _bit(seat);
        if (r.claimed & bit != 0) return 0;
        if (!MerkleProof.verifyCalldata(share.proof, r.result, Scores.leaf(seat, share.score))) revert InvalidProof();
        r.claimed |= bit;
        amount = _worth(r) * share.score;
        bool struck = r.struck & bit != 0;
        emit Claimed(share.swarmId, share.round, agentId, to, amount, struck);
        if (struck) {
            _swarms[share.swarmId].pool += uint128(amount);
            amount = 0;
        }
    }

    function _strike(uint256 swarmId, uint256 round, uint256 agentId, address to) private {
        Round storage r = _rounds[swarmId][round];
        r.struck |= _bit(r.entries[agentId].seat);
        uint128 slashed = bonds.slash(agentId, r.bond, to);
        emit Struck(swarmId, round, agentId, slashed);
    }

    /// @dev At full score, everyone present gets an equal part of the reward, as if there were a quorum at least.
    function _worth(Round storage r) private view returns (uint256) {
        uint256 parts = Scores.size(~r.absent);
        if (parts < r.quorum) parts = r.quorum;
        return uint256(r.reward) / (parts * FULL_SCORE);
    }

    function _require(Phase needed, Round storage r) private view {
        Phase phase = _phase(r);
        if (phase != needed) revert WrongPhase(phase);
    }

    function _phase(Round storage r) private view returns (Phase) {
        if (r.commitEnds == 0) return Phase.None;
        if (block.timestamp < r.commitEnds) return Phase.Commit;
        if (block.timestamp < r.revealEnds) return Phase.Reveal;
        if (block.timestamp < r.scoreEnds) return Phase.Score;
        uint256 posted = r.postedAt;
        if (posted != 0) return block.timestamp < posted + r.challengeTime ? Phase.Challenge : Phase.Final;
        return block.timestamp < uint256(r.scoreEnds) + r.challengeTime ? Phase.Post : Phase.Lapsed;
    }

    function _authorize(uint256 agentId) private view {
        if (!agents.isAuthorizedOrOwner(msg.sender, agentId)) revert NotAuthorized(agentId, msg.sender);
    }

    /// @dev The seat of a node that revealed.
    function _present(Round storage r, uint256 agentId) private view returns (uint256 seat) {
        seat = r.entries[agentId].seat;
        if (seat == 0) revert NoCommitment();
        if (r.absent & _bit(seat) != 0) revert NotRevealed();
    }

    function _swarm(uint256 swarmId) private view returns (Swarm storage swarm) {
        if (swarmId == 0 || swarmId > count) revert NoSuchSwarm(swarmId);
        return _swarms[swarmId];
    }

    function _bit(uint256 seat) private pure returns (uint256) {
        return 1 << (seat - 1);
    }
}
