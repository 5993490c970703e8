//! Scalar arithmetic (stand-in until the full file lands).

/// The canonical NaN, the only one that is ever stored.
pub(crate) const NAN: f32 = f32::from_bits(0x7fc0_0000);

/// `x`, or the canonical NaN for any NaN.
#[inline(always)]
pub(crate) fn canon(x: f32) -> f32 {
    if x.is_nan() { NAN } else { x }
}

/// The maximum; NaN if either is NaN; +0 above -0.
#[inline(always)]
pub(crate) fn max(a: f32, b: f32) -> f32 {
    if a.is_nan() || b.is_nan() {
        NAN
    } else if a == b {
        f32::from_bits(a.to_bits() & b.to_bits())
    } else if a > b {
        a
    } else {
        b
    }
}

/// How a fused multiply-add is computed: both ways give the same bits.
pub(crate) trait Fma: Copy {
    /// `a * b + c`, rounded once.
    fn fma(a: f32, b: f32, c: f32) -> f32;
}

/// By the machine's instruction.
#[derive(Clone, Copy)]
pub(crate) struct Hard;

impl Fma for Hard {
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

/// By double precision and rounding to odd.
#[derive(Clone, Copy)]
pub(crate) struct Soft;

impl Fma for Soft {
    #[inline(always)]
    fn fma(a: f32, b: f32, c: f32) -> f32 {
        let p = a as f64 * b as f64;
        let c = c as f64;
        let s = p + c;
        // TwoSum: the exact error of the sum.
        let t = s - p;
        let e = (p - (s - t)) + (c - t);
        let bits = s.to_bits();
        let up = (e > 0.0) == (s > 0.0);
        let odd = if up { bits + 1 } else { bits.wrapping_sub(1) };
        let fix = e != 0.0 && bits & 1 == 0 && s.is_finite();
        f64::from_bits(if fix { odd } else { bits }) as f32
    }
}

/// e to the x (stand-in).
#[inline(always)]
pub(crate) fn exp<F: Fma>(x: f32) -> f32 {
    let n = F::fma(x, std::f32::consts::LOG2_E, 12_582_912.0) - 12_582_912.0;
    let r = F::fma(n, -0.693_359_4, x);
    let r = F::fma(n, 2.121_944_4e-4, r);
    let p = F::fma(1.388_888_9e-3, r, 8.333_334e-3);
    let p = F::fma(p, r, 4.166_666_8e-2);
    let p = F::fma(p, r, 1.666_666_7e-1);
    let p = F::fma(p, r, 0.5);
    let p = F::fma(p, r, 1.0);
    let p = F::fma(p, r, 1.0);
    let y = p * f32::from_bits((((n as i32) + 127) << 23) as u32);
    let y = if x > 88.0 { f32::INFINITY } else { y };
    let y = if x < -87.0 { 0.0 } else { y };
    if x.is_nan() { NAN } else { y }
}
