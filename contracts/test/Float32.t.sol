// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;
import "../src/Float32.sol";
import {vm} from "./Base.sol";
contract Float32Test {
    function g(F32 a, F32 b, F32 c) external view returns (uint256 r) {
        uint256 x = gasleft(); fma(a, b, c); r = x - gasleft();
    }
    event G(string, uint256);
    function test_gas() public {
        F32 a = F32.wrap(0x3f812345); F32 b = F32.wrap(0xbf812345); F32 c = F32.wrap(0x41412345);
        uint256 x = gasleft(); fma(a,b,c); emit G("fma", x - gasleft());
        x = gasleft(); a + b; emit G("add", x - gasleft());
        x = gasleft(); a * b; emit G("mul", x - gasleft());
        x = gasleft(); a / b; emit G("div", x - gasleft());
        x = gasleft(); sqrt(a); emit G("sqrt", x - gasleft());
    }
}
