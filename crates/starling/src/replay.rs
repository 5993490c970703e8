//! `starling replay`: a node's rounds again, step by step.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use node::api::Step;
use node::{Effect, Event, Home};

use crate::identity::usual_home;

/// Which node, and which of its rounds.
#[derive(Args)]
pub(crate) struct Options {
    /// The node's home; the first node of `starling up` if not given
    #[arg(long, value_name = "FOLDER")]
    home: Option<PathBuf>,
    /// Show this round only
    #[arg(long, value_name = "N")]
    round: Option<u64>,
    /// One JSON object per step: its time, its event, and what was to be done about it
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let home = match &options.home {
        Some(home) => home.clone(),
        None => usual_home()?.join("up/nodes/1"),
    };
    let mut failed = None;
    let mut begin = None;
    let steps = node::replay(&Home::open(&home)?, |at, event, effects, flock| {
        let shown = options.round.is_none_or(|round| flock.round() == Some(round));
        if failed.is_some() || !shown {
            return;
        }
        let begin = *begin.get_or_insert(at);
        let told = if options.json {
            let step = serde_json::json!({ "at_ms": at, "event": event, "effects": effects });
            writeln!(std::io::stdout(), "{step}")
        } else {
            show(at - begin, event, effects)
        };
        failed = told.err();
    })?;
    if let Some(why) = failed {
        return Err(why.into());
    }
    if !options.json {
        writeln!(std::io::stdout(), "{steps} steps, each of which came to the same again, to the bit")?;
    }
    Ok(())
}

/// A step as people can follow it; ticks at which nothing happened are left out.
fn show(at: u64, event: &Event, effects: &[Effect]) -> std::io::Result<()> {
    let step = Step::of(at, event, effects);
    let mut out = std::io::stdout().lock();
    let done = step.done.iter().map(|done| format!("  {done}"));
    for line in step.told.into_iter().chain(done) {
        writeln!(out, "{:9.3} s   {line}", at as f64 / 1000.0)?;
    }
    Ok(())
}
