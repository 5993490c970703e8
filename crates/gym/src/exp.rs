//! The exponential function, to the same bits on every machine: systems' libraries differ in the last one.

/// `e` to a power that is not positive, to within a few units of the last place.
pub(crate) fn exp(x: f64) -> f64 {
    if x.is_nan() || x < -700.0 {
        return if x.is_nan() { x } else { 0.0 };
    }
    let x = x.min(0.0);
    let halvings = (x * std::f64::consts::LOG2_E).round();
    // The logarithm of two in two parts, the first with so few digits that its multiples are exact.
    const HIGH: f64 = 0.693_147_180_369_123_8;
    const LOW: f64 = 1.908_214_929_270_587_7e-10;
    let rest = (x - halvings * HIGH) - halvings * LOW;
    let mut sum = 1.0;
    for n in (1..=15).rev() {
        sum = 1.0 + sum * rest / f64::from(n);
    }
    sum * f64::from_bits(((1023 + halvings as i64) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::exp;

    #[test]
    fn it_is_the_systems_to_within_rounding() {
        for i in 0..7_000 {
            let x = f64::from(i) * -0.1;
            let (ours, theirs) = (exp(x), x.exp());
            assert!((ours - theirs).abs() <= 4e-15 * theirs, "{x}: {ours} {theirs}");
        }
        assert_eq!((exp(0.0), exp(-1e9), exp(f64::NEG_INFINITY), exp(5.0)), (1.0, 0.0, 0.0, 1.0));
    }
}
