//! What attention does to the rows of scores between its products.

use crate::cpu::lanes::kernel;
use crate::spec::math::{canon, exp};

/// Lanes of a reduction, by index modulo 64.
const LANES: usize = 64;
/// Elements that are worked on together; rows are padded to a multiple.
pub(super) const STEP: usize = 16;

/// How many keys the rows of a tile see: row `i` sees the first `first + i * step`, `step` 0 or 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    pub(super) count: usize,
    pub(super) first: usize,
    pub(super) step: usize,
}

impl Rows {
    /// The keys that row `i` sees.
    #[inline(always)]
    pub(super) fn keys(self, i: usize) -> usize {
        self.first + i * self.step
    }

    /// The keys that the last row sees, the most of all.
    pub(super) fn most(self) -> usize {
        self.keys(self.count - 1)
    }
}

/// Integers in the order of the floats, -0 below +0 and the canonical NaN above all; the map is its own inverse.
#[inline(always)]
fn order(bits: i32) -> i32 {
    bits ^ ((bits >> 31) & i32::MAX)
}

/// The greatest of n canonical floats; n is a multiple of STEP.
#[inline(always)]
unsafe fn greatest(n: usize, x: *const f32) -> f32 {
    let mut best = [i32::MIN; STEP];
    for j in (0..n).step_by(STEP) {
        for (l, best) in best.iter_mut().enumerate() {
            // SAFETY: below n.
            *best = (*best).max(order(unsafe { *x.add(j + l) }.to_bits() as i32));
        }
    }
    let mut all = best[0];
    for &b in &best {
        all = all.max(b);
    }
    f32::from_bits(order(all) as u32)
}

/// The sum in 64 lanes of n floats; n is a multiple of STEP.
#[inline(always)]
unsafe fn sum(n: usize, x: *const f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let whole = n / LANES * LANES;
    for j in (0..whole).step_by(LANES) {
        for (l, lane) in lanes.iter_mut().enumerate() {
            // SAFETY: below n.
            *lane += unsafe { *x.add(j + l) };
        }
    }
    for (j, lane) in (whole..n).zip(lanes.iter_mut()) {
        // SAFETY: below n.
        *lane += unsafe { *x.add(j) };
    }
    let mut half = LANES / 2;
    while half > 0 {
        for l in 0..half {
            lanes[l] += lanes[l + half];
        }
        half /= 2;
    }
    lanes[0]
}

kernel! {
    /// Scores to weights, in place: `m[i] = max s[i]`, `e[i] = exp(s[i] - m[i])`, `r[i] = 1 / sum e[i]`.
    ///
    /// What lies behind the keys of a row, up to a multiple of STEP, is set to -inf, of which neither the maximum nor
    /// the sum takes notice: exp makes it +0, or NaN where the row's own are NaN too.
    /// Safety: rows of `s` are `ld` floats apart and hold their keys, rounded up to STEP; `m` and `r` are `stat` apart.
    pub(super) unsafe fn softmax_rows<F>(rows: Rows, s: *mut f32, ld: usize, m: *mut f32, r: *mut f32, stat: usize) {
        for i in 0..rows.count {
            let n = rows.keys(i);
            let padded = n.next_multiple_of(STEP);
            // SAFETY: the caller's promise.
            unsafe {
                let row = s.add(i * ld);
                for j in n..padded {
                    *row.add(j) = f32::NEG_INFINITY;
                }
                let max = greatest(padded, row);
                for j in 0..padded {
                    *row.add(j) = exp::<F>(*row.add(j) - max);
                }
                *m.add(i * stat) = max;
                *r.add(i * stat) = canon(1.0 / sum(padded, row));
            }
        }
    }
}

kernel! {
    /// The way back: `e[i] = exp(s[i] - m[i])` and `ds[i] = e[i] * (dp[i] - delta[i])`, each in place.
    /// Safety: as above, for `s` and `dp`; what they hold behind a row's keys may be anything.
    pub(super) unsafe fn softmax_grad_rows<F>(
        rows: Rows, s: *mut f32, dp: *mut f32, ld: usize, m: *const f32, stat: usize, delta: *const f32,
    ) {
        for i in 0..rows.count {
            // SAFETY: the caller's promise.
            unsafe {
                let (row, dp) = (s.add(i * ld), dp.add(i * ld));
                let (max, delta) = (*m.add(i * stat), *delta.add(i));
                for j in 0..rows.keys(i).next_multiple_of(STEP) {
                    let e = exp::<F>(*row.add(j) - max);
                    *row.add(j) = e;
                    *dp.add(j) = e * (*dp.add(j) - delta);
                }
            }
        }
    }
}

kernel! {
    /// `y[i, d] = x[i, d] * by`, rows of `dim` floats `ldx` and `ldy` apart. In place if they are the same.
    /// Safety: the rows are there.
    pub(super) unsafe fn scale_rows<F>(
        rows: usize, dim: usize, x: *const f32, ldx: usize, by: f32, y: *mut f32, ldy: usize,
    ) {
        for i in 0..rows {
            for d in 0..dim {
                // SAFETY: the caller's promise.
                unsafe { *y.add(i * ldy + d) = canon(*x.add(i * ldx + d) * by) }
            }
        }
    }
}

kernel! {
    /// `y[i, d] = x[i, d] * by[i]`, the factors `stat` apart.
    /// Safety: as above.
    pub(super) unsafe fn scale_each_row<F>(
        rows: usize, dim: usize, x: *const f32, ldx: usize, by: *const f32, stat: usize, y: *mut f32, ldy: usize,
    ) {
        for i in 0..rows {
            for d in 0..dim {
                // SAFETY: the caller's promise.
                unsafe { *y.add(i * ldy + d) = canon(*x.add(i * ldx + d) * *by.add(i * stat)) }
            }
        }
    }
}

kernel! {
    /// `out[i]` = the dot product in 64 lanes of rows i of x and y.
    /// Safety: the rows are there.
    pub(super) unsafe fn dot_rows<F>(
        rows: usize, dim: usize, x: *const f32, ldx: usize, y: *const f32, ldy: usize, out: *mut f32,
    ) {
        for i in 0..rows {
            // SAFETY: the caller's promise.
            unsafe {
                let (x, y) = (x.add(i * ldx), y.add(i * ldy));
                let mut lanes = [0.0_f32; LANES];
                let whole = dim / LANES * LANES;
                for j in (0..whole).step_by(LANES) {
                    for (l, lane) in lanes.iter_mut().enumerate() {
                        *lane = F::fma(*x.add(j + l), *y.add(j + l), *lane);
                    }
                }
                for (j, lane) in (whole..dim).zip(lanes.iter_mut()) {
                    *lane = F::fma(*x.add(j), *y.add(j), *lane);
                }
                *out.add(i) = sum(LANES, lanes.as_ptr());
            }
        }
    }
}

kernel! {
    /// `y[i, d] = y[i, d] + x[i, d]`.
    /// Safety: the rows are there.
    pub(super) unsafe fn add_rows<F>(rows: usize, dim: usize, x: *const f32, ldx: usize, y: *mut f32, ldy: usize) {
        for i in 0..rows {
            for d in 0..dim {
                // SAFETY: the caller's promise.
                unsafe {
                    let y = y.add(i * ldy + d);
                    *y = canon(*y + *x.add(i * ldx + d));
                }
            }
        }
    }
}
