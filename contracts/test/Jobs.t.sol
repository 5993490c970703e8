// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IERC8183Hook} from "../src/IERC8183Hook.sol";
import {Jobs} from "../src/Jobs.sol";
import {Base, Taker, vm} from "./Base.sol";

/// A hook that keeps what it was told, refuses when asked to, and tries to come back in.
contract Hook is IERC8183Hook {
    bytes public heard;
    bytes4 public refuse;
    bytes public again;

    function set(bytes4 refuse_, bytes calldata again_) external {
        (refuse, again) = (refuse_, again_);
    }

    function beforeAction(uint256 jobId, bytes4 selector, bytes calldata data) external {
        require(selector != refuse, "refused");
        heard = bytes.concat(heard, abi.encode("before", jobId, selector, data));
        if (again.length != 0) {
            (bool ok,) = msg.sender.call(again);
            require(ok, "kept out");
        }
    }

    function afterAction(uint256 jobId, bytes4 selector, bytes calldata data) external {
        heard = bytes.concat(heard, abi.encode("after", jobId, selector, data));
    }

    function supportsInterface(bytes4 id) external pure returns (bool) {
        return id == type(IERC8183Hook).interfaceId || id == type(IERC165).interfaceId;
    }
}

contract JobsTest is Base {
    address constant CLIENT = ALICE;
    address constant WORKER = BOB;
    address constant JUDGE = CAROL;
    uint256 agentId;
    uint256 deadline;

    function setUp() public override {
        super.setUp();
        agentId = agentOf(WORKER);
        deadline = block.timestamp + 1 days;
        give(CLIENT, 1000, address(jobs));
        give(WORKER, 100, address(jobs));
    }

    function order() internal view returns (Jobs.Post memory) {
        return Jobs.Post({
            provider: address(0),
            evaluator: JUDGE,
            expiredAt: deadline,
            description: "job",
            hook: address(0),
            token: address(credit),
            price: 300,
            terms: Jobs.Terms("program", "inputs", 40)
        });
    }

    function posted() internal returns (uint256 jobId) {
        vm.prank(CLIENT);
        return jobs.postJob(order());
    }

    function taken() internal returns (uint256 jobId) {
        jobId = posted();
        vm.prank(WORKER);
        jobs.take(jobId, agentId, "");
    }

    function submitted() internal returns (uint256 jobId) {
        jobId = taken();
        vm.prank(WORKER);
        jobs.submit(jobId, "work", "");
    }

    function status(uint256 jobId) internal view returns (Jobs.JobStatus) {
        return jobs.getJob(jobId).status;
    }

    /// What client and worker have in the end, with what they may collect, and that nothing stays behind.
    function ends(uint256 jobId, Jobs.JobStatus how, uint256 client, uint256 worker) internal {
        vm.assertEq(uint256(status(jobId)), uint256(how));
        for (uint256 i = 0; i < 2; ++i) {
            address who = i == 0 ? CLIENT : WORKER;
            if (jobs.owed(address(credit), who) != 0) {
                vm.prank(who);
                jobs.collect(address(credit));
            }
        }
        vm.assertEq(credit.balanceOf(CLIENT), client);
        vm.assertEq(credit.balanceOf(WORKER), worker);
        vm.assertEq(credit.balanceOf(address(jobs)), 0);
        // It is over: nothing moves any more.
        bytes memory over = abi.encodeWithSelector(Jobs.WrongStatus.selector, how);
        vm.startPrank(JUDGE);
        vm.expectRevert(over);
        jobs.complete(jobId, 0, "");
        vm.expectRevert(over);
        jobs.reject(jobId, 0, "");
        vm.stopPrank();
        vm.expectRevert(over);
        jobs.claimRefund(jobId);
        vm.prank(WORKER);
        vm.expectRevert(over);
        jobs.submit(jobId, "again", "");
        vm.prank(WORKER);
        vm.expectRevert(over);
        jobs.take(jobId, 0, "");
        vm.prank(CLIENT);
        vm.expectRevert(over);
        jobs.fund(jobId, 300, "");
        vm.prank(WORKER);
        vm.expectRevert(Jobs.NothingToDo.selector);
        jobs.collect(address(credit));
    }

    // ---------------------------------------------------------------- how jobs end

    function test_good_work_is_paid_and_the_bond_returns() public {
        uint256 jobId = submitted();
        vm.assertEq(credit.balanceOf(address(jobs)), 340);
        vm.prank(JUDGE);
        jobs.complete(jobId, "good", "");
        ends(jobId, Jobs.JobStatus.Completed, 700, 400);
        vm.assertEq(jobs.paid(CLIENT, agentId), 300);
    }

    function test_bad_work_costs_the_bond() public {
        uint256 jobId = submitted();
        vm.prank(JUDGE);
        jobs.reject(jobId, "bad", "");
        ends(jobId, Jobs.JobStatus.Rejected, 1040, 60);
        vm.assertEq(jobs.paid(CLIENT, agentId), 0);
    }

    function test_work_that_never_came_costs_the_bond() public {
        uint256 jobId = taken();
        vm.expectRevert(abi.encodeWithSelector(Jobs.NotExpired.selector, deadline));
        jobs.claimRefund(jobId);
        vm.warp(deadline);
        vm.prank(WORKER);
        vm.expectRevert(Jobs.Expired.selector);
        jobs.submit(jobId, "late", "");
        vm.prank(MALLORY);
        jobs.claimRefund(jobId);
        ends(jobId, Jobs.JobStatus.Expired, 1040, 60);
    }

    function test_a_job_called_off_by_its_evaluator_returns_both() public {
        uint256 jobId = taken();
        vm.prank(CLIENT);
        vm.expectRevert(abi.encodeWithSelector(Jobs.Unauthorized.selector, CLIENT));
        jobs.reject(jobId, 0, "");
        vm.prank(JUDGE);
        jobs.reject(jobId, 0, "");
        ends(jobId, Jobs.JobStatus.Rejected, 1000, 100);
    }

    function test_work_that_nobody_judged_returns_both() public {
        vm.warp(block.timestamp + 1);
        uint256 jobId = taken();
        vm.warp(deadline - 1);
        vm.prank(WORKER);
        jobs.submit(jobId, "work", "");
        // The evaluator has its time though the deadline has passed.
        uint256 last = deadline - 1 + jobs.EVALUATION_TIME();
        vm.assertEq(jobs.refundableAt(jobId), last);
        vm.warp(last - 1);
        vm.expectRevert(abi.encodeWithSelector(Jobs.NotExpired.selector, last));
        jobs.claimRefund(jobId);
        vm.warp(last);
        jobs.claimRefund(jobId);
        ends(jobId, Jobs.JobStatus.Expired, 1000, 100);
    }

    function test_an_open_job_is_the_clients_to_call_off() public {
        uint256 jobId = posted();
        vm.prank(JUDGE);
        vm.expectRevert(abi.encodeWithSelector(Jobs.Unauthorized.selector, JUDGE));
        jobs.reject(jobId, 0, "");
        vm.prank(CLIENT);
        jobs.reject(jobId, 0, "");
        ends(jobId, Jobs.JobStatus.Rejected, 1000, 100);
    }

    function test_a_job_nobody_took_expires() public {
        uint256 jobId = posted();
        vm.warp(deadline);
        vm.prank(WORKER);
        vm.expectRevert(Jobs.Expired.selector);
        jobs.take(jobId, 0, "");
        jobs.claimRefund(jobId);
        ends(jobId, Jobs.JobStatus.Expired, 1000, 100);
    }

    // ---------------------------------------------------------------- the way of ERC-8183

    function created() internal returns (uint256 jobId) {
        vm.prank(CLIENT);
        return jobs.createJob(address(0), JUDGE, deadline, "job", address(0), 0);
    }

    function test_a_job_by_agreement() public {
        uint256 jobId = created();
        vm.startPrank(CLIENT);
        vm.expectRevert(Jobs.ProviderNotSet.selector);
        jobs.fund(jobId, 0, "");
        vm.expectRevert(Jobs.ProviderCannotBeEvaluator.selector);
        jobs.setProvider(jobId, JUDGE, 0);
        vm.expectRevert(Jobs.ZeroAddress.selector);
        jobs.setProvider(jobId, address(0), 0);
        jobs.setProvider(jobId, WORKER, agentId);
        vm.expectRevert(abi.encodeWithSelector(Jobs.WrongStatus.selector, Jobs.JobStatus.Open));
        jobs.setProvider(jobId, MALLORY, 0);
        vm.expectRevert(Jobs.ZeroBudget.selector);
        jobs.fund(jobId, 0, "");
        vm.expectRevert(Jobs.ZeroAddress.selector);
        jobs.setBudget(jobId, address(0), 200, "");
        jobs.setBudget(jobId, address(credit), 200, "");
        vm.stopPrank();
        vm.prank(WORKER);
        jobs.setBudget(jobId, address(credit), 250, ""); // A counter-offer…
        vm.startPrank(CLIENT);
        vm.expectRevert(abi.encodeWithSelector(Jobs.BudgetMismatch.selector, 250, 200));
        jobs.fund(jobId, 200, ""); // … cannot slip in.
        jobs.fund(jobId, 250, "");
        vm.expectRevert(abi.encodeWithSelector(Jobs.WrongStatus.selector, Jobs.JobStatus.Funded));
        jobs.setBudget(jobId, address(credit), 1, "");
        vm.stopPrank();
        vm.prank(WORKER);
        jobs.submit(jobId, "work", "");
        vm.prank(JUDGE);
        jobs.complete(jobId, 0, "");
        ends(jobId, Jobs.JobStatus.Completed, 750, 350);
        Jobs.Job memory job = jobs.getJob(jobId);
        vm.assertEq(job.id, jobId);
        vm.assertEq(job.client, CLIENT);
        vm.assertEq(job.provider, WORKER);
        vm.assertEq(job.evaluator, JUDGE);
        vm.assertEq(job.description, "job");
        vm.assertEq(job.budget, 250);
        vm.assertEq(job.expiredAt, deadline);
        vm.assertEq(job.paymentToken, address(credit));
        vm.assertEq(job.providerAgentId, agentId);
        vm.assertEq(job.submittedAt, block.timestamp);
        vm.assertEq(job.hook, address(0));
    }

    function test_a_job_that_is_not_funded_cannot_be_worked_or_judged() public {
        uint256 jobId = created();
        bytes memory open = abi.encodeWithSelector(Jobs.WrongStatus.selector, Jobs.JobStatus.Open);
        vm.prank(WORKER);
        vm.expectRevert(open);
        jobs.submit(jobId, 0, "");
        vm.prank(JUDGE);
        vm.expectRevert(open);
        jobs.complete(jobId, 0, "");
        vm.prank(WORKER);
        vm.expectRevert(Jobs.NotPosted.selector);
        jobs.take(jobId, 0, "");
        vm.warp(deadline);
        jobs.claimRefund(jobId); // There is nothing to refund.
        ends(jobId, Jobs.JobStatus.Expired, 1000, 100);
    }

    function test_a_job_is_not_funded_after_its_deadline() public {
        uint256 jobId = created();
        vm.startPrank(CLIENT);
        jobs.setProvider(jobId, WORKER, 0);
        jobs.setBudget(jobId, address(credit), 10, "");
        vm.warp(deadline);
        vm.expectRevert(Jobs.Expired.selector);
        jobs.fund(jobId, 10, "");
        vm.stopPrank();
    }

    function test_strangers_have_no_part_in_a_job() public {
        uint256 jobId = created();
        bytes memory refusal = abi.encodeWithSelector(Jobs.Unauthorized.selector, MALLORY);
        vm.startPrank(MALLORY);
        vm.expectRevert(refusal);
        jobs.setProvider(jobId, MALLORY, 0);
        vm.expectRevert(refusal);
        jobs.setBudget(jobId, address(credit), 1, "");
        vm.expectRevert(refusal);
        jobs.fund(jobId, 0, "");
        vm.expectRevert(refusal);
        jobs.reject(jobId, 0, "");
        vm.stopPrank();
        jobId = submitted();
        vm.startPrank(MALLORY);
        vm.expectRevert(refusal);
        jobs.complete(jobId, 0, "");
        vm.expectRevert(refusal);
        jobs.reject(jobId, 0, "");
        vm.stopPrank();
        jobId = taken();
        vm.prank(MALLORY);
        vm.expectRevert(refusal);
        jobs.submit(jobId, 0, "");
    }

    function test_jobs_that_make_no_sense_are_refused() public {
        vm.startPrank(CLIENT);
        vm.expectRevert(Jobs.ZeroAddress.selector);
        jobs.createJob(WORKER, address(0), deadline, "", address(0), 0);
        vm.expectRevert(Jobs.ProviderCannotBeEvaluator.selector);
        jobs.createJob(JUDGE, JUDGE, deadline, "", address(0), 0);
        vm.expectRevert(Jobs.ExpiryTooShort.selector);
        jobs.createJob(WORKER, JUDGE, block.timestamp + 5 minutes, "", address(0), 0);
        vm.expectRevert(Jobs.ExpiryTooShort.selector);
        jobs.createJob(WORKER, JUDGE, type(uint256).max, "", address(0), 0);
        vm.expectRevert(abi.encodeWithSelector(Jobs.InvalidHook.selector, MALLORY));
        jobs.createJob(WORKER, JUDGE, deadline, "", MALLORY, 0);
        vm.expectRevert(abi.encodeWithSelector(Jobs.InvalidHook.selector, address(credit)));
        jobs.createJob(WORKER, JUDGE, deadline, "", address(credit), 0);
        Jobs.Post memory post = order();
        post.price = 0;
        vm.expectRevert(Jobs.ZeroBudget.selector);
        jobs.postJob(post);
        post = order();
        post.token = address(0);
        vm.expectRevert(Jobs.ZeroAddress.selector);
        jobs.postJob(post);
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(Jobs.InvalidJob.selector, 0));
        jobs.getJob(0);
        vm.expectRevert(abi.encodeWithSelector(Jobs.InvalidJob.selector, 9));
        jobs.claimRefund(9);
    }

    // ---------------------------------------------------------------- posting and taking

    function test_a_posted_job_keeps_its_price_and_terms() public {
        uint256 jobId = posted();
        vm.startPrank(CLIENT);
        vm.expectRevert(Jobs.AlreadyEscrowed.selector);
        jobs.setBudget(jobId, address(credit), 1, "");
        jobs.setProvider(jobId, WORKER, 0);
        vm.expectRevert(Jobs.AlreadyEscrowed.selector);
        jobs.fund(jobId, 300, "");
        vm.stopPrank();
        Jobs.Terms memory terms = jobs.termsOf(jobId);
        vm.assertEq(terms.program, "program");
        vm.assertEq(terms.inputs, "inputs");
        vm.assertEq(terms.bond, 40);
        vm.prank(MALLORY);
        vm.expectRevert(abi.encodeWithSelector(Jobs.Unauthorized.selector, MALLORY));
        jobs.take(jobId, 0, "");
        vm.prank(WORKER);
        jobs.take(jobId, 0, "");
    }

    function test_taking_needs_the_bond_another_judge_and_an_agent_of_ones_own() public {
        uint256 jobId = posted();
        vm.prank(MALLORY);
        vm.expectRevert();
        jobs.take(jobId, 0, "");
        vm.prank(JUDGE);
        vm.expectRevert(Jobs.ProviderCannotBeEvaluator.selector);
        jobs.take(jobId, 0, "");
        vm.prank(MALLORY);
        vm.expectRevert(abi.encodeWithSelector(Jobs.NotAgent.selector, agentId, MALLORY));
        jobs.take(jobId, agentId, "");
        vm.prank(MALLORY);
        vm.expectRevert(abi.encodeWithSelector(Jobs.NotAgent.selector, 999, MALLORY));
        jobs.take(jobId, 999, "");
        vm.prank(WORKER);
        jobs.take(jobId, agentId, "");
        vm.prank(MALLORY);
        vm.expectRevert(abi.encodeWithSelector(Jobs.WrongStatus.selector, Jobs.JobStatus.Funded));
        jobs.take(jobId, 0, "");
    }

    function test_what_a_client_calls_an_agent_is_no_payment_to_it() public {
        // Mallory pays her own address and says that it is Bob's agent, or an agent that does not exist.
        for (uint256 i = 0; i < 2; ++i) {
            uint256 claimed = i == 0 ? agentId : 999;
            give(CLIENT, 10, address(jobs));
            vm.startPrank(CLIENT);
            uint256 jobId = jobs.createJob(MALLORY, JUDGE, deadline, "", address(0), claimed);
            jobs.setBudget(jobId, address(credit), 10, "");
            jobs.fund(jobId, 10, "");
            vm.stopPrank();
            vm.prank(MALLORY);
            jobs.submit(jobId, 0, "");
            vm.prank(JUDGE);
            jobs.complete(jobId, 0, "");
            vm.assertEq(jobs.paid(CLIENT, claimed), 0);
        }
    }

    /// Anyone can print a token of their own and pay with it.
    function test_payments_in_other_tokens_do_not_count_as_paid() public {
        Taker token = new Taker();
        token.mint(CLIENT, 50);
        vm.startPrank(CLIENT);
        token.approve(address(jobs), 50);
        uint256 jobId = jobs.createJob(WORKER, JUDGE, deadline, "", address(0), agentId);
        jobs.setBudget(jobId, address(token), 50, "");
        jobs.fund(jobId, 50, ""); // A hundredth of 50 rounds to nothing.
        vm.stopPrank();
        vm.prank(WORKER);
        jobs.submit(jobId, 0, "");
        vm.prank(JUDGE);
        jobs.complete(jobId, 0, "");
        vm.assertEq(token.balanceOf(WORKER), 50);
        vm.assertEq(jobs.paid(CLIENT, agentId), 0);
    }

    function test_a_token_that_keeps_a_part_is_refused() public {
        Taker token = new Taker();
        token.mint(CLIENT, 1000);
        vm.startPrank(CLIENT);
        token.approve(address(jobs), 1000);
        Jobs.Post memory post = order();
        post.token = address(token);
        vm.expectRevert(Jobs.WrongTransfer.selector);
        jobs.postJob(post);
        vm.stopPrank();
    }

    // ---------------------------------------------------------------- hooks

    function test_a_hook_hears_every_step_but_the_refund() public {
        Hook hook = new Hook();
        Jobs.Post memory post = order();
        post.hook = address(hook);
        vm.prank(CLIENT);
        uint256 jobId = jobs.postJob(post);
        bytes memory data = abi.encode(CLIENT, address(0), JUDGE);
        bytes memory all = abi.encode("after", jobId, Jobs.postJob.selector, data);
        vm.prank(WORKER);
        jobs.take(jobId, agentId, "p");
        all = both(all, jobId, Jobs.take.selector, abi.encode(WORKER, agentId, bytes("p")));
        vm.prank(WORKER);
        jobs.submit(jobId, "d", "q");
        all = both(all, jobId, Jobs.submit.selector, abi.encode(WORKER, bytes32("d"), bytes("q")));
        vm.prank(JUDGE);
        jobs.complete(jobId, "r", "s");
        all = both(all, jobId, Jobs.complete.selector, abi.encode(JUDGE, bytes32("r"), bytes("s")));
        vm.assertEq(hook.heard(), all);
    }

    function test_a_hook_hears_the_steps_of_an_agreement() public {
        Hook hook = new Hook();
        vm.startPrank(CLIENT);
        uint256 jobId = jobs.createJob(WORKER, JUDGE, deadline, "", address(hook), 0);
        bytes memory all = abi.encode("after", jobId, Jobs.createJob.selector, abi.encode(CLIENT, WORKER, JUDGE));
        jobs.setBudget(jobId, address(credit), 5, "a");
        all = both(all, jobId, Jobs.setBudget.selector, abi.encode(CLIENT, address(credit), 5, bytes("a")));
        jobs.fund(jobId, 5, "b");
        all = both(all, jobId, Jobs.fund.selector, abi.encode(CLIENT, bytes("b")));
        vm.stopPrank();
        vm.prank(JUDGE);
        jobs.reject(jobId, "r", "c");
        all = both(all, jobId, Jobs.reject.selector, abi.encode(JUDGE, bytes32("r"), bytes("c")));
        vm.assertEq(hook.heard(), all);
    }

    function both(bytes memory all, uint256 jobId, bytes4 selector, bytes memory data)
        internal
        pure
        returns (bytes memory)
    {
        return bytes.concat(all, abi.encode("before", jobId, selector, data), abi.encode("after", jobId, selector, data));
    }

    function test_a_hook_may_stop_a_step_but_not_the_refund() public {
        Hook hook = new Hook();
        Jobs.Post memory post = order();
        post.hook = address(hook);
        vm.prank(CLIENT);
        uint256 jobId = jobs.postJob(post);
        hook.set(Jobs.take.selector, "");
        vm.prank(WORKER);
        vm.expectRevert("refused");
        jobs.take(jobId, 0, "");
        hook.set(Jobs.claimRefund.selector, "");
        vm.warp(deadline);
        jobs.claimRefund(jobId);
        ends(jobId, Jobs.JobStatus.Expired, 1000, 100);
    }

    function test_a_hook_cannot_come_back_in() public {
        Hook hook = new Hook();
        Jobs.Post memory post = order();
        post.hook = address(hook);
        post.evaluator = address(hook);
        vm.prank(CLIENT);
        uint256 jobId = jobs.postJob(post);
        vm.prank(WORKER);
        jobs.take(jobId, 0, "");
        hook.set(0, abi.encodeCall(jobs.reject, (jobId, 0, "")));
        vm.prank(WORKER);
        vm.expectRevert("kept out");
        jobs.submit(jobId, 0, "");
    }
}
