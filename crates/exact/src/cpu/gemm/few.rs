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
    // step leaves the matrices, hence `wrapping_add`.
    unsafe {
        let mask = V::first(last);
        let masked = last < V::W;
        let mut acc = open::<V, M, N>(&t, mask);
        let scale = row::<V, N>(scales.scale, mask, masked);
        let shift = row::<V, N>(scales.shift, mask, masked);
        for _ in 0..k {
            let mut words = row::<V, N>(b, mask, masked);
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

/// The table of one level, and a function that compiles `tile` with its instructions. A tile's sums, and of each of its
/// vectors the words, scale and shift, have to fit the registers.
macro_rules! level {
    ($table:ident, $run:ident, $lanes:ty, [$($feature:meta)?], [$($m:literal x $v:literal),*]) => {
        $(#[$feature])?
        unsafe fn $run<const M: usize, const N: usize, const BITS: u32>(t: Tile, scales: Scales) {
            // SAFETY: passed on to the caller.
            unsafe { tile::<$lanes, M, N, BITS>(t, scales) }
        }
        static $table: [Few; [$($m),*].len()] = [$(Few {
            width: <$lanes as Lanes>::W,
            vectors: $v,
            wide: [$run::<$m, $v, 4>, $run::<$m, $v, 8>],
            single: [$run::<$m, 1, 4>, $run::<$m, 1, 8>],
        }),*];
    };
}

level!(PORTABLE, portable, Plain<Soft>, [], [1 x 1, 2 x 1, 3 x 1, 4 x 1]);

#[cfg(target_arch = "aarch64")]
level!(NEON, neon, Plain<Hard>, [], [1 x 3, 2 x 2, 3 x 2, 4 x 1, 5 x 1, 6 x 1]);

#[cfg(target_arch = "x86_64")]
level!(AVX2, avx2, std::arch::x86_64::__m256, [target_feature(enable = "avx2,fma")],
    [1 x 2, 2 x 2, 3 x 1, 4 x 1, 5 x 1, 6 x 1]);

#[cfg(target_arch = "x86_64")]
level!(AVX512, avx512, std::arch::x86_64::__m512, [target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")],
    [1 x 6, 2 x 4, 3 x 4, 4 x 3, 5 x 3, 6 x 3, 7 x 2, 8 x 2]);
