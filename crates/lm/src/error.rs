//! What can go wrong, and what to do about it.

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
    /// The engine's own complaint.
    #[error(transparent)]
    Exact(#[from] exact::Error),
}
