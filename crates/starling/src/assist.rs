//! `starling assist`: the assistant that helps to build, on recordings of sessions. All of it stays on this machine.

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Instant;

use assist::{Act, Actor, Event, Home, Knowing, Nerve, Outcome, Recipe, Recording, Score, Weights};
use clap::{Args, Subcommand};
use exact::Device;
use serde_json::json;

use crate::identity::usual_home;

type Done<T = ()> = Result<T, Box<dyn Error>>;

/// What to do with the assistant.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Play recorded sessions again with the assistant in the loop: what would it have saved, what would have been wrong?
    Eval(Eval),
    /// Learn from the sessions kept here; what was learned counts only if it helps more on the newest of them
    Learn(Place),
    /// Go through a recorded session, event by event, with what the assistant would have done
    Replay(Replay),
    /// Make the weights that ship anew, from nothing: the same bytes on every machine
    Pretrain(Pretrain),
    /// Write the weights to a file that another player can import. Recordings never go with them.
    Export(Export),
    /// Take weights in that were exported elsewhere
    Import(Import),
    /// Take recordings in, to be remembered and learned from
    Keep(Keep),
    /// Forget a session, what was learned, or everything
    Forget(Forget),
}

/// Where the assistant keeps what it knows.
#[derive(Args)]
pub(crate) struct Place {
    /// The assistant's folder; `assist` in the home of starling if not given
    #[arg(long, value_name = "FOLDER")]
    home: Option<PathBuf>,
    /// Threads to compute with
    #[arg(long, value_name = "N", default_value_t = 2)]
    threads: usize,
}

impl Place {
    fn open(&self) -> Done<Home> {
        let folder = match &self.home {
            Some(folder) => folder.clone(),
            None => usual_home()?.join("assist"),
        };
        Ok(Home::open(&folder)?)
    }

    fn device(&self) -> Device {
        Device::cpu(self.threads.max(1))
    }
}

/// Which recordings, and what the assistant may know.
#[derive(Args)]
pub(crate) struct Eval {
    /// A folder of recordings (`*.jsonl.zst`, `*.jsonl`), those in its folders included
    #[arg(long, value_name = "FOLDER")]
    sessions: PathBuf,
    /// What it knows of the player: nothing, the player's sessions before, or those and what was learned after each
    #[arg(long, value_enum, default_value_t = Known::Nothing)]
    knowing: Known,
    /// Weights to use instead of those that ship, as `export` wrote them
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// How sure it must be to build, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = Nerve::default().build)]
    sure: f32,
    /// One JSON object per session and one for all of them
    #[arg(long)]
    json: bool,
    /// Threads to compute with
    #[arg(long, value_name = "N", default_value_t = 2)]
    threads: usize,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Known {
    Nothing,
    Memories,
    Learning,
}

/// Which recording.
#[derive(Args)]
pub(crate) struct Replay {
    /// The recording
    file: PathBuf,
    /// One JSON object per event
    #[arg(long)]
    json: bool,
}

/// Where to write them.
#[derive(Args)]
pub(crate) struct Pretrain {
    /// The file to write the weights to
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Threads to compute with
    #[arg(long, value_name = "N", default_value_t = 2)]
    threads: usize,
}

/// What to write, and where.
#[derive(Args)]
pub(crate) struct Export {
    /// The file to write
    file: PathBuf,
    /// Write it; without this you are shown what would be written
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    place: Place,
}

/// What to take in.
#[derive(Args)]
pub(crate) struct Import {
    /// A file that `export` wrote
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// What to take in.
#[derive(Args)]
pub(crate) struct Keep {
    /// Recordings (`*.jsonl.zst`, `*.jsonl`)
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    place: Place,
}

/// What to forget.
#[derive(Args)]
#[group(skip)]
pub(crate) struct Forget {
    /// One session, by its name
    #[arg(long, value_name = "NAME", conflicts_with_all = ["learned", "all"], required_unless_present_any = ["learned", "all"])]
    session: Option<String>,
    /// What was learned: go back to the weights that ship
    #[arg(long, conflicts_with = "all")]
    learned: bool,
    /// All sessions and all that was learned
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    place: Place,
}

pub(crate) fn run(command: &Command) -> Done {
    match command {
        Command::Eval(options) => eval(options),
        Command::Learn(place) => learn(place),
        Command::Replay(options) => replay(options),
        Command::Pretrain(options) => pretrain(options),
        Command::Export(options) => export(options),
        Command::Import(options) => import(options),
        Command::Keep(options) => keep(options),
        Command::Forget(options) => forget(options),
    }
}

fn say(line: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{line}")
}

fn eval(options: &Eval) -> Done {
    let weights = match &options.weights {
        Some(path) => assist::read_weights(path)?,
        None => assist::robin()?,
    };
    let knowing = match options.knowing {
        Known::Nothing => Knowing::Nothing,
        Known::Memories => Knowing::Memories,
        Known::Learning => Knowing::Learning,
    };
    let nerve = Nerve { build: options.sure, ..Nerve::default() };
    let mut failed = None;
    let device = Device::cpu(options.threads.max(1));
    let all = assist::evaluate(&options.sessions, &weights, nerve, knowing, &device, |one| {
        let line = if options.json {
            json!({
                "session": one.name, "player": one.player, "known_sessions": one.before,
                "assistant": figures(&one.assistant), "line": figures(&one.line),
            })
            .to_string()
        } else {
            format!("{:<32} {}", one.name, told(&one.assistant))
        };
        failed = failed.take().or(say(&line).err());
    })?;
    if let Some(why) = failed {
        return Err(why.into());
    }
    if all.is_empty() {
        let folder = options.sessions.display();
        return Err(format!("no recordings in {folder}: their names end with .jsonl.zst or .jsonl").into());
    }
    let sum = |of: fn(&assist::Evaluated) -> &Score| {
        all.iter().fold(Score::default(), |sum, one| sum.plus(of(one)))
    };
    let (assistant, line) = (sum(|e| &e.assistant), sum(|e| &e.line));
    if options.json {
        let total = json!({
            "sessions": all.len(), "weights": weights.hash(), "sure": options.sure,
            "assistant": figures(&assistant), "line": figures(&line),
        });
        say(&total.to_string())?;
    } else {
        say(&format!("{:<32} {}", format!("all {}", all.len()), told(&assistant)))?;
        say(&format!("{:<32} {}", "going on in a line instead", told(&line)))?;
    }
    Ok(())
}

fn figures(score: &Score) -> serde_json::Value {
    json!({
        "actions": score.acts, "saved": score.saved, "placed": score.placed, "wrong": score.wrong,
        "saved_share": score.saved_share(), "wrong_share": score.wrong_share(),
        "shown": score.shown, "shown_right": score.shown_right, "first_help_after": score.first_help,
    })
}

fn told(score: &Score) -> String {
    format!(
        "{:>5} actions, {:>5.1} % saved, {:>5.1} % of {} blocks wrong",
        score.acts,
        100.0 * score.saved_share(),
        100.0 * score.wrong_share(),
        score.placed
    )
}

fn learn(place: &Place) -> Done {
    let home = place.open()?;
    let mut sessions = Vec::new();
    for path in home.sessions()? {
        sessions.push(Recording::open(&path)?);
    }
    let (champion, _) = home.weights()?;
    let begin = Instant::now();
    let bar = std::io::stderr().is_terminal();
    let outcome = assist::learn(&champion, &sessions, Nerve::default(), &place.device(), |share| {
        if bar {
            let full = (share * 40.0) as usize;
            eprint!(
                "\r[{}{}] {:>3.0} s",
                "#".repeat(full),
                " ".repeat(40 - full),
                begin.elapsed().as_secs_f32()
            );
        }
    })?;
    if bar {
        eprintln!();
    }
    if let Outcome::Judged { better: Some(better), .. } = &outcome {
        home.set_weights(better)?;
    }
    say(&outcome.to_string())?;
    Ok(())
}

fn replay(options: &Replay) -> Done {
    let recording = Recording::open(&options.file)?;
    let name = |block: assist::Block| {
        recording.header.palette.get(usize::from(block.0)).map_or_else(String::new, Clone::clone)
    };
    if options.json {
        // The file's own lines are what a program wants.
        write!(std::io::stdout(), "{}", recording.to_lines()?)?;
        return Ok(());
    }
    for event in &recording.events {
        say(&line_of(event, &name))?;
    }
    let last = recording.last_build();
    say(&format!("{} blocks stand, {} actions of the player", last.blocks().len(), recording.acts()))?;
    Ok(())
}

fn line_of(event: &Event, name: &dyn Fn(assist::Block) -> String) -> String {
    let who = if event.who == Actor::Player { "player" } else { "bird" };
    let what = match &event.act {
        Act::Place { at, block } => format!("puts {} at {} {} {}", name(*block), at.x, at.y, at.z),
        Act::Break { at } => format!("takes what is at {} {} {}", at.x, at.y, at.z),
        Act::Move { at } => format!("goes to {} {} {}", at.x, at.y, at.z),
        Act::Ghost { at, block } => format!("would put {} at {} {} {}", name(*block), at.x, at.y, at.z),
        Act::Accept { at } => format!("accepts {} {} {}", at.x, at.y, at.z),
        Act::Reject { at } => format!("wants nothing at {} {} {}", at.x, at.y, at.z),
        Act::Say { text } => format!("says {text:?}"),
        Act::Stop => "says stop".to_owned(),
        Act::Resume => "says go on".to_owned(),
    };
    let sure = event.sure.map_or_else(String::new, |s| format!(" ({:.0} % sure)", 100.0 * s));
    format!("{:>8.1} s  {who:<6} {what}{sure}", event.time_ms as f64 / 1e3)
}

fn pretrain(options: &Pretrain) -> Done {
    let recipe = Recipe::shipped();
    let begin = Instant::now();
    let weights = recipe.run(&Device::cpu(options.threads.max(1)), |step, loss| {
        if step % 50 == 0 || step == recipe.steps {
            eprintln!(
                "step {step} of {}: loss {loss:.4}, {:.0} s",
                recipe.steps,
                begin.elapsed().as_secs_f32()
            );
        }
    })?;
    if let Some(path) = &options.write {
        std::fs::write(path, weights.to_bytes())
            .map_err(|why| format!("writing {}: {why}", path.display()))?;
    }
    let same = if weights == assist::robin()? {
        "the weights that ship"
    } else {
        "other weights than those that ship"
    };
    say(&format!("{}  {same}", weights.hash()))?;
    Ok(())
}

fn export(options: &Export) -> Done {
    let home = options.place.open()?;
    let (weights, own) = home.weights()?;
    let whose = if own {
        "your own weights, learned from your sessions"
    } else {
        "the weights that ship: nothing was learned yet"
    };
    say(&format!(
        "{whose}\n{} numbers, {} bytes, hash {}",
        Weights::count(),
        weights.to_bytes().len(),
        weights.hash()
    ))?;
    say(
        "no recording, no name, no time of day is in the file; what weights give away of what they learned from is little, not nothing",
    )?;
    if options.yes {
        std::fs::write(&options.file, weights.to_bytes())
            .map_err(|why| format!("writing {}: {why}", options.file.display()))?;
        say(&format!("written to {}", options.file.display()))?;
    } else {
        say("nothing is written yet: say --yes if that is what you want")?;
    }
    Ok(())
}

fn import(options: &Import) -> Done {
    let weights = assist::read_weights(&options.file)?;
    options.place.open()?.set_weights(&weights)?;
    say(&format!("the assistant has these weights now: {}", weights.hash()))?;
    Ok(())
}

fn keep(options: &Keep) -> Done {
    let home = options.place.open()?;
    for path in &options.files {
        let recording = Recording::open(path).map_err(|why| format!("{}: {why}", path.display()))?;
        home.keep(&assist::name_of(path), &recording)?;
        say(&format!("{}: {} actions", assist::name_of(path), recording.acts()))?;
    }
    Ok(())
}

fn forget(options: &Forget) -> Done {
    let home = options.place.open()?;
    match &options.session {
        Some(name) => home.forget_session(name)?,
        None if options.all => home.forget_all()?,
        None => home.forget_weights()?,
    }
    say("forgotten")?;
    Ok(())
}
