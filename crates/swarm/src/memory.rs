//! What a node keeps of itself, so that it goes on where it was.

use std::collections::{BTreeMap, BTreeSet};

use gym::Ladder;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::id::{NodeId, Seed};
use crate::round::Facts;
use crate::standing::Standing;
use crate::wire::Group;

/// All of a [`Flock`](crate::Flock) but what follows from its charter: with it, and the model's checkpoint, a node goes on where it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// The swarm's id.
    pub(crate) swarm: [u8; 32],
    /// Who remembers.
    pub(crate) me: NodeId,
    /// What audits are drawn from, which nobody else knows.
    pub(crate) secret: Seed,
    pub(crate) now: u64,
    pub(crate) standings: BTreeMap<NodeId, Standing>,
    /// Peers to be audited before others.
    pub(crate) suspects: BTreeSet<NodeId>,
    /// The levels it is at, by environment, where levels follow the learner; none at all before they are first asked for.
    pub(crate) ladders: Vec<Option<Ladder>>,
    /// The last round that was learned in.
    pub(crate) learned: Option<u64>,
    /// This round and the last.
    pub(crate) rounds: Vec<KeptRound>,
    pub(crate) early: Vec<Early>,
    /// A round that was opened while another was not finished.
    pub(crate) next: Option<(u64, Seed, u64)>,
}

/// A round, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptRound {
    pub(crate) facts: Facts,
    pub(crate) said: Vec<(u8, NodeId, [u8; 32], Group)>,
}

/// A message of a round that is not open here yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Early {
    pub(crate) ticket: u64,
    pub(crate) from: NodeId,
    pub(crate) bytes: Vec<u8>,
}

/// The first byte of a memory, by which it is known for one.
const VERSION: u8 = 1;

impl Memory {
    /// The memory of a node that has none yet. `secret` is drawn by chance, and shown to nobody.
    pub fn new(swarm: [u8; 32], me: NodeId, secret: Seed) -> Memory {
        Memory {
            swarm,
            me,
            secret,
            now: 0,
            standings: BTreeMap::new(),
            suspects: BTreeSet::new(),
            ladders: Vec::new(),
            learned: None,
            rounds: Vec::new(),
            early: Vec::new(),
            next: None,
        }
    }

    /// Whose it is.
    pub fn me(&self) -> NodeId {
        self.me
    }

    /// The last round that the model has learned in.
    pub fn learned(&self) -> Option<u64> {
        self.learned
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(postcard::to_allocvec(self).unwrap_or_default());
        bytes
    }

    /// The memory that these bytes are.
    pub fn decode(bytes: &[u8]) -> Result<Memory, Error> {
        let wrong = |why: &str| Error::Kept { what: "memory", why: why.to_owned() };
        match bytes.split_first() {
            Some((&VERSION, rest)) => postcard::from_bytes(rest).map_err(|_| {
                wrong("it is damaged: begin anew, and your standing with others stays what it was")
            }),
            Some(_) => Err(wrong("it is of another version of this program: begin anew, or use that one")),
            None => Err(wrong("it is empty")),
        }
    }
}
