// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Words of 32 bits, packed as memory has them: four bytes each, the lowest first.
library Words {
    /// @notice How many there are; bytes that make no whole word are not counted.
    function count(bytes calldata packed) internal pure returns (uint256) {
        return packed.length / 4;
    }

    /// @notice Word i, which must be there.
    function word(bytes calldata packed, uint256 i) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := swap(shr(224, calldataload(add(packed.offset, shl(2, i)))))

            function swap(x) -> y {
                y := or(or(shr(24, x), and(shr(8, x), 0xff00)), or(and(shl(8, x), 0xff0000), shl(24, and(x, 0xff))))
            }
        }
    }

    /// @notice One word, packed.
    function pack(uint256 only) internal pure returns (bytes memory) {
        return abi.encodePacked(_swapped(only));
    }

    /// @notice Two words, packed.
    function pack(uint256 first, uint256 second) internal pure returns (bytes memory) {
        return abi.encodePacked(_swapped(first), _swapped(second));
    }

    /// @notice Sixty-four words, packed.
    function pack(uint256[64] memory words) internal pure returns (bytes memory packed) {
        for (uint256 i = 0; i < 64; i += 8) {
            uint256 eight = 0;
            for (uint256 j = i; j < i + 8; ++j) {
                eight = eight << 32 | uint32(_swapped(words[j]));
            }
            packed = bytes.concat(packed, bytes32(eight));
        }
    }

    function _swapped(uint256 x) private pure returns (bytes4) {
        return bytes4(uint32(x >> 24 | (x >> 8 & 0xff00) | (x << 8 & 0xff0000) | (x & 0xff) << 24));
    }
}
