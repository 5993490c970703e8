// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Bonds} from "../src/Bonds.sol";
import {Base, vm} from "./Base.sol";

contract BondsTest is Base {
    address constant JUDGE = address(0x1D6E);
    uint256 agentId;

    function setUp() public override {
        super.setUp();
        agentId = agentOf(ALICE);
        stake(agentId, JUDGE, 100);
    }

    function unbond(uint128 amount) internal {
        vm.prank(ALICE);
        bonds.unbond(agentId, JUDGE, amount);
    }

    function test_a_stake_counts_for_its_agent_and_judge_only() public {
        vm.assertEq(bonds.staked(agentId, JUDGE), 100);
        vm.assertEq(bonds.staked(agentId, MALLORY), 0);
        vm.assertEq(bonds.staked(agentOf(BOB), JUDGE), 0);
        vm.assertEq(credit.balanceOf(address(bonds)), 100);
    }

    function test_no_stake_of_nothing_with_nobody_or_for_none() public {
        vm.expectRevert(Bonds.NothingToDo.selector);
        bonds.stake(agentId, JUDGE, 0);
        vm.expectRevert(Bonds.InvalidJudge.selector);
        bonds.stake(agentId, address(0), 1);
        give(address(this), 1, address(bonds));
        vm.expectRevert();
        bonds.stake(999, JUDGE, 1);
    }

    function test_unbonding_takes_its_time() public {
        unbond(60);
        vm.assertEq(bonds.staked(agentId, JUDGE), 40);
        vm.assertEq(bonds.slashable(agentId, JUDGE), 100);
        uint256 release = block.timestamp + bonds.UNBONDING();
        vm.warp(release - 1);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(Bonds.TooEarly.selector, release));
        bonds.withdraw(agentId, JUDGE);
        vm.warp(release);
        vm.prank(ALICE);
        bonds.withdraw(agentId, JUDGE);
        vm.assertEq(credit.balanceOf(ALICE), 60);
        vm.prank(ALICE);
        vm.expectRevert(Bonds.NothingToDo.selector);
        bonds.withdraw(agentId, JUDGE);
    }

    function test_asking_more_back_starts_the_time_anew() public {
        unbond(60);
        vm.warp(block.timestamp + bonds.UNBONDING() - 1);
        unbond(1);
        vm.warp(block.timestamp + 1);
        vm.prank(ALICE);
        vm.expectRevert();
        bonds.withdraw(agentId, JUDGE);
    }

    function test_restaking() public {
        unbond(60);
        vm.prank(ALICE);
        bonds.restake(agentId, JUDGE);
        vm.assertEq(bonds.staked(agentId, JUDGE), 100);
        vm.assertEq(bonds.bondOf(agentId, JUDGE).unbonding, 0);
        vm.prank(ALICE);
        vm.expectRevert(Bonds.NothingToDo.selector);
        bonds.restake(agentId, JUDGE);
    }

    function test_only_the_agents_side_asks_back() public {
        bytes memory refusal = abi.encodeWithSelector(Bonds.NotAuthorized.selector, agentId, MALLORY);
        vm.startPrank(MALLORY);
        vm.expectRevert(refusal);
        bonds.unbond(agentId, JUDGE, 1);
        vm.expectRevert(refusal);
        bonds.restake(agentId, JUDGE);
        vm.expectRevert(refusal);
        bonds.withdraw(agentId, JUDGE);
        vm.stopPrank();
        vm.startPrank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(Bonds.StakeTooSmall.selector, 100, 101));
        bonds.unbond(agentId, JUDGE, 101);
        vm.expectRevert(Bonds.NothingToDo.selector);
        bonds.unbond(agentId, JUDGE, 0);
        vm.stopPrank();
    }

    function test_nobody_slashes_what_answers_to_another() public {
        vm.prank(MALLORY);
        vm.assertEq(bonds.slash(agentId, 100, MALLORY), 0);
        vm.assertEq(bonds.staked(agentId, JUDGE), 100);
        vm.prank(MALLORY);
        vm.expectRevert(Bonds.NothingToDo.selector);
        bonds.collect();
    }

    function test_who_asks_back_can_still_be_slashed() public {
        unbond(100);
        vm.warp(block.timestamp + bonds.UNBONDING() - 1);
        vm.prank(JUDGE);
        vm.assertEq(bonds.slash(agentId, 70, BOB), 70);
        vm.warp(block.timestamp + 1);
        vm.prank(ALICE);
        bonds.withdraw(agentId, JUDGE);
        vm.assertEq(credit.balanceOf(ALICE), 30);
        vm.prank(BOB);
        bonds.collect();
        vm.assertEq(credit.balanceOf(BOB), 70);
        vm.prank(BOB);
        vm.expectRevert(Bonds.NothingToDo.selector);
        bonds.collect();
    }

    function test_slashing_takes_what_is_staked_first_and_what_there_is_at_most() public {
        unbond(60);
        vm.prank(JUDGE);
        vm.assertEq(bonds.slash(agentId, 50, BOB), 50);
        vm.assertEq(bonds.staked(agentId, JUDGE), 0);
        vm.assertEq(bonds.bondOf(agentId, JUDGE).unbonding, 50);
        vm.prank(JUDGE);
        vm.assertEq(bonds.slash(agentId, 1000, BOB), 50);
        vm.assertEq(bonds.owed(BOB), 100);
    }

    function test_a_held_stake_waits_for_the_verdict() public {
        unbond(100);
        uint64 until = uint64(block.timestamp + bonds.UNBONDING() + 3 days);
        vm.prank(MALLORY);
        bonds.hold(agentId, type(uint64).max); // Means nothing to what answers to another.
        vm.startPrank(JUDGE);
        bonds.hold(agentId, until);
        bonds.hold(agentId, until - 1); // A hold does not get shorter.
        vm.stopPrank();
        vm.warp(until - 1);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(Bonds.TooEarly.selector, until));
        bonds.withdraw(agentId, JUDGE);
        vm.warp(until);
        vm.prank(ALICE);
        bonds.withdraw(agentId, JUDGE);
        vm.assertEq(credit.balanceOf(ALICE), 100);
    }

    function testFuzz_money_in_is_money_out(uint128 more, uint128 back, uint128 slashed) public {
        more = more % 1e30;
        if (more != 0) stake(agentId, JUDGE, more);
        uint256 all = uint256(more) + 100;
        if (back > all) back = uint128(all);
        if (back != 0) unbond(back);
        vm.prank(JUDGE);
        uint128 taken = bonds.slash(agentId, slashed, BOB);
        vm.assertEq(taken, slashed < all ? slashed : all);
        vm.assertEq(bonds.slashable(agentId, JUDGE) + bonds.owed(BOB), all);
        vm.assertEq(credit.balanceOf(address(bonds)), all);
    }
}
