//! `starling model`: what lies in a model's files, and what it takes to run it.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use exact::{Device, Limits};
use lm::{Config, Files, Model, plan_speaker_of};

/// What to do with a model.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show a model's shape, its size, its root, and what it takes to run
    Show(Show),
}

/// Which model, and with what.
#[derive(Args)]
pub(crate) struct Show {
    /// A Hugging Face folder, or a GGUF file
    path: PathBuf,
    #[command(flatten)]
    machine: Machine,
}

/// What of this machine may be used.
#[derive(Args)]
pub(crate) struct Machine {
    /// Threads to compute with; all of the machine's if not given
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// The most memory for the model, in mebibytes; nine tenths of what the machine has to spare if not given
    #[arg(long, value_name = "MIB")]
    memory: Option<u64>,
}

impl Machine {
    pub(crate) fn device(&self) -> Device {
        Device::cpu(
            self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
        )
    }

    pub(crate) fn limits(&self) -> Limits {
        let given = self.memory.map(|mib| mib.saturating_mul(1 << 20));
        let usual = Limits::default();
        Limits { memory_bytes: given.or_else(lm::spare_bytes).unwrap_or(usual.memory_bytes), ..usual }
    }
}

type Done<T = ()> = Result<T, Box<dyn Error>>;

pub(crate) fn run(command: &Command) -> Done {
    match command {
        Command::Show(options) => show(options),
    }
}

fn show(options: &Show) -> Done {
    let files = Files::open(&options.path)?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", shape(files.config()))?;
    writeln!(out, "files     {} of {}", size(files.bytes()), files.kinds().join(", "))?;
    match files.language() {
        Ok(language) => {
            let chat = if language.chat.is_some() { "a chat template" } else { "no chat template" };
            writeln!(out, "language  {} tokens, {chat}", language.tokenizer.len())?;
        }
        Err(_) => writeln!(out, "language  none: it takes tokens only")?,
    }
    let config = files.config();
    let token = 4 * 2 * config.layers * config.kv_heads * config.head_dim;
    let model = load(&files, &options.machine)?;
    let weights = plan_speaker_of(&model, 1, 2, 2, u64::MAX)?.need.weights;
    writeln!(
        out,
        "memory    {} for the weights, {} for each token remembered",
        size(weights),
        size(token as u64)
    )?;
    let root = model.root()?.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    writeln!(out, "root      {root}")?;
    Ok(())
}

fn shape(config: &Config) -> String {
    let mut extras = Vec::new();
    for (there, what) in [
        (config.tied, "the embedding is the head too"),
        (config.qkv_bias, "biases on queries, keys and values"),
        (config.qk_norm, "queries and keys normalised"),
    ] {
        if there {
            extras.push(what);
        }
    }
    format!(
        "model     {} numbers: {} layers of width {}, {} heads of {} ({} for keys and values), {} inside; {} tokens, {} at a time{}{}",
        config.size(),
        config.layers,
        config.width,
        config.heads,
        config.head_dim,
        config.kv_heads,
        config.hidden,
        config.vocabulary,
        config.context,
        if extras.is_empty() { "" } else { "; " },
        extras.join(", "),
    )
}

/// Loads a model to be asked, as small as its files have it, with a bar for whoever watches.
pub(crate) fn load(files: &Files, machine: &Machine) -> Done<Model> {
    let watched = std::io::stderr().is_terminal();
    let mut shown = u64::MAX;
    let model = files.load_packed(&machine.device(), machine.limits(), &mut |done, total| {
        let share = done * 40 / total.max(1);
        if watched && share != shown {
            shown = share;
            let (full, empty) = ("#".repeat(share as usize), " ".repeat(40 - share as usize));
            eprint!("\r[{full}{empty}] {} of {} ", size(done), size(total));
        }
    })?;
    if watched {
        eprint!("\r\x1b[K");
    }
    Ok(model)
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} bytes"),
        10_000..10_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
