// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {MalformedOperation} from "../src/Operation.sol";
import {Referee} from "../src/Referee.sol";
import {vm} from "./Base.sol";
import {Records} from "./Records.sol";

/// The referee by small examples, each worked out by hand; `conformance/contracts/` compares it with its mirror in Rust, at random.
contract RefereeTest is Records {
    Referee referee = new Referee();

    bytes constant NO_VALUE = "none";

    function word(bytes memory words, uint256 i) internal pure returns (bytes memory) {
        return abi.encodePacked(words[4 * i], words[4 * i + 1], words[4 * i + 2], words[4 * i + 3]);
    }

    /// One element, as a dispute would come to it: block by block, with what each asks for.
    function element(bytes memory r, uint64 e, bytes[] memory data) internal view returns (bytes memory) {
        bytes memory state;
        uint64 n = referee.blocks(r);
        for (uint64 b = 0; b < n || b == 0; ++b) {
            bytes memory reads;
            while (true) {
                (uint8 operand, uint64 index) = referee.read(r, e, b, reads.length / 4, reads);
                if (operand == 255) break;
                reads = abi.encodePacked(reads, packed(word(data[operand], index)));
            }
            bool valid;
            (valid, state) = referee.run(r, e, b, state, reads);
            if (!valid) return NO_VALUE;
        }
        return packed(state);
    }

    /// All elements of a result, which must be these.
    function check(bytes memory r, bytes[] memory data, bytes memory expected) internal view {
        bytes memory got;
        for (uint64 e = 0; e < expected.length / 4; ++e) {
            got = abi.encodePacked(got, element(r, e, data));
        }
        vm.assertEq(got, expected);
    }

    function none(bytes memory r, bytes[] memory data, uint64 e) internal view {
        vm.assertEq(element(r, e, data), NO_VALUE);
    }

    // ------------------------------------------------------------ settled at once

    function test_made_from_nothing() public view {
        bytes[] memory no = new bytes[](0);
        check(record(1, 0, attributes(7, 0), u32(2), no), no, hex"0000000700000007");
        check(record(2, 0, attributes(0, 0), u32(2, 2), no), no, hex"00000000000000000000000100000001");
        check(record(2, 0, attributes(1, 0), u32(2, 2), no), no, hex"00000000000000010000000000000001");
    }

    function test_random_words() public view {
        // The second row's first block is a known answer of Random123: counter and key of zeros.
        bytes memory r = record(3, 0, 0, u32(2, 6), some(u32(2, 4)));
        bytes memory seeds = hex"00000001000000020000000300000004_00000000000000000000000000000000";
        bytes[] memory data = some(seeds);
        vm.assertEq(element(r, 6, data), hex"6627e8d5");
        vm.assertEq(element(r, 7, data), hex"e169c58d");
        vm.assertEq(element(r, 9, data), hex"9b00dbd8");
        vm.assertTrue(keccak256(element(r, 10, data)) != keccak256(hex"6627e8d5"));
        check(record(4, 0, 0, f32(2), some(u32(2))), some(hex"00000000ffffffff"), hex"338000003f7fffff");
    }

    function test_element_by_element() public view {
        check(record(5, 0, 0, f32(2, 1), some(f32(2))), some(hex"0000000a0000000b"), hex"0000000a0000000b");
        check(record(6, 0, 0, f32(1), some(f32(1))), some(hex"3f800000"), hex"bf800000");
        // [2, 1] - [2]
        bytes memory r = record(7, 1, 0, f32(2, 2), some(f32(2, 1), f32(2)));
        check(r, some(hex"4000000040400000", hex"3f80000040000000"), hex"3f80000000000000400000003f800000");
        r = record(8, 0, 0, u32(2), some(f32(2), f32()));
        check(r, some(hex"3f80000040000000", hex"40000000"), hex"0000000100000000");
        r = record(9, 0, 0, u32(2), some(u32(2), u32(2)));
        bytes[] memory data = some(hex"00000001ffffffff", hex"0000000200000001");
        vm.assertEq(element(r, 0, data), hex"00000003");
        none(r, data, 1);
        r = record(9, 1, 0, u32(2), some(u32(2), u32(2)));
        none(r, data, 0);
        r = record(10, 0, 0, f32(1), some(f32(1), f32(1), f32(1)));
        check(r, some(hex"40000000", hex"40400000", hex"3f800000"), hex"40e00000");
        check(record(12, 0, 0, f32(1), some(u32(1))), some(hex"ffffffff"), hex"4f800000");
        check(record(14, 0, 0, f32(2, 2), some(f32(2))), some(count(2)), hex"00000001000000020000000100000002");
    }

    function test_select_reads_only_what_it_takes() public view {
        bytes memory r = record(11, 0, 0, f32(2), some(u32(2), f32(2), f32(1)));
        check(r, some(hex"0000000000000005", count(2), hex"00000009"), hex"0000000900000002");
        (uint8 operand, uint64 index) = referee.read(r, 1, 0, 1, packed(hex"00000000"));
        vm.assertTrue(operand == 2 && index == 0);
        (operand,) = referee.read(r, 1, 0, 2, packed(hex"0000000000000009"));
        vm.assertEq(operand, 255);
    }

    function test_moved() public view {
        bytes[] memory x = some(count(6));
        bytes memory t = f32(2, 3);
        bytes memory turned = hex"000000010000000400000002000000050000000300000006";
        check(record(13, 0, attributes(1, 0), f32(3, 2), some(t)), x, turned);
        check(record(15, 0, attributes(1, 1), f32(2, 2), some(t)), x, hex"00000002000000030000000500000006");
        bytes memory padded = hex"0000000000000001000000020000000300000000_0000000000000004000000050000000600000000";
        check(record(16, 0, attributes(1, 1), f32(2, 5), some(t)), x, padded);
        bytes memory both = hex"00000001000000020000000300000001_00000004000000050000000600000002";
        check(record(17, 0, attributes(1, 0), f32(2, 4), some(t, f32(2, 1))), some(count(6), count(2)), both);
        check(record(18, 0, attributes(0, 0), t, some(t)), x, hex"000000040000000500000006000000010000000200000003");
    }

    function test_by_id() public view {
        bytes memory r = record(19, 0, 0, f32(3, 2), some(f32(2, 2), u32(3)));
        bytes[] memory data = some(count(4), hex"000000010000000000000002");
        check(r, data, hex"00000003000000040000000100000002_6e6f6e65_6e6f6e65"); // "none"
        r = record(21, 0, 0, f32(2), some(f32(2, 3), u32(2)));
        check(r, some(count(6), hex"0000000200000003"), hex"00000003_6e6f6e65");
        r = record(22, 0, attributes(2, 0), f32(3, 2), some(u32(3), f32(3)));
        check(r, some(hex"000000010000000000000002", count(3)), hex"00000000000000010000000200000000_6e6f6e656e6f6e65");
        // Rows of two, written from row 1 on in the first sequence and from row 2 on, which does not fit, in the second.
        r = record(23, 0, 0, f32(2, 3), some(f32(2, 3), f32(2, 2), u32(2)));
        data = some(count(6), hex"0000000a0000000b0000000c0000000d", hex"0000000100000002");
        check(r, data, hex"000000010000000a0000000b_6e6f6e656e6f6e656e6f6e65");
    }

    function test_patches() public view {
        // One image of 1 x 2 x 2 with one channel, kernel 1 x 2 x 2, a rim of one column on either side.
        uint32[] memory dims = new uint32[](5);
        (dims[0], dims[1], dims[2], dims[3], dims[4]) = (1, 1, 2, 2, 1);
        uint256 attrs = uint256(1) << 224 | uint256(2) << 192 | uint256(2) << 160 | uint256(1) << 64;
        bytes memory patches = hex"00000000000000010000000000000003" hex"00000001000000020000000300000004"
            hex"00000002000000000000000400000000";
        check(record(24, 0, attrs, f32(3, 4), some(ty(0, dims))), some(count(4)), patches);
    }

    function test_numbers_of_few_bits() public view {
        // Two groups of a word of 8 bits each; scales 1 and 2, shifts 0 and 1.
        bytes memory r = record(31, 0, attributes(8, 0), f32(8, 1), some(u32(2, 1), f32(2, 1), f32(2, 1)));
        bytes[] memory data = some(hex"0403020108070605", hex"3f80000040000000", hex"000000003f800000");
        check(r, data, hex"3f800000400000004040000040800000_41300000415000004170000041880000");
        // Both words in one group.
        r = record(31, 0, attributes(8, 0), f32(8, 1), some(u32(2, 1), f32(1, 1), f32(1, 1)));
        data = some(hex"0403020108070605", hex"3f800000", hex"00000000");
        check(r, data, hex"3f800000400000004040000040800000_40a0000040c0000040e0000041000000");
    }

    // ------------------------------------------------------------ chains

    function test_products_either_way_round() public view {
        // [1 2 3; 4 5 6] times [1 2; 3 4; 5 6], in numbers.
        bytes memory a = hex"3f8000004000000040400000_4080000040a0000040c00000";
        bytes memory t = hex"3f80000040800000_4000000040a00000_4040000040c00000";
        bytes memory b = hex"3f80000040000000_4040000040800000_40a0000040c00000";
        bytes memory bt = hex"3f8000004040000040a00000_400000004080000040c00000";
        bytes memory c = hex"41b0000041e00000_4244000042800000";
        check(record(25, 0, attributes(0, 0), f32(2, 2), some(f32(2, 3), f32(3, 2))), some(a, b), c);
        check(record(25, 0, attributes(1, 0), f32(2, 2), some(f32(3, 2), f32(3, 2))), some(t, b), c);
        check(record(25, 0, attributes(0, 1), f32(2, 2), some(f32(2, 3), f32(2, 3))), some(a, bt), c);
        check(record(25, 0, attributes(1, 1), f32(2, 2), some(f32(3, 2), f32(2, 3))), some(t, bt), c);
    }

    function test_products_are_cut_at_512() public view {
        // 2^24 and two ones beyond the cut: added to each other first, they count.
        bytes memory a = abi.encodePacked(hex"4b800000", repeated(hex"00000000", 511), repeated(hex"3f800000", 2));
        bytes memory ones = repeated(hex"3f800000", 514);
        bytes memory r = record(25, 0, 0, f32(1, 1), some(f32(1, 514), f32(514, 1)));
        vm.assertEq(referee.blocks(r), 9);
        check(r, some(a, ones), hex"4b800001");
        // Within one cut they do not. Nor is the first cut added to a zero, which would lose a sign.
        r = record(25, 0, 0, f32(1, 1), some(f32(1, 3), f32(3, 1)));
        check(r, some(hex"4b8000003f8000003f800000", repeated(hex"3f800000", 3)), hex"4b800000");
        a = abi.encodePacked(repeated(hex"80000001", 513));
        r = record(25, 0, 0, f32(1, 1), some(f32(1, 513), f32(513, 1)));
        check(r, some(a, repeated(hex"30000000", 513)), hex"80000000");
        r = record(25, 0, 0, f32(1, 1), some(f32(1, 0), f32(0, 1)));
        vm.assertEq(referee.blocks(r), 1);
        check(r, some("", ""), hex"00000000");
    }

    function ragged(uint32 low, uint32 high, uint32 k, bytes memory expected) internal view {
        bytes memory r = record(26, 0, 0, f32(1, 1), some(f32(1, k), f32(k, 1), u32(1), u32(1)));
        bytes memory a = abi.encodePacked(repeated(hex"3f800000", k - 2), hex"4b8000003f800000");
        bytes[] memory data =
            some(a, repeated(hex"3f800000", k), abi.encodePacked(low), abi.encodePacked(high));
        check(r, data, expected);
    }

    function test_ragged_products() public view {
        ragged(0, 2, 6, hex"40000000");
        ragged(1, 4, 6, hex"40400000");
        ragged(3, 3, 6, hex"00000000");
        ragged(2, 6, 6, hex"4b800002"); // 2 + 2^24, and then 1 more, which is a tie
        ragged(4, 3, 6, NO_VALUE);
        ragged(0, 7, 6, NO_VALUE);
        // A range that begins at a cut has nothing before it; one across it adds up two.
        ragged(512, 514, 516, hex"40000000");
        ragged(510, 516, 516, hex"4b800003"); // 2, and 2 + 2^24 + 1, which is rounded up to 2^24 + 4
        ragged(0, 10, 516, hex"41200000");
    }

    function test_folds() public view {
        // Element 64 goes to lane 0, after element 0; lanes 0 and 32 meet first. 2^24 + 1 is a tie, 2^24 + 2 is not.
        bytes memory x = repeated(hex"00000000", 66);
        (x[0], x[1], x[4], x[5]) = (0x4b, 0x80, 0x3f, 0x80);
        (x[4 * 65], x[4 * 65 + 1]) = (0x3f, 0x80);
        bytes memory r = record(27, 0, 0, f32(), some(f32(66)));
        vm.assertEq(referee.blocks(r), 3);
        check(r, some(x), hex"4b800001");
        (x[4], x[5], x[4 * 64], x[4 * 64 + 1]) = (0x00, 0x00, 0x3f, 0x80);
        check(r, some(x), hex"4b800000");
        check(record(27, 0, 0, f32(), some(f32(1))), some(hex"80000000"), hex"00000000");
        check(record(27, 0, 0, f32(2), some(f32(0, 2))), some(""), hex"0000000000000000");
        check(record(27, 0, attributes(1, 0), f32(2), some(f32(2, 2))), some(hex"3f800000400000004040000040800000"), hex"4040000040e00000");
        r = record(29, 0, 0, f32(), some(f32(2), f32(2)));
        check(r, some(hex"3f80000040000000", hex"4040000040800000"), hex"41300000");
        r = record(28, 0, 0, f32(2), some(f32(3, 2)));
        check(r, some(hex"80000000_c0000000_00000000_7fc00000_bf800000_ff800000"), hex"000000007fc00000");
        check(record(28, 0, 0, f32(), some(f32(1))), some(hex"ff800000"), hex"ff800000");
    }

    function test_searches() public view {
        bytes memory r = record(30, 0, 0, u32(4), some(f32(4, 3)));
        bytes memory x = hex"3f8000004000000040000000" hex"000000008000000080000000" hex"7f8000007fc000007fc00000"
            hex"ff800000ff800000bf800000";
        check(r, some(x), hex"00000001000000000000000100000002");
        // In the second block as well.
        r = record(30, 0, 0, u32(1), some(f32(1, 70)));
        check(r, some(abi.encodePacked(repeated(hex"00000000", 69), hex"3f800000")), hex"00000045");
    }

    function test_ranks_and_running_sums() public view {
        bytes memory r = record(32, 0, 0, u32(1, 6), some(f32(1, 6)));
        bytes[] memory x = some(hex"00000000_7fc00000_3f800000_80000000_7fc00000_ff800000");
        check(r, x, hex"000000030000000000000002000000040000000100000005");
        r = record(33, 0, 0, f32(2, 3), some(f32(2, 3)));
        x = some(hex"3f8000004000000040800000_80000000800000003f800000");
        check(r, x, hex"000000003f80000040400000_000000000000000000000000");
        r = record(33, 0, 0, f32(1, 70), some(f32(1, 70)));
        vm.assertEq(element(r, 69, some(repeated(hex"3f800000", 70))), hex"428a0000");
        vm.assertEq(element(r, 64, some(repeated(hex"3f800000", 70))), hex"42800000");
    }

    function test_scatter() public view {
        bytes memory r = record(20, 0, attributes(2, 0), f32(2, 2), some(u32(3), f32(3, 2)));
        bytes memory rows = hex"3f80000040000000_80000000bf800000_4040000040800000";
        check(r, some(hex"000000010000000000000001", rows), hex"00000000bf8000004080000040c00000");
        none(r, some(hex"000000010000000200000001", rows), 0);
    }

    // ------------------------------------------------------------ what is refused

    function refused(bytes memory r, uint64 b, bytes memory state, bytes memory reads) internal view {
        (bool valid, bytes memory next) = referee.run(r, 0, b, packed(state), packed(reads));
        vm.assertFalse(valid);
        vm.assertEq(next.length, 0);
    }

    function test_states_and_reads_have_the_lengths_of_the_rule() public view {
        bytes memory add = record(7, 0, 0, f32(1), some(f32(1), f32(1)));
        refused(add, 0, "", count(1));
        refused(add, 0, "", count(3));
        refused(add, 0, count(1), count(2));
        refused(add, 1, "", count(2));
        refused(add, 1, count(1), count(2));
        (bool valid,) = referee.run(add, 0, 0, "", hex"0000000000000000ff");
        vm.assertFalse(valid);
        bytes memory product = record(25, 0, 0, f32(1, 1), some(f32(1, 65), f32(65, 1)));
        refused(product, 0, "", count(127));
        refused(product, 0, count(2), count(128));
        refused(product, 1, "", count(2));
        refused(product, 1, count(1), count(2));
        refused(product, 1, count(2), count(4));
        refused(product, 2, count(2), "");
        (valid,) = referee.run(product, 0, 1, packed(count(2)), packed(count(2)));
        vm.assertTrue(valid);
        bytes memory sum = record(27, 0, 0, f32(), some(f32(3)));
        refused(sum, 1, count(63), "");
        refused(sum, 1, count(64), count(1));
        refused(record(26, 0, 0, f32(1, 1), some(f32(1, 1), f32(1, 1), u32(1), u32(1))), 1, count(2), hex"0000000000000001");
    }

    function test_what_is_no_operation_is_refused() public {
        bytes memory add = record(7, 0, 0, f32(1), some(f32(1), f32(1)));
        vm.expectRevert(MalformedOperation.selector);
        referee.blocks(abi.encodePacked(add, hex"00"));
        add[36] = 0x07;
        vm.expectRevert(MalformedOperation.selector);
        referee.blocks(add);
        vm.expectRevert(abi.encodeWithSelector(Referee.UnknownOperation.selector, 34));
        referee.run(record(34, 0, 0, f32(1), some(f32(1))), 0, 0, "", "");
        vm.expectRevert(MalformedOperation.selector);
        referee.blocks("");
    }
}
