//! Commitments over a run, the dispute game, and what the referee computes.

mod audit;
mod error;
mod file;
pub mod game;
mod graph;
mod hash;
mod record;
pub mod rule;
mod run;
mod tensor;
pub mod tree;

pub use audit::{Verdict, make};
pub use error::Error;
pub use file::ClaimFile;
pub use graph::{Graph, Header};
pub use hash::Digest;
pub use record::{Opcode, Record};
pub use run::{
    Block, Claim, Given, Honest, Runner, Stop, Terms, Watch, Work, chain, element, evaluate, evaluate_all,
    reads, scheduled, state_after,
};
pub use tensor::{LEAF, Opening, Tensor, commitment, words_leaf};
