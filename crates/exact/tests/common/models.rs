//! A small decoder and how it learns.

use exact::{AdamState, AdamW, Builder, Error, Program, UnaryFn, Var};

/// The sizes of a decoder and of its batch.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) layers: usize,
    pub(crate) batch: usize,
    pub(crate) t: usize,
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) inner: usize,
    pub(crate) vocabulary: usize,
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes { layers: 1, batch: 2, t: 9, width: 16, heads: 2, inner: 24, vocabulary: 23 }
    }
}

/// A decoder and its loss, the mean cross-entropy of `targets` given `tokens`: the loss and all parameters.
pub(crate) fn decoder(b: &mut Builder, sizes: &Sizes) -> Result<(Var<f32>, Vec<Var<f32>>), Error> {
    let Sizes { layers, batch, t, width, heads, inner, vocabulary } = *sizes;
    let tokens = b.input::<u32>("tokens", &[batch, t])?;
    let targets = b.input::<u32>("targets", &[batch * t])?;
    let mut parameters: Vec<Var<f32>> = Vec::new();
    let mut parameter = |b: &mut Builder, dims: &[usize]| -> Result<Var<f32>, Error> {
        let p = b.state(&format!("parameter{}", parameters.len()), dims)?;
        parameters.push(p);
        Ok(p)
    };
    let table = parameter(b, &[vocabulary, width])?;
    let mut x = b.gather(table, tokens)?;
    for _ in 0..layers {
        let norm = parameter(b, &[width])?;
        let mut weights = Vec::new();
        for _ in 0..4 {
            weights.push(parameter(b, &[width, width])?);
        }
        let (gate, up) = (parameter(b, &[width, inner])?, parameter(b, &[width, inner])?);
        let down = parameter(b, &[inner, width])?;

        let (h, _) = b.rms_norm(x, norm, 1e-5)?;
        let mut qkv = Vec::new();
        for w in &weights[..3] {
            let y = b.linear(h, *w)?;
            qkv.push(b.reshape(y, &[batch, t, heads, width / heads])?);
        }
        let positions = b.iota(&[t], 0)?;
        let tables = b.rope_tables(positions, width / heads, 10_000.0)?;
        let (q, k) = (b.rope(qkv[0], &tables)?, b.rope(qkv[1], &tables)?);
        let start = b.full(&[batch], 0_u32)?;
        let o = b.attention(q, k, qkv[2], start, 0.35, true)?;
        let o = b.reshape(o, &[batch, t, width])?;
        let o = b.linear(o, weights[3])?;
        x = b.add(x, o)?;
        let (g, u) = (b.linear(x, gate)?, b.linear(x, up)?);
        let m = b.swiglu(g, u)?;
        let m = b.linear(m, down)?;
        x = b.add(x, m)?;
    }
    let flat = b.reshape(x, &[batch * t, width])?;
    let logits = b.matmul_t(flat, false, table, true)?;
    let logp = b.token_logprob(logits, targets)?;
    let mean = b.mean_all(logp)?;
    Ok((b.unary(UnaryFn::Neg, mean)?, parameters))
}

/// A decoder's loss, gradients, clipping and AdamW, as one program.
pub(crate) fn training_step(sizes: &Sizes) -> Result<Program, Error> {
    let mut b = Builder::new();
    let (loss, parameters) = decoder(&mut b, sizes)?;
    let gradients = b.gradients(loss, &parameters)?;
    let (gscale, norm) = b.clip_scale(&gradients, 1.0)?;
    let (lr, c1, c2) = (b.input("lr", &[])?, b.input("c1", &[])?, b.input("c2", &[])?);
    let with = AdamW { lr, gscale, c1, c2, b1: 0.9, b2: 0.95, eps: 1e-8, decay: 0.1 };
    for (i, (p, g)) in parameters.iter().zip(gradients).enumerate() {
        let dims = p.shape().to_vec();
        let state = AdamState { m: b.state(&format!("m{i}"), &dims)?, v: b.state(&format!("v{i}"), &dims)? };
        let (new, next) = b.adamw(*p, g, state, &with)?;
        b.assign(*p, new)?;
        b.assign(state.m, next.m)?;
        b.assign(state.v, next.v)?;
    }
    b.output("loss", loss)?;
    b.output("norm", norm)?;
    b.finish()
}
