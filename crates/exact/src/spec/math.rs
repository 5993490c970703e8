//! Scalar arithmetic: the one definition of every function of a number.
//!
//! Everything is built from IEEE-754 binary32 addition, multiplication, division and square root, all rounded
//! to nearest even with subnormals kept, from the fused multiply-add, and from integer operations on the bits.
//! There is no libm. The order of the operations below is the definition: to change a result's last bit is to
//! change the arithmetic of the network.
//!
//! No function branches on its argument (but for [`sin`] and [`cos`] of huge arguments): a choice is a select
//! between two computed values, so that a loop over a slice becomes vector code at every
//! [`Level`](crate::Level). Payloads and signs of NaN may differ between machines inside a function; whoever
//! stores a result passes it through [`canon`], and so do [`unary`] and [`binary`].

use crate::program::op::{BinaryFn, CompareFn, UnaryFn};

/// The canonical NaN, the only one that is ever stored.
pub(crate) const NAN: f32 = f32::from_bits(0x7fc0_0000);

/// `x`, or the canonical NaN for any NaN.
///
/// By integers: to a compiler one NaN is as good as another, and it drops the choice when written as
/// `if x.is_nan()` (as LLVM 21 does after a square root).
#[inline(always)]
pub(crate) fn canon(x: f32) -> f32 {
    let bits = x.to_bits();
    f32::from_bits(if bits & 0x7fff_ffff > 0x7f80_0000 { NAN.to_bits() } else { bits })
}

/// How a fused multiply-add is computed. Both ways give the same bits (but for the payload of a NaN).
pub(crate) trait Fma: Copy {
    /// Whether it costs what a product does.
    const CHEAP: bool;
    /// `a * b + c`, rounded once.
    fn fma(a: f32, b: f32, c: f32) -> f32;
}

/// By the machine's instruction: for functions compiled with the feature, else it would be a slow call.
#[derive(Clone, Copy)]
pub(crate) struct Hard;

/// In double precision, rounded to odd, for machines without the instruction.
#[derive(Clone, Copy)]
pub(crate) struct Soft;

impl Fma for Hard {
    const CHEAP: bool = true;
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

impl Fma for Soft {
    const CHEAP: bool = false;
    /// The product of two 24-bit significands is exact in 53 bits. The sum is not: were it rounded to nearest
    /// twice, ties would go astray. So it is truncated, and its last bit set when anything was cut off ("round
    /// to odd"): that bit lies below the 24 that stay, and tells the second rounding on which side of a tie
    /// the exact sum is.
    #[inline(always)]
    #[allow(clippy::needless_bitwise_bool, reason = "a lazy operator is a branch, and stops vectorisation")]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        let (p, c) = (f64::from(a) * f64::from(b), f64::from(c));
        let s = p + c;
        // Knuth's TwoSum: s + error is the exact sum. The error is NaN if s is not finite; no comparison holds then.
        let t = s - p;
        let error = (p - (s - t)) + (c - t);
        let inexact = (error > 0.0) | (error < 0.0);
        let away = inexact & ((error > 0.0) != (s > 0.0)); // s was rounded away from zero
        let odd = s.to_bits().wrapping_sub(u64::from(away)) | u64::from(inexact);
        f64::from_bits(odd) as f32
    }
}

/// The greater; NaN if either is NaN; +0 is above -0.
#[inline(always)]
pub(crate) fn max(a: f32, b: f32) -> f32 {
    let m = if a > b { a } else { b }; // b too if it is NaN
    let m = if a == b { f32::from_bits(a.to_bits() & b.to_bits()) } else { m }; // differ only for +0 and -0
    if a.is_nan() { a } else { m }
}

/// The smaller; NaN if either is NaN; -0 is below +0.
#[inline(always)]
pub(crate) fn min(a: f32, b: f32) -> f32 {
    let m = if a < b { a } else { b };
    let m = if a == b { f32::from_bits(a.to_bits() | b.to_bits()) } else { m };
    if a.is_nan() { a } else { m }
}

/// `1.5 * 2^23`: adding it to |x| < 2^22 rounds x to an integer, which the low bits of the sum then hold.
const ROUND: f32 = 12_582_912.0;

/// `2^n` for -126 <= n <= 127 (any value beyond: it multiplies a NaN then).
#[inline(always)]
pub(crate) fn pow2(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) << 23) as u32)
}

/// `y 2^n` for -252 <= n <= 128: rounded once, as the first product is exact for 2^-18 <= |y| < 2^64, and for n = 0.
#[inline(always)]
fn scale(y: f32, n: i32) -> f32 {
    let half = n >> 1;
    y * pow2(half) * pow2(n.wrapping_sub(half))
}

/// `c[0] x^(N-1) + ... + c[N-1]` by Horner's rule.
#[inline(always)]
pub(crate) fn horner<F: Fma, const N: usize>(c: [f32; N], x: f32) -> f32 {
    let mut p = c[0];
    for &c in &c[1..] {
        p = F::fma(p, x, c);
    }
    p
}

/// `(e^r - 1 - r) / r^2` for |r| <= ln(2)/2.
const EXP: [f32; 5] = [0.00138201355, 0.0083686858, 0.0416682735, 0.166665211, 0.49999994];
/// ln 2 in two parts: the first has so few bits that n times it is exact for every n that occurs.
const LN2: [f32; 2] = [0.693145752, 1.42860677e-6];

/// To round to an integer n. The 127 is the bias of exponents: where 2^n is wanted, a compiler finds it one shift away.
const BIASED: f32 = ROUND + 127.0;

/// `e^x = (1 + t) 2^n` with |t| < 1/2, for -150 <= x <= 88.8.
///
/// `x = n ln 2 + r` with n an integer and |r| <= ln(2)/2, hence `e^x = 2^n e^r`.
#[inline(always)]
pub(crate) fn exp_parts<F: Fma>(x: f32) -> (f32, i32) {
    exp_parts_of::<F>(x, F::fma(x, std::f32::consts::LOG2_E, BIASED))
}

/// The same, given `x log2(e)` rounded to n by [`BIASED`].
#[inline(always)]
fn exp_parts_of<F: Fma>(x: f32, sum: f32) -> (f32, i32) {
    let n = sum - BIASED;
    let r = F::fma(n, -LN2[0], x);
    let r = F::fma(n, -LN2[1], r);
    let t = F::fma(horner::<F, 5>(EXP, r), r * r, r);
    (t, sum.to_bits().wrapping_sub(BIASED.to_bits()) as i32)
}

/// `e^x`. Underflow is gradual, down to +0; exp(-inf) is +0.
#[inline(always)]
pub(crate) fn exp<F: Fma>(x: f32) -> f32 {
    let x = if x > 88.8 { 88.8 } else { x };
    let x = if x < -150.0 { -150.0 } else { x };
    let (t, n) = exp_parts::<F>(x);
    scale(t + 1.0, n)
}

/// `(ln(1 + f) - f + f^2/2) / f^3` for 2/3 <= 1 + f < 4/3.
const LOG: [f32; 9] = [
    0.119538225,
    -0.128338829,
    0.107707962,
    -0.12198548,
    0.143026099,
    -0.1667936,
    0.199996844,
    -0.249998257,
    0.333333343,
];
/// ln 2 in two parts, the first with few bits, the second negative.
const LOG_LN2: [f32; 2] = [0.693359375, -2.12194440e-4];
/// The bits of 2/3, where the range of significands is cut so that it lies evenly about 1.
const TWO_THIRDS: u32 = 0x3f2a_aaab;

/// The natural logarithm: -inf at +0 and -0, NaN below.
#[inline(always)]
pub(crate) fn log<F: Fma>(x: f32) -> f32 {
    let tiny = x < f32::MIN_POSITIVE;
    let scaled = if tiny { x * 8_388_608.0 } else { x }; // 2^23 makes a subnormal normal
    let y = log_normal::<F>(scaled, Some(if tiny { -23.0 } else { 0.0 }));
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    let y = if x < 0.0 { NAN } else { y };
    if x < f32::INFINITY { y } else { x } // inf and NaN
}

/// `ln(x 2^shift)` for normal x. No shift is a shift by 0 to the bit, since an exponent is never -0.
///
/// `x = 2^e (1 + f)` with 2/3 <= 1 + f < 4/3, hence `ln x = e ln 2 + ln(1 + f)`.
#[inline(always)]
pub(crate) fn log_normal<F: Fma>(x: f32, shift: Option<f32>) -> f32 {
    let i = x.to_bits().wrapping_sub(TWO_THIRDS);
    let e = ((i as i32) >> 23) as f32;
    let e = if let Some(shift) = shift { e + shift } else { e };
    let f = f32::from_bits((i & 0x007f_ffff).wrapping_add(TWO_THIRDS)) - 1.0;
    let f2 = f * f;
    let q = horner::<F, 9>(LOG, f);
    // From the smallest term to the greatest.
    let y = F::fma(q, f2 * f, e * LOG_LN2[1]);
    let y = F::fma(-0.5, f2, y) + f;
    F::fma(e, LOG_LN2[0], y)
}

/// `(tanh(x)/x - 1) / x^2` in powers of x^2, for |x| < 0.625.
const TANH: [f32; 6] = [0.00215268391, -0.00819001347, 0.021706894, -0.0539481789, 0.133332208, -0.333333313];

/// The hyperbolic tangent; tanh(-0) is -0.
///
/// An odd polynomial near zero, else `1 - 2 / (e^(2|x|) + 1)`; from 9.5 on that is 1.
#[inline(always)]
pub(crate) fn tanh<F: Fma>(x: f32) -> f32 {
    let a = x.abs();
    let u = a * a;
    let small = F::fma(horner::<F, 6>(TANH, u), u * a, a);
    let c = if a > 9.5 { 9.5 } else { a };
    // Of twice c; the doubling is exact on either side, and n need not wait for it.
    let (t, n) = exp_parts_of::<F>(c + c, F::fma(c, 2.0 * std::f32::consts::LOG2_E, BIASED));
    let large = 1.0 - 2.0 / F::fma(t + 1.0, pow2(n), 1.0);
    let y = if a < 0.625 { small } else { large };
    f32::from_bits(y.to_bits() | (x.to_bits() & 0x8000_0000))
}

/// `(sin(r)/r - 1) / r^2` in powers of r^2, for |r| <= pi/4.
const SIN: [f32; 4] = [2.83268014e-6, -0.000198530717, 0.0083333794, -0.166666672];
/// `(cos(r) - 1 + r^2/2) / r^4` in powers of r^2, for |r| <= pi/4.
const COS: [f32; 4] = [-2.8878452e-7, 2.48220076e-5, -0.001388898, 0.0416666679];
/// pi/2 in three parts.
const HALF_PI: [f32; 3] = [1.57079637, -4.371139e-8, -1.71512489e-15];

/// The greatest |x| whose remainder by pi/2 three fused multiply-adds give; beyond, integers do it.
pub(crate) const SIN_SMALL: f32 = 100_000.0;

/// The sine; sin(-0) is -0, sin(inf) is NaN.
#[inline(always)]
pub(crate) fn sin<F: Fma>(x: f32) -> f32 {
    if x.abs() > SIN_SMALL { sin_huge::<F>(x) } else { sin_small::<F>(x) }
}

/// The cosine; cos(inf) is NaN.
#[inline(always)]
pub(crate) fn cos<F: Fma>(x: f32) -> f32 {
    if x.abs() > SIN_SMALL { cos_huge::<F>(x) } else { cos_small::<F>(x) }
}

/// [`sin`] for |x| up to [`SIN_SMALL`], without a branch. The sine is odd: the sign is put aside.
#[inline(always)]
pub(crate) fn sin_small<F: Fma>(x: f32) -> f32 {
    let (q, r) = quarter_turns::<F>(x.abs());
    f32::from_bits(sin_of::<F>(q, r).to_bits() ^ (x.to_bits() & 0x8000_0000))
}

/// [`cos`] for |x| up to [`SIN_SMALL`], without a branch: a sine a quarter turn further.
#[inline(always)]
pub(crate) fn cos_small<F: Fma>(x: f32) -> f32 {
    let (q, r) = quarter_turns::<F>(x.abs());
    sin_of::<F>(q.wrapping_add(1), r)
}

/// [`sin`] beyond [`SIN_SMALL`].
#[cold]
pub(crate) fn sin_huge<F: Fma>(x: f32) -> f32 {
    let (q, r) = quarter_turns_huge(x.abs());
    f32::from_bits(sin_of::<F>(q, r).to_bits() ^ (x.to_bits() & 0x8000_0000))
}

/// [`cos`] beyond [`SIN_SMALL`].
#[cold]
pub(crate) fn cos_huge<F: Fma>(x: f32) -> f32 {
    let (q, r) = quarter_turns_huge(x.abs());
    sin_of::<F>(q.wrapping_add(1), r)
}

/// `sin(q pi/2 + r)` for |r| <= pi/4: odd quarters are cosines, the third and fourth are negative.
#[inline(always)]
fn sin_of<F: Fma>(q: i32, r: f32) -> f32 {
    let u = r * r;
    let s = F::fma(horner::<F, 4>(SIN, u), u * r, r);
    let c = F::fma(horner::<F, 4>(COS, u), u * u, F::fma(u, -0.5, 1.0));
    let y = if q & 1 == 1 { c } else { s };
    f32::from_bits(y.to_bits() ^ ((q as u32 & 2) << 30))
}

/// `x = q pi/2 + r` with |r| <= pi/4, for 0 <= x <= [`SIN_SMALL`], q modulo 4 (Cody and Waite).
#[inline(always)]
fn quarter_turns<F: Fma>(x: f32) -> (i32, f32) {
    let t = F::fma(x, std::f32::consts::FRAC_2_PI, ROUND);
    let n = t - ROUND;
    let r = F::fma(n, -HALF_PI[0], x);
    let r = F::fma(n, -HALF_PI[1], r);
    let r = F::fma(n, -HALF_PI[2], r);
    (t.to_bits().wrapping_sub(ROUND.to_bits()) as i32, r)
}

/// 2/pi in binary: the first word is its integer part.
const TWO_OVER_PI: [u64; 5] =
    [0, 0xa2f9_836e_4e44_1529, 0xfc27_57d1_f534_ddc0, 0xdb62_9599_3c43_9041, 0xfe51_63ab_debb_c561];
/// pi/2 times 2^63.
const HALF_PI_BITS: u64 = 0xc90f_daa2_2168_c235;

/// `x = q pi/2 + r` with |r| <= pi/4, for x > [`SIN_SMALL`], q modulo 4 (Payne and Hanek), in integers alone.
///
/// `x = m 2^e`, so `x 2/pi = m (2/pi 2^e)`. Of `2/pi 2^e` the bits from 4 up give whole turns whatever m is: drop
/// them and keep the next 96. Then the product is `x 2/pi` modulo 4, scaled by 2^94, with an error below 2^24;
/// as no binary32 number comes closer than 2^-33 to a multiple of pi/2, r has at least 36 right bits.
fn quarter_turns_huge(x: f32) -> (i32, f32) {
    if !x.is_finite() {
        return (0, NAN);
    }
    let e = (x.to_bits() >> 23) as usize; // biased: at least 143 here
    let m = u128::from(x.to_bits() & 0x007f_ffff | 0x0080_0000);
    // Bit i from the top of TWO_OVER_PI weighs 2^(63 - i); we want those from 2^(1 - (e - 150)) on.
    let start = e - 88;
    let [high, middle, low] = [0, 1, 2].map(|i| u128::from(TWO_OVER_PI[start / 64 + i]));
    let shift = start % 64;
    let window = ((high << 64 | middle) << shift | (low << shift) >> 64) >> 32;
    let turns = (m * window) & ((1 << 96) - 1);
    let q = (turns + (1 << 93)) >> 94; // to nearest: 0..=4
    let fraction = turns as i128 - ((q as i128) << 94); // of a quarter turn, scaled by 2^94, at most a half
    let magnitude = fraction.unsigned_abs();
    if magnitude == 0 {
        return (q as i32, 0.0); // no x reaches this
    }
    let zeros = magnitude.leading_zeros();
    let significand = (((magnitude << zeros) >> 64) * u128::from(HALF_PI_BITS)) >> 64;
    // fraction 2^-94 pi/2 = significand 2^(64 - zeros) 2^-94 2^(64 - 63): the conversion rounds, the scaling is exact.
    let r = (significand as u64) as f32 * pow2(-29 - zeros as i32);
    (q as i32, if fraction < 0 { -r } else { r })
}

/// `1 / sqrt(x)`, correctly rounded. As for the quotient, rsqrt(+0) is inf, rsqrt(-0) is -inf, rsqrt(inf) is +0, and
/// below zero it is NaN.
///
/// Root and division round twice; one Newton step with the exact residual puts that right. That it always does is
/// tested for every significand; any other way to the correctly rounded value is as good.
#[inline(always)]
pub(crate) fn rsqrt<F: Fma>(x: f32) -> f32 {
    let y = rsqrt_finite::<F>(x);
    if y.is_nan() { 1.0 / x.sqrt() } else { y } // at 0 and inf there is no residual, and the quotient is right
}

/// [`rsqrt`] above zero and below inf.
#[inline(always)]
pub(crate) fn rsqrt_finite<F: Fma>(x: f32) -> f32 {
    let s = x.sqrt();
    let y = 1.0 / s;
    // 1 - x y^2 = (1 - s y) - (x y - s) y, where both brackets are exact.
    let residual = F::fma(-F::fma(x, y, -s), y, F::fma(-s, y, 1.0));
    // A unit less than a half: with just a half, one significand in 2^24 goes wrong.
    F::fma(residual * y, 0.49999997, y)
}

/// `x` moved into -150..=150, where every exponential below has become 0 or 1 to all bits; NaN stays.
#[inline(always)]
fn clamp(x: f32) -> f32 {
    let x = if x > 150.0 { 150.0 } else { x };
    if x < -150.0 { -150.0 } else { x }
}

/// `sigmoid(v) = b / w` for |v| <= 150: with `e^-v = (1 + t) 2^n` and `b = 2^-n`, `w = b (1 + e^-v) = 1 + t + b`.
///
/// Returns `[t, w]` and m, with `b = 2^m`. From 2^100 on, w is b to all bits and any b will do.
#[inline(always)]
fn sigmoid_parts<F: Fma>(v: f32) -> ([f32; 2], i32) {
    let (t, n) = exp_parts::<F>(-v);
    let m = n.wrapping_neg().min(100);
    ([t, denominator(t, pow2(m.max(-126)))], m)
}

/// `1 + t + b`, the greatest last: so that the first sum costs the least.
#[inline(always)]
pub(crate) fn denominator(t: f32, b: f32) -> f32 {
    let (low, high) = if b < 1.0 { (b, 1.0) } else { (1.0, b) };
    t + low + high
}

/// `k sigmoid(v)` for |v| <= 150. It underflows once, at the end, if at all.
#[inline(always)]
fn times_sigmoid<F: Fma>(k: f32, v: f32) -> f32 {
    let ([_, w], m) = sigmoid_parts::<F>(v);
    scale(k / w, m)
}

/// `dy s (1 + u (1 - s))` with `s = sigmoid(v)`, |v| <= 150: the derivative of `x sigmoid(v)` if u is x times that
/// of v. `1 - s` is `(1 + t) / w`.
#[inline(always)]
fn times_sigmoid_grad<F: Fma>(u: f32, v: f32, dy: f32) -> f32 {
    let ([t, w], m) = sigmoid_parts::<F>(v);
    let r = 1.0 / w;
    scale(F::fma(u, (t + 1.0) * r, 1.0) * r, m) * dy
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid<F: Fma>(x: f32) -> f32 {
    times_sigmoid::<F>(1.0, clamp(x))
}

/// `x sigmoid(x)`; at -inf its limit, -0.
#[inline(always)]
pub(crate) fn silu<F: Fma>(x: f32) -> f32 {
    times_sigmoid::<F>(if x < -150.0 { -150.0 } else { x }, clamp(x))
}

/// The derivative of [`silu`] at x, times dy.
#[inline(always)]
pub(crate) fn silu_grad<F: Fma>(x: f32, dy: f32) -> f32 {
    let x = clamp(x);
    times_sigmoid_grad::<F>(x, x, dy)
}

/// `2 sqrt(2/pi)`, 0.044715 times that, and three times the latter.
const GELU: [f32; 3] = [1.59576917, 0.0713548139, 0.214064449];

/// The tanh form of GELU, `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`; at -inf its limit, -0.
///
/// `(1 + tanh(u)) / 2` is `sigmoid(2u)`, which does not cancel where u is negative.
#[inline(always)]
pub(crate) fn gelu<F: Fma>(x: f32) -> f32 {
    let v = clamp(x * F::fma(GELU[1], x * x, GELU[0]));
    times_sigmoid::<F>(if x < -150.0 { -150.0 } else { x }, v)
}

/// The derivative of [`gelu`] at x, times dy.
#[inline(always)]
pub(crate) fn gelu_grad<F: Fma>(x: f32, dy: f32) -> f32 {
    let x = clamp(x);
    let v = clamp(x * F::fma(GELU[1], x * x, GELU[0]));
    let slope = F::fma(GELU[2], x * x, GELU[0]);
    times_sigmoid_grad::<F>(x * slope, v, dy)
}

/// `x` above zero, +0 elsewhere; NaN stays.
#[inline(always)]
pub(crate) fn relu(x: f32) -> f32 {
    if x <= 0.0 { 0.0 } else { x }
}

/// `dy` where x is above zero, +0 elsewhere.
#[inline(always)]
pub(crate) fn relu_grad(x: f32, dy: f32) -> f32 {
    if x > 0.0 { dy } else { 0.0 }
}

/// A function of one number, as stored.
#[inline(always)]
pub(crate) fn unary<F: Fma>(f: UnaryFn, x: f32) -> f32 {
    canon(match f {
        UnaryFn::Neg => -x,
        UnaryFn::Abs => x.abs(),
        UnaryFn::Sqrt => x.sqrt(),
        UnaryFn::Rsqrt => rsqrt::<F>(x),
        UnaryFn::Recip => 1.0 / x,
        UnaryFn::Exp => exp::<F>(x),
        UnaryFn::Log => log::<F>(x),
        UnaryFn::Tanh => tanh::<F>(x),
        UnaryFn::Sin => sin::<F>(x),
        UnaryFn::Cos => cos::<F>(x),
        UnaryFn::Sigmoid => sigmoid::<F>(x),
        UnaryFn::Silu => silu::<F>(x),
        UnaryFn::Gelu => gelu::<F>(x),
        UnaryFn::Relu => relu(x),
    })
}

/// A function of two numbers, as stored.
pub(crate) fn binary<F: Fma>(f: BinaryFn, a: f32, b: f32) -> f32 {
    canon(match f {
        BinaryFn::Add => a + b,
        BinaryFn::Sub => a - b,
        BinaryFn::Mul => a * b,
        BinaryFn::Div => a / b,
        BinaryFn::Max => max(a, b),
        BinaryFn::Min => min(a, b),
        BinaryFn::SiluGrad => silu_grad::<F>(a, b),
        BinaryFn::GeluGrad => gelu_grad::<F>(a, b),
        BinaryFn::ReluGrad => relu_grad(a, b),
    })
}

/// A comparison, 1 where it holds. None holds of NaN; +0 equals -0.
pub(crate) fn compare(f: CompareFn, a: f32, b: f32) -> u32 {
    u32::from(match f {
        CompareFn::Lt => a < b,
        CompareFn::Le => a <= b,
        CompareFn::Eq => a == b,
    })
}

#[cfg(test)]
pub(crate) mod tests;
