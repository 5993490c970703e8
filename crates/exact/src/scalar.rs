//! The functions of single numbers, on their 32 bits: what a referee executes, and what another implementation of one is compared with.
//!
//! Every NaN that comes out is the canonical one.

use crate::program::op::{BinaryFn, CompareFn, IntFn, UnaryFn};
use crate::spec::math::{self, Fma, Soft};

/// A function of one number.
pub fn unary(f: UnaryFn, x: u32) -> u32 {
    math::unary::<Soft>(f, f32::from_bits(x)).to_bits()
}

/// A function of two numbers.
pub fn binary(f: BinaryFn, a: u32, b: u32) -> u32 {
    math::binary::<Soft>(f, f32::from_bits(a), f32::from_bits(b)).to_bits()
}

/// A relation of two numbers: 1 where it holds.
pub fn compare(f: CompareFn, a: u32, b: u32) -> u32 {
    math::compare(f, f32::from_bits(a), f32::from_bits(b))
}

/// Integer arithmetic; `None` where the result does not fit.
pub fn int(f: IntFn, a: u32, b: u32) -> Option<u32> {
    crate::spec::int(f, a, b)
}

/// `a * b + c`, rounded once.
pub fn fma(a: u32, b: u32, c: u32) -> u32 {
    math::canon(Soft::fma(f32::from_bits(a), f32::from_bits(b), f32::from_bits(c))).to_bits()
}

/// An integer as the nearest number.
pub fn to_float(x: u32) -> u32 {
    (x as f32).to_bits()
}

/// Four random words: Philox4x32-10.
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    crate::spec::philox::philox(counter, key)
}

/// A random word as a number strictly between 0 and 1.
pub fn unit(word: u32) -> u32 {
    crate::spec::philox::unit(word).to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_out_is_canonical() {
        let nan = 0xffc0_1234;
        assert_eq!(unary(UnaryFn::Neg, nan), 0x7fc0_0000);
        assert_eq!(binary(BinaryFn::Max, 0, nan), 0x7fc0_0000);
        assert_eq!(fma(nan, 0, 0), 0x7fc0_0000);
        assert_eq!(fma(2f32.to_bits(), 3f32.to_bits(), 1f32.to_bits()), 7f32.to_bits());
        assert_eq!(int(IntFn::Add, u32::MAX, 1), None);
    }
}
