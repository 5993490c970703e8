//! Language models as `exact` programs: what they are, how they learn, how they speak, and how anyone checks what they said.

mod alphabet;
mod batch;
pub mod checkpoint;
mod config;
mod decoder;
mod error;
mod learn;
mod likelihood;
mod lora;
mod machine;
mod model;
mod objective;
mod optimiser;
mod plan;
mod practice;
mod schedule;
mod speak;
pub mod wren;

pub use alphabet::Alphabet;
pub use batch::{Batch, advantages, advantages_unscaled};
pub use config::{Config, Parameter, Start};
pub use error::Error;
pub use learn::{Learner, Lesson, Progress, step_program};
pub use likelihood::Likelihoods;
pub use lora::Lora;
pub use machine::available_bytes;
pub use model::Model;
pub use objective::{Improve, Objective};
pub use optimiser::{Group, Optimiser};
pub use plan::{LearnerPlan, Need, SpeakerPlan, plan_learner, plan_speaker};
pub use practice::{Drill, Practice, Round};
pub use schedule::{Decay, Schedule};
pub use speak::{
    Checker, Ending, Event, Finding, Request, RequestId, Rollout, Sampling, Speaker, Stop, Until, Words,
};
