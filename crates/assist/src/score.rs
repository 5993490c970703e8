//! Sessions played again with the assistant in the loop: what it would have saved, and what it would have got wrong.

use std::collections::{HashMap, HashSet};

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
    /// Of those, the ones that the final build contradicts.
    pub wrong: usize,
    /// Of the wrong ones, those that the assistant took away again by itself: the others cost the player one more action each.
    pub withdrawn: usize,
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
        (self.saved as f64 - (self.wrong - self.withdrawn) as f64) / self.acts.max(1) as f64
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
            withdrawn: self.withdrawn + other.withdrawn,
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
    fn decide(&mut self, world: &World) -> Result<Vec<Intent>, Error> {
        match self {
            Helper::Assistant(assistant) => assistant.decide(world),
            Helper::Line => {
                let place = |Thought { at, block, sure }| Intent::Place { at, block, sure };
                Ok(extend_the_line(world).map(place).into_iter().collect())
            }
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
    // Cells of ours that saved the player an action.
    let mut counted: HashSet<Cell> = HashSet::new();
    let mut own_acts = 0;
    if let Helper::Assistant(assistant) = helper {
        assistant.begin();
    }
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
            counted.insert(at);
            continue;
        }
        own_acts += 1;
        ours.remove(&at);
        world.apply(event);
        for intent in helper.decide(&world)? {
            let act = match intent {
                Intent::Place { at, block, .. } => {
                    score.placed += 1;
                    score.wrong += usize::from(last.block(at) != block);
                    ours.insert(at, block);
                    Act::Place { at, block }
                }
                Intent::Break { at } => {
                    if let Some(block) = ours.remove(&at) {
                        score.withdrawn += usize::from(last.block(at) != block);
                    }
                    // What it takes back, the player has to do after all.
                    score.saved -= usize::from(counted.remove(&at));
                    Act::Break { at }
                }
                Intent::Ghost { at, block, .. } => {
                    score.shown += 1;
                    score.shown_right += usize::from(last.block(at) == block);
                    continue;
                }
                Intent::Move { .. } | Intent::Say { .. } => continue,
            };
            world.apply(&Event { time_ms: event.time_ms, who: Actor::Assistant, act, sure: None });
        }
    }
    Ok(score)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::Header;

    fn recording(acts: &[Act]) -> Recording {
        let header = Header {
            player: String::new(),
            floor: Some(0),
            bounds: None,
            palette: vec!["air".to_owned(), "stone".to_owned(), "glass".to_owned()],
            seed: 0,
            model: String::new(),
        };
        Recording { header, events: acts.iter().map(|act| Event::player(0, act.clone())).collect() }
    }

    fn put(x: i32, z: i32) -> Act {
        Act::Place { at: Cell::new(x, 0, z), block: Block(1) }
    }

    #[test]
    fn a_line_is_halved_by_whoever_goes_on_in_it() {
        let line: Vec<Act> = (0..10).map(|x| put(x, 0)).collect();
        let score = score(&recording(&line), &mut Helper::Line).unwrap();
        // 0 and 1 are the player's, then every other one; the last block that is put is one too many.
        assert_eq!((score.acts, score.placed, score.saved, score.wrong), (10, 5, 4, 1));
        assert_eq!(score.first_help, 2);
        assert_eq!(score.saved_share(), 0.3);
        assert_eq!(score.wrong_share(), 0.2);
    }

    #[test]
    fn what_the_final_build_contradicts_is_wrong_even_if_the_player_did_it_too() {
        let mut acts: Vec<Act> = (0..4).map(|x| put(x, 0)).collect();
        acts.push(Act::Break { at: Cell::new(2, 0, 0) });
        let score = score(&recording(&acts), &mut Helper::Line).unwrap();
        assert_eq!((score.acts, score.saved, score.wrong), (5, 1, 2));
    }

    #[test]
    fn nobody_is_helped_who_builds_no_line() {
        let acts: Vec<Act> = (0..5).map(|x| put(2 * x, 0)).collect();
        let score = score(&recording(&acts), &mut Helper::Line).unwrap();
        assert_eq!((score.placed, score.saved), (0, 0));
    }
}
