//! Language models as `exact` programs: what they are, how they learn, how they speak, and how anyone checks what they said.

mod alphabet;
mod batch;
pub mod checkpoint;
mod config;
mod decoder;
mod error;
mod learn;
mod machine;
mod model;
mod optimiser;
mod plan;
mod speak;

pub use alphabet::Alphabet;
pub use batch::{Batch, advantages};
pub use config::{Config, Parameter, Start};
pub use error::Error;
pub use learn::{Learner, Objective, Progress, step_program};
pub use machine::available_bytes;
pub use model::Model;
pub use optimiser::Optimiser;
pub use plan::{LearnerPlan, Need, SpeakerPlan, plan_learner, plan_speaker};
pub use speak::{
    Checker, Ending, Event, Finding, Request, RequestId, Rollout, Sampling, Speaker, Stop, Until, Words,
};
