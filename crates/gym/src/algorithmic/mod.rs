//! Families of procedures that a careful clerk could follow.

mod spell_backward;

pub use spell_backward::SpellBackward;
