//! Elementwise kernels: element i of the output from elements i of the inputs.
//!
//! Serial, over contiguous memory; the caller cuts long arrays into ranges for its threads. The output may be any of
//! the inputs (the same address), but must not overlap one otherwise.

use std::mem::MaybeUninit;

use super::lanes::{Aligned, kernel};
use super::narrow::{self, MODERATE, NORMAL, NUMBER, SMALL};
use crate::program::op::{BinaryFn, CompareFn, UnaryFn};
use crate::spec::math::{self, canon};

/// One input of a kernel: as many elements as the output has, or one for all.
#[derive(Clone, Copy)]
pub(crate) enum Operand {
    /// Elements from here on.
    Slice(*const f32),
    /// The same for every element.
    Scalar(f32),
}

kernel! {
    /// `out[i] = f(x[i])`. Safety: x is readable and out writable for n elements; equal or disjoint.
    pub(crate) unsafe fn unary<F>(f: UnaryFn, n: usize, x: *const f32, out: *mut f32) {
        // SAFETY: the caller's contract is that of `each1`.
        unsafe {
            match f {
                UnaryFn::Neg => each1(n, x, out, |x| -x),
                UnaryFn::Abs => each1(n, x, out, f32::abs),
                UnaryFn::Sqrt => each1(n, x, out, f32::sqrt),
                UnaryFn::Rsqrt => each1_by(n, x, out, NORMAL, narrow::rsqrt::<F>, math::rsqrt::<F>),
                UnaryFn::Recip => each1(n, x, out, |x| 1.0 / x),
                UnaryFn::Exp => each1_by(n, x, out, MODERATE, narrow::exp::<F>, math::exp::<F>),
                UnaryFn::Log => each1_by(n, x, out, NORMAL, narrow::log::<F>, math::log::<F>),
                UnaryFn::Tanh => each1_by(n, x, out, NUMBER, narrow::tanh::<F>, math::tanh::<F>),
                UnaryFn::Sin => each1_by(n, x, out, SMALL, narrow::sin::<F>, math::sin::<F>),
                UnaryFn::Cos => each1_by(n, x, out, SMALL, narrow::cos::<F>, math::cos::<F>),
                UnaryFn::Sigmoid => each1_by(n, x, out, MODERATE, narrow::sigmoid::<F>, math::sigmoid::<F>),
                UnaryFn::Silu => each1_by(n, x, out, MODERATE, narrow::silu::<F>, math::silu::<F>),
                UnaryFn::Gelu => each1(n, x, out, math::gelu::<F>),
                UnaryFn::Relu => each1(n, x, out, math::relu),
            }
        }
    }
}

kernel! {
    /// `out[i] = f(a[i], b[i])`. Safety: slices are readable and out writable for n elements; equal or disjoint.
    pub(crate) unsafe fn binary<F>(f: BinaryFn, n: usize, a: Operand, b: Operand, out: *mut f32) {
        // SAFETY: the caller's contract is that of `each`.
        unsafe {
            match f {
                BinaryFn::Add => each2(n, a, b, out, |a, b| a + b),
                BinaryFn::Sub => each2(n, a, b, out, |a, b| a - b),
                BinaryFn::Mul => each2(n, a, b, out, |a, b| a * b),
                BinaryFn::Div => each2(n, a, b, out, |a, b| a / b),
                BinaryFn::Max => each2(n, a, b, out, math::max),
                BinaryFn::Min => each2(n, a, b, out, math::min),
                BinaryFn::SiluGrad => each_by(
                    n,
                    [a, b],
                    [out.cast()],
                    MODERATE,
                    |[x, dy]| {
                        let (y, key) = narrow::silu_grad::<F>(x, dy);
                        ([canon(y).to_bits()], key)
                    },
                    |[x, dy]| [canon(math::silu_grad::<F>(x, dy)).to_bits()],
                ),
                BinaryFn::GeluGrad => each2(n, a, b, out, math::gelu_grad::<F>),
                BinaryFn::ReluGrad => each2(n, a, b, out, math::relu_grad),
            }
        }
    }
}

kernel! {
    /// `out[i] = 1` where `f(a[i], b[i])` holds, else 0. Safety: as for [`binary`].
    pub(crate) unsafe fn compare<F>(f: CompareFn, n: usize, a: Operand, b: Operand, out: *mut u32) {
        // SAFETY: the caller's contract is that of `each`.
        unsafe {
            match f {
                CompareFn::Lt => each(n, [a, b], [out], |[a, b]| [u32::from(a < b)]),
                CompareFn::Le => each(n, [a, b], [out], |[a, b]| [u32::from(a <= b)]),
                CompareFn::Eq => each(n, [a, b], [out], |[a, b]| [u32::from(a == b)]),
            }
        }
    }
}

kernel! {
    /// `out[i] = a[i] * b[i] + c[i]`, rounded once. Safety: as for [`binary`].
    pub(crate) unsafe fn fma<F>(n: usize, a: Operand, b: Operand, c: Operand, out: *mut f32) {
        // SAFETY: the caller's contract is that of `each`.
        unsafe { each(n, [a, b, c], [out.cast()], |[a, b, c]| [canon(F::fma(a, b, c)).to_bits()]) }
    }
}

kernel! {
    /// `out[i] = b[i]` where `mask[i]` is zero, else `a[i]`. Safety: as for [`binary`].
    pub(crate) unsafe fn select<F>(n: usize, mask: *const u32, a: Operand, b: Operand, out: *mut f32) {
        let mask = Operand::Slice(mask.cast());
        // SAFETY: the caller's contract is that of `each`.
        unsafe { each(n, [mask, a, b], [out.cast()], |[mask, a, b]| [if mask.to_bits() == 0 { b } else { a }.to_bits()]) }
    }
}

/// Elements that are worked on at a time.
const CHUNK: usize = 1024;

/// `outs[..][i] = f(inputs[..][i])`, the results as bits. The loop under every elementwise kernel.
#[inline(always)]
pub(super) unsafe fn each<const N: usize, const M: usize>(
    n: usize,
    inputs: [Operand; N],
    outs: [*mut u32; M],
    f: impl Fn([f32; N]) -> [u32; M],
) {
    // SAFETY: the caller's contract.
    unsafe { each_by(n, inputs, outs, 1, |x| (f(x), 0), &f) }
}

/// As [`each`], with a short form that gives a key as well, and is right where that is below the limit. Where it is not, the
/// chunk is done again by the long form, which must agree with it elsewhere.
///
/// An input that is an output too is copied, a chunk at a time: the loop then never reads what it writes, which is
/// what it takes to become vector code; and a scalar is repeated, so that there is one loop for all forms.
#[inline(always)]
pub(super) unsafe fn each_by<const N: usize, const M: usize>(
    n: usize,
    inputs: [Operand; N],
    outs: [*mut u32; M],
    limit: u32,
    short: impl Fn([f32; N]) -> ([u32; M], u32),
    long: impl Fn([f32; N]) -> [u32; M],
) {
    let mut copies = Aligned([[const { MaybeUninit::<f32>::uninit() }; CHUNK]; N]);
    let copies = &mut copies.0;
    for (copy, input) in copies.iter_mut().zip(inputs) {
        if let Operand::Scalar(x) = input {
            copy[..n.min(CHUNK)].fill(MaybeUninit::new(x));
        }
    }
    for start in (0..n).step_by(CHUNK) {
        let len = CHUNK.min(n - start);
        // SAFETY: start + len <= n elements are readable and writable, says the caller; the first `len` of a copy
        // are set where it is read.
        unsafe {
            let outs = outs.map(|out| out.add(start));
            let from: [*const f32; N] = std::array::from_fn(|i| match inputs[i] {
                Operand::Slice(x) if outs.iter().any(|out| x.add(start) == out.cast()) => {
                    let copy = copies[i].as_mut_ptr().cast();
                    x.add(start).copy_to_nonoverlapping(copy, len);
                    copy.cast_const()
                }
                Operand::Slice(x) => x.add(start),
                Operand::Scalar(_) => copies[i].as_ptr().cast(),
            });
            let read = |j: usize| std::array::from_fn(|i| *from[i].add(j));
            let write = |j: usize, results: [u32; M]| {
                for (out, result) in outs.iter().zip(results) {
                    *out.add(j) = result;
                }
            };
            let mut greatest = 0;
            for j in 0..len {
                let (results, key) = short(read(j));
                write(j, results);
                greatest = key.max(greatest);
            }
            if greatest >= limit {
                for j in 0..len {
                    write(j, long(read(j)));
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn each1(n: usize, x: *const f32, out: *mut f32, f: impl Fn(f32) -> f32) {
    // SAFETY: the caller's contract.
    unsafe { each(n, [Operand::Slice(x)], [out.cast()], |[x]| [canon(f(x)).to_bits()]) }
}

#[inline(always)]
unsafe fn each1_by(
    n: usize,
    x: *const f32,
    out: *mut f32,
    limit: u32,
    short: impl Fn(f32) -> (f32, u32),
    long: impl Fn(f32) -> f32,
) {
    let short = |[x]: [f32; 1]| {
        let (y, key) = short(x);
        ([y.to_bits()], key)
    };
    // SAFETY: the caller's contract.
    unsafe { each_by(n, [Operand::Slice(x)], [out.cast()], limit, short, |[x]| [canon(long(x)).to_bits()]) }
}

#[inline(always)]
unsafe fn each2(n: usize, a: Operand, b: Operand, out: *mut f32, f: impl Fn(f32, f32) -> f32) {
    // SAFETY: the caller's contract.
    unsafe { each(n, [a, b], [out.cast()], |[a, b]| [canon(f(a, b)).to_bits()]) }
}

#[cfg(test)]
pub(crate) mod tests;
