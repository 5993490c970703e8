//! The memory planner: what something will take before it starts, and what of it fits.
//!
//! Nothing is estimated. The programs that would run are built and laid out without being given any memory, so what is said is what
//! will be taken, to the byte; and what does not fit is made smaller, or refused with the reason, before anything else happens.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use exact::{Device, Program, Session};

use crate::config::Config;
use crate::error::mib;
use crate::weights::{Form, PARTS};
use crate::{Error, Model, speak};

/// The bytes that some programs take together, where those that share a state have it once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// The model's parameters.
    pub weights: u64,
    /// Keys and values of sequences under way.
    pub cache: u64,
    /// All else that stays from run to run: what the optimiser keeps, and parameters that are added.
    pub kept: u64,
    /// What each program works in: inputs, activations, gradients, results, scratch.
    pub working: u64,
    states: BTreeMap<String, u64>,
}

impl Need {
    /// What these programs of a model take on a device.
    pub fn of<'a>(config: &Config, programs: impl IntoIterator<Item = &'a Program>, device: &Device) -> Need {
        let mut need = Need::default();
        programs.into_iter().for_each(|program| need.add(config, program, device));
        need
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        self.weights + self.cache + self.kept + self.working
    }

    /// Adds one more program.
    pub(crate) fn add(&mut self, config: &Config, program: &Program, device: &Device) {
        let mut states = 0;
        for (name, ty) in program.states() {
            let bytes = Session::state_bytes(&ty);
            states += bytes;
            self.states.insert(name.to_owned(), bytes);
        }
        self.working =
            self.working.saturating_add(Session::bytes_needed(program, device).saturating_sub(states));
        let parameters: BTreeSet<String> = config.parameters().into_iter().map(|p| p.name).collect();
        // A parameter, or what is there of a packed one.
        let of_model = |name: &str| {
            let part = || PARTS.iter().find_map(|part| name.strip_suffix(part));
            parameters.contains(name) || part().is_some_and(|name| parameters.contains(name))
        };
        let sum = |of: &dyn Fn(&str) -> bool| self.states.iter().filter(|(n, _)| of(n)).map(|(_, b)| b).sum();
        (self.weights, self.cache) = (sum(&of_model), sum(&|name| name.starts_with("cache.")));
        self.kept = self.states.values().sum::<u64>() - self.weights - self.cache;
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: weights {}", mib(self.total()), mib(self.weights))?;
        for (what, bytes) in
            [("cache", self.cache), ("optimiser", self.kept), ("working memory", self.working)]
        {
            if bytes > 0 {
                write!(f, ", {what} {}", mib(bytes))?;
            }
        }
        Ok(())
    }
}

/// A speaker that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpeakerPlan {
    /// Its seats.
    pub seats: usize,
    /// Tokens that a prompt and its answer may have together.
    pub tokens: usize,
    /// What it takes, the model's weights included.
    pub need: Need,
}

/// The speaker nearest to the one that is wanted that takes no more than `limit` bytes: with fewer seats, and if one seat is still too
/// much, for fewer tokens, but at least `least_tokens`.
pub fn plan_speaker(
    config: &Config,
    device: &Device,
    seats: usize,
    tokens: usize,
    least_tokens: usize,
    limit: u64,
) -> Result<SpeakerPlan, Error> {
    plan(&Form::plain(config.clone()), device, seats, tokens, least_tokens, limit)
}

/// As [`plan_speaker`], of a model that is there: a packed one takes less.
pub fn plan_speaker_of(
    model: &Model,
    seats: usize,
    tokens: usize,
    least_tokens: usize,
    limit: u64,
) -> Result<SpeakerPlan, Error> {
    plan(model.form(), model.device(), seats, tokens, least_tokens, limit)
}

fn plan(
    form: &Form,
    device: &Device,
    seats: usize,
    tokens: usize,
    least_tokens: usize,
    limit: u64,
) -> Result<SpeakerPlan, Error> {
    let need = |seats, tokens| -> Result<Need, Error> {
        let programs = speak::Sizes::new(form.config(), seats, tokens)?.programs(form)?;
        Ok(Need::of(form.config(), &programs, device))
    };
    let least = least_tokens.min(tokens);
    if let Some((seats, need)) = most(1, seats, limit, |seats| need(seats, tokens))? {
        return Ok(SpeakerPlan { seats, tokens, need });
    }
    if let Some((tokens, need)) = most(least, tokens, limit, |tokens| need(1, tokens))? {
        return Ok(SpeakerPlan { seats: 1, tokens, need });
    }
    let smallest = need(1, least)?;
    let remedy = if smallest.weights > limit {
        format!("the weights alone are {}: raise the limit, or take a smaller model", mib(smallest.weights))
    } else {
        format!(
            "of that the weights are {}: raise the limit, accept a shorter context, or take a smaller model",
            mib(smallest.weights)
        )
    };
    let what = format!("a context of {least} tokens, for one answer at a time,");
    Err(Error::Memory { what, needed: smallest.total(), limit, remedy })
}

/// A learner that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LearnerPlan {
    /// Sequences that are worked on at a time.
    pub micro_rows: usize,
    /// How often that is done before the weights move.
    pub micro_batches: usize,
    /// What it takes, the model's weights included.
    pub need: Need,
}

/// The learner with the largest micro-batches that takes no more than `limit` bytes, for steps of `rows` sequences.
///
/// `programs` gives the programs that learn from micro-batches of so many sequences. Only numbers that divide `rows` are tried, so that
/// all micro-batches are of one size.
pub fn plan_learner(
    config: &Config,
    device: &Device,
    rows: usize,
    limit: u64,
    programs: impl Fn(usize) -> Result<Vec<Program>, Error>,
) -> Result<LearnerPlan, Error> {
    if rows == 0 {
        return Err(Error::Empty { what: "a sequence to learn from" });
    }
    let sizes: Vec<usize> = (1..=rows).filter(|n| rows.is_multiple_of(*n)).collect();
    let need = |i: usize| Ok(Need::of(config, &programs(sizes[i])?, device));
    if let Some((i, need)) = most(0, sizes.len() - 1, limit, need)? {
        return Ok(LearnerPlan { micro_rows: sizes[i], micro_batches: rows / sizes[i], need });
    }
    let smallest = need(0)?;
    Err(Error::Memory {
        what: "learning from one sequence at a time".to_owned(),
        needed: smallest.total(),
        limit,
        remedy: format!(
            "weights and optimiser alone are {}: raise the limit, shorten the sequences, or take a smaller model",
            mib(smallest.weights + smallest.kept)
        ),
    })
}

/// The most of something between `least` and `wanted` that fits, and what it takes. More of it must not take less.
fn most(
    least: usize,
    wanted: usize,
    limit: u64,
    need: impl Fn(usize) -> Result<Need, Error>,
) -> Result<Option<(usize, Need)>, Error> {
    let all = need(wanted)?;
    if all.total() <= limit {
        return Ok(Some((wanted, all)));
    }
    // `low` fits, if any does; `high` does not.
    let (mut low, mut high, mut found) = (least, wanted, None);
    while low < high {
        let middle = low + (high - low) / 2;
        let taken = need(middle)?;
        if taken.total() <= limit {
            found = Some((middle, taken));
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(found)
}
