//! A family of tasks: its parameters, how a task is made of them, how an answer is scored.

use crate::dice::Dice;
use crate::environment::{Environment, MAX_ANSWER_BYTES, Score, Task};
use crate::reference;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::{Debug, Display};
use std::ops::RangeInclusive;

/// Parameters from which tasks of one kind are made.
///
/// A family's fields, their names and their defaults are those of the public package, so that a configuration written for it can be read here.
pub trait Family: Debug + Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The family's name in the public package.
    const NAME: &'static str;

    /// Its levels, from the easiest on; the last has the package's defaults.
    fn levels() -> Vec<Self>;

    /// Says what is wrong with the parameters, if anything is.
    fn check(&self) -> Result<(), Unfit>;

    /// A problem, of parameters that [`Family::check`] found right.
    fn problem(&self, dice: &mut Dice) -> Problem;

    /// What an answer is worth; between 0 and 1. By default, what [`reference::score`] says.
    fn score(task: &Task, answer: &str) -> f64 {
        reference::score(&task.answer, answer)
    }

    /// An answer in few characters: see [`Environment::shorten`].
    fn shorten(answer: &str) -> String {
        answer.to_owned()
    }

    /// What is meant by a short answer: see [`Environment::expand`].
    fn expand(short: &str) -> String {
        short.to_owned()
    }
}

/// A task before it knows where it comes from. The fields are those of [`Task`].
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The question in natural language.
    pub question: String,
    /// The question in few characters.
    pub compact: String,
    /// A right answer.
    pub answer: String,
    /// What the scorer has to know besides.
    pub data: serde_json::Value,
}

/// Why parameters make no family.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// There is no family of this name.
    #[error("there is no environment `{name}`: choose one of {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The parameters cannot be read.
    #[error("these are no parameters of `{family}`: {source}; its defaults are {defaults}")]
    Unreadable {
        /// Whose they should be.
        family: &'static str,
        /// What is wrong with them.
        source: serde_json::Error,
        /// Parameters that can be read.
        defaults: String,
    },
    /// A parameter is out of its range.
    #[error("`{parameter}` is {value}: take a value from {low} to {high}")]
    Range {
        /// Which.
        parameter: &'static str,
        /// What it is.
        value: String,
        /// The least it may be.
        low: String,
        /// The most it may be.
        high: String,
    },
    /// A least is more than its most.
    #[error("`{low}` is more than `{high}`: swap them, or make them equal")]
    Order {
        /// The parameter that must not be more.
        low: &'static str,
        /// The parameter that must not be less.
        high: &'static str,
    },
    /// A parameter has a value it cannot have.
    #[error("`{parameter}` cannot be `{value}`: it takes {wanted}")]
    Choice {
        /// Which.
        parameter: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        wanted: &'static str,
    },
    /// Names and weights of a mixture make no mixture.
    #[error("`{text}` is no mixture: write names with weights, as in `chain_sum=2,spell_backward`")]
    Mixture {
        /// What was given.
        text: String,
    },
}

/// That a parameter lies within its range.
pub(crate) fn within<T: PartialOrd + Display + Copy>(
    parameter: &'static str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<(), Unfit> {
    if range.contains(&value) {
        return Ok(());
    }
    let (low, high) = (range.start().to_string(), range.end().to_string());
    Err(Unfit::Range { parameter, value: value.to_string(), low, high })
}

/// That a least and a most lie within a range and are the right way round.
pub(crate) fn span<T: PartialOrd + Display + Copy>(
    (low, least): (&'static str, T),
    (high, most): (&'static str, T),
    range: RangeInclusive<T>,
) -> Result<(), Unfit> {
    within(low, least, *range.start()..=*range.end())?;
    within(high, most, range)?;
    if least > most { Err(Unfit::Order { low, high }) } else { Ok(()) }
}

/// A family with its levels, as an environment.
#[derive(Debug)]
pub(crate) struct Levels<F> {
    levels: Vec<F>,
}

impl<F: Family> Levels<F> {
    /// The built-in levels.
    pub(crate) fn built_in() -> Levels<F> {
        Levels { levels: F::levels() }
    }

    /// One level of one's own.
    pub(crate) fn of(parameters: &str) -> Result<Levels<F>, Unfit> {
        // Through an object, since a list would be taken for fields in their order.
        let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(parameters);
        let read =
            object.and_then(|object| serde_json::from_value::<F>(object.into())).map_err(|source| {
                let defaults = serde_json::to_string(&F::default()).unwrap_or_default();
                Unfit::Unreadable { family: F::NAME, source, defaults }
            })?;
        read.check()?;
        Ok(Levels { levels: vec![read] })
    }
}

impl<F: Family> Environment for Levels<F> {
    fn name(&self) -> &str {
        F::NAME
    }

    fn levels(&self) -> u8 {
        self.levels.len() as u8
    }

    fn task(&self, seed: u64, level: u8) -> Task {
        let level = level.min(self.levels().saturating_sub(1));
        let mut dice = Dice::new(F::NAME, seed, u64::from(level));
        let Problem { question, compact, answer, data } = self.levels[usize::from(level)].problem(&mut dice);
        Task { seed, level, question, compact, answer, data }
    }

    fn score(&self, task: &Task, answer: &str) -> Score {
        if answer.len() > MAX_ANSWER_BYTES {
            return Score::ZERO;
        }
        Score::new(F::score(task, answer))
    }

    fn shorten(&self, answer: &str) -> String {
        F::shorten(answer)
    }

    fn expand(&self, short: &str) -> String {
        if short.len() > MAX_ANSWER_BYTES { String::new() } else { F::expand(short) }
    }
}

/// What every family keeps, tried over many seeds on every level.
#[cfg(test)]
pub(crate) mod trial {
    use super::*;

    /// The characters of the smallest model: compact questions and answers have no others.
    pub(crate) const FEW: &str = "abcdefghijklmnopqrstuvwxyz0123456789:=+-*(),";

    /// Makes tasks of all levels, and tries on each what all families promise. `wrong` is a wrong answer to a task.
    pub(crate) fn hold<F: Family>(wrong: impl Fn(&Task) -> String) {
        let environment = Levels::<F>::built_in();
        assert_eq!(environment.levels.last().map(as_text), Some(as_text(&F::default())));
        for (level, parameters) in environment.levels.iter().enumerate() {
            parameters.check().unwrap();
            let again = Levels::<F>::of(&as_text(parameters)).unwrap();
            assert_eq!(as_text(&again.levels[0]), as_text(parameters));
            for seed in 0..150 {
                let task = environment.task(seed, level as u8);
                assert_eq!(task, environment.task(seed, level as u8));
                holds(&environment, &task, &wrong(&task));
            }
        }
    }

    fn as_text<F: Serialize>(parameters: &F) -> String {
        serde_json::to_string(parameters).unwrap()
    }

    fn holds<F: Family>(environment: &Levels<F>, task: &Task, wrong: &str) {
        let score = |answer: &str| environment.score(task, answer).value();
        assert_eq!(score(&task.answer), 1.0, "{task:?}");
        for wrong in ["", " ", "?", "zz zz", wrong] {
            if wrong != task.answer {
                assert!(score(wrong) < 1.0, "{wrong:?} for {task:?}");
            }
        }
        let short = environment.shorten(&task.answer);
        assert_eq!(score(&environment.expand(&short)), 1.0, "{short:?} for {task:?}");
        for text in [&task.compact, &short] {
            assert!(text.chars().all(|c| FEW.contains(c)), "{text:?}");
        }
        assert!(task.compact.ends_with('='), "{task:?}");
        assert!(task.data.to_string().len() < 100_000 && task.answer.len() < MAX_ANSWER_BYTES);
    }

    /// Scores of answers to a task of one's own making.
    pub(crate) fn scores<F: Family>(answer: &str, data: serde_json::Value, cases: &[(&str, f64)]) {
        let task = Task {
            seed: 0,
            level: 0,
            question: String::new(),
            compact: String::new(),
            answer: answer.to_owned(),
            data,
        };
        let environment = Levels::<F>::built_in();
        for (given, score) in cases {
            let scored = environment.score(&task, given).value();
            assert!((scored - score).abs() < 1e-12, "{given:?}: {scored}, not {score}");
        }
    }

    /// Parameters that must be refused.
    pub(crate) fn refuses<F: Family>(cases: &[&str]) {
        for parameters in cases {
            assert!(Levels::<F>::of(parameters).is_err(), "{parameters}");
        }
        assert!(Levels::<F>::of(r#"{"no_such_parameter":1}"#).is_err());
        Levels::<F>::of("{}").unwrap();
    }
}
