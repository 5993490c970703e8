//! What can go wrong, each with the operation it happened in and the limit it broke.

use crate::shape::{MAX_ELEMENTS, MAX_RANK, Type};

/// Why a program could not be built, decoded, planned or run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A tensor with too many axes.
    #[error("a tensor of {rank} axes: at most {MAX_RANK} are allowed")]
    Rank {
        /// How many axes were asked for.
        rank: usize,
    },
    /// A tensor with too many elements.
    #[error("a tensor of shape {dims:?} is too large: at most {MAX_ELEMENTS} elements are allowed")]
    TooLarge {
        /// The axes that were asked for.
        dims: Vec<usize>,
    },
    /// Operands that do not fit the operation.
    #[error("{op}: {why} (operands: {operands})")]
    Operands {
        /// The operation's name.
        op: &'static str,
        /// What does not fit.
        why: String,
        /// The operands' types.
        operands: String,
    },
    /// A value of another program, or of none.
    #[error("{op}: value %{value} is not defined before this operation")]
    UnknownValue {
        /// The operation's name.
        op: &'static str,
        /// The value's number.
        value: u32,
    },
    /// A name used twice for an input, state or output.
    #[error("the name {name:?} is already taken: give every input, state and output its own name")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A name that is empty or too long.
    #[error("the name {name:?} is not allowed: use 1 to {limit} bytes")]
    BadName {
        /// The name, cut to a readable length.
        name: String,
        /// The most bytes.
        limit: usize,
    },
    /// No tensor of that name.
    #[error("there is no {kind} named {name:?}; there are: {known}")]
    UnknownName {
        /// What was looked for: `input`, `state`, `output`.
        kind: &'static str,
        /// The name.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A buffer of another type or size than the tensor.
    #[error("{name:?} is {expected}, and the data given are {given}")]
    Data {
        /// The tensor's name.
        name: String,
        /// What it is.
        expected: Type,
        /// What was given.
        given: String,
    },
    /// A second value for the same state.
    #[error("the state {name:?} is assigned twice: assign each state once, at the end")]
    AssignedTwice {
        /// The state's name.
        name: String,
    },
    /// An operation that has no derivative on the path from the parameters to the loss.
    #[error("{op} has no derivative and lies between the loss and what it is differentiated by")]
    NoGradient {
        /// The operation's name.
        op: &'static str,
    },
    /// An id outside its table, found while running.
    #[error(
        "{op} (operation {at}): {what} {index} at position {position} is out of range: the limit is {limit}"
    )]
    Index {
        /// The operation's name.
        op: &'static str,
        /// Which operation of the program.
        at: usize,
        /// What the number means.
        what: &'static str,
        /// The number.
        index: u64,
        /// Where in its tensor it stands.
        position: usize,
        /// What it must stay below, or may at most be.
        limit: u64,
    },
    /// An integer result that does not fit 32 bits.
    #[error("{op} (operation {at}): the integer result at position {position} does not fit 32 bits unsigned")]
    IntegerOverflow {
        /// The operation's name.
        op: &'static str,
        /// Which operation of the program.
        at: usize,
        /// Where in the result.
        position: usize,
    },
    /// A program that wants more memory than its owner allows.
    #[error(
        "the program needs {needed} bytes and the limit is {limit}: raise the limit or make the batch smaller \
         (the largest operation is {op}, operation {at})"
    )]
    Memory {
        /// What it needs.
        needed: u64,
        /// What it may have.
        limit: u64,
        /// The operation with the largest results.
        op: &'static str,
        /// Which operation of the program that is.
        at: usize,
    },
    /// A program that is more work than its owner allows.
    #[error(
        "the program is {needed} steps of work and the limit is {limit}: raise the limit or make the batch smaller \
         (most of it is {op}, operation {at})"
    )]
    Work {
        /// How much it is.
        needed: u64,
        /// How much it may be.
        limit: u64,
        /// The operation that is most of it.
        op: &'static str,
        /// Which operation of the program that is.
        at: usize,
    },
    /// A program within its owner's limit that the system has no memory for.
    #[error("the system does not give {words} words of 4 bytes: lower the limit, or make the batch smaller")]
    Unavailable {
        /// How many were asked for.
        words: usize,
    },
    /// A program with more operations or values than is allowed.
    #[error("a program of {count} {what}: at most {limit} are allowed")]
    ProgramTooLong {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        count: usize,
        /// The most.
        limit: usize,
    },
    /// Bytes that are not an encoded program.
    #[error("not an encoded program: {why}")]
    Decode {
        /// What is wrong with them.
        why: String,
    },
    /// A state that a run that failed midway may have left half new.
    #[error("a run failed midway, so the state {name:?} may be half old and half new: write it again first")]
    Poisoned {
        /// The first such state.
        name: String,
    },
    /// An output that no run has given.
    #[error(
        "the output {name:?} has no value: the last run failed, or there was none: run the program first"
    )]
    NoResult {
        /// The output.
        name: String,
    },
}

impl Error {
    pub(crate) fn too_large(dims: &[usize]) -> Error {
        Error::TooLarge { dims: dims.to_vec() }
    }
}
