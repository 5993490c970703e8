//! The round: who is asked what, what is shared, scored, checked and learned; without input or output.
//!
//! A swarm is a flock of nodes that learn from each other. What they agreed on is its [`Charter`]. In every round a node is asked tasks that follow from the
//! round's public seed, answers each several times, lets the others hear the answers, scores what it hears for itself, and learns
//! from its own answers and some of the others'. Two nodes here, the wires between them a few lines:
//!
//! ```
//! use std::sync::Arc;
//! use exact::{Device, Limits};
//! use swarm::{Beacon, Charter, Effect, Event, Flock, Memory, NodeId, Parts, Play, Pupil, Seed, Tongue, Trainer};
//!
//! let mut charter = Charter { game: Play::Share { own: 2, foreign: 2 }, ..Charter::new() };
//! charter.answers.samples = 4;
//! let tongue = Tongue::wren(charter.answers.prompt, charter.answers.tokens);
//! let beacon = Beacon::new(charter.id(), charter.round.period_ms);
//! let parts = Arc::new(Parts::new(charter, tongue)?);
//!
//! let mut nodes = Vec::new();
//! for name in ["one", "two"] {
//!     let model = lm::wren::load(&Device::cpu(1), Limits::default())?;
//!     let pupil = Pupil::new(model, &parts.charter, &parts.tongue, Limits::default())?;
//!     let memory = Memory::new(parts.charter.id(), NodeId::of(name.as_bytes()), Seed([0; 32]));
//!     nodes.push((Flock::new(parts.clone(), memory)?, pupil));
//! }
//!
//! // The time is a number that somebody says. So is everything else that happens.
//! let round = beacon.round(1_000_000);
//! let mut learned = 0;
//! for at in [0, 1_000, 2_000] {
//!     let mut mail = Vec::new();
//!     for (flock, pupil) in &mut nodes {
//!         let opened = Event::Opened { round, seed: beacon.seed(round) };
//!         let mut todo = flock.step(at, if at == 0 { opened } else { Event::Tick });
//!         while let Some(effect) = todo.pop() {
//!             match effect {
//!                 Effect::Answer { round, stage, asks } => {
//!                     let (root, answers) = (pupil.root()?, pupil.answer(&asks)?);
//!                     todo.extend(flock.step(at, Event::Answered { round, stage, root, answers }));
//!                 }
//!                 Effect::Learn { round, lessons } => {
//!                     learned += pupil.learn(&lessons)?.groups;
//!                     todo.extend(flock.step(at, Event::Learned { round, root: pupil.root()? }));
//!                 }
//!                 Effect::Publish(bytes) => mail.push((flock.me(), bytes)),
//!                 _ => {}
//!             }
//!         }
//!     }
//!     for (from, bytes) in mail {
//!         for (flock, _) in nodes.iter_mut().filter(|(flock, _)| flock.me() != from) {
//!             flock.step(at, Event::Heard { ticket: 0, from, bytes: bytes.clone() });
//!         }
//!     }
//! }
//! assert!(nodes.iter().all(|(flock, _)| flock.memory().learned() == Some(round)));
//! # let _ = learned;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | | |
//! |---|---|
//! | [`Flock`] | the machine: an [`Event`] in, [`Effect`]s out. The same code runs in a node and in [`sim`] |
//! | [`DataManager`], [`RewardManager`], [`GameManager`], [`Trainer`] | the four parts that users of `GenRL` know, and what comes with it for each: [`Draw`], [`Share`] and [`Debate`], [`Pupil`] |
//! | [`Rule`], [`Standing`] | what is checked of what others say, and what lies come to |
//! | [`Recorder`], [`replay`] | the event log, and any round gone through again to the bit |
//! | [`Memory`] | what a node keeps of itself |
//! | [`Beacon`] | rounds where there is no chain to open them |
//!
//! `docs/swarm.md` says the same in words.

mod beacon;
mod charter;
mod data;
mod error;
mod event;
mod flock;
mod game;
mod id;
pub mod limits;
pub mod log;
mod lot;
mod memory;
mod native;
mod reward;
mod round;
mod rules;
pub mod sim;
mod standing;
mod tongue;
mod trainer;
mod wire;
mod world;

pub use beacon::Beacon;
pub use charter::{Answers, Charter, Learning, Play, Practised, Rounds};
pub use data::{Assigned, DataManager, Draw, Place};
pub use error::Error;
pub use event::{Ask, Claim, Effect, Entry, Event, Finding, Lesson};
pub use flock::{Flock, Parts, commitment};
pub use game::{Asked, Debate, GameManager, Share, Stage};
pub use id::{NodeId, Seed};
pub use log::{Record, Recorder, replay};
pub use memory::Memory;
pub use native::environment;
pub use reward::RewardManager;
pub use rules::{Rule, Verdict};
pub use standing::Standing;
pub use tongue::{Question, Tongue};
pub use trainer::{Auditor, Learned, Pupil, Trainer, weight_bytes};
pub use wire::{Drawn, Group, Message, Reference, Said};
pub use world::{Known, World};
