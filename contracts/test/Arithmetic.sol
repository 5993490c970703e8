// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {F32, fma, fromUint} from "../src/Float32.sol";
import {Functions} from "../src/Functions.sol";
import {Philox} from "../src/Philox.sol";

/// Thousands of results in one call, for tests that compare them with those of `exact`: `conformance/contracts/` runs it in revm.
/// Functions have the referee's numbers. Words are big-endian here.
contract Arithmetic {
    function results(uint256 code, uint256 fn, bytes calldata words) external pure returns (bytes memory out) {
        uint256 takes = 4 * (code == 10 ? 3 : code == 3 ? 6 : code == 7 || code == 8 || code == 9 ? 2 : 1);
        uint256 gives = 4 * (code == 3 ? 4 : code == 9 ? 2 : 1);
        uint256 n = words.length / takes;
        // A word more, since whole words are written.
        out = new bytes(gives * n + 32);
        unchecked {
            for (uint256 i = 0; i < n; ++i) {
                uint256 value = result(code, fn, words[takes * i:]);
                assembly ("memory-safe") {
                    mstore(add(add(out, 32), mul(gives, i)), shl(sub(256, shl(3, gives)), value))
                }
            }
        }
        assembly ("memory-safe") {
            mstore(out, mul(gives, n))
        }
    }

    function result(uint256 code, uint256 fn, bytes calldata x) private pure returns (uint256) {
        uint256 a = word(x, 0);
        if (code == 4) return F32.unwrap(Functions.unit(a));
        if (code == 6) return F32.unwrap(Functions.unary(fn, F32.wrap(a)));
        if (code == 12) return F32.unwrap(fromUint(a));
        uint256 b = word(x, 1);
        if (code == 7) return F32.unwrap(Functions.binary(fn, F32.wrap(a), F32.wrap(b)));
        if (code == 8) return Functions.compare(fn, F32.wrap(a), F32.wrap(b));
        if (code == 9) {
            (bool fits, uint256 r) = Functions.integer(fn, a, b);
            return fits ? 1 << 32 | r : 0;
        }
        if (code == 10) return F32.unwrap(fma(F32.wrap(a), F32.wrap(b), F32.wrap(word(x, 2))));
        require(code == 3);
        return Philox.block128(uint128(bytes16(x[:16])), word(x, 4) << 32 | word(x, 5));
    }

    function word(bytes calldata x, uint256 i) private pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(224, calldataload(add(x.offset, shl(2, i))))
        }
    }
}
