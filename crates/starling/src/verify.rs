//! `starling verify`: make claims about learning, and check anyone's claims alone.

use std::error::Error;
use std::fs;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use exact::DType;
use lm::wren::{self, Part, Task};
use lm::{Batch, Files, Learner, Lesson, Model, Objective, Optimiser};
use proof::{ClaimFile, Given, Honest, Runner, Stop, Tensor, Verdict, Work};

use crate::model::Machine;

/// What to do with a claim.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Teach a model some steps, and claim what came of it: all that is needed to do it again goes into one file
    Make(Make),
    /// Do all of a claim's work again, and say where the first wrong bit is
    Run(Run),
    /// Do one step of a claim again, from the states that the steps before it give
    Step(Step),
}

/// What to teach.
#[derive(Args)]
pub(crate) struct Make {
    /// The file to write
    claim: PathBuf,
    /// A Hugging Face folder of a model to teach; the model that comes with this program, at its own tasks, if not given
    #[arg(long, value_name = "FOLDER", requires = "text")]
    model: Option<PathBuf>,
    /// A text to teach it
    #[arg(long, value_name = "FILE", requires = "model")]
    text: Option<PathBuf>,
    /// Steps
    #[arg(long, default_value_t = 4)]
    steps: u32,
    /// Sequences in a step
    #[arg(long, default_value_t = 8)]
    rows: usize,
    /// Tokens of each, for a text
    #[arg(long, default_value_t = 64)]
    tokens: usize,
    /// The learning rate
    #[arg(long, default_value_t = 1e-4)]
    rate: f32,
    #[command(flatten)]
    machine: Machine,
}

/// Which claim.
#[derive(Args)]
pub(crate) struct Run {
    /// The claim's file
    claim: PathBuf,
    #[command(flatten)]
    machine: Machine,
}

/// Which step of which claim.
#[derive(Args)]
pub(crate) struct Step {
    /// The claim's file
    claim: PathBuf,
    /// The step, the first being 0
    #[arg(value_name = "STEP")]
    number: u64,
    #[command(flatten)]
    machine: Machine,
}

type Done<T = ()> = Result<T, Box<dyn Error>>;

pub(crate) fn run(command: &Command) -> Done {
    match command {
        Command::Make(options) => make(options),
        Command::Run(options) => verify(options),
        Command::Step(options) => step(options),
    }
}

/// A runner on this machine.
pub(crate) fn runner(machine: &Machine) -> Honest {
    Honest::new(machine.device(), machine.limits())
}

/// The greatest file that is read.
const LIMIT_BYTES: u64 = 64 << 30;

/// Reads a claim's file.
pub(crate) fn read(path: &Path) -> Done<ClaimFile> {
    let failed = |e: std::io::Error| format!("reading {}: {e}", path.display());
    let size = fs::metadata(path).map_err(failed)?.len();
    if size > LIMIT_BYTES {
        return Err(
            format!("{} has {size} bytes, which is more than any claim's file", path.display()).into()
        );
    }
    let bytes = fs::read(path).map_err(failed)?;
    Ok(ClaimFile::decode(&bytes).map_err(|e| format!("{}: {e}", path.display()))?)
}

fn progress(what: &'static str, of: usize) -> impl FnMut(u64) {
    let watched = std::io::stderr().is_terminal();
    move |t| {
        if watched {
            eprint!("\r{what} step {} of {of} ", t + 1);
        }
        if watched && t + 1 == of as u64 {
            eprint!("\r\x1b[K");
        }
    }
}

fn make(options: &Make) -> Done {
    if options.steps == 0 || options.rows == 0 {
        return Err("there is nothing to teach: pass --steps and --rows of 1 or more".into());
    }
    let work = match (&options.model, &options.text) {
        (Some(model), Some(text)) => of_text(options, model, text)?,
        _ => of_wren(options)?,
    };
    let steps = work.steps().len();
    let claim = proof::make(work, &mut runner(&options.machine), progress("making", steps))?;
    let bytes = claim.encode();
    fs::write(&options.claim, &bytes).map_err(|e| format!("writing {}: {e}", options.claim.display()))?;
    let what = claim.claim();
    let mut out = std::io::stdout();
    writeln!(out, "{}: {} runs of {} programs", options.claim.display(), steps, claim.work.graphs().len())?;
    writeln!(out, "terms  {}", hex(&what.terms.digest()))?;
    writeln!(out, "run    {}", hex(&what.run))?;
    Ok(())
}

pub(crate) fn hex(digest: &[u8; 32]) -> String {
    digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn lesson(options: &Make, tokens: usize) -> Lesson {
    let (objective, optimiser) = (Objective::Imitate, Optimiser::default());
    Lesson { objective, optimiser, rows: options.rows, tokens, passes: false, lora: None }
}

/// Our own model at its own tasks.
fn of_wren(options: &Make) -> Done<Work> {
    let tasks = [Task::Reverse, Task::Add, Task::Express];
    let tokens = tasks.iter().map(|task| task.tokens()).max().unwrap_or(1);
    let model = wren::load(&options.machine.device(), options.machine.limits())?;
    let lesson = lesson(options, tokens);
    let mut batches = Vec::new();
    for step in 0..u64::from(options.steps) {
        let row = |row: usize| {
            let task = tasks[row % tasks.len()];
            task.example(&task.question(Part::Lessons, 1, step * options.rows as u64 + row as u64))
        };
        let examples = (0..options.rows).map(row).collect::<Result<Vec<_>, _>>()?;
        batches.push(Batch::imitate(&examples, options.rows, tokens)?);
    }
    work(options, &model, &lesson, &batches)
}

/// Somebody's model and a text, cut into pieces that follow each other.
fn of_text(options: &Make, model: &Path, text: &Path) -> Done<Work> {
    let files = Files::open(model)?;
    let text = fs::read_to_string(text).map_err(|e| format!("reading {}: {e}", text.display()))?;
    let tokens = files.language()?.tokenizer.encode(&text)?;
    let model = files.load(&options.machine.device(), options.machine.limits(), &mut |_, _| {})?;
    let pieces: Vec<_> = tokens.chunks_exact(options.tokens + 1).collect();
    let needed = options.steps as usize * options.rows;
    if pieces.len() < needed {
        let why = format!(
            "the text has {} pieces of {} tokens and {needed} are needed: pass a longer one, or fewer --steps, --rows or --tokens",
            pieces.len(),
            options.tokens + 1
        );
        return Err(why.into());
    }
    let lesson = lesson(options, options.tokens);
    let batch = |rows: &[&[u32]]| {
        let examples: Vec<_> = rows.iter().map(|piece| (piece[..1].to_vec(), piece[1..].to_vec())).collect();
        Batch::imitate(&examples, options.rows, options.tokens)
    };
    let batches = pieces[..needed].chunks(options.rows).map(batch).collect::<Result<Vec<_>, _>>()?;
    work(options, &model, &lesson, &batches)
}

/// The lesson as programs, states and inputs: exactly what a learner runs.
fn work(options: &Make, model: &Model, lesson: &Lesson, batches: &[Batch]) -> Done<Work> {
    let learner = Learner::of(model, lesson.clone(), options.machine.limits())?;
    let mut start: Vec<(String, Tensor)> = Vec::new();
    let sessions = learner.states();
    for session in &sessions {
        for (name, ty) in session.program().states() {
            if start.iter().any(|(had, _)| had == name) {
                continue;
            }
            let words = match ty.dtype {
                DType::U32 => session.read::<u32>(name)?,
                DType::F32 => session.read::<f32>(name)?.into_iter().map(f32::to_bits).collect(),
            };
            start.push((name.to_owned(), Tensor { ty, words }));
        }
    }
    let programs: Vec<_> = sessions.iter().map(|session| session.program().clone()).collect();
    let mut steps = Vec::new();
    for batch in batches {
        for run in lesson.runs(batch, options.rate, options.rate) {
            let input = |(name, ty): (&str, exact::Type)| {
                let ids = run.ids.iter().find(|(of, _)| *of == name).map(|(_, ids)| ids.to_vec());
                let numbers = || run.numbers.iter().find(|(of, _)| *of == name);
                let words = ids.or_else(|| Some(numbers()?.1.iter().map(|x| x.to_bits()).collect()))?;
                Some(Tensor { ty, words })
            };
            let inputs = programs[run.program].inputs().map(input).collect::<Option<Vec<_>>>();
            let inputs = inputs.ok_or("the lesson's program takes an input that a step does not give")?;
            steps.push(Given { program: run.program, inputs });
        }
    }
    Ok(Work::new([0; 32], &programs, start, steps)?)
}

fn verify(options: &Run) -> Done {
    let claim = read(&options.claim)?;
    let steps = claim.work.steps().len();
    let verdict = claim.verify(&mut runner(&options.machine), progress("checking", steps))?;
    tell(&verdict)
}

fn step(options: &Step) -> Done {
    let claim = read(&options.claim)?;
    let mut runner = runner(&options.machine);
    let mut states = claim.work.start().to_vec();
    for t in 0..options.number {
        let (graph, given) = (claim.work.graph(t)?, claim.work.given(t)?);
        states = match runner.step(graph, t, &given.inputs, &states, None) {
            Ok(after) => after,
            Err(Stop::Fault { .. }) => {
                return Err(format!("step {t} before it has no result: check that one").into());
            }
            Err(Stop::Error(error)) => return Err(error.into()),
        };
    }
    tell(&claim.verify_step(&mut runner, options.number, &states)?)
}

fn tell(verdict: &Verdict) -> Done {
    if *verdict == Verdict::Holds {
        writeln!(std::io::stdout(), "{verdict}")?;
        return Ok(());
    }
    Err(verdict.to_string().into())
}
