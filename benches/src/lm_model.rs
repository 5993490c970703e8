//! The decoder of the other benches as a language model; `peers/torch_peer.py` has the same one with the same numbers.

use crate::Result;
use crate::decoder::Size;
use crate::numbers::{fill, ids};
use exact::{Device, Limits};
use lm::{Config, Model, Request, Sampling, Until};

/// The model that `size` describes, its weights those of every peer.
pub(crate) fn model(size: &Size, context: usize, threads: usize) -> Result<Model> {
    let config = Config {
        vocabulary: size.vocab,
        width: size.d,
        layers: size.layers,
        heads: size.heads,
        kv_heads: size.heads,
        head_dim: size.d / size.heads,
        hidden: size.d_ff,
        context,
        rope_theta: 10_000.0,
        rope_scaling: lm::RopeScaling::None,
        norm_eps: 1e-5,
        tied: true,
        qkv_bias: false,
        qk_norm: false,
    };
    let mut model = Model::new(config, 0, &Device::cpu(threads), Limits::default())?;
    model.set_weight("model.embed_tokens.weight", &fill(1, size.vocab * size.d, 0.05))?;
    let (d, d_ff) = (size.d, size.d_ff);
    let weights = [
        ("self_attn.q_proj", d, d),
        ("self_attn.k_proj", d, d),
        ("self_attn.v_proj", d, d),
        ("self_attn.o_proj", d, d),
        ("mlp.gate_proj", d, d_ff),
        ("mlp.up_proj", d, d_ff),
        ("mlp.down_proj", d_ff, d),
    ];
    for layer in 0..size.layers {
        for (i, (name, rows, columns)) in weights.iter().enumerate() {
            let values = fill((10 + 10 * layer + i) as u32, rows * columns, (*rows as f64).powf(-0.5) as f32);
            model.set_weight(&format!("model.layers.{layer}.{name}.weight"), &values)?;
        }
    }
    Ok(model)
}

/// As many requests, each with a prompt and a seed of its own, that get answers of `limit` tokens.
pub(crate) fn requests(
    size: &Size,
    count: usize,
    prompt: usize,
    limit: usize,
    sampling: Sampling,
) -> Vec<Request> {
    let ids = ids(2, count * prompt, size.vocab as u32);
    let request = |(seed, prompt): (u64, &[u32])| Request {
        prompt: prompt.to_vec(),
        seed,
        sampling,
        until: Until::new(limit, &[]),
    };
    (0..).zip(ids.chunks(prompt)).map(request).collect()
}
