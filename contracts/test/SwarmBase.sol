// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Scores} from "../src/Scores.sol";
import {Swarms} from "../src/Swarms.sol";
import {Base, vm} from "./Base.sol";

/// What a node does off the chain, done another way than the contract does it: medians by sorting, and Merkle proofs.
abstract contract SwarmBase is Base {
    uint32 constant COMMIT = 100;
    uint32 constant REVEAL = 200;
    uint32 constant SCORE = 300;
    uint32 constant CHALLENGE = 400;
    uint16 constant QUORUM = 4;
    address constant REFEREE = address(0xEFE);
    bytes32 constant SALT = "salt";

    function rules() internal view returns (Swarms.Rules memory) {
        return Swarms.Rules({
            start: uint64(block.timestamp),
            period: 500,
            commitTime: COMMIT,
            revealTime: REVEAL,
            scoreTime: SCORE,
            challengeTime: CHALLENGE,
            seats: 8,
            quorum: QUORUM,
            bond: 50,
            reward: 1_000_000,
            referee: REFEREE,
            spec: "spec"
        });
    }

    function median(uint16 quorum, uint256 seat, uint256[] memory scorers, bytes[] memory given)
        internal
        pure
        returns (uint8)
    {
        uint8[] memory sorted = new uint8[](scorers.length);
        uint256 n = 0;
        for (uint256 i = 0; i < scorers.length; ++i) {
            uint8 opinion = uint8(given[i][seat - 1]);
            if (scorers[i] == seat || opinion == 255) continue;
            uint256 j = n++;
            for (; j > 0 && sorted[j - 1] > opinion; --j) {
                sorted[j] = sorted[j - 1];
            }
            sorted[j] = opinion;
        }
        return n < (uint256(quorum) + 1) / 2 ? 0 : sorted[(n - 1) / 2];
    }

    /// The Merkle proof of one seat in a result.
    function proofOf(bytes memory result, uint256 seat) internal pure returns (bytes32[] memory proof) {
        bytes32[] memory level = new bytes32[](result.length);
        for (uint256 i = 0; i < level.length; ++i) {
            level[i] = Scores.leaf(i + 1, uint8(result[i]));
        }
        bytes32[] memory path = new bytes32[](9);
        uint256 n = 0;
        uint256 place = seat - 1;
        while (level.length > 1) {
            if (place ^ 1 < level.length) path[n++] = level[place ^ 1];
            bytes32[] memory above = new bytes32[]((level.length + 1) / 2);
            for (uint256 i = 0; i < above.length; ++i) {
                above[i] = 2 * i + 1 < level.length ? pair(level[2 * i], level[2 * i + 1]) : level[2 * i];
            }
            level = above;
            place /= 2;
        }
        proof = new bytes32[](n);
        for (uint256 i = 0; i < n; ++i) {
            proof[i] = path[i];
        }
    }

    function pair(bytes32 a, bytes32 b) internal pure returns (bytes32) {
        return a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
    }

    function repeated(uint8 score, uint256 n) internal pure returns (bytes memory scores) {
        scores = new bytes(n);
        for (uint256 i = 0; i < n; ++i) {
            scores[i] = bytes1(score);
        }
    }
}
