//! A session as it is kept: a first line that says what it is, then a line for every event.

use crate::event::Event;
use crate::world::{Actor, Block, Bounds, Cell, World};

/// What a recording says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Whose session it is, in the player's own word.
    pub player: String,
    /// The height of the first blocks above the ground, if the game knows.
    pub floor: Option<i32>,
    /// Where building is possible, if it is not everywhere.
    pub bounds: Option<Bounds>,
    /// The names of blocks; the first is air.
    pub palette: Vec<String>,
    /// What the world was made from, if it was.
    pub seed: u64,
    /// The hash of the assistant's weights, in hexadecimal digits; empty if there was no assistant.
    pub model: String,
}

/// A session.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// What it is.
    pub header: Header,
    /// What happened.
    pub events: Vec<Event>,
}

impl Recording {
    /// The world as the session begins.
    pub fn world(&self) -> World {
        World::new(self.header.bounds, self.header.floor)
    }

    /// The world as the session ends.
    pub fn last_build(&self) -> World {
        let mut world = self.world();
        for event in &self.events {
            world.apply(event);
        }
        world
    }

    /// The blocks that the player put and that still stand at the end, in the order in which they were put.
    pub(crate) fn steps(&self) -> Vec<(Cell, Block)> {
        let last = self.last_build();
        let put =
            |e: &Event| e.block_act().filter(|(at, block)| block.is_solid() && last.block(*at) == *block);
        let mut seen = std::collections::HashSet::new();
        self.events.iter().filter_map(put).filter(|(at, _)| seen.insert(*at)).collect()
    }

    /// How many blocks the player put or took.
    pub fn acts(&self) -> usize {
        self.events.iter().filter(|e| e.block_act().is_some()).count()
    }

    /// The same session as if there had been no assistant: what the player did.
    pub fn player_only(&self) -> Recording {
        let events = self.events.iter().filter(|e| e.who == Actor::Player).cloned().collect();
        Recording { header: self.header.clone(), events }
    }
}
