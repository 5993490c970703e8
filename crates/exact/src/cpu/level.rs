//! Which instructions the kernels may use.

use std::fmt;

/// An instruction set that the kernels are compiled for. The result's bits are the same at every level.
///
/// The order is that of speed on a machine that has several: [`Level::best`] is the greatest available.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// The target's baseline. No fused multiply-add instruction is assumed: it is computed in double precision.
    Portable,
    /// Armv8 Advanced SIMD, which every 64-bit Arm machine has.
    Neon,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 F, BW, DQ and VL, besides AVX2 and FMA.
    Avx512,
}

impl Level {
    /// Every level, slowest first.
    const ALL: [Self; 4] = [Self::Portable, Self::Neon, Self::Avx2, Self::Avx512];

    /// The fastest level of this machine.
    pub fn best() -> Self {
        Self::available().last().unwrap_or(Self::Portable)
    }

    /// The levels that this machine can run, slowest first; [`Level::Portable`] is always the first.
    pub fn available() -> impl DoubleEndedIterator<Item = Self> {
        Self::ALL.into_iter().filter(|level| level.is_available())
    }

    /// Whether this machine can run the level. Running one that it cannot is undefined behaviour,
    /// so whoever takes a level from outside asks here first.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            Self::Neon => cfg!(target_arch = "aarch64"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Portable => "portable",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portable_is_always_there_and_best_is_available() {
        let levels: Vec<_> = Level::available().collect();
        assert_eq!(levels[0], Level::Portable);
        assert_eq!(*levels.last().unwrap(), Level::best());
        assert!(levels.is_sorted());
    }

    #[test]
    fn names() {
        assert_eq!(Level::Avx512.to_string(), "avx512");
        assert_eq!(format!("{:>9}", Level::Portable), " portable");
    }
}
