//! Practice: a model answers, is told how good its answers were, and learns from the difference (GRPO).

use exact::Limits;

use crate::batch::{Batch, advantages, advantages_unscaled};
use crate::learn::{Learner, Lesson, Progress};
use crate::likelihood::Likelihoods;
use crate::lora::Lora;
use crate::objective::{Improve, Objective};
use crate::optimiser::Optimiser;
use crate::schedule::{Decay, Schedule};
use crate::speak::{Request, Rollout, Sampling, Speaker, Until};
use crate::{Error, Model};

/// How a model practises.
#[derive(Clone, Debug, PartialEq)]
pub struct Drill {
    /// Prompts in a round.
    pub prompts: usize,
    /// Answers to each.
    pub samples: usize,
    /// The most tokens of a prompt.
    pub prompt: usize,
    /// The most tokens of an answer, the end included.
    pub answer: usize,
    /// The token that ends an answer.
    pub end: u32,
    /// What holds the policy back.
    pub objective: Objective,
    /// How parameters move.
    pub optimiser: Optimiser,
    /// How fast, from step to step.
    pub rate: Schedule,
    /// Whether advantages are in standard deviations of their group.
    pub scaled: bool,
    /// Steps of learning from one round's answers.
    pub updates: usize,
    /// Learn adapters instead of the parameters themselves.
    pub lora: Option<Lora>,
    /// Answers in one pass of learning. Rounds take as many passes as their answers that teach need.
    pub rows: usize,
}

impl Drill {
    /// What was found to work for small models: 48 prompts with 8 answers each, one step per round, AdamW at 3e-4 after ten rounds of
    /// warm-up.
    pub fn new(prompt: usize, answer: usize, end: u32) -> Drill {
        Drill {
            prompts: 48,
            samples: 8,
            prompt,
            answer,
            end,
            objective: Objective::IMPROVE,
            optimiser: Optimiser::default(),
            rate: Schedule { peak: 3e-4, rise: 10, decay: Decay::Never },
            scaled: true,
            updates: 1,
            lora: None,
            rows: 96,
        }
    }
}

/// A model at practice.
#[derive(Debug)]
pub struct Practice {
    drill: Drill,
    speaker: Speaker,
    learner: Learner,
    /// What the model itself thinks of rollouts that another drew.
    own: Option<Likelihoods>,
    /// What it is held to.
    reference: Option<Likelihoods>,
    /// Steps done.
    steps: u64,
}

/// What came of a round.
#[derive(Clone, Debug)]
pub struct Round {
    /// The answers: all of the first prompt, then all of the second, and so on.
    pub rollouts: Vec<Rollout>,
    /// The reward of each.
    pub rewards: Vec<f32>,
    /// The prompts whose answers differed in reward: the others teach nothing and were left out.
    pub taught: usize,
    /// What the last step told; nothing if no prompt taught anything.
    pub progress: Option<Progress>,
}

impl Round {
    /// The mean reward.
    pub fn reward(&self) -> f32 {
        self.rewards.iter().sum::<f32>() / self.rewards.len().max(1) as f32
    }
}

impl Practice {
    /// A model and its drill.
    pub fn new(model: &Model, drill: Drill, limits: Limits) -> Result<Practice, Error> {
        for (field, number) in [("prompts", drill.prompts), ("samples", drill.samples), ("rows", drill.rows)]
        {
            if number == 0 {
                return Err(Error::Config { field, why: "must be at least 1".to_owned() });
            }
        }
        let rows = drill.prompts * drill.samples;
        let speaker = Speaker::new(model, rows, drill.prompt + drill.answer, limits)?;
        let lesson = Lesson {
            objective: drill.objective,
            optimiser: drill.optimiser.clone(),
            rows: drill.rows.min(rows),
            // The last token is predicted, not read.
            tokens: (drill.prompt + drill.answer).saturating_sub(1),
            passes: true,
            lora: drill.lora.clone(),
        };
        let own = match drill.objective {
            Objective::Improve(Improve { truncate: Some(_), .. }) => {
                Some(Likelihoods::new(model, lesson.rows, lesson.tokens, limits)?)
            }
            _ => None,
        };
        let learner = Learner::of(model, lesson, limits)?;
        Ok(Practice { drill, speaker, learner, own, reference: None, steps: 0 })
    }

    /// Holds the policy to another model, one that does not learn, as much as the objective's `kl` says.
    pub fn hold_to(&mut self, reference: &Model, limits: Limits) -> Result<(), Error> {
        let lesson = self.learner.lesson();
        self.reference = Some(Likelihoods::new(reference, lesson.rows, lesson.tokens, limits)?);
        Ok(())
    }

    /// One round: answers to each prompt, their rewards, and what is to be learned from them.
    pub fn round(
        &mut self,
        prompts: &[Vec<u32>],
        seed: u64,
        mut reward: impl FnMut(usize, &Rollout) -> f32,
    ) -> Result<Round, Error> {
        let rollouts = self.answer(prompts, seed)?;
        let samples = self.drill.samples;
        let rewards = rollouts.iter().enumerate().map(|(i, r)| reward(i / samples, r)).collect();
        self.reinforce(rollouts, rewards)
    }

    /// Answers to each prompt from the seed's random numbers: all of the first, then all of the second, and so on.
    pub fn answer(&mut self, prompts: &[Vec<u32>], seed: u64) -> Result<Vec<Rollout>, Error> {
        if prompts.len() > self.drill.prompts {
            let (length, limit) = (prompts.len(), self.drill.prompts);
            return Err(Error::TooLong { what: "a round", length, limit });
        }
        let (drill, samples) = (&self.drill, self.drill.samples);
        let ask = |i: usize| Request {
            prompt: prompts[i / samples].clone(),
            seed: seed.wrapping_add(i as u64),
            sampling: Sampling::PLAIN,
            until: Until::new(drill.answer, &[drill.end]),
        };
        let asked: Vec<Request> = (0..prompts.len() * samples).map(ask).collect();
        self.speaker.answer(&asked)
    }

    /// Learns from answers by their rewards, those to the same prompt beside each other.
    pub fn reinforce(&mut self, rollouts: Vec<Rollout>, rewards: Vec<f32>) -> Result<Round, Error> {
        let samples = self.drill.samples;
        if rollouts.len() != rewards.len() || !rollouts.len().is_multiple_of(samples) {
            let why = format!(
                "are {} for {} rollouts, of which every {samples} are of one prompt",
                rewards.len(),
                rollouts.len()
            );
            return Err(Error::Batch { field: "rewards", why });
        }
        let mut learned = Vec::new();
        for (some, rewards) in rollouts.chunks(samples).zip(rewards.chunks(samples)) {
            let known = if self.drill.scaled { advantages(rewards) } else { advantages_unscaled(rewards) };
            learned.extend(some.iter().zip(known.into_iter().flatten()));
        }
        let taught = learned.len() / samples;
        let progress = self.learn(&learned)?;
        Ok(Round { rollouts, rewards, taught, progress })
    }

    /// Learns from rollouts with their advantages, one's own or those of others; nothing comes of none.
    ///
    /// Those of others need an objective that truncates importance weights.
    pub fn learn(&mut self, rollouts: &[(&Rollout, f32)]) -> Result<Option<Progress>, Error> {
        if rollouts.is_empty() {
            return Ok(None);
        }
        let lesson = self.learner.lesson();
        let rows = rollouts.len().next_multiple_of(lesson.rows);
        let mut batch = Batch::improve(rollouts, rows, lesson.tokens)?;
        if let Some(own) = &mut self.own {
            batch.logps = own.of(&batch)?;
        }
        if let Some(reference) = &mut self.reference {
            batch.reference = reference.of(&batch)?;
        }
        let mut progress = None;
        for _ in 0..self.drill.updates {
            progress = Some(self.learner.learn(&batch, self.drill.rate.rate(self.steps), 0.0)?);
            self.steps += 1;
        }
        Ok(progress)
    }
}
