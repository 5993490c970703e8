use super::*;

/// Numbers at which functions go wrong, each with both signs.
pub(crate) fn specials() -> Vec<f32> {
    let mut positive = vec![
        0.0,
        f32::from_bits(1),
        f32::from_bits(0x0040_0000),
        f32::from_bits(0x007f_ffff),
        f32::MIN_POSITIVE,
        1e-30,
        0.3,
        0.5,
        0.625,
        2.0 / 3.0,
        1.0,
        1.5,
        9.5,
        87.5,
        88.722_83,
        88.722_84,
        88.9,
        103.97,
        104.1,
        108.0,
        149.9,
        151.0,
        16_777_215.0,
        SIN_SMALL,
        SIN_SMALL.next_up(),
        1e20,
        f32::MAX,
        f32::INFINITY,
    ];
    positive.extend((1..40).map(|i| i as f32 * std::f32::consts::FRAC_PI_4));
    let mut all: Vec<f32> = positive.iter().flat_map(|&x| [x, -x]).collect();
    all.push(NAN);
    all
}

/// The next of a sequence of pseudo-random bits; the state must not be zero.
pub(crate) fn xorshift(state: &mut u64) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 16) as u32
}

fn same(a: f32, b: f32) -> bool {
    canon(a).to_bits() == canon(b).to_bits()
}

#[test]
fn soft_fma_is_the_fma() {
    let special = specials();
    for &a in &special {
        for &b in &special {
            for &c in &special {
                assert!(same(Soft::fma(a, b, c), Hard::fma(a, b, c)), "{a:e} * {b:e} + {c:e}");
            }
        }
    }
    let mut state = 88_172_645_463_325_252;
    for i in 0..3_000_000 {
        let [a, b, c] = std::array::from_fn(|_| xorshift(&mut state));
        let [a, b, mut c] = [a, b, c].map(f32::from_bits);
        if i % 3 == 1 {
            c = -(a * b); // cancel
        } else if i % 3 == 2 {
            // Half an ulp off: the ties.
            c = f32::from_bits(
                (a * b).to_bits().wrapping_sub(24 << 23).wrapping_add(xorshift(&mut state) % 3),
            );
        }
        assert!(same(Soft::fma(a, b, c), Hard::fma(a, b, c)), "{a:e} * {b:e} + {c:e}");
    }
}

#[test]
fn values_at_the_edges() {
    const INF: f32 = f32::INFINITY;
    let check = |f, x: f32, expected: f32| {
        for y in [unary::<Hard>(f, x), unary::<Soft>(f, x)] {
            assert_eq!(y.to_bits(), expected.to_bits(), "{f:?}({x:e}) = {y:e}, not {expected:e}");
        }
    };
    use UnaryFn::*;
    for f in UnaryFn::ALL {
        check(f, NAN, NAN);
        check(f, -NAN, NAN);
    }
    check(Neg, 0.0, -0.0);
    check(Abs, -0.0, 0.0);
    check(Sqrt, -0.0, -0.0);
    check(Sqrt, -1.0, NAN);
    check(Recip, -0.0, -INF);
    check(Rsqrt, 0.0, INF);
    check(Rsqrt, -0.0, -INF);
    check(Rsqrt, INF, 0.0);
    check(Rsqrt, -f32::from_bits(1), NAN);
    check(Rsqrt, -INF, NAN);
    check(Rsqrt, 4.0, 0.5);
    check(Rsqrt, f32::from_bits(2), 2f32.powi(74));
    check(Exp, 0.0, 1.0);
    check(Exp, -0.0, 1.0);
    check(Exp, INF, INF);
    check(Exp, -INF, 0.0);
    check(Exp, 88.722_84, INF);
    check(Exp, -103.9, f32::from_bits(1));
    check(Exp, -104.0, 0.0);
    check(Log, 1.0, 0.0);
    check(Log, 0.0, -INF);
    check(Log, -0.0, -INF);
    check(Log, -f32::from_bits(1), NAN);
    check(Log, -INF, NAN);
    check(Log, INF, INF);
    check(Tanh, INF, 1.0);
    check(Tanh, -INF, -1.0);
    for f in [Tanh, Sin, Silu, Gelu, Sqrt] {
        check(f, 0.0, 0.0);
        check(f, -0.0, -0.0);
    }
    for f in [Tanh, Sin] {
        check(f, f32::from_bits(1), f32::from_bits(1));
        check(f, -f32::MIN_POSITIVE, -f32::MIN_POSITIVE);
    }
    check(Sin, INF, NAN);
    check(Cos, -INF, NAN);
    check(Cos, -0.0, 1.0);
    check(Sigmoid, INF, 1.0);
    check(Sigmoid, -INF, 0.0);
    check(Sigmoid, 0.0, 0.5);
    for f in [Silu, Gelu] {
        check(f, INF, INF);
        check(f, f32::MAX, f32::MAX);
        check(f, -INF, -0.0);
        check(f, -f32::MAX, -0.0);
    }
    check(Relu, -0.0, 0.0);
    check(Relu, -INF, 0.0);

    let check = |f, a: f32, b: f32, expected: f32| {
        for y in [binary::<Hard>(f, a, b), binary::<Soft>(f, a, b)] {
            assert_eq!(y.to_bits(), expected.to_bits(), "{f:?}({a:e}, {b:e}) = {y:e}, not {expected:e}");
        }
    };
    for f in [BinaryFn::Max, BinaryFn::Min] {
        check(f, NAN, 1.0, NAN);
        check(f, -INF, NAN, NAN);
    }
    for (a, b) in [(0.0, -0.0), (-0.0, 0.0)] {
        check(BinaryFn::Max, a, b, 0.0);
        check(BinaryFn::Min, a, b, -0.0);
    }
    check(BinaryFn::Max, -0.0, -0.0, -0.0);
    check(BinaryFn::Max, -INF, -1.0, -1.0);
    check(BinaryFn::Min, INF, -1.0, -1.0);
    for f in [BinaryFn::SiluGrad, BinaryFn::GeluGrad] {
        check(f, INF, 3.0, 3.0);
        check(f, f32::MAX, 3.0, 3.0);
        check(f, -INF, 3.0, -0.0);
        check(f, -f32::MAX, 3.0, -0.0);
        check(f, 0.0, 3.0, 1.5);
        check(f, NAN, 3.0, NAN);
    }
    check(BinaryFn::ReluGrad, 1.0, -0.0, -0.0);
    check(BinaryFn::ReluGrad, -0.0, INF, 0.0);
    check(BinaryFn::ReluGrad, NAN, 2.0, 0.0);

    assert_eq!([CompareFn::Lt, CompareFn::Le, CompareFn::Eq].map(|f| compare(f, 0.0, -0.0)), [0, 1, 1]);
    assert_eq!([CompareFn::Lt, CompareFn::Le, CompareFn::Eq].map(|f| compare(f, NAN, NAN)), [0, 0, 0]);
    assert_eq!([CompareFn::Lt, CompareFn::Le, CompareFn::Eq].map(|f| compare(f, -INF, 1.0)), [1, 1, 0]);
}

/// y = rsqrt(x) is correctly rounded if 1/sqrt(x) lies between the middles to y's neighbours: with the integers
/// x = m 2^e and y = n 2^g, that is (2n - 1)^2 m < 2^(2 - e - 2g) < (2n + 1)^2 m. Equality cannot occur, and no
/// y is a power of two unless it is exact.
#[test]
fn rsqrt_is_correctly_rounded() {
    let parts = |v: f32| {
        let biased = (v.to_bits() >> 23) as i32;
        let (significand, e) = (v.to_bits() & 0x7f_ffff, biased.max(1) - 150);
        (u128::from(if biased == 0 { significand } else { significand | 0x80_0000 }), e)
    };
    let check = |x: f32| {
        let y = rsqrt::<Hard>(x);
        let ((m, e), (n, g)) = (parts(x), parts(y));
        let one = 1u128 << (2 - e - 2 * g);
        assert!((2 * n - 1).pow(2) * m < one && one < (2 * n + 1).pow(2) * m, "rsqrt({x:e}) = {y:e}");
    };
    // All significands at two neighbouring exponents: another exponent only scales by powers of four.
    (0x3f80_0000..0x4080_0000).for_each(|bits| check(f32::from_bits(bits)));
    for special in specials().into_iter().filter(|x| *x > 0.0 && x.is_finite()) {
        check(special);
    }
    (1..0x0080_0000).step_by(997).for_each(|bits| check(f32::from_bits(bits)));
}

/// A second implementation is written from the document: its constants are these.
#[test]
fn the_document_has_the_constants() {
    let document = include_str!("../../../../../docs/spec.md");
    let check = |name: &str, constants: &[f32]| {
        let bits: Vec<String> = constants.iter().map(|c| format!("{:08x}", c.to_bits())).collect();
        let line = format!("{name:<7} {}\n", bits.join(" "));
        assert!(document.contains(&line), "docs/spec.md lacks the line: {line}");
    };
    check("EXP", &EXP);
    check("LN2", &LN2);
    check("LOG", &LOG);
    check("LOG_LN2", &LOG_LN2);
    check("TANH", &TANH);
    check("SIN", &SIN);
    check("COS", &COS);
    check("HALF_PI", &HALF_PI);
    check("GELU", &GELU);
}
