//! Fused kernels: several operations on a row in one pass, with the bits of the operations one by one.
//!
//! Each kernel gives what its operation's expansion in `expand.rs` gives; the lines of the expansion stand in its
//! comment. Serial over a range of rows (or columns, or elements); pointers are to the whole tensors. No temporary is
//! larger than a block of a row. An output may be an input of the same shape, but must not overlap one otherwise.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::lanes::{Aligned, fetch, kernel};
use super::map::Operand::Slice;
use super::map::{each, each_by};
use super::narrow::{self, MODERATE};
use super::reduce::{COLUMNS, LANES, fold_columns, fold_row, max_of_row, tree};
use crate::spec::math::{Fma, canon, exp, log, rsqrt, silu, silu_grad};

/// A stored result, as the bits that [`each`] takes.
#[inline(always)]
fn stored(x: f32) -> u32 {
    canon(x).to_bits()
}

kernel! {
    /// `inv = rsqrt(Dot(x, x) / n + eps)`, `y = (x inv) w`.
    ///
    /// Safety: `x[rows, n]` and `w[n]` are readable, `y[rows, n]` and `inv[rows]` writable.
    pub(crate) unsafe fn rms_norm<F>(
        rows: Range<usize>, n: usize, eps: f32, x: *const f32, w: *const f32, y: *mut f32, inv: *mut f32,
    ) {
        // SAFETY: the caller's contract.
        unsafe {
            for r in rows {
                let row = x.add(r * n);
                let squares = fold_row(n, |acc, k| F::fma(*row.add(k), *row.add(k), acc));
                let scale = rsqrt::<F>(squares / n as f32 + eps);
                *inv.add(r) = canon(scale);
                each(n, [Slice(row), Slice(w)], [y.add(r * n).cast()], |[x, w]| [stored(x * scale * w)]);
            }
        }
    }
}

kernel! {
    /// `gw = dy w`, `c = Dot(gw, x)`, `k = c inv inv inv / n`, `dx = gw inv - x k`.
    ///
    /// Safety: `x` and `dy[rows, n]`, `w[n]` and `inv[rows]` are readable, `dx[rows, n]` writable.
    pub(crate) unsafe fn rms_norm_grad<F>(
        rows: Range<usize>, n: usize, x: *const f32, w: *const f32, inv: *const f32, dy: *const f32, dx: *mut f32,
    ) {
        // SAFETY: the caller's contract.
        unsafe {
            for r in rows {
                let (x, dy, inv) = (x.add(r * n), dy.add(r * n), *inv.add(r));
                let c = fold_row(n, |acc, j| F::fma(*dy.add(j) * *w.add(j), *x.add(j), acc));
                let k = c * inv * inv * inv / n as f32;
                each(n, [Slice(x), Slice(w), Slice(dy)], [dx.add(r * n).cast()], |[x, w, dy]| {
                    [stored(dy * w * inv - x * k)]
                });
            }
        }
    }
}

kernel! {
    /// `dw[j] = Sum over the rows of dy (x inv)`, for the columns j asked for.
    ///
    /// Safety: `x` and `dy[rows, n]` and `inv[rows]` are readable, `dw[n]` is writable and none of them.
    pub(crate) unsafe fn rms_norm_weight_grad<F>(
        columns: Range<usize>, rows: usize, n: usize, x: *const f32, inv: *const f32, dy: *const f32, dw: *mut f32,
    ) {
        for start in columns.clone().step_by(COLUMNS) {
            let width = COLUMNS.min(columns.end - start);
            // SAFETY: the caller's contract; `fold_columns` passes k < rows and i < width.
            unsafe {
                let soon = |k: usize| [x, dy].iter().for_each(|x| fetch(x.wrapping_add(k * n + start), width));
                fold_columns(rows, width, dw.add(start), soon, |acc, k, i| {
                    let at = k * n + start + i;
                    acc + *dy.add(at) * (*x.add(at) * *inv.add(k))
                });
            }
        }
    }
}

/// The sum over a row of `e = exp(x - m)`, a chunk at a time; `keep(start, e)` gets each chunk.
///
/// # Safety
/// x must be readable for n elements.
#[inline(always)]
pub(crate) unsafe fn exp_sum<F: Fma>(n: usize, x: *const f32, m: f32, keep: impl Fn(usize, &[f32])) -> f32 {
    const CHUNK: usize = 4 * LANES;
    let mut lanes = [0.0; LANES];
    let mut buffers = Aligned([[const { MaybeUninit::<f32>::uninit() }; CHUNK]; 2]);
    let [own, e] = buffers.0.each_mut().map(|buffer| buffer.as_mut_ptr().cast::<f32>());
    for start in (0..n).step_by(CHUNK) {
        let len = CHUNK.min(n - start);
        // To the end of the last block, so that exp is not called one by one for what remains of it.
        let whole = len.next_multiple_of(LANES);
        // SAFETY: start + len <= n; both buffers are written up to `whole` before they are read.
        let e = unsafe {
            x.add(start).copy_to_nonoverlapping(own, len);
            for j in len..whole {
                *own.add(j) = m;
            }
            let mut greatest = 0;
            for j in 0..whole {
                let (y, key) = narrow::exp::<F>(*own.add(j) - m);
                *e.add(j) = y;
                greatest = key.max(greatest);
            }
            if greatest >= MODERATE {
                for j in 0..whole {
                    *e.add(j) = exp::<F>(*own.add(j) - m);
                }
            }
            std::slice::from_raw_parts(e, len)
        };
        let mut blocks = e.chunks_exact(LANES);
        for block in &mut blocks {
            for (lane, e) in lanes.iter_mut().zip(block) {
                *lane += e;
            }
        }
        for (lane, e) in lanes.iter_mut().zip(blocks.remainder()) {
            *lane += e;
        }
        keep(start, e);
    }
    tree(lanes)
}

kernel! {
    /// `m = Max(x)`, `e = exp(x - m)`, `z = Sum(e)`, `y = e (1 / z)`.
    ///
    /// Safety: `x[rows, n]`, n >= 1, is readable and canonical, `y[rows, n]` writable.
    pub(crate) unsafe fn softmax<F>(rows: Range<usize>, n: usize, x: *const f32, y: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe {
            for r in rows {
                let (x, y) = (x.add(r * n), y.add(r * n));
                let m = max_of_row(n, x);
                let z = exp_sum::<F>(n, x, m, |start, e| {
                    y.add(start).copy_from_nonoverlapping(e.as_ptr(), e.len());
                });
                let scale = 1.0 / z;
                for y in std::slice::from_raw_parts_mut(y, n) {
                    *y = canon(*y * scale);
                }
            }
        }
    }
}

kernel! {
    /// `m = Max(x)`, `z = Sum(exp(x - m))`, `logp = (x[id] - m) - log(z)`.
    ///
    /// Safety: `logits[rows, n]` are readable and canonical, `ids[rows]` readable and below n; `logp[rows]`,
    /// `max[rows]` and `sum[rows]` are writable and none of these.
    pub(crate) unsafe fn token_logprob<F>(
        rows: Range<usize>, n: usize, logits: *const f32, ids: *const u32, logp: *mut f32, max: *mut f32, sum: *mut f32,
    ) {
        // SAFETY: the caller's contract.
        unsafe {
            for r in rows {
                let x = logits.add(r * n);
                let m = max_of_row(n, x);
                let z = exp_sum::<F>(n, x, m, |_, _| ());
                *logp.add(r) = canon(*x.add(*ids.add(r) as usize) - m - log::<F>(z));
                *max.add(r) = m;
                *sum.add(r) = canon(z);
            }
        }
    }
}

/// What the gradient of the token log-probabilities reads besides the logits: one of each per row.
#[derive(Clone, Copy)]
pub(crate) struct Tokens {
    /// The tokens; below n.
    pub(crate) ids: *const u32,
    /// The greatest logit.
    pub(crate) max: *const f32,
    /// The sum of exponentials.
    pub(crate) sum: *const f32,
    /// The gradient of the token's log-probability.
    pub(crate) g: *const f32,
}

kernel! {
    /// `p = exp(x - m) (1 / z)`, `t = p (-g)`, `dx = t + g` for the token, else t: g times (one-hot - p).
    ///
    /// Safety: `logits[rows, n]` and the tokens' arrays are readable, `dx[rows, n]` is writable.
    pub(crate) unsafe fn token_logprob_grad<F>(
        rows: Range<usize>, n: usize, logits: *const f32, tokens: Tokens, dx: *mut f32,
    ) {
        // SAFETY: the caller's contract.
        unsafe {
            for r in rows {
                let (x, dx) = (logits.add(r * n), dx.add(r * n));
                let (m, g, scale) = (*tokens.max.add(r), *tokens.g.add(r), 1.0 / *tokens.sum.add(r));
                let id = *tokens.ids.add(r) as usize;
                let grad = |x: f32| exp::<F>(x - m) * scale * -g;
                let of_token = grad(*x.add(id)) + g;
                let short = |[x]: [f32; 1]| {
                    let (e, key) = narrow::exp::<F>(x - m);
                    ([stored(e * scale * -g)], key)
                };
                each_by(n, [Slice(x)], [dx.cast()], MODERATE, short, |[x]| [stored(grad(x))]);
                *dx.add(id) = canon(of_token);
            }
        }
    }
}

kernel! {
    /// `y = silu(gate) up`, n elements. Safety: gate and up are readable, y is writable.
    pub(crate) unsafe fn swiglu<F>(n: usize, gate: *const f32, up: *const f32, y: *mut f32) {
        // SAFETY: the caller's contract.
        unsafe {
            each_by(
                n,
                [Slice(gate), Slice(up)],
                [y.cast()],
                MODERATE,
                |[gate, up]| {
                    let (s, key) = narrow::silu::<F>(gate);
                    ([stored(s * up)], key)
                },
                |[gate, up]| [stored(silu::<F>(gate) * up)],
            );
        }
    }
}

kernel! {
    /// `dgate = silu_grad(gate, dy up)`, `dup = dy silu(gate)`, n elements.
    ///
    /// Safety: gate, up and dy are readable, dgate and dup writable.
    pub(crate) unsafe fn swiglu_grad<F>(
        n: usize, gate: *const f32, up: *const f32, dy: *const f32, dgate: *mut f32, dup: *mut f32,
    ) {
        let inputs = [Slice(gate), Slice(up), Slice(dy)];
        // SAFETY: the caller's contract.
        unsafe {
            each_by(
                n,
                inputs,
                [dgate.cast(), dup.cast()],
                MODERATE,
                |[gate, up, dy]| {
                    let ((dgate, key), (s, _)) =
                        (narrow::silu_grad::<F>(gate, dy * up), narrow::silu::<F>(gate));
                    ([stored(dgate), stored(dy * s)], key)
                },
                |[gate, up, dy]| [stored(silu_grad::<F>(gate, dy * up)), stored(dy * silu::<F>(gate))],
            );
        }
    }
}

/// The sizes of a rotation: rows of `heads` vectors of `2 half` numbers, turned by tables of `half` numbers.
#[derive(Clone, Copy)]
pub(crate) struct Rotation {
    /// Vectors in a row, all turned alike.
    pub(crate) heads: usize,
    /// Pairs in a vector: `(d, d + half)`.
    pub(crate) half: usize,
    /// Rows of the tables: row r is turned by table row r modulo this.
    pub(crate) table_rows: usize,
    /// Turn backwards: the sine is negated.
    pub(crate) inverse: bool,
}

kernel! {
    /// `y1 = fma(x1, cos, -(x2 sin))`, `y2 = fma(x2, cos, x1 sin)` for the halves of each vector.
    ///
    /// Safety: `x[rows, heads, 2 half]` and the tables `[table_rows, half]` are readable, y is writable as x is readable.
    pub(crate) unsafe fn rope<F>(
        rows: Range<usize>, rotation: &Rotation, x: *const f32, cos: *const f32, sin: *const f32, y: *mut f32,
    ) {
        let Rotation { heads, half, table_rows, inverse } = *rotation;
        for r in rows {
            let table = r % table_rows * half;
            for h in 0..heads {
                let vector = (r * heads + h) * 2 * half;
                // SAFETY: the caller's contract; the blocks cover 0..half.
                unsafe {
                    let (x, y, cos, sin) = (x.add(vector), y.add(vector), cos.add(table), sin.add(table));
                    let mut d = 0;
                    while d + 16 <= half {
                        turn::<F, 16>(inverse, half, x.add(d), cos.add(d), sin.add(d), y.add(d));
                        d += 16;
                    }
                    while d + 4 <= half {
                        turn::<F, 4>(inverse, half, x.add(d), cos.add(d), sin.add(d), y.add(d));
                        d += 4;
                    }
                    while d < half {
                        turn::<F, 1>(inverse, half, x.add(d), cos.add(d), sin.add(d), y.add(d));
                        d += 1;
                    }
                }
            }
        }
    }
}

/// W pairs of a vector, read before any is written: y may be x.
#[inline(always)]
unsafe fn turn<F: Fma, const W: usize>(
    inverse: bool,
    half: usize,
    x: *const f32,
    cos: *const f32,
    sin: *const f32,
    y: *mut f32,
) {
    // SAFETY: the caller vouches for W elements at each of these.
    let [x1, x2, cos, sin] =
        unsafe { [x, x.add(half), cos, sin].map(|p| p.cast::<[f32; W]>().read_unaligned()) };
    let (mut y1, mut y2) = ([0.0; W], [0.0; W]);
    for i in 0..W {
        let sin = if inverse { -sin[i] } else { sin[i] };
        y1[i] = canon(F::fma(x1[i], cos[i], -(x2[i] * sin)));
        y2[i] = canon(F::fma(x2[i], cos[i], x1[i] * sin));
    }
    // SAFETY: as above.
    unsafe {
        y.cast::<[f32; W]>().write_unaligned(y1);
        y.add(half).cast::<[f32; W]>().write_unaligned(y2);
    }
}

/// The numbers of one `AdamW` step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Adam {
    /// Decay of the first moment.
    pub(crate) b1: f32,
    /// Decay of the second moment.
    pub(crate) b2: f32,
    /// Added to the root.
    pub(crate) eps: f32,
    /// Weight decay.
    pub(crate) decay: f32,
    /// Learning rate.
    pub(crate) lr: f32,
    /// Multiplies the gradient.
    pub(crate) gscale: f32,
    /// Multiplies the first moment: its bias correction.
    pub(crate) c1: f32,
    /// Multiplies the second moment: its bias correction.
    pub(crate) c2: f32,
}

kernel! {
    /// One step of `AdamW` on n weights: parameter, gradient and moments `from`, to the parameter and moments `to`.
    /// ```text
    /// g' = g gscale                 m' = fma(b1, m, (1 - b1) g')     v' = fma(b2, v, (1 - b2) (g' g'))
    /// u = m' c1 / (sqrt(v' c2) + eps) + decay p                      p' = p - lr u
    /// ```
    /// Safety: `from` are readable, `to` writable, for n elements.
    pub(crate) unsafe fn adamw<F>(n: usize, adam: &Adam, from: [*const f32; 4], to: [*mut f32; 3]) {
        const BLOCK: usize = 64;
        let Adam { b1, b2, eps, decay, lr, gscale, c1, c2 } = *adam;
        let (rest1, rest2) = (1.0 - b1, 1.0 - b2);
        // In copies, so that no store can be taken for an input of the next element.
        let mut copies = Aligned([[0.0; BLOCK]; 4]);
        let [p, g, m, v] = &mut copies.0;
        for start in (0..n).step_by(BLOCK) {
            let len = BLOCK.min(n - start);
            // SAFETY: start + len <= n.
            unsafe {
                for (copy, from) in [&mut *p, &mut *g, &mut *m, &mut *v].into_iter().zip(from) {
                    if len == BLOCK {
                        *copy = from.add(start).cast::<[f32; BLOCK]>().read_unaligned();
                    } else {
                        from.add(start).copy_to_nonoverlapping(copy.as_mut_ptr(), len);
                    }
                }
            }
            for i in 0..BLOCK {
                let g = g[i] * gscale;
                m[i] = canon(F::fma(b1, m[i], rest1 * g));
                v[i] = canon(F::fma(b2, v[i], rest2 * (g * g)));
                let u = m[i] * c1 / ((v[i] * c2).sqrt() + eps) + decay * p[i];
                p[i] = canon(p[i] - lr * u);
            }
            // SAFETY: as above.
            unsafe {
                for (copy, to) in [&*p, &*m, &*v].into_iter().zip(to) {
                    if len == BLOCK {
                        to.add(start).cast::<[f32; BLOCK]>().write_unaligned(*copy);
                    } else {
                        to.add(start).copy_from_nonoverlapping(copy.as_ptr(), len);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
