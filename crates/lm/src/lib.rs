//! Language models as `exact` programs: what they are, how they learn, how they speak, and how anyone checks what they said.

mod alphabet;
mod batch;
mod chat;
mod config;
mod decoder;
mod error;
mod files;
mod learn;
mod model;
mod optimiser;
mod speak;
mod tokenizer;

pub use alphabet::Alphabet;
pub use batch::{Batch, advantages};
pub use chat::{Chat, Message};
pub use config::{Config, Parameter, Start};
pub use error::Error;
pub use files::gguf::{Packed, Packing};
pub use files::{Files, Language};
pub use learn::{Learner, Objective, Progress, step_program};
pub use model::Model;
pub use optimiser::Optimiser;
pub use speak::{Checker, Finding, Rollout, Sampling, Speaker};
pub use tokenizer::{Stream, Tokenizer};

/// What fuzzers call: each parser of foreign bytes by itself.
#[doc(hidden)]
pub mod foreign {
    use crate::{Config, Error, files};

    /// The tensors of a safetensors file, or what is wrong with it.
    pub fn safetensors(bytes: &[u8]) -> Result<Vec<(String, Vec<u64>)>, String> {
        files::safetensors::inspect(bytes)
    }

    /// The tensors of a GGUF file, its shape and tokenizer understood, or what is wrong with it.
    pub fn gguf(bytes: &[u8]) -> Result<Vec<(String, Vec<u64>)>, Error> {
        files::gguf::inspect(bytes)
    }

    /// A `config.json`.
    pub fn config(bytes: &[u8]) -> Result<Config, Error> {
        files::shape::inspect(bytes)
    }
}
