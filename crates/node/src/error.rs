//! What can go wrong with a node, and what to do about it.

use std::path::{Path, PathBuf};

/// Why a node could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not an invite.
    #[error("this is no invite ({why}): it is one word that begins with `starling1`; copy it whole")]
    NotAnInvite {
        /// What is wrong with it.
        why: String,
    },
    /// The chain knows another swarm under the number.
    #[error(
        "swarm {swarm} on {chain} was made for another charter: ask whoever invited you for a new invite"
    )]
    OtherSwarm {
        /// The number.
        swarm: u64,
        /// Where.
        chain: String,
    },
    /// A file of the node's folder.
    #[error("{doing} {}: {source}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that was written by a node and changed by something else.
    #[error("{} is damaged ({why}): move it away; the node begins that part anew", file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Limits that cannot be heeded.
    #[error("{what}: {why}: `starling limits` shows every limit and what it may be")]
    Limits {
        /// The file or the limit.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// What is no level of a log.
    #[error(
        "`{what}` are no levels for the log ({why}): write one of error, warn, info, debug and trace, or some by crate, as in warn,node=debug"
    )]
    Level {
        /// What was given.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// A home in which no node has run.
    #[error("no node has run in {}: name another folder with --home", folder.display())]
    NoLog {
        /// The folder.
        folder: PathBuf,
    },
    /// An address that the dashboard was to be served at.
    #[error(
        "the dashboard cannot be served at {address} ({source}): name another with --dashboard, or port 0 for any that is free"
    )]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something of the charter.
    #[error(transparent)]
    Swarm(#[from] swarm::Error),
    /// Something of the model.
    #[error(transparent)]
    Model(#[from] lm::Error),
    /// Something of a checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] lm::checkpoint::CheckpointError),
    /// Something of the chain.
    #[error(transparent)]
    Chain(#[from] chain::Error),
    /// The chain in this process.
    #[error(transparent)]
    Embedded(#[from] chain::embedded::EmbeddedError),
    /// Something of the keys.
    #[error(transparent)]
    Keys(#[from] chain::KeyError),
    /// Something of the network.
    #[error(transparent)]
    Net(#[from] net::Error),
    /// Something of the blobs.
    #[error(transparent)]
    Blob(#[from] net::blob::Error),
    /// What a peer has could not be fetched.
    #[error("a peer's weights did not come: {why}")]
    Fetch {
        /// What happened.
        why: String,
    },
    /// A thread of the node has ended.
    #[error("the node's {part} has stopped: {why}")]
    Stopped {
        /// Which part.
        part: &'static str,
        /// What is known of it.
        why: String,
    },
}

/// What a node's functions give.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn file(doing: &'static str, path: &Path, source: std::io::Error) -> Error {
        Error::File { doing, path: path.to_owned(), source }
    }
}
