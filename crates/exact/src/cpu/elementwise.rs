//! Element-by-element operations: broadcasting and threads around the kernels of [`map`].

use super::gemm::Cx;
use super::map::{self, Operand};
use super::{Pool, Shared};
use crate::Error;
use crate::device::View;
use crate::program::op::Op;
use crate::shape::{MAX_RANK, Shape};
use crate::spec::philox::{philox, unit};
use crate::spec::{At, int};

/// About how many elements one task works on.
const PIECE: usize = 16 << 10;

/// Runs one operation of this family.
///
/// # Safety
/// As for [`super::run`].
pub(super) unsafe fn run(cx: &Cx, at: At<'_>, x: &[View], y: View) -> Result<(), Error> {
    let (level, pool) = (cx.level, cx.pool);
    let (words, out, n) = (Shared(y.ptr), Shared(y.f32()), y.elements());
    let source = |i: usize| Shared(x[i].ptr);
    // SAFETY: pieces lie within the views, and no two tasks share one.
    unsafe {
        match at.op {
            Op::Full { bits, .. } => {
                let bits = *bits;
                pieces(pool, n, &|from, len| words_of(words, from, len).fill(bits));
            }
            Op::Iota { axis, .. } => {
                let (_, length, inner) = y.ty.shape.around(usize::from(*axis));
                pieces(pool, n, &|from, len| {
                    for (i, word) in words_of(words, from, len).iter_mut().enumerate() {
                        *word = ((from + i) / inner % length) as u32;
                    }
                });
            }
            Op::Philox { words: per_row } => {
                let (per_row, seeds) = (*per_row as usize, x[0].words());
                let rows = seeds.len() / 4;
                pool.run(rows, &|row, _| {
                    let seed = &seeds[row * 4..row * 4 + 4];
                    random_words(seed, words_of(words, row * per_row, per_row));
                });
            }
            Op::Unit => {
                let bits = source(0);
                pieces(pool, n, &|from, len| {
                    for i in from..from + len {
                        *out.at(i) = unit(*bits.at(i));
                    }
                });
            }
            Op::ToFloat => {
                let ints = source(0);
                pieces(pool, n, &|from, len| {
                    for i in from..from + len {
                        *out.at(i) = *ints.at(i) as f32;
                    }
                });
            }
            Op::Unary(f) => {
                let (f, a) = (*f, Shared(x[0].f32()));
                pieces(pool, n, &|from, len| map::unary(level, f, len, a.at(from), out.at(from)));
            }
            Op::Binary(f) => {
                let f = *f;
                rows(pool, &y.ty.shape, x, &|from, len, [a, b]: [Operand; 2]| {
                    map::binary(level, f, len, a, b, out.at(from));
                });
            }
            Op::Compare(f) => {
                let f = *f;
                rows(pool, &y.ty.shape, x, &|from, len, [a, b]: [Operand; 2]| {
                    map::compare(level, f, len, a, b, words.at(from));
                });
            }
            Op::Fma => rows(pool, &y.ty.shape, x, &|from, len, [a, b, c]: [Operand; 3]| {
                map::fma(level, len, a, b, c, out.at(from));
            }),
            Op::Select => rows(pool, &y.ty.shape, x, &|from, len, [mask, a, b]: [Operand; 3]| {
                select(level, len, mask, a, b, out.at(from));
            }),
            Op::Int(f) => {
                let overflow = std::sync::atomic::AtomicUsize::new(usize::MAX);
                rows(pool, &y.ty.shape, x, &|from, len, [a, b]: [Operand; 2]| {
                    for i in 0..len {
                        let result = int(*f, element(a, i), element(b, i));
                        if result.is_none() {
                            overflow.fetch_min(from + i, std::sync::atomic::Ordering::Relaxed);
                        }
                        *words.at(from + i) = result.unwrap_or(0);
                    }
                });
                match overflow.into_inner() {
                    usize::MAX => {}
                    position => {
                        let (op, at) = (at.op.name(), at.index);
                        return Err(Error::IntegerOverflow { op, at, position });
                    }
                }
            }
            _ => debug_assert!(false, "{} is not element by element", at.op.name()),
        }
    }
    Ok(())
}

/// The words of one row: word `i` is word `i mod 4` of the counter (i / 4, position, stream, 0).
pub(super) fn random_words(seed: &[u32], row: &mut [u32]) {
    for (block, words) in row.chunks_mut(4).enumerate() {
        let four = philox([block as u32, seed[3], seed[2], 0], [seed[0], seed[1]]);
        words.copy_from_slice(&four[..words.len()]);
    }
}

/// `from..from + len` of a result, as a slice.
unsafe fn words_of<'a>(words: Shared<u32>, from: usize, len: usize) -> &'a mut [u32] {
    // SAFETY: the caller keeps to a piece that is its own.
    unsafe { std::slice::from_raw_parts_mut(words.at(from), len) }
}

/// An element of an integer operand.
unsafe fn element(operand: Operand, i: usize) -> u32 {
    match operand {
        // SAFETY: the caller keeps to the row.
        Operand::Slice(ptr) => unsafe { *ptr.cast::<u32>().add(i) },
        Operand::Scalar(x) => x.to_bits(),
    }
}

/// Runs `task(from, len)` over pieces of `0..n`.
fn pieces(pool: &Pool, n: usize, task: &(dyn Fn(usize, usize) + Sync)) {
    pool.run(n.div_ceil(PIECE), &|piece, _| {
        let from = piece * PIECE;
        task(from, PIECE.min(n - from));
    });
}

/// Runs `task(from, len, operands)` over pieces of the rows of `full` in which every operand is either contiguous or one
/// number; `from` counts the result's elements.
unsafe fn rows<const N: usize>(
    pool: &Pool,
    full: &Shape,
    x: &[View],
    task: &(dyn Fn(usize, usize, [Operand; N]) + Sync),
) {
    let strides: [[usize; MAX_RANK]; N] = std::array::from_fn(|i| x[i].ty.shape.strides_over(full));
    // As many trailing axes as each operand goes through in one way make the row.
    let (mut inner, mut outer_axes) = (1, full.rank());
    let mut contiguous: [Option<bool>; N] = [None; N];
    while outer_axes > 0 {
        let axis = outer_axes - 1;
        if full.dim(axis) != 1 {
            let way = |i: usize| match strides[i][axis] {
                0 => Some(false),
                s if s == inner => Some(true),
                _ => None,
            };
            let same = |i: usize| way(i).is_some() && contiguous[i].is_none_or(|c| way(i) == Some(c));
            if !(0..N).all(same) {
                break;
            }
            contiguous = std::array::from_fn(way);
            inner *= full.dim(axis);
        }
        outer_axes -= 1;
    }
    let outer: usize = full.iter().take(outer_axes).product();
    if inner == 0 || outer == 0 {
        return;
    }
    let sources: [Shared<f32>; N] = std::array::from_fn(|i| Shared(x[i].f32()));
    let row_pieces = inner.div_ceil(PIECE);
    let rows_each = (PIECE / inner).max(1);
    let tasks = outer.div_ceil(rows_each) * row_pieces;
    pool.run(tasks, &|t, _| {
        let (group, piece) = (t / row_pieces, t % row_pieces);
        let first = piece * PIECE;
        let len = PIECE.min(inner - first);
        for row in group * rows_each..outer.min((group + 1) * rows_each) {
            let mut offsets = [0; N];
            let mut rest = row;
            for axis in (0..outer_axes).rev() {
                let index = rest % full.dim(axis);
                rest /= full.dim(axis);
                for (offset, strides) in offsets.iter_mut().zip(&strides) {
                    *offset += index * strides[axis];
                }
            }
            // SAFETY: offsets and lengths are within the operands' shapes.
            let operands = std::array::from_fn(|i| unsafe {
                match contiguous[i] {
                    Some(true) => Operand::Slice(sources[i].at(offsets[i] + first)),
                    _ => Operand::Scalar(*sources[i].at(offsets[i])),
                }
            });
            task(row * inner + first, len, operands);
        }
    });
}

/// `map::select` for a mask that may be one number.
unsafe fn select(level: super::Level, len: usize, mask: Operand, a: Operand, b: Operand, out: *mut f32) {
    const SOME: usize = 256;
    // SAFETY: as the caller vouches for rows of `len`.
    unsafe {
        match mask {
            Operand::Slice(mask) => map::select(level, len, mask.cast(), a, b, out),
            Operand::Scalar(mask) => {
                let mask = [mask.to_bits(); SOME];
                let part = |x: Operand, from: usize| match x {
                    Operand::Slice(ptr) => Operand::Slice(ptr.add(from)),
                    one @ Operand::Scalar(_) => one,
                };
                for from in (0..len).step_by(SOME) {
                    let n = SOME.min(len - from);
                    map::select(level, n, mask.as_ptr(), part(a, from), part(b, from), out.add(from));
                }
            }
        }
    }
}
