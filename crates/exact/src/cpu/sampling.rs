//! Drawing tokens: a row of logits at a time, without sorting more of it than has to be.

use super::Shared;
use super::elementwise::random_words;
use super::gemm::Cx;
use super::map::{self, Operand};
use super::reduce::{self, Folds};
use crate::device::View;
use crate::program::op::{BinaryFn, UnaryFn};
use crate::spec::philox::unit;

/// Floats of scratch for a row of `n` logits: the scores, the noise or masses, and a key of two words each.
pub(super) fn scratch_floats(n: usize) -> usize {
    4 * n.next_multiple_of(16)
}

/// What a worker uses for one row.
struct Row<'a> {
    level: super::Level,
    x: &'a mut [f32],
    other: &'a mut [f32],
    keys: &'a mut [u64],
}

impl<'a> Row<'a> {
    /// # Safety
    /// `scratch` must be this worker's alone, aligned to 64 bytes and as large as [`scratch_floats`] says.
    unsafe fn new(cx: &Cx, worker: usize, n: usize) -> Row<'a> {
        let (scratch, stride) = (cx.scratch(worker), n.next_multiple_of(16));
        // SAFETY: three parts of the scratch that do not touch; any bits are a number.
        unsafe {
            Row {
                level: cx.level,
                x: std::slice::from_raw_parts_mut(scratch, n),
                other: std::slice::from_raw_parts_mut(scratch.add(stride), n),
                keys: std::slice::from_raw_parts_mut(scratch.add(2 * stride).cast(), n),
            }
        }
    }

    /// How many top-k and top-p keep; the keys from there on are of those they reject.
    fn kept(&mut self, k: u32, p: f32) -> usize {
        let n = self.x.len();
        let k = if k == 0 { n } else { n.min(k as usize) };
        if k == n && p >= 1.0 {
            return n;
        }
        for (i, (key, x)) in self.keys.iter_mut().zip(self.x.iter()).enumerate() {
            *key = key_of(*x, i);
        }
        if k < n {
            self.keys.select_nth_unstable(k);
        }
        if p >= 1.0 { k } else { self.nucleus(k, p) }
    }

    /// The indices that are not among the best `kept`.
    fn rejected(&self, kept: usize) -> impl Iterator<Item = usize> {
        self.keys[kept..].iter().map(|key| index_of(*key))
    }

    /// How many of the best `k`, which lead the keys, top-p keeps too; they lead the keys then.
    fn nucleus(&mut self, k: usize, p: f32) -> usize {
        let n = self.x.len();
        let whole = Folds { n, inner: 1, outer: 0..1, columns: 0..1 };
        let (x, mass) = (self.x.as_ptr(), self.other.as_mut_ptr());
        let (mut greatest, mut total) = (0.0, 0.0);
        // SAFETY: the slices have n elements; the machine has the level.
        unsafe {
            reduce::max(self.level, &whole, x, &raw mut greatest);
            map::binary(self.level, BinaryFn::Sub, n, Operand::Slice(x), Operand::Scalar(greatest), mass);
            map::unary(self.level, UnaryFn::Exp, n, mass, mass);
        }
        self.keys[k..].iter().for_each(|key| self.other[index_of(*key)] = 0.0);
        // SAFETY: as above.
        unsafe { reduce::sum(self.level, &whole, self.other.as_ptr(), &raw mut total) };
        let enough = p * total;

        // Down the order, sorting ever larger parts of it: mostly the first is enough.
        let (mut before, mut sorted, mut kept) = (0.0, 0, 0);
        while sorted < k {
            let next = if sorted == 0 { 64 } else { 4 * sorted }.min(k - sorted);
            let rest = &mut self.keys[sorted..k];
            if next < rest.len() {
                rest.select_nth_unstable(next);
            }
            rest[..next].sort_unstable();
            sorted += next;
            while kept < sorted {
                let room = before < enough;
                if kept > 0 && !room {
                    return kept;
                }
                before += self.other[index_of(self.keys[kept])];
                kept += 1;
            }
        }
        kept
    }
}

/// Orders indices from the best: NaN, then greater values (both zeros alike), then lower indices.
fn key_of(x: f32, index: usize) -> u64 {
    let bits = if x == 0.0 { 0 } else { x.to_bits() };
    let rising = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    let rising = if x.is_nan() { u32::MAX } else { rising };
    u64::from(!rising) << 32 | index as u64
}

fn index_of(key: u64) -> usize {
    key as u32 as usize
}

/// `Keep`: which elements of each row stay.
///
/// # Safety
/// As for [`super::run`].
pub(super) unsafe fn keep(cx: &Cx, x: &[View], y: View) {
    let n = x[0].ty.shape.last();
    // SAFETY: operands are not written; every task has a row of its own.
    let (k, p) = unsafe { (x[1].words(), x[2].words()) };
    let (values, out) = (Shared(x[0].f32()), Shared(y.ptr));
    cx.pool.run(k.len(), &|r, worker| {
        // SAFETY: as above.
        let (mut row, mask) = unsafe {
            let row = Row::new(cx, worker, n);
            row.x.copy_from_slice(std::slice::from_raw_parts(values.at(r * n), n));
            (row, std::slice::from_raw_parts_mut(out.at(r * n), n))
        };
        mask.fill(1);
        let kept = row.kept(k[r], f32::from_bits(p[r]));
        row.rejected(kept).for_each(|i| mask[i] = 0);
    });
}

/// `Sample`: one token for each row.
///
/// # Safety
/// As for [`super::run`].
pub(super) unsafe fn sample(cx: &Cx, x: &[View], y: View) {
    let (n, level) = (x[0].ty.shape.last(), cx.level);
    // SAFETY: operands are not written; every task has a row of its own.
    let [seeds, temperature, k, p] = [1, 2, 3, 4].map(|i| unsafe { x[i].words() });
    let (logits, out) = (Shared(x[0].f32()), Shared(y.ptr));
    cx.pool.run(k.len(), &|r, worker| {
        let temperature = f32::from_bits(temperature[r]);
        let warm = temperature > 0.0;
        // SAFETY: as above; the kernels work in place on n elements of this worker's scratch.
        unsafe {
            let mut row = Row::new(cx, worker, n);
            let scores = row.x.as_mut_ptr();
            let divisor = Operand::Scalar(if warm { temperature } else { 1.0 });
            map::binary(level, BinaryFn::Div, n, Operand::Slice(logits.at(r * n)), divisor, scores);
            // The ranks are those of the scores before the noise, and the keys keep them.
            let kept = row.kept(k[r], f32::from_bits(p[r]));
            if warm {
                let noise = row.other.as_mut_ptr();
                random_words(
                    &seeds[r * 4..r * 4 + 4],
                    std::slice::from_raw_parts_mut(noise.cast::<u32>(), n),
                );
                row.other.iter_mut().for_each(|u| *u = unit(u.to_bits()));
                for f in [UnaryFn::Log, UnaryFn::Neg, UnaryFn::Log] {
                    map::unary(level, f, n, noise, noise);
                }
                map::binary(level, BinaryFn::Sub, n, Operand::Slice(scores), Operand::Slice(noise), scores);
            }
            for i in row.rejected(kept) {
                *scores.add(i) = f32::NEG_INFINITY;
            }
            reduce::argmax(level, 1, n, scores, out.at(r));
        }
    });
}
