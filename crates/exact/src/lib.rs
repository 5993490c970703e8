//! Tensor programs whose result is the same bits on every machine.

#[allow(dead_code, reason = "the executor that calls the kernels comes with the cpu backend")]
mod cpu;
mod error;
mod expand;
mod program;
mod shape;
#[allow(dead_code, reason = "see cpu")]
mod spec;

pub use cpu::{Level, Pool};
pub use error::Error;
pub use program::op::{BinaryFn, CompareFn, IntFn, Op, ReduceFn, UnaryFn};
pub use program::{
    AdamState, AdamW, Builder, Element, MAX_ENCODED_BYTES, MAX_NAME_BYTES, MAX_OPERATIONS, Program,
    ProgramHash, RopeTables, Var,
};
pub use shape::{DType, MAX_ELEMENTS, MAX_RANK, Shape, Type};

/// The bits of the only NaN that is ever stored.
pub(crate) const CANONICAL_NAN: u32 = 0x7fc0_0000;
