// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Random numbers: Philox4x32-10, a function of a counter and a key.
library Philox {
    /// @notice Word `i` of a row of random words, given its seed: (seed low, seed high, stream, position), 32 bits each, the
    /// first in the highest of 128 bits.
    function word(uint256 seed, uint256 i) internal pure returns (uint256) {
        unchecked {
            uint256 counter = (i / 4) << 96 | (seed & 0xffffffff) << 64 | ((seed >> 32) & 0xffffffff) << 32;
            return (block128(counter, seed >> 64) >> (96 - 32 * (i % 4))) & 0xffffffff;
        }
    }

    /// @notice Ten rounds: a counter of four words and a key of two, the first word highest, to four words.
    function block128(uint256 counter, uint256 key) internal pure returns (uint256) {
        unchecked {
            (uint256 a, uint256 b) = (counter >> 96, (counter >> 64) & 0xffffffff);
            (uint256 c, uint256 d) = ((counter >> 32) & 0xffffffff, counter & 0xffffffff);
            (uint256 k, uint256 l) = (key >> 32, key & 0xffffffff);
            for (uint256 i = 0; i < 10; ++i) {
                (uint256 p, uint256 q) = (a * 0xd2511f53, c * 0xcd9e8d57);
                (a, b, c, d) = ((q >> 32) ^ b ^ k, q & 0xffffffff, (p >> 32) ^ d ^ l, p & 0xffffffff);
                (k, l) = ((k + 0x9e3779b9) & 0xffffffff, (l + 0xbb67ae85) & 0xffffffff);
            }
            return a << 96 | b << 64 | c << 32 | d;
        }
    }
}
