// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {ERC165Checker} from "@openzeppelin/contracts/utils/introspection/ERC165Checker.sol";
import {Agents} from "./Agents.sol";
import {IERC8183Hook} from "./IERC8183Hook.sol";

/// @title Work for money: the job escrow of ERC-8183, and compute jobs that any agent may take.
/// @notice A client's money waits here until an evaluator, whom both sides accepted, says whether the work was done. A
/// job comes about in one of two ways, and is then the same thing:
///
/// - as in ERC-8183: `createJob`, `setProvider`, `setBudget`, and `fund` once both have agreed;
/// - as a compute job: `postJob` names program, inputs, price, deadline and bond, and escrows the price at once; `take`
///   is the first agent's that puts up the bond.
///
/// The provider then `submit`s, and the evaluator `complete`s or `reject`s. What the evaluator is, a person, the client,
/// a contract that checks the work, or a crowd of payers (`Crowd`), is its own affair.
///
/// @dev Invariant: for every token, what is held equals the escrows and bonds of jobs that are not over, plus what is
/// owed. Every job that is over has paid out its price and bond once, to whom `settlement` says. Whatever an evaluator,
/// a provider or a hook does or fails to do, `claimRefund` ends a funded job some time after its deadline.
///
/// A price is transferred when a job ends, as the standard demands; bonds, and what a token refuses to transfer to
/// another side, never stand in its way: they are owed and collected. Nobody rules here: no fee, no list of allowed hooks.
contract Jobs is ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    enum JobStatus {
        Open,
        Funded,
        Submitted,
        Completed,
        Rejected,
        Expired
    }

    /// @notice A job as ERC-8183's reference gives it.
    struct Job {
        uint256 id;
        address client;
        address provider;
        address evaluator;
        string description;
        uint256 budget;
        uint256 expiredAt;
        JobStatus status;
        address hook;
        address paymentToken;
        uint256 providerAgentId;
        uint256 submittedAt;
    }

    /// @notice What a compute job is about, by hashes, and what its provider puts up.
    struct Terms {
        bytes32 program;
        bytes32 inputs;
        uint256 bond;
    }

    /// @notice A compute job to post.
    struct Post {
        /// Who may take it, or zero for anyone.
        address provider;
        address evaluator;
        uint256 expiredAt;
        string description;
        address hook;
        address token;
        uint256 price;
        Terms terms;
    }

    /// @dev What is stored: the fields of `Job`, packed, and the terms.
    struct Record {
        address client;
        uint48 expiredAt;
        uint48 submittedAt;
        address provider;
        JobStatus status;
        /// The price is here.
        bool escrowed;
        /// The bond is, or was, here.
        bool taken;
        address evaluator;
        address hook;
        address token;
        uint256 budget;
        uint256 agentId;
        string description;
        Terms terms;
    }

    event JobCreated(
        uint256 indexed jobId,
        address indexed client,
        address indexed provider,
        address evaluator,
        uint256 expiredAt,
        address hook
    );
    event ProviderSet(uint256 indexed jobId, address indexed provider, uint256 agentId);
    event BudgetSet(uint256 indexed jobId, address indexed token, uint256 amount);
    event JobFunded(uint256 indexed jobId, address indexed client, uint256 amount);
    event JobSubmitted(uint256 indexed jobId, address indexed provider, bytes32 deliverable);
    event JobCompleted(uint256 indexed jobId, address indexed evaluator, bytes32 reason);
    event JobRejected(uint256 indexed jobId, address indexed rejector, bytes32 reason);
    event JobExpired(uint256 indexed jobId);
    event PaymentReleased(uint256 indexed jobId, address indexed provider, uint256 amount);
    event Refunded(uint256 indexed jobId, address indexed client, uint256 amount);
    /// @notice A compute job is open, its price in escrow.
    event JobPosted(uint256 indexed jobId, bytes32 indexed program, bytes32 indexed inputs, uint256 bond, string description);
    /// @notice The provider's bond came in.
    event BondPosted(uint256 indexed jobId, address indexed provider, uint256 amount);
    /// @notice The bond went back to the provider, or to the client, to be collected.
    event BondReleased(uint256 indexed jobId, address indexed to, uint256 amount);
    event Collected(address indexed token, address indexed who, uint256 amount);

    error InvalidJob(uint256 jobId);
    error WrongStatus(JobStatus status);
    error Unauthorized(address caller);
    error ZeroAddress();
    /// @notice The hook must answer to `IERC8183Hook` (ERC-165).
    error InvalidHook(address hook);
    error ExpiryTooShort();
    /// @notice The job's time is over.
    error Expired();
    /// @notice The job can be ended so at `time`, and not before.
    error NotExpired(uint256 time);
    error ZeroBudget();
    error ProviderNotSet();
    error BudgetMismatch(uint256 budget, uint256 expected);
    error ProviderCannotBeEvaluator();
    /// @notice The price is in escrow since the job was posted: it is taken, not funded, and its price stands.
    error AlreadyEscrowed();
    error NotPosted();
    /// @notice The caller does not act for that agent.
    error NotAgent(uint256 agentId, address caller);
    /// @notice The token moved another amount than it was told to; such tokens cannot be held in escrow.
    error WrongTransfer();
    error NothingToDo();

    /// @notice The least time from a job's creation to its deadline.
    uint256 public constant SHORTEST = 5 minutes;
    /// @notice How long an evaluator has after a submission, whatever the deadline.
    uint256 public constant EVALUATION_TIME = 1 days;
    /// @notice The gas that each call of a hook gets.
    uint256 public constant HOOK_GAS = 1_000_000;

    /// @notice Payments in this token count as paid, since it cannot be made from nothing.
    address public immutable credit;
    Agents public immutable agents;

    uint256 public jobCounter;
    /// @notice What an account may collect: bonds that came back to it.
    mapping(address token => mapping(address who => uint256)) public owed;
    /// @notice How many credits a client has paid an agent for completed jobs.
    mapping(address client => mapping(uint256 agentId => uint256)) public paid;
    mapping(uint256 jobId => Record) private _jobs;

    constructor(address credit_, Agents agents_) {
        credit = credit_;
        agents = agents_;
    }

    // ---------------------------------------------------------------- a job comes about

    /// @notice Creates a job with no price yet; the caller is its client. The provider may be set later.
    function createJob(
        address provider,
        address evaluator,
        uint256 expiredAt,
        string calldata description,
        address hook,
        uint256 providerAgentId
    ) external nonReentrant returns (uint256 jobId) {
        jobId = _create(provider, evaluator, expiredAt, description, hook);
        if (provider != address(0)) _jobs[jobId].agentId = providerAgentId;
        _after(hook, jobId, abi.encode(msg.sender, provider, evaluator));
    }

    /// @notice Sets the provider of a job that has none.
    function setProvider(uint256 jobId, address provider, uint256 agentId) external nonReentrant {
        Record storage job = _job(jobId);
        _require(job, JobStatus.Open);
        if (msg.sender != job.client) revert Unauthorized(msg.sender);
        if (job.provider != address(0)) revert WrongStatus(job.status);
        if (provider == address(0)) revert ZeroAddress();
        if (provider == job.evaluator) revert ProviderCannotBeEvaluator();
        job.provider = provider;
        job.agentId = agentId;
        emit ProviderSet(jobId, provider, agentId);
    }

    /// @notice Sets what the job pays, as either side may while the job is open.
    function setBudget(uint256 jobId, address token, uint256 amount, bytes calldata optParams) external nonReentrant {
        Record storage job = _job(jobId);
        _require(job, JobStatus.Open);
        if (msg.sender != job.client && msg.sender != job.provider) revert Unauthorized(msg.sender);
        if (job.escrowed) revert AlreadyEscrowed();
        if (token == address(0)) revert ZeroAddress();
        bytes memory data = abi.encode(msg.sender, token, amount, optParams);
        _before(job.hook, jobId, data);
        job.token = token;
        job.budget = amount;
        emit BudgetSet(jobId, token, amount);
        _after(job.hook, jobId, data);
    }

    /// @notice Puts the price in escrow. `expectedBudget` keeps the provider from changing it on the way.
    function fund(uint256 jobId, uint256 expectedBudget, bytes calldata optParams) external nonReentrant {
        Record storage job = _job(jobId);
        _require(job, JobStatus.Open);
        if (msg.sender != job.client) revert Unauthorized(msg.sender);
        if (job.escrowed) revert AlreadyEscrowed();
        if (job.provider == address(0)) revert ProviderNotSet();
        if (job.budget != expectedBudget) revert BudgetMismatch(job.budget, expectedBudget);
        if (expectedBudget == 0) revert ZeroBudget();
        if (block.timestamp >= job.expiredAt) revert Expired();
        bytes memory data = abi.encode(msg.sender, optParams);
        _before(job.hook, jobId, data);
        job.status = JobStatus.Funded;
        job.escrowed = true;
        emit JobFunded(jobId, msg.sender, expectedBudget);
        _pull(job.token, expectedBudget);
        _after(job.hook, jobId, data);
    }

    /// @notice Posts a compute job and puts its price in escrow. Read a stranger's hook before you take its job.
    function postJob(Post calldata post) external nonReentrant returns (uint256 jobId) {
        if (post.token == address(0)) revert ZeroAddress();
        if (post.price == 0) revert ZeroBudget();
        jobId = _create(post.provider, post.evaluator, post.expiredAt, post.description, post.hook);
        Record storage job = _jobs[jobId];
        job.token = post.token;
        job.budget = post.price;
        job.escrowed = true;
        job.terms = post.terms;
        emit BudgetSet(jobId, post.token, post.price);
        emit JobPosted(jobId, post.terms.program, post.terms.inputs, post.terms.bond, post.description);
        _pull(post.token, post.price);
        _after(post.hook, jobId, abi.encode(msg.sender, post.provider, post.evaluator));
    }

    /// @notice Takes a posted job, for an agent or (zero) for nobody known, and puts up its bond.
    function take(uint256 jobId, uint256 agentId, bytes calldata optParams) external nonReentrant {
        Record storage job = _job(jobId);
        _require(job, JobStatus.Open);
        if (!job.escrowed) revert NotPosted();
        if (job.provider != address(0) && job.provider != msg.sender) revert Unauthorized(msg.sender);
        if (msg.sender == job.evaluator) revert ProviderCannotBeEvaluator();
        if (agentId != 0 && !_actsFor(msg.sender, agentId)) revert NotAgent(agentId, msg.sender);
        if (block.timestamp >= job.expiredAt) revert Expired();
        bytes memory data = abi.encode(msg.sender, agentId, optParams);
        _before(job.hook, jobId, data);
        job.provider = msg.sender;
        job.agentId = agentId;
        job.status = JobStatus.Funded;
        job.taken = true;
        emit ProviderSet(jobId, msg.sender, agentId);
        emit JobFunded(jobId, job.client, job.budget);
        uint256 bond = job.terms.bond;
        if (bond != 0) {
            emit BondPosted(jobId, msg.sender, bond);
            _pull(job.token, bond);
        }
        _after(job.hook, jobId, data);
    }

    // ---------------------------------------------------------------- a job is done

    /// @notice Says that the work is done; `deliverable` is its hash.
    function submit(uint256 jobId, bytes32 deliverable, bytes calldata optParams) external nonReentrant {
        Record storage job = _job(jobId);
        _require(job, JobStatus.Funded);
        if (msg.sender != job.provider) revert Unauthorized(msg.sender);
        if (block.timestamp >= job.expiredAt) revert Expired();
        bytes memory data = abi.encode(msg.sender, deliverable, optParams);
        _before(job.hook, jobId, data);
        job.status = JobStatus.Submitted;
        job.submittedAt = uint48(block.timestamp);
        emit JobSubmitted(jobId, msg.sender, deliverable);
        _after(job.hook, jobId, data);
    }

    /// @notice Accepts the work: the provider is paid. Only the evaluator may.
    function complete(uint256 jobId, bytes32 reason, bytes calldata optParams) external nonReentrant {
        Record storage job = _job(jobId);
        _require(job, JobStatus.Submitted);
        if (msg.sender != job.evaluator) revert Unauthorized(msg.sender);
        bytes memory data = abi.encode(msg.sender, reason, optParams);
        _before(job.hook, jobId, data);
        job.status = JobStatus.Completed;
        // An agent's name is the client's word until here; only its own doing counts as its work.
        if (job.token == credit && job.agentId != 0 && _actsFor(job.provider, job.agentId)) {
            paid[job.client][job.agentId] += job.budget;
        }
        emit JobCompleted(jobId, msg.sender, reason);
        _payOut(jobId, job);
        _after(job.hook, jobId, data);
    }

    /// @notice Ends the job with a refund: the client may while it is open, then only the evaluator.
    function reject(uint256 jobId, bytes32 reason, bytes calldata optParams) external nonReentrant {
        Record storage job = _job(jobId);
        if (job.status > JobStatus.Submitted) revert WrongStatus(job.status);
        if (msg.sender != (job.status == JobStatus.Open ? job.client : job.evaluator)) revert Unauthorized(msg.sender);
        bytes memory data = abi.encode(msg.sender, reason, optParams);
        _before(job.hook, jobId, data);
        job.status = JobStatus.Rejected;
        emit JobRejected(jobId, msg.sender, reason);
        _payOut(jobId, job);
        _after(job.hook, jobId, data);
    }

    /// @notice Ends a job whose time is over with a refund. Anyone may, and no hook is asked.
    function claimRefund(uint256 jobId) external nonReentrant {
        Record storage job = _job(jobId);
        if (job.status > JobStatus.Submitted) revert WrongStatus(job.status);
        uint256 time = refundableAt(jobId);
        if (block.timestamp < time) revert NotExpired(time);
        job.status = JobStatus.Expired;
        emit JobExpired(jobId);
        _payOut(jobId, job);
    }

    /// @notice Pays the caller the bonds that came back to it.
    function collect(address token) external nonReentrant {
        uint256 amount = owed[token][msg.sender];
        if (amount == 0) revert NothingToDo();
        owed[token][msg.sender] = 0;
        emit Collected(token, msg.sender, amount);
        IERC20(token).safeTransfer(msg.sender, amount);
    }

    // ---------------------------------------------------------------- to read

    function getJob(uint256 jobId) external view returns (Job memory) {
        Record storage job = _job(jobId);
        return Job({
            id: jobId,
            client: job.client,
            provider: job.provider,
            evaluator: job.evaluator,
            description: job.description,
            budget: job.budget,
            expiredAt: job.expiredAt,
            status: job.status,
            hook: job.hook,
            paymentToken: job.token,
            providerAgentId: job.agentId,
            submittedAt: job.submittedAt
        });
    }

    /// @notice What a compute job is about; zeros for another job.
    function termsOf(uint256 jobId) external view returns (Terms memory) {
        return _job(jobId).terms;
    }

    /// @notice When `claimRefund` may end the job, should nothing else happen.
    function refundableAt(uint256 jobId) public view returns (uint256 time) {
        Record storage job = _job(jobId);
        time = job.expiredAt;
        if (job.submittedAt != 0 && job.submittedAt + EVALUATION_TIME > time) time = job.submittedAt + EVALUATION_TIME;
    }

    /// @notice What client and provider get out of a job that is over, of what was in escrow.
    /// @dev The bond is the client's if work was judged bad, or was promised and never came. A provider who submitted
    /// and whom nobody judged gets its bond back.
    function settlement(uint256 jobId)
        public
        view
        returns (uint256 priceToClient, uint256 priceToProvider, uint256 bondToClient, uint256 bondToProvider)
    {
        Record storage job = _job(jobId);
        JobStatus status = job.status;
        if (status <= JobStatus.Submitted) revert WrongStatus(status);
        uint256 price = job.escrowed ? job.budget : 0;
        uint256 bond = job.taken ? job.terms.bond : 0;
        bool submitted = job.submittedAt != 0;
        if (status == JobStatus.Completed) return (0, price, 0, bond);
        bool forfeit = status == JobStatus.Rejected ? submitted : !submitted;
        return forfeit ? (price, uint256(0), bond, uint256(0)) : (price, uint256(0), uint256(0), bond);
    }

    // ---------------------------------------------------------------- inside

    function _create(
        address provider,
        address evaluator,
        uint256 expiredAt,
        string calldata description,
        address hook
    ) private returns (uint256 jobId) {
        if (evaluator == address(0)) revert ZeroAddress();
        if (evaluator == provider) revert ProviderCannotBeEvaluator();
        if (expiredAt <= block.timestamp + SHORTEST || expiredAt > type(uint48).max) revert ExpiryTooShort();
        if (hook != address(0) && !ERC165Checker.supportsInterface(hook, type(IERC8183Hook).interfaceId)) {
            revert InvalidHook(hook);
        }
        jobId = ++jobCounter;
        Record storage job = _jobs[jobId];
        job.client = msg.sender;
        job.expiredAt = uint48(expiredAt);
        job.provider = provider;
        job.evaluator = evaluator;
        job.hook = hook;
        job.description = description;
        emit JobCreated(jobId, msg.sender, provider, evaluator, expiredAt, hook);
    }

    function _payOut(uint256 jobId, Record storage job) private {
        (uint256 priceToClient, uint256 priceToProvider, uint256 bondToClient, uint256 bondToProvider) =
            settlement(jobId);
        address token = job.token;
        address client = job.client;
        address provider = job.provider;
        if (bondToClient + bondToProvider != 0) {
            address to = bondToClient != 0 ? client : provider;
            owed[token][to] += bondToClient + bondToProvider;
            emit BondReleased(jobId, to, bondToClient + bondToProvider);
        }
        if (priceToClient != 0) {
            emit Refunded(jobId, client, priceToClient);
            IERC20(token).safeTransfer(client, priceToClient);
        }
        if (priceToProvider != 0) {
            emit PaymentReleased(jobId, provider, priceToProvider);
            IERC20(token).safeTransfer(provider, priceToProvider);
        }
    }

    function _pull(address token, uint256 amount) private {
        uint256 had = IERC20(token).balanceOf(address(this));
        IERC20(token).safeTransferFrom(msg.sender, address(this), amount);
        if (IERC20(token).balanceOf(address(this)) - had != amount) revert WrongTransfer();
    }

    /// @dev False, not an error, for an agent that does not exist: its name is the client's word.
    function _actsFor(address who, uint256 agentId) private view returns (bool) {
        try agents.isAuthorizedOrOwner(who, agentId) returns (bool acts) {
            return acts || agents.getAgentWallet(agentId) == who;
        } catch {
            return false;
        }
    }

    function _before(address hook, uint256 jobId, bytes memory data) private {
        if (hook != address(0)) IERC8183Hook(hook).beforeAction{gas: HOOK_GAS}(jobId, msg.sig, data);
    }

    function _after(address hook, uint256 jobId, bytes memory data) private {
        if (hook != address(0)) IERC8183Hook(hook).afterAction{gas: HOOK_GAS}(jobId, msg.sig, data);
    }

    function _require(Record storage job, JobStatus needed) private view {
        if (job.status != needed) revert WrongStatus(job.status);
    }

    function _job(uint256 jobId) private view returns (Record storage) {
        if (jobId == 0 || jobId > jobCounter) revert InvalidJob(jobId);
        return _jobs[jobId];
    }
}
