//! An assistant that watches somebody build, guesses the goal, helps, and learns from it.
//!
//! A game tells it what happens and does what it wants; it does not know which game it is in. Here somebody builds a post, then begins a second one
//! like it:
//!
//! ```
//! use assist::{Act, Assistant, Block, Cell, Event, Nerve, World, robin};
//! use exact::Device;
//!
//! let mut world = World::new(None, Some(0));
//! let mut assistant = Assistant::new(&robin()?, Nerve::default(), &Device::cpu(2))?;
//! let post = [(0, 0), (1, 0), (0, 1), (0, 2), (0, 3), (1, 3), (2, 3), (2, 2), (2, 4), (3, 4)];
//! let blocks = post.iter().chain(&post[..8]).enumerate();
//! for (i, (x, y)) in blocks {
//!     let at = Cell { x: *x, y: *y, z: if i < post.len() { 0 } else { 5 } };
//!     world.apply(&Event::player(500 * i as u64, Act::Place { at, block: Block(1) }));
//!     for intent in assistant.decide(&world)? {
//!         println!("after block {i}: {intent:?}");
//!     }
//! }
//! // The best of its thoughts is a block, a free place for it, and how likely the player wants it there.
//! let guess = assistant.guess(&world)?;
//! assert!(world.is_open(guess.thoughts[0].at));
//! # Ok::<(), assist::Error>(())
//! ```
//!
//! # How it goes about it
//!
//! - What was built before is laid over what is being built, in every way in which the last blocks fit: guesses at the whole goal that need no
//!   training. They are among what a [network](Weights) sees, which says of every cell around the player what it will be in the end.
//! - The [`Assistant`] builds where it is sure, shows what it is less sure of, and is still where it knows nothing. It never does again what the player
//!   undid.
//! - A [`Recording`] can be [played again](score()) with the assistant in the loop, so that anyone can say what it would have saved.
//! - After a session a challenger [learns](learn()); it takes over only if it helps more on a session that it has not seen.
//!
//! Everything is computed by [`exact`]: the same events give the same intents on every machine. There is no network here, nor any clock; files
//! are those that [`Home`] is told of.

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
mod trust;
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
