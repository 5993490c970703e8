//! A round as one node knows it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::game::Asked;
use crate::id::{NodeId, Seed};
use crate::lot::{Lot, Voices};
use crate::rules::Rule;
use crate::world::World;

/// A round as one node knows it: what was said, and who did what.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    pub(crate) facts: Facts,
    pub(crate) world: World,
}

/// All of a round that does not follow from what was said in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) number: u64,
    pub(crate) seed: Seed,
    pub(crate) opened_at: u64,
    /// Who speaks in it.
    pub(crate) voices: Voices,
    /// The stage that this node is in.
    pub(crate) stage: u8,
    pub(crate) doing: Doing,
    /// The root of the model that answers.
    pub(crate) root: Option<[u8; 32]>,
    pub(crate) peers: BTreeMap<NodeId, Peer>,
    /// Others' groups that were not yet offered to be learned from.
    pub(crate) fresh: BTreeSet<Key>,
    /// Bytes of others' answers.
    pub(crate) held_bytes: usize,
    /// Who speaks of another world than ours, and by which rule.
    pub(crate) apart: BTreeMap<NodeId, Rule>,
    /// Who was found to lie about this round.
    pub(crate) liars: BTreeSet<NodeId>,
    /// Audits that are under way.
    pub(crate) audits: BTreeSet<NodeId>,
}

/// A group: its stage, whose it is, and to which prompt.
pub(crate) type Key = (u8, NodeId, u16);

/// What this node is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Doing {
    /// The model answers.
    Answering(Vec<Asked>),
    /// Others answer.
    Waiting,
    /// The model learns from these groups, of this round or, if so marked, of the last.
    Learning(Vec<(bool, Key)>),
    /// Nothing, until the next round.
    Resting,
}

/// What a peer has done in a round.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Peer {
    pub(crate) messages: u32,
    pub(crate) root: Option<[u8; 32]>,
    /// The parts of each stage's messages that came, and how many there are.
    pub(crate) parts: BTreeMap<u8, (BTreeSet<u16>, u16)>,
}

impl Round {
    pub(crate) fn new(number: u64, seed: Seed, opened_at: u64, voices: Voices) -> Round {
        let facts = Facts {
            number,
            seed,
            opened_at,
            voices,
            stage: 0,
            doing: Doing::Resting,
            root: None,
            peers: BTreeMap::new(),
            fresh: BTreeSet::new(),
            held_bytes: 0,
            apart: BTreeMap::new(),
            liars: BTreeSet::new(),
            audits: BTreeSet::new(),
        };
        Round { facts, world: World::new(number, seed) }
    }

    /// Whether it is this node's turn to speak.
    pub(crate) fn speaks(&self, node: &NodeId) -> bool {
        self.facts.voices.speaks(Lot::of(node, self.facts.seed))
    }

    /// Who speaks in the next round, by who spoke in this one.
    pub(crate) fn next_voices(&self, me: NodeId, wanted: u16) -> Voices {
        let own = self.speaks(&me).then_some(me);
        let lots = self.complete(0).chain(own).map(|node| Lot::of(&node, self.facts.seed));
        self.facts.voices.next(lots.collect(), wanted)
    }

    /// Who has said all there is to say in a stage.
    pub(crate) fn complete(&self, stage: u8) -> impl Iterator<Item = NodeId> {
        let done = move |peer: &Peer| {
            peer.parts.get(&stage).is_some_and(|(parts, count)| parts.len() == usize::from(*count))
        };
        self.facts.peers.iter().filter(move |(_, peer)| done(peer)).map(|(node, _)| *node)
    }
}
