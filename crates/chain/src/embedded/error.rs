//! What can go wrong with the embedded chain, and what to do about it.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the embedded chain could not be opened, written or served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// The folder could not be made or its key file read or written.
    #[error("{path}: {source}; choose a folder that this user may write to")]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file of the chain is open in another process.
    #[error("the chain in {path} is open already: stop the other process, or talk to it by its RPC address")]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// The store failed.
    #[error("the chain's store: {0}; see that the disk has room and is sound, then start again")]
    Store(#[from] redb::Error),
    /// The store holds something that this program did not write.
    #[error(
        "the chain's store is damaged: {what}; restore a copy of the folder, or begin a new chain in another one"
    )]
    Damaged {
        /// What is wrong with it.
        what: String,
    },
    /// The folder holds a chain with another id.
    #[error(
        "the folder holds chain {found}, not {wanted}: open it with its own id, or choose another folder"
    )]
    OtherChain {
        /// The chain's id.
        found: u64,
        /// The id that was asked for.
        wanted: u64,
    },
    /// The sequencer has stopped, after an error of the store or because the chain was closed.
    #[error("the chain takes no more transactions: {why}; start it again")]
    Stopped {
        /// Why it stopped.
        why: String,
    },
    /// The faucet could not pay.
    #[error("the faucet could not pay: {why}")]
    Faucet {
        /// Why.
        why: String,
    },
    /// More blocks were to be dropped than the chain remembers the states of.
    #[error("only the last {limit} blocks can be dropped")]
    TooDeep {
        /// How many can.
        limit: u64,
    },
    /// The server could not listen.
    #[error("cannot listen on {address}: {source}; choose another port")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The server was to be reachable from other machines.
    #[error(
        "{address} can be reached from other machines, and this server has no passwords: listen on 127.0.0.1 and \
         put a proxy in front of it"
    )]
    NotLoopback {
        /// Where.
        address: SocketAddr,
    },
}

macro_rules! from_redb {
    ($($error:ident),*) => {$(
        impl From<redb::$error> for EmbeddedError {
            fn from(error: redb::$error) -> EmbeddedError {
                EmbeddedError::Store(error.into())
            }
        }
    )*};
}
from_redb!(DatabaseError, StorageError, TableError, TransactionError, CommitError, SetDurabilityError);
