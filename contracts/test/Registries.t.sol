// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Jobs} from "../src/Jobs.sol";
import {Reputation} from "../src/Reputation.sol";
import {Validation} from "../src/Validation.sol";
import {Base, vm} from "./Base.sol";

contract ReputationTest is Base {
    uint256 agentId;

    function setUp() public override {
        super.setUp();
        agentId = agentOf(ALICE);
    }

    function say(address who, int128 value, uint8 decimals, string memory tag) internal {
        vm.prank(who);
        reputation.giveFeedback(agentId, value, decimals, tag, "", "", "", 0);
    }

    /// `who` has a job done by the agent and pays for it in credits.
    function buys(address who, uint256 price) internal {
        give(who, price, address(jobs));
        vm.startPrank(who);
        uint256 jobId = jobs.createJob(ALICE, who, block.timestamp + 1 days, "", address(0), agentId);
        jobs.setBudget(jobId, address(credit), price, "");
        jobs.fund(jobId, price, "");
        vm.stopPrank();
        vm.prank(ALICE);
        jobs.submit(jobId, 0, "");
        vm.prank(who);
        jobs.complete(jobId, 0, "");
    }

    function test_only_who_paid_is_heard() public {
        for (uint160 i = 1; i <= 20; ++i) {
            say(address(i), 100, 0, "starred"); // Twenty voices for nothing.
        }
        buys(BOB, 70);
        buys(CAROL, 30);
        say(BOB, 40, 0, "starred");
        say(BOB, 50, 0, "other");
        say(CAROL, 20, 0, "starred");
        (uint64 count, int128 value, uint8 decimals, uint256 volume) =
            reputation.getPaidSummary(agentId, "starred", "", 0, 100);
        vm.assertEq(count, 2);
        vm.assertEq(value, 30);
        vm.assertEq(decimals, 0);
        vm.assertEq(volume, 100);
        // A window over the clients, for agents that have many.
        (count, value,, volume) = reputation.getPaidSummary(agentId, "starred", "", 20, 1);
        vm.assertEq(count, 1);
        vm.assertEq(value, 40);
        vm.assertEq(volume, 70);
        (count,,, volume) = reputation.getPaidSummary(agentId, "unheard of", "", 0, 100);
        vm.assertEq(count, 0);
        vm.assertEq(volume, 0);
    }

    function test_nobody_reviews_an_agent_of_its_own() public {
        vm.prank(ALICE);
        agents.approve(BOB, agentId);
        vm.prank(ALICE);
        vm.expectRevert(Reputation.SelfFeedback.selector);
        reputation.giveFeedback(agentId, 1, 0, "", "", "", "", 0);
        vm.prank(BOB);
        vm.expectRevert(Reputation.SelfFeedback.selector);
        reputation.giveFeedback(agentId, 1, 0, "", "", "", "", 0);
        vm.expectRevert();
        reputation.giveFeedback(999, 1, 0, "", "", "", "", 0);
    }

    function test_feedback_out_of_bounds_is_refused() public {
        vm.expectRevert(abi.encodeWithSelector(Reputation.TooManyDecimals.selector, 19));
        reputation.giveFeedback(agentId, 1, 19, "", "", "", "", 0);
        vm.expectRevert(abi.encodeWithSelector(Reputation.ValueTooLarge.selector, int128(1e38 + 1)));
        reputation.giveFeedback(agentId, 1e38 + 1, 0, "", "", "", "", 0);
        vm.expectRevert(abi.encodeWithSelector(Reputation.ValueTooLarge.selector, int128(-1e38 - 1)));
        reputation.giveFeedback(agentId, -1e38 - 1, 0, "", "", "", "", 0);
        vm.expectRevert(Reputation.ClientsRequired.selector);
        reputation.getSummary(agentId, new address[](0), "", "");
    }

    function clients(address a, address b) internal pure returns (address[] memory list) {
        list = new address[](2);
        (list[0], list[1]) = (a, b);
    }

    function test_averages_over_different_decimals() public {
        say(BOB, 9977, 2, "uptime");
        say(CAROL, 98, 0, "uptime");
        say(CAROL, 9900, 2, "uptime");
        say(CAROL, 1, 0, "other");
        (uint64 count, int128 value, uint8 decimals) =
            reputation.getSummary(agentId, clients(BOB, CAROL), "uptime", "");
        vm.assertEq(count, 3);
        vm.assertEq(decimals, 2);
        vm.assertEq(value, 9892); // (99.77 + 98 + 99) / 3
    }

    function test_both_tags_are_asked_for() public {
        vm.startPrank(BOB);
        reputation.giveFeedback(agentId, 10, 0, "uptime", "june", "", "", 0);
        reputation.giveFeedback(agentId, 20, 0, "uptime", "july", "", "", 0);
        reputation.giveFeedback(agentId, 30, 0, "speed", "july", "", "", 0);
        vm.stopPrank();
        (uint64 count, int128 value,) = reputation.getSummary(agentId, clients(BOB, CAROL), "uptime", "july");
        vm.assertEq(count, 1);
        vm.assertEq(value, 20);
        (count, value,) = reputation.getSummary(agentId, clients(BOB, CAROL), "", "july");
        vm.assertEq(count, 2);
        vm.assertEq(value, 25);
    }

    function testFuzz_an_average_lies_between_least_and_greatest(int128 a, int128 b, uint8 d) public {
        vm.assume(a >= -1e38 && a <= 1e38 && b >= -1e38 && b <= 1e38);
        d = d % 19;
        say(BOB, a, d, "");
        say(CAROL, b, d, "");
        (uint64 count, int128 value, uint8 decimals) = reputation.getSummary(agentId, clients(BOB, CAROL), "", "");
        vm.assertEq(count, 2);
        vm.assertEq(decimals, d);
        vm.assertTrue(value >= (a < b ? a : b) && value <= (a < b ? b : a));
    }

    function test_revoked_feedback_is_not_counted() public {
        say(BOB, 10, 0, "");
        say(BOB, 20, 0, "");
        vm.startPrank(BOB);
        vm.expectRevert(abi.encodeWithSelector(Reputation.NoSuchFeedback.selector, 0));
        reputation.revokeFeedback(agentId, 0);
        vm.expectRevert(abi.encodeWithSelector(Reputation.NoSuchFeedback.selector, 3));
        reputation.revokeFeedback(agentId, 3);
        reputation.revokeFeedback(agentId, 1);
        vm.expectRevert(Reputation.AlreadyRevoked.selector);
        reputation.revokeFeedback(agentId, 1);
        vm.stopPrank();
        (uint64 count, int128 value,) = reputation.getSummary(agentId, clients(BOB, CAROL), "", "");
        vm.assertEq(count, 1);
        vm.assertEq(value, 20);
        (,,,, bool revoked) = reputation.readFeedback(agentId, BOB, 1);
        vm.assertTrue(revoked);
        (address[] memory who, uint64[] memory indexes, int128[] memory values,,,,) =
            reputation.readAllFeedback(agentId, new address[](0), "", "", false);
        vm.assertEq(who.length, 1);
        vm.assertEq(who[0], BOB);
        vm.assertEq(indexes[0], 2);
        vm.assertEq(values[0], 20);
        (who,,,,,,) = reputation.readAllFeedback(agentId, new address[](0), "", "", true);
        vm.assertEq(who.length, 2);
        vm.assertEq(reputation.getLastIndex(agentId, BOB), 2);
        vm.assertEq(reputation.getClients(agentId).length, 1);
        vm.assertEq(reputation.getIdentityRegistry(), address(agents));
    }

    function test_anyone_answers() public {
        say(BOB, 10, 0, "");
        vm.expectRevert(Reputation.EmptyURI.selector);
        reputation.appendResponse(agentId, BOB, 1, "", 0);
        vm.expectRevert(abi.encodeWithSelector(Reputation.NoSuchFeedback.selector, 2));
        reputation.appendResponse(agentId, BOB, 2, "x", 0);
        vm.startPrank(ALICE);
        reputation.appendResponse(agentId, BOB, 1, "x", 0);
        reputation.appendResponse(agentId, BOB, 1, "y", 0);
        vm.stopPrank();
        vm.prank(MALLORY);
        reputation.appendResponse(agentId, BOB, 1, "z", 0);
        vm.assertEq(reputation.getResponseCount(agentId, BOB, 1, new address[](0)), 3);
        vm.assertEq(reputation.getResponseCount(agentId, BOB, 0, new address[](0)), 3);
        vm.assertEq(reputation.getResponseCount(agentId, address(0), 0, clients(ALICE, CAROL)), 2);
    }
}

contract ValidationTest is Base {
    address constant JUDGE = address(0x1D6E);
    uint256 agentId;

    function setUp() public override {
        super.setUp();
        agentId = agentOf(ALICE);
        vm.prank(ALICE);
        validation.validationRequest(JUDGE, agentId, "uri", "request");
    }

    function answer(bytes32 request, uint8 response, string memory tag) internal {
        vm.prank(JUDGE);
        validation.validationResponse(request, response, "", "hash", tag);
    }

    function test_only_the_agents_side_asks_and_only_whom_it_asked_answers() public {
        vm.prank(MALLORY);
        vm.expectRevert(abi.encodeWithSelector(Validation.NotAuthorized.selector, agentId, MALLORY));
        validation.validationRequest(JUDGE, agentId, "", "another");
        vm.startPrank(ALICE);
        vm.expectRevert(Validation.InvalidValidator.selector);
        validation.validationRequest(address(0), agentId, "", "another");
        vm.expectRevert(abi.encodeWithSelector(Validation.RequestExists.selector, bytes32("request")));
        validation.validationRequest(MALLORY, agentId, "", "request");
        vm.expectRevert(abi.encodeWithSelector(Validation.NotValidator.selector, ALICE));
        validation.validationResponse("request", 100, "", 0, "");
        vm.expectRevert(abi.encodeWithSelector(Validation.UnknownRequest.selector, bytes32("none")));
        validation.validationResponse("none", 100, "", 0, "");
        vm.stopPrank();
        vm.prank(JUDGE);
        vm.expectRevert(abi.encodeWithSelector(Validation.ResponseTooLarge.selector, 101));
        validation.validationResponse("request", 101, "", 0, "");
    }

    function test_a_later_answer_takes_the_place_of_an_earlier() public {
        answer("request", 20, "soft");
        vm.warp(block.timestamp + 5);
        answer("request", 100, "hard");
        (address who, uint256 agent, uint8 response, bytes32 hash, string memory tag, uint256 at_) =
            validation.getValidationStatus("request");
        vm.assertEq(who, JUDGE);
        vm.assertEq(agent, agentId);
        vm.assertEq(response, 100);
        vm.assertEq(hash, bytes32("hash"));
        vm.assertEq(tag, "hard");
        vm.assertEq(at_, block.timestamp);
    }

    function test_a_summary_counts_answers_of_given_validators_and_tags() public {
        vm.startPrank(ALICE);
        validation.validationRequest(JUDGE, agentId, "", "second");
        validation.validationRequest(MALLORY, agentId, "", "third");
        validation.validationRequest(JUDGE, agentId, "", "unanswered");
        vm.stopPrank();
        answer("request", 80, "a");
        answer("second", 41, "b");
        vm.prank(MALLORY);
        validation.validationResponse("third", 0, "", 0, "a");
        address[] memory judges = new address[](1);
        judges[0] = JUDGE;
        (uint64 count, uint8 average) = validation.getSummary(agentId, judges, "");
        vm.assertEq(count, 2);
        vm.assertEq(average, 60);
        (count, average) = validation.getSummary(agentId, new address[](0), "a");
        vm.assertEq(count, 2);
        vm.assertEq(average, 40);
        (count, average) = validation.getSummary(agentId, judges, "none");
        vm.assertEq(count, 0);
        vm.assertEq(average, 0);
        vm.assertEq(validation.getAgentValidations(agentId).length, 4);
        vm.assertEq(validation.getValidatorRequests(JUDGE).length, 3);
        vm.assertEq(validation.getIdentityRegistry(), address(agents));
    }
}
