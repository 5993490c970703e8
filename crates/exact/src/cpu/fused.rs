//! The fused operations, on all threads: rows of them at a time to the kernels of [`rows`].

use super::attention::Attention;
use super::gemm::Cx;
use super::rows::{self, Adam, Rotation, Tokens};
use super::{Pool, Shared};
use crate::device::View;
use crate::program::op::Op;
use crate::shape::Type;

/// About how many elements one task works on.
const PIECE: usize = 8 << 10;

/// The sizes of an attention, from its operands' types.
pub(super) fn attention(scale: f32, causal: bool, q: &Type, k: &Type) -> Attention {
    let (q, k) = (q.shape, k.shape);
    Attention {
        batch: q.dim(0),
        queries: q.dim(1),
        keys: k.dim(1),
        heads: q.dim(2),
        kv_heads: k.dim(2),
        dim: q.dim(3),
        scale,
        causal,
    }
}

/// Runs one operation of this family.
///
/// # Safety
/// As for [`super::run`].
pub(super) unsafe fn run(cx: &Cx, op: &Op, x: &[View], y: &[View]) {
    let (level, pool) = (cx.level, cx.pool);
    let from = |i: usize| Shared(x[i].f32());
    let to = |i: usize| Shared(y[i].f32());
    let (count, n) = (x[0].ty.shape.rows(), x[0].ty.shape.last());
    // SAFETY: every task has rows or columns of its own, within the types that `infer` checked.
    unsafe {
        match op {
            Op::RmsNorm { eps } => {
                let (a, w, out, inv) = (from(0), from(1), to(0), to(1));
                pieces(pool, count, n, &|rows| {
                    rows::rms_norm(level, rows, n, *eps, a.at(0), w.at(0), out.at(0), inv.at(0));
                });
            }
            Op::RmsNormGrad => {
                let (a, w, inv, dy, dx) = (from(0), from(1), from(2), from(3), to(0));
                pieces(pool, count, n, &|rows| {
                    rows::rms_norm_grad(level, rows, n, a.at(0), w.at(0), inv.at(0), dy.at(0), dx.at(0));
                });
            }
            Op::RmsNormWeightGrad => {
                let (a, inv, dy, dw) = (from(0), from(1), from(2), to(0));
                let each = n.div_ceil(pool.threads()).next_multiple_of(64);
                pool.run(n.div_ceil(each.max(1)), &|task, _| {
                    let columns = task * each..n.min((task + 1) * each);
                    rows::rms_norm_weight_grad(
                        level,
                        columns,
                        count,
                        n,
                        a.at(0),
                        inv.at(0),
                        dy.at(0),
                        dw.at(0),
                    );
                });
            }
            Op::Softmax => {
                let (a, out) = (from(0), to(0));
                pieces(pool, count, n, &|rows| rows::softmax(level, rows, n, a.at(0), out.at(0)));
            }
            Op::TokenLogprob => {
                let (a, ids) = (from(0), Shared(x[1].ptr));
                let (logp, max, sum) = (to(0), to(1), to(2));
                pieces(pool, count, n, &|rows| {
                    rows::token_logprob(level, rows, n, a.at(0), ids.at(0), logp.at(0), max.at(0), sum.at(0));
                });
            }
            Op::TokenLogprobGrad => {
                let (a, ids, dx) = (from(0), Shared(x[1].ptr), to(0));
                let (max, sum, g) = (from(2), from(3), from(4));
                pieces(pool, count, n, &|rows| {
                    let tokens = Tokens { ids: ids.at(0), max: max.at(0), sum: sum.at(0), g: g.at(0) };
                    rows::token_logprob_grad(level, rows, n, a.at(0), tokens, dx.at(0));
                });
            }
            Op::Swiglu => {
                let (gate, up, out) = (from(0), from(1), to(0));
                pieces(pool, x[0].elements(), 1, &|part| {
                    let i = part.start;
                    rows::swiglu(level, part.len(), gate.at(i), up.at(i), out.at(i));
                });
            }
            Op::SwigluGrad => {
                let (gate, up, dy, dgate, dup) = (from(0), from(1), from(2), to(0), to(1));
                pieces(pool, x[0].elements(), 1, &|part| {
                    let i = part.start;
                    let [gate, up, dy] = [gate, up, dy].map(|p| p.at(i).cast_const());
                    rows::swiglu_grad(level, part.len(), gate, up, dy, dgate.at(i), dup.at(i));
                });
            }
            Op::Rope { inverse } => {
                let (a, cos, sin, out) = (from(0), from(1), from(2), to(0));
                let (heads, half) = (x[0].dim(2), x[0].dim(3) / 2);
                let rotation = Rotation { heads, half, table_rows: x[1].ty.shape.rows(), inverse: *inverse };
                pieces(pool, x[0].dim(0) * x[0].dim(1), heads * half * 2, &|rows| {
                    rows::rope(level, rows, &rotation, a.at(0), cos.at(0), sin.at(0), out.at(0));
                });
            }
            Op::AdamW { b1, b2, eps, decay } => {
                let scalar = |i: usize| *x[i].f32();
                let adam = Adam {
                    b1: *b1,
                    b2: *b2,
                    eps: *eps,
                    decay: *decay,
                    lr: scalar(4),
                    gscale: scalar(5),
                    c1: scalar(6),
                    c2: scalar(7),
                };
                let (old, new) = ([from(0), from(1), from(2), from(3)], [to(0), to(1), to(2)]);
                pieces(pool, x[0].elements(), 1, &|part| {
                    let i = part.start;
                    let old = old.map(|p| p.at(i).cast_const());
                    rows::adamw(level, part.len(), &adam, old, new.map(|p| p.at(i)));
                });
            }
            Op::Attention { scale, causal } => {
                let sizes = attention(*scale, *causal, &x[0].ty, &x[1].ty);
                let [q, k, v] = [0, 1, 2].map(|i| x[i].f32().cast_const());
                sizes.forward(cx, q, k, v, x[3].ptr, y[0].f32(), y[1].f32(), y[2].f32());
            }
            Op::AttentionGrad { scale, causal } => {
                let sizes = attention(*scale, *causal, &x[0].ty, &x[1].ty);
                let [q, k, v, o, m, r, g] = [0, 1, 2, 4, 5, 6, 7].map(|i| x[i].f32().cast_const());
                let [dq, dk, dv] = [0, 1, 2].map(|i| y[i].f32());
                sizes.backward(cx, q, k, v, x[3].ptr, o, m, r, g, dq, dk, dv);
            }
            _ => debug_assert!(false, "{} is not fused", op.name()),
        }
    }
}

/// Runs `task` over parts of `0..rows`, each of about [`PIECE`] elements.
fn pieces(pool: &Pool, rows: usize, n: usize, task: &(dyn Fn(std::ops::Range<usize>) + Sync)) {
    let each = (PIECE / n.max(1)).max(1);
    pool.run(rows.div_ceil(each), &|t, _| task(t * each..rows.min((t + 1) * each)));
}
