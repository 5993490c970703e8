//! Reductions: 64 lanes by index modulo 64, then a halving tree; the greatest element in any order.
//!
//! Serial over a range of the results. A tensor is seen as `[outer, n, inner]` and its middle axis is folded; result
//! `(o, i)` lies at `o * inner + i`. One long sum can be split over workers by lanes: see [`sum_lanes`].

use std::ops::Range;

use super::lanes::{Aligned, fetch, kernel};
use crate::spec::math::canon;

/// Accumulators of a sum: element k belongs to lane k modulo this.
pub(crate) const LANES: usize = 64;

/// Columns that are summed together: their accumulators, 64 per column, stay in the first-level cache.
pub(crate) const COLUMNS: usize = 64;

/// Which results to compute, of a tensor `[outer, n, inner]`.
#[derive(Clone, Debug)]
pub(crate) struct Folds {
    /// The length of the folded axis.
    pub(crate) n: usize,
    /// The product of the axes after it.
    pub(crate) inner: usize,
    /// The results' outer indices.
    pub(crate) outer: Range<usize>,
    /// The results' inner indices, in `0..inner`.
    pub(crate) columns: Range<usize>,
}

kernel! {
    /// The sums of x. Safety: x is readable and out writable wherever `folds` says; they are disjoint.
    pub(crate) unsafe fn sum<F>(folds: &Folds, x: *const f32, out: *mut f32) {
        // SAFETY: the caller's contract; `fold` passes indices of elements to be folded.
        unsafe { fold(folds, out, |k, n| fetch(x.wrapping_add(k), n), |acc, k| acc + *x.add(k)) }
    }
}

kernel! {
    /// The sums of products of x and y. Safety: as for [`sum`].
    pub(crate) unsafe fn dot<F>(folds: &Folds, x: *const f32, y: *const f32, out: *mut f32) {
        // SAFETY: as in `sum`.
        unsafe {
            let soon = |k, n| [x, y].iter().for_each(|x| fetch(x.wrapping_add(k), n));
            fold(folds, out, soon, |acc, k| F::fma(*x.add(k), *y.add(k), acc));
        }
    }
}

kernel! {
    /// The greatest of x, which must be canonical; n is at least 1. Safety: as for [`sum`].
    pub(crate) unsafe fn max<F>(folds: &Folds, x: *const f32, out: *mut f32) {
        let Folds { n, inner, .. } = *folds;
        // SAFETY: the caller's contract.
        unsafe {
            for o in folds.outer.clone() {
                if inner == 1 {
                    *out.add(o) = max_of_row(n, x.add(o * n));
                    continue;
                }
                for start in folds.columns.clone().step_by(COLUMNS) {
                    let width = COLUMNS.min(folds.columns.end - start);
                    let mut greatest = Greatest::<COLUMNS>::new();
                    for k in 0..n {
                        let row = x.add((o * n + k) * inner + start);
                        greatest.take(std::slice::from_raw_parts(row, width));
                    }
                    for i in 0..width {
                        let value = Greatest::<COLUMNS>::value(greatest.max[i], greatest.min[i]);
                        *out.add(o * inner + start + i) = value;
                    }
                }
            }
        }
    }
}

kernel! {
    /// For each of some rows of n >= 1 canonical numbers, the lowest index of its greatest element: NaN is above
    /// all, +0 and -0 are equal. Safety: x is readable for `rows * n` elements, out writable for `rows`.
    pub(crate) unsafe fn argmax<F>(rows: usize, n: usize, x: *const f32, out: *mut u32) {
        // SAFETY: the caller's contract.
        unsafe {
            for r in 0..rows {
                let row = std::slice::from_raw_parts(x.add(r * n), n);
                let greatest = max_of_row(n, row.as_ptr());
                let here = |x: f32| x == greatest || x.is_nan(); // NaN only where it is the greatest
                let block = row.chunks(LANES).position(|c| c.iter().fold(false, |any, &x| any | here(x)));
                let start = block.unwrap_or(0) * LANES;
                let inside = row[start..].iter().position(|&x| here(x)).unwrap_or(0);
                *out.add(r) = (start + inside) as u32;
            }
        }
    }
}

kernel! {
    /// A part of one sum over n elements: the lanes `32 half ..` into `lanes[32 half ..]`, for half 0 and 1. Once
    /// both are done, [`finish`] gives the bits that [`sum`] would. Safety: x is readable for n elements.
    pub(crate) unsafe fn sum_lanes<F>(n: usize, x: *const f32, half: usize, lanes: &mut [f32; LANES / 2]) {
        // SAFETY: `run_lanes` passes indices below n.
        *lanes = unsafe { run_lanes(n, half * (LANES / 2), |acc, k| acc + *x.add(k)) };
    }
}

kernel! {
    /// The same for the sum of the products of x and y. Safety: as for [`sum_lanes`].
    pub(crate) unsafe fn dot_lanes<F>(n: usize, x: *const f32, y: *const f32, half: usize, lanes: &mut [f32; LANES / 2]) {
        // SAFETY: as in `sum_lanes`.
        *lanes = unsafe { run_lanes(n, half * (LANES / 2), |acc, k| F::fma(*x.add(k), *y.add(k), acc)) };
    }
}

/// The sum whose lanes are given, as stored.
pub(crate) fn finish(lanes: [f32; LANES]) -> f32 {
    canon(tree(lanes))
}

/// The halving tree: what becomes of a sum's lanes in the end.
#[inline(always)]
pub(crate) fn tree(lanes: [f32; LANES]) -> f32 {
    halve(lanes, |a, b| a + b)
}

/// Folds the upper half of the lanes onto the lower until one is left.
#[inline(always)]
fn halve<T: Copy>(mut lanes: [T; LANES], f: impl Fn(T, T) -> T) -> T {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] = f(lanes[i], lanes[i + half]);
        }
        half /= 2;
    }
    lanes[0]
}

/// W lanes from `first` on, of a sum over n elements: `step(acc, k)` is acc with element k.
#[inline(always)]
pub(crate) fn run_lanes<const W: usize>(
    n: usize,
    first: usize,
    step: impl Fn(f32, usize) -> f32,
) -> [f32; W] {
    let mut lanes = [0.0; W];
    let mut k = first;
    while k + W <= n {
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane = step(*lane, k + i);
        }
        k += LANES;
    }
    for (i, lane) in lanes.iter_mut().enumerate().take(n.saturating_sub(k)) {
        *lane = step(*lane, k + i);
    }
    lanes
}

/// The sum over n elements of a row.
#[inline(always)]
pub(crate) fn fold_row(n: usize, step: impl Fn(f32, usize) -> f32) -> f32 {
    tree(run_lanes(n, 0, step))
}

/// Sums along the middle axis; `step(acc, index)` is acc with the element at that index of the tensor, and
/// `soon(index, n)` hints at n elements to come.
#[inline(always)]
unsafe fn fold(folds: &Folds, out: *mut f32, soon: impl Fn(usize, usize), step: impl Fn(f32, usize) -> f32) {
    let Folds { n, inner, .. } = *folds;
    for o in folds.outer.clone() {
        if inner == 1 {
            // SAFETY: the caller vouches for its results.
            unsafe { *out.add(o) = canon(fold_row(n, |acc, k| step(acc, o * n + k))) };
            continue;
        }
        for start in folds.columns.clone().step_by(COLUMNS) {
            let width = COLUMNS.min(folds.columns.end - start);
            // SAFETY: as above.
            unsafe {
                let soon = |k: usize| soon((o * n + k) * inner + start, width);
                fold_columns(n, width, out.add(o * inner + start), soon, |acc, k, i| {
                    step(acc, (o * n + k) * inner + start + i)
                });
            }
        }
    }
}

/// Rows that [`fold_columns`] asks for before their time.
const AHEAD: usize = 16;

/// At most [`COLUMNS`] sums at once, each over n elements: `step(acc, k, i)` is acc with element k of column i.
///
/// `soon(k)` is called some rows before row k, which may lie behind the last one: rows are too far apart for the machine
/// to guess what comes next.
#[inline(always)]
pub(crate) unsafe fn fold_columns(
    n: usize,
    width: usize,
    out: *mut f32,
    soon: impl Fn(usize),
    step: impl Fn(f32, usize, usize) -> f32,
) {
    let mut lanes = Aligned([[0.0; COLUMNS]; LANES]);
    let lanes = &mut lanes.0;
    for k in 0..n {
        soon(k + AHEAD);
        let row = &mut lanes[k % LANES];
        if width == COLUMNS {
            // The usual case, with a length that the compiler knows.
            for (i, acc) in row.iter_mut().enumerate() {
                *acc = step(*acc, k, i);
            }
        } else {
            for (i, acc) in row[..width].iter_mut().enumerate() {
                *acc = step(*acc, k, i);
            }
        }
    }
    let mut half = LANES / 2;
    while half > 0 {
        let (low, high) = lanes.split_at_mut(half);
        for (a, b) in low.iter_mut().zip(high) {
            for (a, b) in a.iter_mut().zip(b) {
                *a += *b;
            }
        }
        half /= 2;
    }
    for (i, &total) in lanes[0][..width].iter().enumerate() {
        // SAFETY: the caller vouches for `width` results.
        unsafe { *out.add(i) = canon(total) };
    }
}

/// W independent maxima of canonical numbers, by their bits as signed integers: of those with the sign bit clear, the
/// greatest integer is the greatest number, and NaN comes above inf; if all have it set, the smallest integer is.
#[repr(C, align(64))]
struct Greatest<const W: usize> {
    max: [i32; W],
    min: [i32; W],
}

impl<const W: usize> Greatest<W> {
    /// Of none.
    #[inline(always)]
    fn new() -> Self {
        Greatest { max: [i32::MIN; W], min: [i32::MAX; W] }
    }

    /// Takes in one number for each of the first `x.len()`.
    #[inline(always)]
    fn take(&mut self, x: &[f32]) {
        for ((max, min), x) in self.max.iter_mut().zip(&mut self.min).zip(x) {
            let bits = x.to_bits() as i32;
            *max = bits.max(*max);
            *min = bits.min(*min);
        }
    }

    #[inline(always)]
    fn value(max: i32, min: i32) -> f32 {
        f32::from_bits(if max >= 0 { max } else { min } as u32)
    }
}

/// The greatest of n >= 1 canonical numbers.
///
/// # Safety
/// x must be readable for n elements.
#[inline(always)]
pub(crate) unsafe fn max_of_row(n: usize, x: *const f32) -> f32 {
    // SAFETY: the caller vouches for n elements.
    let row = unsafe { std::slice::from_raw_parts(x, n) };
    let mut lanes = Greatest::<LANES>::new();
    let mut blocks = row.chunks_exact(LANES);
    for block in &mut blocks {
        lanes.take(block);
    }
    lanes.take(blocks.remainder());
    Greatest::<LANES>::value(halve(lanes.max, i32::max), halve(lanes.min, i32::min))
}

#[cfg(test)]
mod tests;
