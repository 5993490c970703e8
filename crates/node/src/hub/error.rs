//! What can go wrong between a hub and a folder, and what to do about it.

use std::path::{Path, PathBuf};

/// Why a model could not be fetched or put.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Not a model's name.
    #[error("`{text}` names no model: write it as owner/name, as in Qwen/Qwen3-0.6B")]
    NotAName {
        /// What was given.
        text: String,
    },
    /// Not a hub's address.
    #[error(
        "`{text}` is no hub ({why}): an address that begins with https://, or with http:// on this machine"
    )]
    NotAHub {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// No answer, or one that broke off.
    #[error("{url}: {why}. What has arrived is kept: do it again, and it goes on from there")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What happened.
        why: String,
    },
    /// The hub says no.
    #[error("{url}: the hub refuses ({status}): {remedy}")]
    Refused {
        /// What was asked for.
        url: String,
        /// Its number for why.
        status: u16,
        /// What to do.
        remedy: &'static str,
    },
    /// An answer that cannot be used.
    #[error("{url}: the hub's answer cannot be used: {why}")]
    Nonsense {
        /// What was asked for.
        url: String,
        /// What is wrong with the answer.
        why: String,
    },
    /// No model there.
    #[error(
        "{repo} has no files of a model that we read (config.json and safetensors): look at what it has with --all, or take another"
    )]
    NoModel {
        /// Which.
        repo: String,
    },
    /// More than may be fetched.
    #[error("{what} has {bytes} bytes, and at most {limit} may be fetched: raise that with --limit")]
    TooLarge {
        /// What.
        what: String,
        /// How large it is, at least.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A file that is not what the hub says it is.
    #[error(
        "{file} has hash {found}, and the hub names {expected}: it was not kept; fetch it again, or from elsewhere"
    )]
    Mismatch {
        /// Which file.
        file: String,
        /// The hub's hash.
        expected: String,
        /// That of what came.
        found: String,
    },
    /// A file on this machine.
    #[error("{doing} {}: {source}", path.display())]
    File {
        /// What was tried.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder that holds something else.
    #[error("{} is not empty and holds no model: name another folder", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
}

impl HubError {
    pub(super) fn file(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> HubError {
        move |source| HubError::File { doing, path: path.to_owned(), source }
    }
}
