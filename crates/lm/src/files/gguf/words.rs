//! The tokenizer inside a GGUF file, as the `tokenizer.json` it was made from.

use std::path::Path;

use serde_json::{Map, Value as Json, json};

use super::Fields;
use super::header::Header;
use crate::tokenizer::added;
use crate::{Chat, Error, Language, Tokenizer};

/// How text is cut before merging, by the name the file gives it: what `tokenizer.json` says for the models of that name.
fn cuts(name: &str) -> Option<Json> {
    let bytes = |regex: bool| json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": regex });
    let split = |digits: &str| {
        // Contractions; letters with one sign before them; digits; signs; line ends; spaces.
        let regex = format!(
            "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{{L}}\\p{{N}}]?\\p{{L}}+|\\p{{N}}{digits}| ?[^\\s\\p{{L}}\\p{{N}}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
        );
        json!({ "type": "Split", "pattern": { "Regex": regex }, "behavior": "Isolated", "invert": false })
    };
    let sequence = |parts: [Json; 2]| json!({ "type": "Sequence", "pretokenizers": parts });
    Some(match name {
        "gpt-2" | "default" => bytes(true),
        "smollm" => sequence([json!({ "type": "Digits", "individual_digits": true }), bytes(true)]),
        "qwen2" => sequence([split(""), bytes(false)]),
        "llama-bpe" | "llama-v3" | "llama3" => sequence([split("{1,3}"), bytes(false)]),
        _ => return None,
    })
}

/// Kinds of tokens in the file's list.
const CONTROL: f64 = 3.0;
const USER: f64 = 4.0;

/// Reads it; nothing if the file has none.
pub(super) fn read(path: &Path, header: &Header) -> Result<Option<Language>, Error> {
    let fields = Fields { path, header };
    let Some(model) = fields.text("tokenizer.ggml.model")? else { return Ok(None) };
    if model != "gpt2" {
        let why = format!(
            "is {model:?}: only gpt2 (byte-level BPE) can be used; take the model's Hugging Face folder"
        );
        return Err(fields.wrong("tokenizer.ggml.model", why));
    }
    let cut = fields.text("tokenizer.ggml.pre")?.unwrap_or("default");
    let before = cuts(cut).ok_or_else(|| {
        let why = format!(
            "is {cut:?}: gpt-2, smollm, qwen2 and llama-bpe can be used; take the model's Hugging Face folder"
        );
        fields.wrong("tokenizer.ggml.pre", why)
    })?;
    let tokens = fields.texts("tokenizer.ggml.tokens")?;
    let kinds = fields.numbers("tokenizer.ggml.token_type")?.unwrap_or_default();
    let (mut vocabulary, mut special) = (Map::new(), Vec::new());
    for (id, token) in tokens.iter().enumerate() {
        match kinds.get(id) {
            Some(&CONTROL) => special.push(added(id, token, true)),
            Some(&USER) => special.push(added(id, token, false)),
            _ => {}
        }
        if vocabulary.insert(token.clone(), json!(id)).is_some() {
            return Err(fields.wrong("tokenizer.ggml.tokens", format!("has {token:?} twice")));
        }
    }
    let merges: Vec<Json> = fields.texts("tokenizer.ggml.merges")?.iter().map(|merge| json!(merge)).collect();
    let begin = fields.token("tokenizer.ggml.bos_token_id")?;
    let name = |token: Option<u32>| token.and_then(|token| tokens.get(token as usize)).map(String::as_str);
    // A text that stands alone begins with the token for that, where the file says so.
    let begins = fields.flag("tokenizer.ggml.add_bos_token")?;
    let around = match name(begin).filter(|_| begins) {
        None => Json::Null,
        Some(token) => json!({
            "type": "TemplateProcessing",
            "single": [{ "SpecialToken": { "id": token, "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
            "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 0 } }],
            "special_tokens": { token: { "id": token, "ids": [begin], "tokens": [token] } },
        }),
    };
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": special,
        "normalizer": if cut == "qwen2" { json!({ "type": "NFC" }) } else { Json::Null },
        "pre_tokenizer": before, "post_processor": around,
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": cut.starts_with("llama"), "vocab": vocabulary, "merges": merges,
        },
    });
    let tokenizer = Tokenizer::from_value(json, &format!("of {}", path.display()))?;
    let end = fields.token("tokenizer.ggml.eos_token_id")?;
    let mut ends: Vec<u32> =
        [end, fields.token("tokenizer.ggml.eot_token_id")?].into_iter().flatten().collect();
    ends.sort_unstable();
    ends.dedup();
    let pad = fields.token("tokenizer.ggml.padding_token_id")?;
    let named = [("bos_token", name(begin)), ("eos_token", name(end)), ("pad_token", name(pad))];
    let named: Vec<(&str, &str)> = named.into_iter().filter_map(|(n, text)| Some((n, text?))).collect();
    let template = fields.text("tokenizer.chat_template")?;
    let place = format!("{} (tokenizer.chat_template)", path.display());
    let chat = template.map(|source| Chat::new(&place, source, &named)).transpose()?;
    Ok(Some(Language { tokenizer, chat, begin, ends, pad }))
}
