//! The register tile: a few rows of C, one or more vectors wide, kept in registers for up to one block of K.
//!
//! Each element is its own chain `acc = fma(a, b, acc)` with k rising, so the shape of the tile, the vector's width and
//! the order of tiles do not show in the bits.

use std::hint::black_box;

use super::lanes::{Lanes, Plain};
use crate::cpu::Level;
#[cfg(target_arch = "aarch64")]
use crate::spec::math::Hard;
use crate::spec::math::Soft;

/// What becomes of the chain's sum, and where the chain starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// The first block of K: chains start at +0 and their sums are stored.
    Store,
    /// A further part of the same block: chains start with what C holds.
    Chain,
    /// A further block: chains start at +0 and their sums are added to C.
    Add,
}

/// One call of a tile kernel: `c[i, j] (mode) sum over p < k of a[i, p] * b[p, j]`.
///
/// Row `p` of B lies at `b + p * ldb`; its vectors are full but the last, which has `last` lanes, `1 <= last <= W`.
#[derive(Clone, Copy)]
pub(crate) struct Tile {
    pub(crate) k: usize,
    /// `a[i, p]` is at `a + i * lda + p`, or `a + p * lda + i` in the kernels for columns.
    pub(crate) a: *const f32,
    pub(crate) lda: usize,
    pub(crate) b: *const f32,
    pub(crate) ldb: usize,
    pub(crate) c: *mut f32,
    pub(crate) ldc: usize,
    pub(crate) last: usize,
    pub(crate) mode: Mode,
}

/// Where the columns of A lie if A is a window that moves over an image: in runs, the runs in rows, the rows in planes.
#[derive(Clone, Copy)]
pub(crate) struct Walk {
    /// The first column that the tile takes.
    pub(crate) from: usize,
    /// Columns in a run, `step` floats apart.
    pub(crate) run: usize,
    pub(crate) step: usize,
    /// Runs in a plane, `row` floats apart; planes are `plane` floats apart.
    pub(crate) runs: usize,
    pub(crate) row: usize,
    pub(crate) plane: usize,
}

/// A tile kernel whose A is walked over.
pub(crate) type WalkFn = unsafe fn(Tile, Walk);

/// A tile kernel of some height, width and layout of A.
pub(crate) type TileFn = unsafe fn(Tile);

/// A tile kernel for few rows that looks ahead.
pub(crate) type ThinFn = unsafe fn(Tile, usize);

/// A tile kernel that makes a copy of its B.
pub(crate) type CopyFn = unsafe fn(Tile, *mut f32);

/// A full vector, or the first lanes of one.
#[inline(always)]
pub(super) unsafe fn load<V: Lanes>(p: *const f32, mask: V::Mask, masked: bool) -> V {
    // SAFETY: the caller's promise.
    unsafe { if masked { V::load_first(p, mask) } else { V::load(p) } }
}

/// One k of a tile: `acc[i][j] = a[i] * b[j] + acc[i][j]`.
#[inline(always)]
unsafe fn step<V: Lanes, const M: usize, const N: usize>(
    acc: &mut [[V; N]; M],
    a: *const f32,
    stride: usize,
    b: *const f32,
    mask: V::Mask,
    masked: bool,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut row = [V::splat(0.0); N];
        for (j, b_vector) in row.iter_mut().enumerate() {
            *b_vector = load(b.add(j * V::W), mask, masked && j + 1 == N);
        }
        for (i, acc) in acc.iter_mut().enumerate() {
            let x = V::splat(*a.add(i * stride));
            for (acc, &b) in acc.iter_mut().zip(&row) {
                *acc = V::fma(x, b, *acc);
            }
        }
    }
}

/// A step at the slanted edge: row i takes part if bit i of `rows` is set.
///
/// That is asked only of the first M / 2 rows, or if LATE of the others. The rest takes part if REST.
#[inline(always)]
unsafe fn step_some<V: Lanes, const M: usize, const N: usize, const LATE: bool, const REST: bool>(
    acc: &mut [[V; N]; M],
    a: *const f32,
    stride: usize,
    b: *const f32,
    mask: V::Mask,
    masked: bool,
    rows: u32,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut row = [V::splat(0.0); N];
        for (j, b_vector) in row.iter_mut().enumerate() {
            *b_vector = load(b.add(j * V::W), mask, masked && j + 1 == N);
        }
        for (i, acc) in acc.iter_mut().enumerate() {
            if (i < M / 2) != LATE {
                let x = V::splat(*a.add(i * stride));
                for (acc, &b) in acc.iter_mut().zip(&row) {
                    *acc = V::fma_if(rows >> i & 1 == 1, x, b, *acc);
                }
            } else if REST {
                let x = V::splat(*a.add(i * stride));
                for (acc, &b) in acc.iter_mut().zip(&row) {
                    *acc = V::fma(x, b, *acc);
                }
            }
        }
    }
}

/// What the chains start with.
#[inline(always)]
pub(super) unsafe fn open<V: Lanes, const M: usize, const N: usize>(t: &Tile, mask: V::Mask) -> [[V; N]; M] {
    // SAFETY: the caller promises the instructions, and that A, B and C hold what `Tile` describes.
    unsafe {
        let mut acc = [[V::splat(0.0); N]; M];
        for (i, acc) in acc.iter_mut().enumerate() {
            for (j, acc) in acc.iter_mut().enumerate() {
                let c = t.c.add(i * t.ldc + j * V::W);
                if t.mode == Mode::Chain {
                    *acc = load(c, mask, j + 1 == N && t.last < V::W);
                } else {
                    V::prefetch(c);
                }
            }
        }
        acc
    }
}

/// Stores what the chains came to.
#[inline(always)]
pub(super) unsafe fn close<V: Lanes, const M: usize, const N: usize>(
    acc: &[[V; N]; M],
    t: &Tile,
    mask: V::Mask,
) {
    // SAFETY: as in `open`.
    unsafe {
        for (i, acc) in acc.iter().enumerate() {
            for (j, &acc) in acc.iter().enumerate() {
                let c = t.c.add(i * t.ldc + j * V::W);
                let masked = j + 1 == N && t.last < V::W;
                let sum = if t.mode == Mode::Add { V::add(load(c, mask, masked), acc) } else { acc }.canon();
                if masked {
                    sum.store_first(c, mask);
                } else {
                    sum.store(c);
                }
            }
        }
    }
}

/// Rows of B that a tile looks ahead: 512 of them are more than the first-level cache holds, and come from the second.
const AHEAD: usize = 8;

// No closures in the kernels: they would be compiled apart, without the caller's instructions.

#[inline(always)]
unsafe fn tile<V: Lanes, const M: usize, const N: usize, const COLUMNS: bool>(t: Tile) {
    let Tile { k, mut a, lda, mut b, ldb, last, .. } = t;
    let (stride, next) = if COLUMNS { (1, lda) } else { (lda, 1) };
    // SAFETY: as in `open`. The pointers' last step leaves the matrices, hence `wrapping_add`.
    unsafe {
        let mask = V::first(last);
        let mut acc = open::<V, M, N>(&t, mask);
        if last == V::W {
            for _ in 0..k {
                for j in 0..N {
                    V::prefetch(b.wrapping_add(AHEAD * ldb + j * V::W));
                }
                step(&mut acc, a, stride, b, mask, false);
                a = a.wrapping_add(next);
                b = b.wrapping_add(ldb);
            }
        } else {
            for _ in 0..k {
                step(&mut acc, a, stride, b, mask, true);
                a = a.wrapping_add(next);
                b = b.wrapping_add(ldb);
            }
        }
        close(&acc, &t, mask);
    }
}

/// The same for full vectors and A by rows, where B comes from afar: each row of B that is used has the one `ahead` floats on
/// fetched, unless that is 0.
#[inline(always)]
unsafe fn thin<V: Lanes, const M: usize, const N: usize>(t: Tile, ahead: usize) {
    let Tile { k, mut a, lda, mut b, ldb, .. } = t;
    // SAFETY: as in `tile`; what is fetched need not exist.
    unsafe {
        let mask = V::first(V::W);
        let mut acc = open::<V, M, N>(&t, mask);
        for _ in 0..k {
            if ahead > 0 {
                for j in 0..N {
                    V::prefetch_far(b.wrapping_add(ahead + j * V::W));
                }
            }
            step(&mut acc, a, lda, b, mask, false);
            a = a.wrapping_add(1);
            b = b.wrapping_add(ldb);
        }
        close(&acc, &t, mask);
    }
}

/// The same for full vectors, which besides are copied to `to`, one row after the other.
#[inline(always)]
unsafe fn copying<V: Lanes, const M: usize, const N: usize, const COLUMNS: bool>(t: Tile, to: *mut f32) {
    let Tile { k, mut a, lda, mut b, ldb, .. } = t;
    let (stride, next) = if COLUMNS { (1, lda) } else { (lda, 1) };
    // SAFETY: as in `tile`; the caller has room for the copy.
    unsafe {
        let mask = V::first(V::W);
        let mut acc = open::<V, M, N>(&t, mask);
        for p in 0..k {
            for j in 0..N {
                V::load(b.add(j * V::W)).store(to.add((p * N + j) * V::W));
            }
            step(&mut acc, a, stride, b, mask, false);
            a = a.wrapping_add(next);
            b = b.wrapping_add(ldb);
        }
        close(&acc, &t, mask);
    }
}

/// A tile with a slanted edge: besides `k` steps of all rows there are M - 1 of some.
///
/// With HEAD they come first, and row i joins in at step i; A lies by columns. Otherwise they come last, and row i leaves
/// after i of them; A lies by rows. What A holds where a row takes no part may be anything, but it must be there.
#[inline(always)]
unsafe fn slanted<V: Lanes, const M: usize, const N: usize, const HEAD: bool>(t: Tile) {
    let Tile { k, mut a, lda, mut b, ldb, last, .. } = t;
    let (stride, next) = if HEAD { (1, lda) } else { (lda, 1) };
    // SAFETY: as in `tile`.
    unsafe {
        let mask = V::first(last);
        let masked = last < V::W;
        let mut acc = open::<V, M, N>(&t, mask);
        if HEAD {
            // Behind a black box: a compiler that knew them would make a case of each step, and lose the registers.
            let mut rows = black_box(1_u32);
            for _ in 0..M / 2 {
                step_some::<V, M, N, false, false>(&mut acc, a, stride, b, mask, masked, rows);
                a = a.wrapping_add(next);
                b = b.wrapping_add(ldb);
                rows = rows << 1 | 1;
            }
            for _ in M / 2..M - 1 {
                step_some::<V, M, N, true, true>(&mut acc, a, stride, b, mask, masked, rows);
                a = a.wrapping_add(next);
                b = b.wrapping_add(ldb);
                rows = rows << 1 | 1;
            }
        }
        if masked {
            for _ in 0..k {
                step(&mut acc, a, stride, b, mask, true);
                a = a.wrapping_add(next);
                b = b.wrapping_add(ldb);
            }
        } else {
            for _ in 0..k {
                step(&mut acc, a, stride, b, mask, false);
                a = a.wrapping_add(next);
                b = b.wrapping_add(ldb);
            }
        }
        if !HEAD {
            let mut rows = black_box(u32::MAX << 1);
            for _ in 0..M / 2 {
                step_some::<V, M, N, false, true>(&mut acc, a, stride, b, mask, masked, rows);
                a = a.wrapping_add(next);
                b = b.wrapping_add(ldb);
                rows <<= 1;
            }
            for _ in M / 2..M - 1 {
                step_some::<V, M, N, true, false>(&mut acc, a, stride, b, mask, masked, rows);
                a = a.wrapping_add(next);
                b = b.wrapping_add(ldb);
                rows <<= 1;
            }
        }
        close(&acc, &t, mask);
    }
}

/// The same as `tile`, but A lies as `walk` says. `lda` is from row to row; with COLUMNS, that is one.
#[inline(always)]
unsafe fn walked<V: Lanes, const M: usize, const N: usize, const COLUMNS: bool>(t: Tile, walk: Walk) {
    let stride = if COLUMNS { 1 } else { t.lda };
    let next = if COLUMNS { walk.step } else { 1 };
    let mut b = t.b;
    // SAFETY: as in `tile`.
    unsafe {
        let mask = V::first(t.last);
        let masked = t.last < V::W;
        let mut acc = open::<V, M, N>(&t, mask);
        let (mut run, mut within) = (walk.from / walk.run, walk.from % walk.run);
        let mut left = t.k;
        while left > 0 {
            let count = left.min(walk.run - within);
            let place = run / walk.runs * walk.plane + run % walk.runs * walk.row + within * next;
            let mut a = t.a.add(place);
            if masked {
                for _ in 0..count {
                    step(&mut acc, a, stride, b, mask, true);
                    a = a.wrapping_add(next);
                    b = b.wrapping_add(t.ldb);
                }
            } else {
                for _ in 0..count {
                    step(&mut acc, a, stride, b, mask, false);
                    a = a.wrapping_add(next);
                    b = b.wrapping_add(t.ldb);
                }
            }
            (run, within) = (run + 1, 0);
            left -= count;
        }
        close(&acc, &t, mask);
    }
}

/// The kernels and sizes of one level.
pub(crate) struct Kernels {
    /// Lanes of a vector.
    pub(crate) width: usize,
    /// Rows of the tallest tile.
    pub(crate) rows: usize,
    /// `[A by columns][vectors - 1][rows - 1]`.
    tiles: [[&'static [TileFn]; 2]; 2],
    /// Slanted tiles: `[at the head][vectors - 1][rows - 1]`.
    slanted: [[&'static [TileFn]; 2]; 2],
    /// Tiles whose A is walked over: `[A by columns][vectors - 1][rows - 1]`.
    walked: [[&'static [WalkFn]; 2]; 2],
    /// Tiles of [`Kernels::columns`] that copy their B: `[A by columns][rows - 1]`.
    copying: [&'static [CopyFn]; 2],
    /// For few rows, A by rows: `[rows - 1]` is the number of vectors and the kernel.
    pub(crate) thin: &'static [(usize, ThinFn)],
}

impl Kernels {
    /// Columns of the widest tile, but for the thin ones.
    pub(crate) const fn columns(&self) -> usize {
        2 * self.width
    }

    /// The kernel for `rows` by at most [`Kernels::columns`] columns, and the lanes of its last vector.
    #[inline]
    pub(crate) fn tile(&self, a_by_columns: bool, rows: usize, columns: usize) -> (TileFn, usize) {
        let vectors = columns.div_ceil(self.width);
        let last = columns - (vectors - 1) * self.width;
        (self.tiles[a_by_columns as usize][vectors - 1][rows - 1], last)
    }

    /// The same with a slanted edge, at the head (A by columns) or at the tail (A by rows).
    #[inline]
    pub(crate) fn slanted(&self, head: bool, rows: usize, columns: usize) -> (TileFn, usize) {
        let vectors = columns.div_ceil(self.width);
        let last = columns - (vectors - 1) * self.width;
        (self.slanted[head as usize][vectors - 1][rows - 1], last)
    }

    /// The same for all columns of the widest tile, which are copied as well.
    #[inline]
    pub(crate) fn copying(&self, a_by_columns: bool, rows: usize) -> CopyFn {
        self.copying[a_by_columns as usize][rows - 1]
    }

    /// The same with A walked over.
    #[inline]
    pub(crate) fn walked(&self, a_by_columns: bool, rows: usize, columns: usize) -> (WalkFn, usize) {
        let vectors = columns.div_ceil(self.width);
        let last = columns - (vectors - 1) * self.width;
        (self.walked[a_by_columns as usize][vectors - 1][rows - 1], last)
    }
}

/// The kernels of `level`.
pub(crate) fn kernels(level: Level) -> &'static Kernels {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => &AVX512,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => &AVX2,
        #[cfg(target_arch = "aarch64")]
        Level::Neon => &NEON,
        _ => &PORTABLE,
    }
}

/// The tables of one level: a function that compiles `tile` with the level's instructions, at every height.
macro_rules! level {
    ($table:ident, $run:ident, $slant:ident, $walk:ident, $thin:ident, $copy:ident, $lanes:ty, [$($feature:meta)?], rows: $rows:literal [$($m:literal)*],
     thin: [$($tm:literal x $tv:literal),*]) => {
        $(#[$feature])?
        unsafe fn $run<const M: usize, const N: usize, const COLUMNS: bool>(t: Tile) {
            // SAFETY: passed on to the caller.
            unsafe { tile::<$lanes, M, N, COLUMNS>(t) }
        }
        $(#[$feature])?
        unsafe fn $slant<const M: usize, const N: usize, const HEAD: bool>(t: Tile) {
            // SAFETY: passed on to the caller.
            unsafe { slanted::<$lanes, M, N, HEAD>(t) }
        }
        $(#[$feature])?
        unsafe fn $walk<const M: usize, const N: usize, const COLUMNS: bool>(t: Tile, walk: Walk) {
            // SAFETY: passed on to the caller.
            unsafe { walked::<$lanes, M, N, COLUMNS>(t, walk) }
        }
        $(#[$feature])?
        unsafe fn $thin<const M: usize, const N: usize>(t: Tile, ahead: usize) {
            // SAFETY: passed on to the caller.
            unsafe { thin::<$lanes, M, N>(t, ahead) }
        }
        $(#[$feature])?
        unsafe fn $copy<const M: usize, const COLUMNS: bool>(t: Tile, to: *mut f32) {
            // SAFETY: passed on to the caller.
            unsafe { copying::<$lanes, M, 2, COLUMNS>(t, to) }
        }
        static $table: Kernels = Kernels {
            width: <$lanes as Lanes>::W,
            rows: $rows,
            tiles: [
                [&[$($run::<$m, 1, false>),*], &[$($run::<$m, 2, false>),*]],
                [&[$($run::<$m, 1, true>),*], &[$($run::<$m, 2, true>),*]],
            ],
            slanted: [
                [&[$($slant::<$m, 1, false>),*], &[$($slant::<$m, 2, false>),*]],
                [&[$($slant::<$m, 1, true>),*], &[$($slant::<$m, 2, true>),*]],
            ],
            walked: [
                [&[$($walk::<$m, 1, false>),*], &[$($walk::<$m, 2, false>),*]],
                [&[$($walk::<$m, 1, true>),*], &[$($walk::<$m, 2, true>),*]],
            ],
            copying: [&[$($copy::<$m, false>),*], &[$($copy::<$m, true>),*]],
            thin: &[$(($tv, $thin::<$tm, $tv>)),*],
        };
    };
}

level!(PORTABLE, portable, portable_slanted, portable_walked, portable_thin, portable_copying, Plain<Soft>, [], rows: 4 [1 2 3 4], thin: [1 x 4, 2 x 2, 3 x 2, 4 x 2]);

#[cfg(target_arch = "aarch64")]
level!(NEON, neon, neon_slanted, neon_walked, neon_thin, neon_copying, Plain<Hard>, [], rows: 6 [1 2 3 4 5 6], thin: [1 x 6, 2 x 5, 3 x 3, 4 x 2, 5 x 2, 6 x 2]);

#[cfg(target_arch = "x86_64")]
level!(AVX2, avx2, avx2_slanted, avx2_walked, avx2_thin, avx2_copying, std::arch::x86_64::__m256, [target_feature(enable = "avx2,fma")],
    rows: 6 [1 2 3 4 5 6], thin: [1 x 8, 2 x 4, 3 x 3, 4 x 2, 5 x 2, 6 x 2]);

#[cfg(target_arch = "x86_64")]
level!(AVX512, avx512, avx512_slanted, avx512_walked, avx512_thin, avx512_copying, std::arch::x86_64::__m512, [target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")],
    rows: 14 [1 2 3 4 5 6 7 8 9 10 11 12 13 14],
    thin: [1 x 8, 2 x 8, 3 x 8, 4 x 6, 5 x 5, 6 x 4, 7 x 3, 8 x 3]);
