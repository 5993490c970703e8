//! `wren`, the model that ships: small, character by character, taught from nothing by this project.
//!
//! It has been shown a little of three [tasks](Task), just enough to be right now and then: reinforcement learning has nothing to work with
//! in a model that never succeeds, and little to show in one that always does. [`WarmStart::wren`] is all there is to its making, and gives
//! the same bits on every machine.

mod tasks;
mod weights;

use exact::{Device, Limits};

use crate::batch::Batch;
use crate::learn::{Learner, Progress};
use crate::objective::Objective;
use crate::optimiser::Optimiser;
use crate::practice::Drill;
use crate::schedule::{Decay, Schedule};
use crate::speak::{Request, Rollout, Sampling, Speaker, Until};
use crate::{Alphabet, Config, Error, Language, Model, RopeScaling};

pub use tasks::{CHARACTERS, Part, Task};
pub use weights::{file, load};

/// The shape of `wren`.
pub fn config() -> Config {
    Config {
        vocabulary: alphabet().len(),
        width: 128,
        layers: 3,
        heads: 4,
        kv_heads: 4,
        head_dim: 32,
        hidden: 352,
        context: 64,
        rope_theta: 10_000.0,
        rope_scaling: RopeScaling::None,
        norm_eps: 1e-6,
        tied: true,
        qkv_bias: false,
        qk_norm: false,
    }
}

/// The tokens of `wren`.
pub fn alphabet() -> Alphabet {
    Alphabet::new(CHARACTERS)
}

/// How texts become tokens of `wren`: one for each character, and one that ends an answer.
pub fn language() -> Result<Language, Error> {
    let (ends, pad) = (vec![Alphabet::END], Some(Alphabet::PAD));
    Ok(Language { tokenizer: alphabet().tokenizer()?, chat: None, begin: None, ends, pad })
}

/// How a model of this shape is brought to where it is right now and then.
#[derive(Clone, Debug, PartialEq)]
pub struct WarmStart {
    /// What its first weights and its lessons are drawn from.
    pub seed: u64,
    /// The tasks, and how many of every step's examples are of each.
    pub tasks: Vec<(Task, usize)>,
    /// Steps of learning.
    pub steps: u64,
    /// The rate of hidden matrices, which move by Muon; and that of all else, which moves by AdamW.
    pub rates: [Schedule; 2],
}

impl WarmStart {
    /// The recipe of the model that ships.
    pub fn wren() -> WarmStart {
        WarmStart {
            seed: 1,
            // As many of each as it takes for all to come along at the same pace.
            tasks: vec![(Task::Reverse, 18), (Task::Add, 60), (Task::Express, 18)],
            steps: 210,
            rates: [Schedule { peak: 3e-3, rise: 0, decay: Decay::Linear(450) }; 2],
        }
    }

    /// Makes the model; `watch` is told each step's number, from 1, with the model as it is then.
    pub fn run(
        &self,
        device: &Device,
        limits: Limits,
        mut watch: impl FnMut(u64, &Model, &Progress) -> Result<(), Error>,
    ) -> Result<Model, Error> {
        let model = Model::new(config(), self.seed, device, limits)?;
        let rows: usize = self.tasks.iter().map(|(_, count)| count).sum();
        let tokens = self.tasks.iter().map(|(task, _)| task.tokens()).max().unwrap_or(0);
        let optimiser = Optimiser { muon: true, ..Optimiser::default() };
        let mut learner = Learner::new(&model, Objective::Imitate, &optimiser, rows, tokens, limits)?;
        for step in 0..self.steps {
            let mut examples = Vec::with_capacity(rows);
            for (task, count) in &self.tasks {
                let first = step * *count as u64;
                for number in first..first + *count as u64 {
                    examples.push(task.example(&task.question(Part::Lessons, self.seed, number))?);
                }
            }
            let [muon, rest] = self.rates.map(|rate| rate.rate(step));
            let progress = learner.learn(&Batch::imitate(&examples, rows, tokens)?, rest, muon)?;
            watch(step + 1, &model, &progress)?;
        }
        Ok(model)
    }
}

impl Task {
    /// A question and its answer as tokens, the end included.
    pub fn example(self, question: &str) -> Result<(Vec<u32>, Vec<u32>), Error> {
        let alphabet = alphabet();
        let answer = self.answer(question).ok_or(Error::Empty { what: "the answer to a question" })?;
        let mut answer = alphabet.encode(&answer)?;
        answer.push(Alphabet::END);
        Ok((alphabet.encode(question)?, answer))
    }

    /// The most tokens that are read of a question and its answer; the end is predicted, not read.
    pub fn tokens(self) -> usize {
        self.question_tokens() + self.answer_tokens() - 1
    }

    /// How `wren` practises it.
    pub fn drill(self) -> Drill {
        Drill::new(self.question_tokens(), self.answer_tokens(), Alphabet::END)
    }

    /// Rounds of practice after which it has learned most of what it will.
    pub fn rounds(self) -> u64 {
        match self {
            Task::Reverse => 60,
            Task::Add | Task::Express => 120,
        }
    }

    /// The questions of one round of practice, as texts.
    pub fn questions(self, seed: u64, round: u64, count: usize) -> Vec<String> {
        let count = count as u64;
        (round * count..(round + 1) * count).map(|i| self.question(Part::Lessons, !seed, i)).collect()
    }

    /// 1 if the rollout answers the question rightly and then ends, else 0.
    pub fn reward(self, alphabet: &Alphabet, question: &str, rollout: &Rollout) -> f32 {
        let ended = rollout.answer.last() == Some(&Alphabet::END);
        f32::from(u8::from(ended && self.is_right(question, &alphabet.decode(&rollout.answer))))
    }

    /// The share of `count` questions that lessons never show which the model answers rightly.
    pub fn exam(self, model: &Model, count: usize, sampling: Sampling, limits: Limits) -> Result<f32, Error> {
        let rows = count.clamp(1, 128);
        let mut speaker = Speaker::new(model, rows, self.tokens() + 1, limits)?;
        let alphabet = alphabet();
        let asked: Vec<String> = (0..count as u64).map(|i| self.question(Part::Exam, 0, i)).collect();
        let request = |(text, seed): (&String, u64)| -> Result<Request, Error> {
            let until = Until::new(self.answer_tokens(), &[Alphabet::END]);
            Ok(Request { prompt: alphabet.encode(text)?, seed, sampling, until })
        };
        let requests = asked.iter().zip(0..).map(request).collect::<Result<Vec<_>, _>>()?;
        let rollouts = speaker.answer(&requests)?;
        let right: f32 = asked.iter().zip(&rollouts).map(|(q, r)| self.reward(&alphabet, q, r)).sum();
        Ok(right / count.max(1) as f32)
    }
}
