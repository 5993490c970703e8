//! The decoder: tokens in, one vector per token out.
//!
//! `x` is the residual stream, `[B, T, width]`. Each layer adds to it twice: what attention read from earlier tokens, and what
//! the feed-forward part made of the token alone.
//!
//! ```text
//! x += Attention(norm(x))         q, k turned by their positions; softmax(q k' / sqrt(d)) v
//! x += down(silu(gate(h)) up(h))  h = norm(x)
//! ```

use exact::{Builder, RopeTables, Var};

use crate::Error;
use crate::config::Config;
use crate::rope;
use crate::speak::Window;
use crate::weights::Weights;

/// What the tokens of a batch may look back at.
pub(crate) enum Memory {
    /// Only each other: whole sequences from their first token on.
    Fresh,
    /// Keys and values of earlier calls, kept as states.
    Cached(Window),
}

/// Builds the decoder over `ids[B, T]`; gives the normalised vectors `[B * T, width]`.
pub(crate) fn decoder(
    b: &mut Builder,
    config: &Config,
    weights: &Weights,
    ids: Var<u32>,
    memory: &Memory,
) -> Result<Var<f32>, Error> {
    let (batch, tokens) = (ids.dim(0), ids.dim(1));
    let index = b.iota(&[tokens], 0)?;
    let (start, positions) = match memory {
        Memory::Fresh => (b.full(&[batch], 0u32)?, index),
        Memory::Cached(window) => {
            let column = b.reshape(window.start, &[batch, 1])?;
            (window.start, b.int(exact::IntFn::Add, column, index)?)
        }
    };
    let tables = rope::tables(b, positions, config)?;
    let mut layer = Layer { b, config, weights, prefix: String::new(), tables, start, memory };

    let embedding = weights.get("model.embed_tokens.weight")?;
    let mut x = layer.b.gather(embedding, ids)?;
    for number in 0..config.layers {
        layer.prefix = format!("model.layers.{number}");
        x = layer.attention(x, number)?;
        x = layer.feed_forward(x)?;
    }
    let norm = weights.get("model.norm.weight")?;
    let x = b.rms_norm(x, norm, config.norm_eps)?.0;
    Ok(b.reshape(x, &[batch * tokens, config.width])?)
}

struct Layer<'a> {
    b: &'a mut Builder,
    config: &'a Config,
    weights: &'a Weights,
    prefix: String,
    tables: RopeTables,
    start: Var<u32>,
    memory: &'a Memory,
}

impl Layer<'_> {
    fn weight(&self, part: &str) -> Result<Var<f32>, Error> {
        self.weights.get(&format!("{}.{part}", self.prefix))
    }

    fn linear(&mut self, x: Var<f32>, part: &str) -> Result<Var<f32>, Error> {
        self.weights.linear(self.b, x, &format!("{}.{part}", self.prefix))
    }

    fn norm(&mut self, x: Var<f32>, part: &str) -> Result<Var<f32>, Error> {
        let w = self.weight(part)?;
        Ok(self.b.rms_norm(x, w, self.config.norm_eps)?.0)
    }

    /// `h w + bias` as heads, `[B, T, heads, head_dim]`.
    fn project(&mut self, h: Var<f32>, part: &str, heads: usize) -> Result<Var<f32>, Error> {
        let mut y = self.linear(h, &format!("self_attn.{part}_proj.weight"))?;
        if self.config.qkv_bias {
            let bias = self.weight(&format!("self_attn.{part}_proj.bias"))?;
            y = self.b.add(y, bias)?;
        }
        Ok(self.b.reshape(y, &[h.dim(0), h.dim(1), heads, self.config.head_dim])?)
    }

    fn attention(&mut self, x: Var<f32>, number: usize) -> Result<Var<f32>, Error> {
        let c = self.config;
        let h = self.norm(x, "input_layernorm.weight")?;
        let mut q = self.project(h, "q", c.heads)?;
        let mut k = self.project(h, "k", c.kv_heads)?;
        let mut v = self.project(h, "v", c.kv_heads)?;
        if c.qk_norm {
            q = self.norm(q, "self_attn.q_norm.weight")?;
            k = self.norm(k, "self_attn.k_norm.weight")?;
        }
        q = self.b.rope(q, &self.tables)?;
        k = self.b.rope(k, &self.tables)?;
        if let Memory::Cached(window) = self.memory {
            k = window.extend(self.b, number, "k", k)?;
            v = window.extend(self.b, number, "v", v)?;
        }
        let scale = 1.0 / (c.head_dim as f32).sqrt();
        let o = self.b.attention(q, k, v, self.start, scale, true)?;
        let o = self.b.reshape(o, &[x.dim(0), x.dim(1), c.heads * c.head_dim])?;
        let o = self.linear(o, "self_attn.o_proj.weight")?;
        Ok(self.b.add(x, o)?)
    }

    fn feed_forward(&mut self, x: Var<f32>) -> Result<Var<f32>, Error> {
        let h = self.norm(x, "post_attention_layernorm.weight")?;
        let gate = self.linear(h, "mlp.gate_proj.weight")?;
        let up = self.linear(h, "mlp.up_proj.weight")?;
        let y = self.b.swiglu(gate, up)?;
        let y = self.linear(y, "mlp.down_proj.weight")?;
        Ok(self.b.add(x, y)?)
    }
}
