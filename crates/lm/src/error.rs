//! What can go wrong, and what to do about it.

use crate::checkpoint::CheckpointError;

/// Why a model could not be made, taught or asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration whose numbers do not go together.
    #[error("the model's configuration: {field} {why}")]
    Config {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A text with a character that the tokenizer does not know.
    #[error("the character {character:?} is not in the model's alphabet {alphabet:?}")]
    Character {
        /// The character.
        character: char,
        /// What it may be.
        alphabet: String,
    },
    /// A sequence longer than it may be.
    #[error("{what} of {length} tokens: at most {limit} fit")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// How long it is.
        length: usize,
        /// How long it may be.
        limit: usize,
    },
    /// Something that must not be empty or missing.
    #[error("{what} is missing")]
    Empty {
        /// What is missing.
        what: &'static str,
    },
    /// A token that the model does not have.
    #[error("there is no token {token}: the model has tokens 0 to {}", vocabulary - 1)]
    Token {
        /// The token.
        token: u32,
        /// How many the model has.
        vocabulary: usize,
    },
    /// Numbers that cannot be learned from.
    #[error("the batch's {field} {why}")]
    Batch {
        /// Which of the batch's numbers.
        field: &'static str,
        /// What is wrong with them.
        why: String,
    },
    /// A request that cannot be answered as it is.
    #[error("the request's {field} {why}")]
    Request {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// Weights that moved while answers were under way: they would be no model's answers.
    #[error(
        "the weights changed while {answers} answers were under way: cancel them, or let them end before the model learns"
    )]
    Changed {
        /// How many there are.
        answers: usize,
    },
    /// More memory than the owner allows.
    #[error("{what} would need {} and the limit is {}; {remedy}", mib(*needed), mib(*limit))]
    Memory {
        /// What was planned.
        what: String,
        /// Bytes it would take.
        needed: u64,
        /// Bytes it may take.
        limit: u64,
        /// What to do.
        remedy: String,
    },
    /// A checkpoint that could not be saved or loaded.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The engine's own complaint.
    #[error(transparent)]
    Exact(#[from] exact::Error),
}

/// Bytes as people read them.
pub(crate) fn mib(bytes: u64) -> String {
    if bytes >= 10 << 30 {
        format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64)
    } else {
        format!("{:.1} MiB", bytes as f64 / (1u64 << 20) as f64)
    }
}
