//! What can go wrong, and what to do about it.

use std::path::PathBuf;

/// Why something did not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tensor program was refused or failed.
    #[error("computing: {0}")]
    Exact(#[from] exact::Error),
    /// Bytes that are no weights of this network.
    #[error(
        "these are no weights of this assistant: {why}. Export them anew with the version of starling they are to go into"
    )]
    Weights {
        /// What was wrong.
        why: String,
    },
    /// A recording that cannot be read.
    #[error("line {line} of the recording: {why}")]
    Line {
        /// The line, from 1.
        line: usize,
        /// What was wrong.
        why: String,
    },
    /// A recording that is too large or not compressed as it should be.
    #[error("the recording: {why}")]
    Recording {
        /// What was wrong.
        why: String,
    },
    /// A file or folder that could not be used.
    #[error("{doing} {}: {why}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        why: std::io::Error,
    },
}

impl Error {
    pub(crate) fn file(doing: &'static str, path: &std::path::Path, why: std::io::Error) -> Error {
        Error::File { doing, path: path.to_owned(), why }
    }
}
