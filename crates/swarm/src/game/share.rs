//! Share: each answers tasks of its own and lets the others have the answers.

use super::{Asked, GameManager, Stage};
use crate::data::{Assigned, Place};
use crate::id::{NodeId, Seed};
use crate::reward::RewardManager;
use crate::tongue::Question;
use crate::world::World;

/// Swarm sampling policy optimisation (SAPO): one stage, in which each node answers tasks of its own. What is learned from are these answers
/// and some of the others', of which only those that teach something are taken.
#[derive(Clone, Debug)]
pub struct Share {
    stages: [Stage; 1],
}

impl Share {
    /// With so many tasks for each node in a round.
    pub fn new(own: u16) -> Share {
        Share { stages: [Stage { name: "answer", due: own }] }
    }
}

impl GameManager for Share {
    fn stages(&self) -> &[Stage] {
        &self.stages
    }

    fn place(&self, round: u64, seed: Seed, node: NodeId) -> Place {
        Place { round, seed, node: Some(node) }
    }

    fn task(&self, _: u8, number: u16) -> u16 {
        number
    }

    fn asks(&self, _: u8, _: &World, _: NodeId) -> Vec<Asked> {
        (0..self.stages[0].due).map(|number| (number, Vec::new())).collect()
    }

    fn may_show(&self, _: u8, _: NodeId, (_, shown): &Asked) -> bool {
        shown.is_empty()
    }

    fn shown(&self, _: u8, _: &str) -> Option<String> {
        None
    }

    fn question(&self, _: u8, assigned: &Assigned, _: &[String]) -> Question {
        Question::of(&assigned.task)
    }

    fn reward(
        &self,
        _: u8,
        assigned: &Assigned,
        _: &[String],
        text: &str,
        rewards: &dyn RewardManager,
    ) -> f32 {
        rewards.score(assigned, text)
    }
}
