// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @title What a swarm's scores come to: their chain, their medians, and the tree that rewards are claimed from.
/// @notice Pure functions. Seats are numbered from 1; byte `s - 1` of a list of scores is about seat `s`.
library Scores {
    /// @dev Scores come from one list of bytes for each seat that gave any.
    error WrongShape();

    /// @notice What a round's chain of scores begins with: no two rounds have the same.
    function start(uint256 swarmId, uint256 round) internal pure returns (bytes32) {
        return keccak256(abi.encode(swarmId, round));
    }

    /// @notice Adds what a seat gave to the chain of all that was given before.
    function chain(bytes32 before, uint256 seat, bytes calldata scores) internal pure returns (bytes32) {
        return keccak256(abi.encode(before, seat, keccak256(scores)));
    }

    /// @notice The median of what other seats think of `seat`, and the chain from `before` of all that is shown.
    /// @dev The lower one of an even number; zero without the opinions of half a quorum, or of one at the least.
    function median(bytes32 before, uint256 quorum, uint256 seat, uint256[] calldata scorers, bytes[] calldata given)
        internal
        pure
        returns (bytes32 all, uint8 middle)
    {
        all = before;
        if (scorers.length != given.length) revert WrongShape();
        // How often each score occurs. There are 255 of them, so that counting beats sorting.
        // slither-disable-next-line uninitialized-local (memory starts as zeros, and so does counting)
        uint256[255] memory times;
        uint256 opinions = 0;
        for (uint256 i = 0; i < scorers.length; ++i) {
            all = chain(all, scorers[i], given[i]);
            if (scorers[i] == seat) continue;
            if (seat == 0 || seat > given[i].length) revert WrongShape();
            uint256 opinion = uint8(given[i][seat - 1]);
            if (opinion == 255) continue;
            ++times[opinion];
            ++opinions;
        }
        if (opinions == 0 || 2 * opinions < quorum) return (all, 0);
        uint256 below = times[0];
        while (below <= (opinions - 1) / 2) {
            ++middle;
            below += times[middle];
        }
    }

    /// @notice The root of a result: a Merkle tree of its seats in their order, as OpenZeppelin's proofs expect it.
    /// @dev Each level pairs neighbours, hashing the smaller first; one left over goes up as it is.
    function root(bytes calldata scores) internal pure returns (bytes32) {
        uint256 width = scores.length;
        bytes32[] memory level = new bytes32[](width);
        for (uint256 i = 0; i < width; ++i) {
            level[i] = leaf(i + 1, uint8(scores[i]));
        }
        while (width > 1) {
            uint256 above = 0;
            for (uint256 i = 0; i + 1 < width; i += 2) {
                level[above++] = Hashes.commutativeKeccak256(level[i], level[i + 1]);
            }
            if (width & 1 == 1) level[above++] = level[width - 1];
            width = above;
        }
        return level[0];
    }

    /// @notice A leaf of a result: hashed twice, so that no inner node passes for one.
    function leaf(uint256 seat, uint8 score) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(seat, score))));
    }

    /// @notice How many seats are in a set.
    function size(uint256 set) internal pure returns (uint256 n) {
        while (set != 0) {
            set &= set - 1;
            ++n;
        }
    }
}
