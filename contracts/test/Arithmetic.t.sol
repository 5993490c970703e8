// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {F32, fma, fromInt, fromUint, sqrt} from "../src/Float32.sol";
import {Arithmetic} from "./Arithmetic.sol";
import {vm} from "./Base.sol";

/// The committed vectors of `exact` for functions of numbers, `crates/exact/vectors/functions.txt`: their inputs are here, of their
/// outputs the hash. `conformance/contracts/` compares millions of others, and these hashes with that file.
contract ArithmeticTest is Arithmetic {
    /// The corners that functions of one number are tried at.
    bytes constant ONE_BY_ONE =
        hex"00000000_80000000_3f800000_bf800000_7f800000_ff800000_7fc00000_00000001_80000001_00400000"
        hex"807fffff_00800000_80800000_00800001_7f7fffff_ff7fffff_7f000000_1f800000_20000000_9fc00000"
        hex"5f800000_df800001_3f800001_3f7fffff_bf800001_33000000_33800000_33800001_4b000000_4b000001"
        hex"4b800000_cb800001_42b17218_42b17217_c2aeac50_c2cff1b5_47c35000_47c35001_40490fdb_7149f2ca"
        hex"80025cc1_040eec67_8832555e_8c42c90b_9001b5b9_94150280_98363ca5_1c278575_207e3da8_24616796"
        hex"28564f61_2c4f8bfe_302a5dc0_b457a28a_384c57a8_bc794a3b_c07d0b63_442baaf1_482f89ee_4c6f6508"
        hex"50698746_542a449c_d8548fcd_5c7306ac_e02ab99f_e477b6f7_e84a7135_6c2df7ab_705bcd27_7409778a"
        hex"7845d084_fc0789ba_3f000000_3f200000_3f1ff972_41180000_411828f6_3fc00000_40200000_40500000"
        hex"3dcccccd_3f400000_41200000_c1200000_43160000_c316199a_49742400_7f61b1e6_3ebac1a8_3f7f2118"
        hex"3ec3dde0_3f87e504_bf40eee8_bf1d0f10_3f67c93c_3f74d34c_bf7fae20_3f691428_bf245ef0_be7eaa00"
        hex"3e648580_bf0139b0_3fdd2f3e_bf97dd24_bf9987f8_bf0b06e4_befa3698_bf946226_bfe75266_3de08f20"
        hex"bef3b2a8_bf2d5ff8_3fd5177a_3f7602d0_3dcebb00_3ef54ab0_bffa07c4_bf4be4b8_3fbbf9b2_3ed3d538";
    /// Those of which all pairs are tried.
    bytes constant PAIRS =
        hex"00000000_80000000_3f800000_bf800000_7f800000_ff800000_7fc00000_00000001_80000001_00400000"
        hex"807fffff_00800000_80800000_00800001_7f7fffff_ff7fffff_7f000000_1f800000_3f800001_33800000"
        hex"4b800000";
    /// Those of which all triples are tried.
    bytes constant TRIPLES =
        hex"00000000_80000000_3f800000_bf800001_7f800000_7fc00000_00000001_80800000_7f7fffff_33800000";
    /// Triples next to ties.
    bytes constant TIES =
        hex"3f818fed_3f81a989_0da24260_3fabc9cf_3fb79996_2489705f_3fbefdb8_3f859216_0da24260"
        hex"3f836b72_3fd47acc_0da24260_3f8fdcf4_3fb49fc3_0da24260_3f8293ea_3fa87de6_0da24260"
        hex"3f8e06a8_3fc2cf2d_b3800000_3f8389c6_3f9d2193_b3800000_3fe0bf94_3f80dbf5_0da24260"
        hex"3fbda4bd_3f9046d7_0da24260_3fd88371_3faea2a1_b4000000_3f948788_3f9251cf_b3800000"
        hex"3ff6e02b_3fe60b18_b4000000_3f954cd0_3fb365e3_33800000_3fbe57ef_3f9b3490_b3800000"
        hex"3ff77a23_3fcc5eab_8da24260_3f8b313c_3fa6dc9e_2489705f_3faaeb2f_3f80bf61_8da24260"
        hex"3f8425e6_3fdbef57_0da24260_3fc7c483_3fab7d04_0da24260_3f9a9e3f_3f8ba108_2489705f"
        hex"3fe0928d_3f8c1397_8da24260_3faf7e2e_3fb9c038_0da24260_3fd8a56b_3fa7bb79_8da24260"
        hex"3fcdc98f_3fab6ee5_8da24260_3fdd2935_3fa2b6f6_2509705f_3fb09497_3fd535c6_0da24260"
        hex"3fc1e64d_3fb1db86_b4000000_3fd621e2_3fdf0ec2_34000000_3fc471a5_3fe248c2_b4000000"
        hex"3fe1fd8f_3ff0be19_8da24260_3fbade8e_3f89ea02_33800000_3fff2cfa_3f9a2809_8da24260"
        hex"3fd1d923_3fd3e5e5_8da24260_3fd9deb4_3f8d6a8e_2489705f_3f804acc_3f83a39c_8da24260"
        hex"3f99a1f4_3ff191da_8da24260_3faef33c_3f800086_33800000_3ffd8193_3ff73dbd_34000000"
        hex"3ff04398_3faba0dc_2509705f_3fbb4445_3fa8c722_b3800000_3fb8aca1_3fb7916f_2509705f"
        hex"3fa711c5_3f83e148_33800000_3f8061bf_3fd3a41b_33800000_3fabe849_3fa02006_33800000"
        hex"3fc70e5d_3f907899_b3800000_3fe94ffc_3f801b6f_b3800000_3f9ec8c6_3fe8848a_34000000"
        hex"3fc268d6_3ff40090_2509705f_3fad1aa2_3f96304e_b3800000_3ff01928_3fb94830_b4000000"
        hex"3f900a24_3fd39950_0da24260_3ffb9447_3fdee56b_0da24260_3ffa6dbe_3fc9da4e_2509705f"
        hex"3fa2f035_3fdb2321_b4000000_3fabe3dc_3ffd9c27_34000000_3fa960df_3fe89d3d_2509705f"
        hex"3ff8bbf2_3fd9a167_b4000000_3f9181a5_3f99cad9_8da24260_3fbca0fa_3f98fe36_b3800000"
        hex"3fea15ed_3fd2a351_0da24260_3fe80f6a_3faedab1_0da24260_3fe17772_3ff2f407_b4000000"
        hex"3fbabe70_3f90b9cf_8da24260_3fba0912_3fd6beb8_8da24260_3fff5a71_3fcb2a2f_0da24260"
        hex"3f847e6c_3fb5ea06_33800000_3fe3b542_3fb76416_0da24260_3fe882f7_3fab0f3b_b4000000"
        hex"3fc77299_3f8649a9_33800000_3fa5a7b8_3f8458cb_33800000_3fc5fb9e_3f8209a8_8da24260"
        hex"3ff8f67d_3ffe8318_2509705f_3faccf92_3ff2e28c_2509705f_3fbc00c1_3fa2884d_b3800000"
        hex"3faec25b_3f9d774f_0da24260_3fd964bd_3fb53e2e_b4000000_3f880e5b_3fd22d47_0da24260"
        hex"3fe53342_3fe965bf_34000000_3ff2d600_3fd30982_34000000_3f9ad896_3fc75258_2489705f"
        hex"3fe6d658_3f9f5148_8da24260_3fcddba6_3fed17c7_8da24260_3fe853a0_3fe44c93_8da24260"
        hex"3f9b4613_3fb69b3b_8da24260_3fbb1b48_3fd353b6_34000000_3ff74b3d_3fc6692c_0da24260"
        hex"3fc195a4_3fbd2ad8_b4000000_3ff909f6_3f8fd221_8da24260_3ff5a37e_3fc53635_2509705f"
        hex"3fc17225_3fa33ffa_0da24260_3fe96c00_3fff9dd6_2509705f_3fe595f5_3fd27828_8da24260"
        hex"3f837933_3fac84dc_8da24260_3fa19ad1_3fe93c43_2509705f_3f919df5_3fec410a_8da24260"
        hex"3f92220e_3ff975fa_8da24260_3ffa619b_3fc2ef55_2509705f_3f91602b_3f950de2_33800000"
        hex"3fa68e37_3fc120e1_2489705f_3fe2064c_3fb513cf_2509705f_3fab0a2d_3fcc0447_8da24260"
        hex"3fae570d_3fdb7c50_34000000_3fbc0e35_3ff3a307_2509705f_3fe1aba2_3fa61ab8_2509705f"
        hex"3ffc31ce_3fdc768e_0da24260_3f912761_3f99f805_0da24260_3f8b6947_3febc43f_34000000"
        hex"3fa84f26_3f89220f_8da24260_3ff2aaf4_3ffe63d1_8da24260_3ff58cd4_3fa26747_2509705f"
        hex"3f9606e5_3f86113e_8da24260_3fcebe27_3f904b38_0da24260_3fadf25d_3fa7bf7c_b3800000"
        hex"3ff8a66a_3fd37bb7_b4000000_3ff6cecb_3f8f19cc_8da24260_3fd3fbea_3f9604c7_33800000"
        hex"3fcef4be_3f8aa802_b3800000_3f8f0256_3f88b94a_0da24260_3fc900ea_3fb38517_34000000";

    function agree(uint256 code, uint256 fn, bytes memory words, bytes32 expected, string memory name) internal view {
        vm.assertTrue(keccak256(this.results(code, fn, words)) == expected, name);
    }

    function test_functions_of_one_number() public view {
        agree(6, 0, ONE_BY_ONE, 0x467b351b1a7eda2e4742b8ec00e116733cf90cd17b13f80400595d71c3ee35a5, "neg");
        agree(6, 1, ONE_BY_ONE, 0x37f393954fdaa5371384f3a1b359ecf1c98cdca09385a821582764f94f2e88a8, "abs");
        agree(6, 2, ONE_BY_ONE, 0x4160b9bae58380ab8af88bf77638e62a835b772a5dc3b4a2105bd893770c20b1, "sqrt");
        agree(6, 3, ONE_BY_ONE, 0x2db832b7263de7110754a1451336175a39920d6cc45b40c63736ba9306f114e2, "rsqrt");
        agree(6, 4, ONE_BY_ONE, 0xb4997e620e26ef5c2f5c8b08f6f0752418b1b9d1ed63aad17783d4e118983d33, "recip");
        agree(6, 5, ONE_BY_ONE, 0xfcfbff9b83c0bb91e668fe0804478e15be942cba4b731c0c8b6ae18a4e1e36c8, "exp");
        agree(6, 6, ONE_BY_ONE, 0x6a66fe30149204110f4c1e7ec498a626a5f7f87d6d6d7c8c623d8d6ea9ce0a1d, "log");
        agree(6, 7, ONE_BY_ONE, 0x76e04e26ff69eaed40514aca706d200404bcb8b7cc624769115bf6f5a20e0e29, "tanh");
        agree(6, 8, ONE_BY_ONE, 0x99d4b0a7e17d6abeb77c93a6220bc2c6c64f7510a453e9200b9c13b4a35bb28e, "sin");
        agree(6, 9, ONE_BY_ONE, 0x45fb8733eea54d72ebee08c9d10aafe0a6dc60b9a14405073cf8afa944a31c12, "cos");
        agree(6, 10, ONE_BY_ONE, 0x256f3edb2fabe9e76b1bf2183a2e662e55ea9ce56ea6a1f472ded3b936f67913, "sigmoid");
        agree(6, 11, ONE_BY_ONE, 0x762382eed88b4d2c54391a82f264c8363c4e3664b8f77759922dca4bdb4645f7, "silu");
        agree(6, 12, ONE_BY_ONE, 0xce64b8a4f501954c99d5658b1ffb55ad710ff10b962671546fbd92149b589714, "gelu");
        agree(6, 13, ONE_BY_ONE, 0x06bb447520f6315f0a7eca517e7ea93b6c1b5c5b711c38d76de8327d22dfd67f, "relu");
    }

    function test_functions_of_two_numbers() public view {
        bytes memory pairs = all(PAIRS, 2);
        agree(7, 0, pairs, 0x569af5276d97a12fcf7c47603ea701d1ef6d52e062125862121d265caac75f8a, "add");
        agree(7, 1, pairs, 0xa6480e78de46a625e50805a4bad321d7045214589b13798f661d933a76fd5105, "sub");
        agree(7, 2, pairs, 0xf041c7f2db08e6086692cc199e78dfe7b575c71299c3ae505740e07292698756, "mul");
        agree(7, 3, pairs, 0xb734e42d435784620db2ee9ef85a43f6c648a62a5d2d8b572956bfa77e4fd9ca, "div");
        agree(7, 4, pairs, 0x0d55f5de1a25b1a1130878ce08e3682cb3d947c21b943260652c230e44564920, "max");
        agree(7, 5, pairs, 0x6739d1b5b7735f202b75f11c16090a8c73d902abeb71da38ebeee35049ff44a6, "min");
        agree(7, 6, pairs, 0x3e6a4bbd3928d61d2735f2b7bac23b7f7e28e40b7551643cd3db5d19736f889b, "silu_grad");
        agree(7, 7, pairs, 0xeca2188f8a3684a086d2d88e5e96888d385abb0706a7c2b6be5d411e2a2e0b24, "gelu_grad");
        agree(7, 8, pairs, 0x79199300cac41f9675249de221097532f6907074b89804037bb6ece58b23e2bd, "relu_grad");
        agree(8, 0, pairs, 0xfbbc35c188fb39a78ac610a60b7bb9ff328558f66f5e7ce070312fd87a27f8a5, "lt");
        agree(8, 1, pairs, 0xcd41493666a9641225ab38030f9aae332b67c101c66fbe55ed98ab439d478862, "le");
        agree(8, 2, pairs, 0xa480ccc9cc821016f88ef1899378cdb65265105a216d46e5d174853f3b86aeca, "eq");
    }

    function test_multiply_and_add() public view {
        agree(10, 0, all(TRIPLES, 3), 0xa48fd6a954d162bdc08d00746940e16253c32069c7c21bcc672be7d758f7c69c, "fma");
        agree(10, 0, TIES, 0x4a18e62e863637925b37af7f065458e8ed204cd114b1b7ececdea905132789ab, "fma next to ties");
    }

    /// All tuples of these words, the last word changing fastest.
    function all(bytes memory words, uint256 n) internal pure returns (bytes memory tuples) {
        uint256 each = words.length / 4;
        uint256 count = n == 2 ? each * each : each * each * each;
        tuples = new bytes(4 * n * count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 rest = i;
            for (uint256 j = n; j > 0; --j) {
                for (uint256 k = 0; k < 4; ++k) {
                    tuples[4 * (n * i + j - 1) + k] = words[4 * (rest % each) + k];
                }
                rest /= each;
            }
        }
    }

    // ------------------------------------------------------------ what the vectors' corners are too few for

    function bits(uint32 a) internal pure returns (F32) {
        return F32.wrap(a);
    }

    function same(F32 a, uint32 b) internal pure {
        vm.assertEq(F32.unwrap(a), b);
    }

    function test_a_product_of_zero_leaves_the_term_as_it_is() public pure {
        same(fma(bits(0), bits(0x7f7fffff), bits(0x00000001)), 0x00000001);
        same(fma(bits(0x80000000), bits(0x7f7fffff), bits(0x80000001)), 0x80000001);
        same(bits(0) * bits(0x7f7fffff), 0);
    }

    function test_what_is_far_below_still_decides_ties() public pure {
        // 1 + 2^-24 is a tie, which goes to 1; with the least product of all it is none.
        F32 one = bits(0x3f800000);
        same(fma(bits(0x33800000), one, one), 0x3f800000);
        same(fma(bits(0x3f800001), bits(0x33800000), one), 0x3f800001);
        same(fma(bits(0x3f7fffff), bits(0x33800000), one), 0x3f800000);
        same(one - bits(1), 0x3f800000);
        same(bits(0x3f800001) - bits(0x33000001), 0x3f800001);
        same(bits(0x3f800001) - bits(0x34000000), 0x3f800000);
    }

    function test_what_a_quotient_and_a_root_leave_off_decides_ties() public pure {
        // Of subnormals, whose few bits leave few more in what is cut: both look like ties and lie just above.
        same(bits(0x00000001) / bits(0x008005a9), 0x33fff4af);
        same(sqrt(bits(0x00000007)), 0x1aef7751);
        same(sqrt(bits(0x00000085)), 0x1c0279df);
    }

    function test_integers() public pure {
        same(fromUint(0), 0);
        same(fromUint(1), 0x3f800000);
        same(fromUint(16777217), 0x4b800000);
        same(fromUint(16777219), 0x4b800002);
        same(fromUint(type(uint32).max), 0x4f800000);
        same(fromUint(type(uint64).max), 0x5f800000);
        same(fromInt(-3), 0xc0400000);
        same(fromInt(0), 0);
    }

    function test_great_angles() public view {
        // 1e30, the greatest number and its negative, 100000 and its neighbour, 2^31, 1e16.
        bytes memory angles = hex"7149f2ca_7f7fffff_ff7fffff_47c35000_47c35001_4f000000_5a0e1bca";
        bytes memory sines = hex"bf4a89b0_bf0599b3_3f0599b3_3d126d55_3ce4e304_bf78a7c8_befe3f08";
        bytes memory cosines = hex"bf1c9221_3f5a5f96_3f5a5f96_bf7fd61c_bf7fe66a_3e738617_3f5e34db";
        vm.assertEq(this.results(6, 8, angles), sines);
        vm.assertEq(this.results(6, 9, angles), cosines);
    }

    // ------------------------------------------------------------ laws

    function testFuzz_one_rounding_stands_behind_all(uint32 a, uint32 b, uint32 c) public pure {
        (F32 x, F32 y, F32 z) = (bits(a), bits(b), bits(c));
        F32 one = bits(0x3f800000);
        same(x + y, word(fma(x, one, y)));
        same(x * y, word(fma(x, y, bits(0x80000000))));
        same(x - y, word(fma(y, bits(0xbf800000), x)));
        same(y + x, word(x + y));
        same(fma(y, x, z), word(fma(x, y, z)));
        same(fma(-x, -y, z), word(fma(x, y, z)));
    }

    /// Of the exact sum, product or quotient no other number is nearer: checked by integers, over exponents that leave them room.
    function testFuzz_nothing_is_nearer(uint32 a, uint32 b) public pure {
        (uint256 x, uint256 y) = (tame(a), tame(b));
        uint256 product = word(F32.wrap(x) * F32.wrap(y));
        (uint256 below, uint256 above) = (scaled(product - 1, 60), scaled(product + 1, 60));
        uint256 exact = scaled(x, 30) * scaled(y, 30);
        vm.assertTrue(distance(exact, scaled(product, 60)) <= distance(exact, below));
        vm.assertTrue(distance(exact, scaled(product, 60)) <= distance(exact, above));

        uint256 sum = word(F32.wrap(x) + F32.wrap(y));
        exact = scaled(x, 60) + scaled(y, 60);
        vm.assertTrue(distance(exact, scaled(sum, 60)) <= distance(exact, scaled(sum - 1, 60)));
        vm.assertTrue(distance(exact, scaled(sum, 60)) <= distance(exact, scaled(sum + 1, 60)));

        // |x - q y| is compared, rather than |x / y - q|.
        uint256 quotient = word(F32.wrap(x) / F32.wrap(y));
        exact = scaled(x, 30) << 60;
        uint256 off = distance(exact, scaled(quotient, 60) * scaled(y, 30));
        vm.assertTrue(off <= distance(exact, scaled(quotient - 1, 60) * scaled(y, 30)));
        vm.assertTrue(off <= distance(exact, scaled(quotient + 1, 60) * scaled(y, 30)));

        // The root lies between the two middles: 2 root is compared with their doubles, all squared.
        uint256 root = word(sqrt(F32.wrap(x)));
        exact = scaled(x, 60) << 62;
        vm.assertTrue((scaled(root, 60) + scaled(root - 1, 60)) ** 2 <= exact);
        vm.assertTrue((scaled(root, 60) + scaled(root + 1, 60)) ** 2 >= exact);
    }

    function word(F32 x) internal pure returns (uint32) {
        return uint32(F32.unwrap(x));
    }

    /// A positive number from 2^-6 to 2^6.
    function tame(uint32 seed) internal pure returns (uint256) {
        return 0x3c800000 + uint256(seed) % 0x06000000;
    }

    /// A positive normal number times a power of two, which makes it an integer.
    function scaled(uint256 x, uint256 places) internal pure returns (uint256) {
        return ((x & 0x007fffff) | 0x00800000) << (places + (x >> 23) - 150);
    }

    function distance(uint256 a, uint256 b) internal pure returns (uint256) {
        return a < b ? b - a : a - b;
    }
}
