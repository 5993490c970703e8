//! The assistant: it looks, and says what it would do.

use exact::Device;

use crate::error::Error;
use crate::event::Intent;
use crate::likeness::Build;
use crate::net::{Asker, Opinion, Weights};
use crate::recording::Recording;
use crate::view::{CELLS, CLASSES, Memory, View};
use crate::world::{Actor, Block, Cell, World};

/// How sure the assistant must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nerve {
    /// To build.
    pub build: f32,
    /// To show what it would build.
    pub show: f32,
}

impl Default for Nerve {
    fn default() -> Nerve {
        Nerve { build: 0.9, show: 0.6 }
    }
}

/// What the assistant would do, all things considered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thought {
    /// Where.
    pub at: Cell,
    /// What.
    pub block: Block,
    /// How likely it is to stand there in the end.
    pub sure: f32,
}

/// The assistant of one player.
pub struct Assistant {
    asker: Asker,
    memory: Memory,
    nerve: Nerve,
}

impl Assistant {
    /// An assistant with these weights.
    pub fn new(weights: &Weights, nerve: Nerve, device: &Device) -> Result<Assistant, Error> {
        Ok(Assistant { asker: Asker::new(weights, device)?, memory: Memory::default(), nerve })
    }

    /// Keeps a session in mind.
    pub fn remember(&mut self, recording: &Recording) {
        self.memory.builds.push(Build::new(&recording.steps()));
    }

    /// The blocks it could put, the likeliest first: at most `count`.
    pub fn think(&mut self, world: &World, count: usize) -> Result<Vec<Thought>, Error> {
        let Some(view) = View::new(world, &self.memory) else { return Ok(Vec::new()) };
        let opinion = self.asker.ask(&view.planes)?;
        let mut thoughts = thoughts(world, &view, &opinion);
        thoughts.sort_by(|a, b| b.sure.total_cmp(&a.sure).then(a.at.cmp(&b.at)));
        thoughts.truncate(count);
        Ok(thoughts)
    }

    /// What it does now, if anything.
    pub fn decide(&mut self, world: &World) -> Result<Option<Intent>, Error> {
        if world.is_stopped() {
            return Ok(None);
        }
        let Some(Thought { at, block, sure }) = self.think(world, 1)?.first().copied() else { return Ok(None) };
        Ok(match sure {
            s if s >= self.nerve.build => Some(Intent::Place { at, block, sure }),
            s if s >= self.nerve.show => Some(Intent::Ghost { at, block, sure }),
            _ => None,
        })
    }
}

/// What could be put where, and how likely it is right.
fn thoughts(world: &World, view: &View, opinion: &Opinion) -> Vec<Thought> {
    let mut thoughts = Vec::new();
    for index in 0..CELLS {
        let at = view.cell(index);
        let goal = &opinion.goal[index * CLASSES..(index + 1) * CLASSES];
        let Some(best) = (1..CLASSES).max_by(|a, b| goal[*a].total_cmp(&goal[*b])) else { continue };
        // A material that has not been used lately is known only from what this looks like.
        let block = if best < CLASSES - 1 {
            world.material(best - 1)
        } else {
            let says = [view.repeated[index], view.remembered[index]];
            says.into_iter().map(|s| s.block).find(|b| b.is_solid() && world.rank(*b).is_none_or(|r| r >= CLASSES - 2))
        };
        if let Some(block) = block
            && world.is_open(at)
        {
            thoughts.push(Thought { at, block, sure: goal[best] });
        }
    }
    thoughts
}

/// The rule of thumb that everything is compared with: if the last two blocks were neighbours of one material, the line goes on.
pub fn extend_the_line(world: &World) -> Option<Thought> {
    let mut latest = world.latest(2).into_iter();
    let ((last, block), (before, was)) = (latest.next()?, latest.next()?);
    let way = last.minus(before);
    if block != was || way.x.abs() + way.y.abs() + way.z.abs() != 1 {
        return None;
    }
    // Past what it has put itself.
    let ours = |at: &Cell| world.standing(*at).is_some_and(|s| s.by == Actor::Assistant && s.block == block);
    let at = (1..=16).map(|n| last.plus(way.times(n))).find(|at| !ours(at))?;
    world.is_open(at).then_some(Thought { at, block, sure: 1.0 })
}
