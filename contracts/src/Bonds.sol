// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Agents} from "./Agents.sol";

/// @title What agents stand to lose: stakes that the contract they were placed with may slash.
/// @notice A stake names, when it is placed, the one contract that may slash it, its judge. Nobody appoints judges:
/// whoever relies on a stake looks at whom it answers to (`staked(agent, judge)`), and whoever places one reads the
/// judge's code before. A judge gains nothing it was not given and cannot be replaced.
/// @dev Invariant: the credits held equal all stakes, staked or unbonding, and all that is owed from slashing. A stake
/// can be slashed until it is withdrawn, and it cannot be withdrawn before `UNBONDING` has passed since it was last
/// asked back, nor before its judge's hold has ended: who is convicted in that time does not get away.
contract Bonds {
    using SafeERC20 for IERC20;

    /// @notice What an agent has at stake with a judge.
    struct Bond {
        /// Counts for those who rely on it.
        uint128 staked;
        /// Asked back: counts no more, but can still be slashed.
        uint128 unbonding;
        /// When what is unbonding may leave.
        uint64 releaseAt;
        /// Until when the judge keeps everything here.
        uint64 heldUntil;
    }

    event Staked(uint256 indexed agentId, address indexed judge, address indexed from, uint256 amount);
    event Unbonding(uint256 indexed agentId, address indexed judge, uint256 amount, uint256 releaseAt);
    event Restaked(uint256 indexed agentId, address indexed judge, uint256 amount);
    event Withdrawn(uint256 indexed agentId, address indexed judge, address indexed to, uint256 amount);
    event Held(uint256 indexed agentId, address indexed judge, uint256 until);
    event Slashed(uint256 indexed agentId, address indexed judge, address indexed to, uint256 amount);
    event Collected(address indexed who, uint256 amount);

    error NotAuthorized(uint256 agentId, address caller);
    error InvalidJudge();
    error NothingToDo();
    /// @notice The stake is smaller than what is asked back.
    error StakeTooSmall(uint256 staked, uint256 asked);
    /// @notice What is asked back may leave at `time`, and not before.
    error TooEarly(uint256 time);

    /// @notice How long a stake asked back can still be slashed.
    uint256 public constant UNBONDING = 7 days;

    IERC20 public immutable credit;
    Agents public immutable agents;

    /// @notice What each judge's slashing has earned somebody, to be collected.
    mapping(address who => uint256) public owed;
    mapping(uint256 agentId => mapping(address judge => Bond)) private _bonds;

    constructor(IERC20 credit_, Agents agents_) {
        credit = credit_;
        agents = agents_;
    }

    modifier onlyAuthorized(uint256 agentId) {
        if (!agents.isAuthorizedOrOwner(msg.sender, agentId)) revert NotAuthorized(agentId, msg.sender);
        _;
    }

    // ---------------------------------------------------------------- for agents

    /// @notice Stakes credits of the caller for an agent, for `judge` to slash. The agent's owner may ask them back.
    function stake(uint256 agentId, address judge, uint128 amount) external {
        if (judge == address(0)) revert InvalidJudge();
        if (amount == 0) revert NothingToDo();
        // Fails for an agent that does not exist: nobody could ever ask the stake back.
        // slither-disable-next-line unused-return (whose it is does not matter, only that it is somebody's)
        agents.ownerOf(agentId);
        _bonds[agentId][judge].staked += amount;
        emit Staked(agentId, judge, msg.sender, amount);
        credit.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @notice Asks a stake back. The time runs anew for all that the agent is unbonding with this judge.
    function unbond(uint256 agentId, address judge, uint128 amount) external onlyAuthorized(agentId) {
        Bond storage bond = _bonds[agentId][judge];
        if (amount == 0) revert NothingToDo();
        if (bond.staked < amount) revert StakeTooSmall(bond.staked, amount);
        bond.staked -= amount;
        bond.unbonding += amount;
        bond.releaseAt = uint64(block.timestamp + UNBONDING);
        emit Unbonding(agentId, judge, amount, bond.releaseAt);
    }

    /// @notice Stakes again what was asked back and has not left.
    function restake(uint256 agentId, address judge) external onlyAuthorized(agentId) {
        Bond storage bond = _bonds[agentId][judge];
        uint128 amount = bond.unbonding;
        if (amount == 0) revert NothingToDo();
        bond.unbonding = 0;
        bond.staked += amount;
        emit Restaked(agentId, judge, amount);
    }

    /// @notice Pays out to the caller, who acts for the agent, what was asked back and may leave.
    function withdraw(uint256 agentId, address judge) external onlyAuthorized(agentId) {
        Bond storage bond = _bonds[agentId][judge];
        uint128 amount = bond.unbonding;
        if (amount == 0) revert NothingToDo();
        uint256 time = bond.releaseAt > bond.heldUntil ? bond.releaseAt : bond.heldUntil;
        if (block.timestamp < time) revert TooEarly(time);
        bond.unbonding = 0;
        emit Withdrawn(agentId, judge, msg.sender, amount);
        credit.safeTransfer(msg.sender, amount);
    }

    /// @notice Pays the caller what slashing has earned it.
    function collect() external {
        uint256 amount = owed[msg.sender];
        if (amount == 0) revert NothingToDo();
        owed[msg.sender] = 0;
        emit Collected(msg.sender, amount);
        credit.safeTransfer(msg.sender, amount);
    }

    // ---------------------------------------------------------------- for judges

    /// @notice Keeps what the agent has at stake with the caller from leaving until then, while a case is open.
    function hold(uint256 agentId, uint64 until) external {
        Bond storage bond = _bonds[agentId][msg.sender];
        if (until <= bond.heldUntil) return;
        bond.heldUntil = until;
        emit Held(agentId, msg.sender, until);
    }

    /// @notice Takes up to `amount` of what the agent has at stake with the caller, for `to` to collect.
    /// @return taken how much there was to take.
    function slash(uint256 agentId, uint128 amount, address to) external returns (uint128 taken) {
        Bond storage bond = _bonds[agentId][msg.sender];
        uint128 fromStaked = amount < bond.staked ? amount : bond.staked;
        uint128 rest = amount - fromStaked;
        uint128 fromUnbonding = rest < bond.unbonding ? rest : bond.unbonding;
        taken = fromStaked + fromUnbonding;
        bond.staked -= fromStaked;
        bond.unbonding -= fromUnbonding;
        owed[to] += taken;
        emit Slashed(agentId, msg.sender, to, taken);
    }

    // ---------------------------------------------------------------- to read

    /// @notice What the agent has at stake with the judge and has not asked back.
    function staked(uint256 agentId, address judge) external view returns (uint128) {
        return _bonds[agentId][judge].staked;
    }

    /// @notice All that the judge could take of the agent now.
    function slashable(uint256 agentId, address judge) external view returns (uint256) {
        Bond storage bond = _bonds[agentId][judge];
        return uint256(bond.staked) + bond.unbonding;
    }

    /// @notice Everything known of an agent's stake with a judge.
    function bondOf(uint256 agentId, address judge) external view returns (Bond memory) {
        return _bonds[agentId][judge];
    }
}
