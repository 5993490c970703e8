//! A round again, step by step, from a node's event log: for the page and for `starling replay`.

use serde::{Deserialize, Serialize};
use swarm::{Effect, Entry, Event};

use crate::error::Result;
use crate::home::Home;
use crate::replay::replay;

/// Steps of a round that are given.
const LIMIT: usize = 2000;

/// Something that a node was told, and what it did about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Step {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What it was told; nothing if only time had passed.
    pub told: Option<String>,
    /// What was to be done about it.
    pub done: Vec<String>,
}

impl Step {
    /// In words.
    pub fn of(at_ms: u64, event: &Event, effects: &[Effect]) -> Step {
        Step { at_ms, told: told(event), done: effects.iter().map(done).collect() }
    }

    /// Whether nothing happened but that time passed.
    pub fn is_empty(&self) -> bool {
        self.told.is_none() && self.done.is_empty()
    }
}

/// The steps of one round of a node, worked out again from its log.
pub(crate) fn of_round(home: &Home, round: u64) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    replay(home, |at, event, effects, flock| {
        if flock.round() == Some(round) && steps.len() < LIMIT {
            let step = Step::of(at, event, effects);
            if !step.is_empty() {
                steps.push(step);
            }
        }
    })?;
    Ok(steps)
}

fn told(event: &Event) -> Option<String> {
    Some(match event {
        Event::Opened { round, .. } => format!("round {round} is opened"),
        Event::Heard { from, bytes, .. } => format!("{from} says {} bytes", bytes.len()),
        Event::Answered { stage, answers, .. } => {
            format!("the model has answered {} prompts of stage {stage}", answers.len())
        }
        Event::Learned { round, .. } => format!("the model has learned in round {round}"),
        Event::Audited { peer, finding, .. } => format!("{peer} was checked: {finding:?}"),
        Event::Tick => return None,
    })
}

fn done(effect: &Effect) -> String {
    match effect {
        Effect::Publish(bytes) => format!("tell the others, {} bytes", bytes.len()),
        Effect::Answer { stage, asks, .. } => format!("answer {} prompts of stage {stage}", asks.len()),
        Effect::Learn { lessons, .. } => format!("learn from {} groups of answers", lessons.len()),
        Effect::Audit { peer, claims, .. } => format!("check {peer}'s {} groups", claims.len()),
        Effect::Commit { .. } => "commit to what was made".to_owned(),
        Effect::Scores { round, of } => format!("score {} others for round {round}", of.len()),
        Effect::Judge { verdict, .. } => format!("{verdict:?} the message"),
        Effect::Done { .. } => "done".to_owned(),
        Effect::Log(Entry::Refused { from, rule }) => format!("{from} broke the rule {rule:?}"),
        Effect::Log(entry) => format!("note {entry:?}"),
    }
}
