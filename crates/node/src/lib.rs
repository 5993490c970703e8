//! One machine in a swarm: the model, the peers and the chain, put together.
//!
//! [`join`] is what a node does: it loads the model, finds its peers, takes its place on the chain, and then lets [`swarm::Flock`] decide. What
//! it tells of itself are [`Report`]s. An [`Invite`] is all that it needs to know; a [`Home`] is where it keeps what is its own.
//!
//! [`Colony`] is a whole swarm on one machine, which is a chain and processes that join.
//!
//! Everything that must outlive the process is on the disk before it is acted on: the event log ([`swarm::log`]), from which a node that was
//! killed learns again what it had learned since its last checkpoint, to the same bits; the chain's outbox; and the ledger's notes.

pub mod api;
mod colony;
mod error;
mod home;
pub mod hub;
mod invite;
mod journal;
mod ledger;
pub mod logs;
pub mod metrics;
mod mind;
mod node;
mod owner;
mod pace;
mod replay;
mod report;
mod status;
mod tell;
mod tongue;
mod weights;

pub use colony::{Colony, News, Plan};
pub use error::{Error, Result};
pub use home::Home;
pub use invite::{Invite, Place};
pub use node::{Listen, Options, join};
pub use owner::{About, Around, Hours, LIMITS, Limits, Rest, may_work};
pub use replay::replay;
pub use report::{Answer, Link, Machine, Practice, Progress, Report, Sample, bird, hex};
pub use status::{Counts, Status};
pub use swarm::{Charter, Effect, Entry, Event, Play, Practised, environment};
