//! What a model is: the numbers that fix its shape, and the parameters that follow from them.

use crate::Error;
use crate::rope::RopeScaling;

/// The shape of a decoder of the Llama and Qwen family.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Tokens there are.
    pub vocabulary: usize,
    /// Numbers per token between the layers.
    pub width: usize,
    /// Layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; each serves `heads / kv_heads` query heads.
    pub kv_heads: usize,
    /// Numbers per head.
    pub head_dim: usize,
    /// Numbers per token inside the feed-forward part.
    pub hidden: usize,
    /// The most tokens a sequence may have.
    pub context: usize,
    /// The base of the rotary frequencies.
    pub rope_theta: f32,
    /// What was done to these frequencies for longer texts.
    pub rope_scaling: RopeScaling,
    /// Added to the mean square before its root is taken.
    pub norm_eps: f32,
    /// Whether the embedding is the head too.
    pub tied: bool,
    /// Whether queries, keys and values have biases (Qwen2).
    pub qkv_bias: bool,
    /// Whether queries and keys are normalised per head (Qwen3).
    pub qk_norm: bool,
}

/// How a parameter begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start {
    /// Every element this number.
    Constant(f32),
    /// Normal, with this standard deviation.
    Normal(f32),
}

/// One parameter of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name in a Hugging Face folder.
    pub name: String,
    /// Its shape here. A matrix is `[in, out]`, so that a row of activations times it needs no transpose.
    pub dims: Vec<usize>,
    /// How it begins before any learning.
    pub start: Start,
    /// Whether it is a matrix between hidden layers, which is what Muon is for.
    pub hidden: bool,
}

impl Parameter {
    /// Whether files hold it the other way round, as `[out, in]`.
    pub(crate) fn is_turned(&self) -> bool {
        self.dims.len() == 2 && self.name != "model.embed_tokens.weight"
    }

    /// Its shape in a file.
    pub(crate) fn dims_in_files(&self) -> Vec<usize> {
        if self.is_turned() { vec![self.dims[1], self.dims[0]] } else { self.dims.clone() }
    }
}

impl Config {
    /// Checks that the numbers go together.
    pub fn check(&self) -> Result<(), Error> {
        let wrong = |field: &'static str, why: &str| Err(Error::Config { field, why: why.to_owned() });
        for (field, value) in [
            ("vocabulary", self.vocabulary),
            ("width", self.width),
            ("layers", self.layers),
            ("heads", self.heads),
            ("kv_heads", self.kv_heads),
            ("head_dim", self.head_dim),
            ("hidden", self.hidden),
            ("context", self.context),
        ] {
            if value == 0 {
                return wrong(field, "must be at least 1");
            }
            if value > 1 << 24 {
                return wrong(field, "is beyond anything that could run");
            }
        }
        if self.layers > 1024 {
            return wrong("layers", "must be at most 1024");
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return wrong("kv_heads", "must divide heads");
        }
        if !self.head_dim.is_multiple_of(2) {
            return wrong("head_dim", "must be even, as its numbers are turned in pairs");
        }
        if !(self.rope_theta.is_finite() && self.rope_theta > 1.0) {
            return wrong("rope_theta", "must be a number above 1");
        }
        if !(self.norm_eps.is_finite() && self.norm_eps >= 0.0) {
            return wrong("norm_eps", "must be a number of at least 0");
        }
        self.rope_scaling.check()
    }

    /// Every parameter, in the order of a forward pass.
    pub fn parameters(&self) -> Vec<Parameter> {
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        // What is added to the residual stream begins smaller, the more layers add to it.
        let spread = 0.02;
        let residual = spread / (2.0 * self.layers as f32).sqrt();
        let mut all = Vec::new();
        let mut add = |name: String, dims: &[usize], start: Start, hidden: bool| {
            all.push(Parameter { name, dims: dims.to_vec(), start, hidden });
        };
        let (one, zero) = (Start::Constant(1.0), Start::Constant(0.0));
        let tokens = [self.vocabulary, self.width];
        add("model.embed_tokens.weight".to_owned(), &tokens, Start::Normal(spread), false);
        for layer in 0..self.layers {
            let name = |part: &str| format!("model.layers.{layer}.{part}");
            add(name("input_layernorm.weight"), &[self.width], one, false);
            for (part, out) in [("q", q), ("k", kv), ("v", kv)] {
                let weight = name(&format!("self_attn.{part}_proj.weight"));
                add(weight, &[self.width, out], Start::Normal(spread), true);
                if self.qkv_bias {
                    add(name(&format!("self_attn.{part}_proj.bias")), &[out], zero, false);
                }
            }
            if self.qk_norm {
                add(name("self_attn.q_norm.weight"), &[self.head_dim], one, false);
                add(name("self_attn.k_norm.weight"), &[self.head_dim], one, false);
            }
            add(name("self_attn.o_proj.weight"), &[q, self.width], Start::Normal(residual), true);
            add(name("post_attention_layernorm.weight"), &[self.width], one, false);
            let up = [self.width, self.hidden];
            add(name("mlp.gate_proj.weight"), &up, Start::Normal(spread), true);
            add(name("mlp.up_proj.weight"), &up, Start::Normal(spread), true);
            add(name("mlp.down_proj.weight"), &[self.hidden, self.width], Start::Normal(residual), true);
        }
        add("model.norm.weight".to_owned(), &[self.width], one, false);
        if !self.tied {
            let head = [self.width, self.vocabulary];
            add("lm_head.weight".to_owned(), &head, Start::Normal(spread), false);
        }
        all
    }

    /// How many numbers the parameters are.
    pub fn size(&self) -> usize {
        self.parameters().iter().map(|p| p.dims.iter().product::<usize>()).sum()
    }
}
