//! What learning pulls towards, as operations on the log-probabilities of a batch's targets.

use exact::{BinaryFn, Builder, CompareFn, UnaryFn, Var};

use crate::Error;

/// What a step of learning pulls towards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Objective {
    /// The given tokens become more likely, each by its weight (supervised learning).
    Imitate,
    /// Tokens of better answers become more likely and those of worse ones less (GRPO with a token-level loss).
    Improve(Improve),
}

/// How tokens of better answers become more likely, and what holds the policy back.
///
/// With `r` the ratio of a token's new probability to its old one and `A` its advantage, each token adds
///
/// ```text
/// c min(r A, clip(r, 1 - low, 1 + high) A) - kl k3
///
/// c = min(truncate, old / drawn)          1 for one's own rollouts
/// k3 = q - log q - 1, q = reference / new
/// ```
///
/// The clip bounds how far a batch may move the policy from where it was (`old`), so that a batch can be learned from several times.
/// It does not make up for rollouts that *another* policy drew: where that one says a token more often than ours would, the token would
/// count too often. The importance weight `c` corrects it, and is truncated because a rare token of theirs that is common here would
/// otherwise outweigh all the rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Improve {
    /// How far below 1 the ratio of new to old probability counts.
    pub low: f32,
    /// How far above.
    pub high: f32,
    /// What a unit of divergence from the reference costs; at 0 the program has no reference.
    pub kl: f32,
    /// The greatest importance weight of a token that another policy drew; without it, all rollouts count as one's own.
    pub truncate: Option<f32>,
}

impl Improve {
    /// The asymmetric clip of DAPO, 0.2 below and 0.28 above; no reference, and one's own rollouts.
    pub const PLAIN: Improve = Improve { low: 0.2, high: 0.28, kl: 0.0, truncate: None };

    fn check(&self) -> Result<(), Error> {
        let wrong = |field: &'static str, why: &str| Err(Error::Config { field, why: why.to_owned() });
        if !(0.0..=1.0).contains(&self.low) {
            return wrong("low", "must be between 0 and 1");
        }
        if !(self.high.is_finite() && self.high >= 0.0) {
            return wrong("high", "must be a number of at least 0");
        }
        if !(self.kl.is_finite() && self.kl >= 0.0) {
            return wrong("kl", "must be a number of at least 0");
        }
        match self.truncate {
            Some(limit) if !(limit.is_finite() && limit > 0.0) => wrong("truncate", "must be above 0"),
            _ => Ok(()),
        }
    }
}

/// The greatest difference of log-probabilities that a ratio is made of. A larger one would be infinite, and infinity times a
/// gradient of 0 is no number: one such token would end the model.
const MAX_CHANGE: f32 = 20.0;

impl Objective {
    /// To improve, as [`Improve::PLAIN`] says.
    pub const IMPROVE: Objective = Objective::Improve(Improve::PLAIN);

    /// The loss of a batch, from the log-probability `[n]` of each target and its weight. What else is known of the targets are
    /// inputs; what else is known of the loss are outputs, each a mean over the targets by weight.
    pub(crate) fn loss(&self, b: &mut Builder, logp: Var<f32>, weights: Var<f32>) -> Result<Var<f32>, Error> {
        let gain = match self {
            Objective::Imitate => logp,
            Objective::Improve(how) => {
                let surprise = b.dot(logp, weights, 0)?;
                let surprise = b.unary(UnaryFn::Neg, surprise)?;
                b.output("surprise", surprise)?;
                how.gain(b, logp, weights)?
            }
        };
        let gain = b.dot(gain, weights, 0)?;
        let loss = b.unary(UnaryFn::Neg, gain)?;
        b.output("loss", loss)?;
        Ok(loss)
    }
}

impl Improve {
    fn gain(&self, b: &mut Builder, logp: Var<f32>, weights: Var<f32>) -> Result<Var<f32>, Error> {
        self.check()?;
        let n = logp.dim(0);
        let advantages = b.input::<f32>("advantages", &[n])?;
        let old = b.input::<f32>("logps", &[n])?;
        let ratio = quotient(b, logp, old)?;
        let mean = b.dot(ratio, weights, 0)?;
        b.output("ratio", mean)?;

        let (low, high) = (b.scalar(1.0 - self.low)?, b.scalar(1.0 + self.high)?);
        let clipped = b.binary(BinaryFn::Max, ratio, low)?;
        let clipped = b.binary(BinaryFn::Min, clipped, high)?;
        let (free, held) = (b.mul(ratio, advantages)?, b.mul(clipped, advantages)?);
        let mut gain = b.binary(BinaryFn::Min, free, held)?;
        let bites = b.compare(CompareFn::Lt, held, free)?;
        let bites = b.to_float(bites)?;
        let share = b.dot(bites, weights, 0)?;
        b.output("clipped", share)?;

        if let Some(limit) = self.truncate {
            let drawn = b.input::<f32>("drawn", &[n])?;
            let weight = quotient(b, old, drawn)?;
            let limit = b.scalar(limit)?;
            let weight = b.binary(BinaryFn::Min, weight, limit)?;
            gain = b.mul(gain, weight)?;
        }
        if self.kl > 0.0 {
            let reference = b.input::<f32>("reference", &[n])?;
            let apart = b.sub(reference, logp)?;
            let most = b.scalar(MAX_CHANGE)?;
            let apart = b.binary(BinaryFn::Min, apart, most)?;
            let q = b.unary(UnaryFn::Exp, apart)?;
            let one = b.scalar(1.0)?;
            let k3 = b.sub(q, apart)?;
            let k3 = b.sub(k3, one)?;
            let mean = b.dot(k3, weights, 0)?;
            b.output("kl", mean)?;
            let cost = b.scale(k3, self.kl)?;
            gain = b.sub(gain, cost)?;
        }
        Ok(gain)
    }
}

/// The quotient of two probabilities, from their logarithms.
fn quotient(b: &mut Builder, above: Var<f32>, below: Var<f32>) -> Result<Var<f32>, Error> {
    let change = b.sub(above, below)?;
    let most = b.scalar(MAX_CHANGE)?;
    let change = b.binary(BinaryFn::Min, change, most)?;
    Ok(b.unary(UnaryFn::Exp, change)?)
}
