// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Scores} from "../src/Scores.sol";
import {SwarmBase} from "./SwarmBase.sol";
import {vm} from "./Base.sol";

contract ScoresTest is SwarmBase {
    function contractMedian(uint256 quorum, uint256 seat, uint256[] calldata scorers, bytes[] calldata given)
        external
        pure
        returns (bytes32, uint8)
    {
        return Scores.median(Scores.start(1, 2), quorum, seat, scorers, given);
    }

    function contractRoot(bytes calldata scores) external pure returns (bytes32) {
        return Scores.root(scores);
    }

    function table(uint256 seed, uint256 n) internal pure returns (uint256[] memory scorers, bytes[] memory given) {
        scorers = new uint256[](n);
        given = new bytes[](n);
        for (uint256 i = 0; i < n; ++i) {
            scorers[i] = i + 1;
            given[i] = new bytes(n);
            for (uint256 j = 0; j < n; ++j) {
                uint256 h = uint256(keccak256(abi.encode(seed, i, j)));
                // A mixture: few values so that ties are common, all values, and no opinion.
                given[i][j] = h % 4 == 0 ? bytes1(0xff) : bytes1(uint8(h % 3 == 0 ? h >> 8 : (h >> 8) % 3));
            }
        }
    }

    function testFuzz_counting_gives_what_sorting_gives(uint256 seed, uint8 n, uint8 seat, uint8 quorum) public view {
        n = n % 16 + 1;
        seat = seat % n + 1;
        quorum = quorum % 18 + 2;
        (uint256[] memory scorers, bytes[] memory given) = table(seed, n);
        (, uint8 counted) = this.contractMedian(quorum, seat, scorers, given);
        vm.assertEq(counted, median(quorum, seat, scorers, given));
    }

    /// The promise of a median: a minority cannot leave the range of the others, whatever it says.
    function testFuzz_a_minority_cannot_move_a_score_out_of_the_honest_range(uint256 seed, uint8 honest, bytes32 lies)
        public
        view
    {
        honest = honest % 8 + 2;
        uint256 n = 2 * uint256(honest) - 1;
        uint256[] memory scorers = new uint256[](n);
        bytes[] memory given = new bytes[](n);
        (uint8 least, uint8 greatest) = (255, 0);
        for (uint256 i = 0; i < n; ++i) {
            scorers[i] = i + 2; // Seat 1 is the one they score.
            uint8 opinion = uint8(lies[i]) % 255;
            if (i < honest) {
                opinion = uint8(100 + uint256(keccak256(abi.encode(seed, i))) % 20);
                if (opinion < least) least = opinion;
                if (opinion > greatest) greatest = opinion;
            }
            given[i] = abi.encodePacked(opinion);
        }
        (, uint8 counted) = this.contractMedian(2, 1, scorers, given);
        vm.assertTrue(counted >= least && counted <= greatest);
    }

    function test_a_node_has_no_say_about_itself_and_silence_is_zero() public view {
        uint256[] memory scorers = new uint256[](2);
        bytes[] memory given = new bytes[](2);
        (scorers[0], scorers[1]) = (1, 2);
        (given[0], given[1]) = (bytes(hex"fe0a"), bytes(hex"fffe"));
        (, uint8 first) = this.contractMedian(2, 1, scorers, given);
        (, uint8 second) = this.contractMedian(2, 2, scorers, given);
        vm.assertEq(first, 0);
        vm.assertEq(second, 10);
    }

    /// Half a quorum, rounded up, must have an opinion: of a quorum of 4 or of 3, two others.
    function test_too_few_opinions_are_none() public view {
        uint256[] memory scorers = new uint256[](3);
        bytes[] memory given = new bytes[](3);
        (scorers[0], scorers[1], scorers[2]) = (2, 3, 4);
        (given[0], given[1], given[2]) = (bytes(hex"fe"), bytes(hex"fe"), bytes(hex"ff"));
        uint8[5] memory scores = [254, 254, 254, 0, 0];
        for (uint256 i = 0; i < scores.length; ++i) {
            (, uint8 score) = this.contractMedian(i + 2, 1, scorers, given);
            vm.assertEq(score, scores[i]);
        }
    }

    /// What was given in one round shows nothing of another, even where the same was given.
    function testFuzz_each_rounds_chain_is_its_own(uint256 swarm, uint256 round, uint256 other) public pure {
        vm.assume(round != other);
        vm.assertTrue(Scores.start(swarm, round) != Scores.start(swarm, other));
        vm.assertTrue(Scores.start(round, swarm) != Scores.start(other, swarm));
        vm.assertTrue(Scores.start(swarm, round) != 0);
    }

    function test_the_lower_of_two_middles() public view {
        uint256[] memory scorers = new uint256[](2);
        bytes[] memory given = new bytes[](2);
        (scorers[0], scorers[1]) = (2, 3);
        (given[0], given[1]) = (bytes(hex"fe"), bytes(hex"05"));
        (, uint8 score) = this.contractMedian(2, 1, scorers, given);
        vm.assertEq(score, 5);
    }

    function test_what_does_not_fit_is_refused() public {
        uint256[] memory scorers = new uint256[](1);
        scorers[0] = 2;
        vm.expectRevert(Scores.WrongShape.selector);
        this.contractMedian(2, 1, scorers, new bytes[](2));
        bytes[] memory given = new bytes[](1);
        given[0] = hex"01";
        vm.expectRevert(Scores.WrongShape.selector);
        this.contractMedian(2, 0, scorers, given);
        vm.expectRevert(Scores.WrongShape.selector);
        this.contractMedian(2, 2 ** 255, scorers, given);
    }

    function testFuzz_every_seat_is_in_the_tree_with_its_score_only(bytes calldata scores, uint8 seat) public view {
        vm.assume(scores.length > 0 && scores.length <= 256);
        uint256 s = seat % scores.length + 1;
        bytes32 root = this.contractRoot(scores);
        bytes32[] memory proof = proofOf(scores, s);
        uint8 score = uint8(scores[s - 1]);
        vm.assertTrue(MerkleProof.verify(proof, root, Scores.leaf(s, score)));
        vm.assertFalse(MerkleProof.verify(proof, root, Scores.leaf(s, score ^ 1)));
        vm.assertFalse(MerkleProof.verify(proof, root, Scores.leaf(s + 1, score)));
    }

    function testFuzz_sizes_of_sets(uint256 set) public pure {
        uint256 n = 0;
        for (uint256 i = 0; i < 256; ++i) {
            n += (set >> i) & 1;
        }
        vm.assertEq(Scores.size(set), n);
    }
}
