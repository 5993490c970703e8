//! What is asked, and what was answered.

use super::stop::{Ending, Until, Words};
use crate::Error;

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

    pub(super) fn check(&self) -> Result<(), Error> {
        let wrong = |field, why: &str| Err(Error::Request { field, why: why.to_owned() });
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return wrong("temperature", "must be a number of at least 0");
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return wrong("top_p", "must be above 0 and at most 1");
        }
        Ok(())
    }
}

/// A prompt to be answered, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What is asked.
    pub prompt: Vec<u32>,
    /// Where its random numbers come from.
    pub seed: u64,
    /// How its tokens are drawn.
    pub sampling: Sampling,
    /// When it ends.
    pub until: Until,
}

impl Request {
    /// Checks what may have come from anyone, for a model of this many tokens and a cache of that many.
    pub(super) fn check(&self, vocabulary: usize, kept: usize, words: Option<&Words>) -> Result<(), Error> {
        self.sampling.check()?;
        self.until.check(words)?;
        if self.prompt.is_empty() {
            return Err(Error::Empty { what: "a prompt" });
        }
        let length = self.prompt.len().saturating_add(self.until.limit);
        if length > kept {
            return Err(Error::TooLong { what: "a prompt and the answer it may get", length, limit: kept });
        }
        known(&self.prompt, vocabulary)
    }
}

/// Refuses tokens that the model does not have.
pub(super) fn known(tokens: &[u32], vocabulary: usize) -> Result<(), Error> {
    match tokens.iter().find(|t| **t as usize >= vocabulary) {
        Some(token) => Err(Error::Token { token: *token, vocabulary }),
        None => Ok(()),
    }
}

/// An answer, with all that is needed to check that the model gave it: root, prompt, seed, settings and tokens are one claim.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// The root of the model that answered.
    pub root: [u8; 32],
    /// What was asked.
    pub prompt: Vec<u32>,
    /// What was answered, the tokens that ended it included.
    pub answer: Vec<u32>,
    /// The log-probability of each token of the answer, at temperature 1 and with nothing left out.
    pub logps: Vec<f32>,
    /// Where its random numbers came from.
    pub seed: u64,
    /// How its tokens were drawn.
    pub sampling: Sampling,
    /// What was to end it.
    pub until: Until,
    /// What ended it.
    pub ending: Ending,
}
