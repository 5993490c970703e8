//! `config.json`: a model's shape as Hugging Face writes it.

use std::path::Path;

use serde_json::{Value, json};

use super::json::Place;
use crate::Error;
use crate::config::Config;
use crate::rope::RopeScaling;

/// What may be refused: whatever would make the model compute something else than we do.
const FAMILY: &str =
    "is not of the family this can run: llama (SmolLM2 among them), mistral, qwen2 and qwen3";

/// Reads a configuration; every field that would change what is computed is either understood or refused.
pub(crate) fn read(file: &Path, json: &Value) -> Result<Config, Error> {
    let place = Place { file, json };
    if !json.is_object() {
        return Err(place.wrong("the whole file", "must be one JSON object"));
    }
    let kind = place.string("model_type")?.ok_or_else(|| place.wrong("model_type", "is missing"))?;
    if !["llama", "mistral", "qwen2", "qwen3"].contains(&kind) {
        return Err(place.wrong("model_type", format!("{kind:?} {FAMILY}")));
    }
    let qwen2 = kind == "qwen2";
    refuse_others(&place, kind)?;
    let (width, heads) = (place.needed("hidden_size")?, place.needed("num_attention_heads")?);
    let head_dim = match (place.count("head_dim")?, kind) {
        (Some(given), _) => given,
        (None, "qwen3") => 128,
        (None, _) if heads > 0 && width.is_multiple_of(heads) => width / heads,
        (None, _) => return Err(place.wrong("num_attention_heads", "must divide hidden_size")),
    };
    let (rope_theta, rope_scaling) = rope(&place)?;
    let config = Config {
        vocabulary: place.needed("vocab_size")?,
        width,
        layers: place.needed("num_hidden_layers")?,
        heads,
        kv_heads: place.count("num_key_value_heads")?.unwrap_or(heads),
        head_dim,
        hidden: place.needed("intermediate_size")?,
        context: context(&place, kind)?,
        rope_theta,
        rope_scaling,
        norm_eps: place.number("rms_norm_eps")?.unwrap_or(1e-6),
        tied: place.flag("tie_word_embeddings", false)?,
        qkv_bias: qwen2,
        qk_norm: kind == "qwen3",
    };
    config.check().map_err(|error| match error {
        Error::Config { field, why } => place.wrong(hugging_face_name(field), why),
        other => other,
    })?;
    Ok(config)
}

/// Refuses what these architectures can have and we do not compute.
fn refuse_others(place: &Place<'_>, kind: &str) -> Result<(), Error> {
    if let Some(act) = place.string("hidden_act")?.filter(|act| *act != "silu") {
        return Err(place.wrong("hidden_act", format!("is {act:?}: only silu can be run")));
    }
    for (field, usual) in [("attention_bias", kind == "qwen2"), ("mlp_bias", false)] {
        if place.flag(field, usual)? != usual {
            return Err(
                place.wrong(field, format!("of a {kind} model must be {usual}: others cannot be run"))
            );
        }
    }
    if place.number("partial_rotary_factor")?.is_some_and(|share| share != 1.0) {
        return Err(place.wrong("partial_rotary_factor", "must be 1: heads are turned whole or not at all"));
    }
    if place.get("quantization_config").is_some() {
        let why =
            "is there: only F32, F16 and BF16 folders can be loaded; take the GGUF of a quantised model";
        return Err(place.wrong("quantization_config", why));
    }
    Ok(())
}

/// The most tokens of a sequence. Where a window would hide older tokens, sequences end before it does.
fn context(place: &Place<'_>, kind: &str) -> Result<usize, Error> {
    let all = place.needed("max_position_embeddings")?;
    let mut used = kind == "mistral" || place.flag("use_sliding_window", false)?;
    for layer in place.get("layer_types").and_then(Value::as_array).into_iter().flatten() {
        match layer.as_str() {
            Some("full_attention") => {}
            Some("sliding_attention") => used = true,
            _ => {
                return Err(
                    place.wrong("layer_types", format!("has {layer}: only full_attention can be run"))
                );
            }
        }
    }
    let window = place.count("sliding_window")?.filter(|_| used);
    Ok(window.map_or(all, |window| window.min(all)))
}

/// The base of the rotary frequencies and what was done to them: in `rope_theta` and `rope_scaling`, or in the newer `rope_parameters`.
fn rope(place: &Place<'_>) -> Result<(f32, RopeScaling), Error> {
    let (mut theta, mut scaling) = (place.number("rope_theta")?, RopeScaling::None);
    for field in ["rope_scaling", "rope_parameters"] {
        let Some(json) = place.get(field) else { continue };
        let inner = Place { file: place.file, json };
        let wrong = |why: String| place.wrong(field, why);
        let needed = |name: &str| {
            let number = inner.number(name)?;
            number.ok_or_else(|| wrong(format!("has no {name}, which its type needs")))
        };
        scaling = match inner.string("rope_type")?.or(inner.string("type")?).unwrap_or("default") {
            "default" => scaling,
            "linear" => RopeScaling::Linear { factor: needed("factor")? },
            "llama3" => RopeScaling::Llama3 {
                factor: needed("factor")?,
                low: needed("low_freq_factor")?,
                high: needed("high_freq_factor")?,
                original: match inner.count("original_max_position_embeddings")? {
                    Some(tokens) => tokens,
                    None => place.needed("max_position_embeddings")?,
                },
            },
            kind => {
                let why = "default, linear and llama3 can be run";
                return Err(wrong(format!("is of type {kind:?}: {why}")));
            }
        };
        if inner.number("partial_rotary_factor")?.is_some_and(|share| share != 1.0) {
            return Err(wrong(
                "has a partial_rotary_factor: heads are turned whole or not at all".to_owned(),
            ));
        }
        theta = inner.number("rope_theta")?.or(theta);
    }
    Ok((theta.unwrap_or(10_000.0), scaling))
}

/// What the files call a field of [`Config`].
fn hugging_face_name(field: &'static str) -> &'static str {
    match field {
        "vocabulary" => "vocab_size",
        "width" => "hidden_size",
        "layers" => "num_hidden_layers",
        "heads" => "num_attention_heads",
        "kv_heads" => "num_key_value_heads",
        "hidden" => "intermediate_size",
        "context" => "max_position_embeddings",
        "norm_eps" => "rms_norm_eps",
        other => other,
    }
}

/// A configuration as `transformers` reads it, old or new; an error if none of its architectures has this shape.
pub(crate) fn write(config: &Config) -> Result<Value, Error> {
    let (kind, class) = match (config.qkv_bias, config.qk_norm) {
        (false, false) => ("llama", "LlamaForCausalLM"),
        (true, false) => ("qwen2", "Qwen2ForCausalLM"),
        (false, true) => ("qwen3", "Qwen3ForCausalLM"),
        (true, true) => {
            let why =
                "and qk_norm together are no architecture of Hugging Face's: only one of them can be saved";
            return Err(Error::Config { field: "qkv_bias", why: why.to_owned() });
        }
    };
    let mut rope = json!({ "rope_type": "default", "rope_theta": short(config.rope_theta) });
    match config.rope_scaling {
        RopeScaling::None => {}
        RopeScaling::Linear { factor } => {
            rope["rope_type"] = json!("linear");
            rope["factor"] = json!(short(factor));
        }
        RopeScaling::Llama3 { factor, low, high, original } => {
            rope["rope_type"] = json!("llama3");
            rope["factor"] = json!(short(factor));
            rope["low_freq_factor"] = json!(short(low));
            rope["high_freq_factor"] = json!(short(high));
            rope["original_max_position_embeddings"] = json!(original);
        }
    }
    let mut json = json!({
        "architectures": [class],
        "model_type": kind,
        "vocab_size": config.vocabulary,
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.hidden,
        "max_position_embeddings": config.context,
        "rope_theta": short(config.rope_theta),
        "rope_parameters": rope,
        "rms_norm_eps": short(config.norm_eps),
        "tie_word_embeddings": config.tied,
        "attention_bias": config.qkv_bias,
        "hidden_act": "silu",
        "dtype": "float32",
        "torch_dtype": "float32",
    });
    if config.rope_scaling != RopeScaling::None {
        // Where files of before `rope_parameters` have it.
        json["rope_scaling"] = rope;
    }
    if kind == "qwen2" {
        json["use_sliding_window"] = json!(false);
    }
    Ok(json)
}

/// The number with the fewest digits that is this one in 32 bits: 0.000001 rather than 0.0000009999999974752427.
fn short(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

/// Reads the bytes of a `config.json`.
pub(crate) fn inspect(bytes: &[u8]) -> Result<Config, Error> {
    let file = Path::new("config.json");
    read(file, &super::json::parse(file, bytes)?)
}

#[cfg(test)]
mod tests {
    use super::{inspect, write};
    use crate::{Config, RopeScaling};

    const LLAMA: &str = r#"{"model_type": "llama", "vocab_size": 96, "hidden_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "intermediate_size": 96, "max_position_embeddings": 128}"#;

    /// The plain configuration with a field more.
    fn with(field: &str) -> Result<Config, String> {
        let text = LLAMA.replace(r#"{"model_type""#, &format!(r#"{{{field}, "model_type""#));
        // The second of two equal fields would count: so the first is dropped.
        let mut json: serde_json::Value = serde_json::from_str(LLAMA).unwrap();
        let more: serde_json::Value = serde_json::from_str(&format!("{{{field}}}")).unwrap();
        for (name, value) in more.as_object().unwrap() {
            json[name] = value.clone();
        }
        assert!(text.contains(field));
        inspect(json.to_string().as_bytes()).map_err(|e| e.to_string())
    }

    #[test]
    fn what_is_left_out_is_as_transformers_has_it() {
        let config = inspect(LLAMA.as_bytes()).unwrap();
        assert_eq!((config.kv_heads, config.head_dim, config.rope_theta), (4, 16, 10_000.0));
        assert!(!config.tied && !config.qkv_bias && !config.qk_norm);
        assert_eq!(config.norm_eps, 1e-6);
        assert_eq!(with(r#""model_type": "qwen3""#).unwrap().head_dim, 128);
        assert!(with(r#""model_type": "qwen2""#).unwrap().qkv_bias);
    }

    #[test]
    fn the_base_of_the_frequencies_is_found_in_all_its_places() {
        for field in [
            r#""rope_theta": 500000.0"#,
            r#""rope_parameters": {"rope_type": "default", "rope_theta": 500000}"#,
            r#""rope_theta": 500000, "rope_scaling": null"#,
            r#""rope_theta": 500000, "rope_scaling": {"type": "default"}"#,
        ] {
            assert_eq!(with(field).unwrap().rope_theta, 500_000.0, "{field}");
        }
    }

    #[test]
    fn positions_may_be_scaled() {
        let old =
            with(r#""rope_theta": 500000.0, "rope_scaling": {"type": "linear", "factor": 4.0}"#).unwrap();
        assert_eq!((old.rope_theta, old.rope_scaling), (500_000.0, RopeScaling::Linear { factor: 4.0 }));
        let llama3 = r#"{"rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}"#;
        let right = RopeScaling::Llama3 { factor: 32.0, low: 1.0, high: 4.0, original: 8192 };
        for field in ["rope_scaling", "rope_parameters"] {
            let config = with(&format!(r#""{field}": {llama3}"#)).unwrap();
            assert_eq!((config.rope_theta, config.rope_scaling), (500_000.0, right));
        }
    }

    #[test]
    fn a_window_ends_the_context() {
        assert_eq!(with(r#""sliding_window": 32"#).unwrap().context, 128);
        assert_eq!(with(r#""model_type": "mistral", "sliding_window": 32"#).unwrap().context, 32);
        assert_eq!(with(r#""use_sliding_window": true, "sliding_window": 32"#).unwrap().context, 32);
    }

    #[test]
    fn what_would_compute_otherwise_is_refused_by_its_name() {
        for (field, says) in [
            (r#""model_type": "gpt_neox""#, "model_type"),
            (r#""model_type": 7"#, "model_type"),
            (r#""hidden_act": "gelu""#, "hidden_act"),
            (r#""attention_bias": true"#, "attention_bias"),
            (r#""mlp_bias": true"#, "mlp_bias"),
            (
                r#""rope_scaling": {"rope_type": "llama3", "factor": 8.0}"#,
                "rope_scaling has no low_freq_factor",
            ),
            (r#""rope_scaling": {"type": "linear"}"#, "rope_scaling has no factor"),
            (r#""rope_scaling": {"type": "linear", "factor": 0}"#, "rope_scaling must have a factor"),
            (r#""rope_scaling": {"type": "linear", "factor": 1e9}"#, "rope_scaling must have a factor"),
            (r#""rope_parameters": {"rope_type": "yarn"}"#, "rope_parameters"),
            (r#""partial_rotary_factor": 0.5"#, "partial_rotary_factor"),
            (r#""quantization_config": {}"#, "quantization_config"),
            (r#""layer_types": ["full_attention", "linear_attention"]"#, "layer_types"),
            (r#""vocab_size": null"#, "vocab_size is missing"),
            (r#""vocab_size": -3"#, "vocab_size must be a whole number"),
            (r#""hidden_size": 1e300"#, "hidden_size must be a whole number"),
            (r#""num_attention_heads": 3"#, "num_attention_heads must divide hidden_size"),
            (r#""num_key_value_heads": 3"#, "num_key_value_heads must divide heads"),
            (r#""num_attention_heads": 0"#, "num_attention_heads"),
            (r#""num_hidden_layers": 5000"#, "num_hidden_layers must be at most"),
            (r#""rope_theta": "much""#, "rope_theta must be a number"),
            (r#""tie_word_embeddings": 1"#, "tie_word_embeddings must be true or false"),
        ] {
            let error = with(field).unwrap_err();
            assert!(error.starts_with("config.json: ") && error.contains(says), "{field}: {error}");
        }
        assert!(inspect(b"[]").is_err() && inspect(b"{").is_err() && inspect(b"").is_err());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let llama = inspect(LLAMA.as_bytes()).unwrap();
        for config in [
            llama.clone(),
            Config { tied: true, rope_theta: 1e6, norm_eps: 1e-5, kv_heads: 2, ..llama.clone() },
            Config { qkv_bias: true, head_dim: 24, ..llama.clone() },
            Config { qk_norm: true, head_dim: 32, ..llama.clone() },
            Config { rope_scaling: RopeScaling::Linear { factor: 2.5 }, ..llama.clone() },
            Config {
                rope_scaling: RopeScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 64 },
                ..llama.clone()
            },
        ] {
            let json = write(&config).unwrap().to_string();
            assert_eq!(inspect(json.as_bytes()).unwrap(), config, "{json}");
        }
        assert!(write(&Config { qkv_bias: true, qk_norm: true, ..llama }).is_err());
    }
}
