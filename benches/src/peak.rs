//! The most fused multiply-adds the machine can do: what a kernel's speed is to be seen against.

use crate::{Bench, Result, clock};
use std::hint::black_box;

/// Chains that do not wait for each other: enough to hide the latency of any fma unit there is.
const CHAINS: usize = 12;
/// Milliseconds of work, beside which starting a thread is nothing.
const STEPS: usize = 1 << 20;

/// Floating-point operations per second on this many threads, the best of several tries.
pub(crate) fn flops(bench: &Bench, threads: usize) -> Result<f64> {
    let mut best = f64::INFINITY;
    let tries = if bench.quick { 3 } else { 20 };
    for _ in 0..tries {
        let seconds = clock::per_call(threads, 4, || {
            std::thread::scope(|scope| {
                // The caller is one of the threads.
                (1..threads).for_each(|_| drop(scope.spawn(chains)));
                chains();
            });
            Ok(())
        })?;
        best = best.min(seconds);
    }
    Ok((2 * width() * CHAINS * STEPS * threads) as f64 / best)
}

/// Numbers in one vector.
fn width() -> usize {
    match exact::Level::best() {
        exact::Level::Avx512 => 16,
        exact::Level::Avx2 => 8,
        _ => 4,
    }
}

fn chains() {
    match exact::Level::best() {
        // SAFETY: the machine has these instructions: `Level::best` asked it.
        #[cfg(target_arch = "x86_64")]
        exact::Level::Avx512 => unsafe { chains_avx512() },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        exact::Level::Avx2 => unsafe { chains_avx2() },
        _ => chains_of::<4>(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn chains_avx512() {
    use std::arch::x86_64::{_mm512_fmadd_ps, _mm512_set1_ps};
    let (a, b) = (_mm512_set1_ps(black_box(0.999)), _mm512_set1_ps(black_box(0.001)));
    let mut x = [a; CHAINS];
    for _ in 0..STEPS {
        for x in &mut x {
            *x = _mm512_fmadd_ps(*x, a, b);
        }
    }
    black_box(x);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn chains_avx2() {
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps};
    let (a, b) = (_mm256_set1_ps(black_box(0.999)), _mm256_set1_ps(black_box(0.001)));
    let mut x = [a; CHAINS];
    for _ in 0..STEPS {
        for x in &mut x {
            *x = _mm256_fmadd_ps(*x, a, b);
        }
    }
    black_box(x);
}

fn chains_of<const WIDTH: usize>() {
    let (a, b) = (black_box(0.999f32), black_box(0.001f32));
    let mut x = [[a; WIDTH]; CHAINS];
    for _ in 0..STEPS {
        for x in x.as_flattened_mut() {
            *x = x.mul_add(a, b);
        }
    }
    black_box(x);
}
