//! What is checked of what others say, and what breaking a rule costs.
//!
//! A message's author is certain: `net` saw its signature. Nothing else is. Whether a group of answers is of this round, of a task that its
//! author was due, drawn from the random numbers that everyone can work out, and possible at all, is checked at once and by everyone alike: who passes
//! on what breaks such a rule is to blame as well. What a node can only know by what it has heard costs the author alone. That the model
//! whose root is named gave these very tokens is found out by an audit.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::tongue::Tongue;
use crate::wire::{Drawn, Group, Said};

/// A rule that a message, or its author, can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Rule {
    /// A message is no longer than it may be.
    Size,
    /// It is a message.
    Form,
    /// It is of this swarm.
    Swarm,
    /// It is of a round that still counts.
    Late,
    /// It is of no round to come, unless many are there.
    Future,
    /// Its author was drawn to speak, or may think so.
    Lot,
    /// It is of a stage of the game, and one of that stage's messages.
    Stage,
    /// No more messages come than a node may have to send.
    Flood,
    /// There is still room: for this many peers, and for this many bytes.
    Room,
    /// A node answers with one model throughout a round.
    Root,
    /// The prompt is one that its author was due.
    Number,
    /// The environment is the task's.
    Environment,
    /// The level is one that the charter lets a node be at.
    Level,
    /// The prompt shows what the game lets it show.
    Shown,
    /// What the prompt shows was heard here too.
    Unheard,
    /// Random numbers come from where everyone knows they must, unless many say otherwise.
    Seed,
    /// Tokens are drawn as the model's own distribution has them.
    Sampling,
    /// There are as many answers as there must be.
    Samples,
    /// No answer is empty or longer than it may be, and each token has its log-probability.
    Length,
    /// The model has these tokens.
    Vocabulary,
    /// An answer ends with the first token that ends it, or at its limit.
    Ending,
    /// A log-probability is a number, and at most 0.
    Logp,
    /// Nobody gives the same prompt two groups of answers.
    Equivocation,
    /// Nobody gives another's answers for its own.
    Copy,
    /// The model said so, to the bit.
    Audit,
    /// Who answered shows the weights.
    Withheld,
}

/// What the network is told of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It is right: let the others have it.
    Accept,
    /// It is of no use, or wrong in a way that not everyone can see: it stops here, and who passed it on is not to blame.
    Ignore,
    /// It is wrong, and everyone can see it: it stops here, and who passed it on should have known.
    Reject,
}

impl Rule {
    /// What breaking it takes from a peer's [standing](crate::Standing).
    pub fn price(self) -> u16 {
        match self {
            // The network's doing, or the time's.
            Rule::Late | Rule::Lot | Rule::Room | Rule::Unheard => 0,
            Rule::Audit => u16::MAX,
            Rule::Withheld | Rule::Seed => 16,
            _ if self.verdict() == Verdict::Reject => 16,
            // What a fault or a mistaken neighbour may look like, once or twice.
            _ => 8,
        }
    }

    /// What the network is told of a message that breaks it.
    pub fn verdict(self) -> Verdict {
        match self {
            Rule::Late
            | Rule::Lot
            | Rule::Future
            | Rule::Flood
            | Rule::Room
            | Rule::Root
            | Rule::Seed
            | Rule::Unheard
            | Rule::Equivocation
            | Rule::Copy
            | Rule::Audit
            | Rule::Withheld => Verdict::Ignore,
            _ => Verdict::Reject,
        }
    }
}

/// What a group has to be.
pub(crate) struct Due<'a> {
    pub(crate) environment: u16,
    pub(crate) levels: RangeInclusive<u8>,
    pub(crate) seed: u64,
    pub(crate) samples: usize,
    pub(crate) tongue: &'a Tongue,
}

impl Due<'_> {
    /// The first rule that a group breaks, of those that can be seen in it.
    pub(crate) fn broken(&self, group: &Group) -> Option<Rule> {
        let held = |rule, holds: bool| (!holds).then_some(rule);
        // First what follows from the round's seed alone: who has another seed is wrong in all else as well.
        held(Rule::Seed, group.seed == self.seed)
            .or_else(|| held(Rule::Environment, group.environment == self.environment))
            .or_else(|| held(Rule::Level, self.levels.contains(&group.level)))
            .or_else(|| held(Rule::Sampling, group.sampling == Drawn::PLAIN))
            .or_else(|| held(Rule::Samples, group.answers.len() == self.samples))
            .or_else(|| group.answers.iter().find_map(|said| self.broken_by(said)))
    }

    fn broken_by(&self, said: &Said) -> Option<Rule> {
        let (count, limit) = (said.tokens.len(), self.tongue.answer_tokens());
        if count == 0 || count > limit || said.logps.len() != count {
            return Some(Rule::Length);
        }
        if said.tokens.iter().any(|token| *token as usize >= self.tongue.vocabulary()) {
            return Some(Rule::Vocabulary);
        }
        let end = said.tokens.iter().position(|token| self.tongue.ends().contains(token));
        if end.unwrap_or(limit - 1) != count - 1 {
            return Some(Rule::Ending);
        }
        // Of a number that is none this is false as well.
        let possible = |logp: &f32| *logp <= 0.0 && logp.is_finite();
        (!said.logps.iter().all(possible)).then_some(Rule::Logp)
    }
}

/// By how much less likely than not it must be that two nodes said the same by accident: the odds are `e` to the power of the first number,
/// and of the second once more for each answer that agrees. How little likely accidents are adds up to a sum that grows with their number (each
/// is an exponential variable, so the sum has a gamma distribution): with these numbers, for up to 64 answers, chance exceeds it once in `e^20` times.
const TELLING: [f64; 2] = [24.0, 2.2];

/// Whether a group is too like another node's answers to the same prompt to be its author's own.
///
/// Two models may well agree, but they draw by different random numbers: that both come to the same answer has about the probability of that answer,
/// by either's own account, for each answer of the other's that it might have met. All answers that were met count together. So what nearly everybody
/// says is nobody's copy, and what hardly anybody would is.
pub(crate) fn is_copy(group: &Group, other: &Group) -> bool {
    let bits = other.answers.len().checked_ilog2().map_or(0, |log| log + 1);
    let met = f64::from(bits) * std::f64::consts::LN_2;
    let surprise = |said: &Said| -said.logps.iter().map(|logp| f64::from(*logp)).sum::<f64>();
    // Each of the other's answers is met once: what one always says and the other said once is one accident, and not many.
    let mut left: Vec<&Said> = other.answers.iter().collect();
    let (mut count, mut sum) = (0.0, 0.0);
    for said in &group.answers {
        if let Some(at) = left.iter().position(|other| other.tokens == said.tokens) {
            sum += (surprise(said).max(surprise(left.swap_remove(at))) - met).max(0.0);
            count += 1.0;
        }
    }
    sum > TELLING[0] + TELLING[1] * count
}
