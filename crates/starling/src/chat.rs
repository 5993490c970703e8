//! `starling chat`: a conversation with a model on this machine.

use std::error::Error;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use clap::Args;
use lm::{Event, Files, Language, Message, Model, Request, Sampling, Speaker, Until, plan_speaker_of};

use crate::model::{Machine, load};

/// With whom, and how.
#[derive(Args)]
pub(crate) struct Options {
    /// A Hugging Face folder, or a GGUF file
    model: PathBuf,
    /// What to ask; without it, one line after the other is read from the terminal
    prompt: Option<String>,
    /// What the model is told before the conversation
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// 0 for the likeliest answer, 1 for one as likely as the model finds it, more for a wilder one
    #[arg(long, value_name = "T", default_value_t = 0.7)]
    temperature: f32,
    /// What the answers are drawn from; the same seed gives the same answers, to the bit
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// The most tokens of an answer
    #[arg(long, value_name = "N", default_value_t = 512)]
    tokens: usize,
    #[command(flatten)]
    machine: Machine,
}

type Done<T = ()> = Result<T, Box<dyn Error>>;

pub(crate) fn run(options: &Options) -> Done {
    if !(options.temperature.is_finite() && options.temperature >= 0.0) {
        return Err("--temperature must be a number of at least 0".into());
    }
    let files = Files::open(&options.model)?;
    let language = files.language()?;
    let model = load(&files, &options.machine)?;
    let system = options.system.iter().map(|text| Message::new("system", text));
    let mut conversation: Vec<Message> = system.collect();
    if let Some(prompt) = &options.prompt {
        return turn(options, &model, language, &mut conversation, prompt).map(drop);
    }
    let (stdin, watched) = (std::io::stdin(), std::io::stdin().is_terminal());
    loop {
        if watched {
            write!(std::io::stdout(), "> ")?;
            std::io::stdout().flush()?;
        }
        let mut line = String::new();
        if stdin.lock().read_line(&mut line)? == 0 {
            return Ok(());
        }
        if !line.trim().is_empty() {
            turn(options, &model, language, &mut conversation, line.trim())?;
        }
    }
}

/// One question and its answer, shown and remembered.
fn turn(
    options: &Options,
    model: &Model,
    language: &Language,
    conversation: &mut Vec<Message>,
    question: &str,
) -> Done {
    conversation.push(Message::new("user", question));
    let prompt = match language.chat {
        Some(_) => language.prompt(conversation)?,
        // A model that knows no conversations goes on with the text.
        None => language.tokenizer.encode_alone(question)?,
    };
    let answer = say(options, model, language, prompt)?;
    conversation.push(Message::new("assistant", &answer));
    Ok(())
}

/// Shows the model's answer to a prompt.
fn say(options: &Options, model: &Model, language: &Language, prompt: Vec<u32>) -> Done<String> {
    let room = model.config().context.saturating_sub(prompt.len());
    if room == 0 {
        return Err(format!(
            "the conversation has {} tokens and the model takes {}: begin anew",
            prompt.len(),
            model.config().context
        )
        .into());
    }
    let (limits, wanted) = (options.machine.limits(), prompt.len() + options.tokens.clamp(1, room));
    // A shorter answer where the memory is not there for a long one.
    let plan = plan_speaker_of(model, 1, wanted, prompt.len() + 1, limits.memory_bytes)?;
    let until = Until::new(plan.tokens - prompt.len(), &language.ends);
    let mut speaker = Speaker::new(model, 1, plan.tokens, limits)?;
    let sampling = Sampling { temperature: options.temperature, ..Sampling::PLAIN };
    speaker.ask(Request { prompt, seed: options.seed, sampling, until })?;
    let (mut stream, mut answer) = (language.tokenizer.stream(), String::new());
    let mut out = std::io::stdout();
    while speaker.under_way() > 0 {
        for event in speaker.step()? {
            if let Event::Token { token, .. } = event {
                let text = stream.push(token)?;
                out.write_all(text.as_bytes())?;
                out.flush()?;
                answer += &text;
            }
        }
    }
    let rest = stream.finish()?;
    writeln!(out, "{rest}")?;
    Ok(answer + &rest)
}
