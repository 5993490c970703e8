//! Learning: forward, loss, backward, clipping and optimiser as one program with one hash.

use std::borrow::Cow;

use exact::{Builder, Limits, Program, Session, Var};

use crate::batch::Batch;
use crate::config::{Config, Parameter};
use crate::decoder::{Memory, decoder};
use crate::lora::{Adapters, Lora};
use crate::objective::Objective;
use crate::optimiser::Optimiser;
use crate::weights::Weights;
use crate::{Error, Model};

/// All that fixes what a step of learning computes.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    /// What it pulls towards.
    pub objective: Objective,
    /// How parameters move.
    pub optimiser: Optimiser,
    /// Sequences in one pass through the model.
    pub rows: usize,
    /// Tokens of each.
    pub tokens: usize,
    /// Whether a step may take several passes, whose gradients are added up before anything moves.
    ///
    /// Then a batch may have any multiple of `rows`, and takes the memory of one pass. The sum's bits depend on `rows`, as sums of
    /// numbers do: the same batch cut otherwise gives other last bits, which is why `rows` is part of the program. A pass in which
    /// nothing counts is left out: so rollouts that teach nothing cost nothing.
    pub passes: bool,
    /// Learn adapters instead of the parameters themselves.
    pub lora: Option<Lora>,
}

/// What a step of learning tells. Means are over the batch's targets by their weight, before the step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// The loss.
    pub loss: f32,
    /// The gradients' joint norm before clipping.
    pub norm: f32,
    /// The mean surprise at the targets, `-log p`: of a policy's own rollouts an estimate of its entropy.
    pub surprise: f32,
    /// The mean ratio of new to old probability; 1 if nothing has been learned from this batch yet.
    pub ratio: f32,
    /// The share of targets at which the clip holds the policy back.
    pub clipped: f32,
    /// The mean divergence from the reference; 0 without one.
    pub kl: f32,
}

/// Teaches a model, batch by batch, working on the model's own weights.
#[derive(Debug)]
pub struct Learner {
    lesson: Lesson,
    vocabulary: usize,
    /// A whole step, or one pass of it.
    pass: Session,
    /// What moves the parameters when the passes are done.
    step: Option<Session>,
}

impl Learner {
    /// A learner of whole steps for batches of `rows` sequences of `tokens` tokens.
    pub fn new(
        model: &Model,
        objective: Objective,
        optimiser: &Optimiser,
        rows: usize,
        tokens: usize,
        limits: Limits,
    ) -> Result<Learner, Error> {
        let optimiser = optimiser.clone();
        let lesson = Lesson { objective, optimiser, rows, tokens, passes: false, lora: None };
        Learner::of(model, lesson, limits)
    }

    /// A learner of this lesson.
    pub fn of(model: &Model, lesson: Lesson, limits: Limits) -> Result<Learner, Error> {
        if model.is_packed() {
            return Err(Error::Packed { what: "taught" });
        }
        let mut programs = lesson.programs(model.config())?.into_iter();
        let first = programs.next().ok_or(Error::Empty { what: "the program of a step" })?;
        let pass = model.session().share(&first, limits)?;
        let step = programs.next().map(|program| pass.share(&program, limits)).transpose()?;
        if let Some(lora) = &lesson.lora {
            lora.begin(model, &pass, limits)?;
        }
        Ok(Learner { vocabulary: model.config().vocabulary, lesson, pass, step })
    }

    /// The program of one step, or of one pass.
    pub fn program(&self) -> &Program {
        self.pass.program()
    }

    /// What it teaches, and how.
    pub fn lesson(&self) -> &Lesson {
        &self.lesson
    }

    /// The bytes it holds, the model's weights included.
    pub fn bytes(&self) -> u64 {
        let Some(step) = &self.step else { return self.pass.bytes() };
        let both = |name: &str| self.pass.program().states().any(|(other, _)| other == name);
        let shared = step.program().states().filter(|(name, _)| both(name));
        let shared: u64 = shared.map(|(_, ty)| Session::state_bytes(&ty)).sum();
        self.pass.bytes() + step.bytes() - shared
    }

    /// The sessions whose states are all that a further step depends on, but for the batch and the rates: for a checkpoint to save.
    pub fn states(&self) -> Vec<&Session> {
        std::iter::once(&self.pass).chain(&self.step).collect()
    }

    /// The same, for a checkpoint to restore.
    pub fn states_mut(&mut self) -> Vec<&mut Session> {
        std::iter::once(&mut self.pass).chain(&mut self.step).collect()
    }

    /// One of the numbers it keeps from step to step, such as `model.norm.weight.m` or a factor of an adapter.
    pub fn kept(&self, name: &str) -> Result<Vec<f32>, Error> {
        match &self.step {
            Some(step) => step.read(name).or_else(|_| self.pass.read(name)).map_err(Error::from),
            None => Ok(self.pass.read(name)?),
        }
    }

    /// Learns from one batch. What cannot be learned from is refused before anything moves.
    pub fn learn(&mut self, batch: &Batch, lr: f32, muon_lr: f32) -> Result<Progress, Error> {
        self.check(batch)?;
        let mut progress = Progress::default();
        let runs = self.lesson.runs(batch, lr, muon_lr);
        // Nothing counts, so nothing moves: not even by momentum.
        if runs.is_empty() {
            return Ok(progress);
        }
        for run in &runs {
            let session = match &mut self.step {
                Some(step) if run.program > 0 => step,
                _ => &mut self.pass,
            };
            for (name, ids) in &run.ids {
                session.write(name, ids)?;
            }
            for (name, numbers) in &run.numbers {
                session.write(name, numbers)?;
            }
            session.run()?;
            if run.program == 0 {
                self.count(&mut progress)?;
            }
        }
        let last = self.step.as_ref().unwrap_or(&self.pass);
        last.read_into("norm", std::slice::from_mut(&mut progress.norm))?;
        Ok(progress)
    }

    /// Adds what the last pass tells.
    fn count(&self, progress: &mut Progress) -> Result<(), Error> {
        let number = |name: &str| -> Result<f32, Error> {
            let mut number = [0.0];
            self.pass.read_into(name, &mut number)?;
            Ok(number[0])
        };
        progress.loss += number("loss")?;
        match self.lesson.objective {
            Objective::Imitate => progress.surprise = progress.loss,
            Objective::Improve(how) => {
                progress.surprise += number("surprise")?;
                progress.ratio += number("ratio")?;
                progress.clipped += number("clipped")?;
                if how.kl > 0.0 {
                    progress.kl += number("kl")?;
                }
            }
        }
        Ok(())
    }

    /// Looks at every number that a stranger may have sent: one that is none would be in every weight after this step.
    fn check(&self, batch: &Batch) -> Result<(), Error> {
        let one = self.lesson.rows * self.lesson.tokens;
        let n = batch.ids.len();
        let right = if self.lesson.passes { n > 0 && n.is_multiple_of(one) } else { n == one };
        if !right {
            let why =
                format!("are {n} tokens: {} rows of {} are one pass", self.lesson.rows, self.lesson.tokens);
            return Err(Error::Batch { field: "ids", why });
        }
        let unknown = |token: &&u32| **token as usize >= self.vocabulary;
        if let Some(token) = batch.ids.iter().chain(&batch.targets).find(unknown) {
            return Err(Error::Token { token: *token, vocabulary: self.vocabulary });
        }
        let mut fields = vec![("weights", &batch.weights)];
        if let Objective::Improve(how) = self.lesson.objective {
            fields.extend([("advantages", &batch.advantages), ("logps", &batch.logps)]);
            if how.truncate.is_some() {
                fields.push(("drawn", &batch.drawn));
            }
            if how.kl > 0.0 {
                fields.push(("reference", &batch.reference));
            }
        }
        for (field, numbers) in fields {
            if numbers.len() != n {
                let why = format!("come to {} numbers for {n} tokens", numbers.len());
                return Err(Error::Batch { field, why });
            }
            let most = if ["weights", "advantages"].contains(&field) { MAX_COUNT } else { f32::MAX };
            if let Some(at) = numbers.iter().position(|x| x.is_nan() || x.abs() > most) {
                let why = format!(
                    "have {} at token {at}: numbers of up to {most:e} can be learned from",
                    numbers[at]
                );
                return Err(Error::Batch { field, why });
            }
        }
        if batch.targets.len() != n {
            let why = format!("come to {} for {n} tokens", batch.targets.len());
            return Err(Error::Batch { field: "targets", why });
        }
        Ok(())
    }
}

/// The greatest weight or advantage. Times the greatest ratio, and squared for the gradients' norm, it is still a number.
const MAX_COUNT: f32 = 1e3;

/// The program of one step of learning.
pub fn step_program(
    config: &Config,
    objective: Objective,
    optimiser: &Optimiser,
    rows: usize,
    tokens: usize,
) -> Result<Program, Error> {
    let optimiser = optimiser.clone();
    let lesson = Lesson { objective, optimiser, rows, tokens, passes: false, lora: None };
    lesson.programs(config)?.pop().ok_or(Error::Empty { what: "the program of a step" })
}

/// What moves in a lesson.
struct Moving {
    weights: Weights,
    adapters: Option<Adapters>,
    parameters: Vec<(Parameter, Var<f32>)>,
}

impl Moving {
    /// What the gradients of several passes add up to.
    fn sums(&self, b: &mut Builder) -> Result<Vec<Var<f32>>, Error> {
        let names = self.parameters.iter().map(|(p, _)| (format!("{}.gradient", p.name), &p.dims));
        names.map(|(name, dims)| Ok(b.state(&name, dims)?)).collect()
    }
}

/// One run of one of a lesson's programs: what it is given, by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Run<'a> {
    /// Which of [`Lesson::programs`].
    pub program: usize,
    /// Tokens.
    pub ids: Vec<(&'static str, &'a [u32])>,
    /// Numbers.
    pub numbers: Vec<(&'static str, Cow<'a, [f32]>)>,
}

impl Lesson {
    /// What a step on this batch runs, in order: passes in which nothing counts are left out, and the step with them if there is no other.
    pub fn runs<'a>(&self, batch: &'a Batch, lr: f32, muon_lr: f32) -> Vec<Run<'a>> {
        let one = self.rows * self.tokens;
        let mut rates = vec![("lr", Cow::Owned(vec![lr]))];
        if self.optimiser.muon {
            rates.push(("muon_lr", Cow::Owned(vec![muon_lr])));
        }
        let mut runs = Vec::new();
        for from in (0..batch.ids.len()).step_by(one) {
            let here = from..(from + one).min(batch.ids.len());
            if self.passes && batch.weights[here.clone()].iter().all(|w| *w == 0.0) {
                continue;
            }
            let ids = vec![("ids", &batch.ids[here.clone()]), ("targets", &batch.targets[here.clone()])];
            let mut fields = vec![("weights", &batch.weights)];
            if let Objective::Improve(how) = self.objective {
                fields.extend([("advantages", &batch.advantages), ("logps", &batch.logps)]);
                if how.truncate.is_some() {
                    fields.push(("drawn", &batch.drawn));
                }
                if how.kl > 0.0 {
                    fields.push(("reference", &batch.reference));
                }
            }
            let mut numbers: Vec<(&'static str, Cow<'a, [f32]>)> =
                fields.into_iter().map(|(name, all)| (name, Cow::Borrowed(&all[here.clone()]))).collect();
            if !self.passes {
                numbers.extend(rates.clone());
            }
            runs.push(Run { program: 0, ids, numbers });
        }
        if self.passes && !runs.is_empty() {
            runs.push(Run { program: 1, ids: Vec::new(), numbers: rates });
        }
        runs
    }

    /// The programs of a step: the whole of it; or one pass, which adds to the gradients, and what is done with them in the end.
    pub fn programs(&self, config: &Config) -> Result<Vec<Program>, Error> {
        if self.tokens > config.context {
            let (length, limit) = (self.tokens, config.context);
            return Err(Error::TooLong { what: "a batch with sequences", length, limit });
        }
        if self.rows == 0 || self.tokens == 0 {
            return Err(Error::Empty { what: "a row or a token of the batch" });
        }
        let mut b = Builder::new();
        let (moving, gradients) = self.pass(&mut b, config)?;
        if !self.passes {
            self.step(&mut b, &moving, &gradients)?;
            return Ok(vec![b.finish()?]);
        }
        for (sum, g) in moving.sums(&mut b)?.into_iter().zip(gradients) {
            let more = b.add(sum, g)?;
            b.assign(sum, more)?;
        }
        let pass = b.finish()?;

        let mut b = Builder::new();
        let moving = self.moving(&mut b, config)?;
        let sums = moving.sums(&mut b)?;
        self.step(&mut b, &moving, &sums)?;
        for sum in sums {
            let zeros = b.full(&sum.shape().to_vec(), 0.0)?;
            b.assign(sum, zeros)?;
        }
        Ok(vec![pass, b.finish()?])
    }

    /// Forward and backward: the loss of a batch, and its gradients.
    fn pass(&self, b: &mut Builder, config: &Config) -> Result<(Moving, Vec<Var<f32>>), Error> {
        let n = self.rows * self.tokens;
        let ids = b.input::<u32>("ids", &[self.rows, self.tokens])?;
        let targets = b.input::<u32>("targets", &[n])?;
        let weights = b.input::<f32>("weights", &[n])?;
        let moving = self.moving(b, config)?;
        let x = decoder(b, config, &moving.weights, ids, &Memory::Fresh)?;
        let logits = moving.weights.head(b, config, x)?;
        let logp = b.token_logprob(logits, targets)?;
        let loss = self.objective.loss(b, logp, weights)?;
        let values: Vec<_> = moving.parameters.iter().map(|(_, v)| *v).collect();
        let gradients = b.gradients(loss, &values)?;
        Ok((moving, gradients))
    }

    fn moving(&self, b: &mut Builder, config: &Config) -> Result<Moving, Error> {
        let mut weights = Weights::declare(b, config)?;
        let adapters = match &self.lora {
            Some(lora) => Some(lora.declare(b, config, &mut weights)?),
            None => None,
        };
        let mut parameters = match &adapters {
            Some(adapters) => adapters.factors(),
            None => weights.all.clone(),
        };
        parameters.retain(|(parameter, _)| self.optimiser.moves(parameter));
        if parameters.is_empty() || adapters.as_ref().is_some_and(|a| a.factors().len() != parameters.len()) {
            let why =
                "leave nothing to learn, or hold an adapter: choose by its `on` what is adapted".to_owned();
            return Err(Error::Config { field: "groups", why });
        }
        Ok(Moving { weights, adapters, parameters })
    }

    /// From gradients to new parameters.
    fn step(&self, b: &mut Builder, moving: &Moving, gradients: &[Var<f32>]) -> Result<(), Error> {
        let moved = self.optimiser.step(b, &moving.parameters, gradients)?;
        match &moving.adapters {
            Some(adapters) => adapters.merge(b, &moved),
            None => Ok(()),
        }
    }
}
