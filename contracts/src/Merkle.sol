// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Merkle trees whose form follows from the number of their leaves.
/// @notice Each level pairs neighbours; a last node without a neighbour goes up as it is. Nothing is padded and nothing is doubled.
/// Nodes come as hashes one after another in bytes.
library Merkle {
    /// @notice How many levels one opening shows: 16 nodes instead of one.
    uint256 internal constant OPENED = 4;

    /// @dev Nodes of a tree have a preimage of their own kind: a byte 1, left, right.
    function node(bytes32 left, bytes32 right) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let free := mload(0x40)
            mstore8(free, 1)
            mstore(add(free, 1), left)
            mstore(add(free, 33), right)
            hash := keccak256(free, 65)
        }
    }

    /// @notice The level of the root of a tree of so many leaves.
    function height(uint256 leaves) internal pure returns (uint256 level) {
        while ((uint256(1) << level) < leaves) ++level;
    }

    /// @notice How many nodes a level has.
    function width(uint256 leaves, uint256 level) internal pure returns (uint256) {
        return (leaves + (uint256(1) << level) - 1) >> level;
    }

    /// @notice The node that `hash`, at `index` of a level that has `wide` nodes, leads to `levels` higher.
    /// @return whether the path has the length it must have.
    function climb(bytes32 hash, uint256 index, uint256 wide, uint256 levels, bytes calldata path)
        internal
        pure
        returns (bool, bytes32)
    {
        uint256 used = 0;
        if (index >= wide || path.length % 32 != 0) return (false, 0);
        for (uint256 i = 0; i < levels; ++i) {
            if (index ^ 1 < wide) {
                if (used + 32 > path.length) return (false, 0);
                bytes32 beside = bytes32(path[used:used + 32]);
                used += 32;
                hash = index & 1 == 0 ? node(hash, beside) : node(beside, hash);
            }
            index >>= 1;
            wide = (wide + 1) >> 1;
        }
        return (used == path.length, hash);
    }

    /// @notice Whether a leaf at `index` of `leaves` leads to `root`.
    function shows(bytes32 root, bytes32 leaf, uint256 index, uint256 leaves, bytes calldata path)
        internal
        pure
        returns (bool)
    {
        (bool right, bytes32 top) = climb(leaf, index, leaves, height(leaves), path);
        return right && top == root;
    }

    /// @notice What the nodes below node `index` of a level come to, if there are as many as there must be.
    function fold(uint256 leaves, uint256 level, uint256 index, bytes calldata below)
        internal
        pure
        returns (bool, bytes32)
    {
        uint256 down = level < OPENED ? level : OPENED;
        uint256 first = index << down;
        uint256 there = width(leaves, level - down);
        if (down == 0 || first >= there) return (false, 0);
        uint256 n = there - first < uint256(1) << down ? there - first : uint256(1) << down;
        if (below.length != 32 * n) return (false, 0);
        bytes32[] memory nodes = new bytes32[](n);
        for (uint256 i = 0; i < n; ++i) {
            nodes[i] = bytes32(below[32 * i:32 * i + 32]);
        }
        for (uint256 i = 0; i < down; ++i) {
            for (uint256 j = 0; 2 * j < n; ++j) {
                nodes[j] = 2 * j + 1 < n ? node(nodes[2 * j], nodes[2 * j + 1]) : nodes[2 * j];
            }
            n = (n + 1) >> 1;
        }
        return (true, nodes[0]);
    }
}
