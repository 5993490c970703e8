//! Commitments over a run, the dispute game, and what the referee computes.

mod hash;
mod record;
pub mod rule;
mod tensor;
pub mod tree;

pub use hash::Digest;
pub use record::{Opcode, Record};
pub use tensor::{LEAF, Opening, Tensor};
