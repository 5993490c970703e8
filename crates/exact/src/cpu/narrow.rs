//! The functions of `spec::math` where nothing special happens: the same bits with fewer instructions.
//!
//! Most chunks of most tensors hold no NaN, nothing infinite, no zero to take the logarithm of, and no number whose
//! exponential comes near underflow. So each function here leaves out the selects for these cases, and gives besides
//! its value a key: below the function's limit, the value has the bits of the function in `spec::math`, and is not NaN.
//! Otherwise the caller takes the long way. A key rather than an answer, since the greatest of many keys is found by
//! integer instructions, and takes no turn from those that multiply.

use crate::spec::math::{self, Fma, SIN_SMALL, denominator, exp_parts, pow2};

/// The limit of [`exp`], [`sigmoid`], [`silu`] and [`silu_grad`]: below 87, e^x and its inverse are normal numbers.
pub(crate) const MODERATE: u32 = 87.0_f32.to_bits();
/// The limit of [`log`] and [`rsqrt`]: numbers above zero that are neither subnormal nor infinite.
pub(crate) const NORMAL: u32 = f32::INFINITY.to_bits() - f32::MIN_POSITIVE.to_bits();
/// The limit of [`tanh`]: anything but NaN.
pub(crate) const NUMBER: u32 = f32::INFINITY.to_bits() + 1;
/// The limit of [`sin`] and [`cos`]: numbers whose remainder by a quarter turn is taken the short way.
pub(crate) const SMALL: u32 = SIN_SMALL.to_bits() + 1;

/// Rises with the distance from zero; greatest for NaN.
#[inline(always)]
fn size(x: f32) -> u32 {
    x.abs().to_bits()
}

/// Below [`NORMAL`] for the numbers that this names.
#[inline(always)]
fn above_subnormal(x: f32) -> u32 {
    x.to_bits().wrapping_sub(f32::MIN_POSITIVE.to_bits())
}

/// The exponential: one power of two is enough.
#[inline(always)]
pub(crate) fn exp<F: Fma>(x: f32) -> (f32, u32) {
    let (t, n) = exp_parts::<F>(x);
    ((t + 1.0) * pow2(n), size(x))
}

/// The logarithm.
#[inline(always)]
pub(crate) fn log<F: Fma>(x: f32) -> (f32, u32) {
    (math::log_normal::<F>(x, None), above_subnormal(x))
}

/// The hyperbolic tangent.
#[inline(always)]
pub(crate) fn tanh<F: Fma>(x: f32) -> (f32, u32) {
    (math::tanh::<F>(x), size(x))
}

/// The sine.
#[inline(always)]
pub(crate) fn sin<F: Fma>(x: f32) -> (f32, u32) {
    (math::sin_small::<F>(x), size(x))
}

/// The cosine.
#[inline(always)]
pub(crate) fn cos<F: Fma>(x: f32) -> (f32, u32) {
    (math::cos_small::<F>(x), size(x))
}

/// `((1 - e)^(-1/2) - 1) / e` in powers of e, for |e| < 0.0682.
const RSQRT: [f32; 4] = [0.2749454, 0.3139301, 0.3749977, 0.49999836];

/// The inverse root, without root or division where products are cheaper: since the result is correctly rounded, it does not
/// matter how it is found.
///
/// The exponent halved and negated makes a guess y whose error `e = 1 - x y^2` is at most 0.0682; `y (1 - e)^(-1/2)` is then
/// right to about a unit in the last place, and its exact residual puts that right, as in [`math::rsqrt`]. A test tries
/// every significand, and nothing here depends on the exponent otherwise: it is even or odd, and scales by powers of four.
#[inline(always)]
pub(crate) fn rsqrt<F: Fma>(x: f32) -> (f32, u32) {
    let y = if F::CHEAP {
        let y = f32::from_bits(0x5f37_4740_u32.wrapping_sub(x.to_bits() >> 1));
        let e = F::fma(-(x * y), y, 1.0);
        let y = F::fma(y * e, math::horner::<F, 4>(RSQRT, e), y);
        let high = x * y;
        let low = F::fma(x, y, -high);
        let residual = F::fma(-low, y, F::fma(-high, y, 1.0));
        // A unit more than a half: with just a half, two significands in 2^24 go wrong.
        F::fma(residual * y, 0.50000006, y)
    } else {
        math::rsqrt_finite::<F>(x)
    };
    (y, above_subnormal(x))
}

/// `k sigmoid(v)`, of moderate v.
#[inline(always)]
fn times_sigmoid<F: Fma>(k: f32, v: f32) -> (f32, u32) {
    let (t, n) = exp_parts::<F>(-v);
    let b = pow2(n.wrapping_neg());
    (k / denominator(t, b) * b, size(v))
}

/// The logistic function.
#[inline(always)]
pub(crate) fn sigmoid<F: Fma>(x: f32) -> (f32, u32) {
    times_sigmoid::<F>(1.0, x)
}

/// The sigmoid linear unit.
#[inline(always)]
pub(crate) fn silu<F: Fma>(x: f32) -> (f32, u32) {
    times_sigmoid::<F>(x, x)
}

/// The derivative of [`silu`] at x, times dy, which may be anything: this one may be NaN.
#[inline(always)]
pub(crate) fn silu_grad<F: Fma>(x: f32, dy: f32) -> (f32, u32) {
    let (t, n) = exp_parts::<F>(-x);
    let b = pow2(n.wrapping_neg());
    let r = 1.0 / denominator(t, b);
    (F::fma(x, (t + 1.0) * r, 1.0) * r * b * dy, size(x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::math::Hard;

    /// All significands at two neighbouring exponents, and the ends of the range.
    #[test]
    fn the_inverse_root_is_that_of_the_spec() {
        let ends = [0x0080_0000..0x0080_1000, 0x3f80_0000..0x4080_0000, 0x7f7f_f000..0x7f80_0000_u32];
        for x in ends.into_iter().flatten().map(f32::from_bits) {
            let (y, key) = rsqrt::<Hard>(x);
            assert!(key < NORMAL);
            assert_eq!(y.to_bits(), math::rsqrt_finite::<Hard>(x).to_bits(), "rsqrt({x:e})");
        }
    }

    #[test]
    fn what_is_special_is_beyond_the_limits() {
        for x in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, -1.0, 1e-40] {
            assert!(log::<Hard>(x).1 >= NORMAL && rsqrt::<Hard>(x).1 >= NORMAL, "{x}");
        }
        assert!(tanh::<Hard>(f32::INFINITY).1 < NUMBER && tanh::<Hard>(f32::NAN).1 >= NUMBER);
        assert!(sin::<Hard>(-SIN_SMALL).1 < SMALL && cos::<Hard>(SIN_SMALL.next_up()).1 >= SMALL);
        assert!(exp::<Hard>(86.99).1 < MODERATE && silu::<Hard>(-87.0).1 >= MODERATE);
    }
}
