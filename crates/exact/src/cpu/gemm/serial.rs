//! The product on one thread: blocks that stay in the caches, tiles that stay in registers.

use super::pack::pack;
use super::tile::{Kernels, Mode, Tile, kernels};
use super::{BLOCK, Mat};
use crate::cpu::Level;

/// Rows of A that stay in the second-level cache, 512 deep.
const ROWS: usize = 112;
/// Columns of B that are packed at a time: 512 deep, they take a megabyte of the second-level cache.
const COLUMNS: usize = 512;
/// Space between the packed rows of A, so that they do not fall on one cache set.
const GAP: usize = 16;
/// Floats of C that a thin product works on at a time: they stay in the first-level cache.
const THIN: usize = 4096;

/// One product: `c[i, j] = sum over p < k of a[i, p] * b[p, j]`.
#[derive(Clone, Copy)]
pub(super) struct Product {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) a: Mat,
    pub(super) b: Mat,
    pub(super) c: *mut f32,
    pub(super) ldc: usize,
}

/// Scratch floats that [`Product::run`] may use for this or any smaller product.
pub(super) fn scratch_floats(level: Level, m: usize, n: usize, k: usize) -> usize {
    let kernels = kernels(level);
    let depth = k.min(BLOCK);
    let b = n.min(COLUMNS).next_multiple_of(kernels.columns()) * depth;
    let a = m.min(ROWS).next_multiple_of(16) * (depth.next_multiple_of(16) + GAP);
    let thin = THIN + kernels.thin.len() * BLOCK;
    (a + b).max(thin).next_multiple_of(16)
}

/// `n` split evenly into parts of at most `most`: start of part `i` of `parts`.
pub(super) fn split(n: usize, parts: usize, i: usize) -> usize {
    n / parts * i + (n % parts).min(i)
}

impl Product {
    /// Computes it.
    ///
    /// # Safety
    /// The matrices and the scratch (see [`scratch_floats`]) must be there, C and scratch apart from all else and
    /// used by nobody else, and the machine must have the level.
    pub(super) unsafe fn run(&self, level: Level, scratch: *mut f32) {
        let kernels = kernels(level);
        // SAFETY: the caller's promise, passed on.
        unsafe {
            if self.m == 0 || self.n == 0 {
            } else if self.m <= kernels.thin.len() && self.b.cs == 1 {
                self.thin(kernels, scratch);
            } else {
                self.blocked(level, kernels, scratch);
            }
        }
    }

    unsafe fn blocked(&self, level: Level, kernels: &Kernels, scratch: *mut f32) {
        let Self { m, n, k, a, b, c, ldc } = *self;
        let width = kernels.columns();
        let tiles = m.div_ceil(kernels.rows);
        // As many whole tiles as fit in ROWS.
        let tiles_per_band = (ROWS / kernels.rows).max(1);
        let bands = tiles.div_ceil(tiles_per_band);

        // Lines this far apart fall on few sets of the first-level cache: a tile's rows of A or B on one, or its many columns of
        // A on two.
        let hostile = |stride: usize| stride.is_multiple_of(1024);
        let hostile_a = if a.cs == 1 { hostile(a.rs) } else { a.cs.is_multiple_of(512) };
        let wide = level == Level::Avx512;
        let pack_b =
            b.cs != 1 || if wide { m >= 256 && (n * k > 768 * 1024 || hostile(b.rs)) } else { m >= 48 };
        let pack_a = n >= 128 && hostile_a;
        let b_pack = scratch;

        for j0 in (0..n).step_by(COLUMNS) {
            let j1 = n.min(j0 + COLUMNS);
            for k0 in (0..k.max(1)).step_by(BLOCK) {
                let depth = (k - k0).min(BLOCK);
                let mode = if k0 == 0 { Mode::Store } else { Mode::Add };
                // SAFETY: all offsets stay in the matrices and in the scratch as `scratch_floats` counts it.
                unsafe {
                    let a_pack = scratch.add(COLUMNS.min(n).next_multiple_of(width) * depth);
                    for band in 0..bands {
                        let t0 = split(tiles, bands, band);
                        let t1 = split(tiles, bands, band + 1);
                        let i0 = split(m, tiles, t0);
                        let i1 = split(m, tiles, t1);
                        let mut a_band = a.at(i0, k0);
                        if pack_a {
                            a_band = a_band.pack(level, i1 - i0, depth, a_pack);
                        }
                        for j in (j0..j1).step_by(width) {
                            let columns = (j1 - j).min(width);
                            let mut panel = b.at(k0, j);
                            let mut copy = None;
                            if pack_b {
                                let keep = if bands == 1 { 0 } else { j - j0 };
                                let to = b_pack.add(keep * depth);
                                let packed = Mat { ptr: to, rs: width, cs: 1 };
                                // What is only copied, the first tile copies by the way: it waits for it anyway.
                                copy = (band == 0 && b.cs == 1 && columns == width).then_some(packed);
                                if copy.is_none() {
                                    if band == 0 {
                                        pack(level, columns, depth, panel.ptr, b.cs, b.rs, to, width);
                                    }
                                    panel = packed;
                                }
                            }
                            for t in t0..t1 {
                                let i = split(m, tiles, t);
                                let rows = split(m, tiles, t + 1) - i;
                                let (tile, last) = kernels.tile(a_band.cs != 1, rows, columns);
                                let of = Tile {
                                    k: depth,
                                    a: a_band.at(i - i0, 0).ptr,
                                    lda: if a_band.cs == 1 { a_band.rs } else { a_band.cs },
                                    b: panel.ptr,
                                    ldb: panel.rs,
                                    c: c.add(i * ldc + j),
                                    ldc,
                                    last,
                                    mode,
                                };
                                if let Some(packed) = copy.take() {
                                    kernels.copying(a_band.cs != 1, rows)(of, packed.ptr.cast_mut());
                                    panel = packed;
                                } else {
                                    tile(of);
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// Few rows, B by rows: B is read once, in a few streams; C stays in the cache meanwhile.
    unsafe fn thin(&self, kernels: &Kernels, scratch: *mut f32) {
        let Self { m, n, k, a, b, c, ldc } = *self;
        let (vectors, kernel) = kernels.thin[m - 1];
        let wide = vectors * kernels.width;
        let chunk = (THIN / m / wide).max(1) * wide;
        // Rows of B that are read together. If it is near, many, so that C is taken up less often. If it comes from afar, so few that
        // the same number of rows, fetched meanwhile, find room in the second-level cache.
        let (rows, far) = match n * k {
            0..0x4_0000 => (BLOCK, false),
            0x4_0000..0x10_0000 => (128, false),
            _ => (if m < 3 { 16 } else { 32 }, true),
        };
        let ahead = if far { rows * b.rs } else { 0 };
        // SAFETY: all offsets stay in the matrices; the scratch holds `chunk` columns of C and one block of A.
        unsafe {
            let a_pack = scratch.add(THIN);
            for k0 in (0..k.max(1)).step_by(BLOCK) {
                let depth = (k - k0).min(BLOCK);
                let mut a = a.at(0, k0);
                if a.cs != 1 {
                    for p in 0..depth {
                        for i in 0..m {
                            *a_pack.add(i * BLOCK + p) = *a.at(i, p).ptr;
                        }
                    }
                    a = Mat { ptr: a_pack, rs: BLOCK, cs: 1 };
                }
                for j0 in (0..n).step_by(chunk) {
                    let j1 = n.min(j0 + chunk);
                    // The first block is summed up in C itself, a further one apart and then added.
                    let (sum, ld) = if k0 == 0 { (c.add(j0), ldc) } else { (scratch, chunk) };
                    for p in (0..depth.max(1)).step_by(rows) {
                        let mode = if p == 0 { Mode::Store } else { Mode::Chain };
                        let mut j = j0;
                        while j < j1 {
                            let of = |last| Tile {
                                k: (depth - p).min(rows),
                                a: a.at(0, p).ptr,
                                lda: a.rs,
                                b: b.at(k0 + p, j).ptr,
                                ldb: b.rs,
                                c: sum.add(j - j0),
                                ldc: ld,
                                last,
                                mode,
                            };
                            if j + wide <= j1 {
                                kernel(of(kernels.width), ahead);
                                j += wide;
                            } else {
                                let columns = (j1 - j).min(kernels.columns());
                                let (kernel, last) = kernels.tile(false, m, columns);
                                kernel(of(last));
                                j += columns;
                            }
                        }
                    }
                    if k0 > 0 {
                        for i in 0..m {
                            add_row(c.add(i * ldc + j0), scratch.add(i * chunk), j1 - j0);
                        }
                    }
                }
            }
        }
    }
}

/// `c += x`, NaN made canonical.
pub(super) unsafe fn add_row(c: *mut f32, x: *const f32, n: usize) {
    // SAFETY: the caller's rows have n elements and lie apart.
    let (c, x) = unsafe { (std::slice::from_raw_parts_mut(c, n), std::slice::from_raw_parts(x, n)) };
    for (c, x) in c.iter_mut().zip(x) {
        *c = crate::spec::math::canon(*c + x);
    }
}

impl Mat {
    /// A copy of `rows` by `depth` elements whose rows (or columns) do not fall on one cache set.
    unsafe fn pack(self, level: Level, rows: usize, depth: usize, to: *mut f32) -> Self {
        // SAFETY: the caller's scratch holds `rows` (rounded up to 16) by `depth + GAP` floats.
        unsafe {
            if self.cs == 1 {
                let ld = depth.next_multiple_of(16) + GAP;
                pack(level, depth, rows, self.ptr, 1, self.rs, to, ld);
                Self { ptr: to, rs: ld, cs: 1 }
            } else {
                let ld = rows.next_multiple_of(16);
                pack(level, rows, depth, self.ptr, 1, self.cs, to, ld);
                Self { ptr: to, rs: 1, cs: ld }
            }
        }
    }
}
