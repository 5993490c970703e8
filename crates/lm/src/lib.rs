//! Language models as `exact` programs: what they are, how they learn, how they speak, and how anyone checks what they said.

mod alphabet;
mod batch;
mod config;
mod decoder;
mod error;
mod learn;
mod model;
mod optimiser;
mod speak;

pub use alphabet::Alphabet;
pub use batch::{Batch, advantages};
pub use config::{Config, Parameter, Start};
pub use error::Error;
pub use learn::{Learner, Objective, Progress, step_program};
pub use model::Model;
pub use optimiser::Optimiser;
pub use speak::{Checker, Finding, Rollout, Sampling, Speaker};
