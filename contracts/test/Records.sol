// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// Records of operations and words of elements, as the referee takes them.
contract Records {
    /// A type: 0 for numbers or 1 for integers, then the axes.
    function ty(uint8 dtype, uint32[] memory dims) internal pure returns (bytes memory t) {
        t = abi.encodePacked(dtype, uint8(dims.length));
        for (uint256 i = 0; i < 6; ++i) {
            t = abi.encodePacked(t, i < dims.length ? dims[i] : 0);
        }
    }

    function f32() internal pure returns (bytes memory) {
        return ty(0, new uint32[](0));
    }

    function f32(uint32 a) internal pure returns (bytes memory) {
        uint32[] memory dims = new uint32[](1);
        dims[0] = a;
        return ty(0, dims);
    }

    function f32(uint32 a, uint32 b) internal pure returns (bytes memory) {
        uint32[] memory dims = new uint32[](2);
        (dims[0], dims[1]) = (a, b);
        return ty(0, dims);
    }

    function u32(uint32 a) internal pure returns (bytes memory t) {
        t = f32(a);
        t[0] = 0x01;
    }

    function u32(uint32 a, uint32 b) internal pure returns (bytes memory t) {
        t = f32(a, b);
        t[0] = 0x01;
    }

    function attributes(uint32 a, uint32 b) internal pure returns (uint256) {
        return uint256(a) << 224 | uint256(b) << 192;
    }

    function record(uint8 code, uint8 fn, uint256 attrs, bytes memory result, bytes[] memory operands)
        internal
        pure
        returns (bytes memory r)
    {
        r = abi.encodePacked(code, fn, uint8(operands.length), attrs, result);
        for (uint256 i = 0; i < operands.length; ++i) {
            r = abi.encodePacked(r, uint32(i), operands[i]);
        }
    }

    function some(bytes memory a) internal pure returns (bytes[] memory all) {
        all = new bytes[](1);
        all[0] = a;
    }

    function some(bytes memory a, bytes memory b) internal pure returns (bytes[] memory all) {
        all = new bytes[](2);
        (all[0], all[1]) = (a, b);
    }

    function some(bytes memory a, bytes memory b, bytes memory c) internal pure returns (bytes[] memory all) {
        all = new bytes[](3);
        (all[0], all[1], all[2]) = (a, b, c);
    }

    function some(bytes memory a, bytes memory b, bytes memory c, bytes memory d)
        internal
        pure
        returns (bytes[] memory all)
    {
        all = new bytes[](4);
        (all[0], all[1], all[2], all[3]) = (a, b, c, d);
    }

    /// Words as they are written here, each in the order of its digits, packed as the referee has them.
    function packed(bytes memory words) internal pure returns (bytes memory turned) {
        turned = new bytes(words.length);
        for (uint256 i = 0; i < words.length; ++i) {
            turned[i] = words[i ^ 3];
        }
    }

    /// The words 1, 2, 3 .. as integers.
    function count(uint256 n) internal pure returns (bytes memory words) {
        for (uint32 i = 1; i <= n; ++i) {
            words = abi.encodePacked(words, i);
        }
    }

    function repeated(bytes memory words, uint256 n) internal pure returns (bytes memory all) {
        all = new bytes(words.length * n);
        for (uint256 i = 0; i < all.length; ++i) {
            all[i] = words[i % words.length];
        }
    }
}
