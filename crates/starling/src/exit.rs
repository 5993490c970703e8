//! With what number a command ends: programs that run ours look at it rather than at words.

use std::error::Error;
use std::fmt::Write;
use std::io;

use chain::embedded::EmbeddedError;
use chain::{KeyError, OutboxError};
use lm::checkpoint::CheckpointError;
use net::blob;
use node::hub::HubError;

/// A number, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    pub(crate) number: u8,
    pub(crate) name: &'static str,
    pub(crate) says: &'static str,
}

const fn code(number: u8, name: &'static str, says: &'static str) -> Code {
    Code { number, name, says }
}

pub(crate) const DONE: Code = code(0, "done", "all that was asked was done");
pub(crate) const FAILED: Code =
    code(1, "failed", "something that has no number of its own; the message says what");
pub(crate) const USAGE: Code = code(2, "usage", "the command line was not understood");
pub(crate) const INPUT: Code = code(3, "input", "an invite, a charter, an address or a value cannot be used");
pub(crate) const FILE: Code = code(4, "file", "a file could not be read or written, or the disk is full");
pub(crate) const DAMAGED: Code = code(5, "damaged", "a file is not what was written there");
pub(crate) const IN_USE: Code = code(6, "in-use", "another process has the folder or the port");
pub(crate) const NETWORK: Code =
    code(7, "network", "a peer or a server could not be reached, or said what cannot be used");
pub(crate) const CHAIN: Code = code(8, "chain", "the chain could not be reached, or refused");
pub(crate) const FUNDS: Code = code(9, "funds", "the wallet has too little money");
pub(crate) const KEYS: Code = code(10, "keys", "a key could not be opened, read or made");
pub(crate) const MODEL: Code = code(11, "model", "a model's files cannot be used");
pub(crate) const MEMORY: Code = code(12, "memory", "it would need more memory than it may take");
pub(crate) const DISAGREES: Code = code(13, "disagrees", "what was checked is not what it was said to be");

/// All of them. `docs/exit-codes.md` has a section for each.
pub(crate) const CODES: &[Code] = &[
    DONE, FAILED, USAGE, INPUT, FILE, DAMAGED, IN_USE, NETWORK, CHAIN, FUNDS, KEYS, MODEL, MEMORY, DISAGREES,
];

/// What `--help` says of them at its end.
pub(crate) fn help() -> String {
    let mut text = "Exit codes, each with its section in docs/exit-codes.md:\n".to_owned();
    for Code { number, name, says } in CODES {
        let _ = writeln!(text, "  {number:>2}  {name:<10} {says}");
    }
    text
}

/// The number for what went wrong.
pub(crate) fn of(error: &(dyn Error + 'static)) -> Code {
    if let Some(error) = error.downcast_ref::<node::Error>() {
        return of_node(error);
    }
    if let Some(error) = error.downcast_ref::<chain::Error>() {
        return of_chain(error);
    }
    if let Some(error) = error.downcast_ref::<net::Error>() {
        return of_net(error);
    }
    if let Some(error) = error.downcast_ref::<lm::Error>() {
        return of_model(error);
    }
    if let Some(error) = error.downcast_ref::<blob::Error>() {
        return of_blob(error);
    }
    if let Some(error) = error.downcast_ref::<EmbeddedError>() {
        return of_embedded(error);
    }
    if let Some(error) = error.downcast_ref::<KeyError>() {
        return of_key(error);
    }
    if let Some(error) = error.downcast_ref::<HubError>() {
        return of_hub(error);
    }
    if let Some(error) = error.downcast_ref::<CheckpointError>() {
        return of_checkpoint(error);
    }
    if error.is::<io::Error>() { FILE } else { FAILED }
}

fn of_node(error: &node::Error) -> Code {
    use node::Error as E;
    match error {
        E::NotAnInvite { .. } | E::Limits { .. } | E::Level { .. } | E::Swarm(_) => INPUT,
        E::OtherSwarm { .. } => DISAGREES,
        E::File { .. } | E::NoLog { .. } => FILE,
        E::Damaged { .. } => DAMAGED,
        E::Model(error) => of_model(error),
        E::Checkpoint(error) => of_checkpoint(error),
        E::Chain(error) => of_chain(error),
        E::Embedded(error) => of_embedded(error),
        E::Keys(error) => of_key(error),
        E::Net(error) => of_net(error),
        E::Blob(error) => of_blob(error),
        E::Fetch { .. } => NETWORK,
        E::Listen { .. } => IN_USE,
        E::Stopped { .. } => FAILED,
    }
}

fn of_chain(error: &chain::Error) -> Code {
    use chain::Error as E;
    match error {
        E::NotAnAmount { .. } | E::NotAnAddress { .. } | E::NotAHash { .. } | E::NotAChain { .. } => INPUT,
        E::NeedsFunds { .. } | E::NoFaucet { .. } => FUNDS,
        E::WrongChain { .. } | E::OtherCode { .. } | E::Foreign { .. } => DISAGREES,
        E::Artifact { .. } | E::Manifest { .. } | E::Outbox(OutboxError::Damaged { .. }) => DAMAGED,
        E::Unprotected { .. } => KEYS,
        E::Key(error) => of_key(error),
        E::Outbox(OutboxError::InUse { .. }) => IN_USE,
        E::Outbox(_) => FILE,
        _ => CHAIN,
    }
}

fn of_embedded(error: &EmbeddedError) -> Code {
    match error {
        EmbeddedError::Busy { .. } | EmbeddedError::Listen { .. } => IN_USE,
        EmbeddedError::Damaged { .. } => DAMAGED,
        EmbeddedError::Folder { .. } | EmbeddedError::Store(_) => FILE,
        EmbeddedError::NotLoopback { .. } => INPUT,
        EmbeddedError::OtherChain { .. } => DISAGREES,
        _ => CHAIN,
    }
}

fn of_key(error: &KeyError) -> Code {
    match error {
        KeyError::File { .. } => FILE,
        _ => KEYS,
    }
}

fn of_net(error: &net::Error) -> Code {
    use net::Error as E;
    match error {
        E::Secret | E::PublicKey => KEYS,
        E::PeerText { .. } | E::AddressText { .. } | E::Name { .. } => INPUT,
        E::PortInUse { .. } => IN_USE,
        E::Memory { .. } => MEMORY,
        E::File { .. } => FILE,
        E::Runtime | E::Stopped => FAILED,
        _ => NETWORK,
    }
}

fn of_blob(error: &blob::Error) -> Code {
    use blob::Error as E;
    match error {
        E::Io { .. } | E::DiskFull { .. } | E::Quota { .. } | E::NotHere { .. } => FILE,
        E::InUse { .. } => IN_USE,
        E::NotARoot { .. } | E::NotAName { .. } => INPUT,
        E::Damaged { .. } => DAMAGED,
        _ => NETWORK,
    }
}

fn of_model(error: &lm::Error) -> Code {
    use lm::Error as E;
    match error {
        E::Memory { .. } => MEMORY,
        E::File { .. } => FILE,
        E::Checkpoint(error) => of_checkpoint(error),
        E::Exact(_) => FAILED,
        _ => MODEL,
    }
}

fn of_hub(error: &HubError) -> Code {
    use HubError as E;
    match error {
        E::NotAName { .. } | E::NotAHub { .. } | E::TooLarge { .. } => INPUT,
        E::Unreachable { .. } | E::Refused { .. } | E::Nonsense { .. } => NETWORK,
        E::NoModel { .. } => MODEL,
        E::Mismatch { .. } => DISAGREES,
        E::File { .. } | E::Occupied { .. } => FILE,
    }
}

fn of_checkpoint(error: &CheckpointError) -> Code {
    match error {
        CheckpointError::InUse { .. } => IN_USE,
        CheckpointError::Damaged { .. } => DAMAGED,
        _ => FILE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../docs/exit-codes.md");

    #[test]
    fn the_page_has_a_section_for_each_code_and_no_other() {
        let sections: Vec<&str> = PAGE.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        let codes: Vec<String> = CODES.iter().map(|code| format!("{} {}", code.number, code.name)).collect();
        assert_eq!(sections, codes);
        for (Code { number, name, says }, text) in CODES.iter().zip(PAGE.split("\n## ").skip(1)) {
            let said = text.lines().nth(2).unwrap_or_default();
            let begins = format!("{}{}", says[..1].to_uppercase(), &says[1..]);
            assert!(said.starts_with(&begins), "{number} {name} begins with `{begins}`, not with `{said}`");
        }
        let numbers: Vec<u8> = CODES.iter().map(|code| code.number).collect();
        assert_eq!(numbers, (0..CODES.len() as u8).collect::<Vec<_>>());
    }

    #[test]
    fn what_went_wrong_has_its_number() {
        let missing = io::Error::from(io::ErrorKind::NotFound);
        let inner = chain::Error::Unreachable { chain: "here".to_owned(), why: "closed".to_owned() };
        let cases: Vec<(Box<dyn Error>, Code)> = vec![
            ("words".into(), FAILED),
            (missing.into(), FILE),
            (inner.into(), CHAIN),
            ("hello".parse::<node::Invite>().unwrap_err().into(), INPUT),
            (node::Error::from(KeyError::WrongPassphrase).into(), KEYS),
            (node::Limits::default().with("cpu_percent", "0").unwrap_err().into(), INPUT),
            (node::Status::read(std::path::Path::new("nowhere")).unwrap_err().into(), FILE),
        ];
        for (error, code) in cases {
            assert_eq!(of(error.as_ref()), code, "{error}");
        }
    }
}
