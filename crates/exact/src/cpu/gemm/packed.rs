//! The product with a matrix that is kept in 4 or 8 bits a number.
//!
//! A piece of the matrix is unpacked into the first-level cache and used by the same tiles as any other product, so the bits are those of
//! unpacking it whole. What comes from memory are the packed words: for few rows, a fraction of the time.

use super::serial::{add_row, split};
use super::tile::{Mode, Tile, kernels};
use super::{BLOCK, Cx};
use crate::cpu::lanes::kernel;
use crate::cpu::{Level, Shared};
use crate::device::View;
use crate::spec::math::canon;

/// Floats of the matrix that are unpacked at a time for few rows: with C they stay in the first-level cache.
const PIECE: usize = 6144;

/// A matrix `[k, n]` of packed numbers.
#[derive(Clone, Copy)]
pub(crate) struct Packed {
    bits: u8,
    k: usize,
    n: usize,
    /// Words of a column that share a scale.
    group: usize,
    words: Shared<u32>,
    scale: Shared<f32>,
    shift: Shared<f32>,
}

/// Scratch floats that each worker needs for a product with `m` rows.
pub(crate) fn scratch_floats(level: Level, m: usize) -> usize {
    let kernels = kernels(level);
    match kernels.thin.get(m.max(1) - 1) {
        Some((vectors, _)) => PIECE + m * vectors * kernels.width,
        None => BLOCK * kernels.columns(),
    }
}

kernel! {
    /// `to[p, j] = q scale[j] + shift[j]` for the `per` numbers q of each word of one row of `n` words, in rows `ld` apart.
    ///
    /// Safety: all is there, `to` apart from the rest.
    unsafe fn unpack_row<F>(
        bits: u32,
        n: usize,
        words: *const u32,
        scale: *const f32,
        shift: *const f32,
        to: *mut f32,
        ld: usize,
    ) {
        for p in 0..32 / bits {
            let (place, mask) = (p * bits, (1u32 << bits) - 1);
            // SAFETY: the caller's promise.
            unsafe {
                let to = to.add(p as usize * ld);
                for j in 0..n {
                    let q = (*words.add(j) >> place & mask) as i32 as f32;
                    *to.add(j) = canon(F::fma(q, *scale.add(j), *shift.add(j)));
                }
            }
        }
    }
}

impl Packed {
    /// The matrix that views of its words, scales and shifts describe.
    pub(crate) fn new(bits: u8, x: &[View]) -> Packed {
        let (rows, groups) = (x[0].dim(0), x[1].dim(0));
        Packed {
            bits,
            k: rows * (32 / usize::from(bits)),
            n: x[0].dim(1),
            group: rows / groups.max(1),
            words: Shared(x[0].ptr),
            scale: Shared(x[1].f32()),
            shift: Shared(x[2].f32()),
        }
    }

    /// Numbers to a word.
    fn per(&self) -> usize {
        32 / usize::from(self.bits)
    }

    /// Unpacks columns `j..j + n` of `depth` rows from `k0` on, both multiples of [`Packed::per`].
    unsafe fn piece(
        &self,
        level: Level,
        k0: usize,
        depth: usize,
        j: usize,
        n: usize,
        to: *mut f32,
        ld: usize,
    ) {
        let per = self.per();
        for row in k0 / per..(k0 + depth) / per {
            let scales = row / self.group * self.n + j;
            // SAFETY: the caller keeps to the matrix, and `to` holds `depth` rows.
            unsafe {
                let (words, to) = (self.words.at(row * self.n + j), to.add((row * per - k0) * ld));
                let (scale, shift) = (self.scale.at(scales), self.shift.at(scales));
                unpack_row(level, u32::from(self.bits), n, words, scale, shift, to, ld);
            }
        }
    }

    /// The whole matrix.
    ///
    /// # Safety
    /// `y` must hold it, apart from the operands; the machine must have the level of `cx`.
    pub(crate) unsafe fn unpack(&self, cx: &Cx, y: *mut f32) {
        let (rows, y) = (self.k / self.per(), Shared(y));
        let tasks = (self.k * self.n).div_ceil(32 << 10).min(rows);
        cx.pool.run(tasks, &|task, _| {
            let [from, to] = [task, task + 1].map(|t| split(rows, tasks, t) * self.per());
            // SAFETY: each task writes rows of its own.
            unsafe { self.piece(cx.level, from, to - from, 0, self.n, y.at(from * self.n), self.n) }
        });
    }

    /// `c = a w` for `a[m, k]`.
    ///
    /// # Safety
    /// `a` and `c` must be there, `c` apart from everything else; scratch as [`scratch_floats`] says.
    pub(crate) unsafe fn matmul(&self, cx: &Cx, m: usize, a: *const f32, c: *mut f32) {
        if m == 0 || self.n == 0 {
            return;
        }
        let kernels = kernels(cx.level);
        let thin = m <= kernels.thin.len();
        let width = if thin { kernels.thin[m - 1].0 * kernels.width } else { kernels.columns() };
        let panels = self.n.div_ceil(width);
        let (a, c) = (Shared(a.cast_mut()), Shared(c));
        // A few for each thread, so that they end together.
        let tasks = panels.min(4 * cx.pool.threads());
        cx.pool.run(tasks, &|task, worker| {
            let scratch = cx.scratch(worker);
            for panel in split(panels, tasks, task)..split(panels, tasks, task + 1) {
                let j = panel * width;
                let columns = width.min(self.n - j);
                // SAFETY: each task writes columns of its own and has its worker's scratch; the rest is the caller's promise.
                unsafe {
                    if thin {
                        self.few_rows(cx.level, m, a.at(0), j, columns, c.at(0), scratch);
                    } else {
                        self.many_rows(cx.level, m, a.at(0), j, columns, c.at(0), scratch);
                    }
                }
            }
        });
    }

    /// Unpacks a block of some columns once for all rows.
    unsafe fn many_rows(
        &self,
        level: Level,
        m: usize,
        a: *const f32,
        j: usize,
        columns: usize,
        c: *mut f32,
        scratch: *mut f32,
    ) {
        let kernels = kernels(level);
        let ld = kernels.columns();
        for k0 in (0..self.k.max(1)).step_by(BLOCK) {
            let depth = (self.k - k0).min(BLOCK);
            // SAFETY: a block of columns fits the scratch; the tiles keep to A, C and the block.
            unsafe {
                self.piece(level, k0, depth, j, columns, scratch, ld);
                for i in (0..m).step_by(kernels.rows) {
                    let (tile, last) = kernels.tile(false, kernels.rows.min(m - i), columns);
                    tile(Tile {
                        k: depth,
                        a: a.add(i * self.k + k0),
                        lda: self.k,
                        b: scratch,
                        ldb: ld,
                        c: c.add(i * self.n + j),
                        ldc: self.n,
                        last,
                        mode: if k0 == 0 { Mode::Store } else { Mode::Add },
                    });
                }
            }
        }
    }

    /// Unpacks as little at a time as stays in the first-level cache.
    unsafe fn few_rows(
        &self,
        level: Level,
        m: usize,
        a: *const f32,
        j: usize,
        columns: usize,
        c: *mut f32,
        scratch: *mut f32,
    ) {
        let kernels = kernels(level);
        let (vectors, widest) = kernels.thin[m - 1];
        let wide = vectors * kernels.width;
        let rows = PIECE / wide / self.per() * self.per();
        // SAFETY: `rows` rows of `wide` floats fit the scratch, and behind them m rows of sums; the tiles keep to A, C and these.
        unsafe {
            let sums = scratch.add(PIECE);
            for k0 in (0..self.k.max(1)).step_by(BLOCK) {
                let depth = (self.k - k0).min(BLOCK);
                // The first block is summed up in C itself, a further one apart and then added.
                let (sum, ld) = if k0 == 0 { (c.add(j), self.n) } else { (sums, wide) };
                for p in (0..depth.max(1)).step_by(rows) {
                    let deep = (depth - p).min(rows);
                    self.piece(level, k0 + p, deep, j, columns, scratch, wide);
                    let mut at = 0;
                    while at < columns {
                        let (taken, (tile, last)) = if columns == wide {
                            (wide, (widest, kernels.width))
                        } else {
                            let taken = (columns - at).min(kernels.columns());
                            (taken, kernels.tile(false, m, taken))
                        };
                        tile(Tile {
                            k: deep,
                            a: a.add(k0 + p),
                            lda: self.k,
                            b: scratch.add(at),
                            ldb: wide,
                            c: sum.add(at),
                            ldc: ld,
                            last,
                            mode: if p == 0 { Mode::Store } else { Mode::Chain },
                        });
                        at += taken;
                    }
                }
                if k0 > 0 {
                    for i in 0..m {
                        add_row(c.add(i * self.n + j), sums.add(i * wide), columns);
                    }
                }
            }
        }
    }
}
