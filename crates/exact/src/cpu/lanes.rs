//! One scalar source, compiled for every level.

/// Defines a kernel from scalar code that the compiler turns into vector code, once per [`Level`](crate::Level).
///
/// ```text
/// kernel! {
///     /// What it does. Safety: what the pointers must be good for.
///     pub(crate) unsafe fn name<F>(n: usize, x: *const f32, out: *mut f32) { .. F::fma(a, b, c) .. }
/// }
/// ```
/// gives `unsafe fn name(level: Level, n: usize, x: *const f32, out: *mut f32)`. The body must inline whatever it
/// calls (`#[inline(always)]`), as only what lies inside the function is compiled with the level's features.
/// Besides what the kernel asks of its arguments, its caller vouches that the machine has the level.
macro_rules! kernel {
    ($(#[$meta:meta])* $vis:vis unsafe fn $name:ident<$F:ident>($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? $body:block) => {
        $(#[$meta])*
        $vis unsafe fn $name(level: $crate::Level, $($arg: $type),*) $(-> $out)? {
            #[inline(always)]
            unsafe fn body<$F: $crate::spec::math::Fma>($($arg: $type),*) $(-> $out)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
            unsafe fn avx512($($arg: $type),*) $(-> $out)? {
                // SAFETY: the caller's own contract.
                unsafe { body::<$crate::spec::math::Hard>($($arg),*) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2($($arg: $type),*) $(-> $out)? {
                // SAFETY: the caller's own contract.
                unsafe { body::<$crate::spec::math::Hard>($($arg),*) }
            }

            // SAFETY: the caller vouches for the arguments and that the machine has the level.
            unsafe {
                match level {
                    #[cfg(target_arch = "x86_64")]
                    $crate::Level::Avx512 => avx512($($arg),*),
                    #[cfg(target_arch = "x86_64")]
                    $crate::Level::Avx2 => avx2($($arg),*),
                    #[cfg(target_arch = "aarch64")]
                    $crate::Level::Neon => body::<$crate::spec::math::Hard>($($arg),*),
                    _ => body::<$crate::spec::math::Soft>($($arg),*),
                }
            }
        }
    };
}
pub(crate) use kernel;

/// Something on the stack that vector loads and stores meet at line boundaries: across them each would cost two.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Aligned<T>(pub(crate) T);

/// Hints that n floats from x on will be read soon. They need not be there.
#[inline(always)]
pub(crate) fn fetch(x: *const f32, n: usize) {
    #[cfg(target_arch = "x86_64")]
    for i in (0..n).step_by(16) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: no address makes a hint go wrong, and all machines of this kind have the instruction.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(x.wrapping_add(i).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (x, n);
}
