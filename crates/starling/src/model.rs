//! `starling model`: models' files, what lies in them and what it takes to run them; and how they come here.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use exact::{Device, Limits};
use lm::{Config, Files, Model, plan_speaker_of};
use node::hub::{self, Hub, HubError};

use crate::identity::usual_home;

/// What to do with a model.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show a model's shape, its size, its root, and what it takes to run
    Show(Show),
    /// Fetch a model from a hub: its numbers, its shape and its words, each file checked against the hub's hash
    Pull(Pull),
    /// List the models that were fetched
    List(List),
    /// Put a model's files into a folder in the hub's layout, for others to take from there
    Push(Push),
}

/// Which model, and from where.
#[derive(Args)]
pub(crate) struct Pull {
    /// Its owner and name at the hub, as in Qwen/Qwen3-0.6B
    repo: String,
    /// A branch, a tag or a commit
    #[arg(long, default_value = "main")]
    revision: String,
    /// The folder to put it in; `models/OWNER/NAME` in our folder if not given
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
    /// The most to fetch, in gibibytes
    #[arg(long, value_name = "GIB", default_value_t = 20)]
    limit: u64,
    /// Every file of it, not only those that we read
    #[arg(long)]
    all: bool,
    /// The hub; it is shown the token in `HF_TOKEN`, if there is one
    #[arg(long, value_name = "ADDRESS", default_value = Hub::USUAL)]
    hub: String,
    /// One JSON object at the end, for programs
    #[arg(long)]
    json: bool,
}

/// Which models.
#[derive(Args)]
pub(crate) struct List {
    /// The folder they are in; `models` in our folder if not given
    #[arg(long, value_name = "FOLDER")]
    at: Option<PathBuf>,
    /// Work out every hash, and say which files are not what was fetched
    #[arg(long)]
    check: bool,
    /// One JSON object per model, for programs
    #[arg(long)]
    json: bool,
}

/// Which model, and where to.
#[derive(Args)]
pub(crate) struct Push {
    /// The model's folder
    model: PathBuf,
    /// The folder to put it in
    to: PathBuf,
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
        Command::Pull(options) => pull(options),
        Command::List(options) => list(options),
        Command::Push(options) => push(options),
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

fn pull(options: &Pull) -> Done {
    let token = std::env::var("HF_TOKEN").ok().filter(|token| !token.is_empty());
    let hub = Hub::new(&options.hub, token)?;
    let into = match &options.to {
        Some(folder) => folder.clone(),
        None => usual_home()?.join("models").join(&options.repo),
    };
    let mut bar = Bar::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listing = runtime.block_on(async {
        let listing = hub.look(&options.repo, &options.revision, options.all).await?;
        let limit = options.limit.saturating_mul(1 << 30);
        hub.pull(&listing, &into, limit, &mut |progress| bar.show(progress.done, progress.total)).await?;
        Ok::<_, HubError>(listing)
    });
    bar.end();
    let listing = listing?;
    if options.json {
        let (commit, bytes) = (&listing.commit, listing.bytes());
        say!(
            "{}",
            serde_json::json!({ "model": listing.repo, "commit": commit, "folder": into, "bytes": bytes })
        );
        return Ok(());
    }
    say!(
        "{} at {}: {} in {} files",
        listing.repo,
        &listing.commit[..8],
        size(listing.bytes()),
        listing.files.len()
    );
    say!("{}   `starling model show` looks into it, `starling chat` talks with it", into.display());
    Ok(())
}

fn list(options: &List) -> Done {
    let at = match &options.at {
        Some(folder) => folder.clone(),
        None => usual_home()?.join("models"),
    };
    let models = hub::list(&at);
    if models.is_empty() && !options.json {
        say!("no model in {} yet: `starling model pull OWNER/NAME` fetches one", at.display());
    }
    for (folder, pulled) in models {
        let changed = match &pulled {
            Some(pulled) if options.check => Some(pulled.changed(&folder)?),
            _ => None,
        };
        if options.json {
            say!("{}", serde_json::json!({ "folder": folder, "pulled": pulled, "changed": changed }));
            continue;
        }
        let what = match &pulled {
            Some(pulled) => {
                let bytes = pulled.files.iter().map(|file| file.size).sum();
                format!("{} at {}, {}", pulled.repo, pulled.commit.get(..8).unwrap_or_default(), size(bytes))
            }
            None => "put there by somebody else".to_owned(),
        };
        let state = match changed {
            Some(changed) if changed.is_empty() => ", every file as it was fetched".to_owned(),
            Some(changed) => format!(", changed since: {}", changed.join(", ")),
            None => String::new(),
        };
        say!("{}   {what}{state}", folder.display());
    }
    Ok(())
}

fn push(options: &Push) -> Done {
    let put = hub::put(&options.model, &options.to)?;
    let bytes = put.iter().map(|(_, bytes)| bytes).sum();
    say!("{} files, {} in {}", put.len(), size(bytes), options.to.display());
    Ok(())
}

/// A bar on standard error, for whoever watches.
#[derive(Default)]
struct Bar {
    shown: Option<u64>,
}

impl Bar {
    fn show(&mut self, done: u64, total: u64) {
        let share = (u128::from(done) * 1000 / u128::from(total.max(1))) as u64;
        if self.shown == Some(share) || !std::io::stderr().is_terminal() {
            return;
        }
        self.shown = Some(share);
        let full = (share / 25) as usize;
        let (full, empty) = ("#".repeat(full), " ".repeat(40 - full));
        eprint!("\r[{full}{empty}] {} of {} ", size(done), size(total));
    }

    fn end(&self) {
        if self.shown.is_some() {
            eprint!("\r\x1b[K");
        }
    }
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
    let mut bar = Bar::default();
    let model =
        files.load_packed(&machine.device(), machine.limits(), &mut |done, total| bar.show(done, total))?;
    bar.end();
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
