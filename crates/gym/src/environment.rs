//! What an environment is: tasks from a seed, a scorer for answers.

use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;

/// Answers of more bytes than this score nothing, unread.
pub const MAX_ANSWER_BYTES: usize = 1 << 20;

/// One question, with what is needed to score an answer to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// What it was made from: the same environment makes the same task of the same seed and level, anywhere.
    pub seed: u64,
    /// How hard it is meant to be.
    pub level: u8,
    /// The question in natural language.
    pub question: String,
    /// The same question in a few characters, for models that read one character at a time.
    pub compact: String,
    /// A right answer. There may be others.
    pub answer: String,
    /// What the scorer has to know besides.
    pub data: serde_json::Value,
}

/// A place to learn: it makes tasks and scores answers, both without memory, clock or chance.
pub trait Environment: fmt::Debug + Send + Sync {
    /// The name by which everyone knows it.
    fn name(&self) -> &str;

    /// How many levels of difficulty there are; `0` is the easiest.
    fn levels(&self) -> u8;

    /// The task of this seed. A level beyond the last is the last.
    fn task(&self, seed: u64, level: u8) -> Task;

    /// What an answer to one of its tasks is worth.
    fn score(&self, task: &Task, answer: &str) -> Score;

    /// An answer as models that write one character at a time are taught it; [`Environment::expand`] turns it back.
    fn shorten(&self, answer: &str) -> String {
        answer.to_owned()
    }

    /// The answer that is meant by a short one. Whatever a model writes for [`Task::compact`] goes through here first.
    fn expand(&self, short: &str) -> String {
        short.to_owned()
    }
}

impl<E: Environment + ?Sized> Environment for &E {
    fn name(&self) -> &str {
        (**self).name()
    }
    fn levels(&self) -> u8 {
        (**self).levels()
    }
    fn task(&self, seed: u64, level: u8) -> Task {
        (**self).task(seed, level)
    }
    fn score(&self, task: &Task, answer: &str) -> Score {
        (**self).score(task, answer)
    }
    fn shorten(&self, answer: &str) -> String {
        (**self).shorten(answer)
    }
    fn expand(&self, short: &str) -> String {
        (**self).expand(short)
    }
}

/// What an answer is worth: from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Score(f64);

impl Score {
    /// Worth nothing.
    pub const ZERO: Score = Score(0.0);
    /// Right.
    pub const FULL: Score = Score(1.0);

    /// A score of this value, brought between 0 and 1. What is no number is worth nothing.
    pub fn new(value: f64) -> Score {
        if value.is_nan() { Score::ZERO } else { Score(value.clamp(0.0, 1.0)) }
    }

    /// As a number from 0 to 1.
    pub fn value(self) -> f64 {
        self.0
    }

    /// Whether the answer was right in every way.
    pub fn is_full(self) -> bool {
        self == Score::FULL
    }
}

impl From<Score> for f64 {
    fn from(score: Score) -> f64 {
        score.0
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl<'de> Deserialize<'de> for Score {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Score, D::Error> {
        let value = f64::deserialize(from)?;
        if (0.0..=1.0).contains(&value) {
            Ok(Score(value))
        } else {
            Err(serde::de::Error::custom(format!("a score is a number from 0 to 1, not {value}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_between_nothing_and_one() {
        for (value, score) in [(-1.0, 0.0), (0.25, 0.25), (7.0, 1.0), (f64::NAN, 0.0), (f64::INFINITY, 1.0)] {
            assert_eq!(Score::new(value).value(), score);
        }
        assert!(Score::FULL.is_full() && !Score::new(0.999).is_full());
        assert_eq!(serde_json::from_str::<Score>("0.5").unwrap(), Score::new(0.5));
        for bad in ["1.5", "-0.1", "null", "\"1\""] {
            assert!(serde_json::from_str::<Score>(bad).is_err(), "{bad}");
        }
    }
}
