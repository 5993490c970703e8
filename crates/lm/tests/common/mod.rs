//! A model for tests of speaking.

use exact::{Device, Limits};
use lm::{Config, Model};

pub(crate) fn config() -> Config {
    Config {
        vocabulary: 37,
        width: 24,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 6,
        hidden: 40,
        context: 32,
        rope_theta: 10_000.0,
        rope_scaling: lm::RopeScaling::None,
        norm_eps: 1e-6,
        tied: true,
        qkv_bias: false,
        qk_norm: false,
    }
}

/// A model whose random weights are large enough that its answers are not all alike.
pub(crate) fn model(config: Config, device: &Device) -> Model {
    let mut model = Model::new(config, 7, device, Limits::default()).unwrap();
    for parameter in model.config().parameters() {
        let larger: Vec<f32> = model.weight(&parameter.name).unwrap().iter().map(|w| w * 5.0).collect();
        model.set_weight(&parameter.name, &larger).unwrap();
    }
    model
}
