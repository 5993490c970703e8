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
const UNKNOWN: f64 = 2.0;
const CONTROL: f64 = 3.0;
const USER: f64 = 4.0;

/// The longest piece that is put together of two others. Every way to cut each piece is looked at.
const PIECE_BYTES: usize = 128;

/// Reads it; nothing if the file has none.
pub(super) fn read(path: &Path, header: &Header) -> Result<Option<Language>, Error> {
    let fields = Fields { path, header };
    let Some(model) = fields.text("tokenizer.ggml.model")? else { return Ok(None) };
    let tokens = fields.texts("tokenizer.ggml.tokens")?;
    let kinds = fields.numbers("tokenizer.ggml.token_type")?.unwrap_or_default();
    let (mut vocabulary, mut special) = (Map::new(), Vec::new());
    for (id, token) in tokens.iter().enumerate() {
        match kinds.get(id) {
            Some(&CONTROL) => special.push(added(id, token, true)),
            Some(&UNKNOWN) if model == "llama" => special.push(added(id, token, true)),
            Some(&USER) => special.push(added(id, token, false)),
            _ => {}
        }
        if vocabulary.insert(token.clone(), json!(id)).is_some() {
            return Err(fields.wrong("tokenizer.ggml.tokens", format!("has {token:?} twice")));
        }
    }
    let (mut json, begins) = match model {
        "gpt2" => (of_bytes(&fields)?, false),
        "llama" => (of_pieces(&fields, tokens, &vocabulary, kinds)?, true),
        other => {
            let why = format!(
                "is {other:?}: gpt2 (byte-level BPE) and llama (sentencepiece's BPE) can be used; take the model's Hugging Face folder"
            );
            return Err(fields.wrong("tokenizer.ggml.model", why));
        }
    };
    json["model"]["vocab"] = Json::Object(vocabulary);
    json["added_tokens"] = json!(special);
    let begin = fields.token("tokenizer.ggml.bos_token_id")?;
    let name = |token: Option<u32>| token.and_then(|token| tokens.get(token as usize)).map(String::as_str);
    // A text that stands alone begins with the token for that, where the file says so.
    let begins = match header.values.get("tokenizer.ggml.add_bos_token") {
        None => begins,
        Some(_) => fields.flag("tokenizer.ggml.add_bos_token")?,
    };
    if let Some(token) = name(begin).filter(|_| begins) {
        json["post_processor"] = json!({
            "type": "TemplateProcessing",
            "single": [{ "SpecialToken": { "id": token, "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
            "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 0 } }],
            "special_tokens": { token: { "id": token, "ids": [begin], "tokens": [token] } },
        });
    }
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

/// A tokenizer of bytes (GPT-2's kind) but for its tokens: how a text is cut, and which pieces are joined in which order.
fn of_bytes(fields: &Fields<'_>) -> Result<Json, Error> {
    let cut = fields.text("tokenizer.ggml.pre")?.unwrap_or("default");
    let before = cuts(cut).ok_or_else(|| {
        let why = format!(
            "is {cut:?}: gpt-2, smollm, qwen2 and llama-bpe can be used; take the model's Hugging Face folder"
        );
        fields.wrong("tokenizer.ggml.pre", why)
    })?;
    let merges: Vec<Json> = fields.texts("tokenizer.ggml.merges")?.iter().map(|merge| json!(merge)).collect();
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null,
        "normalizer": if cut == "qwen2" { json!({ "type": "NFC" }) } else { Json::Null },
        "pre_tokenizer": before, "post_processor": null,
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": cut.starts_with("llama"), "merges": merges,
        },
    }))
}

/// A tokenizer of pieces with scores (sentencepiece's BPE) but for its tokens. Of any two neighbours those are joined first whose joint piece
/// has the highest score; what has no piece is spelled in bytes.
fn of_pieces(
    fields: &Fields<'_>,
    tokens: &[String],
    vocabulary: &Map<String, Json>,
    kinds: &[f64],
) -> Result<Json, Error> {
    let field = "tokenizer.ggml.scores";
    let scores = fields.numbers(field)?.unwrap_or_default();
    if scores.len() != tokens.len() || scores.iter().any(|score| score.is_nan()) {
        return Err(fields.wrong(field, format!("must be {} numbers, one for each token", tokens.len())));
    }
    let id = |piece: &str| vocabulary.get(piece).and_then(Json::as_u64);
    // Score, and the numbers of the two parts.
    let mut merges: Vec<(f64, [u64; 2], [&str; 2])> = Vec::new();
    for (token, score) in tokens.iter().zip(scores).filter(|(token, _)| token.len() <= PIECE_BYTES) {
        for (at, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(at);
            if let (Some(a), Some(b)) = (id(left), id(right)) {
                merges.push((*score, [a, b], [left, right]));
            }
        }
    }
    merges.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let merges: Vec<Json> = merges.into_iter().map(|(_, _, parts)| json!(parts)).collect();
    let prefix = match fields.header.values.get("tokenizer.ggml.add_space_prefix") {
        None => true,
        Some(_) => fields.flag("tokenizer.ggml.add_space_prefix")?,
    };
    let space = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "\u{2581}" });
    let normalizers =
        if prefix { json!([{ "type": "Prepend", "prepend": "\u{2581}" }, space]) } else { json!([space]) };
    let mut decoders = vec![
        json!({ "type": "Replace", "pattern": { "String": "\u{2581}" }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    if prefix {
        decoders.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    let unknown = kinds.iter().position(|kind| *kind == UNKNOWN).and_then(|id| tokens.get(id));
    Ok(json!({
        "version": "1.0", "truncation": null, "padding": null,
        "normalizer": { "type": "Sequence", "normalizers": normalizers },
        "pre_tokenizer": null, "post_processor": null,
        "decoder": { "type": "Sequence", "decoders": decoders },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": unknown, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "merges": merges,
        },
    }))
}
