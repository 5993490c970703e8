//! Products and folds: the operations whose order of rounding has to be fixed.

use super::math::{Fma, Soft, max};
use super::{Tensor, stored};
use crate::shape::Shape;

/// K is cut at multiples of this.
pub(crate) const BLOCK: usize = 512;
/// An axis is folded by this many lanes.
pub(crate) const LANES: usize = 64;

/// One element of a matrix product: `sum of a(k) b(k)` for `k` in a range.
///
/// Inside a block of K the sum is one chain of fused multiply-adds with k rising, from +0; the sums of the blocks that
/// the range touches are added in order.
pub(crate) fn chain(k: std::ops::Range<usize>, a: impl Fn(usize) -> f32, b: impl Fn(usize) -> f32) -> f32 {
    let mut total = None;
    let mut from = k.start;
    while from < k.end {
        let to = ((from / BLOCK + 1) * BLOCK).min(k.end);
        let block = (from..to).fold(0.0, |acc, k| Soft::fma(a(k), b(k), acc));
        total = Some(total.map_or(block, |t: f32| t + block));
        from = to;
    }
    total.unwrap_or(0.0)
}

/// Matrix product over the last two axes; `range(row, K)` is what part of K a row of the result uses, rows counted through
/// the whole batch.
pub(super) fn matmul(
    a: &Tensor,
    ta: bool,
    b: &Tensor,
    tb: bool,
    out: &Shape,
    range: impl Fn(usize, usize) -> std::ops::Range<usize>,
) -> Vec<u32> {
    let rank = out.rank();
    let (m, n) = (out.dim(rank - 2), out.dim(rank - 1));
    let k = a.shape().dim(if ta { rank - 2 } else { rank - 1 });
    let element = |i: usize| {
        let (batch, row, column) = (i / (m * n), i / n % m, i % n);
        let a_at = |k_at| batch * m * k + if ta { k_at * m + row } else { row * k + k_at };
        let b_at = |k_at| batch * k * n + if tb { column * k + k_at } else { k_at * n + column };
        chain(range(i / n, k), |k_at| a.f(a_at(k_at)), |k_at| b.f(b_at(k_at)))
    };
    (0..out.elements()).map(|i| stored(element(i))).collect()
}

/// The 64 lanes of a fold, as one number: the upper half is added onto the lower until one is left.
pub(crate) fn halve(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// An axis folded by `lane(so far, element's index)`: element `i` of the axis goes to lane `i mod 64`, each lane from +0.
pub(super) fn fold(x: &Tensor, axis: usize, lane: impl Fn(f32, usize) -> f32) -> Vec<u32> {
    let (outer, n, inner) = x.shape().around(axis);
    let one = |o: usize, i: usize| {
        let mut lanes = [0.0; LANES];
        for k in 0..n {
            lanes[k % LANES] = lane(lanes[k % LANES], (o * n + k) * inner + i);
        }
        stored(halve(lanes))
    };
    (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))).map(|(o, i)| one(o, i)).collect()
}

/// The greatest element along an axis.
pub(super) fn greatest(x: &Tensor, axis: usize) -> Vec<u32> {
    let (outer, n, inner) = x.shape().around(axis);
    let one = |o: usize, i: usize| {
        stored((0..n).map(|k| x.f((o * n + k) * inner + i)).fold(f32::NEG_INFINITY, max))
    };
    (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))).map(|(o, i)| one(o, i)).collect()
}

/// The lowest index of the greatest element of each row; NaN counts as the greatest.
pub(super) fn argmax(x: &Tensor) -> Vec<u32> {
    let n = x.shape().last();
    let row = |r: usize| {
        let at = |i: usize| x.f(r * n + i);
        let above = |a: f32, b: f32| a > b || (a.is_nan() && !b.is_nan());
        (1..n).fold(0, |best, i| if above(at(i), at(best)) { i } else { best }) as u32
    };
    (0..x.shape().rows()).map(row).collect()
}
