//! The decoder: tokens in, one vector per token out.
//!
//! `x` is the residual stream, `[B, T, width]`. Each layer adds to it twice: what attention read from earlier tokens, and what
//! the feed-forward part made of the token alone.
//!
//! ```text
//! x += Attention(norm(x))         q, k turned by their positions; softmax(q k' / sqrt(d)) v
//! x += down(silu(gate(h)) up(h))  h = norm(x)
//! ```

use std::collections::HashMap;

use exact::{Builder, RopeTables, Var};

use crate::Error;
use crate::config::{Config, Parameter};
use crate::speak::Window;

/// A model's parameters as states of one program.
pub(crate) struct Weights {
    by_name: HashMap<String, Var<f32>>,
    /// In the order of [`Config::parameters`].
    pub(crate) all: Vec<(Parameter, Var<f32>)>,
}

impl Weights {
    /// Declares every parameter as a state of the program.
    pub(crate) fn declare(b: &mut Builder, config: &Config) -> Result<Weights, Error> {
        let mut all = Vec::new();
        for parameter in config.parameters() {
            let value = b.state::<f32>(&parameter.name, &parameter.dims)?;
            all.push((parameter, value));
        }
        let by_name = all.iter().map(|(p, v)| (p.name.clone(), *v)).collect();
        Ok(Weights { by_name, all })
    }

    fn get(&self, name: &str) -> Result<Var<f32>, Error> {
        let missing = || Error::Config { field: "parameters", why: format!("lack {name}") };
        self.by_name.get(name).copied().ok_or_else(missing)
    }
}

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
    let tables = b.rope_tables(positions, config.head_dim, config.rope_theta)?;
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

/// Logits `[rows, vocabulary]` of vectors `[rows, width]`.
pub(crate) fn head(
    b: &mut Builder,
    config: &Config,
    weights: &Weights,
    x: Var<f32>,
) -> Result<Var<f32>, Error> {
    if config.tied {
        Ok(b.matmul_t(x, false, weights.get("model.embed_tokens.weight")?, true)?)
    } else {
        Ok(b.matmul(x, weights.get("lm_head.weight")?)?)
    }
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

    fn norm(&mut self, x: Var<f32>, part: &str) -> Result<Var<f32>, Error> {
        let w = self.weight(part)?;
        Ok(self.b.rms_norm(x, w, self.config.norm_eps)?.0)
    }

    /// `h w + bias` as heads, `[B, T, heads, head_dim]`.
    fn project(&mut self, h: Var<f32>, part: &str, heads: usize) -> Result<Var<f32>, Error> {
        let w = self.weight(&format!("self_attn.{part}_proj.weight"))?;
        let mut y = self.b.linear(h, w)?;
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
        let w = self.weight("self_attn.o_proj.weight")?;
        let o = self.b.linear(o, w)?;
        Ok(self.b.add(x, o)?)
    }

    fn feed_forward(&mut self, x: Var<f32>) -> Result<Var<f32>, Error> {
        let h = self.norm(x, "post_attention_layernorm.weight")?;
        let [gate, up, down] = ["gate", "up", "down"].map(|p| self.weight(&format!("mlp.{p}_proj.weight")));
        let gate = self.b.linear(h, gate?)?;
        let up = self.b.linear(h, up?)?;
        let y = self.b.swiglu(gate, up)?;
        let y = self.b.linear(y, down?)?;
        Ok(self.b.add(x, y)?)
    }
}
