// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {Jobs} from "./Jobs.sol";

/// @title A client made of many: people pay for a job together and judge it together.
/// @notice Anyone asks for something, anyone adds money. When enough has come in, the request becomes a job (`Jobs`)
/// whose client is this contract. It is judged by the evaluator that the request named, or, if it named none, by those
/// who paid, with a vote as heavy as what they paid.
/// @dev Invariant: for every token, what is held covers what was paid into requests that are not launched, and what
/// failed jobs gave back and was not reclaimed. Nobody gets back more than its part of what came back, nor twice. A
/// majority of the money decides at once, either way; when the time to review is over, the votes cast decide, and
/// silence is consent: who was paid to watch may not starve who worked by looking away.
contract Crowd is ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    /// @notice What is asked for.
    struct Ask {
        /// Who judges, or zero for those who paid.
        address evaluator;
        address token;
        /// What must come in.
        uint128 goal;
        /// What the provider puts up.
        uint128 bond;
        /// Until when people may pay.
        uint64 fundingEnds;
        /// How long the provider has, in seconds, from the launch.
        uint64 workTime;
        bytes32 program;
        bytes32 inputs;
        string description;
    }

    struct Request {
        Ask ask;
        uint256 raised;
        /// Zero until launched.
        uint256 jobId;
        uint256 accepting;
        uint256 rejecting;
    }

    event Asked(uint256 indexed requestId, address indexed by, Ask ask);
    event Contributed(uint256 indexed requestId, address indexed from, uint256 amount, uint256 raised);
    event Launched(uint256 indexed requestId, uint256 indexed jobId, uint256 price);
    event Voted(uint256 indexed requestId, address indexed voter, bool accept, uint256 weight);
    event Decided(uint256 indexed requestId, uint256 indexed jobId, bool accepted);
    event Reclaimed(uint256 indexed requestId, address indexed to, uint256 amount);

    error NoSuchRequest(uint256 requestId);
    error InvalidAsk(string what);
    error NothingToDo();
    error FundingOver();
    /// @notice The goal is not reached, or the request is launched already.
    error CannotLaunch();
    /// @notice Nothing comes back while the request may still succeed, nor when it did.
    error NotFailed();
    /// @notice The request named an evaluator: it judges, not those who paid.
    error NotJudge();
    error AlreadyVoted();
    /// @notice The votes cast decide at `time`, and not before.
    error TooEarly(uint256 time);
    error WrongTransfer();

    /// @notice How long those who paid have to vote on a submission. Shorter than `Jobs.EVALUATION_TIME`.
    uint256 public constant REVIEW = 12 hours;

    Jobs public immutable jobs;

    uint256 public count;
    mapping(uint256 requestId => Request) private _requests;
    mapping(uint256 requestId => mapping(address payer => uint256)) public contributed;
    mapping(uint256 requestId => mapping(address payer => bool)) public voted;

    constructor(Jobs jobs_) {
        jobs = jobs_;
    }

    // ---------------------------------------------------------------- paying together

    /// @notice Asks for something. It costs nothing; whoever wants it pays.
    function ask(Ask calldata what) external returns (uint256 requestId) {
        if (what.token == address(0)) revert InvalidAsk("token");
        if (what.goal == 0) revert InvalidAsk("goal");
        if (what.fundingEnds <= block.timestamp) revert InvalidAsk("fundingEnds");
        if (what.workTime <= jobs.SHORTEST() || what.workTime > 365 days) revert InvalidAsk("workTime");
        requestId = ++count;
        _requests[requestId].ask = what;
        emit Asked(requestId, msg.sender, what);
    }

    /// @notice Pays into a request, until it is launched or its time is over.
    function contribute(uint256 requestId, uint256 amount) external nonReentrant {
        Request storage r = _request(requestId);
        if (amount == 0) revert NothingToDo();
        if (r.jobId != 0 || block.timestamp >= r.ask.fundingEnds) revert FundingOver();
        r.raised += amount;
        contributed[requestId][msg.sender] += amount;
        emit Contributed(requestId, msg.sender, amount, r.raised);
        IERC20 token = IERC20(r.ask.token);
        uint256 had = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        if (token.balanceOf(address(this)) - had != amount) revert WrongTransfer();
    }

    /// @notice Posts the job, with all that came in as its price, once the goal is reached. Anyone may.
    function launch(uint256 requestId) external nonReentrant returns (uint256 jobId) {
        Request storage r = _request(requestId);
        if (r.jobId != 0 || r.raised < r.ask.goal || block.timestamp >= r.ask.fundingEnds) revert CannotLaunch();
        Ask memory what = r.ask;
        IERC20(what.token).forceApprove(address(jobs), r.raised);
        // `Jobs` is known code that calls nobody back here: a crowd's jobs have no hook, and its token moves before.
        jobId = jobs.postJob(
            Jobs.Post({
                provider: address(0),
                evaluator: what.evaluator == address(0) ? address(this) : what.evaluator,
                expiredAt: block.timestamp + what.workTime,
                description: what.description,
                hook: address(0),
                token: what.token,
                price: r.raised,
                terms: Jobs.Terms({program: what.program, inputs: what.inputs, bond: what.bond})
            })
        );
        r.jobId = jobId;
        emit Launched(requestId, jobId, r.raised);
    }

    // ---------------------------------------------------------------- judging together

    /// @notice Votes on what was submitted, once. More than half of the money decides at once.
    function vote(uint256 requestId, bool accept) external nonReentrant {
        Request storage r = _request(requestId);
        if (r.ask.evaluator != address(0)) revert NotJudge();
        uint256 weight = contributed[requestId][msg.sender];
        if (weight == 0) revert NothingToDo();
        if (voted[requestId][msg.sender]) revert AlreadyVoted();
        Jobs.Job memory job = jobs.getJob(r.jobId);
        if (job.status != Jobs.JobStatus.Submitted) revert Jobs.WrongStatus(job.status);
        voted[requestId][msg.sender] = true;
        if (accept) r.accepting += weight;
        else r.rejecting += weight;
        emit Voted(requestId, msg.sender, accept, weight);
        if (r.accepting * 2 > r.raised) _decide(requestId, r, true);
        else if (r.rejecting * 2 > r.raised) _decide(requestId, r, false);
    }

    /// @notice Ends the vote when its time is over, by the votes that were cast. Anyone may.
    function decide(uint256 requestId) external nonReentrant {
        Request storage r = _request(requestId);
        if (r.ask.evaluator != address(0)) revert NotJudge();
        Jobs.Job memory job = jobs.getJob(r.jobId);
        if (job.status != Jobs.JobStatus.Submitted) revert Jobs.WrongStatus(job.status);
        uint256 time = job.submittedAt + REVIEW;
        if (block.timestamp < time) revert TooEarly(time);
        _decide(requestId, r, r.accepting >= r.rejecting);
    }

    // ---------------------------------------------------------------- getting it back

    /// @notice Pays the caller its part of what came back from a request that failed, the provider's bond among it.
    function reclaim(uint256 requestId) external nonReentrant {
        Request storage r = _request(requestId);
        uint256 weight = contributed[requestId][msg.sender];
        if (weight == 0) revert NothingToDo();
        uint256 amount = weight;
        if (r.jobId == 0) {
            if (block.timestamp < r.ask.fundingEnds) revert NotFailed();
        } else {
            Jobs.JobStatus status = jobs.getJob(r.jobId).status;
            if (status != Jobs.JobStatus.Rejected && status != Jobs.JobStatus.Expired) revert NotFailed();
            // slither-disable-next-line unused-return (what went to the provider is not the payers')
            (,, uint256 bond,) = jobs.settlement(r.jobId);
            amount += (bond * weight) / r.raised;
        }
        contributed[requestId][msg.sender] = 0;
        emit Reclaimed(requestId, msg.sender, amount);
        // `Jobs` owes the crowd the bonds of all its failed jobs in one sum; those of others then wait here.
        if (amount != weight && jobs.owed(r.ask.token, address(this)) != 0) jobs.collect(r.ask.token);
        IERC20(r.ask.token).safeTransfer(msg.sender, amount);
    }

    // ---------------------------------------------------------------- to read

    function requestOf(uint256 requestId) external view returns (Request memory) {
        return _request(requestId);
    }

    // ---------------------------------------------------------------- inside

    function _decide(uint256 requestId, Request storage r, bool accepted) private {
        emit Decided(requestId, r.jobId, accepted);
        if (accepted) jobs.complete(r.jobId, bytes32(requestId), "");
        else jobs.reject(r.jobId, bytes32(requestId), "");
    }

    function _request(uint256 requestId) private view returns (Request storage) {
        if (requestId == 0 || requestId > count) revert NoSuchRequest(requestId);
        return _requests[requestId];
    }
}
