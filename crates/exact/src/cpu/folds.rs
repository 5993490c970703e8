//! Folding an axis, on all threads, around the kernels of [`reduce`].

use super::gemm::Cx;
use super::reduce::{self, Folds, LANES};
use super::{Pool, Shared};
use crate::device::View;
use crate::program::op::{Op, ReduceFn};

/// About how many elements one task folds.
const PIECE: usize = 16 << 10;
/// A single sum longer than this is split by its lanes.
const LONG: usize = 64 << 10;

/// Runs one operation of this family.
///
/// # Safety
/// As for [`super::run`].
pub(super) unsafe fn run(cx: &Cx, op: &Op, x: &[View], y: View) {
    let (level, pool) = (cx.level, cx.pool);
    let (a, out) = (Shared(x[0].f32()), Shared(y.f32()));
    // SAFETY: every piece is a part of the results, and no two share one.
    unsafe {
        match op {
            Op::Reduce { with: ReduceFn::Sum, axis } => {
                let (outer, n, inner) = x[0].ty.shape.around(usize::from(*axis));
                if outer * inner == 1 && n > LONG && pool.threads() > 1 {
                    *out.at(0) = in_halves(pool, &|half, lanes| {
                        reduce::sum_lanes(level, n, a.at(0), half, lanes);
                    });
                    return;
                }
                pieces(pool, outer, n, inner, &|folds| reduce::sum(level, folds, a.at(0), out.at(0)));
            }
            Op::Dot { axis } => {
                let b = Shared(x[1].f32());
                let (outer, n, inner) = x[0].ty.shape.around(usize::from(*axis));
                if outer * inner == 1 && n > LONG && pool.threads() > 1 {
                    *out.at(0) = in_halves(pool, &|half, lanes| {
                        reduce::dot_lanes(level, n, a.at(0), b.at(0), half, lanes);
                    });
                    return;
                }
                pieces(pool, outer, n, inner, &|folds| {
                    reduce::dot(level, folds, a.at(0), b.at(0), out.at(0));
                });
            }
            Op::Reduce { with: ReduceFn::Max, axis } => {
                let (outer, n, inner) = x[0].ty.shape.around(usize::from(*axis));
                pieces(pool, outer, n, inner, &|folds| reduce::max(level, folds, a.at(0), out.at(0)));
            }
            Op::ArgMax => {
                let (rows, n) = (x[0].ty.shape.rows(), x[0].ty.shape.last());
                let ids = Shared(y.ptr);
                let each = (PIECE / n).max(1);
                pool.run(rows.div_ceil(each), &|task, _| {
                    let (from, to) = (task * each, rows.min((task + 1) * each));
                    reduce::argmax(level, to - from, n, a.at(from * n), ids.at(from));
                });
            }
            _ => debug_assert!(false, "{} folds nothing", op.name()),
        }
    }
}

/// Both halves of the lanes of one long sum, and the sum.
fn in_halves(pool: &Pool, fill: &(dyn Fn(usize, &mut [f32; LANES / 2]) + Sync)) -> f32 {
    let mut halves = [[0.0; LANES / 2]; 2];
    let shared = Shared(halves.as_mut_ptr());
    // SAFETY: each task fills its own half.
    pool.run(2, &|half, _| fill(half, unsafe { &mut *shared.at(half) }));
    let mut lanes = [0.0; LANES];
    lanes[..LANES / 2].copy_from_slice(&halves[0]);
    lanes[LANES / 2..].copy_from_slice(&halves[1]);
    reduce::finish(lanes)
}

/// Runs `task` over parts of the results of a fold of `[outer, n, inner]`.
fn pieces(pool: &Pool, outer: usize, n: usize, inner: usize, task: &(dyn Fn(&Folds) + Sync)) {
    if outer * inner == 0 {
        return;
    }
    // Columns are split only if whole outer indices are too few or too much for the threads.
    let column_step = if outer >= 2 * pool.threads() || n * inner <= PIECE {
        inner
    } else {
        inner.div_ceil(2 * pool.threads()).next_multiple_of(LANES).min(inner)
    };
    let column_parts = inner.div_ceil(column_step);
    let each = (PIECE / (n * inner).max(1)).max(1);
    pool.run(outer.div_ceil(each) * column_parts, &|t, _| {
        let (part, column) = (t / column_parts, t % column_parts * column_step);
        task(&Folds {
            n,
            inner,
            outer: part * each..outer.min((part + 1) * each),
            columns: column..inner.min(column + column_step),
        });
    });
}
