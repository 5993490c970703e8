// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title Binary32 arithmetic, bit for bit what every machine of the network computes.
/// @notice IEEE-754: one rounding, to nearest with ties to even; subnormals, signed zeros and infinities kept; whatever NaN
/// comes out is 0x7fc00000. The functions that are built from these are in `Functions.sol`.
/// @dev A number is its 32 bits in the low bits of a word; the rest of the word is always zero. Every exact result is held
/// as `m 2^(e - 150)` with an integer m, and rounded in one place, {rounded}. With m of 24 bits, e is the biased exponent.
type F32 is uint256;

using {
    add as +,
    sub as -,
    neg as -,
    mul as *,
    div as /,
    lt as <,
    gt as >,
    le as <=,
    eq as ==
} for F32 global;

/// @dev The only NaN that is ever stored.
F32 constant NAN = F32.wrap(0x7fc00000);
F32 constant ZERO = F32.wrap(0);
F32 constant ONE = F32.wrap(0x3f800000);
F32 constant INFINITY = F32.wrap(INFINITE);

/// @dev The bits of +inf, which are those of its exponent as well.
uint256 constant INFINITE = 0x7f800000;
uint256 constant SIGN = 0x80000000;
uint256 constant MAGNITUDE = 0x7fffffff;
/// @dev From this many binary places on, all that matters of the lower of two terms is whether it is zero: 48 bits of it
/// then lie below half of the last place of whatever is left of the upper.
uint256 constant FAR = 64;

// ---------------------------------------------------------------- arithmetic

/// @notice `a * b + c`, rounded once.
function fma(F32 a, F32 b, F32 c) pure returns (F32) {
    (uint256 x, uint256 ex) = _parts(a);
    (uint256 mb, uint256 eb) = _parts(b);
    (uint256 y, uint256 ey) = _parts(c);
    unchecked {
        if ((ex + 1 | eb + 1 | ey + 1) > 255) return _fmaAtInfinity(a, b, c);
        x *= mb;
        // A product of zero has no exponent: it must not push c out of sight.
        ex = x == 0 ? ey : ex + eb - 150;
        return _sum(F32.unwrap(c) & SIGN, y, ey, (F32.unwrap(a) ^ F32.unwrap(b)) & SIGN, x, ex);
    }
}

/// @notice `a + b`.
function add(F32 a, F32 b) pure returns (F32) {
    (uint256 x, uint256 ex) = _parts(a);
    (uint256 y, uint256 ey) = _parts(b);
    if (ex == 255 || ey == 255) return _fmaAtInfinity(a, ONE, b);
    return _sum(F32.unwrap(a) & SIGN, x, ex, F32.unwrap(b) & SIGN, y, ey);
}

/// @notice `a - b`.
function sub(F32 a, F32 b) pure returns (F32) {
    return add(a, F32.wrap(F32.unwrap(b) ^ SIGN));
}

/// @notice `a * b`.
function mul(F32 a, F32 b) pure returns (F32) {
    (uint256 x, uint256 ex) = _parts(a);
    (uint256 y, uint256 ey) = _parts(b);
    if (ex == 255 || ey == 255) return _fmaAtInfinity(a, b, ZERO);
    unchecked {
        return rounded((F32.unwrap(a) ^ F32.unwrap(b)) & SIGN, x * y, ex + ey - 150);
    }
}

/// @notice `a / b`.
function div(F32 a, F32 b) pure returns (F32) {
    if (isNaN(a) || isNaN(b)) return NAN;
    uint256 sign = (F32.unwrap(a) ^ F32.unwrap(b)) & SIGN;
    (uint256 x, uint256 ex) = _parts(a);
    (uint256 y, uint256 ey) = _parts(b);
    if (ex == 255) return ey == 255 ? NAN : F32.wrap(sign | INFINITE);
    if (ey == 255) return F32.wrap(sign);
    if (y == 0) return x == 0 ? NAN : F32.wrap(sign | INFINITE);
    unchecked {
        // 50 places more than an integer has: at least 26 significant bits, the last of which stands for all that follow.
        x <<= 50;
        uint256 quotient = x / y;
        if (quotient * y != x) quotient |= 1;
        return rounded(sign, quotient, ex - ey + 100);
    }
}

/// @notice The square root; -0 at -0, NaN below.
function sqrt(F32 a) pure returns (F32) {
    uint256 bits = F32.unwrap(a);
    if (bits & MAGNITUDE == 0) return a;
    if (bits > INFINITE) return NAN;
    if (bits == INFINITE) return a;
    (uint256 m, uint256 e) = _parts(a);
    unchecked {
        // An even exponent, and at least 26 significant bits of the root, the last of which stands for all that follow.
        uint256 places = 52 + (e & 1);
        m <<= places;
        uint256 root = Math.sqrt(m);
        if (root * root != m) root |= 1;
        // Half of e - 150 - places, and 150 again.
        return rounded(0, root, (e + 150 - places) / 2);
    }
}

/// @notice The greater; NaN if either is NaN; +0 is above -0.
function max(F32 a, F32 b) pure returns (F32) {
    if (isNaN(a) || isNaN(b)) return NAN;
    return _order(a) < _order(b) ? b : _order(b) < _order(a) ? a : F32.wrap(F32.unwrap(a) & F32.unwrap(b));
}

/// @notice The smaller; NaN if either is NaN; -0 is below +0.
function min(F32 a, F32 b) pure returns (F32) {
    if (isNaN(a) || isNaN(b)) return NAN;
    return _order(a) < _order(b) ? a : _order(b) < _order(a) ? b : F32.wrap(F32.unwrap(a) | F32.unwrap(b));
}

/// @notice The sign flipped; NaN stays.
function neg(F32 a) pure returns (F32) {
    return isNaN(a) ? NAN : F32.wrap(F32.unwrap(a) ^ SIGN);
}

/// @notice The sign cleared; NaN stays.
function abs(F32 a) pure returns (F32) {
    return isNaN(a) ? NAN : F32.wrap(F32.unwrap(a) & MAGNITUDE);
}

/// @notice The nearest number to an integer below 2^128.
function fromUint(uint256 n) pure returns (F32) {
    return rounded(0, n, 150);
}

/// @notice The nearest number to an integer whose magnitude is below 2^128.
function fromInt(int256 n) pure returns (F32) {
    unchecked {
        return n < 0 ? rounded(SIGN, uint256(-n), 150) : rounded(0, uint256(n), 150);
    }
}

// ---------------------------------------------------------------- relations: none holds of NaN, and +0 equals -0

/// @notice `a < b`.
function lt(F32 a, F32 b) pure returns (bool) {
    return !isNaN(a) && !isNaN(b) && _order(a) < _order(b);
}

/// @notice `a > b`.
function gt(F32 a, F32 b) pure returns (bool) {
    return lt(b, a);
}

/// @notice `a <= b`.
function le(F32 a, F32 b) pure returns (bool) {
    return !isNaN(a) && !isNaN(b) && _order(a) <= _order(b);
}

/// @notice `a == b`.
function eq(F32 a, F32 b) pure returns (bool) {
    return !isNaN(a) && !isNaN(b) && _order(a) == _order(b);
}

/// @notice Whether it is NaN.
function isNaN(F32 a) pure returns (bool) {
    return F32.unwrap(a) & MAGNITUDE > INFINITE;
}

/// @notice Whether it is neither NaN nor an infinity.
function isFinite(F32 a) pure returns (bool) {
    return F32.unwrap(a) & INFINITE != INFINITE;
}

// ---------------------------------------------------------------- rounding

/// @notice `m 2^(e - 150)` as the nearest number, with that sign (0 or {SIGN}). Here and nowhere else is anything rounded.
/// @dev m is below 2^128 and e above -100. If bits were cut off m, its last bit is set instead and it has 26 or more.
function rounded(uint256 sign, uint256 m, uint256 e) pure returns (F32 r) {
    if (m == 0) return F32.wrap(sign);
    assembly ("memory-safe") {
        // The place of the highest bit of m, by halving; the last four bits by a table: 0, 0, 1, 1, 2, 2, 2, 2, 3, ..
        let top := shl(6, gt(m, 0xffffffffffffffff))
        top := or(top, shl(5, gt(shr(top, m), 0xffffffff)))
        top := or(top, shl(4, gt(shr(top, m), 0xffff)))
        top := or(top, shl(3, gt(shr(top, m), 0xff)))
        top := or(top, shl(2, gt(shr(top, m), 0xf)))
        top := or(top, byte(shr(top, m), 0x0000010102020202030303030303030300000000000000000000000000000000))

        // Of m, 24 bits stay, or as many as reach to the last place of subnormals.
        let cut := sub(top, 23)
        if slt(add(e, cut), 1) { cut := sub(1, e) }
        switch sgt(cut, 0)
        case 0 { m := shl(sub(0, cut), m) }
        default {
            // Half a unit is added, less the least bit unless what stays is odd: so a tie goes to the even neighbour.
            m := shr(cut, add(add(m, sub(shl(sub(cut, 1), 1), 1)), and(shr(cut, m), 1)))
        }
        // The leading bit of m adds one to the exponent; a subnormal has none. So does a carry out of the significand.
        m := add(m, shl(23, sub(add(e, cut), 1)))
        if gt(m, INFINITE) { m := INFINITE }
        r := or(sign, m)
    }
}

/// @dev `x 2^(ex - 150) + y 2^(ey - 150)` for magnitudes with signs: exact, then rounded. Both are below 2^48. Where the
/// exponents are further apart than {FAR}, the upper one has 24 bits or the least exponent that numbers have.
function _sum(uint256 signX, uint256 x, uint256 ex, uint256 signY, uint256 y, uint256 ey) pure returns (F32) {
    unchecked {
        if (int256(ex) < int256(ey)) return _sum(signY, y, ey, signX, x, ex);
        if (ex - ey > FAR) {
            ey = ex - FAR;
            if (y != 0) y = 1;
        }
        x <<= ex - ey;
        if (signX == signY) return rounded(signX, x + y, ey);
        if (x > y) return rounded(signX, x - y, ey);
        // Two that cancel are +0.
        return x == y ? ZERO : rounded(signY, y - x, ey);
    }
}

/// @dev `a * b + c` where one of them is NaN or infinite.
function _fmaAtInfinity(F32 a, F32 b, F32 c) pure returns (F32) {
    if (isNaN(a) || isNaN(b) || isNaN(c)) return NAN;
    if (isFinite(a) && isFinite(b)) return c;
    if (F32.unwrap(a) & MAGNITUDE == 0 || F32.unwrap(b) & MAGNITUDE == 0) return NAN;
    F32 product = F32.wrap((F32.unwrap(a) ^ F32.unwrap(b)) & SIGN | INFINITE);
    return isFinite(c) || F32.unwrap(c) == F32.unwrap(product) ? product : NAN;
}

/// @dev A finite number's magnitude is `m 2^(e - 150)`.
function _parts(F32 a) pure returns (uint256 m, uint256 e) {
    assembly ("memory-safe") {
        e := and(shr(23, a), 0xff)
        m := or(and(a, 0x007fffff), shl(23, gt(e, 0)))
        e := or(e, iszero(e)) // Subnormals have the exponent of the least normal numbers.
    }
}

/// @dev Integers in the order of the numbers that they stand for.
function _order(F32 a) pure returns (int256) {
    unchecked {
        int256 magnitude = int256(F32.unwrap(a) & MAGNITUDE);
        return F32.unwrap(a) < SIGN ? magnitude : -magnitude;
    }
}
