//! Loads the models and tokenizers that `make.py` beside this file had `transformers` save, and writes what ours makes of them: logits, greedy
//! answers, the same models saved by us, tokens, and rendered conversations. `compare.py` judges.

use std::fs;
use std::path::Path;

use exact::{Device, Limits};
use lm::{Alphabet, Chat, Files, Language, Message, Model, Request, Sampling, Speaker, Tokenizer, Until};
use serde_json::{Value, json};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Tokens of a greedy answer, in a context that has room for them.
const ANSWER: usize = 200;
/// The text that small models are given to tell apart every character of theirs.
const SMALL: &str = "abcdefghijklmnopqrstuvwxyz0123456789 +-*/=?!\n\u{e9}\u{1f99c}";

fn main() -> Result {
    let folder = std::env::args_os().nth(1).ok_or("usage: transformers-answers FOLDER")?;
    let folder = Path::new(&folder);
    for entry in fs::read_dir(folder.join("models"))? {
        model(&entry?.path())?;
    }
    let texts: Vec<String> = serde_json::from_value(read(&folder.join("texts.json"))?)?;
    for entry in fs::read_dir(folder.join("tokenizers"))? {
        let at = entry?.path();
        let tokenizer =
            Tokenizer::from_json(&fs::read(at.join("tokenizer.json"))?, &at.display().to_string())?;
        fs::write(at.join("ours.json"), tokens(&tokenizer, &texts)?.to_string())?;
    }
    small(&folder.join("small"), &texts)?;
    chats(folder)
}

fn read(path: &Path) -> Result<Value> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// Logits and greedy answers to each prompt; and the model saved again, in one file or in several.
fn model(folder: &Path) -> Result {
    let files = Files::open(folder)?;
    let model = files.load(&Device::cpu(2), Limits::default(), &mut |_, _| {})?;
    let prompts: Vec<Vec<u32>> = serde_json::from_value(read(&folder.join("prompts.json"))?)?;
    let mut logits = Vec::new();
    for prompt in &prompts {
        logits.extend(model.logits(prompt, Limits::default())?.into_iter().flat_map(f32::to_le_bytes));
    }
    fs::write(folder.join("logits.f32"), logits)?;
    fs::write(folder.join("greedy.json"), json!(greedy(&model, &prompts)?).to_string())?;
    let questions = folder.join("questions.json");
    if questions.exists() {
        let questions: Vec<String> = serde_json::from_value(read(&questions)?)?;
        fs::write(folder.join("tokens.json"), tokens(&files.language()?.tokenizer, &questions)?.to_string())?;
    }
    let shards = folder.ends_with("qwen3");
    let shard_bytes = if shards { 100_000 } else { u64::MAX };
    model.save_in_shards(folder.join("ours"), None, shard_bytes, &mut |_, _| {})?;
    Ok(())
}

fn greedy(model: &Model, prompts: &[Vec<u32>]) -> Result<Vec<Vec<u32>>> {
    let longest = prompts.iter().map(Vec::len).max().unwrap_or(1);
    let answer = ANSWER.min(model.config().context - longest);
    let mut speaker = Speaker::new(model, prompts.len(), longest + answer, Limits::default())?;
    // No token ends these answers.
    let request = |prompt: &Vec<u32>| Request {
        prompt: prompt.clone(),
        seed: 0,
        sampling: Sampling::GREEDY,
        until: Until::new(answer, &[]),
    };
    let requests: Vec<Request> = prompts.iter().map(request).collect();
    Ok(speaker.answer(&requests)?.into_iter().map(|r| r.answer).collect())
}

/// Every text as tokens, without and with what is put around a text, and back as a whole and piece by piece.
fn tokens(tokenizer: &Tokenizer, texts: &[String]) -> Result<Value> {
    let mut all = Vec::new();
    for text in texts {
        let tokens = tokenizer.encode(text)?;
        let mut stream = tokenizer.stream();
        let mut streamed = String::new();
        for token in &tokens {
            streamed += &stream.push(*token)?;
        }
        streamed += &stream.finish()?;
        all.push(json!({
            "tokens": tokens,
            "alone": tokenizer.encode_alone(text)?,
            "text": tokenizer.decode(&tokens)?,
            "with_special": tokenizer.decode_all(&tokens)?,
            "streamed": streamed,
        }));
    }
    Ok(Value::from(all))
}

/// A tokenizer of characters and one of bytes, saved with a model and with our tokens of each text they know.
fn small(folder: &Path, texts: &[String]) -> Result {
    let alphabet = Alphabet::new(SMALL);
    let known = |text: &&String| alphabet.encode(text).is_ok();
    let few: Vec<String> =
        texts.iter().filter(known).cloned().chain([SMALL.to_owned(), "1+1=2\n<|end|>".to_owned()]).collect();
    for (name, tokenizer, texts) in [
        ("characters", alphabet.tokenizer()?, few),
        ("bytes", Tokenizer::bytes(&Alphabet::SPECIAL)?, texts.to_vec()),
    ] {
        let config = lm::Config {
            vocabulary: tokenizer.len(),
            width: 32,
            layers: 1,
            heads: 2,
            kv_heads: 2,
            head_dim: 16,
            hidden: 64,
            context: 64,
            rope_theta: 10_000.0,
            rope_scaling: lm::RopeScaling::None,
            norm_eps: 1e-6,
            tied: true,
            qkv_bias: false,
            qk_norm: false,
        };
        let source = "{% for m in messages %}{{ m.content }}={% endfor %}";
        let language = Language {
            chat: Some(Chat::new(name, source, &[("eos_token", "<|end|>")])?),
            begin: None,
            ends: vec![Alphabet::END],
            pad: Some(Alphabet::PAD),
            tokenizer,
        };
        let at = folder.join(name);
        Model::new(config, 1, &Device::cpu(1), Limits::default())?.save(&at, Some(&language))?;
        let ours = json!({ "texts": texts, "tokens": tokens(&language.tokenizer, &texts)? });
        fs::write(at.join("ours.json"), ours.to_string())?;
    }
    Ok(())
}

/// Every conversation by every template.
fn chats(folder: &Path) -> Result {
    let (templates, chats) = (read(&folder.join("templates.json"))?, read(&folder.join("chats.json"))?);
    let mut rendered = serde_json::Map::new();
    for (name, source) in templates.as_object().ok_or("templates.json")? {
        let tokens = [("bos_token", "<s>"), ("eos_token", "</s>")];
        let chat = Chat::new(name, source.as_str().ok_or("a template")?, &tokens)?;
        let mut all = Vec::new();
        for messages in chats.as_array().ok_or("chats.json")? {
            let text = |m: &Value, field: &str| m[field].as_str().unwrap_or_default().to_owned();
            let messages = messages.as_array().ok_or("a conversation")?.iter();
            let messages: Vec<Message> =
                messages.map(|m| Message::new(&text(m, "role"), &text(m, "content"))).collect();
            all.push(json!([chat.render(&messages, false)?, chat.render(&messages, true)?]));
        }
        rendered.insert(name.clone(), Value::from(all));
    }
    fs::write(folder.join("rendered.json"), Value::from(rendered).to_string())?;
    Ok(())
}
