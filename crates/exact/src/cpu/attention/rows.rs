//! What attention does to the rows of scores between its products.

use crate::cpu::lanes::{fetch, kernel};
use crate::cpu::narrow::{self, MODERATE};
use crate::cpu::reduce::{LANES, tree};
use crate::spec::math::{Fma, canon, exp};

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

    /// The keys that the last row sees, the most of all; 0 if there is no row.
    pub(super) fn most(self) -> usize {
        self.count.checked_sub(1).map_or(0, |last| self.keys(last))
    }
}

/// Integers in the order of the floats, -0 below +0 and the canonical NaN above all; the map is its own inverse.
#[inline(always)]
fn order(bits: i32) -> i32 {
    bits ^ ((bits >> 31) & i32::MAX)
}

/// Ones, then zeros: from `STEP - n` on, a mask of the first n lanes.
static FIRST: [u32; 2 * STEP] = {
    let mut mask = [0; 2 * STEP];
    let mut j = 0;
    while j < STEP {
        mask[j] = u32::MAX;
        j += 1;
    }
    mask
};

/// The mask of the first n lanes of a vector, n <= STEP.
#[inline(always)]
fn first(n: usize) -> &'static [u32; STEP] {
    // SAFETY: STEP elements from an index that is no more than STEP.
    unsafe { &*FIRST.as_ptr().add(STEP - n).cast() }
}

/// Where the last vector of n >= 1 elements starts.
#[inline(always)]
fn last_vector(n: usize) -> usize {
    (n - 1) / STEP * STEP
}

/// The greatest of n >= 1 canonical floats. What lies behind them, up to a multiple of STEP, becomes the first of them.
#[inline(always)]
unsafe fn greatest(n: usize, x: *mut f32) -> f32 {
    let mut best = [i32::MIN; STEP];
    let last = last_vector(n);
    // SAFETY: the caller's row holds n floats, rounded up to STEP.
    unsafe {
        // As a whole vector: single floats would have to reach the cache before the vector could be read.
        let (some, mut tail) = ((*x).to_bits(), *x.add(last).cast::<[f32; STEP]>());
        for (x, mask) in tail.iter_mut().zip(first(n - last)) {
            *x = f32::from_bits(x.to_bits() & mask | some & !mask);
        }
        *x.add(last).cast() = tail;
        for j in (0..=last).step_by(STEP) {
            let vector: [f32; STEP] = *x.add(j).cast();
            for (best, x) in best.iter_mut().zip(vector) {
                *best = order(x.to_bits() as i32).max(*best);
            }
        }
    }
    let best = best.into_iter().fold(i32::MIN, i32::max);
    f32::from_bits(order(best) as u32)
}

/// `exp(s - max)` of a vector: the short way, if that is right for all of it.
#[inline(always)]
fn weights<F: Fma>(s: [f32; STEP], max: f32) -> [f32; STEP] {
    let mut e = s;
    let mut all_right = true;
    for e in &mut e {
        let (y, key) = narrow::exp::<F>(*e - max);
        *e = y;
        all_right &= key < MODERATE;
    }
    if !all_right {
        for (e, s) in e.iter_mut().zip(s) {
            *e = exp::<F>(s - max);
        }
    }
    e
}

/// The sum over n elements in 64 lanes: `step(lane, j)` is the lane with element j.
#[inline(always)]
fn sum(n: usize, step: impl Fn(f32, usize) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let whole = n / LANES * LANES;
    for j in (0..whole).step_by(LANES) {
        for (l, lane) in lanes.iter_mut().enumerate() {
            *lane = step(*lane, j + l);
        }
    }
    // The rest by vectors, then one by one.
    let mut j = whole;
    for lanes in lanes.chunks_exact_mut(STEP) {
        if j + STEP <= n {
            for (l, lane) in lanes.iter_mut().enumerate() {
                *lane = step(*lane, j + l);
            }
            j += STEP;
        }
    }
    for (lane, j) in lanes[j - whole..].iter_mut().zip(j..n) {
        *lane = step(*lane, j);
    }
    tree(lanes)
}

/// The dot product in 64 lanes of n elements, n a multiple of STEP.
#[inline(always)]
unsafe fn dot_vectors<F: Fma>(n: usize, x: *const f32, y: *const f32) -> f32 {
    let mut lanes = [[0.0_f32; STEP]; LANES / STEP];
    let take = |lanes: &mut [f32; STEP], j: usize| {
        // SAFETY: the caller's rows have n elements.
        let (x, y): ([f32; STEP], [f32; STEP]) = unsafe { (*x.add(j).cast(), *y.add(j).cast()) };
        for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
            *lane = F::fma(x, y, *lane);
        }
    };
    let mut j = 0;
    while j + LANES <= n {
        for lanes in &mut lanes {
            take(lanes, j);
            j += STEP;
        }
    }
    for lanes in &mut lanes {
        if j < n {
            take(lanes, j);
            j += STEP;
        }
    }
    // SAFETY: as many floats.
    tree(unsafe { std::mem::transmute::<[[f32; STEP]; LANES / STEP], [f32; LANES]>(lanes) })
}

/// `y[j] = f(x[j], j)`, by vectors that are read before they are written, so that x and y may be one.
#[inline(always)]
unsafe fn map(n: usize, x: *const f32, y: *mut f32, f: impl Fn(f32, usize) -> f32) {
    let whole = n / STEP * STEP;
    // SAFETY: the caller's rows have n elements.
    unsafe {
        for j in (0..whole).step_by(STEP) {
            let mut vector: [f32; STEP] = *x.add(j).cast();
            for (l, x) in vector.iter_mut().enumerate() {
                *x = f(*x, j + l);
            }
            *y.add(j).cast() = vector;
        }
        for j in whole..n {
            *y.add(j) = f(*x.add(j), j);
        }
    }
}

kernel! {
    /// Scores to weights, in place: `m[i] = max s[i]`, `e[i] = exp(s[i] - m[i])`, `r[i] = 1 / sum e[i]`.
    ///
    /// What lies behind the keys of a row, up to a multiple of STEP, becomes +0, of which the lanes take no notice: they
    /// are never -0.
    /// Safety: rows of `s` are `ld` floats apart and hold their keys, rounded up to STEP; `m` and `r` are `stat` apart.
    pub(super) unsafe fn softmax_rows<F>(rows: Rows, s: *mut f32, ld: usize, m: *mut f32, r: *mut f32, stat: usize) {
        // Two passes over the tile rather than one over each row: a row's steps wait for each other, rows do not.
        for i in 0..rows.count {
            // SAFETY: the caller's promise.
            unsafe { *m.add(i * stat) = greatest(rows.keys(i), s.add(i * ld)) }
        }
        for i in 0..rows.count {
            // SAFETY: the caller's promise.
            unsafe {
                let (row, max) = (s.add(i * ld), *m.add(i * stat));
                let last = last_vector(rows.keys(i));
                let tail = first(rows.keys(i) - last);
                let mut lanes = [[0.0_f32; STEP]; LANES / STEP];
                let mut j = 0;
                while j + LANES <= last {
                    for lanes in &mut lanes {
                        weigh::<F>(row.add(j), max, first(STEP), lanes);
                        j += STEP;
                    }
                }
                for lanes in &mut lanes {
                    if j <= last {
                        weigh::<F>(row.add(j), max, if j == last { tail } else { first(STEP) }, lanes);
                        j += STEP;
                    }
                }
                let lanes: [f32; LANES] = std::mem::transmute(lanes);
                *r.add(i * stat) = canon(1.0 / tree(lanes));
            }
        }
    }
}

/// Scores to weights, +0 outside the mask, which are also added to the lanes.
#[inline(always)]
unsafe fn weigh<F: Fma>(s: *mut f32, max: f32, mask: &[u32; STEP], lanes: &mut [f32; STEP]) {
    // SAFETY: the caller's row holds STEP floats.
    unsafe {
        let mut e = weights::<F>(*s.cast(), max);
        for ((e, mask), lane) in e.iter_mut().zip(mask).zip(lanes) {
            *e = f32::from_bits(e.to_bits() & mask);
            *lane += *e;
        }
        *s.cast() = e;
    }
}

/// Hints that rows of `dim` floats, `ld` apart, will be read soon: too far apart for the machine to guess.
#[inline]
pub(super) fn fetch_rows(rows: usize, dim: usize, x: *const f32, ld: usize) {
    for i in 0..rows {
        fetch(x.wrapping_add(i * ld), dim);
    }
}

/// Rows of several matrices to be fetched a few at a time, between tiles: all at once they would hold up what follows.
pub(super) struct Ahead<const N: usize> {
    /// The matrices: the next row and the floats to the one after.
    from: [(*const f32, usize); N],
    rows: usize,
    dim: usize,
    /// The matrix to go on with, and the rows of it that are left.
    matrix: usize,
    left: usize,
    /// Rows that are fetched at a time.
    some: usize,
}

impl<const N: usize> Ahead<N> {
    pub(super) fn new(rows: usize, dim: usize, from: [(*const f32, usize); N]) -> Self {
        /// About as many as the machine has under way without waiting.
        const FLOATS: usize = 24 * 16;
        Self { from, rows, dim, matrix: 0, left: rows, some: FLOATS.div_ceil(dim.max(16)) }
    }

    /// Fetches a few more.
    #[inline]
    pub(super) fn fetch(&mut self) {
        if self.left == 0 {
            self.matrix += 1;
            self.left = self.rows;
        }
        if let Some((x, ld)) = self.from.get_mut(self.matrix) {
            let some = self.some.min(self.left);
            fetch_rows(some, self.dim, *x, *ld);
            *x = x.wrapping_add(some * *ld);
            self.left -= some;
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
                for j in (0..rows.keys(i)).step_by(STEP) {
                    let e = weights::<F>(*row.add(j).cast(), max);
                    let mut ds: [f32; STEP] = *dp.add(j).cast();
                    for (ds, e) in ds.iter_mut().zip(e) {
                        *ds = e * (*ds - delta);
                    }
                    *row.add(j).cast() = e;
                    *dp.add(j).cast() = ds;
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
            // SAFETY: the caller's promise.
            unsafe { map(dim, x.add(i * ldx), y.add(i * ldy), |x, _| canon(x * by)) }
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
            // SAFETY: the caller's promise.
            unsafe {
                let by = *by.add(i * stat);
                map(dim, x.add(i * ldx), y.add(i * ldy), |x, _| canon(x * by));
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
                *out.add(i) = if dim.is_multiple_of(STEP) {
                    dot_vectors::<F>(dim, x, y)
                } else {
                    sum(dim, |lane, d| F::fma(*x.add(d), *y.add(d), lane))
                };
            }
        }
    }
}

kernel! {
    /// `y[i, d] = y[i, d] + x[i, d]`.
    /// Safety: the rows are there.
    pub(super) unsafe fn add_rows<F>(rows: usize, dim: usize, x: *const f32, ldx: usize, y: *mut f32, ldy: usize) {
        for i in 0..rows {
            // SAFETY: the caller's promise.
            unsafe {
                let (x, y) = (x.add(i * ldx), y.add(i * ldy));
                map(dim, y, y, |y, d| canon(y + *x.add(d)));
            }
        }
    }
}
