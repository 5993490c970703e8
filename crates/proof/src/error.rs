//! What can be wrong with a program, a claim or a run.

use exact::Type;

/// Why something cannot be committed to, run or checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The program or its run.
    #[error(transparent)]
    Exact(#[from] exact::Error),
    /// A program's state is none of the run's.
    #[error(
        "the program has a state {name:?} of type {ty}, which is not among the states of the run: list it there"
    )]
    State {
        /// Its name.
        name: String,
        /// Its type in the program.
        ty: Type,
    },
    /// An operation that no record can say.
    #[error("there is no rule for the operation {op}: a claim cannot contain it")]
    NoRule {
        /// Its name.
        op: &'static str,
    },
    /// Too much for its numbers.
    #[error("{what}: {count} are more than a claim can have; split the work")]
    TooLarge {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
    },
    /// An input or a state is not what the program takes.
    #[error("{what} {name:?} must be {expected}: give it as the program declares it")]
    Data {
        /// Input or state.
        what: &'static str,
        /// Its name.
        name: String,
        /// What it must be.
        expected: Type,
    },
    /// There is no such step.
    #[error("the run has {steps} steps, and step {step} is none of them")]
    Step {
        /// What was asked for.
        step: u64,
        /// How many there are.
        steps: u64,
    },
    /// A step cannot be made.
    #[error(
        "step {step} has no result: element {element} of value {value} of its program has none; give it ids that are in range"
    )]
    NoResult {
        /// The step.
        step: u64,
        /// The value.
        value: u32,
        /// The element.
        element: u64,
    },
    /// What a stranger sent is not what it has to be.
    #[error("this {what} is not one: ask for it again from somebody else")]
    Malformed {
        /// What it should be.
        what: &'static str,
    },
}
