//! One vector of f32 per instruction set, as far as the matrix kernels need it.

use std::marker::PhantomData;

use crate::spec::math::{self, Fma};

/// A vector of `W` floats. Everything is inlined into functions that enable the instructions.
///
/// # Safety
/// All methods require a machine with the implementation's instructions, besides valid pointers.
pub(crate) trait Lanes: Copy {
    /// Lanes in the vector.
    const W: usize;
    /// Selects the first lanes.
    type Mask: Copy;

    /// The first `n` lanes, `n <= W`.
    unsafe fn first(n: usize) -> Self::Mask;
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(p: *const f32) -> Self;
    /// The masked lanes from memory, +0 in the others; memory outside the mask is not touched.
    unsafe fn load_first(p: *const f32, mask: Self::Mask) -> Self;
    unsafe fn store(self, p: *mut f32);
    unsafe fn store_first(self, p: *mut f32, mask: Self::Mask);
    /// `a * b + c`, rounded once.
    unsafe fn fma(a: Self, b: Self, c: Self) -> Self;
    /// `fma(a, b, c)` if `taken`, else c.
    #[inline(always)]
    unsafe fn fma_if(taken: bool, a: Self, b: Self, c: Self) -> Self {
        // SAFETY: the caller's promise.
        if taken { unsafe { Self::fma(a, b, c) } } else { c }
    }
    unsafe fn add(a: Self, b: Self) -> Self;
    /// Every NaN made canonical.
    unsafe fn canon(self) -> Self;
    /// The lowest BITS bits (4 or 8) of each lane, as a number.
    unsafe fn low<const BITS: u32>(self) -> Self;
    /// Each lane's bits moved down by BITS (4 or 8).
    unsafe fn down<const BITS: u32>(self) -> Self;
    /// Hints that the line will be needed.
    #[inline(always)]
    unsafe fn prefetch(_p: *const f32) {}
    /// The same, but not so soon that it should take space in the first-level cache.
    #[inline(always)]
    unsafe fn prefetch_far(_p: *const f32) {}
}

/// Lanes in plain Rust, for the compiler to vectorise.
#[derive(Clone, Copy)]
pub(crate) struct Plain<F>([f32; PLAIN], PhantomData<F>);

const PLAIN: usize = 8;

impl<F: Fma> Plain<F> {
    #[inline(always)]
    fn each(f: impl Fn(usize) -> f32) -> Self {
        Self(std::array::from_fn(f), PhantomData)
    }
}

impl<F: Fma> Lanes for Plain<F> {
    const W: usize = PLAIN;
    type Mask = usize;

    #[inline(always)]
    unsafe fn first(n: usize) -> usize {
        n
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self([x; PLAIN], PhantomData)
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self {
        // SAFETY: the caller's pointer is good for W floats; arrays of f32 have its alignment.
        Self(unsafe { *p.cast() }, PhantomData)
    }
    #[inline(always)]
    unsafe fn load_first(p: *const f32, n: usize) -> Self {
        // SAFETY: only lanes below n are read.
        Self::each(|i| if i < n { unsafe { *p.add(i) } } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32) {
        // SAFETY: the caller's pointer is good for W floats.
        unsafe { *p.cast() = self.0 }
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut f32, n: usize) {
        for (i, &x) in self.0.iter().enumerate().take(n) {
            // SAFETY: only lanes below n are written.
            unsafe { *p.add(i) = x }
        }
    }
    #[inline(always)]
    unsafe fn fma(a: Self, b: Self, c: Self) -> Self {
        Self::each(|i| F::fma(a.0[i], b.0[i], c.0[i]))
    }
    #[inline(always)]
    unsafe fn add(a: Self, b: Self) -> Self {
        Self::each(|i| a.0[i] + b.0[i])
    }
    #[inline(always)]
    unsafe fn canon(self) -> Self {
        Self::each(|i| math::canon(self.0[i]))
    }
    #[inline(always)]
    unsafe fn low<const BITS: u32>(self) -> Self {
        Self::each(|i| (self.0[i].to_bits() & ((1 << BITS) - 1)) as i32 as f32)
    }
    #[inline(always)]
    unsafe fn down<const BITS: u32>(self) -> Self {
        Self::each(|i| f32::from_bits(self.0[i].to_bits() >> BITS))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #[allow(clippy::wildcard_imports, reason = "intrinsics")]
    use std::arch::x86_64::*;

    use super::{Lanes, math};

    // SAFETY of every block below: the trait demands a machine with the instructions, and valid pointers.
    #[allow(clippy::undocumented_unsafe_blocks, reason = "said once above")]
    impl Lanes for __m512 {
        const W: usize = 16;
        type Mask = __mmask16;

        #[inline(always)]
        unsafe fn first(n: usize) -> __mmask16 {
            ((1_u32 << n) - 1) as __mmask16
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            unsafe { _mm512_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self {
            unsafe { _mm512_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn load_first(p: *const f32, mask: __mmask16) -> Self {
            unsafe { _mm512_maskz_loadu_ps(mask, p) }
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut f32) {
            unsafe { _mm512_storeu_ps(p, self) }
        }
        #[inline(always)]
        unsafe fn store_first(self, p: *mut f32, mask: __mmask16) {
            unsafe { _mm512_mask_storeu_ps(p, mask, self) }
        }
        #[inline(always)]
        unsafe fn fma(a: Self, b: Self, c: Self) -> Self {
            unsafe { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn fma_if(taken: bool, a: Self, b: Self, c: Self) -> Self {
            unsafe { _mm512_mask3_fmadd_ps(a, b, c, u16::from(taken).wrapping_neg()) }
        }
        #[inline(always)]
        unsafe fn add(a: Self, b: Self) -> Self {
            unsafe { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn canon(self) -> Self {
            unsafe {
                let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self, self);
                _mm512_mask_mov_ps(self, nan, _mm512_set1_ps(math::NAN))
            }
        }
        #[inline(always)]
        unsafe fn low<const BITS: u32>(self) -> Self {
            unsafe {
                let mask = _mm512_set1_epi32((1 << BITS) - 1);
                _mm512_cvtepi32_ps(_mm512_and_si512(_mm512_castps_si512(self), mask))
            }
        }
        #[inline(always)]
        unsafe fn down<const BITS: u32>(self) -> Self {
            unsafe {
                let words = _mm512_castps_si512(self);
                _mm512_castsi512_ps(if BITS == 4 {
                    _mm512_srli_epi32::<4>(words)
                } else {
                    _mm512_srli_epi32::<8>(words)
                })
            }
        }
        #[inline(always)]
        unsafe fn prefetch(p: *const f32) {
            unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
        }
        #[inline(always)]
        unsafe fn prefetch_far(p: *const f32) {
            unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
        }
    }

    #[allow(clippy::undocumented_unsafe_blocks, reason = "said once above")]
    impl Lanes for __m256 {
        const W: usize = 8;
        type Mask = __m256i;

        #[inline(always)]
        unsafe fn first(n: usize) -> __m256i {
            unsafe {
                let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
                _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), lane)
            }
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> Self {
            unsafe { _mm256_set1_ps(x) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> Self {
            unsafe { _mm256_loadu_ps(p) }
        }
        #[inline(always)]
        unsafe fn load_first(p: *const f32, mask: __m256i) -> Self {
            unsafe { _mm256_maskload_ps(p, mask) }
        }
        #[inline(always)]
        unsafe fn store(self, p: *mut f32) {
            unsafe { _mm256_storeu_ps(p, self) }
        }
        #[inline(always)]
        unsafe fn store_first(self, p: *mut f32, mask: __m256i) {
            unsafe { _mm256_maskstore_ps(p, mask, self) }
        }
        #[inline(always)]
        unsafe fn fma(a: Self, b: Self, c: Self) -> Self {
            unsafe { _mm256_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        unsafe fn add(a: Self, b: Self) -> Self {
            unsafe { _mm256_add_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn canon(self) -> Self {
            unsafe {
                let nan = _mm256_cmp_ps::<_CMP_UNORD_Q>(self, self);
                _mm256_blendv_ps(self, _mm256_set1_ps(math::NAN), nan)
            }
        }
        #[inline(always)]
        unsafe fn low<const BITS: u32>(self) -> Self {
            unsafe {
                let mask = _mm256_set1_epi32((1 << BITS) - 1);
                _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_castps_si256(self), mask))
            }
        }
        #[inline(always)]
        unsafe fn down<const BITS: u32>(self) -> Self {
            unsafe {
                let words = _mm256_castps_si256(self);
                _mm256_castsi256_ps(if BITS == 4 {
                    _mm256_srli_epi32::<4>(words)
                } else {
                    _mm256_srli_epi32::<8>(words)
                })
            }
        }
        #[inline(always)]
        unsafe fn prefetch(p: *const f32) {
            unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
        }
        #[inline(always)]
        unsafe fn prefetch_far(p: *const f32) {
            unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
        }
    }
}
