// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base, Vm, vm} from "./Base.sol";
import {Disputes} from "../src/Disputes.sol";
import {Game} from "../src/Game.sol";
import {Merkle} from "../src/Merkle.sol";
import {Packed} from "../src/Packed.sol";
import {Referee} from "../src/Referee.sol";

/// The money and the clocks of disputes. The game itself is played against the machine in Rust, whole disputes at a time
/// (`conformance/contracts`).
contract DisputesTest is Base {
    Disputes disputes;
    uint256 defender;
    uint256 challenger;
    bytes32 constant LEFT = keccak256("state after one step");
    bytes32 constant RIGHT = keccak256("state after two");
    uint32 constant WINDOW = 1 hours;
    uint32 constant TIME = 10 minutes;
    uint128 constant BOND = 4000;
    uint128 constant CHALLENGE = 400;
    uint128 constant STAKE = 10_000;

    function setUp() public override {
        super.setUp();
        disputes = new Disputes(agents, bonds, validation, new Referee());
        defender = agentOf(ALICE);
        challenger = agentOf(BOB);
        stake(defender, address(disputes), STAKE);
        stake(challenger, address(disputes), STAKE);
    }

    function conditions() internal pure returns (Disputes.Conditions memory) {
        return Disputes.Conditions({bond: BOND, challengeBond: CHALLENGE, window: WINDOW, time: TIME});
    }

    function terms() internal pure returns (Disputes.Terms memory) {
        return Disputes.Terms({job: "job", schedule: "schedule", start: "start", steps: 2});
    }

    function run() internal pure returns (bytes32) {
        return keccak256(abi.encodePacked(uint8(1), LEFT, RIGHT));
    }

    function claim() internal returns (uint256) {
        return claim("");
    }

    function claim(bytes32 request) internal returns (uint256) {
        vm.prank(ALICE);
        return disputes.claim(defender, terms(), run(), conditions(), request);
    }

    function contest(uint256 claimId) internal returns (uint256) {
        vm.prank(BOB);
        return disputes.contest(claimId, challenger);
    }

    function moves(bytes memory move) internal pure returns (bytes[] memory all) {
        all = new bytes[](1);
        all[0] = move;
    }

    /// The first move of the defender: the two nodes below the root of the run.
    function opening() internal pure returns (bytes[] memory) {
        return moves(abi.encodePacked(uint8(0), uint8(2), LEFT, RIGHT));
    }

    function status(uint256 claimId) internal view returns (Disputes.Status) {
        return disputes.claimOf(claimId).status;
    }

    function test_anUncontestedClaimStands() public {
        uint256 id = claim();
        vm.assertEq(disputes.reserved(defender), BOND);
        vm.warp(block.timestamp + WINDOW - 1);
        vm.expectRevert(abi.encodeWithSelector(Disputes.TooEarly.selector, block.timestamp + 1));
        disputes.finish(id);
        vm.warp(block.timestamp + 1);
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(Disputes.TooLate.selector, block.timestamp));
        disputes.contest(id, challenger);
        disputes.finish(id);
        vm.assertTrue(status(id) == Disputes.Status.Stands);
        vm.assertEq(disputes.reserved(defender), 0);
        vm.expectRevert(Disputes.AlreadyOver.selector);
        disputes.finish(id);
    }

    function test_aSilentDefenderIsConvicted() public {
        uint256 id = claim();
        uint256 dispute = contest(id);
        vm.warp(block.timestamp + TIME);
        vm.expectRevert(abi.encodeWithSelector(Disputes.TooEarly.selector, block.timestamp));
        disputes.expire(dispute);
        vm.warp(block.timestamp + 1);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(Disputes.TooLate.selector, block.timestamp - 1));
        disputes.play(dispute, opening());
        vm.prank(MALLORY);
        disputes.expire(dispute);
        vm.assertTrue(status(id) == Disputes.Status.Convicted);
        vm.assertEq(bonds.staked(defender, address(disputes)), STAKE - BOND);
        vm.assertEq(bonds.owed(BOB), BOND / 4 * 3);
        vm.assertEq(bonds.owed(disputes.NOBODY()), BOND / 4);
        vm.assertEq(disputes.reserved(defender) + disputes.reserved(challenger), 0);
        vm.expectRevert(Disputes.AlreadyOver.selector);
        disputes.expire(dispute);
        vm.expectRevert(Disputes.AlreadyOver.selector);
        disputes.finish(id);
    }

    function test_aSilentChallengerPays() public {
        uint256 id = claim();
        uint256 dispute = contest(id);
        vm.warp(block.timestamp + TIME);
        vm.prank(ALICE);
        disputes.play(dispute, opening());
        Disputes.DisputeView memory d = disputes.disputeOf(dispute);
        vm.assertFalse(d.defenders);
        vm.assertEq(d.deadline, block.timestamp + TIME);
        vm.warp(block.timestamp + TIME + 1);
        disputes.expire(dispute);
        vm.assertEq(bonds.staked(challenger, address(disputes)), STAKE - CHALLENGE);
        vm.assertEq(bonds.owed(ALICE), CHALLENGE / 4 * 3);
        vm.assertTrue(status(id) == Disputes.Status.Open);
        vm.warp(block.timestamp + WINDOW);
        disputes.finish(id);
        vm.assertTrue(status(id) == Disputes.Status.Stands);
    }

    function test_aWrongMoveIsNoMoveAndDoesNotStopTheClock() public {
        uint256 dispute = contest(claim());
        vm.warp(block.timestamp + TIME / 2);
        vm.prank(ALICE);
        vm.expectRevert(Game.InvalidProof.selector);
        disputes.play(dispute, moves(abi.encodePacked(uint8(0), uint8(2), RIGHT, LEFT)));
        vm.prank(ALICE);
        vm.expectRevert(Packed.BadLength.selector);
        disputes.play(dispute, moves(abi.encodePacked(uint8(0), uint8(3), LEFT, RIGHT)));
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(Game.UnknownMove.selector, 15));
        disputes.play(dispute, moves(abi.encodePacked(uint8(15))));
        vm.prank(ALICE);
        vm.expectRevert(Disputes.NotYourTurn.selector);
        disputes.play(dispute, new bytes[](0));
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(Disputes.NotAuthorized.selector, defender, BOB));
        disputes.play(dispute, opening());
        vm.assertEq(disputes.disputeOf(dispute).deadline, block.timestamp + TIME / 2);
    }

    /// Several moves go at once as long as it is one's turn, and no longer.
    function test_movesInOneGo() public {
        uint256 dispute = contest(claim());
        bytes[] memory two = new bytes[](2);
        two[0] = opening()[0];
        two[1] = opening()[0];
        vm.prank(ALICE);
        vm.expectRevert(Disputes.NotYourTurn.selector);
        disputes.play(dispute, two);
        vm.prank(ALICE);
        disputes.play(dispute, opening());
        vm.prank(BOB);
        disputes.play(dispute, moves(abi.encodePacked(uint8(1), uint8(1), RIGHT, uint8(1), LEFT)));
        Disputes.DisputeView memory d = disputes.disputeOf(dispute);
        vm.assertTrue(d.stage == Game.Stage.Step && d.step == 1 && d.defenders);
    }

    function test_disputesDoNotWaitForEachOther() public {
        uint256 id = claim();
        uint256 first = contest(id);
        uint256 second = contest(id);
        vm.assertEq(disputes.reserved(challenger), 2 * CHALLENGE);
        vm.prank(ALICE);
        disputes.play(first, opening());
        vm.expectRevert(abi.encodeWithSelector(Disputes.TooEarly.selector, disputes.claimOf(id).until));
        disputes.close(first);
        vm.warp(block.timestamp + TIME + 1);
        disputes.expire(second);
        vm.assertTrue(status(id) == Disputes.Status.Convicted);
        // The first is about a claim that is no more: whoever was right there, nobody pays twice.
        disputes.close(first);
        vm.assertEq(disputes.reserved(challenger), 0);
        vm.assertEq(bonds.owed(BOB), BOND / 4 * 3);
        vm.expectRevert(Disputes.AlreadyOver.selector);
        disputes.close(first);
    }

    function test_aClaimWaitsForItsDisputes() public {
        uint256 id = claim();
        vm.warp(block.timestamp + WINDOW - 1);
        uint256 dispute = contest(id);
        vm.warp(block.timestamp + 1);
        vm.expectRevert(abi.encodeWithSelector(Disputes.DisputesOpen.selector, 1));
        disputes.finish(id);
        vm.assertFalse(disputes.disputeOf(dispute).over);
    }

    function test_nobodyPromisesTheSameStakeTwice() public {
        claim();
        claim();
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(Disputes.StakeTooSmall.selector, STAKE, 3 * BOND));
        disputes.claim(defender, terms(), run(), conditions(), "");
        // What is asked back stays until the last dispute can have ended, and is slashed like the rest.
        vm.prank(ALICE);
        bonds.unbond(defender, address(disputes), STAKE);
        uint256 dispute = contest(1);
        vm.warp(block.timestamp + TIME + 1);
        disputes.expire(dispute);
        vm.assertEq(bonds.slashable(defender, address(disputes)), STAKE - BOND);
    }

    function test_whoMayActForWhom() public {
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(Disputes.NotAuthorized.selector, defender, BOB));
        disputes.claim(defender, terms(), run(), conditions(), "");
        uint256 id = claim();
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(Disputes.NotAuthorized.selector, challenger, ALICE));
        disputes.contest(id, challenger);
        vm.expectRevert(abi.encodeWithSelector(Disputes.NoSuchClaim.selector, 9));
        disputes.finish(9);
        vm.expectRevert(abi.encodeWithSelector(Disputes.NoSuchDispute.selector, 9));
        disputes.expire(9);
    }

    function test_conditionsLeaveTimeAndStakeSomething() public {
        for (uint256 i = 0; i < 8; ++i) {
            Disputes.Conditions memory c = conditions();
            Disputes.Terms memory t = terms();
            if (i == 0) c.bond = 0;
            else if (i == 1) c.challengeBond = 0;
            else if (i == 2) c.window = 59;
            else if (i == 3) c.time = 59;
            else if (i == 4) c.window = 30 days + 1;
            else if (i == 5) c.time = 30 days + 1;
            else if (i == 6) t.steps = 0;
            else t.steps = (1 << 40) + 1;
            vm.prank(ALICE);
            vm.expectRevert(Disputes.InvalidConditions.selector);
            disputes.claim(defender, t, run(), c, "");
        }
    }

    function test_theOutcomeIsWrittenWhereItWasAskedFor() public {
        bytes32 request = keccak256("request");
        vm.prank(ALICE);
        validation.validationRequest(address(disputes), defender, "", request);
        uint256 id = claim(request);
        uint256 dispute = contest(id);
        vm.warp(block.timestamp + TIME + 1);
        disputes.expire(dispute);
        (,, uint8 response, bytes32 hash, string memory tag,) = validation.getValidationStatus(request);
        vm.assertEq(response, 0);
        vm.assertEq(uint256(hash), id);
        vm.assertEq(tag, disputes.TAG());
        // A request of somebody else's, or to somebody else, is left alone, and keeps nobody from being judged.
        bytes32 other = keccak256("other");
        vm.prank(BOB);
        validation.validationRequest(address(disputes), challenger, "", other);
        id = claim(other);
        vm.warp(block.timestamp + WINDOW);
        disputes.finish(id);
        (,,,, tag,) = validation.getValidationStatus(other);
        vm.assertEq(tag, "");
    }
}

/// Trees, as `crates/proof` has them.
contract MerkleTest {
    function climb(bytes32 from, uint256 index, uint256 leaves, bytes calldata path) external pure returns (bool, bytes32) {
        return Merkle.climb(from, index, leaves, Merkle.height(leaves), path);
    }

    function fold(uint256 leaves, uint256 level, uint256 index, bytes calldata below) external pure returns (bool, bytes32) {
        return Merkle.fold(leaves, level, index, below);
    }

    function leaf(uint256 i) internal pure returns (bytes32) {
        return keccak256(abi.encode(i));
    }

    /// Of any list: its root is that of its nodes, each leaf climbs to it, and no other path does.
    function testFuzz_eachLeafClimbs(uint256 n, uint256 which) public view {
        n = n % 16 + 1;
        which = which % n;
        bytes memory below = "";
        for (uint256 i = 0; i < n; ++i) {
            below = bytes.concat(below, leaf(i));
        }
        uint256 level = Merkle.height(n);
        bytes32 root = leaf(0);
        bool right = true;
        if (level != 0) (right, root) = this.fold(n, level, 0, below);
        vm.assertTrue(right);
        // The path by the definition: level by level, the neighbour if there is one.
        bytes memory path = "";
        bytes32[] memory nodes = new bytes32[](n);
        for (uint256 i = 0; i < n; ++i) {
            nodes[i] = leaf(i);
        }
        uint256 index = which;
        uint256 wide = n;
        while (wide > 1) {
            if (index ^ 1 < wide) path = bytes.concat(path, nodes[index ^ 1]);
            for (uint256 j = 0; 2 * j < wide; ++j) {
                nodes[j] = 2 * j + 1 < wide ? Merkle.node(nodes[2 * j], nodes[2 * j + 1]) : nodes[2 * j];
            }
            index /= 2;
            wide = (wide + 1) / 2;
        }
        bytes32 top;
        (right, top) = this.climb(leaf(which), which, n, path);
        vm.assertTrue(right && top == root);
        (right, top) = this.climb(leaf(which), n, n, path);
        vm.assertFalse(right && top == root);
        (right, top) = this.climb(leaf(which), which, n, bytes.concat(path, root));
        vm.assertFalse(right);
        if (n != which + 1) {
            (right, top) = this.climb(leaf(which), which + 1, n, path);
            vm.assertFalse(right && top == root);
        }
    }
}
