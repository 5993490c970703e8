use super::*;
use crate::Level;
use crate::cpu::map::tests::{bits, values};
use crate::spec::math::{self, Fma, Soft};

/// The definition: lanes in rising index, then the tree.
fn naive(n: usize, step: impl Fn(f32, usize) -> f32) -> f32 {
    let mut lanes = [0.0; 64];
    for k in 0..n {
        lanes[k % 64] = step(lanes[k % 64], k);
    }
    for half in [32, 16, 8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
    }
    canon(lanes[0])
}

#[test]
fn sum_dot_and_max_equal_the_definition() {
    let check = |outer: usize, n: usize, inner: usize, seed: u64| {
        let len = outer * n * inner;
        // Wild values make nearly every sum NaN: seed 0 gives tame ones.
        let make = |seed: u64| -> Vec<f32> {
            if seed > 1 {
                values(len, seed)
            } else {
                (0..len).map(|i| ((i * 7) as f32 + seed as f32).sin()).collect()
            }
        };
        let (x, y) = (make(seed), make(seed + 1));
        let at = |r: usize, k: usize| (r / inner * n + k) * inner + r % inner;
        let each = |f: &dyn Fn(usize) -> f32| (0..outer * inner).map(|r| f(r).to_bits()).collect::<Vec<_>>();
        let sums = each(&|r| naive(n, |acc, k| acc + x[at(r, k)]));
        let dots = each(&|r| naive(n, |acc, k| Soft::fma(x[at(r, k)], y[at(r, k)], acc)));
        let greatest = each(&|r| canon((0..n).map(|k| x[at(r, k)]).fold(f32::NEG_INFINITY, math::max)));
        for level in Level::available() {
            // In two pieces along both axes, to try the ranges.
            let (o, c) = (outer / 2, inner / 3);
            let mut out = [vec![7.0; outer * inner], vec![7.0; outer * inner], vec![7.0; outer * inner]];
            for outer in [0..o, o..outer] {
                for columns in [0..c, c..inner] {
                    if inner == 1 && columns.is_empty() {
                        continue;
                    }
                    let folds = Folds { n, inner, outer: outer.clone(), columns };
                    let [a, b, m] = &mut out;
                    // SAFETY: the buffers have the sizes that the folds describe.
                    unsafe {
                        sum(level, &folds, x.as_ptr(), a.as_mut_ptr());
                        dot(level, &folds, x.as_ptr(), y.as_ptr(), b.as_mut_ptr());
                        if n > 0 {
                            max(level, &folds, x.as_ptr(), m.as_mut_ptr());
                        }
                    }
                }
            }
            let what = format!("[{outer}, {n}, {inner}] at level {level}");
            assert_eq!(bits(&out[0]), sums, "sum of {what}");
            assert_eq!(bits(&out[1]), dots, "dot of {what}");
            if n > 0 {
                assert_eq!(bits(&out[2]), greatest, "max of {what}");
            }
        }
    };
    for seed in [0, 40] {
        for n in [0, 1, 2, 31, 63, 64, 65, 127, 128, 200, 1000] {
            check(1, n, 1, seed);
            check(3, n, 1, seed);
            check(2, n, 5, seed);
        }
        check(1, 130, 64, seed);
        check(2, 70, 133, seed);
        check(0, 5, 3, seed);
        check(3, 1, 300, seed);
    }
}

#[test]
fn a_sum_in_two_halves_has_the_same_bits() {
    for n in [0, 1, 31, 32, 33, 64, 95, 96, 100, 1000, 4097] {
        let (x, y): (Vec<f32>, Vec<f32>) = (0..n).map(|i| ((i as f32).sin(), (i as f32 * 0.7).cos())).unzip();
        for level in Level::available() {
            let halves = |run: &dyn Fn(usize, &mut [f32; 32])| {
                let mut lanes = [0.0; 64];
                for half in [1, 0] {
                    let mut part = [0.0; 32];
                    run(half, &mut part);
                    lanes[half * 32..][..32].copy_from_slice(&part);
                }
                finish(lanes).to_bits()
            };
            // SAFETY: both have n elements.
            let sum = halves(&|half, part| unsafe { sum_lanes(level, n, x.as_ptr(), half, part) });
            assert_eq!(sum, naive(n, |acc, k| acc + x[k]).to_bits());
            // SAFETY: as above.
            let dot =
                halves(&|half, part| unsafe { dot_lanes(level, n, x.as_ptr(), y.as_ptr(), half, part) });
            assert_eq!(dot, naive(n, |acc, k| Soft::fma(x[k], y[k], acc)).to_bits());
        }
    }
}

#[test]
fn argmax_takes_the_lowest_index() {
    let check = |x: &[f32], expected: u32| {
        for level in Level::available() {
            let mut out = [9; 2];
            let twice = [x, x].concat();
            // SAFETY: two rows.
            unsafe { argmax(level, 2, x.len(), twice.as_ptr(), out.as_mut_ptr()) };
            assert_eq!(out, [expected; 2], "{x:?} at level {level}");
        }
    };
    check(&[3.0], 0);
    check(&[1.0, 3.0, 3.0], 1);
    check(&[-0.0, 0.0], 0);
    check(&[-1.0, -0.0, 0.0, -0.0], 1);
    check(&[f32::INFINITY, math::NAN, 1.0, math::NAN], 1);
    check(&[f32::NEG_INFINITY, f32::NEG_INFINITY], 0);
    let mut long: Vec<f32> = (0..1000).map(|i| -((i * 37 % 1000) as f32)).collect();
    check(&long, 0);
    long[700] = 5.0;
    long[901] = 5.0;
    check(&long, 700);
    long[999] = math::NAN;
    check(&long, 999);
}
