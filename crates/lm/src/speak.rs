//! Speaking: answers to a batch of prompts, and the check that an answer is what the model would have said.

use exact::{Builder, Limits, Program, Session, Var};

use crate::config::Config;
use crate::decoder::{Memory, Weights, decoder, head};
use crate::{Error, Model};

/// How tokens are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// 0 for the likeliest token, 1 for the model's own distribution, more for a flatter one.
    pub temperature: f32,
    /// Only this many of the likeliest tokens; 0 for all.
    pub top_k: u32,
    /// Only the likeliest tokens that together have this share of the probability; 1 for all.
    pub top_p: f32,
}

impl Sampling {
    /// Always the likeliest token.
    pub const GREEDY: Sampling = Sampling { temperature: 0.0, top_k: 0, top_p: 1.0 };
    /// The model's own distribution.
    pub const PLAIN: Sampling = Sampling { temperature: 1.0, top_k: 0, top_p: 1.0 };
}

/// A prompt, the answer to it, and all that is needed to check that the model gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// What was asked.
    pub prompt: Vec<u32>,
    /// What was answered, the end token included if it came.
    pub answer: Vec<u32>,
    /// The log-probability of each token of the answer, at temperature 1 and with nothing left out.
    pub logps: Vec<f32>,
    /// Where its random numbers came from.
    pub seed: u64,
    /// How its tokens were drawn.
    pub sampling: Sampling,
}

/// The states and inputs that a row of sampling takes.
struct Draw {
    seeds: Var<u32>,
    temperature: Var<f32>,
    top_k: Var<u32>,
    top_p: Var<f32>,
}

impl Draw {
    fn declare(b: &mut Builder, rows: usize) -> Result<Draw, Error> {
        Ok(Draw {
            seeds: b.input("seeds", &[rows, 4])?,
            temperature: b.input("temperature", &[rows])?,
            top_k: b.input("top_k", &[rows])?,
            top_p: b.input("top_p", &[rows])?,
        })
    }

    /// Draws a token for each row; outputs `token` and its `logp`.
    fn finish(&self, b: &mut Builder, logits: Var<f32>) -> Result<(), Error> {
        let token = b.sample(logits, self.seeds, self.temperature, self.top_k, self.top_p)?;
        let logp = b.token_logprob(logits, token)?;
        b.output("token", token)?;
        b.output("logp", logp)?;
        Ok(())
    }
}

/// One call of the model over `tokens` new tokens of each of `rows` sequences that it remembers, and a token drawn after one of them.
fn call(config: &Config, rows: usize, tokens: usize, kept: usize) -> Result<Program, Error> {
    let mut b = Builder::new();
    let ids = b.input::<u32>("ids", &[rows, tokens])?;
    let start = b.input::<u32>("start", &[rows])?;
    // Which of the new tokens is the last that is not padding, counted through the batch.
    let last = b.input::<u32>("last", &[rows])?;
    let draw = Draw::declare(&mut b, rows)?;
    let weights = Weights::declare(&mut b, config)?;
    let x = decoder(&mut b, config, &weights, ids, &Memory::Cached { tokens: kept, start })?;
    let x = b.gather(x, last)?;
    let logits = head(&mut b, config, &weights, x)?;
    draw.finish(&mut b, logits)?;
    Ok(b.finish()?)
}

/// Answers batches of prompts.
#[derive(Debug)]
pub struct Speaker {
    read: Session,
    speak: Session,
    rows: usize,
    prompt: usize,
    answer: usize,
    end: u32,
}

impl Speaker {
    /// A speaker for up to `rows` prompts at a time, of up to `prompt` tokens, with answers of up to `answer` tokens that end at `end`.
    pub fn new(
        model: &Model,
        rows: usize,
        prompt: usize,
        answer: usize,
        end: u32,
        limits: Limits,
    ) -> Result<Speaker, Error> {
        let config = model.config();
        let kept = prompt + answer;
        if kept > config.context {
            return Err(Error::TooLong { what: "a prompt and answer", length: kept, limit: config.context });
        }
        // The cache belongs to this speaker's two programs; the weights to the model.
        let read = model.session().share(&call(config, rows, prompt, kept)?, limits)?;
        let speak = read.share(&call(config, rows, 1, kept)?, limits)?;
        Ok(Speaker { read, speak, rows, prompt, answer, end })
    }

    /// Answers each prompt with its own seed.
    pub fn answer(&mut self, prompts: &[(Vec<u32>, u64)], sampling: Sampling) -> Result<Vec<Rollout>, Error> {
        if prompts.len() > self.rows {
            return Err(Error::TooLong { what: "a batch", length: prompts.len(), limit: self.rows });
        }
        let rollout = |(prompt, seed): &(Vec<u32>, u64)| Rollout {
            prompt: prompt.clone(),
            answer: Vec::new(),
            logps: Vec::new(),
            seed: *seed,
            sampling,
        };
        let mut rollouts: Vec<Rollout> = prompts.iter().map(rollout).collect();
        let mut ids = vec![0; self.rows * self.prompt];
        let mut last = vec![0; self.rows];
        for (row, (prompt, _)) in prompts.iter().enumerate() {
            if prompt.is_empty() || prompt.len() > self.prompt {
                return Err(Error::TooLong { what: "a prompt", length: prompt.len(), limit: self.prompt });
            }
            ids[row * self.prompt..][..prompt.len()].copy_from_slice(prompt);
            last[row] = (row * self.prompt + prompt.len() - 1) as u32;
        }
        self.read.write("ids", &ids)?;
        self.read.write("last", &last)?;
        self.read.write("start", &vec![0u32; self.rows])?;
        let every: Vec<u32> = (0..self.rows as u32).collect();
        self.speak.write("last", &every)?;

        let (mut tokens, mut logps) = (vec![0; self.rows], vec![0.0; self.rows]);
        for step in 0..self.answer {
            // Padding beyond a prompt is overwritten, token by token, before anything can see it.
            let position = |row: usize| prompts.get(row).map_or(0, |(p, _)| p.len()) + step;
            let session = if step == 0 { &mut self.read } else { &mut self.speak };
            let seeds = (0..self.rows).flat_map(|row| {
                let seed = prompts.get(row).map_or(0, |(_, seed)| *seed);
                [seed as u32, (seed >> 32) as u32, 0, position(row) as u32]
            });
            session.write("seeds", &seeds.collect::<Vec<u32>>())?;
            session.write("temperature", &vec![sampling.temperature; self.rows])?;
            session.write("top_k", &vec![sampling.top_k; self.rows])?;
            session.write("top_p", &vec![sampling.top_p; self.rows])?;
            if step > 0 {
                session.write("ids", &tokens)?;
                let at: Vec<u32> = (0..self.rows).map(|row| position(row).max(1) as u32 - 1).collect();
                session.write("start", &at)?;
            }
            session.run()?;
            session.read_into("token", &mut tokens)?;
            session.read_into("logp", &mut logps)?;
            let mut open = false;
            for (row, rollout) in rollouts.iter_mut().enumerate() {
                if rollout.answer.last() != Some(&self.end) {
                    rollout.answer.push(tokens[row]);
                    rollout.logps.push(logps[row]);
                    open |= tokens[row] != self.end;
                }
            }
            if !open {
                break;
            }
        }
        Ok(rollouts)
    }
}

/// Checks rollouts: one forward pass over prompt and answer, however long it took to generate.
#[derive(Debug)]
pub struct Checker {
    session: Session,
    rows: usize,
    tokens: usize,
}

/// Why a rollout is not what the model would have said.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// Every token and every log-probability is right, to the bit.
    Holds,
    /// The token at this place of the answer is another.
    Token {
        /// Its place in the answer.
        at: usize,
        /// What was claimed.
        claimed: u32,
        /// What the model says.
        right: u32,
    },
    /// The token is right and its log-probability is not.
    Logp {
        /// Its place in the answer.
        at: usize,
        /// What was claimed.
        claimed: f32,
        /// What the model says.
        right: f32,
    },
    /// There is not one log-probability per token, or no prompt or answer, or it is too long to be checked here.
    Malformed,
}

impl Checker {
    /// A checker for up to `rows` rollouts at a time, of up to `tokens` tokens each.
    pub fn new(model: &Model, rows: usize, tokens: usize, limits: Limits) -> Result<Checker, Error> {
        let config = model.config();
        let mut b = Builder::new();
        let ids = b.input::<u32>("ids", &[rows, tokens])?;
        let draw = Draw::declare(&mut b, rows * tokens)?;
        let weights = Weights::declare(&mut b, config)?;
        let x = decoder(&mut b, config, &weights, ids, &Memory::Fresh)?;
        let logits = head(&mut b, config, &weights, x)?;
        draw.finish(&mut b, logits)?;
        let session = model.session().share(&b.finish()?, limits)?;
        Ok(Checker { session, rows, tokens })
    }

    /// What the model has to say to each rollout.
    pub fn check(&mut self, rollouts: &[Rollout]) -> Result<Vec<Finding>, Error> {
        if rollouts.len() > self.rows {
            return Err(Error::TooLong { what: "a batch", length: rollouts.len(), limit: self.rows });
        }
        let n = self.rows * self.tokens;
        let (mut ids, mut seeds) = (vec![0; n], vec![0; 4 * n]);
        let (mut temperature, mut top_k, mut top_p) = (vec![0.0; n], vec![0; n], vec![1.0; n]);
        let well_formed = |r: &Rollout| {
            let length = r.prompt.len() + r.answer.len();
            // The last token is predicted, not read.
            let sizes = !r.prompt.is_empty() && !r.answer.is_empty() && length <= self.tokens + 1;
            sizes && r.logps.len() == r.answer.len()
        };
        for (row, r) in rollouts.iter().enumerate().filter(|(_, r)| well_formed(r)) {
            // The answer's last token is predicted, never read.
            let text = r.prompt.iter().chain(&r.answer[..r.answer.len() - 1]);
            for (i, token) in text.enumerate() {
                let at = row * self.tokens + i;
                ids[at] = *token;
                let seed = [r.seed as u32, (r.seed >> 32) as u32, 0, i as u32 + 1];
                seeds[4 * at..4 * at + 4].copy_from_slice(&seed);
                temperature[at] = r.sampling.temperature;
                top_k[at] = r.sampling.top_k;
                top_p[at] = r.sampling.top_p;
            }
        }
        self.session.write("ids", &ids)?;
        self.session.write("seeds", &seeds)?;
        self.session.write("temperature", &temperature)?;
        self.session.write("top_k", &top_k)?;
        self.session.write("top_p", &top_p)?;
        self.session.run()?;
        let (tokens, logps) = (self.session.read::<u32>("token")?, self.session.read::<f32>("logp")?);
        let find = |(row, r): (usize, &Rollout)| {
            if !well_formed(r) {
                return Finding::Malformed;
            }
            let from = row * self.tokens + r.prompt.len() - 1;
            for (at, (claimed, logp)) in r.answer.iter().zip(&r.logps).enumerate() {
                let (right, right_logp) = (tokens[from + at], logps[from + at]);
                if *claimed != right {
                    return Finding::Token { at, claimed: *claimed, right };
                }
                if logp.to_bits() != right_logp.to_bits() {
                    return Finding::Logp { at, claimed: *logp, right: right_logp };
                }
            }
            Finding::Holds
        };
        Ok(rollouts.iter().enumerate().map(find).collect())
    }
}
