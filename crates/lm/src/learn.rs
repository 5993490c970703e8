//! Learning: forward, loss, backward, clipping and optimiser as one program with one hash.

use exact::{BinaryFn, Builder, Limits, Program, Session, UnaryFn};

use crate::batch::Batch;
use crate::config::Config;
use crate::decoder::{Memory, Weights, decoder, head};
use crate::optimiser::Optimiser;
use crate::{Error, Model};

/// What a step of learning pulls towards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Objective {
    /// The given tokens become more likely, each by its weight (supervised learning).
    Imitate,
    /// Tokens of better answers become more likely and of worse ones less, within a trust region of `[1 - low, 1 + high]` around the
    /// policy that gave them (GRPO with a token-level loss and an asymmetric clip).
    Improve {
        /// How far below 1 the ratio of new to old probability counts.
        low: f32,
        /// How far above.
        high: f32,
    },
}

impl Objective {
    /// The asymmetric clip of DAPO: 0.2 below, 0.28 above.
    pub const IMPROVE: Objective = Objective::Improve { low: 0.2, high: 0.28 };
}

/// What a step of learning tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The loss before the step.
    pub loss: f32,
    /// The gradients' joint norm before clipping.
    pub norm: f32,
}

/// Teaches a model, batch by batch.
#[derive(Debug)]
pub struct Learner {
    session: Session,
    objective: Objective,
    muon: bool,
}

impl Learner {
    /// A learner for batches of `rows` sequences of `tokens` tokens, working on the model's own weights.
    pub fn new(
        model: &Model,
        objective: Objective,
        optimiser: &Optimiser,
        rows: usize,
        tokens: usize,
        limits: Limits,
    ) -> Result<Learner, Error> {
        let program = step_program(model.config(), objective, optimiser, rows, tokens)?;
        let session = model.session().share(&program, limits)?;
        Ok(Learner { session, objective, muon: optimiser.muon })
    }

    /// The program of one step.
    pub fn program(&self) -> &Program {
        self.session.program()
    }

    /// The bytes it holds, the model's weights included.
    pub fn bytes(&self) -> u64 {
        self.session.bytes()
    }

    /// The sessions whose states are all that a further step depends on, but for the batch and the rates: for a checkpoint to save.
    pub fn states(&self) -> Vec<&Session> {
        vec![&self.session]
    }

    /// The same, for a checkpoint to restore.
    pub fn states_mut(&mut self) -> Vec<&mut Session> {
        vec![&mut self.session]
    }

    /// Learns from one batch.
    pub fn learn(&mut self, batch: &Batch, lr: f32, muon_lr: f32) -> Result<Progress, Error> {
        self.session.write("ids", &batch.ids)?;
        self.session.write("targets", &batch.targets)?;
        self.session.write("weights", &batch.weights)?;
        if self.objective != Objective::Imitate {
            self.session.write("advantages", &batch.advantages)?;
            self.session.write("logps", &batch.logps)?;
        }
        self.session.write("lr", &[lr])?;
        if self.muon {
            self.session.write("muon_lr", &[muon_lr])?;
        }
        self.session.run()?;
        let number = |name: &str| -> Result<f32, Error> { Ok(self.session.read::<f32>(name)?[0]) };
        Ok(Progress { loss: number("loss")?, norm: number("norm")? })
    }
}

/// The program of one step of learning.
pub fn step_program(
    config: &Config,
    objective: Objective,
    optimiser: &Optimiser,
    rows: usize,
    tokens: usize,
) -> Result<Program, Error> {
    if tokens > config.context {
        return Err(Error::TooLong { what: "a batch with sequences", length: tokens, limit: config.context });
    }
    let mut b = Builder::new();
    let n = rows * tokens;
    let ids = b.input::<u32>("ids", &[rows, tokens])?;
    let targets = b.input::<u32>("targets", &[n])?;
    let weights = b.input::<f32>("weights", &[n])?;

    let parameters = Weights::declare(&mut b, config)?;
    let x = decoder(&mut b, config, &parameters, ids, &Memory::Fresh)?;
    let logits = head(&mut b, config, &parameters, x)?;
    let logp = b.token_logprob(logits, targets)?;
    let gain = match objective {
        Objective::Imitate => logp,
        Objective::Improve { low, high } => {
            // min(ratio A, clip(ratio) A), ratio = exp(logp - old)
            let advantages = b.input::<f32>("advantages", &[n])?;
            let old = b.input::<f32>("logps", &[n])?;
            let change = b.sub(logp, old)?;
            let ratio = b.unary(UnaryFn::Exp, change)?;
            let (low, high) = (b.scalar(1.0 - low)?, b.scalar(1.0 + high)?);
            let clipped = b.binary(BinaryFn::Max, ratio, low)?;
            let clipped = b.binary(BinaryFn::Min, clipped, high)?;
            let (free, held) = (b.mul(ratio, advantages)?, b.mul(clipped, advantages)?);
            b.binary(BinaryFn::Min, free, held)?
        }
    };
    let gain = b.dot(gain, weights, 0)?;
    let loss = b.unary(UnaryFn::Neg, gain)?;
    b.output("loss", loss)?;
    let values: Vec<_> = parameters.all.iter().map(|(_, v)| *v).collect();
    let gradients = b.gradients(loss, &values)?;
    optimiser.step(&mut b, &parameters.all, &gradients)?;
    Ok(b.finish()?)
}
