// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Agents} from "./Agents.sol";
import {Bonds} from "./Bonds.sol";
import {Game} from "./Game.sol";
import {Referee} from "./Referee.sol";
import {Validation} from "./Validation.sol";

/// @title Disputes: claims that work was done as agreed, which anyone may contest, and which a block of arithmetic decides.
/// @notice An agent claims the result of a run and stakes for it. Until the claim's window closes, any agent may contest it with a
/// stake of its own; each dispute goes its own way, move by move ({Game}), and none blocks another. Who is wrong loses its stake: most of it
/// to the other side, the rest to nobody, so that nothing is won by contesting oneself. Nobody decides anything here but the moves,
/// the clocks and the {Referee}.
/// @dev Invariant: what an agent has reserved here is at most what it had at stake with this contract, and is held in {Bonds} until
/// after every dispute it is for can have ended. A claim that stood is one whose window has closed with no dispute open or lost.
contract Disputes {
    using Game for Game.State;

    enum Status {
        None,
        Open,
        Convicted,
        Stands
    }

    /// @notice What all who claim the result of one piece of work agree on.
    struct Terms {
        bytes32 job;
        bytes32 schedule;
        bytes32 start;
        uint64 steps;
    }

    /// @notice What is at stake, and how long things take. Who relies on a claim looks at these.
    struct Conditions {
        /// What the claimant loses.
        uint128 bond;
        /// What a challenger loses.
        uint128 challengeBond;
        /// How long the claim can be contested.
        uint32 window;
        /// How long each side of a dispute may think, all its moves together.
        uint32 time;
    }

    struct ClaimView {
        uint256 agentId;
        Status status;
        uint32 disputes;
        uint64 until;
        Terms terms;
        bytes32 run;
        Conditions conditions;
        bytes32 request;
    }

    struct DisputeView {
        uint256 claimId;
        uint256 challenger;
        /// Where the game is: the stage, the wrong step once it is known, and the node it has come to.
        Game.Stage stage;
        uint64 step;
        bytes32 node;
        /// Whose turn it is, and until when it may move.
        bool defenders;
        uint64 deadline;
        bool over;
        bool convicted;
    }

    struct Claim {
        Game.Claimed what;
        bytes32 job;
        Conditions conditions;
        bytes32 request;
        uint64 until;
        uint32 disputes;
        Status status;
        uint256 agentId;
    }

    /// @dev All but the game lies in one word: every move reads it.
    struct Dispute {
        Game.State game;
        uint64 claimId;
        uint64 challenger;
        uint40 since;
        uint32 defenderLeft;
        uint32 challengerLeft;
        bool over;
        bool convicted;
    }

    event Claimed(
        uint256 indexed claimId, uint256 indexed agentId, Terms terms, bytes32 run, Conditions conditions, bytes32 request
    );
    event Contested(uint256 indexed claimId, uint256 indexed disputeId, uint256 indexed challenger);
    /// @notice The moves themselves: who knows the claim follows the game from these.
    event Moved(uint256 indexed disputeId, bool defender, bytes[] moves);
    event Decided(uint256 indexed disputeId, uint256 indexed claimId, bool convicted, bool late);
    event Finished(uint256 indexed claimId, bool stands);

    error NotAuthorized(uint256 agentId, address caller);
    /// @notice The conditions leave no time or stake nothing.
    error InvalidConditions();
    /// @notice The agent has less at stake here than it has promised.
    error StakeTooSmall(uint256 staked, uint256 needed);
    error NoSuchClaim(uint256 claimId);
    error NoSuchDispute(uint256 disputeId);
    /// @notice The claim can no longer be contested.
    error TooLate(uint256 until);
    /// @notice The claim or the other side still has time.
    error TooEarly(uint256 until);
    error AlreadyOver();
    /// @notice It is the other side's turn.
    error NotYourTurn();
    error DisputesOpen(uint256 disputes);

    /// @notice Of what a loser loses, the winner gets three quarters; the rest is nobody's.
    uint256 public constant WINNERS_QUARTERS = 3;
    address public constant NOBODY = address(0xdead);
    uint32 public constant SHORTEST = 1 minutes;
    uint32 public constant LONGEST = 30 days;
    uint64 public constant MOST_STEPS = 1 << 40;
    /// @notice The tag of what is written into the registry of validations.
    string public constant TAG = "starling-dispute";

    Agents public immutable agents;
    Bonds public immutable bonds;
    Validation public immutable validation;
    Referee public immutable referee;

    uint256 public claims;
    uint256 public disputes;
    /// @notice What an agent has promised of its stake, for claims and disputes that are open.
    mapping(uint256 agentId => uint256) public reserved;
    mapping(uint256 claimId => Claim) private _claims;
    mapping(uint256 disputeId => Dispute) private _disputes;

    constructor(Agents agents_, Bonds bonds_, Validation validation_, Referee referee_) {
        agents = agents_;
        bonds = bonds_;
        validation = validation_;
        referee = referee_;
    }

    // ---------------------------------------------------------------- claims

    /// @notice Claims the result of a run. If `request` is one of the agent's requests for validation by this contract, the outcome is
    /// written there.
    function claim(uint256 agentId, Terms calldata terms, bytes32 run, Conditions calldata conditions, bytes32 request)
        external
        returns (uint256 claimId)
    {
        _authorize(agentId);
        if (
            conditions.bond == 0 || conditions.challengeBond == 0 || conditions.window < SHORTEST
                || conditions.time < SHORTEST || conditions.window > LONGEST || conditions.time > LONGEST
                || terms.steps == 0 || terms.steps > MOST_STEPS
        ) revert InvalidConditions();
        claimId = ++claims;
        Claim storage c = _claims[claimId];
        c.what = Game.Claimed({schedule: terms.schedule, start: terms.start, run: run, steps: terms.steps});
        c.job = terms.job;
        c.conditions = conditions;
        c.request = request;
        c.until = uint64(block.timestamp) + conditions.window;
        c.status = Status.Open;
        c.agentId = agentId;
        emit Claimed(claimId, agentId, terms, run, conditions, request);
        _reserve(agentId, conditions.bond, c.until + 2 * uint64(conditions.time));
    }

    /// @notice Contests a claim. Anyone may who stakes, as often as there are stakes; each dispute stands alone.
    function contest(uint256 claimId, uint256 challenger) external returns (uint256 disputeId) {
        _authorize(challenger);
        Claim storage c = _claim(claimId);
        if (c.status != Status.Open || block.timestamp >= c.until) revert TooLate(c.until);
        ++c.disputes;
        disputeId = ++disputes;
        Dispute storage d = _disputes[disputeId];
        // Both are counted up from one.
        d.claimId = uint64(claimId);
        d.challenger = uint64(challenger);
        d.since = uint40(block.timestamp);
        d.defenderLeft = c.conditions.time;
        d.challengerLeft = c.conditions.time;
        d.game.begin(c.what);
        emit Contested(claimId, disputeId, challenger);
        _reserve(challenger, c.conditions.challengeBond, uint64(block.timestamp) + 2 * uint64(c.conditions.time));
    }

    /// @notice Says that a claim stood: its window has closed, and no dispute over it is open. Anyone may.
    function finish(uint256 claimId) external {
        Claim storage c = _claim(claimId);
        if (c.status != Status.Open) revert AlreadyOver();
        if (block.timestamp < c.until) revert TooEarly(c.until);
        if (c.disputes != 0) revert DisputesOpen(c.disputes);
        c.status = Status.Stands;
        reserved[c.agentId] -= c.conditions.bond;
        emit Finished(claimId, true);
        _answer(claimId, c, 100);
    }

    // ---------------------------------------------------------------- disputes

    /// @notice Makes one or several moves of the side that is to move.
    function play(uint256 disputeId, bytes[] calldata moves) external {
        Dispute storage d = _open(disputeId);
        Claim storage c = _claims[d.claimId];
        bool defender = d.game.isDefenders();
        _authorize(defender ? c.agentId : d.challenger);
        uint256 spent = block.timestamp - d.since;
        uint32 left = defender ? d.defenderLeft : d.challengerLeft;
        if (spent > left) revert TooLate(d.since + left);
        if (defender) d.defenderLeft = left - uint32(spent);
        else d.challengerLeft = left - uint32(spent);
        d.since = uint40(block.timestamp);
        emit Moved(disputeId, defender, moves);
        Game.Result result = Game.Result.Open;
        if (moves.length == 0) revert NotYourTurn();
        for (uint256 i = 0; i < moves.length; ++i) {
            if (result != Game.Result.Open || d.game.isDefenders() != defender) revert NotYourTurn();
            result = d.game.play(c.what, referee, moves[i]);
        }
        if (result != Game.Result.Open) _decide(disputeId, d, c, result == Game.Result.Wrong, false);
    }

    /// @notice Ends a dispute in which the side that is to move has let its time pass. Anyone may.
    function expire(uint256 disputeId) external {
        Dispute storage d = _open(disputeId);
        bool defender = d.game.isDefenders();
        uint256 until = d.since + (defender ? d.defenderLeft : d.challengerLeft);
        if (block.timestamp <= until) revert TooEarly(until);
        _decide(disputeId, d, _claims[d.claimId], defender, true);
    }

    /// @notice Ends a dispute over a claim that another dispute has shown to be wrong: the challenger's stake is free. Anyone may.
    function close(uint256 disputeId) external {
        Dispute storage d = _open(disputeId);
        Claim storage c = _claims[d.claimId];
        if (c.status != Status.Convicted) revert TooEarly(c.until);
        d.over = true;
        --c.disputes;
        reserved[d.challenger] -= c.conditions.challengeBond;
        emit Decided(disputeId, d.claimId, true, false);
    }

    // ---------------------------------------------------------------- to read

    function claimOf(uint256 claimId) external view returns (ClaimView memory) {
        Claim storage c = _claim(claimId);
        return ClaimView({
            agentId: c.agentId,
            status: c.status,
            disputes: c.disputes,
            until: c.until,
            terms: Terms({job: c.job, schedule: c.what.schedule, start: c.what.start, steps: c.what.steps}),
            run: c.what.run,
            conditions: c.conditions,
            request: c.request
        });
    }

    function disputeOf(uint256 disputeId) external view returns (DisputeView memory) {
        Dispute storage d = _disputes[disputeId];
        if (d.claimId == 0) revert NoSuchDispute(disputeId);
        bool defenders = d.game.isDefenders();
        return DisputeView({
            claimId: d.claimId,
            challenger: d.challenger,
            stage: d.game.stage,
            step: d.game.step,
            node: d.game.node,
            defenders: defenders,
            deadline: d.since + (defenders ? d.defenderLeft : d.challengerLeft),
            over: d.over,
            convicted: d.convicted
        });
    }

    // ---------------------------------------------------------------- inside

    function _decide(uint256 disputeId, Dispute storage d, Claim storage c, bool wrong, bool late) private {
        d.over = true;
        d.convicted = wrong;
        d.game.stage = Game.Stage.Over;
        --c.disputes;
        uint128 challengeBond = c.conditions.challengeBond;
        reserved[d.challenger] -= challengeBond;
        emit Decided(disputeId, d.claimId, wrong, late);
        if (!wrong) {
            _slash(d.challenger, challengeBond, agents.payee(c.agentId));
        } else if (c.status == Status.Open) {
            // Only the first to show it is paid: the claimant has no more to lose.
            c.status = Status.Convicted;
            uint128 bond = c.conditions.bond;
            reserved[c.agentId] -= bond;
            emit Finished(d.claimId, false);
            _slash(c.agentId, bond, agents.payee(d.challenger));
            _answer(d.claimId, c, 0);
        }
    }

    function _slash(uint256 agentId, uint128 amount, address winner) private {
        uint128 part = uint128(uint256(amount) * WINNERS_QUARTERS / 4);
        // slither-disable-next-line unused-return (a stake that is held cannot have become smaller)
        bonds.slash(agentId, part, winner);
        // slither-disable-next-line unused-return (as above)
        bonds.slash(agentId, amount - part, NOBODY);
    }

    /// @dev Writes the outcome to the request that the claim names, if this contract was asked there.
    function _answer(uint256 claimId, Claim storage c, uint8 response) private {
        if (c.request == 0) return;
        try validation.getValidationStatus(c.request) returns (
            address asked, uint256 agentId, uint8, bytes32, string memory, uint256
        ) {
            if (asked != address(this) || agentId != c.agentId) return;
            validation.validationResponse(c.request, response, "", bytes32(claimId), TAG);
        } catch {}
    }

    function _reserve(uint256 agentId, uint256 amount, uint64 until) private {
        uint256 needed = reserved[agentId] + amount;
        reserved[agentId] = needed;
        uint256 staked = bonds.staked(agentId, address(this));
        if (staked < needed) revert StakeTooSmall(staked, needed);
        bonds.hold(agentId, until);
    }

    function _authorize(uint256 agentId) private view {
        if (!agents.isAuthorizedOrOwner(msg.sender, agentId)) revert NotAuthorized(agentId, msg.sender);
    }

    function _claim(uint256 claimId) private view returns (Claim storage c) {
        c = _claims[claimId];
        if (c.status == Status.None) revert NoSuchClaim(claimId);
    }

    function _open(uint256 disputeId) private view returns (Dispute storage d) {
        d = _disputes[disputeId];
        if (d.claimId == 0) revert NoSuchDispute(disputeId);
        if (d.over) revert AlreadyOver();
    }
}
