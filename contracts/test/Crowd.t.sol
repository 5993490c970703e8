// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Crowd} from "../src/Crowd.sol";
import {Jobs} from "../src/Jobs.sol";
import {Base, Taker, vm} from "./Base.sol";

contract CrowdTest is Base {
    address constant WORKER = address(0x3023);
    uint256 request;
    uint256 ends;

    function setUp() public override {
        super.setUp();
        ends = block.timestamp + 1 days;
        request = crowd.ask(wanted());
        give(ALICE, 60, address(crowd));
        give(BOB, 30, address(crowd));
        give(CAROL, 10, address(crowd));
        give(WORKER, 50, address(jobs));
    }

    function wanted() internal view returns (Crowd.Ask memory) {
        return Crowd.Ask({
            evaluator: address(0),
            token: address(credit),
            goal: 100,
            bond: 50,
            fundingEnds: uint64(ends),
            workTime: 2 days,
            program: "program",
            inputs: "inputs",
            description: "a model that sings"
        });
    }

    function pay(address who, uint256 amount) internal {
        vm.prank(who);
        crowd.contribute(request, amount);
    }

    function launched() internal returns (uint256 jobId) {
        pay(ALICE, 60);
        pay(BOB, 30);
        pay(CAROL, 10);
        return crowd.launch(request);
    }

    function submitted() internal returns (uint256 jobId) {
        jobId = launched();
        vm.startPrank(WORKER);
        jobs.take(jobId, 0, "");
        jobs.submit(jobId, "song", "");
        vm.stopPrank();
    }

    function vote(address who, bool accept) internal {
        vm.prank(who);
        crowd.vote(request, accept);
    }

    function reclaim(address who) internal {
        vm.prank(who);
        crowd.reclaim(request);
    }

    function allReclaim(uint256 alice, uint256 bob, uint256 carol) internal {
        reclaim(ALICE);
        reclaim(BOB);
        reclaim(CAROL);
        vm.assertEq(credit.balanceOf(ALICE), alice);
        vm.assertEq(credit.balanceOf(BOB), bob);
        vm.assertEq(credit.balanceOf(CAROL), carol);
        vm.assertEq(credit.balanceOf(address(crowd)), 0);
        vm.prank(ALICE);
        vm.expectRevert(Crowd.NothingToDo.selector);
        crowd.reclaim(request);
    }

    function test_asks_that_make_no_sense_are_refused() public {
        Crowd.Ask memory a = wanted();
        a.token = address(0);
        vm.expectRevert(abi.encodeWithSelector(Crowd.InvalidAsk.selector, "token"));
        crowd.ask(a);
        a = wanted();
        a.goal = 0;
        vm.expectRevert(abi.encodeWithSelector(Crowd.InvalidAsk.selector, "goal"));
        crowd.ask(a);
        a = wanted();
        a.fundingEnds = uint64(block.timestamp);
        vm.expectRevert(abi.encodeWithSelector(Crowd.InvalidAsk.selector, "fundingEnds"));
        crowd.ask(a);
        a = wanted();
        a.workTime = 5 minutes;
        vm.expectRevert(abi.encodeWithSelector(Crowd.InvalidAsk.selector, "workTime"));
        crowd.ask(a);
        a.workTime = 366 days;
        vm.expectRevert(abi.encodeWithSelector(Crowd.InvalidAsk.selector, "workTime"));
        crowd.ask(a);
        vm.expectRevert(abi.encodeWithSelector(Crowd.NoSuchRequest.selector, 9));
        crowd.requestOf(9);
    }

    function test_a_request_launches_at_its_goal_and_once() public {
        pay(ALICE, 60);
        vm.expectRevert(Crowd.CannotLaunch.selector);
        crowd.launch(request);
        pay(BOB, 30);
        pay(CAROL, 10);
        uint256 jobId = crowd.launch(request);
        Jobs.Job memory job = jobs.getJob(jobId);
        vm.assertEq(job.client, address(crowd));
        vm.assertEq(job.evaluator, address(crowd));
        vm.assertEq(job.budget, 100);
        vm.assertEq(job.expiredAt, block.timestamp + 2 days);
        vm.assertEq(jobs.termsOf(jobId).bond, 50);
        vm.expectRevert(Crowd.CannotLaunch.selector);
        crowd.launch(request);
        vm.prank(ALICE);
        vm.expectRevert(Crowd.FundingOver.selector);
        crowd.contribute(request, 1);
    }

    function test_a_request_that_misses_its_goal_pays_back() public {
        pay(ALICE, 60);
        pay(BOB, 30);
        vm.prank(CAROL);
        vm.expectRevert(Crowd.NothingToDo.selector);
        crowd.contribute(request, 0);
        pay(CAROL, 5);
        vm.prank(ALICE);
        vm.expectRevert(Crowd.NotFailed.selector);
        crowd.reclaim(request);
        vm.warp(ends);
        vm.prank(CAROL);
        vm.expectRevert(Crowd.FundingOver.selector);
        crowd.contribute(request, 5);
        vm.expectRevert(Crowd.CannotLaunch.selector);
        crowd.launch(request);
        allReclaim(60, 30, 10);
    }

    /// Who paid may count on it that the money comes back when the time is over: nobody launches behind their back.
    function test_a_request_whose_time_is_over_is_not_launched_any_more() public {
        pay(ALICE, 60);
        pay(BOB, 30);
        pay(CAROL, 10);
        vm.warp(ends);
        vm.expectRevert(Crowd.CannotLaunch.selector);
        crowd.launch(request);
        allReclaim(60, 30, 10);
    }

    /// What a request counts as paid in, it holds: the last to reclaim would be short of it otherwise.
    function test_a_token_that_keeps_a_part_is_refused() public {
        Taker token = new Taker();
        token.mint(ALICE, 1000);
        Crowd.Ask memory a = wanted();
        a.token = address(token);
        request = crowd.ask(a);
        vm.startPrank(ALICE);
        token.approve(address(crowd), 1000);
        vm.expectRevert(Crowd.WrongTransfer.selector);
        crowd.contribute(request, 100);
        vm.stopPrank();
    }

    function test_most_of_the_money_accepts_at_once() public {
        uint256 jobId = submitted();
        vote(BOB, false);
        vm.assertEq(uint256(jobs.getJob(jobId).status), uint256(Jobs.JobStatus.Submitted));
        vote(ALICE, true);
        vm.assertEq(uint256(jobs.getJob(jobId).status), uint256(Jobs.JobStatus.Completed));
        vm.assertEq(credit.balanceOf(WORKER), 100);
        vm.prank(ALICE);
        vm.expectRevert(Crowd.NotFailed.selector);
        crowd.reclaim(request);
    }

    function test_most_of_the_money_rejects_and_shares_the_bond() public {
        submitted();
        vote(ALICE, false);
        allReclaim(60 + 30, 30 + 15, 10 + 5);
    }

    function test_half_of_the_money_is_not_most_of_it() public {
        pay(ALICE, 50);
        pay(BOB, 30);
        pay(CAROL, 10);
        vm.prank(ALICE);
        credit.transfer(BOB, 10);
        pay(BOB, 10);
        uint256 jobId = crowd.launch(request);
        vm.startPrank(WORKER);
        jobs.take(jobId, 0, "");
        jobs.submit(jobId, "song", "");
        vm.stopPrank();
        vote(ALICE, true);
        vm.assertEq(uint256(jobs.getJob(jobId).status), uint256(Jobs.JobStatus.Submitted));
        vote(BOB, false);
        vote(CAROL, false);
        vm.assertEq(uint256(jobs.getJob(jobId).status), uint256(Jobs.JobStatus.Submitted));
    }

    function test_votes_count_once_and_are_payers_only() public {
        uint256 jobId = launched();
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(Jobs.WrongStatus.selector, Jobs.JobStatus.Open));
        crowd.vote(request, true);
        vm.startPrank(WORKER);
        jobs.take(jobId, 0, "");
        jobs.submit(jobId, "song", "");
        vm.expectRevert(Crowd.NothingToDo.selector);
        crowd.vote(request, true);
        vm.stopPrank();
        vote(BOB, true);
        vm.prank(BOB);
        vm.expectRevert(Crowd.AlreadyVoted.selector);
        crowd.vote(request, true);
    }

    function decides(bool bob, bool carol, Jobs.JobStatus how) internal {
        uint256 jobId = submitted();
        vote(BOB, bob);
        vote(CAROL, carol);
        uint256 end = block.timestamp + crowd.REVIEW();
        vm.warp(end - 1);
        vm.expectRevert(abi.encodeWithSelector(Crowd.TooEarly.selector, end));
        crowd.decide(request);
        vm.warp(end);
        crowd.decide(request);
        vm.assertEq(uint256(jobs.getJob(jobId).status), uint256(how));
        vm.expectRevert(abi.encodeWithSelector(Jobs.WrongStatus.selector, how));
        crowd.decide(request);
    }

    function test_after_the_review_the_votes_cast_decide_for() public {
        decides(true, false, Jobs.JobStatus.Completed);
    }

    function test_after_the_review_the_votes_cast_decide_against() public {
        decides(false, true, Jobs.JobStatus.Rejected);
    }

    /// Even if the work came at the last moment, there is time to decide before it can be refunded.
    function test_silence_is_consent() public {
        uint256 jobId = launched();
        vm.prank(WORKER);
        jobs.take(jobId, 0, "");
        vm.warp(block.timestamp + 2 days - 1);
        vm.prank(WORKER);
        jobs.submit(jobId, "song", "");
        vm.warp(block.timestamp + crowd.REVIEW());
        vm.expectRevert();
        jobs.claimRefund(jobId);
        crowd.decide(request);
        vm.assertEq(uint256(jobs.getJob(jobId).status), uint256(Jobs.JobStatus.Completed));
    }

    function test_work_that_never_came_pays_back_with_the_bond() public {
        uint256 jobId = launched();
        vm.prank(WORKER);
        jobs.take(jobId, 0, "");
        vm.warp(block.timestamp + 2 days);
        jobs.claimRefund(jobId);
        allReclaim(90, 45, 15);
    }

    function test_a_job_nobody_took_pays_back() public {
        uint256 jobId = launched();
        vm.warp(block.timestamp + 2 days);
        jobs.claimRefund(jobId);
        allReclaim(60, 30, 10);
    }

    function test_a_named_evaluator_judges_alone() public {
        Crowd.Ask memory a = wanted();
        a.evaluator = MALLORY;
        request = crowd.ask(a);
        uint256 jobId = submitted();
        vm.prank(ALICE);
        vm.expectRevert(Crowd.NotJudge.selector);
        crowd.vote(request, false);
        vm.expectRevert(Crowd.NotJudge.selector);
        crowd.decide(request);
        vm.prank(MALLORY);
        jobs.reject(jobId, 0, "");
        allReclaim(90, 45, 15);
    }

    /// Bonds of two failed requests come from `Jobs` in one sum, and go to whom each belongs.
    function test_bonds_of_two_requests_are_not_mixed_up() public {
        submitted();
        vote(ALICE, false);
        uint256 first = request;
        request = crowd.ask(wanted());
        give(MALLORY, 100, address(crowd));
        pay(MALLORY, 100);
        uint256 jobId = crowd.launch(request);
        give(WORKER, 50, address(jobs));
        vm.startPrank(WORKER);
        jobs.take(jobId, 0, "");
        jobs.submit(jobId, "song", "");
        vm.stopPrank();
        vote(MALLORY, false);
        reclaim(MALLORY);
        vm.assertEq(credit.balanceOf(MALLORY), 150);
        request = first;
        allReclaim(90, 45, 15);
    }
}
