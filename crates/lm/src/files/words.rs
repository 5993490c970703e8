//! How a model's folder turns conversations into tokens: tokenizer, chat template, and the tokens that begin and end.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::json::{self, Place};
use crate::tokenizer::FILE_BYTES;
use crate::{Chat, Error, Message, Tokenizer};

/// The longest of the small files.
const SMALL_BYTES: u64 = 16 << 20;
/// The files this is in.
const TOKENIZER: &str = "tokenizer.json";
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
const GENERATION: &str = "generation_config.json";
const TEMPLATE: &str = "chat_template.jinja";

/// How texts and conversations become tokens, and when an answer has ended.
#[derive(Clone, Debug)]
pub struct Language {
    /// Texts as tokens and back.
    pub tokenizer: Tokenizer,
    /// Conversations as texts, if the model was made for conversations.
    pub chat: Option<Chat>,
    /// The token that begins a text, if there is one.
    pub begin: Option<u32>,
    /// The tokens that end an answer.
    pub ends: Vec<u32>,
    /// The token that fills up short sequences, if there is one.
    pub pad: Option<u32>,
}

impl Language {
    /// A conversation as tokens, up to where the model's answer begins.
    pub fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>, Error> {
        let chat = self.chat.as_ref().ok_or(Error::Empty {
            what: "the model's chat template (give it a plain text as its prompt instead), which",
        })?;
        self.tokenizer.encode(&chat.render(messages, true)?)
    }
}

/// Reads what a folder has of it; nothing if there is no tokenizer. `ends` are those that the model's configuration names.
pub(super) fn read(folder: &Path, config: &Place<'_>) -> Result<Option<Language>, Error> {
    let path = folder.join(TOKENIZER);
    if !path.exists() {
        return Ok(None);
    }
    let tokenizer = Tokenizer::from_json(&json::bytes(&path, FILE_BYTES)?, &path.display().to_string())?;
    let small = |name: &str| -> Result<Value, Error> {
        let path = folder.join(name);
        if path.exists() { json::read(&path, SMALL_BYTES) } else { Ok(Value::Null) }
    };
    let file = folder.join(TOKENIZER_CONFIG);
    let written = small(TOKENIZER_CONFIG)?;
    let settings = Place { file: &file, json: &written };
    let named = special(&settings)?;
    let token = |name: &str| {
        let text = named.iter().find(|(n, _)| n == name).map(|(_, text)| text.as_str());
        text.and_then(|text| tokenizer.token(text))
    };
    let generation_file = folder.join(GENERATION);
    let generation = small(GENERATION)?;
    let generation = Place { file: &generation_file, json: &generation };
    // The generation's settings come first in `transformers` too.
    let mut ends = generation.tokens("eos_token_id")?;
    if ends.is_empty() {
        ends = config.tokens("eos_token_id")?;
    }
    let turn = token("eos_token");
    ends.extend(turn);
    ends.sort_unstable();
    ends.dedup();
    let begin = config.tokens("bos_token_id")?.first().copied().or_else(|| token("bos_token"));
    let pad = config.tokens("pad_token_id")?.first().copied().or_else(|| token("pad_token"));
    let chat = template(folder, &settings, &named)?;
    Ok(Some(Language { tokenizer, chat, begin, ends, pad }))
}

/// The special tokens that a template may write by name.
fn special(settings: &Place<'_>) -> Result<Vec<(String, String)>, Error> {
    let mut named = Vec::new();
    for name in ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"] {
        let text = match settings.get(name) {
            None => continue,
            // As older files write it: a token with its properties.
            Some(Value::Object(token)) => token.get("content").and_then(Value::as_str),
            Some(value) => value.as_str(),
        };
        let text = text.ok_or_else(|| settings.wrong(name, "must be a token's text"))?;
        named.push((name.to_owned(), text.to_owned()));
    }
    Ok(named)
}

/// The chat template: a file of its own, or a field of the tokenizer's settings.
fn template(folder: &Path, settings: &Place<'_>, named: &[(String, String)]) -> Result<Option<Chat>, Error> {
    let tokens: Vec<(&str, &str)> = named.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    let own = folder.join(TEMPLATE);
    if own.exists() {
        let bytes = json::bytes(&own, SMALL_BYTES)?;
        let name = own.display().to_string();
        let source = String::from_utf8(bytes)
            .map_err(|e| Error::Template { name: name.clone(), why: format!("is no UTF-8: {e}") })?;
        return Chat::new(&name, &source, &tokens).map(Some);
    }
    let wrong =
        || settings.wrong("chat_template", "must be a text, or a list of named ones with one named default");
    let source = match settings.get("chat_template") {
        None => return Ok(None),
        Some(Value::Array(several)) => {
            let default = several.iter().find(|one| one["name"] == "default");
            default.and_then(|one| one["template"].as_str()).ok_or_else(wrong)?
        }
        Some(one) => one.as_str().ok_or_else(wrong)?,
    };
    let name = format!("{} (chat_template)", settings.file.display());
    Chat::new(&name, source, &tokens).map(Some)
}

/// Writes it into a folder, as `transformers` reads it, and adds the special tokens' numbers to the model's configuration.
pub(super) fn write(
    folder: &Path,
    language: Option<&Language>,
    context: usize,
    config: &mut Value,
) -> Result<(), Error> {
    let Some(language) = language else {
        // What was there belongs to another model.
        return [TOKENIZER, TOKENIZER_CONFIG, GENERATION, TEMPLATE]
            .iter()
            .try_for_each(|f| json::remove(&folder.join(f)));
    };
    let Language { tokenizer, chat, begin, ends, pad } = language;
    json::text(&folder.join(TOKENIZER), &tokenizer.to_json()?)?;
    let mut settings = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": context,
        "clean_up_tokenization_spaces": false,
    });
    // The end that a template writes is the one that a conversation needs.
    let end = chat.as_ref().and_then(|chat| chat.token("eos_token")).map(str::to_owned);
    let end = end.or_else(|| ends.first().and_then(|end| tokenizer.name(*end)));
    let name = |token: &Option<u32>| token.and_then(|token| tokenizer.name(token));
    for (field, text) in [("bos_token", name(begin)), ("eos_token", end), ("pad_token", name(pad))] {
        if let Some(text) = text {
            settings[field] = json!(text);
        }
    }
    if let Some(chat) = chat {
        settings["chat_template"] = json!(chat.source());
    }
    json::write(&folder.join(TOKENIZER_CONFIG), &settings)?;
    // The field says it; a file of another model would say otherwise.
    json::remove(&folder.join(TEMPLATE))?;
    let mut numbers = Map::new();
    let ends = match ends.as_slice() {
        [] => Value::Null,
        [one] => json!(one),
        several => json!(several),
    };
    for (field, value) in
        [("bos_token_id", json!(begin)), ("eos_token_id", ends), ("pad_token_id", json!(pad))]
    {
        numbers.insert(field.to_owned(), value.clone());
        config[field] = value;
    }
    json::write(&folder.join(GENERATION), &Value::Object(numbers))
}
