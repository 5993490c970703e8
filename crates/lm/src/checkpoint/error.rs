//! What can go wrong with checkpoints, and what to do about it.

use std::path::{Path, PathBuf};

/// Why a checkpoint could not be saved or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The system's own complaint about a file.
    #[error("{doing} {}: {source}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The complaint.
        source: std::io::Error,
    },
    /// A folder of checkpoints that another process works on.
    #[error("{} is in use by another process: end it, or name another folder", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A file that is not what was written there.
    #[error("{} is damaged: {why}; go on from an earlier checkpoint, or bring back the file from a copy", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A checkpoint that cannot be written as it is.
    #[error("the checkpoint cannot be saved: {why}")]
    Unfit {
        /// What is wrong with it.
        why: String,
    },
    /// A name for a checkpoint that is no plain word.
    #[error("{name:?} cannot name a checkpoint: take up to 64 letters, digits, `-` and `_`")]
    Name {
        /// The name.
        name: String,
    },
    /// No such checkpoint.
    #[error("there is no checkpoint {name} in {}", path.display())]
    Missing {
        /// Its step or name.
        name: String,
        /// The folder.
        path: PathBuf,
    },
    /// A checkpoint that does not have what it is asked for.
    #[error("the checkpoint of step {step} {why}: it was made by something else than what goes on from it")]
    Differs {
        /// Its step.
        step: u64,
        /// What it lacks or has too much.
        why: String,
    },
}

impl CheckpointError {
    /// For `map_err`: the file and what was being done with it.
    pub(super) fn file(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> CheckpointError {
        move |source| CheckpointError::File { doing, path: path.to_owned(), source }
    }
}
