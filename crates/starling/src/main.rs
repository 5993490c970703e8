//! The command line of Starling.

#[macro_use]
mod say;

mod assist;
mod blob;
mod chain;
mod chat;
mod deploy;
mod dispute;
mod doctor;
mod exit;
mod heap;
mod identity;
mod invite;
mod join;
mod limits;
mod model;
mod replay;
mod status;
mod swarm;
mod up;
mod verify;

use std::io::{Error, ErrorKind};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// An open network for machine intelligence: machines that learn together and prove to each other, bit by bit, that they did.
#[derive(Parser)]
#[command(name = "starling", version, after_help = exit::help())]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// See a whole swarm work on this machine: nodes that learn together and check each other, a chain that pays them.
    Up(up::Options),
    /// Take part in a swarm, with the invite of somebody who does.
    Join(join::Options),
    /// Print the invite to a swarm that runs or ran here, or say what is in one.
    Invite(invite::Options),
    /// What a swarm has agreed on: write a charter to begin with
    #[command(subcommand)]
    Swarm(swarm::Command),
    /// How a node of this machine is
    Status(status::Options),
    /// What of this machine its nodes may have, and when: show it, change it
    Limits(limits::Options),
    /// Let the nodes of this machine rest: they stay connected, claim what they have earned, and begin no round
    Pause(limits::Whose),
    /// Let them work again
    Resume(limits::Whose),
    /// Go through a node's rounds again, step by step, from its event log
    Replay(replay::Options),
    /// Can this machine take part? Looks for peers, and says in words what it finds and what to do.
    Doctor(doctor::Options),
    /// Move large files by the hash of their bytes: every byte is checked, whoever sends it.
    Blob(blob::Options),
    /// The keys of this node: show, export, import, rotate.
    Identity(identity::Options),
    /// The chain that needs no other program: run it, look at it, take it elsewhere; and our contracts, on any chain.
    #[command(subcommand)]
    Chain(chain::Command),
    /// Look into a model's files
    #[command(subcommand)]
    Model(model::Command),
    /// Talk with a model on this machine
    Chat(chat::Options),
    /// The assistant that helps you build and learns from what you do: score it on recordings, teach it, share it, make it forget
    #[command(subcommand)]
    Assist(assist::Command),
    /// Check anyone's claim alone, or make one
    #[command(subcommand)]
    Verify(verify::Command),
    /// See a claim that lies convicted, move by move, on a chain made for it
    Dispute(dispute::Options),
    /// What your shell needs to complete our commands: `starling completions bash > …`
    Completions {
        /// Your shell
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    heap::keep_little();
    let done = match Cli::parse().command {
        Command::Doctor(options) => doctor::run(&options),
        Command::Up(options) => up::run(&options),
        Command::Join(options) => join::run(&options),
        Command::Invite(options) => invite::run(&options),
        Command::Swarm(command) => swarm::run(&command),
        Command::Status(options) => status::run(&options),
        Command::Limits(options) => limits::run(&options),
        Command::Pause(whose) => limits::pause(&whose),
        Command::Resume(whose) => limits::resume(&whose),
        Command::Replay(options) => replay::run(&options),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "starling", &mut std::io::stdout());
            Ok(())
        }
        Command::Blob(options) => blob::run(&options),
        Command::Identity(options) => identity::run(&options),
        Command::Chain(command) => chain::run(&command),
        Command::Model(command) => model::run(&command),
        Command::Chat(options) => chat::run(&options),
        Command::Assist(command) => assist::run(&command),
        Command::Verify(command) => verify::run(&command),
        Command::Dispute(options) => dispute::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our lines, `head` say, has had enough.
        Err(error) if error.downcast_ref::<Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe) => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("starling: {error}");
            ExitCode::from(exit::of(error.as_ref()).number)
        }
    }
}
