//! Programs: static lists of operations over typed values, each value defined once.

mod build;
mod code;
mod gradient;
pub(crate) mod infer;
mod lower;
pub(crate) mod op;
mod print;
mod work;

pub use build::{AdamState, AdamW, Builder, Element, RopeTables, Var};
pub use code::{MAX_ENCODED_BYTES, ProgramHash};
pub use lower::Node;

use crate::shape::Type;
use op::Op;

/// The most operations a program may have.
pub const MAX_OPERATIONS: usize = 1 << 18;
/// The most bytes in the name of an input, state or output.
pub const MAX_NAME_BYTES: usize = 256;

/// A value's number within its program: leaves first, then results in the order of their operations.
pub(crate) type ValueId = u32;

/// A tensor program: what it takes, what it keeps, what it computes and what it gives back.
///
/// Made by a [`Builder`] or decoded from bytes; either way every operation has been checked, so a program that exists is
/// well typed, and every value is used or given back.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// Inputs, then states.
    pub(crate) leaves: Vec<Leaf>,
    pub(crate) inputs: usize,
    pub(crate) operations: Vec<Operation>,
    /// The type of every value.
    pub(crate) types: Vec<Type>,
    pub(crate) outputs: Vec<(String, ValueId)>,
    /// What each state becomes, if it changes.
    pub(crate) assigned: Vec<Option<ValueId>>,
}

/// A named value that comes from outside the run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Leaf {
    pub(crate) name: String,
    pub(crate) ty: Type,
}

/// One operation, what it reads and the first of the values it makes (they are consecutive).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operation {
    pub(crate) op: Op,
    pub(crate) operands: Vec<ValueId>,
    pub(crate) first: ValueId,
    pub(crate) results: u32,
}

impl Operation {
    pub(crate) fn results(&self) -> std::ops::Range<ValueId> {
        self.first..self.first + self.results
    }
}

impl Program {
    /// The inputs' names and types, in order.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, Type)> {
        self.leaves[..self.inputs].iter().map(|l| (l.name.as_str(), l.ty))
    }

    /// The states' names and types, in order.
    pub fn states(&self) -> impl Iterator<Item = (&str, Type)> {
        self.leaves[self.inputs..].iter().map(|l| (l.name.as_str(), l.ty))
    }

    /// The outputs' names and types, in order.
    pub fn outputs(&self) -> impl Iterator<Item = (&str, Type)> {
        self.outputs.iter().map(|(name, id)| (name.as_str(), self.types[*id as usize]))
    }

    /// How many operations it has.
    pub fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether it has no operation at all.
    pub fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    pub(crate) fn ty(&self, value: ValueId) -> Type {
        self.types[value as usize]
    }
}
