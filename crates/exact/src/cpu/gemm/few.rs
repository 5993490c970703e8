//! The register tile for few rows and a packed matrix: its numbers are unpacked in registers and used at once.
//!
//! As in [`super::tile`], each element is its own chain, so the tile's shape does not show in the bits. That a number made
//! from a scale that is NaN is not made canonical on the way does not show either: the sum is.

use super::lanes::{Lanes, Plain};
use super::tile::{Tile, close, load, open};
use crate::cpu::Level;
#[cfg(target_arch = "aarch64")]
use crate::spec::math::Hard;
use crate::spec::math::Soft;

/// What the numbers of a tile are scaled by and shifted to: one of each for a column, from the tile's first column on.
#[derive(Clone, Copy)]
pub(super) struct Scales {
    pub(super) scale: *const f32,
    pub(super) shift: *const f32,
}

/// A tile kernel whose B is packed: `k` counts rows of words, which lie at `b`, `ldb` apart, and share the scales.
pub(super) type FewFn = unsafe fn(Tile, Scales);

/// The first vectors of a row of the matrix, or of words or scales.
#[inline(always)]
unsafe fn row<V: Lanes, const N: usize>(from: *const f32, mask: V::Mask, masked: bool) -> [V; N] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut row = [V::splat(0.0); N];
        for (j, vector) in row.iter_mut().enumerate() {
            *vector = load(from.add(j * V::W), mask, masked && j + 1 == N);
        }
        row
    }
}

#[inline(always)]
unsafe fn tile<V: Lanes, const M: usize, const N: usize, const BITS: u32>(t: Tile, scales: Scales) {
    let Tile { k, mut a, lda, mut b, ldb, last, .. } = t;
    // SAFETY: the caller promises the instructions, and that A, B, C and the scales hold what is described. The pointers' last
    // step leaves the matrices, hence `wrapping_add`; what is fetched ahead need not exist.
    unsafe {
        let mask = V::first(last);
        let masked = last < V::W;
        let mut acc = open::<V, M, N>(&t, mask);
        let scale = row::<V, N>(scales.scale, mask, masked);
        let shift = row::<V, N>(scales.shift, mask, masked);
        for j in 0..N {
            V::prefetch_far(scales.scale.wrapping_add(ldb + j * V::W));
            V::prefetch_far(scales.shift.wrapping_add(ldb + j * V::W));
        }
        for _ in 0..k {
            let mut words = row::<V, N>(b, mask, masked);
            for j in 0..N {
                V::prefetch_far(b.wrapping_add(k * ldb + j * V::W));
            }
            for p in 0..(32 / BITS) as usize {
                let mut numbers = scale;
                for j in 0..N {
                    numbers[j] = V::fma(words[j].low::<BITS>(), scale[j], shift[j]);
                    words[j] = words[j].down::<BITS>();
                }
                for (i, acc) in acc.iter_mut().enumerate() {
                    let x = V::splat(*a.add(i * lda + p));
                    for (acc, &b) in acc.iter_mut().zip(&numbers) {
                        *acc = V::fma(x, b, *acc);
                    }
                }
            }
            a = a.wrapping_add((32 / BITS) as usize);
            b = b.wrapping_add(ldb);
        }
        close(&acc, &t, mask);
    }
}

/// Rows of words that share their scales, from some column on.
#[derive(Clone, Copy)]
pub(super) struct Words {
    pub(super) rows: usize,
    /// Columns that are wanted, at most two vectors of them.
    pub(super) columns: usize,
    pub(super) at: *const f32,
    /// From one row of words to the next.
    pub(super) ld: usize,
}

/// Unpacks words into rows of two vectors.
pub(super) type UnpackFn = unsafe fn(Words, Scales, *mut f32);

#[inline(always)]
unsafe fn unpack<V: Lanes, const BITS: u32>(from: Words, scales: Scales, mut to: *mut f32) {
    let Words { rows, columns, mut at, ld } = from;
    // SAFETY: the caller promises the instructions and that all is there; masks keep to the columns. The pointers' last step
    // leaves the matrices, hence `wrapping_add`.
    unsafe {
        let masks = [V::first(columns.min(V::W)), V::first(columns.saturating_sub(V::W))];
        let mut scale = [V::splat(0.0); 2];
        let mut shift = scale;
        for (j, mask) in masks.into_iter().enumerate() {
            scale[j] = V::load_first(scales.scale.wrapping_add(j * V::W), mask);
            shift[j] = V::load_first(scales.shift.wrapping_add(j * V::W), mask);
        }
        for _ in 0..rows {
            for (j, mask) in masks.into_iter().enumerate() {
                let mut words = V::load_first(at.wrapping_add(j * V::W), mask);
                for p in 0..(32 / BITS) as usize {
                    V::fma(words.low::<BITS>(), scale[j], shift[j]).store(to.add((2 * p + j) * V::W));
                    words = words.down::<BITS>();
                }
            }
            at = at.wrapping_add(ld);
            to = to.wrapping_add((32 / BITS) as usize * 2 * V::W);
        }
    }
}

/// The kernels for one number of rows.
#[derive(Clone, Copy)]
pub(super) struct Few {
    /// Lanes of a vector.
    pub(super) width: usize,
    /// Vectors of the wide kernel.
    pub(super) vectors: usize,
    /// By whether numbers have 8 bits rather than 4.
    wide: [FewFn; 2],
    /// The same, one vector wide.
    single: [FewFn; 2],
}

impl Few {
    /// Columns of the wide kernel.
    pub(super) fn columns(&self) -> usize {
        self.vectors * self.width
    }

    /// The kernel for as many of these columns as one takes, how many that are, and the lanes of its last vector.
    #[inline]
    pub(super) fn tile(&self, bits: u8, columns: usize) -> (FewFn, usize, usize) {
        let eight = usize::from(bits == 8);
        if columns >= self.columns() {
            (self.wide[eight], self.columns(), self.width)
        } else {
            let taken = columns.min(self.width);
            (self.single[eight], taken, taken)
        }
    }
}

/// The kernels of `level` for one row, for two and so on, up to as many as are few.
pub(super) fn kernels(level: Level) -> &'static [Few] {
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

/// What unpacks numbers of so many bits at `level`.
pub(super) fn unpacking(level: Level, bits: u8) -> UnpackFn {
    let both: [UnpackFn; 2] = match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => [avx512_unpack::<4>, avx512_unpack::<8>],
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => [avx2_unpack::<4>, avx2_unpack::<8>],
        #[cfg(target_arch = "aarch64")]
        Level::Neon => [neon_unpack::<4>, neon_unpack::<8>],
        _ => [portable_unpack::<4>, portable_unpack::<8>],
    };
    both[usize::from(bits == 8)]
}

/// The table of one level, and functions that compile `tile` and `unpack` with its instructions. A tile's sums, and of each of its
/// vectors the words, scale and shift, have to fit the registers.
macro_rules! level {
    ($table:ident, $run:ident, $unpack:ident, $lanes:ty, [$($feature:meta)?], [$($m:literal x $v:literal),*]) => {
        $(#[$feature])?
        unsafe fn $run<const M: usize, const N: usize, const BITS: u32>(t: Tile, scales: Scales) {
            // SAFETY: passed on to the caller.
            unsafe { tile::<$lanes, M, N, BITS>(t, scales) }
        }
        $(#[$feature])?
        unsafe fn $unpack<const BITS: u32>(from: Words, scales: Scales, to: *mut f32) {
            // SAFETY: passed on to the caller.
            unsafe { unpack::<$lanes, BITS>(from, scales, to) }
        }
        static $table: [Few; [$($m),*].len()] = [$(Few {
            width: <$lanes as Lanes>::W,
            vectors: $v,
            wide: [$run::<$m, $v, 4>, $run::<$m, $v, 8>],
            single: [$run::<$m, 1, 4>, $run::<$m, 1, 8>],
        }),*];
    };
}

level!(PORTABLE, portable, portable_unpack, Plain<Soft>, [], [1 x 1, 2 x 1, 3 x 1, 4 x 1]);

#[cfg(target_arch = "aarch64")]
level!(NEON, neon, neon_unpack, Plain<Hard>, [], [1 x 3, 2 x 2, 3 x 2, 4 x 1, 5 x 1, 6 x 1]);

#[cfg(target_arch = "x86_64")]
level!(AVX2, avx2, avx2_unpack, std::arch::x86_64::__m256, [target_feature(enable = "avx2,fma")],
    [1 x 2, 2 x 2, 3 x 1, 4 x 1, 5 x 1, 6 x 1]);

#[cfg(target_arch = "x86_64")]
level!(AVX512, avx512, avx512_unpack, std::arch::x86_64::__m512, [target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")],
    [1 x 6, 2 x 4, 3 x 4, 4 x 3, 5 x 3, 6 x 3, 7 x 2, 8 x 2]);
