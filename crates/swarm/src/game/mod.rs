//! Games: what a round's stages are, who sees what in each, and what an answer in it is worth.

mod debate;
mod share;

use std::fmt;

use crate::charter::{Charter, Play};
use crate::data::{Assigned, Place};
use crate::id::{NodeId, Seed};
use crate::reward::RewardManager;
use crate::tongue::Question;
use crate::wire::Reference;
use crate::world::World;

pub use debate::Debate;
pub use share::Share;

/// A stage of a game: everyone who plays in it is asked something, and lets the others hear the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// What it is called.
    pub name: &'static str,
    /// The most prompts that a node answers in it.
    pub due: u16,
}

/// A prompt of a stage: its number, and the answers of others that it shows.
pub type Asked = (u16, Vec<Reference>);

/// `GenRL`'s name for who says what happens in a round. After the last stage, all learn.
///
/// All methods are pure functions of what they are given: others ask a node's game about *your* prompts, to see that you answered those.
pub trait GameManager: fmt::Debug + Send + Sync {
    /// The stages, in their order.
    fn stages(&self) -> &[Stage];

    /// Whose tasks a node answers in a round: its own, or everyone's.
    fn place(&self, round: u64, seed: Seed, node: NodeId) -> Place;

    /// Which task a prompt of a stage is about.
    fn task(&self, stage: u8, number: u16) -> u16;

    /// What a node is asked in a stage, given what it has heard. A node that has no part in a stage is asked nothing.
    fn asks(&self, stage: u8, world: &World, node: NodeId) -> Vec<Asked>;

    /// Whether a node may be shown these answers in a prompt of a stage.
    fn may_show(&self, stage: u8, node: NodeId, asked: &Asked) -> bool;

    /// What an answer reads like in a later prompt, if it can be shown at all.
    fn shown(&self, stage: u8, text: &str) -> Option<String>;

    /// A prompt of a stage, showing these answers; a task's plain question if it shows none.
    fn question(&self, stage: u8, assigned: &Assigned, shown: &[String]) -> Question;

    /// What an answer in a stage is worth, from 0 to 1.
    fn reward(
        &self,
        stage: u8,
        assigned: &Assigned,
        shown: &[String],
        text: &str,
        rewards: &dyn RewardManager,
    ) -> f32;
}

/// The game of a charter.
pub(crate) fn game(charter: &Charter) -> Box<dyn GameManager> {
    match charter.game {
        Play::Share { own, .. } => Box::new(Share::new(own)),
        Play::Debate { tasks, critiques, candidates, .. } => {
            Box::new(Debate::new(tasks, critiques, candidates))
        }
    }
}
