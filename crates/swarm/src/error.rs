//! What can go wrong, and what to do about it.

/// Why a swarm could not be set up, learned in, or read from its log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A `swarm.toml` that cannot be read.
    #[error("swarm.toml: {why}: `starling swarm new` writes one in which every field is explained")]
    Toml {
        /// What is wrong, and in which line.
        why: String,
    },
    /// A field of a charter whose value cannot be used.
    #[error("swarm.toml: {field} {why}")]
    Field {
        /// The field.
        field: String,
        /// What is wrong with it, and what it may be.
        why: String,
    },
    /// A task that the model cannot be asked.
    #[error(
        "the model cannot be asked a task of {environment}: {why}: choose another environment, or another model"
    )]
    Prompt {
        /// The environment.
        environment: String,
        /// What is wrong.
        why: String,
    },
    /// Weights that are not what they should be.
    #[error("the weights {why}: fetch them again, from another peer")]
    Weights {
        /// What is wrong with them.
        why: String,
    },
    /// A memory or a log that cannot be taken up.
    #[error("the {what} cannot be taken up: {why}")]
    Kept {
        /// Which of what was kept.
        what: &'static str,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A replay that went otherwise than the log says.
    #[error(
        "record {at} of the log does not replay: the same events had other effects, so the log is of another version or was changed"
    )]
    Replay {
        /// Which record.
        at: usize,
    },
    /// The model's own complaint.
    #[error(transparent)]
    Model(#[from] lm::Error),
}
