//! Sessions played again with the assistant in the loop: what it would have saved, and what it would have got wrong.

use std::collections::HashMap;

use crate::error::Error;
use crate::event::{Act, Event, Intent};
use crate::helper::{Assistant, Thought, extend_the_line};
use crate::recording::Recording;
use crate::world::{Actor, Block, Cell, World};

/// What came of a session, or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    /// Blocks that the player put or took in the recording.
    pub acts: usize,
    /// Of those, the ones that the assistant had already done.
    pub saved: usize,
    /// Blocks that the assistant put.
    pub placed: usize,
    /// Of those, the ones that the final build contradicts: each costs the player one more action.
    pub wrong: usize,
    /// Blocks that the assistant showed.
    pub shown: usize,
    /// Of those, the ones that stand in the final build.
    pub shown_right: usize,
    /// The player's own actions up to the first that the assistant had done; 0 if there was none.
    pub first_help: usize,
}

impl Score {
    /// The share of the player's block actions that is saved, corrections counted against it.
    pub fn saved_share(&self) -> f64 {
        (self.saved as f64 - self.wrong as f64) / self.acts.max(1) as f64
    }

    /// The share of the assistant's blocks that are wrong.
    pub fn wrong_share(&self) -> f64 {
        self.wrong as f64 / self.placed.max(1) as f64
    }

    /// Several sessions as one.
    pub fn plus(&self, other: &Score) -> Score {
        Score {
            acts: self.acts + other.acts,
            saved: self.saved + other.saved,
            placed: self.placed + other.placed,
            wrong: self.wrong + other.wrong,
            shown: self.shown + other.shown,
            shown_right: self.shown_right + other.shown_right,
            first_help: 0,
        }
    }
}

/// Who helps while a session is played again.
pub enum Helper<'a> {
    /// The assistant.
    Assistant(&'a mut Assistant),
    /// The rule of thumb.
    Line,
}

impl Helper<'_> {
    fn decide(&mut self, world: &World) -> Result<Option<Intent>, Error> {
        match self {
            Helper::Assistant(assistant) => assistant.decide(world),
            Helper::Line => Ok(extend_the_line(world)
                .map(|Thought { at, block, sure }| Intent::Place { at, block, sure })),
        }
    }
}

/// Plays a session again with one decision of the helper after every block that the player puts or takes.
///
/// What the helper has done already, the player does not do again, and then it has no decision either. The recorded player does
/// not answer: a wrong block stands until the end, unless the recording happens to put another in its place.
pub fn score(recording: &Recording, helper: &mut Helper<'_>) -> Result<Score, Error> {
    let recording = recording.player_only();
    let last = recording.last_build();
    let mut world = recording.world();
    let mut score = Score { acts: recording.acts(), ..Score::default() };
    let mut ours: HashMap<Cell, Block> = HashMap::new();
    let mut own_acts = 0;
    for event in &recording.events {
        let Some((at, block)) = event.block_act() else {
            world.apply(event);
            continue;
        };
        if block.is_solid() && ours.get(&at) == Some(&block) && world.block(at) == block {
            score.saved += 1;
            if score.first_help == 0 {
                score.first_help = own_acts;
            }
            // It is the player's from here on: a second time it is no help.
            ours.remove(&at);
            continue;
        }
        own_acts += 1;
        ours.remove(&at);
        world.apply(event);
        match helper.decide(&world)? {
            Some(Intent::Place { at, block, sure }) => {
                let (who, act) = (Actor::Assistant, Act::Place { at, block });
                world.apply(&Event { time_ms: event.time_ms, who, act, sure: Some(sure) });
                score.placed += 1;
                score.wrong += usize::from(last.block(at) != block);
                ours.insert(at, block);
            }
            Some(Intent::Ghost { at, block, .. }) => {
                score.shown += 1;
                score.shown_right += usize::from(last.block(at) == block);
            }
            _ => {}
        }
    }
    Ok(score)
}
