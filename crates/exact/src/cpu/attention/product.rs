//! Products whose rows see different numbers of keys, on the tiles of the matrix product.

use super::rows::Rows;
use crate::cpu::gemm::BLOCK;
use crate::cpu::gemm::tile::{Kernels, Mode, Tile};

/// Calls `f(i, rows)` for rows `from..to` cut evenly into parts of at most `most`.
#[inline(always)]
pub(super) fn bands(from: usize, to: usize, most: usize, mut f: impl FnMut(usize, usize)) {
    let parts = (to - from).div_ceil(most);
    for part in 0..parts {
        let at = |part: usize| from + (to - from) * part / parts;
        f(at(part), at(part + 1) - at(part));
    }
}

/// Columns `j..j + columns` of the scores `out = x panel`, for the rows that see key `j`.
///
/// `x` has `dim` columns, rows `dim` apart; the panel holds `dim` rows as wide as a tile.
///
/// # Safety
/// The matrices must be there and the machine must have the kernels' level; so for all functions here.
pub(super) unsafe fn panel_product(
    kernels: &Kernels,
    rows: Rows,
    dim: usize,
    x: *const f32,
    panel: *const f32,
    j: usize,
    columns: usize,
    out: *mut f32,
    ld: usize,
) {
    let width = kernels.columns();
    let first_that_sees = |j: usize| (0..rows.count).find(|&i| rows.keys(i) > j).unwrap_or(rows.count);
    // Rows that see no more than the first vector's keys need no second.
    let (from, wide) = (first_that_sees(j), first_that_sees(j + kernels.width));
    for d in (0..dim.max(1)).step_by(BLOCK) {
        let run = |i: usize, height: usize| {
            let columns = columns.min(if i < wide { kernels.width } else { width });
            let (tile, last) = kernels.tile(false, height, columns);
            // SAFETY: the caller's promise.
            unsafe {
                tile(Tile {
                    k: (dim - d).min(BLOCK),
                    a: x.add(i * dim + d),
                    lda: dim,
                    b: panel.add(d * width),
                    ldb: width,
                    c: out.add(i * ld + j),
                    ldc: ld,
                    last,
                    mode: if d == 0 { Mode::Store } else { Mode::Add },
                });
            }
        };
        bands(from, wide, kernels.rows, run);
        bands(wide, rows.count, kernels.rows, run);
    }
}

/// `c[i] = sum over p < keys(i) of a[i, p] b[p]`: each row takes its own keys and no others. Rows of B and C have `columns`.
pub(super) unsafe fn ragged_product(
    kernels: &Kernels,
    rows: Rows,
    a: *const f32,
    lda: usize,
    columns: usize,
    b: *const f32,
    ldb: usize,
    c: *mut f32,
    ldc: usize,
) {
    let width = kernels.columns();
    for p in (0..rows.most()).step_by(BLOCK) {
        let mode = if p == 0 { Mode::Store } else { Mode::Add };
        // Rows that reach into this block, and those that fill it.
        let from = (0..rows.count).find(|&i| rows.keys(i) > p).unwrap_or(rows.count);
        let full = (from..rows.count).find(|&i| rows.keys(i) >= p + BLOCK).unwrap_or(rows.count);
        let slanted_to = if rows.step == 1 { full } else { from };
        for j in (0..columns).step_by(width) {
            let columns = width.min(columns - j);
            let run = |i: usize, height: usize| {
                let slanted = i < slanted_to;
                let (tile, last) = if slanted {
                    kernels.slanted(false, height, columns)
                } else {
                    kernels.tile(false, height, columns)
                };
                // SAFETY: the caller's promise.
                unsafe {
                    tile(Tile {
                        k: (rows.keys(i) - p).min(BLOCK),
                        a: a.add(i * lda + p),
                        lda,
                        b: b.add(p * ldb + j),
                        ldb,
                        c: c.add(i * ldc + j),
                        ldc,
                        last,
                        mode,
                    });
                }
            };
            bands(from, slanted_to, kernels.rows, run);
            bands(slanted_to, rows.count, kernels.rows, run);
        }
    }
}

/// `c[j] (mode) sum over i < depth of a[i, j] b[i]` for the rows `from..to` of C; row j is column j of A.
///
/// With `slanted`, the sum for row j starts at `i = j - from` only.
pub(super) unsafe fn turned_product(
    kernels: &Kernels,
    from: usize,
    to: usize,
    slanted: bool,
    depth: usize,
    a: *const f32,
    lda: usize,
    columns: usize,
    b: *const f32,
    ldb: usize,
    c: *mut f32,
    ldc: usize,
    mode: Mode,
) {
    let width = kernels.columns();
    for x in (0..columns).step_by(width) {
        let columns = width.min(columns - x);
        bands(from, to, kernels.rows, |j, height| {
            let skip = if slanted { j - from } else { 0 };
            let (tile, last) = if slanted {
                kernels.slanted(true, height, columns)
            } else {
                kernels.tile(true, height, columns)
            };
            // SAFETY: the caller's promise.
            unsafe {
                tile(Tile {
                    k: if slanted { depth - skip - (height - 1) } else { depth },
                    a: a.add(skip * lda + j),
                    lda,
                    b: b.add(skip * ldb + x),
                    ldb,
                    c: c.add(j * ldc + x),
                    ldc,
                    last,
                    mode,
                });
            }
        });
    }
}
