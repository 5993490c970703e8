//! Unpacks the blocks and loads the model that `make.py` beside this file laid out; writes numbers, tokens, greedy answers to the prompts, and
//! the model as a Hugging Face folder. `compare.py` judges.

use std::fs;
use std::path::Path;

use exact::{Device, Limits};
use lm::{Files, Message, Packing, Request, Sampling, Speaker, Until};
use serde_json::{Value, json};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The longest answer.
const ANSWER: usize = 64;

fn main() -> Result {
    let folder = std::env::args_os().nth(1).ok_or("usage: gguf-answers FOLDER")?;
    let folder = Path::new(&folder);
    for packing in Packing::ALL {
        let file = |end: &str| folder.join(format!("blocks/{packing:?}.{end}"));
        let mut numbers = Vec::new();
        packing.unpack(&fs::read(file("packed"))?, &mut numbers);
        fs::write(file("ours"), numbers.into_iter().flat_map(f32::to_le_bytes).collect::<Vec<u8>>())?;
    }

    let files = Files::open(folder.join("model.gguf"))?;
    let language = files.language()?;
    let prompts: Vec<String> = serde_json::from_slice(&fs::read(folder.join("prompts.json"))?)?;
    let asked = |prompt: &String| language.prompt(&[Message::new("user", prompt)]);
    let asked = prompts.iter().map(asked).collect::<std::result::Result<Vec<_>, _>>()?;
    let model = files.load(&Device::cpu(2), Limits::default(), &mut |_, _| {})?;
    model.save(folder.join("ours"), Some(language))?;
    // The answers are those of the model that stays packed.
    let packed = files.load_packed(&Device::cpu(2), Limits::default(), &mut |_, _| {})?;
    if !packed.is_packed() || packed.root()? != model.root()? {
        return Err("packed, it is another model".into());
    }

    let longest = asked.iter().map(Vec::len).max().unwrap_or(1);
    let mut speaker = Speaker::new(&packed, asked.len(), longest + ANSWER, Limits::default())?;
    let request = |prompt: &Vec<u32>| Request {
        prompt: prompt.clone(),
        seed: 0,
        sampling: Sampling::GREEDY,
        until: Until::new(ANSWER, &language.ends),
    };
    let rollouts = speaker.answer(&asked.iter().map(request).collect::<Vec<_>>())?;
    let mut all = Vec::new();
    for (tokens, rollout) in asked.iter().zip(rollouts) {
        let text = language.tokenizer.decode(&rollout.answer)?;
        all.push(json!({ "prompt": tokens, "answer": rollout.answer, "text": text }));
    }
    let logits = packed.logits(&asked[0], Limits::default())?;
    fs::write(folder.join("logits.f32"), logits.into_iter().flat_map(f32::to_le_bytes).collect::<Vec<u8>>())?;
    fs::write(folder.join("ours.json"), Value::from(all).to_string())?;
    Ok(())
}
