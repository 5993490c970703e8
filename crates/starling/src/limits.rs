//! `starling limits`, `starling pause` and `starling resume`: what of this machine its owner lets a node have.

use std::error::Error;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use node::{LIMITS, Limits};

use crate::status::homes;

/// Which nodes.
#[derive(Args)]
pub(crate) struct Whose {
    /// The node's home; without it, all nodes of `starling up`, and the one that `starling join` runs
    #[arg(long, value_name = "FOLDER", global = true)]
    home: Option<PathBuf>,
    /// One JSON object per node, for programs
    #[arg(long, global = true)]
    json: bool,
}

/// What is to be done about the limits; shows them if nothing is said.
#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    whose: Whose,
}

#[derive(Subcommand)]
enum What {
    /// Show every limit, what it says and what it is set to
    Show,
    /// Change a limit; a node that runs heeds it within seconds
    Set {
        /// Which: `starling limits` names them all
        key: String,
        /// Its value, or `none` to lift it
        value: String,
    },
}

type Done = Result<(), Box<dyn Error>>;

pub(crate) fn run(options: &Options) -> Done {
    match &options.what {
        Some(What::Set { key, value }) => change(&options.whose, |limits| Ok(limits.with(key, value)?)),
        None | Some(What::Show) => show(&options.whose),
    }
}

pub(crate) fn pause(whose: &Whose) -> Done {
    change(whose, |limits| Ok(Limits { paused: true, ..limits.clone() }))
}

pub(crate) fn resume(whose: &Whose) -> Done {
    change(whose, |limits| Ok(Limits { paused: false, ..limits.clone() }))
}

/// Changes the limits of all that are meant, once it is known that they can be.
fn change(whose: &Whose, how: impl Fn(&Limits) -> Result<Limits, Box<dyn Error>>) -> Done {
    let mut changed = Vec::new();
    for home in homes(whose.home.as_deref())? {
        let limits = how(&Limits::read(&home)?)?;
        changed.push((home, limits));
    }
    for (home, limits) in changed {
        limits.write(&home)?;
        if whose.json {
            say!("{}", serde_json::json!({ "home": home, "limits": limits }));
        } else {
            let state = if limits.paused {
                "is paused: `starling resume` lets it work again"
            } else {
                "may work within its limits"
            };
            say!("{} {state}", home.display());
        }
    }
    Ok(())
}

fn show(whose: &Whose) -> Done {
    for home in homes(whose.home.as_deref())? {
        let limits = Limits::read(&home)?;
        if whose.json {
            say!("{}", serde_json::json!({ "home": home, "limits": limits }));
            continue;
        }
        say!("{}", home.display());
        for limit in LIMITS {
            let value = limits.value(limit.key).unwrap_or_else(|| "none".to_owned());
            let when = if limit.at_start { "; heeded when the node is started again" } else { "" };
            say!("  {:<24} {value:<10} {}{when}", limit.key, limit.says);
        }
    }
    Ok(())
}
