//! What can go wrong, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::Root;

/// Why something about blobs was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system said no.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk has no room left.
    #[error(
        "the disk is full: cannot write {}. Nothing that was stored is lost; make room (`starling blob gc` removes what is \
         not pinned) and do it again: a download goes on where it stopped", path.display()
    )]
    DiskFull {
        /// What was being written.
        path: PathBuf,
    },
    /// The store may not grow so far.
    #[error(
        "{need} more bytes do not fit into the store's limit of {limit} bytes, of which {kept} are pinned or in use: raise the \
         limit (--limit), or unpin something"
    )]
    Quota {
        /// What was to be added.
        need: u64,
        /// The limit.
        limit: u64,
        /// What could not be evicted.
        kept: u64,
    },
    /// Another process has the store open.
    #[error(
        "the store {} is in use by another process: end that process, or give this one a store of its own (--store)",
        path.display()
    )]
    InUse {
        /// The store's folder.
        path: PathBuf,
    },
    /// The store does not have the blob, or not all of it.
    #[error("{root} is not in the store, or not whole: fetch it with `starling blob get {root}`")]
    NotHere {
        /// The blob.
        root: Root,
    },
    /// The blob is larger than asked for.
    #[error("{root} has {size} bytes, and at most {limit} were allowed")]
    TooLarge {
        /// The blob.
        root: Root,
        /// Its size.
        size: u64,
        /// What was allowed.
        limit: u64,
    },
    /// Not the text form of a root.
    #[error("`{text}` is not a root: a root is 64 hexadecimal digits, as `starling blob add` prints them")]
    NotARoot {
        /// What was given.
        text: String,
    },
    /// Not a name for a pin.
    #[error("`{name}` cannot name a pin: use 1 to 100 letters, digits, `-`, `_` and `.`, and no `.` first")]
    NotAName {
        /// What was given.
        name: String,
    },
    /// What the disk gives back is not what was stored.
    #[error(
        "{root} is damaged: {bad} of its {groups} groups changed on the disk. They were dropped; `starling blob get {root}` \
         fetches them again"
    )]
    Damaged {
        /// The blob.
        root: Root,
        /// Groups that are not as they were.
        bad: u64,
        /// All of its groups.
        groups: u64,
    },
    /// Nobody who was asked gave (the rest of) the blob.
    #[error(
        "no peer gave {root} ({missing}): {why}. What has arrived is kept; check that somebody who has it is reachable, or \
         name one (--peer), and do it again"
    )]
    NoPeers {
        /// The blob.
        root: Root,
        /// How much is missing, in words.
        missing: String,
        /// What became of those that were asked.
        why: String,
    },
    /// The download was given up, or the network ended.
    #[error("the download of {root} was stopped: what has arrived is kept, start it again to go on")]
    Stopped {
        /// The blob.
        root: Root,
    },
}

/// Names the place of what went wrong in the file system.
pub(crate) trait At<T> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T, Error>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T, Error> {
        self.map_err(|source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Error::DiskFull { path: path.to_owned() }
            }
            _ => Error::Io { doing, path: path.to_owned(), source },
        })
    }
}
