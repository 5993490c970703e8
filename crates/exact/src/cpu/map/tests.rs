use super::*;
use crate::Level;
use crate::spec::math::tests::{specials, xorshift};
use crate::spec::math::{Fma, Hard, Soft};

const COMPARE: [CompareFn; 3] = [CompareFn::Lt, CompareFn::Le, CompareFn::Eq];

/// Set this variable to `all`, or to names of functions (`exp,log`), to try every one of the 2^32 inputs of these: in
/// a release build, a few minutes each.
const EXHAUSTIVE: &str = "EXACT_EXHAUSTIVE";

/// What equality means here.
pub(crate) fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// n values of every size and kind, specials among them.
pub(crate) fn values(n: usize, seed: u64) -> Vec<f32> {
    let special = specials();
    let mut state = seed | 1 << 40;
    (0..n)
        .map(|_| match xorshift(&mut state) {
            r if r % 5 == 0 => special[r as usize / 5 % special.len()],
            r if r % 5 == 1 => canon(f32::from_bits(xorshift(&mut state))),
            r => (r >> 8) as f32 * 1e-6 - 8.0,
        })
        .collect()
}

/// How far y is from the real value, in units of the last place of the latter.
fn error_in_ulp(y: f32, exact: f64) -> f64 {
    if exact.is_nan() || y.is_nan() {
        return if exact.is_nan() && y.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if y.is_infinite() {
        // Right if it rounds there; otherwise as if the range went on.
        return if (exact as f32) == y {
            0.0
        } else {
            ((f64::from(y.signum()) * 2f64.powi(128)) - exact).abs() / 2f64.powi(104)
        };
    }
    let exponent = ((exact.to_bits() >> 52) & 0x7ff) as i32 - 1023;
    (f64::from(y) - exact).abs() / 2f64.powi((exponent - 23).clamp(-149, 104))
}

/// What each function approximates, and the error in ulp that it may have.
fn reference(f: UnaryFn) -> (fn(f64) -> f64, f64) {
    fn sigmoid(x: f64) -> f64 {
        if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
    }
    fn silu(x: f64) -> f64 {
        if x == f64::NEG_INFINITY { -0.0 } else { x * sigmoid(x) }
    }
    fn gelu(x: f64) -> f64 {
        let v = 2.0 * std::f64::consts::FRAC_2_PI.sqrt() * (x + 0.044715 * x * x * x);
        if v < -1000.0 { -0.0 } else { x * sigmoid(v) }
    }
    match f {
        UnaryFn::Neg => (|x| -x, 0.0),
        UnaryFn::Abs => (f64::abs, 0.0),
        UnaryFn::Sqrt => (f64::sqrt, 0.5),
        UnaryFn::Rsqrt => (|x| 1.0 / x.sqrt(), 0.5),
        UnaryFn::Recip => (|x| 1.0 / x, 0.5),
        UnaryFn::Exp => (f64::exp, 1.01),
        UnaryFn::Log => (f64::ln, 0.78),
        UnaryFn::Tanh => (f64::tanh, 1.33),
        UnaryFn::Sin => (f64::sin, 1.58),
        UnaryFn::Cos => (f64::cos, 1.58),
        UnaryFn::Sigmoid => (sigmoid, 2.0),
        UnaryFn::Silu => (silu, 2.0),
        UnaryFn::Gelu => (gelu, 220.0),
        UnaryFn::Relu => (|x| if x <= 0.0 { 0.0 } else { x }, 0.0),
    }
}

kernel! {
    /// The spec itself, quickly: with the machine's fma.
    unsafe fn spec_of<F>(f: UnaryFn, x: &[f32], y: &mut [f32]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = math::unary::<F>(f, x);
        }
    }
}

/// Every level gives the spec's bits, and these are as near to the real function as promised: on a sample of all bit
/// patterns, or on all of them.
#[test]
fn unary_equals_spec_and_is_accurate() {
    let exhaustive = std::env::var(EXHAUSTIVE).unwrap_or_default();
    const BATCH: usize = 4096;
    let every = |f: UnaryFn, first: u64, step: u64| {
        let (exact, _) = reference(f);
        let mut worst = (0.0, 0.0);
        let mut y = vec![0.0; BATCH];
        for start in (first..1 << 32).step_by(step as usize * BATCH) {
            let x: Vec<f32> = (start..1 << 32)
                .step_by(step as usize)
                .take(BATCH)
                .map(|bits| canon(f32::from_bits(bits as u32)))
                .collect();
            let mut spec = vec![0.0; x.len()];
            // SAFETY: this machine has the level.
            unsafe { spec_of(Level::best(), f, &x, &mut spec) };
            for level in Level::available() {
                // SAFETY: both have room for the batch.
                unsafe { unary(level, f, x.len(), x.as_ptr(), y.as_mut_ptr()) };
                let wrong = spec.iter().zip(&y).position(|(s, y)| s.to_bits() != y.to_bits());
                assert_eq!(wrong.map(|i| (x[i], spec[i], y[i])), None, "{f:?} at level {level}");
            }
            for (&x, &y) in x.iter().zip(&spec) {
                let error = error_in_ulp(y, exact(f64::from(x)));
                if error > worst.0 {
                    worst = (error, x);
                }
            }
        }
        worst
    };
    for f in UnaryFn::ALL {
        let chosen = exhaustive.split(',').any(|name| name == "all" || name == f.name());
        if !chosen && !exhaustive.is_empty() {
            continue;
        }
        let stride: u64 = if chosen { 1 } else { 30_011 };
        // Two threads, each its half of the strided batches.
        let worst = std::thread::scope(|scope| {
            let other = scope.spawn(|| every(f, stride, 2 * stride));
            let mine = every(f, 0, 2 * stride);
            let other = other.join().unwrap();
            if mine.0 > other.0 { mine } else { other }
        });
        println!("{f:?}: at most {:.4} ulp, at {:e}", worst.0, worst.1);
        let (_, bound) = reference(f);
        assert!(worst.0 <= bound + 0.005, "{f:?}: {} ulp at {:e}", worst.0, worst.1);
    }
}

#[test]
fn unary_of_any_length_and_in_place() {
    for f in UnaryFn::ALL {
        for n in [0, 1, 3, 17, 64, 255, 256, 257, 1000] {
            let x = values(n, n as u64 + 7);
            let spec: Vec<f32> = x.iter().map(|&x| math::unary::<Soft>(f, x)).collect();
            for level in Level::available() {
                let mut y = vec![0.0; n];
                // SAFETY: both have n elements.
                unsafe { unary(level, f, n, x.as_ptr(), y.as_mut_ptr()) };
                assert_eq!(bits(&y), bits(&spec), "{f:?}, {n} at level {level}");
                let mut y = x.clone();
                // SAFETY: as above.
                unsafe { unary(level, f, n, y.as_ptr(), y.as_mut_ptr()) };
                assert_eq!(bits(&y), bits(&spec), "{f:?}, {n} in place at level {level}");
            }
        }
    }
}

/// Runs a kernel of two inputs in all its forms: slices and scalars, output apart and in place of either.
fn check_forms(n: usize, spec: impl Fn(f32, f32) -> u32, kernel: impl Fn(Operand, Operand, *mut u32)) {
    let (a, b) = (values(n, 11 + n as u64), values(n, 23 + n as u64));
    let slice = |x: &[f32]| Operand::Slice(x.as_ptr());
    let expect = |a: &dyn Fn(usize) -> f32, b: &dyn Fn(usize) -> f32| {
        (0..n).map(|i| spec(a(i), b(i))).collect::<Vec<_>>()
    };
    let both = expect(&|i| a[i], &|i| b[i]);
    let mut out = vec![0u32; n];
    kernel(slice(&a), slice(&b), out.as_mut_ptr());
    assert_eq!(out, both);
    for scalar in [0.5, -0.0, f32::INFINITY, math::NAN] {
        kernel(slice(&a), Operand::Scalar(scalar), out.as_mut_ptr());
        assert_eq!(out, expect(&|i| a[i], &|_| scalar));
        kernel(Operand::Scalar(scalar), slice(&b), out.as_mut_ptr());
        assert_eq!(out, expect(&|_| scalar, &|i| b[i]));
    }
    let mut out = bits(&a);
    kernel(Operand::Slice(out.as_ptr().cast()), slice(&b), out.as_mut_ptr());
    assert_eq!(out, both, "in place of the first");
    let mut out = bits(&b);
    kernel(slice(&a), Operand::Slice(out.as_ptr().cast()), out.as_mut_ptr());
    assert_eq!(out, both, "in place of the second");
    let mut out = bits(&a);
    kernel(Operand::Slice(out.as_ptr().cast()), Operand::Slice(out.as_ptr().cast()), out.as_mut_ptr());
    assert_eq!(out, expect(&|i| a[i], &|i| a[i]), "in place of both");
}

#[test]
fn binary_and_compare_equal_spec() {
    for level in Level::available() {
        for n in [0, 1, 63, 256, 1031] {
            for f in BinaryFn::ALL {
                // SAFETY: `check_forms` passes n elements each.
                let kernel = |a, b, out: *mut u32| unsafe { binary(level, f, n, a, b, out.cast()) };
                check_forms(n, |a, b| math::binary::<Soft>(f, a, b).to_bits(), kernel);
            }
            for f in COMPARE {
                // SAFETY: as above.
                let kernel = |a, b, out| unsafe { compare(level, f, n, a, b, out) };
                check_forms(n, |a, b| math::compare(f, a, b), kernel);
            }
            let c = values(n, 5);
            let mask: Vec<u32> = (0..n as u32).map(|i| (i % 3) * 1000).collect();
            let (a, b) = (values(n, 1), values(n, 2));
            let mut out = vec![0.0; n];
            let [pa, pb, pc] = [&a, &b, &c].map(|x| Operand::Slice(x.as_ptr()));
            // SAFETY: all have n elements.
            unsafe { fma(level, n, pa, pb, pc, out.as_mut_ptr()) };
            let spec: Vec<f32> = (0..n).map(|i| canon(Soft::fma(a[i], b[i], c[i]))).collect();
            assert_eq!(bits(&out), bits(&spec));
            // SAFETY: as above.
            unsafe { select(level, n, mask.as_ptr(), pa, Operand::Scalar(-0.0), out.as_mut_ptr()) };
            let spec: Vec<f32> = (0..n).map(|i| if mask[i] == 0 { -0.0 } else { a[i] }).collect();
            assert_eq!(bits(&out), bits(&spec));
        }
    }
}

/// The gradients agree with the derivative in double precision: they have a root, so the error is taken relative to
/// the greater of the result and one (times dy).
#[test]
fn gate_gradients_are_derivatives() {
    let derivative = |f: UnaryFn, x: f64| {
        let (exact, _) = reference(f);
        let h = 1e-5;
        (exact(x + h) - exact(x - h)) / (2.0 * h)
    };
    for i in -2000..2000 {
        let x = i as f32 * 0.013;
        for (f, grad) in [(UnaryFn::Silu, BinaryFn::SiluGrad), (UnaryFn::Gelu, BinaryFn::GeluGrad)] {
            let y = math::binary::<Hard>(grad, x, 2.0);
            assert!((f64::from(y) - 2.0 * derivative(f, f64::from(x))).abs() < 2e-6, "{grad:?}({x})");
        }
    }
}
