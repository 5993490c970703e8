//! `starling swarm`: the charters of swarms.

use std::error::Error;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use clap::Subcommand;
use node::Charter;

/// What to do with a charter.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Write a charter in which every field is explained, to be changed and given to `starling up --swarm`
    New {
        /// Where to write it
        #[arg(default_value = "swarm.toml")]
        file: PathBuf,
    },
    /// Check a charter, and say by what hash its swarm is known
    Check {
        /// The charter
        #[arg(default_value = "swarm.toml")]
        file: PathBuf,
    },
}

pub(crate) fn run(command: &Command) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    match command {
        Command::New { file } => {
            let mut new = File::create_new(file).map_err(|why| match why.kind() {
                ErrorKind::AlreadyExists => {
                    format!("{} is there already: name another file", file.display())
                }
                _ => format!("{}: {why}", file.display()),
            })?;
            new.write_all(Charter::template().as_bytes())?;
            writeln!(
                out,
                "{} is written. `starling up --swarm {}` starts it.",
                file.display(),
                file.display()
            )?;
        }
        Command::Check { file } => {
            let text = std::fs::read_to_string(file).map_err(|why| format!("{}: {why}", file.display()))?;
            let charter = Charter::from_toml(&text).map_err(|why| format!("{}: {why}", file.display()))?;
            writeln!(out, "{}   {}", charter.name, node::hex(&charter.id()))?;
        }
    }
    Ok(())
}
