//! Practice: goals from chance, simulated players, and lessons made of what they do.

mod exam;
mod goal;
mod player;
mod teach;

pub use exam::{Candidate, one_offs, repeaters};
pub use player::Part;
pub use teach::Recipe;
pub(crate) use teach::{Simulated, lessons_of};
