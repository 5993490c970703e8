//! The one who answers and learns.

use exact::Limits;
use lm::checkpoint::{Checkpoint, Saving};
use lm::{
    Batch, Checker, Decay, Improve, Learner, Likelihoods, Model, Objective, Optimiser, Request, Rollout,
    Sampling, Schedule, Speaker, Until, advantages, advantages_unscaled,
};

use crate::Error;
use crate::charter::Charter;
use crate::data::Assigned;
use crate::event::{Ask, Claim, Finding, Lesson};
use crate::flock::Parts;
use crate::tongue::{Question, Tongue};
use crate::wire::Said;

/// `GenRL`'s name for who answers and learns.
pub trait Trainer {
    /// The root of its model as it is now.
    fn root(&mut self) -> Result<[u8; 32], Error>;

    /// Answers prompts: for each its samples, from the random numbers that it names.
    fn answer(&mut self, asks: &[Ask]) -> Result<Vec<Vec<Said>>, Error>;

    /// Learns from answers by what each is worth, next to the others of its group.
    fn learn(&mut self, lessons: &[Lesson]) -> Result<Learned, Error>;
}

/// What came of learning.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Learned {
    /// Groups that taught something.
    pub groups: usize,
    /// Steps of learning that this model has made in all.
    pub steps: u64,
    /// What the last step told; zeros if there was none.
    pub progress: lm::Progress,
}

/// The trainer that swarms come with: an `lm` model that learns by GRPO, others' answers corrected for being others'.
#[derive(Debug)]
pub struct Pupil {
    model: Model,
    speaker: Speaker,
    learner: Learner,
    own: Likelihoods,
    rate: Schedule,
    updates: u16,
    scaled: bool,
    until: Until,
    steps: u64,
}

/// Answers side by side, and rows of one pass of learning: enough to keep two cores busy, and little memory for a small model.
const SEATS: usize = 64;
const ROWS: usize = 32;
/// Answers that are checked side by side.
const AUDITED: usize = 32;
/// The note of a checkpoint in which a pupil's counters are.
const NOTE: &str = "swarm pupil";

impl Pupil {
    /// A pupil that teaches this model, for a charter.
    pub fn new(model: Model, charter: &Charter, tongue: &Tongue, limits: Limits) -> Result<Pupil, Error> {
        let tokens = tongue.prompt_tokens() + tongue.answer_tokens();
        let context = model.config().context;
        if tokens > context {
            let why = format!(
                "and answers.tokens are {tokens} tokens together, and the model reads {context}: make them smaller"
            );
            return Err(Error::Field { field: "answers.prompt".to_owned(), why });
        }
        let lesson = lm::Lesson {
            objective: Objective::Improve(Improve {
                truncate: Some(charter.learning.truncate),
                ..Improve::PLAIN
            }),
            optimiser: Optimiser::default(),
            rows: ROWS,
            // The last token is predicted, not read.
            tokens: tokens - 1,
            passes: true,
            lora: None,
        };
        Ok(Pupil {
            speaker: Speaker::new(&model, SEATS, tokens, limits)?,
            own: Likelihoods::new(&model, lesson.rows, lesson.tokens, limits)?,
            learner: Learner::of(&model, lesson, limits)?,
            rate: Schedule {
                peak: charter.learning.rate,
                rise: charter.learning.rise.into(),
                decay: Decay::Never,
            },
            updates: charter.learning.updates,
            scaled: charter.learning.scaled,
            until: Until::new(tongue.answer_tokens(), tongue.ends()),
            steps: 0,
            model,
        })
    }

    /// Its model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Steps of learning that it has made.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Takes these weights for its own, as [`weight_bytes`] gives them. What it knew of how to move its old ones is of little use, and stays.
    pub fn set_weights(&mut self, bytes: &[u8]) -> Result<(), Error> {
        put_weights(&mut self.model, bytes)
    }

    /// Puts all that further learning depends on into a checkpoint, with the round that was learned last.
    pub fn save(&self, into: &mut Saving<'_>, round: Option<u64>) -> Result<(), Error> {
        into.states(&self.learner.states())?;
        let [known, number] = [u64::from(round.is_some()), round.unwrap_or_default()];
        into.note(NOTE, &[self.steps, known, number].map(u64::to_le_bytes).concat());
        Ok(())
    }

    /// Takes up what [`Pupil::save`] saved; gives the round that was learned last. An [`Effect::Learn`](crate::Effect::Learn) of that round was done.
    pub fn restore(&mut self, from: &Checkpoint<'_>) -> Result<Option<u64>, Error> {
        let note = from.note(NOTE).map_err(lm::Error::from)?;
        let words: Vec<u64> = note.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let [steps, known, round] = words[..] else {
            let why = "it is another program's, or damaged: take an older one".to_owned();
            return Err(Error::Kept { what: "checkpoint", why });
        };
        from.restore(&mut self.learner.states_mut())?;
        self.steps = steps;
        Ok((known != 0).then_some(round))
    }

    /// The mean worth of its answers to tasks that are kept back, all of them asked plainly, each once.
    pub fn examine(&mut self, parts: &Parts, count: usize, sampling: Sampling) -> Result<f32, Error> {
        let exam = parts.data.exam(count);
        let mut asked = Vec::new();
        for (assigned, seed) in exam.iter().zip(0..) {
            let prompt = parts.tongue.prompt(&Question::of(&assigned.task))?;
            asked.push(Request { prompt, seed, sampling, until: self.until.clone() });
        }
        let rollouts = self.speaker.answer(&asked)?;
        let worth = |(assigned, rollout): (&Assigned, &Rollout)| {
            parts.tongue.text(&rollout.answer).map_or(0.0, |text| parts.rewards.score(assigned, &text))
        };
        let sum: f32 = exam.iter().zip(&rollouts).map(worth).sum();
        Ok(sum / exam.len().max(1) as f32)
    }
}

impl Trainer for Pupil {
    fn root(&mut self) -> Result<[u8; 32], Error> {
        Ok(self.model.root()?)
    }

    fn answer(&mut self, asks: &[Ask]) -> Result<Vec<Vec<Said>>, Error> {
        let request = |ask: &Ask, sample: u16| Request {
            prompt: ask.prompt.clone(),
            seed: ask.seed.wrapping_add(sample.into()),
            sampling: Sampling::PLAIN,
            until: self.until.clone(),
        };
        let asked: Vec<Request> = asks
            .iter()
            .flat_map(|ask| (0..ask.samples).map(move |sample| (ask, sample)))
            .map(|(a, s)| request(a, s))
            .collect();
        let mut rollouts = self.speaker.answer(&asked)?.into_iter();
        let mut said =
            |_| rollouts.next().map(|rollout| Said { tokens: rollout.answer, logps: rollout.logps });
        Ok(asks.iter().map(|ask| (0..ask.samples).filter_map(&mut said).collect()).collect())
    }

    fn learn(&mut self, lessons: &[Lesson]) -> Result<Learned, Error> {
        let mut learned = Learned { steps: self.steps, ..Learned::default() };
        let rollouts: Vec<Vec<Rollout>> =
            lessons.iter().map(|lesson| rollouts(&lesson.claim, lesson.root, &self.until)).collect();
        let mut graded: Vec<(&Rollout, f32)> = Vec::new();
        for (lesson, rollouts) in lessons.iter().zip(&rollouts) {
            let above =
                if self.scaled { advantages(&lesson.rewards) } else { advantages_unscaled(&lesson.rewards) };
            let Some(above) = above.filter(|above| above.len() == rollouts.len()) else { continue };
            learned.groups += 1;
            graded.extend(rollouts.iter().zip(above));
        }
        if graded.is_empty() {
            return Ok(learned);
        }
        let lm::Lesson { rows, tokens, .. } = *self.learner.lesson();
        let mut batch = Batch::improve(&graded, graded.len().next_multiple_of(rows), tokens)?;
        batch.logps = self.own.of(&batch)?;
        for _ in 0..self.updates {
            learned.progress = self.learner.learn(&batch, self.rate.rate(self.steps), 0.0)?;
            self.steps += 1;
        }
        learned.steps = self.steps;
        Ok(learned)
    }
}

/// A claim's answers, as anyone can check them.
fn rollouts(claim: &Claim, root: [u8; 32], until: &Until) -> Vec<Rollout> {
    let rollout = |(said, sample): (&Said, u64)| Rollout {
        root,
        prompt: claim.prompt.clone(),
        answer: said.tokens.clone(),
        logps: said.logps.clone(),
        seed: claim.seed.wrapping_add(sample),
        sampling: Sampling::PLAIN,
        ending: until.ending(&said.tokens, None).unwrap_or(lm::Ending::Limit),
        until: until.clone(),
    };
    claim.answers.iter().zip(0..).map(rollout).collect()
}

/// Says whether others' models gave their answers, to the bit: what [`Effect::Audit`](crate::Effect::Audit) asks, once their weights are there.
///
/// It has one model and one checker, which take up the weights of whoever is audited: made anew for each audit, their memory would come and go.
#[derive(Debug)]
pub struct Auditor {
    model: Model,
    checker: Checker,
    until: Until,
}

impl Auditor {
    /// An auditor of models of this one's shape.
    pub fn new(like: &Model, tongue: &Tongue, limits: Limits) -> Result<Auditor, Error> {
        let model = like.copy_to(like.device(), limits)?;
        let tokens = tongue.prompt_tokens() + tongue.answer_tokens();
        let checker = Checker::new(&model, AUDITED, tokens, limits)?;
        Ok(Auditor { model, checker, until: Until::new(tongue.answer_tokens(), tongue.ends()) })
    }

    /// Takes up weights, as [`weight_bytes`] gives them; an error if they are not of this root.
    pub fn take_up(&mut self, bytes: &[u8], root: [u8; 32]) -> Result<(), Error> {
        put_weights(&mut self.model, bytes)?;
        if self.model.root()? == root {
            return Ok(());
        }
        Err(Error::Weights { why: "are not of the root that was asked for".to_owned() })
    }

    /// Whether a model of these weights gave these answers.
    pub fn audit(&mut self, bytes: &[u8], root: [u8; 32], claims: &[Claim]) -> Result<Finding, Error> {
        self.take_up(bytes, root)?;
        for (claim, number) in claims.iter().zip(0..) {
            let findings = self.checker.check(&rollouts(claim, root, &self.until))?;
            if let Some(answer) = findings.iter().position(|finding| *finding != lm::Finding::Holds) {
                return Ok(Finding::Lie { claim: number, answer: answer as u16 });
            }
        }
        Ok(Finding::Holds)
    }
}

/// A model's weights as bytes, for whoever asks for them by their root: every parameter's numbers, in the order of the configuration.
pub fn weight_bytes(model: &Model) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    for parameter in model.config().parameters() {
        bytes.extend(model.weight(&parameter.name)?.iter().flat_map(|number| number.to_le_bytes()));
    }
    Ok(bytes)
}

fn put_weights(model: &mut Model, bytes: &[u8]) -> Result<(), Error> {
    let parameters = model.config().parameters();
    let numbers: usize = parameters.iter().map(|p| p.dims.iter().product::<usize>()).sum();
    if bytes.len() != 4 * numbers {
        let why = format!("have {} bytes and should have {}", bytes.len(), 4 * numbers);
        return Err(Error::Weights { why });
    }
    let mut rest = bytes;
    for parameter in parameters {
        let (own, more) = rest.split_at(4 * parameter.dims.iter().product::<usize>());
        rest = more;
        let numbers: Vec<f32> =
            own.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        model.set_weight(&parameter.name, &numbers)?;
    }
    Ok(())
}
