// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {F32, fma, sqrt} from "../src/Float32.sol";
import {Referee} from "../src/Referee.sol";
import {Records} from "../test/Records.sol";
import {vm} from "../test/Base.sol";

/// What the arithmetic costs, and what the referee does. Its functions are pure: no transaction is counted, only the call.
contract RefereeGas is Records {
    Referee referee = new Referee();

    /// Numbers with all their bits in use.
    function numbers(uint256 n) internal pure returns (bytes memory words) {
        words = new bytes(4 * n);
        for (uint256 i = 0; i < n; ++i) {
            uint256 x = 0x3f000000 + uint256(keccak256(abi.encode(i))) % 0x01000000;
            for (uint256 j = 0; j < 4; ++j) {
                words[4 * i + j] = bytes1(uint8(x >> (8 * j)));
            }
        }
    }

    function run(string memory name, bytes memory r, uint64 b, bytes memory state, bytes memory reads) internal {
        (bool valid,) = referee.run(r, 0, b, state, reads);
        vm.assertTrue(valid);
        vm.snapshotGasLastCall("Gas", string.concat("Referee.run, ", name));
    }

    function test_the_referee() public {
        bytes memory product = record(25, 0, 0, f32(8, 8), some(f32(8, 256), f32(256, 8)));
        run("64 steps of a product", product, 1, numbers(2), numbers(128));
        bytes memory sum = record(27, 0, 0, f32(), some(f32(256)));
        run("64 steps of a sum", sum, 1, numbers(64), numbers(64));
        run("the lanes of a sum", sum, 4, numbers(64), "");
        bytes memory dot = record(29, 0, 0, f32(), some(f32(256), f32(256)));
        run("64 steps of a dot", dot, 1, numbers(64), numbers(128));
        run("fma", record(10, 0, 0, f32(1), some(f32(1), f32(1), f32(1))), 0, "", numbers(3));
        run("exp", record(6, 5, 0, f32(1), some(f32(1))), 0, "", numbers(1));
        run("gelu_grad", record(7, 7, 0, f32(1), some(f32(1), f32(1))), 0, "", numbers(2));
        run("philox", record(3, 0, 0, u32(1, 4), some(u32(1, 4))), 0, "", numbers(4));
        referee.read(product, 9, 1, 77, numbers(77));
        vm.snapshotGasLastCall("Gas", "Referee.read, of a product");
    }

    /// The mean of 64 steps of a chain, as they stand in a block.
    function test_arithmetic() public {
        F32[65] memory x;
        for (uint256 i = 0; i < 65; ++i) {
            x[i] = F32.wrap(0x3f000000 + uint256(keccak256(abi.encode(i))) % 0x01000000);
        }
        F32 y = x[64];
        uint256 left = gasleft();
        for (uint256 i = 0; i < 64; ++i) y = fma(x[i], x[63 - i], y);
        uint256 gas = (left - gasleft()) / 64;
        vm.snapshotValue("Gas", "Float32.fma", gas);
        vm.assertTrue(gas <= 1_300, "a step of a chain: at most 1,300");
        left = gasleft();
        for (uint256 i = 0; i < 64; ++i) y = y + x[i];
        vm.snapshotValue("Gas", "Float32.add", (left - gasleft()) / 64);
        left = gasleft();
        for (uint256 i = 0; i < 64; ++i) y = y * x[i];
        vm.snapshotValue("Gas", "Float32.mul", (left - gasleft()) / 64);
        left = gasleft();
        for (uint256 i = 0; i < 64; ++i) y = y / x[i];
        vm.snapshotValue("Gas", "Float32.div", (left - gasleft()) / 64);
        left = gasleft();
        for (uint256 i = 0; i < 64; ++i) y = sqrt(y);
        vm.snapshotValue("Gas", "Float32.sqrt", (left - gasleft()) / 64);
    }
}
