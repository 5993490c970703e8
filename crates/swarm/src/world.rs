//! What has been said in a round, as far as a node has heard.

use std::collections::BTreeMap;

use crate::data::Assigned;
use crate::id::{NodeId, Seed};
use crate::wire::{Group, Reference};

/// What has been said in a round, as far as a node has heard: its own answers and the others'.
#[derive(Clone, Debug)]
pub struct World {
    /// The round.
    pub round: u64,
    /// Its seed.
    pub seed: Seed,
    said: BTreeMap<(u8, NodeId, u16), Known>,
    /// Who answered the same prompt.
    prompts: BTreeMap<Vec<u32>, Vec<(u8, NodeId, u16)>>,
}

/// A group that was found to be in order.
#[derive(Clone, Debug)]
pub struct Known {
    /// The group.
    pub group: Group,
    /// The root of the model that answered.
    pub root: [u8; 32],
    /// The task it is about.
    pub assigned: Assigned,
    /// What the model was asked.
    pub prompt: Vec<u32>,
    /// What each answer says; nothing of those that were cut off.
    pub texts: Vec<Option<String>>,
    /// What each is worth, as scored here.
    pub rewards: Vec<f32>,
}

impl World {
    /// A round in which nothing has been said.
    pub fn new(round: u64, seed: Seed) -> World {
        World { round, seed, said: BTreeMap::new(), prompts: BTreeMap::new() }
    }

    /// What was said in a stage: by whom, to which of its prompts.
    pub fn stage(&self, stage: u8) -> impl Iterator<Item = (NodeId, u16, &Known)> {
        let from = (stage, NodeId([0; 32]), 0);
        let to = (stage, NodeId([0xff; 32]), u16::MAX);
        self.said.range(from..=to).map(|((_, node, number), known)| (*node, *number, known))
    }

    /// All that was said.
    pub fn all(&self) -> impl Iterator<Item = (u8, NodeId, u16, &Known)> {
        self.said.iter().map(|((stage, node, number), known)| (*stage, *node, *number, known))
    }

    /// What a node said to one of its prompts.
    pub fn get(&self, stage: u8, node: NodeId, number: u16) -> Option<&Known> {
        self.said.get(&(stage, node, number))
    }

    /// What an answer says.
    pub fn text(&self, reference: &Reference) -> Option<&str> {
        let known = self.get(reference.stage, reference.node, reference.number)?;
        known.texts.get(usize::from(reference.sample))?.as_deref()
    }

    /// What others than this node answered to a prompt.
    pub(crate) fn others(&self, node: NodeId, prompt: &[u32]) -> impl Iterator<Item = (NodeId, &Known)> {
        let keys = self.prompts.get(prompt).into_iter().flatten().filter(move |(_, other, _)| *other != node);
        keys.filter_map(|key| Some((key.1, self.said.get(key)?)))
    }

    pub(crate) fn add(&mut self, stage: u8, node: NodeId, known: Known) {
        let key = (stage, node, known.group.number);
        self.prompts.entry(known.prompt.clone()).or_default().push(key);
        self.said.insert(key, known);
    }
}

impl Known {
    /// The mean worth of its answers.
    pub fn reward(&self) -> f32 {
        self.rewards.iter().sum::<f32>() / self.rewards.len().max(1) as f32
    }

    /// Whether its answers differ in worth: others teach nothing.
    pub fn teaches(&self) -> bool {
        self.rewards.iter().any(|reward| *reward != self.rewards[0])
    }
}
