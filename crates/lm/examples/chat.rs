//! Loads a model, talks with it, teaches it a few answers, and saves what became of it as a folder that `transformers` loads.
//!
//! `cargo run --release -p lm --example chat -- MODEL [SAVED]`, where MODEL is a Hugging Face folder or a GGUF file of a model for conversations.
//! Without a model it makes a tiny one that knows nothing, and teaches that.

use std::error::Error;
use std::path::PathBuf;

use exact::{Device, Limits};
use lm::{
    Alphabet, Batch, Chat, Config, Files, Language, Learner, Message, Model, Objective, Optimiser, Request,
    Sampling, Speaker, Until,
};

/// What it is to say to what.
const LESSONS: [(&str, &str); 2] = [("who are you?", "a starling."), ("what do you do?", "i flock.")];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (device, limits) = (Device::cpu(2), Limits::default());

    // Load: the shape, the tokenizer and the template are read and checked at once, the weights when they are asked for.
    let (model, language) = match arguments.next() {
        Some(path) => {
            let files = Files::open(path)?;
            let model =
                files.load(&device, limits, &mut |done, total| eprint!("\r{}%", 100 * done / total))?;
            eprintln!();
            (model, files.language()?.clone())
        }
        None => tiny(&device, limits)?,
    };

    // Chat.
    for (question, _) in LESSONS {
        println!("> {question}\n{}", answer(&model, &language, question, limits)?);
    }

    // Teach: each answer becomes likelier, all weights move.
    let end: Vec<u32> = language.ends.first().copied().into_iter().collect();
    let lesson = |(question, right): (&str, &str)| -> Result<_, lm::Error> {
        let prompt = language.prompt(&[Message::new("user", question)])?;
        Ok((prompt, [language.tokenizer.encode(right)?, end.clone()].concat()))
    };
    let lessons = LESSONS.into_iter().map(lesson).collect::<Result<Vec<_>, _>>()?;
    let tokens = lessons.iter().map(|(prompt, answer)| prompt.len() + answer.len()).max().unwrap_or(1);
    let batch = Batch::imitate(&lessons, lessons.len(), tokens)?;
    let mut learner =
        Learner::new(&model, Objective::Imitate, &Optimiser::default(), lessons.len(), tokens, limits)?;
    for step in 0..40 {
        let progress = learner.learn(&batch, 1e-3, 0.0)?;
        if step % 10 == 9 {
            println!("step {}: loss {:.3}", step + 1, progress.loss);
        }
    }
    for (question, _) in LESSONS {
        println!("> {question}\n{}", answer(&model, &language, question, limits)?);
    }

    // Save, and load what was saved: the same weights, to the bit.
    let folder = arguments.next().unwrap_or_else(|| std::env::temp_dir().join("starling-taught"));
    model.save(&folder, Some(&language))?;
    let again = Files::open(&folder)?.load(&device, limits, &mut |_, _| {})?;
    assert_eq!(again.root()?, model.root()?);
    println!("saved in {}", folder.display());
    Ok(())
}

/// The likeliest answer.
fn answer(model: &Model, language: &Language, question: &str, limits: Limits) -> Result<String, lm::Error> {
    let prompt = language.prompt(&[Message::new("user", question)])?;
    let mut speaker = Speaker::new(model, 1, prompt.len() + 24, limits)?;
    let until = Until::new(24, &language.ends);
    let rollouts = speaker.answer(&[Request { prompt, seed: 0, sampling: Sampling::GREEDY, until }])?;
    language.tokenizer.decode(&rollouts[0].answer)
}

/// A model that has learned nothing, for small letters.
fn tiny(device: &Device, limits: Limits) -> Result<(Model, Language), lm::Error> {
    let tokenizer = Alphabet::new("abcdefghijklmnopqrstuvwxyz .?").tokenizer()?;
    let config = Config {
        vocabulary: tokenizer.len(),
        width: 64,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 16,
        hidden: 128,
        context: 64,
        rope_theta: 10_000.0,
        rope_scaling: lm::RopeScaling::None,
        norm_eps: 1e-6,
        tied: true,
        qkv_bias: false,
        qk_norm: false,
    };
    let source = "{% for m in messages %}{{ m.content }} {% endfor %}";
    let chat = Some(Chat::new("tiny", source, &[("eos_token", Alphabet::SPECIAL[1])])?);
    let language =
        Language { tokenizer, chat, begin: None, ends: vec![Alphabet::END], pad: Some(Alphabet::PAD) };
    Ok((Model::new(config, 1, device, limits)?, language))
}
