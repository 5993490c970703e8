//! Families of patterns and of things in space.

mod color_cube_rotation;
mod number_sequence;

pub use color_cube_rotation::ColorCubeRotation;
pub use number_sequence::NumberSequence;
