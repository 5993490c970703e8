//! The functions of `spec::math` where nothing special happens: the same bits with fewer instructions.
//!
//! Most chunks of most tensors hold no NaN, nothing infinite, no zero to take the logarithm of, and no number whose
//! exponential comes near underflow. So each function here leaves out the selects for these cases, and tells besides
//! its value whether that is right: then it has the bits of the function in `spec::math`, and is not NaN. Where it is
//! not right, the caller takes the long way.

use crate::spec::math::{self, Fma, SIN_SMALL, denominator, exp_parts, pow2};

/// Below this, e^x and its inverse are normal numbers.
const MODERATE: f32 = 87.0;

/// The exponential, of moderate numbers: one power of two is enough.
#[inline(always)]
pub(crate) fn exp<F: Fma>(x: f32) -> (f32, bool) {
    let (t, n) = exp_parts::<F>(x);
    ((t + 1.0) * pow2(n), x.abs() < MODERATE)
}

/// The logarithm, of positive normal numbers.
#[inline(always)]
pub(crate) fn log<F: Fma>(x: f32) -> (f32, bool) {
    let least = f32::MIN_POSITIVE.to_bits();
    let normal = x.to_bits().wrapping_sub(least) < f32::INFINITY.to_bits() - least;
    (math::log_normal::<F>(x, None), normal)
}

/// The hyperbolic tangent, of all but NaN.
#[inline(always)]
pub(crate) fn tanh<F: Fma>(x: f32) -> (f32, bool) {
    (math::tanh::<F>(x), !x.is_nan())
}

/// The sine, of numbers whose remainder by a quarter turn is taken the short way.
#[inline(always)]
pub(crate) fn sin<F: Fma>(x: f32) -> (f32, bool) {
    (math::sin_small::<F>(x), x.abs() <= SIN_SMALL)
}

/// The cosine, of the same numbers.
#[inline(always)]
pub(crate) fn cos<F: Fma>(x: f32) -> (f32, bool) {
    (math::cos_small::<F>(x), x.abs() <= SIN_SMALL)
}

/// The inverse root, above zero and below inf.
#[inline(always)]
pub(crate) fn rsqrt<F: Fma>(x: f32) -> (f32, bool) {
    let y = math::rsqrt_finite::<F>(x);
    (y, !y.is_nan())
}

/// `k sigmoid(v)`, of moderate v.
#[inline(always)]
fn times_sigmoid<F: Fma>(k: f32, v: f32) -> (f32, bool) {
    let (t, n) = exp_parts::<F>(-v);
    let b = pow2(n.wrapping_neg());
    (k / denominator(t, b) * b, v.abs() < MODERATE)
}

/// The logistic function, of moderate numbers.
#[inline(always)]
pub(crate) fn sigmoid<F: Fma>(x: f32) -> (f32, bool) {
    times_sigmoid::<F>(1.0, x)
}

/// The sigmoid linear unit, of moderate numbers.
#[inline(always)]
pub(crate) fn silu<F: Fma>(x: f32) -> (f32, bool) {
    times_sigmoid::<F>(x, x)
}

/// The derivative of [`silu`] at a moderate x, times dy, which may be anything: this one may be NaN.
#[inline(always)]
pub(crate) fn silu_grad<F: Fma>(x: f32, dy: f32) -> (f32, bool) {
    let (t, n) = exp_parts::<F>(-x);
    let b = pow2(n.wrapping_neg());
    let r = 1.0 / denominator(t, b);
    (F::fma(x, (t + 1.0) * r, 1.0) * r * b * dy, x.abs() < MODERATE)
}
