//! What can go wrong, and what to do about it.

use std::path::PathBuf;

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
    /// A file that could not be opened, read or written.
    #[error("{}: {source}: {remedy}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// A file that is not what its name says, or is damaged.
    #[error("{}: not a {format} file that can be used: {why}: fetch it again from where it came", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// What it should be.
        format: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A field of a file that is missing, or has a value that cannot be used.
    #[error("{}: {field} {why}", file.display())]
    Field {
        /// The file.
        file: PathBuf,
        /// The field.
        field: String,
        /// What is wrong with it, and what it may be.
        why: String,
    },
    /// A tensor of a file that is missing, or is not what the configuration says.
    #[error("{}: tensor {tensor}: {why}", file.display())]
    Tensor {
        /// The file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// A tokenizer that cannot be made or used.
    #[error("the tokenizer {name}: {why}")]
    Tokenizer {
        /// Where it came from.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// A chat template that cannot be read or rendered.
    #[error("the chat template {name}: {why}: mend the template, or give the model a prompt without one")]
    Template {
        /// Where it came from.
        name: String,
        /// What is wrong, and in which line.
        why: String,
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
    /// A packed model in a place where its numbers would have to move.
    #[error("the model is packed and cannot be {what}: load it in 32 bits (`Files::load`)")]
    Packed {
        /// What it was to be.
        what: &'static str,
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
