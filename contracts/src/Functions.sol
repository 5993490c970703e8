// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {F32, INFINITE, MAGNITUDE, NAN, ONE, SIGN, ZERO} from "./Float32.sol";
import {abs, fma, fromInt, fromUint, isFinite, isNaN, max, min, sqrt} from "./Float32.sol";

/// @title Every function of a number that programs have, as `docs/spec.md` defines it.
/// @notice Each line of arithmetic is one of the specification's, in its order: to change the last bit of a result is to
/// change the arithmetic of the network.
/// @dev Functions have the numbers that they have in the encoding of programs. Constants are given by their bits.
library Functions {
    /// @dev There is no such function.
    error UnknownFunction(uint256 number);

    /// @dev `1.5 * 2^23 + 127`: adding it to a small number rounds that to an integer, which the low bits then hold.
    F32 private constant BIASED = F32.wrap(0x4b40007f);
    /// @dev `1.5 * 2^23`, for the same.
    F32 private constant ROUND = F32.wrap(0x4b400000);
    F32 private constant LOG2_E = F32.wrap(0x3fb8aa3b);
    F32 private constant TWO_LOG2_E = F32.wrap(0x4038aa3b);
    F32 private constant TWO_OVER_PI = F32.wrap(0x3f22f983);
    F32 private constant MINUS_HALF = F32.wrap(0xbf000000);
    F32 private constant TWO = F32.wrap(0x40000000);
    F32 private constant LEAST_NORMAL = F32.wrap(0x00800000);
    F32 private constant TWO_TO_23 = F32.wrap(0x4b000000);
    F32 private constant TWO_TO_MINUS_24 = F32.wrap(0x33800000);
    F32 private constant EXP_LARGEST = F32.wrap(0x42b1999a);
    F32 private constant TANH_SMALL = F32.wrap(0x3f200000);
    F32 private constant TANH_LARGEST = F32.wrap(0x41180000);
    F32 private constant SIN_SMALL = F32.wrap(0x47c35000);
    F32 private constant BELOW_HALF = F32.wrap(0x3effffff);
    /// @dev 150, where every exponential has become 0 or 1 to all bits.
    F32 private constant EDGE = F32.wrap(0x43160000);
    F32 private constant MINUS_EDGE = F32.wrap(0xc3160000);
    /// @dev The bits of 2/3.
    uint256 private constant TWO_THIRDS = 0x3f2aaaab;

    /// @dev Coefficients, 32 bits each, the leading one first; of LOG's nine the leading one stands alone.
    uint256 private constant EXP = 0x003ab524ae_3c091cd0_3d2aac5a_3e2aaa49_3efffffe;
    uint256 private constant LOG_LEADING = 0x3df4d075;
    uint256 private constant LOG = 0xbe036b41_3ddc95fe_bdf9d386_3e12756f_be2acbf1_3e4ccbf9_be7fff8b_3eaaaaab;
    uint256 private constant TANH = 0x3b0d140b_bc062f68_3cb1d2a8_bd5cf8c4_3e08883d_beaaaaaa;
    uint256 private constant SIN = 0x363e1913_b9502caf_3c0888ba_be2aaaab;
    uint256 private constant COS = 0xb49b0a3e_37d038db_bab60baf_3d2aaaab;
    uint256 private constant LN2 = 0x3f317200_35bfbe8e;
    uint256 private constant LOG_LN2 = 0x3f318000_b95e8083;
    uint256 private constant HALF_PI = 0x3fc90fdb_b33bbd2e_a6f72cf1;
    uint256 private constant GELU = 0x3fcc422a_3d922279_3e5b33b6;
    /// @dev 2/pi times 2^256, and pi/2 times 2^63.
    uint256 private constant TWO_OVER_PI_BITS = 0xa2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbc561;
    uint256 private constant HALF_PI_BITS = 0xc90fdaa22168c235;

    // ------------------------------------------------------------ by number

    /// @notice A function of one number.
    function unary(uint256 f, F32 x) internal pure returns (F32) {
        if (f == 0) return -x;
        if (f == 1) return abs(x);
        if (f == 2) return sqrt(x);
        if (f == 3) return rsqrt(x);
        if (f == 4) return ONE / x;
        if (f == 5) return exp(x);
        if (f == 6) return log(x);
        if (f == 7) return tanh(x);
        if (f == 8) return sin(x);
        if (f == 9) return cos(x);
        if (f == 10) return sigmoid(x);
        if (f == 11) return silu(x);
        if (f == 12) return gelu(x);
        if (f == 13) return relu(x);
        revert UnknownFunction(f);
    }

    /// @notice A function of two numbers.
    function binary(uint256 f, F32 a, F32 b) internal pure returns (F32) {
        if (f == 0) return a + b;
        if (f == 1) return a - b;
        if (f == 2) return a * b;
        if (f == 3) return a / b;
        if (f == 4) return max(a, b);
        if (f == 5) return min(a, b);
        if (f == 6) return siluGrad(a, b);
        if (f == 7) return geluGrad(a, b);
        if (f == 8) return reluGrad(a, b);
        revert UnknownFunction(f);
    }

    /// @notice A relation of two numbers, 1 where it holds.
    function compare(uint256 f, F32 a, F32 b) internal pure returns (uint256) {
        if (f == 0) return _bit(a < b);
        if (f == 1) return _bit(a <= b);
        if (f == 2) return _bit(a == b);
        revert UnknownFunction(f);
    }

    /// @notice A function of two integers below 2^32, and whether the result is below it too.
    function integer(uint256 f, uint256 a, uint256 b) internal pure returns (bool fits, uint256 r) {
        if (f == 0) r = a + b;
        else if (f == 1) return (b <= a, b <= a ? a - b : 0);
        else if (f == 2) r = a * b;
        else if (f == 3) r = a < b ? b : a;
        else if (f == 4) r = a < b ? a : b;
        else if (f == 5) r = _bit(a < b);
        else if (f == 6) r = _bit(a == b);
        else revert UnknownFunction(f);
        fits = r <= type(uint32).max;
    }

    function _bit(bool holds) private pure returns (uint256) {
        return holds ? 1 : 0;
    }

    // ------------------------------------------------------------ exponentials

    /// @notice `e^x`.
    function exp(F32 x) internal pure returns (F32) {
        if (isNaN(x)) return NAN;
        if (x > EXP_LARGEST) x = EXP_LARGEST;
        if (x < MINUS_EDGE) x = MINUS_EDGE;
        (F32 t, int256 n) = _split(x, fma(x, LOG2_E, BIASED));
        return _scale(t + ONE, n);
    }

    /// @notice The natural logarithm.
    function log(F32 x) internal pure returns (F32) {
        if (isNaN(x)) return NAN;
        uint256 bits = F32.unwrap(x);
        if (bits & MAGNITUDE == 0) return F32.wrap(SIGN | INFINITE);
        if (bits > INFINITE) return NAN;
        if (bits == INFINITE) return x;
        int256 shift = 0;
        if (x < LEAST_NORMAL) {
            bits = F32.unwrap(x * TWO_TO_23);
            shift = -23;
        }
        unchecked {
            // Both differences are modulo 2^32.
            uint256 i = uint32(bits - TWO_THIRDS);
            F32 e = fromInt((int256(int32(uint32(i))) >> 23) + shift);
            F32 f = F32.wrap((i & 0x007fffff) + TWO_THIRDS) - ONE;
            F32 f2 = f * f;
            F32 q = _horner(F32.wrap(LOG_LEADING), LOG, 8, f);
            F32 y = fma(q, f2 * f, e * _constant(LOG_LN2, 0));
            y = fma(MINUS_HALF, f2, y) + f;
            return fma(e, _constant(LOG_LN2, 1), y);
        }
    }

    /// @notice The hyperbolic tangent.
    function tanh(F32 x) internal pure returns (F32 y) {
        if (isNaN(x)) return NAN;
        F32 a = abs(x);
        if (a < TANH_SMALL) {
            F32 u = a * a;
            y = fma(_polynomial(TANH, 6, u), u * a, a);
        } else {
            F32 c = a > TANH_LARGEST ? TANH_LARGEST : a;
            (F32 t, int256 n) = _split(c + c, fma(c, TWO_LOG2_E, BIASED));
            y = ONE - TWO / fma(t + ONE, _pow2(n), ONE);
        }
        return F32.wrap(F32.unwrap(y) | (F32.unwrap(x) & SIGN));
    }

    /// @dev `e^x = (1 + t) 2^n` for -150 <= x <= 88.8, given `x log2(e)` rounded by {BIASED}.
    function _split(F32 x, F32 sum) private pure returns (F32 t, int256 n) {
        F32 k = sum - BIASED;
        F32 r = fma(k, -_constant(LN2, 1), x);
        r = fma(k, -_constant(LN2, 0), r);
        t = fma(_polynomial(EXP, 5, r), r * r, r);
        unchecked {
            n = int256(F32.unwrap(sum)) - int256(F32.unwrap(BIASED));
        }
    }

    /// @dev `2^n` for -126 <= n <= 127.
    function _pow2(int256 n) private pure returns (F32) {
        unchecked {
            return F32.wrap(uint256(n + 127) << 23);
        }
    }

    /// @dev `y 2^n` for -252 <= n <= 128, by two products.
    function _scale(F32 y, int256 n) private pure returns (F32) {
        unchecked {
            int256 half = n >> 1;
            return y * _pow2(half) * _pow2(n - half);
        }
    }

    // ------------------------------------------------------------ sine and cosine

    /// @notice The sine.
    function sin(F32 x) internal pure returns (F32) {
        if (!isFinite(x)) return NAN;
        (uint256 q, F32 r) = _quarterTurns(abs(x));
        return F32.wrap(F32.unwrap(_sinOf(q, r)) ^ (F32.unwrap(x) & SIGN));
    }

    /// @notice The cosine.
    function cos(F32 x) internal pure returns (F32) {
        if (!isFinite(x)) return NAN;
        (uint256 q, F32 r) = _quarterTurns(abs(x));
        unchecked {
            return _sinOf(q + 1, r);
        }
    }

    /// @dev `sin(q pi/2 + r)`: odd quarters are cosines, the third and fourth are negative.
    function _sinOf(uint256 q, F32 r) private pure returns (F32 y) {
        F32 u = r * r;
        if (q & 1 == 1) y = fma(_polynomial(COS, 4, u), u * u, fma(u, MINUS_HALF, ONE));
        else y = fma(_polynomial(SIN, 4, u), u * r, r);
        if (q & 2 == 2) y = F32.wrap(F32.unwrap(y) ^ SIGN);
    }

    /// @dev `x = q pi/2 + r` with |r| <= pi/4, q modulo 4, for finite x that is not negative.
    function _quarterTurns(F32 x) private pure returns (uint256 q, F32 r) {
        if (x > SIN_SMALL) return _quarterTurnsHuge(F32.unwrap(x));
        F32 t = fma(x, TWO_OVER_PI, ROUND);
        F32 n = t - ROUND;
        r = fma(n, -_constant(HALF_PI, 2), x);
        r = fma(n, -_constant(HALF_PI, 1), r);
        r = fma(n, -_constant(HALF_PI, 0), r);
        q = F32.unwrap(t);
    }

    /// @dev The same for great x, by integers: `x = m 2^(e - 150)`, and of `x 2/pi` the 96 bits below the fourth turn.
    function _quarterTurnsHuge(uint256 bits) private pure returns (uint256 q, F32 r) {
        unchecked {
            uint256 e = bits >> 23;
            uint256 m = (bits & 0x007fffff) | 0x00800000;
            uint256 window = (TWO_OVER_PI_BITS >> (312 - e)) & (2 ** 96 - 1);
            uint256 turns = (m * window) & (2 ** 96 - 1);
            q = (turns + 2 ** 93) >> 94;
            bool negative = turns < q << 94;
            uint256 part = negative ? (q << 94) - turns : turns - (q << 94);
            if (part == 0) return (q, ZERO);
            // 64 bits of the part, from its leading one on, times pi/2.
            uint256 zeros = 127 - Math.log2(part);
            r = fromUint(((part << zeros >> 64) * HALF_PI_BITS) >> 64) * _pow2(-29 - int256(zeros));
            if (negative) r = -r;
        }
    }

    // ------------------------------------------------------------ roots

    /// @notice `1 / sqrt(x)`, correctly rounded.
    function rsqrt(F32 x) internal pure returns (F32) {
        uint256 bits = F32.unwrap(x);
        F32 s = sqrt(x);
        F32 y = ONE / s;
        // At 0 and inf there is no residual, and below zero all is NaN.
        if (bits & MAGNITUDE == 0 || bits >= INFINITE) return y;
        F32 residual = fma(-fma(x, y, -s), y, fma(-s, y, ONE));
        return fma(residual * y, BELOW_HALF, y);
    }

    // ------------------------------------------------------------ gates

    /// @notice `1 / (1 + e^-x)`.
    function sigmoid(F32 x) internal pure returns (F32) {
        return _gate(ONE, _clamp(x));
    }

    /// @notice `x sigmoid(x)`.
    function silu(F32 x) internal pure returns (F32) {
        return _gate(_atLeast(x), _clamp(x));
    }

    /// @notice The derivative of {silu} at x, times dy.
    function siluGrad(F32 x, F32 dy) internal pure returns (F32) {
        F32 c = _clamp(x);
        return _gateGrad(c, c, dy);
    }

    /// @notice The tanh form of GELU.
    function gelu(F32 x) internal pure returns (F32) {
        return _gate(_atLeast(x), _clamp(_bend(x)));
    }

    /// @notice The derivative of {gelu} at x, times dy.
    function geluGrad(F32 x, F32 dy) internal pure returns (F32) {
        F32 c = _clamp(x);
        F32 slope = fma(_constant(GELU, 0), c * c, _constant(GELU, 2));
        return _gateGrad(c * slope, _clamp(_bend(c)), dy);
    }

    /// @notice `x` above zero, +0 elsewhere; NaN stays.
    function relu(F32 x) internal pure returns (F32) {
        return x > ZERO ? x : isNaN(x) ? NAN : ZERO;
    }

    /// @notice `dy` where x is above zero, +0 elsewhere.
    function reluGrad(F32 x, F32 dy) internal pure returns (F32) {
        return x <= ZERO || isNaN(x) ? ZERO : isNaN(dy) ? NAN : dy;
    }

    /// @dev `x` moved into -150..=150; NaN stays.
    function _clamp(F32 x) private pure returns (F32) {
        return x > EDGE ? EDGE : _atLeast(x);
    }

    /// @dev `x`, or -150 if that is greater; NaN stays.
    function _atLeast(F32 x) private pure returns (F32) {
        return x < MINUS_EDGE ? MINUS_EDGE : x;
    }

    /// @dev What GELU gives to the sigmoid.
    function _bend(F32 x) private pure returns (F32) {
        return x * fma(_constant(GELU, 1), x * x, _constant(GELU, 2));
    }

    /// @dev `sigmoid(v) = 2^m / w` and `1 - sigmoid(v) = (1 + t) / w`, for |v| <= 150.
    function _sigmoidParts(F32 v) private pure returns (F32 t, F32 w, int256 m) {
        v = -v;
        (t, m) = _split(v, fma(v, LOG2_E, BIASED));
        unchecked {
            m = m < -100 ? int256(100) : -m;
        }
        F32 b = _pow2(m < -126 ? int256(-126) : m);
        w = b < ONE ? t + b + ONE : t + ONE + b;
    }

    /// @dev `k sigmoid(v)`.
    function _gate(F32 k, F32 v) private pure returns (F32) {
        if (isNaN(v)) return NAN;
        (, F32 w, int256 m) = _sigmoidParts(v);
        return _scale(k / w, m);
    }

    /// @dev `dy s (1 + u (1 - s))` with `s = sigmoid(v)`.
    function _gateGrad(F32 u, F32 v, F32 dy) private pure returns (F32) {
        if (isNaN(v)) return NAN;
        (F32 t, F32 w, int256 m) = _sigmoidParts(v);
        F32 r = ONE / w;
        return _scale(fma(u, (t + ONE) * r, ONE) * r, m) * dy;
    }

    // ------------------------------------------------------------ coefficients

    /// @dev The last but `i` of a list of constants.
    function _constant(uint256 list, uint256 i) private pure returns (F32) {
        unchecked {
            return F32.wrap((list >> (32 * i)) & 0xffffffff);
        }
    }

    /// @dev Horner's rule: n coefficients.
    function _polynomial(uint256 list, uint256 n, F32 x) private pure returns (F32) {
        unchecked {
            return _horner(_constant(list, n - 1), list, n - 1, x);
        }
    }

    /// @dev The same, with a leading coefficient of its own.
    function _horner(F32 p, uint256 list, uint256 n, F32 x) private pure returns (F32) {
        unchecked {
            while (n != 0) p = fma(p, x, _constant(list, --n));
        }
        return p;
    }

    // ------------------------------------------------------------ random bits

    /// @notice Random bits to a number strictly between 0 and 1: the middle of one of 2^23 equal intervals.
    function unit(uint256 bits) internal pure returns (F32) {
        return fromUint((bits >> 8) | 1) * TWO_TO_MINUS_24;
    }
}
