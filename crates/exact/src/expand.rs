//! What the fused operations mean: each as a few primitives.
//!
//! This file is normative. A kernel that runs a fused operation in one pass must give exactly the bits of these lines, and a
//! dispute over one element of a fused operation is settled inside them.

use crate::Error;
use crate::program::op::{BinaryFn, CompareFn, IntFn, Op, UnaryFn};
use crate::program::{Builder, ValueId, Var};

/// The results of a fused operation, as primitives added to `b`; `None` if the operation is primitive.
pub(crate) fn expand(op: &Op, b: &mut Builder, operands: &[ValueId]) -> Result<Option<Vec<ValueId>>, Error> {
    let mut e = Expansion { b, operands };
    let results = match op {
        Op::RmsNorm { eps } => e.rms_norm(*eps)?,
        Op::RmsNormGrad => e.rms_norm_grad()?,
        Op::RmsNormWeightGrad => e.rms_norm_weight_grad()?,
        Op::Softmax => e.softmax()?,
        Op::TokenLogprob => e.token_logprob()?,
        Op::TokenLogprobGrad => e.token_logprob_grad()?,
        Op::Swiglu => e.swiglu()?,
        Op::SwigluGrad => e.swiglu_grad()?,
        Op::Rope { inverse } => e.rope(*inverse)?,
        Op::Attention { scale, causal } => e.attention(*scale, *causal)?,
        Op::AttentionGrad { scale, causal } => e.attention_grad(*scale, *causal)?,
        Op::Conv3d { pad } => e.conv3d(*pad)?,
        Op::Conv3dWeightGrad { pad, kernel } => e.conv3d_weight_grad(*pad, *kernel)?,
        Op::AdamW { b1, b2, eps, decay } => e.adamw(*b1, *b2, *eps, *decay)?,
        Op::Sample => e.sample()?,
        Op::PackedMatmul { bits } => e.packed_matmul(*bits)?,
        _ => return Ok(None),
    };
    Ok(Some(results))
}

struct Expansion<'a> {
    b: &'a mut Builder,
    operands: &'a [ValueId],
}

type Results = Result<Vec<ValueId>, Error>;

impl Expansion<'_> {
    fn x(&self, i: usize) -> Var<f32> {
        self.b.var(self.operands[i])
    }

    fn ids(&self, i: usize) -> Var<u32> {
        self.b.var(self.operands[i])
    }

    /// An operand as `[rows, n]`.
    fn rows(&mut self, i: usize) -> Result<Var<f32>, Error> {
        let x = self.x(i);
        self.b.reshape(x, &[x.shape().rows(), x.shape().last()])
    }

    /// An operand with one element per row, as `[rows, 1]`.
    fn column(&mut self, i: usize) -> Result<Var<f32>, Error> {
        let x = self.x(i);
        self.b.reshape(x, &[x.shape().elements(), 1])
    }

    fn upright(&mut self, x: Var<f32>) -> Result<Var<f32>, Error> {
        self.b.reshape(x, &[x.shape().elements(), 1])
    }

    fn like(&mut self, x: Var<f32>, i: usize) -> Result<ValueId, Error> {
        let dims = self.x(i).shape().to_vec();
        Ok(self.b.reshape(x, &dims)?.id)
    }

    fn rms_norm(&mut self, eps: f32) -> Results {
        let (x, w) = (self.rows(0)?, self.x(1));
        let n = self.b.scalar(x.dim(1) as f32)?;
        let eps = self.b.scalar(eps)?;
        let squares = self.b.dot(x, x, 1)?;
        let mean = self.b.div(squares, n)?;
        let mean = self.b.add(mean, eps)?;
        let inv = self.b.unary(UnaryFn::Rsqrt, mean)?;
        let column = self.upright(inv)?;
        let y = self.b.mul(x, column)?;
        let y = self.b.mul(y, w)?;
        let rows = self.x(0).shape();
        let inv = self.b.reshape(inv, &rows.without(rows.rank() - 1).to_vec())?;
        Ok(vec![self.like(y, 0)?, inv.id])
    }

    fn rms_norm_grad(&mut self) -> Results {
        let (x, w, inv, dy) = (self.rows(0)?, self.x(1), self.column(2)?, self.rows(3)?);
        let n = self.b.scalar(x.dim(1) as f32)?;
        let gw = self.b.mul(dy, w)?;
        let c = self.b.dot(gw, x, 1)?;
        let c = self.upright(c)?;
        let k = self.b.mul(c, inv)?;
        let k = self.b.mul(k, inv)?;
        let k = self.b.mul(k, inv)?;
        let k = self.b.div(k, n)?;
        let along = self.b.mul(x, k)?;
        let a = self.b.mul(gw, inv)?;
        let dx = self.b.sub(a, along)?;
        Ok(vec![self.like(dx, 0)?])
    }

    fn rms_norm_weight_grad(&mut self) -> Results {
        let (x, inv, dy) = (self.rows(0)?, self.column(1)?, self.rows(2)?);
        let xn = self.b.mul(x, inv)?;
        let p = self.b.mul(dy, xn)?;
        Ok(vec![self.b.sum(p, 0)?.id])
    }

    fn softmax(&mut self) -> Results {
        let x = self.rows(0)?;
        let m = self.b.reduce_max(x, 1)?;
        let m = self.upright(m)?;
        let e = self.b.sub(x, m)?;
        let e = self.b.unary(UnaryFn::Exp, e)?;
        let z = self.b.sum(e, 1)?;
        let r = self.b.unary(UnaryFn::Recip, z)?;
        let r = self.upright(r)?;
        let y = self.b.mul(e, r)?;
        Ok(vec![self.like(y, 0)?])
    }

    fn token_logprob(&mut self) -> Results {
        let (x, ids) = (self.rows(0)?, self.ids(1));
        let dims = ids.shape().to_vec();
        let flat = self.b.reshape(ids, &[ids.shape().elements()])?;
        let m = self.b.reduce_max(x, 1)?;
        let column = self.upright(m)?;
        let e = self.b.sub(x, column)?;
        let e = self.b.unary(UnaryFn::Exp, e)?;
        let z = self.b.sum(e, 1)?;
        let lz = self.b.unary(UnaryFn::Log, z)?;
        let chosen = self.b.pick(x, flat)?;
        let logp = self.b.sub(chosen, m)?;
        let logp = self.b.sub(logp, lz)?;
        [logp, m, z].into_iter().map(|v| Ok(self.b.reshape(v, &dims)?.id)).collect()
    }

    fn token_logprob_grad(&mut self) -> Results {
        let (x, ids) = (self.rows(0)?, self.ids(1));
        let (m, z, g) = (self.column(2)?, self.column(3)?, self.column(4)?);
        let ids = self.b.reshape(ids, &[x.dim(0), 1])?;
        let r = self.b.unary(UnaryFn::Recip, z)?;
        let minus = self.b.unary(UnaryFn::Neg, g)?;
        let p = self.b.sub(x, m)?;
        let p = self.b.unary(UnaryFn::Exp, p)?;
        let p = self.b.mul(p, r)?;
        let t = self.b.mul(p, minus)?;
        let with_g = self.b.add(t, g)?;
        let column = self.b.iota(&[1, x.dim(1)], 1)?;
        let chosen = self.b.int(IntFn::Eq, column, ids)?;
        let dx = self.b.select(chosen, with_g, t)?;
        Ok(vec![self.like(dx, 0)?])
    }

    fn swiglu(&mut self) -> Results {
        let (gate, up) = (self.x(0), self.x(1));
        let s = self.b.unary(UnaryFn::Silu, gate)?;
        Ok(vec![self.b.mul(s, up)?.id])
    }

    fn swiglu_grad(&mut self) -> Results {
        let (gate, up, dy) = (self.x(0), self.x(1), self.x(2));
        let t = self.b.mul(dy, up)?;
        let dgate = self.b.binary(BinaryFn::SiluGrad, gate, t)?;
        let s = self.b.unary(UnaryFn::Silu, gate)?;
        let dup = self.b.mul(dy, s)?;
        Ok(vec![dgate.id, dup.id])
    }

    fn rope(&mut self, inverse: bool) -> Results {
        let (x, cos, mut sin) = (self.x(0), self.x(1), self.x(2));
        let half = x.dim(3) / 2;
        // [T, D/2] or [B, T, D/2] goes to every head.
        let mut dims = cos.shape().to_vec();
        dims.insert(dims.len() - 1, 1);
        let cos = self.b.reshape(cos, &dims)?;
        sin = self.b.reshape(sin, &dims)?;
        if inverse {
            sin = self.b.unary(UnaryFn::Neg, sin)?;
        }
        let (first, second) = (self.b.slice(x, 3, 0, half)?, self.b.slice(x, 3, half, half)?);
        let across = self.b.mul(second, sin)?;
        let across = self.b.unary(UnaryFn::Neg, across)?;
        let y1 = self.b.fma(first, cos, across)?;
        let along = self.b.mul(first, sin)?;
        let y2 = self.b.fma(second, cos, along)?;
        Ok(vec![self.b.concat(&[y1, y2], 3)?.id])
    }

    /// `[B, T, H, D]` as `[B, Hq, T, D]`, with each key head repeated for the query heads that share it.
    fn heads(&mut self, x: Var<f32>, query_heads: usize) -> Result<Var<f32>, Error> {
        let [b, t, h, d] = [x.dim(0), x.dim(1), x.dim(2), x.dim(3)];
        let x = self.b.permute(x, &[0, 2, 1, 3])?;
        let x = self.b.reshape(x, &[b, h, 1, t, d])?;
        // No heads at all is a shape like any other.
        let group = query_heads.checked_div(h).unwrap_or(1);
        let x = self.b.broadcast(x, &[b, h, group, t, d])?;
        self.b.reshape(x, &[b, query_heads, t, d])
    }

    /// How many keys each query sees, `[B, Hq, Tq]`, and which, `[B, 1, Tq, Tk]` as 0 or 1.
    fn visible(&mut self, causal: bool) -> Result<(Var<u32>, Var<u32>), Error> {
        let (q, k, start) = (self.x(0), self.x(1), self.ids(3));
        let [batch, tq, heads, tk] = [q.dim(0), q.dim(1), q.dim(2), k.dim(1)];
        let mut n = self.b.reshape(start, &[batch, 1, 1])?;
        if causal {
            let i = self.b.iota(&[1, 1, tq], 2)?;
            let one = self.b.scalar(1)?;
            n = self.b.int(IntFn::Add, n, i)?;
            n = self.b.int(IntFn::Add, n, one)?;
        }
        let n = self.b.broadcast(n, &[batch, 1, tq])?;
        let column = self.b.reshape(n, &[batch, 1, tq, 1])?;
        let j = self.b.iota(&[1, 1, 1, tk], 3)?;
        let seen = self.b.int(IntFn::Lt, j, column)?;
        let n = self.b.broadcast(n, &[batch, heads, tq])?;
        Ok((n, seen))
    }

    /// Scaled queries and masked scores, both per query head.
    fn scores(&mut self, scale: f32, seen: Var<u32>) -> Result<(Var<f32>, Var<f32>), Error> {
        let (q, k) = (self.x(0), self.x(1));
        let heads = q.dim(2);
        let q = self.heads(q, heads)?;
        let scale = self.b.scalar(scale)?;
        let q = self.b.mul(q, scale)?;
        let k = self.heads(k, heads)?;
        let s = self.b.matmul_t(q, false, k, true)?;
        let hidden = self.b.scalar(f32::NEG_INFINITY)?;
        Ok((q, self.b.select(seen, s, hidden)?))
    }

    fn none(&mut self, like: Var<u32>) -> Result<Var<u32>, Error> {
        self.b.full(&like.shape().to_vec(), 0)
    }

    fn attention(&mut self, scale: f32, causal: bool) -> Results {
        let (q, v) = (self.x(0), self.x(2));
        let [batch, tq, heads, _] = [q.dim(0), q.dim(1), q.dim(2), q.dim(3)];
        let (n, seen) = self.visible(causal)?;
        let (_, s) = self.scores(scale, seen)?;
        let m = self.b.reduce_max(s, 3)?;
        let column = self.b.reshape(m, &[batch, heads, tq, 1])?;
        let e = self.b.sub(s, column)?;
        let e = self.b.unary(UnaryFn::Exp, e)?;
        let z = self.b.sum(e, 3)?;
        let r = self.b.unary(UnaryFn::Recip, z)?;
        let v = self.heads(v, heads)?;
        let none = self.none(n)?;
        let u = self.b.ragged_matmul(e, false, v, false, none, n)?;
        let column = self.b.reshape(r, &[batch, heads, tq, 1])?;
        let o = self.b.mul(u, column)?;
        let o = self.b.permute(o, &[0, 2, 1, 3])?;
        Ok(vec![o.id, m.id, r.id])
    }

    fn attention_grad(&mut self, scale: f32, causal: bool) -> Results {
        let (query, keys, v, start) = (self.x(0), self.x(1), self.x(2), self.ids(3));
        let (o, m, r, go) = (self.x(4), self.x(5), self.x(6), self.x(7));
        let [batch, tq, heads, tk] = [query.dim(0), query.dim(1), query.dim(2), keys.dim(1)];
        let (n, seen) = self.visible(causal)?;
        let (q, s) = self.scores(scale, seen)?;
        let m = self.b.reshape(m, &[batch, heads, tq, 1])?;
        let e = self.b.sub(s, m)?;
        let e = self.b.unary(UnaryFn::Exp, e)?;

        let (o, go) = (self.heads(o, heads)?, self.heads(go, heads)?);
        let r = self.b.reshape(r, &[batch, heads, tq, 1])?;
        let g = self.b.mul(go, r)?;
        let delta = self.b.dot(g, o, 3)?;
        let delta = self.b.reshape(delta, &[batch, heads, tq, 1])?;
        let v = self.heads(v, heads)?;
        let dp = self.b.matmul_t(g, false, v, true)?;
        let ds = self.b.sub(dp, delta)?;
        let ds = self.b.mul(e, ds)?;

        // Key j is seen by queries lo(j).. : from the one that reaches it, or by all or none.
        let j = self.b.iota(&[1, tk], 1)?;
        let start = self.b.reshape(start, &[batch, 1])?;
        let all = self.b.scalar(tq as u32)?;
        let (lo, hi) = if causal {
            let late = self.b.int(IntFn::Max, j, start)?;
            let lo = self.b.int(IntFn::Sub, late, start)?;
            (self.b.int(IntFn::Min, lo, all)?, self.b.full(&[batch, tk], tq as u32)?)
        } else {
            let reached = self.b.int(IntFn::Lt, j, start)?;
            (self.b.full(&[batch, tk], 0)?, self.b.int(IntFn::Mul, reached, all)?)
        };
        let mut per_head = [lo, hi];
        for bound in &mut per_head {
            let b = self.b.reshape(*bound, &[batch, 1, tk])?;
            *bound = self.b.broadcast(b, &[batch, heads, tk])?;
        }
        let [lo, hi] = per_head;
        let dv = self.b.ragged_matmul(e, true, g, false, lo, hi)?;
        let dk = self.b.ragged_matmul(ds, true, q, false, lo, hi)?;
        let k = self.heads(keys, heads)?;
        let none = self.none(n)?;
        let dq = self.b.ragged_matmul(ds, false, k, false, none, n)?;
        let scale = self.b.scalar(scale)?;
        let dq = self.b.mul(dq, scale)?;
        [dq, dk, dv].into_iter().map(|x| Ok(self.b.permute(x, &[0, 2, 1, 3])?.id)).collect()
    }

    fn conv3d(&mut self, pad: [u32; 3]) -> Results {
        let (x, w) = (self.x(0), self.x(1));
        let kernel = [w.dim(0), w.dim(1), w.dim(2)];
        let pad = pad.map(|p| p as usize);
        let patches = self.b.im2col(x, kernel, pad)?;
        let w2 = self.b.reshape(w, &[patches.dim(1), w.dim(4)])?;
        let y = self.b.matmul(patches, w2)?;
        let out = |axis: usize| x.dim(axis + 1) + 2 * pad[axis] - kernel[axis] + 1;
        Ok(vec![self.b.reshape(y, &[x.dim(0), out(0), out(1), out(2), w.dim(4)])?.id])
    }

    fn conv3d_weight_grad(&mut self, pad: [u32; 3], kernel: [u32; 3]) -> Results {
        let (x, dy) = (self.x(0), self.x(1));
        let kernel = kernel.map(|k| k as usize);
        let patches = self.b.im2col(x, kernel, pad.map(|p| p as usize))?;
        let dy = self.b.reshape(dy, &[patches.dim(0), dy.dim(4)])?;
        let dw = self.b.matmul_t(patches, true, dy, false)?;
        let [kd, kh, kw] = kernel;
        Ok(vec![self.b.reshape(dw, &[kd, kh, kw, x.dim(4), dy.dim(1)])?.id])
    }

    fn adamw(&mut self, b1: f32, b2: f32, eps: f32, decay: f32) -> Results {
        let [p, g, m, v] = [self.x(0), self.x(1), self.x(2), self.x(3)];
        let [lr, gscale, c1, c2] = [self.x(4), self.x(5), self.x(6), self.x(7)];
        let mut constant = |value: f32| self.b.scalar(value);
        let [rest1, rest2] = [constant(1.0 - b1)?, constant(1.0 - b2)?];
        let [b1, b2, eps, decay] = [constant(b1)?, constant(b2)?, constant(eps)?, constant(decay)?];
        let g = self.b.mul(g, gscale)?;
        let share = self.b.mul(rest1, g)?;
        let m = self.b.fma(b1, m, share)?;
        let square = self.b.mul(g, g)?;
        let share = self.b.mul(rest2, square)?;
        let v = self.b.fma(b2, v, share)?;
        let mh = self.b.mul(m, c1)?;
        let vh = self.b.mul(v, c2)?;
        let root = self.b.unary(UnaryFn::Sqrt, vh)?;
        let root = self.b.add(root, eps)?;
        let u = self.b.div(mh, root)?;
        let fade = self.b.mul(decay, p)?;
        let u = self.b.add(u, fade)?;
        let step = self.b.mul(lr, u)?;
        let p = self.b.sub(p, step)?;
        Ok(vec![p.id, m.id, v.id])
    }

    fn packed_matmul(&mut self, bits: u8) -> Results {
        let w = self.b.unpack(bits, self.ids(1), self.x(2), self.x(3))?;
        Ok(vec![self.b.matmul(self.x(0), w)?.id])
    }

    /// The greatest of `x / temperature + Gumbel noise` among what top-k and top-p keep is a draw from their softmax.
    fn sample(&mut self) -> Results {
        let (logits, seeds, top_k, top_p) = (self.x(0), self.ids(1), self.ids(3), self.x(4));
        let temperature = self.column(2)?;
        let (zero, one) = (self.b.scalar(0.0)?, self.b.scalar(1.0)?);
        let warm = self.b.compare(CompareFn::Lt, zero, temperature)?;
        let divisor = self.b.select(warm, temperature, one)?;
        let x = self.b.div(logits, divisor)?;
        let kept = self.b.keep(x, top_k, top_p)?;
        let bits = self.b.philox(seeds, logits.dim(1))?;
        let u = self.b.unit(bits)?;
        let inner = self.b.unary(UnaryFn::Log, u)?;
        let inner = self.b.unary(UnaryFn::Neg, inner)?;
        let noise = self.b.unary(UnaryFn::Log, inner)?;
        let noisy = self.b.sub(x, noise)?;
        let score = self.b.select(warm, noisy, x)?;
        let out = self.b.scalar(f32::NEG_INFINITY)?;
        let score = self.b.select(kept, score, out)?;
        Ok(vec![self.b.argmax(score)?.id])
    }
}
