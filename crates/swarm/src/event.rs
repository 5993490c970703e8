//! What a [`Flock`](crate::Flock) is told, and what it wants done.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::{NodeId, Seed};
use crate::rules::{Rule, Verdict};
use crate::wire::Said;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A round was opened, by the chain or by the [beacon](crate::Beacon).
    Opened {
        /// The round.
        round: u64,
        /// Its seed.
        seed: Seed,
    },
    /// A message came. What to tell the network about it comes back as an [`Effect::Judge`] with the same ticket, now or later.
    Heard {
        /// By which the network knows the message.
        ticket: u64,
        /// Who wrote and signed it.
        from: NodeId,
        /// What it says.
        bytes: Vec<u8>,
    },
    /// Time has passed.
    Tick,
    /// The model has answered what [`Effect::Answer`] asked. Prompts that it could not answer may be missing at the end.
    Answered {
        /// The round.
        round: u64,
        /// The stage.
        stage: u8,
        /// The root of the model.
        root: [u8; 32],
        /// For each prompt its answers.
        answers: Vec<Vec<Said>>,
    },
    /// The model has learned what [`Effect::Learn`] gave it, and is safe on disk; or it has failed to learn.
    Learned {
        /// The round.
        round: u64,
        /// The root of the model now.
        root: [u8; 32],
    },
    /// A peer has been audited as [`Effect::Audit`] asked.
    Audited {
        /// The round whose answers were audited.
        round: u64,
        /// The peer.
        peer: NodeId,
        /// What was found.
        finding: Finding,
    },
}

/// What an audit found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finding {
    /// The model of that root gave these answers, every one, to the bit.
    Holds,
    /// It did not give this one.
    Lie {
        /// Which claim.
        claim: u16,
        /// Which of its answers.
        answer: u16,
    },
    /// The peer was there and did not show the weights.
    Withheld,
    /// It could not be done, and that is not the peer's doing.
    Undone,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// Let the swarm hear this.
    Publish(Vec<u8>),
    /// Have the model answer these prompts; then comes an [`Event::Answered`].
    Answer {
        /// The round.
        round: u64,
        /// The stage.
        stage: u8,
        /// The prompts.
        asks: Vec<Ask>,
    },
    /// Have the model learn from these answers; then comes an [`Event::Learned`].
    Learn {
        /// The round.
        round: u64,
        /// What there is to learn from: one's own answers, then others'.
        lessons: Vec<Lesson>,
    },
    /// Fetch a peer's weights and see whether it said what it says it did; then comes an [`Event::Audited`].
    Audit {
        /// The round.
        round: u64,
        /// The peer.
        peer: NodeId,
        /// The root of the weights it says it had.
        root: [u8; 32],
        /// What it says they answered.
        claims: Vec<Claim>,
    },
    /// Commit to what this node made in a round, where there is a chain to commit on.
    Commit {
        /// The round.
        round: u64,
        /// What [`commitment`](crate::commitment) makes of all its groups.
        root: [u8; 32],
    },
    /// What this node thinks of what others made in a round that is over: 0 to 254. Of those who are not named it has no opinion.
    Scores {
        /// The round.
        round: u64,
        /// The opinions.
        of: BTreeMap<NodeId, u8>,
    },
    /// Tell the network what to do with a message.
    Judge {
        /// The message.
        ticket: u64,
        /// Who wrote it.
        from: NodeId,
        /// What to do.
        verdict: Verdict,
    },
    /// The round is done, and there is time to tidy up: to begin a [new log](crate::Recorder::rotate), or to let go of old checkpoints.
    Done {
        /// The round.
        round: u64,
    },
    /// For people to read.
    Log(Entry),
}

/// A prompt for the model, to be answered several times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// The prompt.
    pub prompt: Vec<u32>,
    /// Where the first answer's random numbers come from; each further one's come from the next number.
    pub seed: u64,
    /// How many answers.
    pub samples: u16,
}

/// Answers that somebody says a model gave to a prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// The prompt.
    pub prompt: Vec<u32>,
    /// Where the first answer's random numbers come from; each further one's come from the next number.
    pub seed: u64,
    /// The answers.
    pub answers: Vec<Said>,
}

/// A group of answers with what each is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lesson {
    /// Whose answers.
    pub node: NodeId,
    /// The root of the model that gave them.
    pub root: [u8; 32],
    /// The answers.
    pub claim: Claim,
    /// What each is worth.
    pub rewards: Vec<f32>,
}

/// What people are told of a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Entry {
    /// A round began here.
    Entered {
        /// The round.
        round: u64,
    },
    /// A round was opened while the last was not finished here; it is entered later, or the next after it.
    Behind {
        /// The round.
        round: u64,
    },
    /// This node has answered in a stage.
    Said {
        /// The round.
        round: u64,
        /// The stage.
        stage: u8,
        /// Groups of answers.
        groups: u16,
        /// Their mean worth.
        reward: f32,
    },
    /// A peer's answers came.
    Heard {
        /// The peer.
        from: NodeId,
        /// The round.
        round: u64,
        /// The stage.
        stage: u8,
        /// Groups of answers.
        groups: u16,
        /// Their mean worth, as scored here.
        reward: f32,
    },
    /// A message broke a rule.
    Refused {
        /// Who wrote it.
        from: NodeId,
        /// The rule.
        rule: Rule,
    },
    /// A peer has fallen so low that it is not heard any more.
    Unheard {
        /// The peer.
        peer: NodeId,
    },
    /// A peer is heard again.
    HeardAgain {
        /// The peer.
        peer: NodeId,
    },
    /// An audit came to its end.
    Audited {
        /// The peer.
        peer: NodeId,
        /// The round whose answers were audited.
        round: u64,
        /// What was found.
        finding: Finding,
    },
    /// What this node learns from: how many groups of whom.
    Learning {
        /// The round.
        round: u64,
        /// Groups by whose they are.
        groups: BTreeMap<NodeId, u16>,
    },
    /// The round is done.
    Learned {
        /// The round.
        round: u64,
        /// The root of the model now.
        root: [u8; 32],
    },
}
