//! An assistant that watches somebody build, guesses the goal, helps, and learns from it.

mod dice;
mod error;
mod evaluate;
mod event;
mod helper;
mod home;
mod learn;
mod likeness;
mod lines;
mod net;
mod practice;
mod recording;
mod score;
mod view;
mod world;

pub use error::Error;
pub use evaluate::{Evaluated, Knowing, evaluate};
pub use event::{Act, Event, Intent};
pub use helper::{Assistant, Guess, Nerve, Senses, Thought, extend_the_line};
pub use home::{Home, name_of, read_weights, sessions_in};
pub use learn::{Outcome, learn};
pub use lines::Recorder;
pub use net::Weights;
pub use practice::{Candidate, Part, Recipe, one_offs, repeaters};
pub use recording::{Header, Recording};
pub use score::{Helper, Score, score};
pub use world::{Actor, Block, Bounds, Cell, MATERIALS, World};

/// The most bytes of a text that is said.
pub const MAX_TEXT_BYTES: usize = 512;

/// The weights that ship, inside the program.
const ROBIN: &[u8] = include_bytes!("../models/robin.bin");

/// `robin`, the weights that ship: what [`Recipe::shipped`] makes, on every machine.
pub fn robin() -> Result<Weights, Error> {
    Weights::from_bytes(ROBIN)
}
