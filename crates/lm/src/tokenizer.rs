//! Texts as tokens and back, as a `tokenizer.json` says.

use serde_json::{Value, json};
use tokenizers::Tokenizer as Engine;

use crate::Error;

/// The longest `tokenizer.json`: a quarter of a million tokens have about 30 MB.
pub(crate) const FILE_BYTES: u64 = 128 << 20;
/// The longest text.
const TEXT_BYTES: usize = 16 << 20;
/// The highest token there may be.
const TOKENS: u64 = 1 << 24;

/// Texts as tokens and back, as a `tokenizer.json` says.
#[derive(Clone)]
pub struct Tokenizer {
    engine: Engine,
    len: usize,
    /// Whether what has no token is spelled in tokens named `<0x0A>`, each a byte.
    spells_bytes: bool,
    name: String,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "tokenizer {} of {} tokens", self.name, self.len)
    }
}

impl Tokenizer {
    /// A tokenizer from the text of a `tokenizer.json`; `name` is what errors call it.
    ///
    /// The parts that BPE tokenizers are made of are understood; others are refused by name, and so is whatever draws by chance.
    pub fn from_json(json: &[u8], name: &str) -> Result<Tokenizer, Error> {
        let wrong = |why: String| Error::Tokenizer { name: name.to_owned(), why };
        if json.len() as u64 > FILE_BYTES {
            return Err(wrong(format!("has {} bytes; at most {FILE_BYTES} are allowed", json.len())));
        }
        let json = serde_json::from_slice(json).map_err(|e| wrong(format!("is no JSON: {e}")))?;
        Tokenizer::from_value(json, name)
    }

    pub(crate) fn from_value(mut json: Value, name: &str) -> Result<Tokenizer, Error> {
        let wrong = |why: String| Error::Tokenizer { name: name.to_owned(), why };
        check(&json).map_err(wrong)?;
        // How a batch is filled up or cut is the caller's to say.
        for field in ["truncation", "padding"] {
            json[field] = Value::Null;
        }
        let spells_bytes = json["model"]["byte_fallback"] == true;
        let engine: Engine = serde_json::from_value(json).map_err(|e| wrong(e.to_string()))?;
        let last = engine.get_vocab(true).into_values().max();
        let len = last.map_or(0, |last| last as usize + 1);
        if len == 0 || len as u64 > TOKENS {
            return Err(wrong(format!("has {len} tokens; 1 to {TOKENS} are allowed")));
        }
        Ok(Tokenizer { engine, len, spells_bytes, name: name.to_owned() })
    }

    /// A tokenizer with one token for each of these characters, after the special tokens, which stand for themselves.
    pub fn characters(special: &[&str], characters: &[char]) -> Result<Tokenizer, Error> {
        let tokens: Vec<String> = characters.iter().map(|c| String::from(*c)).collect();
        simple(special, &tokens, &Value::Null, &json!({ "type": "Fuse" }))
    }

    /// A tokenizer with one token for each byte, after the special tokens, which stand for themselves. It knows every text.
    pub fn bytes(special: &[&str]) -> Result<Tokenizer, Error> {
        let level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false });
        let tokens: Vec<String> = (0..=255).map(|byte| String::from(letter(byte))).collect();
        simple(special, &tokens, &level, &level)
    }

    /// It as the text of a `tokenizer.json`.
    pub fn to_json(&self) -> Result<String, Error> {
        self.engine.to_string(true).map_err(|e| self.wrong(&*e))
    }

    /// One more than its highest token.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Never: a tokenizer has at least one token.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// A text as tokens. Special tokens that are written out in it are read as such, and none is added.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        self.encode_with(text, false)
    }

    /// A text as tokens, with what the tokenizer puts around a text that stands alone: for many, a token that begins it.
    pub fn encode_alone(&self, text: &str) -> Result<Vec<u32>, Error> {
        self.encode_with(text, true)
    }

    fn encode_with(&self, text: &str, alone: bool) -> Result<Vec<u32>, Error> {
        if text.len() > TEXT_BYTES {
            let why = format!(
                "takes texts of at most {TEXT_BYTES} bytes, and this one has {}: give it in parts",
                text.len()
            );
            return Err(Error::Tokenizer { name: self.name.clone(), why });
        }
        let encoding = self.engine.encode_fast(text, alone).map_err(|e| self.wrong(&*e))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Tokens as a text, without the special ones.
    pub fn decode(&self, tokens: &[u32]) -> Result<String, Error> {
        self.engine.decode(tokens, true).map_err(|e| self.wrong(&*e))
    }

    /// Tokens as a text, the special ones written out.
    pub fn decode_all(&self, tokens: &[u32]) -> Result<String, Error> {
        self.engine.decode(tokens, false).map_err(|e| self.wrong(&*e))
    }

    /// The token of this name: a special token as it is written, or a piece of text as the tokenizer spells it.
    pub fn token(&self, name: &str) -> Option<u32> {
        self.engine.token_to_id(name)
    }

    /// The name of a token.
    pub fn name(&self, token: u32) -> Option<String> {
        self.engine.id_to_token(token)
    }

    /// The bytes of every token, by its number, as [`Words`](crate::Words) takes them to look for what lies across tokens. None for
    /// special tokens, which are no part of an answer's text.
    pub fn words(&self) -> Result<Vec<Vec<u8>>, Error> {
        let added = self.engine.get_added_tokens_decoder();
        let by_bytes = serde_json::to_value(self.engine.get_decoder())
            .is_ok_and(|d| d.to_string().contains("\"ByteLevel\""));
        let spelled = |name: &str| {
            let digits = name.strip_prefix("<0x")?.strip_suffix('>')?;
            u8::from_str_radix(digits, 16).ok().filter(|_| self.spells_bytes && digits.len() == 2)
        };
        let byte_of: std::collections::HashMap<char, u8> =
            (0..=255).map(|byte| (letter(byte), byte)).collect();
        let word = |token: u32| -> Result<Vec<u8>, Error> {
            match (added.get(&token), self.engine.id_to_token(token)) {
                (Some(added), _) if added.special => Ok(Vec::new()),
                (Some(added), _) => Ok(added.content.clone().into_bytes()),
                (None, Some(name)) if by_bytes => {
                    Ok(name.chars().filter_map(|c| byte_of.get(&c).copied()).collect())
                }
                (None, Some(name)) if spelled(&name).is_some() => Ok(spelled(&name).into_iter().collect()),
                // Beside other letters: a decoder may take a space from the front of a text.
                (None, Some(_)) => {
                    let (one, two) = (self.decode(&[token])?, self.decode(&[token, token])?);
                    Ok(two.strip_prefix(one.as_str()).unwrap_or(&one).as_bytes().to_vec())
                }
                (None, None) => Ok(Vec::new()),
            }
        };
        (0..self.len as u32).map(word).collect()
    }

    /// Text from tokens that come one by one.
    pub fn stream(&self) -> Stream<'_> {
        Stream { tokenizer: self, tokens: Vec::new(), shown: 0 }
    }

    fn wrong(&self, error: &(dyn std::error::Error + Send + Sync)) -> Error {
        Error::Tokenizer { name: self.name.clone(), why: error.to_string() }
    }
}

/// Text from tokens that come one by one: a token may be half a character, which is kept until the other half is there.
#[derive(Debug)]
pub struct Stream<'a> {
    tokenizer: &'a Tokenizer,
    /// Those whose text has been given, as far back as the next may need them, and those that wait.
    tokens: Vec<u32>,
    /// How many of them have been given.
    shown: usize,
}

/// A character has at most four bytes, so no more tokens than that can be pieces of it.
const PIECES: usize = 4;

impl Stream<'_> {
    /// The text that is certain now that this token is there; often none.
    pub fn push(&mut self, token: u32) -> Result<String, Error> {
        self.tokens.push(token);
        let (before, text) = self.texts()?;
        // Bytes that are no character yet read as this sign.
        let open = text.ends_with(char::REPLACEMENT_CHARACTER);
        if open && self.tokens.len() - self.shown < PIECES {
            return Ok(String::new());
        }
        let new = text.strip_prefix(before.as_str()).unwrap_or_default().to_owned();
        // Spaces may depend on the token before: so what was just given stays.
        let keep = if open { self.tokens.len() } else { self.shown };
        self.tokens.drain(..keep);
        self.shown = self.tokens.len();
        Ok(new)
    }

    /// What is left when no more tokens come; bytes that are no character as a sign for that.
    pub fn finish(self) -> Result<String, Error> {
        let (before, text) = self.texts()?;
        Ok(text.strip_prefix(before.as_str()).unwrap_or_default().to_owned())
    }

    fn texts(&self) -> Result<(String, String), Error> {
        let before = self.tokenizer.decode(&self.tokens[..self.shown])?;
        Ok((before, self.tokenizer.decode(&self.tokens)?))
    }
}

/// A BPE tokenizer that never joins: every piece is a token.
fn simple(special: &[&str], tokens: &[String], before: &Value, decoder: &Value) -> Result<Tokenizer, Error> {
    let mut vocabulary = serde_json::Map::new();
    for token in special.iter().copied().chain(tokens.iter().map(String::as_str)) {
        let number = vocabulary.len();
        if vocabulary.insert(token.to_owned(), json!(number)).is_some() {
            let why = format!("would have two tokens {token:?}: give each its own name");
            return Err(Error::Tokenizer { name: "of characters".to_owned(), why });
        }
    }
    let added: Vec<Value> = (0..).zip(special).map(|(id, content)| added(id, content, true)).collect();
    let model = json!({
        "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
        "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
        "vocab": vocabulary, "merges": [],
    });
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": before, "post_processor": null, "decoder": decoder, "model": model,
    });
    Tokenizer::from_value(json, "of characters")
}

/// The entry of a token that is looked for in the text before anything else happens to it.
pub(crate) fn added(id: usize, content: &str, special: bool) -> Value {
    json!({
        "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
        "normalized": false, "special": special,
    })
}

/// The printable character that stands for a byte in tokenizers of bytes: itself where it is one, else one from 256 on.
fn letter(byte: u8) -> char {
    let printable = |b: u8| matches!(b, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|b| !printable(*b)).count() as u32;
    char::from_u32(256 + before).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Refuses what the engine is not to be trusted with.
fn check(json: &Value) -> Result<(), String> {
    if !json.is_object() {
        return Err("must be one JSON object".to_owned());
    }
    let model = &json["model"];
    // Files of old leave the type out.
    let kind = model["type"].as_str().unwrap_or(if model["merges"].is_array() { "BPE" } else { "" });
    if kind != "BPE" {
        return Err(format!("model.type is {kind:?}: only BPE can be used"));
    }
    for field in ["dropout", "continuing_subword_prefix", "end_of_word_suffix"] {
        let none = match &model[field] {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            other => other.as_f64() == Some(0.0),
        };
        if !none {
            return Err(format!("model.{field} is {}: it must be null", model[field]));
        }
    }
    let too_high = |id: &Value| id.as_u64().is_none_or(|id| id >= TOKENS);
    let vocabulary =
        model["vocab"].as_object().ok_or("model.vocab must be an object of tokens and their numbers")?;
    if let Some((token, id)) = vocabulary.iter().find(|(_, id)| too_high(id)) {
        return Err(format!(
            "model.vocab: the token {token:?} has the number {id}; less than {TOKENS} is allowed"
        ));
    }
    for token in json["added_tokens"].as_array().into_iter().flatten() {
        if too_high(&token["id"]) {
            return Err(format!("added_tokens: {token} has no number below {TOKENS}"));
        }
    }
    parts(
        &json["normalizer"],
        "normalizer",
        "normalizers",
        &["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Prepend", "Replace", "Strip", "StripAccents"],
    )?;
    parts(
        &json["pre_tokenizer"],
        "pre_tokenizer",
        "pretokenizers",
        &["ByteLevel", "Digits", "Metaspace", "Punctuation", "Split", "Whitespace", "WhitespaceSplit"],
    )?;
    parts(&json["post_processor"], "post_processor", "processors", &["ByteLevel", "TemplateProcessing"])?;
    let decoders = ["ByteFallback", "ByteLevel", "Fuse", "Metaspace", "Replace", "Strip"];
    parts(&json["decoder"], "decoder", "decoders", &decoders)
}

/// That a part, or every part of a sequence, is one of these.
fn parts(part: &Value, field: &str, inner: &str, known: &[&str]) -> Result<(), String> {
    let several = match part["type"].as_str() {
        Some("Sequence") => part[inner].as_array().map(Vec::as_slice).unwrap_or_default(),
        _ => std::slice::from_ref(part),
    };
    for one in several.iter().filter(|one| !one.is_null()) {
        let kind = one["type"].as_str().unwrap_or("nothing");
        if !known.contains(&kind) {
            return Err(format!("{field} has {kind:?}: only {} can be used", known.join(", ")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_letter_of_its_own() {
        let letters: std::collections::HashSet<char> = (0..=255).map(letter).collect();
        assert_eq!(letters.len(), 256);
        assert_eq!([letter(b' '), letter(b'\n'), letter(b'a')], ['Ġ', 'Ċ', 'a']);
    }

    #[test]
    fn bytes_know_every_text_and_streams_wait_for_whole_characters() {
        let tokenizer = Tokenizer::bytes(&["<|end|>"]).unwrap();
        assert_eq!(tokenizer.len(), 257);
        for text in [
            "",
            "plain",
            " two  spaces\n\ttab ",
            "Zürich 東京 🦜🏽 \u{0} e\u{301}",
            "\u{fffd} is a character too",
        ] {
            let tokens = tokenizer.encode(text).unwrap();
            assert_eq!(tokens.len(), text.len());
            assert_eq!(tokenizer.decode(&tokens).unwrap(), text);
            let mut stream = tokenizer.stream();
            let mut said = String::new();
            for token in &tokens {
                let new = stream.push(*token).unwrap();
                assert!(text[said.len()..].starts_with(&new), "{new:?} after {said:?}");
                said += &new;
            }
            assert_eq!(said + &stream.finish().unwrap(), text);
        }
        assert_eq!(tokenizer.encode("a<|end|>b").unwrap(), [1 + 97, 0, 1 + 98]);
        assert_eq!(tokenizer.decode(&[98, 0, 99]).unwrap(), "ab");
        assert_eq!(tokenizer.decode_all(&[98, 0, 99]).unwrap(), "a<|end|>b");
        assert_eq!(tokenizer.token("<|end|>"), Some(0));
        let words = tokenizer.words().unwrap();
        assert!(words[0].is_empty() && (0..=255u8).all(|b| words[1 + usize::from(b)] == [b]));
    }

    #[test]
    fn bytes_that_are_no_character_do_not_hold_the_stream_up() {
        let tokenizer = Tokenizer::bytes(&[]).unwrap();
        let mut stream = tokenizer.stream();
        let said: String =
            [0xff; 5].iter().chain(b"abcd").map(|b| stream.push(u32::from(*b)).unwrap()).collect();
        assert!(said.starts_with('\u{fffd}') && said.ends_with("abcd"), "{said:?}");
    }

    #[test]
    fn a_saved_tokenizer_is_the_same() {
        let tokenizer = Tokenizer::characters(&["<|pad|>", "<|end|>"], &['a', 'ß', ' ', '🦜', '\n']).unwrap();
        let json = tokenizer.to_json().unwrap();
        let again = Tokenizer::from_json(json.as_bytes(), "again").unwrap();
        assert_eq!(again.to_json().unwrap(), json);
        assert_eq!(again.encode("ß a🦜\n<|end|>").unwrap(), [3, 4, 2, 5, 6, 1]);
        assert_eq!(again.decode(&[3, 4, 2, 5, 6, 1]).unwrap(), "ß a🦜\n");
        assert_eq!(again.words().unwrap()[2..].concat(), "aß 🦜\n".as_bytes());
    }

    #[test]
    fn what_cannot_be_used_is_refused_by_its_name() {
        let good = Tokenizer::bytes(&["<|end|>"]).unwrap().to_json().unwrap();
        for (pointer, value, says) in [
            ("/model/type", json!("Unigram"), "model.type"),
            ("/model/dropout", json!(0.1), "model.dropout"),
            ("/model/continuing_subword_prefix", json!("##"), "model.continuing_subword_prefix"),
            ("/model/vocab", json!([]), "model.vocab"),
            ("/model/vocab/a", json!(1u64 << 40), "less than"),
            ("/model/vocab/a", json!(-1), "less than"),
            ("/added_tokens/0/id", json!(u32::MAX), "added_tokens"),
            ("/normalizer", json!({ "type": "Precompiled", "precompiled_charsmap": "AAAA" }), "Precompiled"),
            ("/pre_tokenizer", json!({ "type": "Sequence", "pretokenizers": [{ "type": "Evil" }] }), "Evil"),
            ("/decoder/type", json!("CTC"), "CTC"),
            ("/post_processor", json!({ "type": "BertProcessing" }), "BertProcessing"),
        ] {
            let mut json: Value = serde_json::from_str(&good).unwrap();
            *json.pointer_mut(pointer).unwrap() = value;
            let error =
                Tokenizer::from_json(json.to_string().as_bytes(), "tokenizer.json").unwrap_err().to_string();
            assert!(
                error.starts_with("the tokenizer tokenizer.json: ") && error.contains(says),
                "{pointer}: {error}"
            );
        }
        assert!(Tokenizer::from_json(b"{", "x").is_err());
        assert!(Tokenizer::from_json(b"[]", "x").is_err());
        assert!(Tokenizer::characters(&["a"], &['a']).is_err());
    }
}
