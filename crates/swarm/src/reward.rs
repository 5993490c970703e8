//! What an answer is worth.

use std::fmt;

use crate::data::Assigned;

/// `GenRL`'s name for who says what an answer is worth. Everyone scores what they hear for themselves; nobody's word is taken for it.
pub trait RewardManager: fmt::Debug + Send + Sync {
    /// What an answer to a task is worth, from 0 to 1. A pure function, quick for any text: answers come from strangers.
    fn score(&self, assigned: &Assigned, answer: &str) -> f32;
}
