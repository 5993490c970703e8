//! The command line of Starling.

mod chat;
mod model;
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
    /// See it work on this machine: a model learns from nothing, speaks, and everything it did is checked.
    Up(up::Options),
    /// Look into a model's files
    #[command(subcommand)]
    Model(model::Command),
    /// Talk with a model on this machine
    Chat(chat::Options),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Up(options) => up::run(&options),
        Command::Model(command) => model::run(&command),
        Command::Chat(options) => chat::run(&options),
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
