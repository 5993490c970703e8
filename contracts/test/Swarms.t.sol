// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Scores} from "../src/Scores.sol";
import {Swarms} from "../src/Swarms.sol";
import {Base, vm} from "./Base.sol";
import {SwarmBase} from "./SwarmBase.sol";

contract SwarmsTest is SwarmBase {
    uint256 swarm;
    uint256 round;
    uint256 start;
    /// Agents in the order of their seats; each is owned by the address of the same index.
    uint256[] nodes;
    address[] owners;

    function setUp() public override(Base) {
        super.setUp();
        swarm = swarms.create(rules(), "uri");
        give(address(this), 10_000_000, address(swarms));
        swarms.topUp(swarm, 10_000_000);
        for (uint256 i = 0; i < 4; ++i) {
            owners.push(address(uint160(0x1000 + i)));
            nodes.push(agentOf(owners[i]));
            stake(nodes[i], address(swarms), 50);
        }
        start = block.timestamp;
        round = swarms.open(swarm);
    }

    // ---------------------------------------------------------------- helpers

    function commit(uint256 i) internal {
        bytes32 commitment = swarms.commitmentTo(swarm, round, nodes[i], bytes32(i), SALT);
        vm.prank(owners[i]);
        swarms.commit(swarm, round, nodes[i], commitment);
    }

    function score(uint256 i, bytes memory scores) internal {
        vm.prank(owners[i]);
        swarms.score(swarm, round, nodes[i], scores);
    }

    function post(uint256 i, bytes memory scores) internal {
        vm.prank(owners[i]);
        swarms.post(swarm, round, nodes[i], scores);
    }

    function toReveal() internal {
        vm.warp(start + COMMIT);
    }

    function toScore() internal {
        vm.warp(start + COMMIT + REVEAL);
    }

    function toPost() internal {
        vm.warp(start + COMMIT + REVEAL + SCORE);
    }

    /// Four commit and reveal.
    function present() internal {
        for (uint256 i = 0; i < 4; ++i) {
            commit(i);
        }
        toReveal();
        for (uint256 i = 0; i < 4; ++i) {
            swarms.reveal(swarm, round, nodes[i], bytes32(i), SALT);
        }
        toScore();
    }

    /// What each seat gives the seats 1 to 4; the medians are 100, 20, 254, 0.
    function given() internal pure returns (uint256[] memory scorers, bytes[] memory all) {
        scorers = new uint256[](3);
        all = new bytes[](3);
        (scorers[0], scorers[1], scorers[2]) = (2, 1, 3);
        (all[0], all[1], all[2]) = (bytes(hex"64fefeff"), bytes(hex"fe14feff"), bytes(hex"6e1e00ff"));
    }

    bytes constant RIGHT = hex"6414fe00";

    function scored() internal {
        present();
        (uint256[] memory scorers, bytes[] memory all) = given();
        for (uint256 i = 0; i < 3; ++i) {
            score(scorers[i] - 1, all[i]);
        }
        toPost();
    }

    function proofFor(uint256 seat, bytes memory result) internal view returns (Swarms.Proof memory) {
        (uint256[] memory scorers, bytes[] memory all) = given();
        return Swarms.Proof(swarm, round, seat, uint8(result[seat - 1]), proofOf(result, seat), scorers, all);
    }

    function share(uint256 i, bytes memory result) internal view returns (Swarms.Share[] memory shares) {
        shares = new Swarms.Share[](1);
        shares[0] = Swarms.Share(swarm, round, uint8(result[i]), proofOf(result, i + 1));
    }

    function wrongPhase(Swarms.Phase phase) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(Swarms.WrongPhase.selector, phase);
    }

    function pool() internal view returns (uint256) {
        return swarms.swarmOf(swarm).pool;
    }

    // ---------------------------------------------------------------- creating and opening

    function test_rules_are_kept_as_given() public view {
        Swarms.Swarm memory s = swarms.swarmOf(swarm);
        vm.assertEq(s.period, 500);
        vm.assertEq(s.seats, 8);
        vm.assertEq(s.quorum, QUORUM);
        vm.assertEq(s.bond, 50);
        vm.assertEq(s.reward, 1_000_000);
        vm.assertEq(s.referee, REFEREE);
        vm.assertEq(s.spec, bytes32("spec"));
        vm.assertEq(s.rounds, 1);
        vm.assertEq(s.nextAt, start + 500);
        Swarms.RoundView memory r = swarms.roundOf(swarm, round);
        vm.assertEq(r.openedAt, start);
        vm.assertEq(r.commitEnds, start + COMMIT);
        vm.assertEq(r.revealEnds, start + COMMIT + REVEAL);
        vm.assertEq(r.scoreEnds, start + COMMIT + REVEAL + SCORE);
        vm.assertEq(r.finalAt, start + COMMIT + REVEAL + SCORE + CHALLENGE);
    }

    function refuses(Swarms.Rules memory r, string memory rule) internal {
        vm.expectRevert(abi.encodeWithSelector(Swarms.InvalidRule.selector, rule));
        swarms.create(r, "");
    }

    function test_rules_out_of_bounds_are_refused() public {
        Swarms.Rules memory r = rules();
        r.commitTime = 0;
        refuses(r, "commitTime");
        r = rules();
        r.revealTime = 0;
        refuses(r, "revealTime");
        r = rules();
        r.scoreTime = 0;
        refuses(r, "scoreTime");
        r = rules();
        r.challengeTime = 0;
        refuses(r, "challengeTime");
        r = rules();
        r.period = 0;
        refuses(r, "period");
        r = rules();
        r.seats = 1;
        refuses(r, "seats");
        r.seats = 257;
        refuses(r, "seats");
        r = rules();
        r.quorum = 1;
        refuses(r, "quorum");
        r.quorum = r.seats + 1;
        refuses(r, "quorum");
        r.quorum = r.seats;
        swarms.create(r, "");
        // A bond must be slashable until the last challenge is over.
        r = rules();
        r.challengeTime = uint32(bonds.UNBONDING() - COMMIT - REVEAL - SCORE) / 2;
        swarms.create(r, "");
        r.challengeTime += 1;
        refuses(r, "longer than unbonding takes");
    }

    function test_the_next_round_opens_when_its_time_has_come() public {
        vm.warp(start + 499);
        vm.expectRevert(abi.encodeWithSelector(Swarms.TooEarly.selector, start + 500));
        swarms.open(swarm);
        vm.warp(start + 500);
        vm.prank(MALLORY);
        vm.assertEq(swarms.open(swarm), 2);
    }

    function test_a_round_sets_aside_what_the_pool_has() public {
        vm.assertEq(pool(), 9_000_000);
        vm.assertEq(swarms.roundOf(swarm, 1).reward, 1_000_000);
        Swarms.Rules memory r = rules();
        uint256 poor = swarms.create(r, "");
        give(address(this), 10, address(swarms));
        swarms.topUp(poor, 10);
        swarms.open(poor);
        vm.assertEq(swarms.roundOf(poor, 1).reward, 10);
        vm.assertEq(swarms.swarmOf(poor).pool, 0);
    }

    function test_swarms_and_rounds_that_do_not_exist() public {
        vm.expectRevert(abi.encodeWithSelector(Swarms.NoSuchSwarm.selector, 0));
        swarms.open(0);
        vm.expectRevert(abi.encodeWithSelector(Swarms.NoSuchSwarm.selector, 99));
        swarms.topUp(99, 1);
        vm.expectRevert(Swarms.NothingToDo.selector);
        swarms.topUp(swarm, 0);
        vm.expectRevert(wrongPhase(Swarms.Phase.None));
        swarms.commit(swarm, 2, nodes[0], "x");
        vm.expectRevert(wrongPhase(Swarms.Phase.None));
        swarms.settle(swarm, 2);
        vm.assertEq(swarms.roundOf(swarm, 2).revealed, 0);
        vm.assertEq(swarms.worthOf(swarm, 2), 0);
    }

    // ---------------------------------------------------------------- committing and revealing

    function test_commitments_take_seats_in_order() public {
        commit(1);
        commit(0);
        vm.assertEq(swarms.entryOf(swarm, round, nodes[1]).seat, 1);
        vm.assertEq(swarms.entryOf(swarm, round, nodes[0]).seat, 2);
        commit(1); // Harmless.
        vm.assertEq(swarms.roundOf(swarm, round).committed, 2);
        vm.prank(owners[1]);
        vm.expectRevert(Swarms.AlreadyCommitted.selector);
        swarms.commit(swarm, round, nodes[1], "another");
    }

    function test_a_commitment_needs_its_owner_its_bond_its_time_and_a_seat() public {
        vm.prank(MALLORY);
        vm.expectRevert(abi.encodeWithSelector(Swarms.NotAuthorized.selector, nodes[0], MALLORY));
        swarms.commit(swarm, round, nodes[0], "x");
        uint256 poor = agentOf(BOB);
        stake(poor, address(swarms), 49);
        stake(poor, MALLORY, 1000); // Answers to somebody else.
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(Swarms.BondTooSmall.selector, 49, 50));
        swarms.commit(swarm, round, poor, "x");
        for (uint256 i = 0; i < 8; ++i) {
            uint256 agent = agentOf(BOB);
            stake(agent, address(swarms), 50);
            vm.prank(BOB);
            swarms.commit(swarm, round, agent, "x");
        }
        vm.prank(owners[0]);
        vm.expectRevert(Swarms.RoundFull.selector);
        swarms.commit(swarm, round, nodes[0], "x");
        toReveal();
        vm.prank(owners[0]);
        vm.expectRevert(wrongPhase(Swarms.Phase.Reveal));
        swarms.commit(swarm, round, nodes[0], "x");
    }

    function test_what_is_revealed_is_what_was_committed() public {
        commit(0);
        vm.expectRevert(wrongPhase(Swarms.Phase.Commit));
        swarms.reveal(swarm, round, nodes[0], 0, SALT);
        toReveal();
        vm.expectRevert(Swarms.WrongReveal.selector);
        swarms.reveal(swarm, round, nodes[0], "other", SALT);
        vm.expectRevert(Swarms.WrongReveal.selector);
        swarms.reveal(swarm, round, nodes[0], 0, "other");
        vm.expectRevert(Swarms.NoCommitment.selector);
        swarms.reveal(swarm, round, nodes[1], bytes32(uint256(1)), SALT);
        swarms.reveal(swarm, round, nodes[0], 0, SALT);
        swarms.reveal(swarm, round, nodes[0], 0, SALT); // Harmless.
        vm.assertEq(swarms.roundOf(swarm, round).revealed, 1);
        toScore();
        vm.expectRevert(wrongPhase(Swarms.Phase.Score));
        swarms.reveal(swarm, round, nodes[0], 0, SALT);
    }

    /// Nobody takes part with another's work by copying its commitment: a commitment names its agent.
    function test_a_copied_commitment_cannot_be_revealed() public {
        commit(0);
        bytes32 copied = swarms.commitmentTo(swarm, round, nodes[0], 0, SALT);
        vm.prank(owners[1]);
        swarms.commit(swarm, round, nodes[1], copied);
        toReveal();
        swarms.reveal(swarm, round, nodes[0], 0, SALT);
        vm.expectRevert(Swarms.WrongReveal.selector);
        swarms.reveal(swarm, round, nodes[1], 0, SALT);
    }

    // ---------------------------------------------------------------- scoring and posting

    function test_only_who_was_present_scores_and_once() public {
        commit(0);
        commit(1);
        toReveal();
        swarms.reveal(swarm, round, nodes[0], 0, SALT);
        vm.prank(owners[0]);
        vm.expectRevert(wrongPhase(Swarms.Phase.Reveal));
        swarms.score(swarm, round, nodes[0], hex"0000");
        toScore();
        vm.prank(owners[1]);
        vm.expectRevert(Swarms.NotRevealed.selector);
        swarms.score(swarm, round, nodes[1], hex"0000");
        vm.prank(owners[2]);
        vm.expectRevert(Swarms.NoCommitment.selector);
        swarms.score(swarm, round, nodes[2], hex"0000");
        vm.prank(MALLORY);
        vm.expectRevert(abi.encodeWithSelector(Swarms.NotAuthorized.selector, nodes[0], MALLORY));
        swarms.score(swarm, round, nodes[0], hex"0000");
        vm.startPrank(owners[0]);
        vm.expectRevert(abi.encodeWithSelector(Swarms.WrongLength.selector, 3, 2));
        swarms.score(swarm, round, nodes[0], hex"000000");
        swarms.score(swarm, round, nodes[0], hex"00ff");
        vm.expectRevert(Swarms.AlreadyScored.selector);
        swarms.score(swarm, round, nodes[0], hex"00ff");
        toPost();
        vm.expectRevert(wrongPhase(Swarms.Phase.Post));
        swarms.score(swarm, round, nodes[0], hex"00ff");
        vm.stopPrank();
    }

    function test_a_result_is_posted_by_who_was_present_and_has_something_to_lose() public {
        commit(0);
        commit(1);
        toReveal();
        swarms.reveal(swarm, round, nodes[0], 0, SALT);
        toScore();
        vm.prank(owners[0]);
        vm.expectRevert(wrongPhase(Swarms.Phase.Score));
        swarms.post(swarm, round, nodes[0], hex"0000");
        toPost();
        vm.prank(owners[1]);
        vm.expectRevert(Swarms.NotRevealed.selector);
        swarms.post(swarm, round, nodes[1], hex"0000");
        vm.prank(MALLORY);
        vm.expectRevert(abi.encodeWithSelector(Swarms.NotAuthorized.selector, nodes[0], MALLORY));
        swarms.post(swarm, round, nodes[0], hex"0000");
        vm.startPrank(owners[0]);
        vm.expectRevert(abi.encodeWithSelector(Swarms.WrongLength.selector, 1, 2));
        swarms.post(swarm, round, nodes[0], hex"00");
        vm.expectRevert(abi.encodeWithSelector(Swarms.InvalidScore.selector, 1));
        swarms.post(swarm, round, nodes[0], hex"ff00");
        vm.expectRevert(abi.encodeWithSelector(Swarms.InvalidScore.selector, 2));
        swarms.post(swarm, round, nodes[0], hex"0001"); // Seat 2 was absent.
        vm.stopPrank();
        vm.prank(address(swarms));
        bonds.slash(nodes[0], 1, BOB);
        vm.prank(owners[0]);
        vm.expectRevert(abi.encodeWithSelector(Swarms.BondTooSmall.selector, 49, 50));
        swarms.post(swarm, round, nodes[0], hex"0000");
        stake(nodes[0], address(swarms), 1);
        post(0, hex"0000");
        vm.prank(owners[0]);
        vm.expectRevert(wrongPhase(Swarms.Phase.Challenge));
        swarms.post(swarm, round, nodes[0], hex"0000");
    }

    function test_a_round_without_a_result_lapses_and_its_reward_returns() public {
        scored();
        vm.expectRevert(wrongPhase(Swarms.Phase.Post));
        swarms.settle(swarm, round);
        vm.warp(block.timestamp + CHALLENGE);
        vm.prank(owners[0]);
        vm.expectRevert(wrongPhase(Swarms.Phase.Lapsed));
        swarms.post(swarm, round, nodes[0], RIGHT);
        vm.expectRevert(wrongPhase(Swarms.Phase.Lapsed));
        swarms.claim(nodes[0], share(0, RIGHT));
        swarms.settle(swarm, round);
        vm.assertEq(pool(), 10_000_000);
        swarms.settle(swarm, round); // Harmless.
        vm.assertEq(pool(), 10_000_000);
    }

    function test_a_round_that_nobody_came_to_returns_its_reward() public {
        vm.warp(start + COMMIT + REVEAL + SCORE + CHALLENGE);
        swarms.settle(swarm, round);
        vm.assertEq(pool(), 10_000_000);
    }

    // ---------------------------------------------------------------- challenging

    function test_a_right_result_stands() public {
        scored();
        post(0, RIGHT);
        for (uint256 seat = 1; seat <= 4; ++seat) {
            Swarms.Proof memory p = proofFor(seat, RIGHT);
            vm.expectRevert(Swarms.ResultStands.selector);
            swarms.challenge(p);
        }
    }

    function testFuzz_a_wrong_score_falls_and_costs_its_poster_the_bond(uint8 seat, uint8 wrong) public {
        seat = seat % 4 + 1;
        wrong = wrong % 255;
        vm.assume(uint8(RIGHT[seat - 1]) != wrong);
        scored();
        bytes memory result = RIGHT;
        result[seat - 1] = bytes1(wrong);
        post(1, result);
        Swarms.Proof memory p = proofFor(seat, result);
        vm.prank(BOB);
        swarms.challenge(p);
        vm.prank(BOB);
        bonds.collect();
        vm.assertEq(credit.balanceOf(BOB), 50);
        vm.assertEq(bonds.staked(nodes[1], address(swarms)), 0);
        // The poster is out, another posts, and the round goes on.
        stake(nodes[1], address(swarms), 50);
        vm.prank(owners[1]);
        vm.expectRevert(Swarms.AlreadyStruck.selector);
        swarms.post(swarm, round, nodes[1], RIGHT);
        post(0, RIGHT);
        vm.warp(block.timestamp + CHALLENGE);
        swarms.claim(nodes[0], share(0, RIGHT));
        vm.assertEq(credit.balanceOf(owners[0]), 98_400);
        uint256 before = pool();
        swarms.claim(nodes[1], share(1, RIGHT));
        vm.assertEq(credit.balanceOf(owners[1]), 0);
        vm.assertEq(pool() - before, 20 * 984); // Its share is the pool's.
    }

    function test_a_challenge_shows_all_scores_as_they_were_given() public {
        scored();
        bytes memory result = hex"6514fe00";
        post(0, result);
        Swarms.Proof memory p = proofFor(1, result);
        p.given[0] = hex"65fefeff";
        vm.expectRevert(Swarms.WrongScores.selector);
        swarms.challenge(p);
        p = proofFor(1, result);
        (p.scorers[0], p.scorers[1]) = (p.scorers[1], p.scorers[0]);
        vm.expectRevert(Swarms.WrongScores.selector);
        swarms.challenge(p);
        p = proofFor(1, result);
        p.scorers = new uint256[](0);
        p.given = new bytes[](0);
        vm.expectRevert(Swarms.WrongScores.selector);
        swarms.challenge(p);
        p = proofFor(1, result);
        p.posted = 1;
        vm.expectRevert(Swarms.InvalidProof.selector);
        swarms.challenge(p);
        p = proofFor(1, result);
        vm.warp(block.timestamp + CHALLENGE);
        vm.expectRevert(wrongPhase(Swarms.Phase.Final));
        swarms.challenge(p);
    }

    function test_who_asks_its_bond_back_during_the_round_still_loses_it() public {
        scored();
        vm.prank(owners[1]);
        bonds.unbond(nodes[1], address(swarms), 50);
        post(1, hex"6514fe00");
        vm.warp(block.timestamp + CHALLENGE - 1);
        swarms.challenge(proofFor(1, hex"6514fe00"));
        vm.assertEq(bonds.slashable(nodes[1], address(swarms)), 0);
    }

    /// An absent seat has a score of zero whatever others say of it.
    function test_an_absent_seat_cannot_be_challenged_up() public {
        commit(0);
        commit(1);
        toReveal();
        swarms.reveal(swarm, round, nodes[0], 0, SALT);
        toScore();
        vm.assertEq(swarms.roundOf(swarm, round).quorum, QUORUM);
        score(0, hex"fffe");
        toPost();
        post(0, hex"0000");
        uint256[] memory scorers = new uint256[](1);
        bytes[] memory all = new bytes[](1);
        (scorers[0], all[0]) = (1, bytes(hex"fffe"));
        vm.expectRevert(Swarms.ResultStands.selector);
        swarms.challenge(Swarms.Proof(swarm, round, 2, 0, proofOf(hex"0000", 2), scorers, all));
    }

    // ---------------------------------------------------------------- quiet rounds

    /// The seats before `n`, all of one owner, take part alone and give each other everything.
    function alone(uint256 n) internal returns (bytes memory result) {
        for (uint256 i = 0; i < n; ++i) {
            commit(i);
        }
        toReveal();
        for (uint256 i = 0; i < n; ++i) {
            swarms.reveal(swarm, round, nodes[i], bytes32(i), SALT);
        }
        toScore();
        result = repeated(254, n);
        for (uint256 i = 0; i < n; ++i) {
            score(i, result);
        }
        toPost();
        post(0, result);
    }

    /// Two that nobody watches are fewer than half a quorum has opinions: what they give each other is nothing.
    function test_two_alone_in_a_round_do_not_make_a_score() public {
        bytes memory result = alone(2);
        uint256[] memory scorers = new uint256[](2);
        bytes[] memory all = new bytes[](2);
        (scorers[0], scorers[1], all[0], all[1]) = (1, 2, result, result);
        vm.prank(BOB);
        swarms.challenge(Swarms.Proof(swarm, round, 1, 254, proofOf(result, 1), scorers, all));
        vm.assertEq(bonds.owed(BOB), 50);
        post(1, hex"0000");
        vm.warp(block.timestamp + CHALLENGE);
        swarms.settle(swarm, round);
        vm.assertEq(pool(), 10_000_000);
    }

    /// Three are enough to score each other, but each earns a fourth: no more than if the round had its quorum.
    function test_who_is_alone_in_a_round_does_not_earn_what_others_would_have() public {
        bytes memory result = alone(3);
        vm.warp(block.timestamp + CHALLENGE);
        for (uint256 i = 0; i < 3; ++i) {
            swarms.claim(nodes[i], share(i, result));
            vm.assertEq(credit.balanceOf(owners[i]), 984 * 254);
        }
        swarms.settle(swarm, round);
        vm.assertEq(pool(), 10_000_000 - 3 * 984 * 254);
    }

    // ---------------------------------------------------------------- convicting

    function test_the_referee_strikes_a_node_until_the_round_is_final() public {
        scored();
        vm.prank(MALLORY);
        vm.expectRevert(Swarms.NotReferee.selector);
        swarms.convict(swarm, round, nodes[2], MALLORY);
        post(0, RIGHT);
        vm.startPrank(REFEREE);
        swarms.convict(swarm, round, nodes[2], BOB);
        vm.expectRevert(Swarms.AlreadyStruck.selector);
        swarms.convict(swarm, round, nodes[2], BOB);
        vm.expectRevert(Swarms.NoCommitment.selector);
        swarms.convict(swarm, round, 999, BOB);
        vm.stopPrank();
        vm.assertEq(bonds.owed(BOB), 50);
        vm.warp(block.timestamp + CHALLENGE);
        vm.prank(REFEREE);
        vm.expectRevert(wrongPhase(Swarms.Phase.Final));
        swarms.convict(swarm, round, nodes[0], BOB);
        swarms.claim(nodes[2], share(2, RIGHT));
        vm.assertEq(credit.balanceOf(owners[2]), 0);
    }

    function test_a_swarm_without_a_referee_has_none() public {
        Swarms.Rules memory r = rules();
        r.referee = address(0);
        uint256 other = swarms.create(r, "");
        vm.prank(REFEREE);
        vm.expectRevert(Swarms.NotReferee.selector);
        swarms.convict(other, 1, nodes[0], BOB);
    }

    // ---------------------------------------------------------------- claiming

    function test_everyone_gets_its_share_and_the_rest_returns() public {
        scored();
        post(3, RIGHT);
        vm.expectRevert(wrongPhase(Swarms.Phase.Challenge));
        swarms.claim(nodes[0], share(0, RIGHT));
        vm.warp(block.timestamp + CHALLENGE);
        // A point is worth 1,000,000 / (4 x 254), rounded down.
        vm.assertEq(swarms.worthOf(swarm, round), 984);
        for (uint256 i = 0; i < 4; ++i) {
            vm.prank(MALLORY); // Whoever pays for the call, the agent's side gets the money.
            swarms.claim(nodes[i], share(i, RIGHT));
            vm.assertEq(credit.balanceOf(owners[i]), 984 * uint256(uint8(RIGHT[i])));
        }
        vm.assertEq(pool(), 9_000_000);
        swarms.settle(swarm, round);
        swarms.settle(swarm, round); // Harmless.
        vm.assertEq(pool(), 10_000_000 - 984 * (100 + 20 + 254));
        vm.assertEq(credit.balanceOf(address(swarms)), pool());
    }

    function test_nobody_claims_twice_or_for_another_seat_or_score() public {
        scored();
        post(0, RIGHT);
        vm.warp(block.timestamp + CHALLENGE);
        swarms.claim(nodes[0], share(0, RIGHT));
        swarms.claim(nodes[0], share(0, RIGHT)); // Passed over.
        vm.assertEq(credit.balanceOf(owners[0]), 98_400);
        Swarms.Share[] memory s = share(2, RIGHT);
        vm.expectRevert(Swarms.InvalidProof.selector);
        swarms.claim(nodes[1], s);
        s = share(1, RIGHT);
        s[0].score = 254;
        vm.expectRevert(Swarms.InvalidProof.selector);
        swarms.claim(nodes[1], s);
        s[0].round = 7;
        vm.expectRevert(wrongPhase(Swarms.Phase.None));
        swarms.claim(nodes[1], s);
        uint256 stranger = agentOf(MALLORY);
        s = share(1, RIGHT);
        vm.expectRevert(Swarms.NoCommitment.selector);
        swarms.claim(stranger, s);
    }

    function test_a_reward_goes_to_the_agents_wallet_or_new_owner() public {
        scored();
        post(0, RIGHT);
        vm.warp(block.timestamp + CHALLENGE);
        vm.prank(owners[0]);
        agents.transferFrom(owners[0], CAROL, nodes[0]);
        swarms.claim(nodes[0], share(0, RIGHT));
        vm.assertEq(credit.balanceOf(CAROL), 98_400);
    }

    /// Scores and the next commitment in one call save a node a transaction.
    function test_calls_are_batched() public {
        present();
        vm.warp(start + 500);
        uint256 next = swarms.open(swarm);
        bytes[] memory calls = new bytes[](2);
        calls[0] = abi.encodeCall(swarms.score, (swarm, round, nodes[0], repeated(1, 4)));
        calls[1] = abi.encodeCall(swarms.commit, (swarm, next, nodes[0], "next"));
        vm.prank(owners[0]);
        swarms.multicall(calls);
        vm.assertTrue(swarms.entryOf(swarm, round, nodes[0]).scored);
        vm.assertEq(swarms.roundOf(swarm, next).committed, 1);
    }

    function test_phases_go_by_the_clock() public {
        uint32 last = COMMIT + REVEAL + SCORE;
        uint32[6] memory times = [0, COMMIT - 1, COMMIT, COMMIT + REVEAL, last, last + CHALLENGE];
        Swarms.Phase[6] memory phases = [
            Swarms.Phase.Commit,
            Swarms.Phase.Commit,
            Swarms.Phase.Reveal,
            Swarms.Phase.Score,
            Swarms.Phase.Post,
            Swarms.Phase.Lapsed
        ];
        for (uint256 i = 0; i < times.length; ++i) {
            vm.warp(start + times[i]);
            vm.assertEq(uint256(swarms.roundOf(swarm, round).phase), uint256(phases[i]));
        }
    }
}
