//! The matrix product `C = A B`, at the machine's speed and with the spec's bits.
//!
//! The spec cuts K into blocks of 512; inside a block each element of C is one chain of fused multiply-adds with k
//! rising, and the block sums are added in order. A vector holds neighbouring *columns* of C, so nothing about its width, the
//! tiles or the threads shows in the result.

mod few;
mod lanes;
pub(super) mod pack;
pub(super) mod packed;
mod serial;
#[cfg(test)]
pub(super) mod tests;
pub(super) mod tile;

use serial::Product;

use crate::cpu::{Level, Pool, Shared};

/// The spec's block of K.
pub(crate) const BLOCK: usize = 512;

/// A matrix in memory, element `(i, j)` at `ptr + i * rs + j * cs`. One of the strides is 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mat {
    pub(crate) ptr: *const f32,
    /// From one row to the next.
    pub(crate) rs: usize,
    /// From one column to the next.
    pub(crate) cs: usize,
}

// SAFETY: a view; who uses it answers for the memory.
unsafe impl Send for Mat {}
// SAFETY: as above.
unsafe impl Sync for Mat {}

impl Mat {
    /// The matrix `floats` further on.
    #[inline]
    unsafe fn skip(self, floats: usize) -> Self {
        // SAFETY: the caller keeps to the buffer.
        Self { ptr: unsafe { self.ptr.add(floats) }, ..self }
    }

    /// The matrix from element `(i, j)` on.
    #[inline]
    unsafe fn at(self, i: usize, j: usize) -> Self {
        // SAFETY: the caller keeps to the matrix.
        Self { ptr: unsafe { self.ptr.add(i * self.rs + j * self.cs) }, ..self }
    }
}

/// What kernels run on: instructions, threads, and memory of each worker's own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cx<'a> {
    pub(crate) level: Level,
    pub(crate) pool: &'a Pool,
    /// Worker `w` uses `scratch_stride` floats from `scratch + w * scratch_stride`. Best aligned to 64 bytes.
    pub(crate) scratch: *mut f32,
    pub(crate) scratch_stride: usize,
}

// SAFETY: each worker uses only its own part of the scratch.
unsafe impl Send for Cx<'_> {}
// SAFETY: as above.
unsafe impl Sync for Cx<'_> {}

impl Cx<'_> {
    /// The scratch of `worker`.
    pub(crate) fn scratch(&self, worker: usize) -> *mut f32 {
        self.scratch.wrapping_add(worker * self.scratch_stride)
    }
}

/// The floats of scratch that each worker needs for [`matmul`] of this size. At most about 600 thousand.
pub(crate) fn scratch_floats(level: Level, m: usize, n: usize, k: usize) -> usize {
    serial::scratch_floats(level, m, n, k)
}

/// `C[x] = A[x] B[x]` for `x < batch`: A is m by k, B is k by n, C is m by n with rows `ldc` apart. Matrix `x` lies
/// `x` times the batch stride on (0 for a matrix that all share; C's lie apart).
///
/// # Safety
/// The matrices must be there and initialised (C need not be), C apart from everything else; `cx` must name a level that
/// the machine has and scratch of [`scratch_floats`] for each worker of its pool.
pub(crate) unsafe fn matmul(
    cx: &Cx,
    batch: usize,
    m: usize,
    n: usize,
    k: usize,
    a: Mat,
    a_batch_stride: usize,
    b: Mat,
    b_batch_stride: usize,
    c: *mut f32,
    ldc: usize,
    c_batch_stride: usize,
) {
    if batch == 0 || m == 0 || n == 0 {
        return;
    }
    let grid = Grid::new(cx, batch, m, n, k, b.cs == 1);
    let units = batch * grid.down * grid.across;
    let c = Shared(c);
    let one = |unit: usize, worker: usize| {
        let (x, cell) = (unit / (grid.down * grid.across), unit % (grid.down * grid.across));
        let (rows, columns) = grid.cell(cell, m, n);
        // SAFETY: cells do not overlap, so each unit writes to places of its own; the rest is the caller's promise.
        unsafe {
            let part = Product {
                m: rows.len(),
                n: columns.len(),
                k,
                a: a.skip(x * a_batch_stride).at(rows.start, 0),
                b: b.skip(x * b_batch_stride).at(0, columns.start),
                c: c.at(x * c_batch_stride + rows.start * ldc + columns.start),
                ldc,
            };
            part.run(cx.level, cx.scratch(worker));
        }
    };
    if grid.tasks == 1 {
        (0..units).for_each(|unit| one(unit, 0));
    } else {
        cx.pool.run(grid.tasks, &|task, worker| {
            let end = units * (task + 1) / grid.tasks;
            (units * task / grid.tasks..end).for_each(|unit| one(unit, worker));
        });
    }
}

/// How the work is shared out: each product in `down` times `across` cells, all cells in `tasks` tasks.
struct Grid {
    down: usize,
    across: usize,
    tasks: usize,
    /// Columns of a tile: cells are cut at multiples of it.
    unit: usize,
}

impl Grid {
    fn new(cx: &Cx, batch: usize, m: usize, n: usize, k: usize, b_by_rows: bool) -> Self {
        let kernels = tile::kernels(cx.level);
        let unit = kernels.columns();
        let threads = cx.pool.threads();
        let flop = 2.0 * batch as f64 * m as f64 * n as f64 * k as f64;
        if threads == 1 || flop < 1.0e5 {
            return Self { down: 1, across: 1, tasks: 1, unit };
        }
        // Tasks of two million operations or more, and a few for each thread, so that they end together.
        let tasks = ((flop / 2.0e6) as usize).clamp(threads, 8 * threads);
        if batch >= tasks {
            return Self { down: 1, across: 1, tasks, unit };
        }
        let big = flop / batch as f64 > 3.0e8;
        let most = if big { 2 * threads } else { 4 * threads };
        let cells = tasks.min(most).div_ceil(batch);
        let panels = n.div_ceil(unit);
        let bands = m.div_ceil(kernels.rows);
        // Splitting N costs nothing, since A is not packed. A big B read in place is better cut both ways, into cells as square
        // as their number allows: all of it, or some threads would work alone in the end.
        let across = if big && b_by_rows {
            let skew = |across: usize| {
                let (wide, high) = (n as f64 / across as f64, m as f64 / (cells / across) as f64);
                (wide / high).max(high / wide)
            };
            let divisors = (1..=cells).filter(|across| cells.is_multiple_of(*across));
            divisors.min_by(|a, b| skew(*a).total_cmp(&skew(*b))).unwrap_or(1)
        } else {
            cells
        };
        let across = across.clamp(1, panels.min(cells));
        let down = (cells / across).clamp(1, bands);
        Self { down, across, tasks: (batch * down * across).min(8 * threads), unit }
    }

    /// The rows and columns of a cell.
    fn cell(&self, cell: usize, m: usize, n: usize) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let (y, x) = (cell / self.across, cell % self.across);
        let panels = n.div_ceil(self.unit);
        let column = |x: usize| (panels * x / self.across * self.unit).min(n);
        (m * y / self.down..m * (y + 1) / self.down, column(x)..column(x + 1))
    }
}
