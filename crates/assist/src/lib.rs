//! An assistant that watches somebody build, guesses the goal, helps, and learns from it.

mod dice;
mod error;
mod event;
mod helper;
mod likeness;
mod net;
mod practice;
mod recording;
mod score;
mod view;
mod world;

pub use error::Error;
pub use event::{Act, Event, Intent};
pub use helper::{Assistant, Nerve, Thought, extend_the_line};
pub use net::Weights;
pub use practice::{Candidate, Part, Recipe, one_offs, repeaters};
pub use recording::{Header, Recording};
pub use score::{Helper, Score, score};
pub use world::{Actor, Block, Bounds, Cell, MATERIALS, World};

/// The most bytes of a text that is said.
pub const MAX_TEXT_BYTES: usize = 512;
