//! Copies of parts of A and B in the order in which the tiles read them.

use crate::cpu::Level;

/// Copies `lines` lines of `depth` elements, so that element `p` of line `i` goes from `from + i * line + p * step` to
/// `to + p * ld + i`. One of `line` and `step` is 1.
///
/// # Safety
/// Both places must hold what is described, apart from each other, and the machine must have the level.
pub(crate) unsafe fn pack(
    level: Level,
    lines: usize,
    depth: usize,
    from: *const f32,
    line: usize,
    step: usize,
    to: *mut f32,
    ld: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        if line == 1 {
            for p in 0..depth {
                std::ptr::copy_nonoverlapping(from.add(p * step), to.add(p * ld), lines);
            }
            return;
        }
        #[cfg(target_arch = "x86_64")]
        if level == Level::Avx512 && step == 1 {
            return x86::transpose(lines, depth, from, line, to, ld);
        }
        let _ = level;
        // Squares small enough that the strided side stays in the cache.
        for p0 in (0..depth).step_by(16) {
            for i in 0..lines {
                for p in p0..depth.min(p0 + 16) {
                    *to.add(p * ld + i) = *from.add(i * line + p * step);
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    #[allow(clippy::wildcard_imports, reason = "intrinsics")]
    use std::arch::x86_64::*;

    use crate::cpu::gemm::lanes::Lanes;

    /// `to[p * ld + i] = from[i * line + p]`, by squares of 16.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    pub(super) unsafe fn transpose(
        lines: usize,
        depth: usize,
        from: *const f32,
        line: usize,
        to: *mut f32,
        ld: usize,
    ) {
        for i in (0..lines).step_by(16) {
            let rows = (lines - i).min(16);
            for p in (0..depth).step_by(16) {
                let columns = (depth - p).min(16);
                // SAFETY: masks keep to the rows and columns that exist.
                unsafe {
                    let from = from.add(i * line + p);
                    let to = to.add(p * ld + i);
                    let mut square = [_mm512_setzero_ps(); 16];
                    if rows == 16 && columns == 16 {
                        for (r, row) in square.iter_mut().enumerate() {
                            *row = Lanes::load(from.add(r * line));
                            // The next square: rows are too far apart for the hardware to guess. It may not exist.
                            __m512::prefetch(from.wrapping_add((r + 16) * line));
                        }
                        for (r, row) in transposed(square).into_iter().enumerate() {
                            row.store(to.add(r * ld));
                        }
                    } else {
                        let mask = __m512::first(columns);
                        for (r, row) in square.iter_mut().enumerate().take(rows) {
                            *row = Lanes::load_first(from.add(r * line), mask);
                        }
                        let mask = __m512::first(rows);
                        for (r, row) in transposed(square).into_iter().enumerate().take(columns) {
                            row.store_first(to.add(r * ld), mask);
                        }
                    }
                }
            }
        }
    }

    /// The transposed square: pairs of rows, then quads, then quarters are exchanged.
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn transposed(mut r: [__m512; 16]) -> [__m512; 16] {
        let mut t = r;
        for i in 0..8 {
            t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
            t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
        }
        // r[4i + c]: columns c, c + 4, c + 8, c + 12 of rows 4i .. 4i + 4.
        for i in 0..4 {
            r[4 * i] = _mm512_shuffle_ps::<0x44>(t[4 * i], t[4 * i + 2]);
            r[4 * i + 1] = _mm512_shuffle_ps::<0xee>(t[4 * i], t[4 * i + 2]);
            r[4 * i + 2] = _mm512_shuffle_ps::<0x44>(t[4 * i + 1], t[4 * i + 3]);
            r[4 * i + 3] = _mm512_shuffle_ps::<0xee>(t[4 * i + 1], t[4 * i + 3]);
        }
        for c in 0..4 {
            let low_even = _mm512_shuffle_f32x4::<0x88>(r[c], r[4 + c]);
            let low_odd = _mm512_shuffle_f32x4::<0xdd>(r[c], r[4 + c]);
            let high_even = _mm512_shuffle_f32x4::<0x88>(r[8 + c], r[12 + c]);
            let high_odd = _mm512_shuffle_f32x4::<0xdd>(r[8 + c], r[12 + c]);
            t[c] = _mm512_shuffle_f32x4::<0x88>(low_even, high_even);
            t[c + 8] = _mm512_shuffle_f32x4::<0xdd>(low_even, high_even);
            t[c + 4] = _mm512_shuffle_f32x4::<0x88>(low_odd, high_odd);
            t[c + 12] = _mm512_shuffle_f32x4::<0xdd>(low_odd, high_odd);
        }
        t
    }
}
