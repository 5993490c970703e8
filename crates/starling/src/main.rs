//! The command line of Starling.

mod doctor;
mod up;

use std::io::{Error, ErrorKind};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// An open network for machine intelligence: machines that learn together and prove to each other, bit by bit, that they did.
#[derive(Parser)]
#[command(name = "starling", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Can this machine take part? Looks for peers, and says in words what it finds and what to do.
    Doctor(doctor::Options),
    /// See it work on this machine: a model learns from nothing, speaks, and everything it did is checked.
    Up(up::Options),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Doctor(options) => doctor::run(&options),
        Command::Up(options) => up::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our lines, `head` say, has had enough.
        Err(error) if error.downcast_ref::<Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe) => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("starling: {error}");
            ExitCode::FAILURE
        }
    }
}
