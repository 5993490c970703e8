//! The assistant: it looks, and says what it would do.

use exact::Device;

use crate::error::Error;
use crate::event::Intent;
use crate::likeness::Build;
use crate::net::{Asker, Opinion, Weights};
use crate::recording::Recording;
use crate::trust::Trust;
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
        Nerve { build: 0.85, show: 0.6 }
    }
}

impl Nerve {
    /// What it takes to build after having been undone this often, and having been so much surer than right: whoever was wrong is more
    /// careful, and whoever is right more often than expected may dare a little more.
    fn after(self, undone: u32, conceit: f32) -> f32 {
        let room = 1.0 - self.build;
        let by_trust = if conceit > 0.0 { room * (1.0 - 6.0 * conceit).max(0.05) } else { room - conceit };
        1.0 - by_trust.min(2.0 * room) * 4.0 / (4.0 + undone as f32)
    }
}

/// A block that the assistant could put.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thought {
    /// Where.
    pub at: Cell,
    /// What.
    pub block: Block,
    /// How likely it is to stand there in the end.
    pub sure: f32,
}

/// What the assistant believes of the goal.
#[derive(Clone, Debug, Default)]
pub struct Guess {
    /// What it could put where, the best first.
    pub thoughts: Vec<Thought>,
    /// Blocks of its own that are likely to go.
    doubts: Vec<Thought>,
    /// Which share of the build stands already.
    pub progress: f32,
}

/// What the assistant goes by: all but the first are there to measure what each part is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Senses {
    /// The network, which sees what the likenesses say.
    Both,
    /// The network, to which nothing is like anything.
    Network,
    /// What the likenesses say, and no network.
    Likeness,
}

impl Senses {
    /// Each of them.
    pub const ALL: [Senses; 3] = [Senses::Both, Senses::Network, Senses::Likeness];
}

/// The assistant of one player.
pub struct Assistant {
    asker: Asker,
    memory: Memory,
    nerve: Nerve,
    senses: Senses,
    trust: Trust,
    /// Where it is, once it has helped.
    at: Option<Cell>,
}

/// How much it counts against a cell that the player is about to build there: whoever reaches for a block should not find it gone.
const OUT_OF_THE_WAY: f32 = 0.02;
/// From how far away it builds.
const REACH: i32 = 4;

impl Assistant {
    /// An assistant with these weights.
    pub fn new(weights: &Weights, nerve: Nerve, device: &Device) -> Result<Assistant, Error> {
        Assistant::with(weights, nerve, Senses::Both, device)
    }

    /// An assistant that goes by some of its senses only.
    pub fn with(
        weights: &Weights,
        nerve: Nerve,
        senses: Senses,
        device: &Device,
    ) -> Result<Assistant, Error> {
        let asker = Asker::new(weights, device)?;
        let (memory, trust) = (Memory::default(), Trust::default());
        Ok(Assistant { asker, memory, nerve, senses, trust, at: None })
    }

    /// Keeps a session in mind, and is ready for the next.
    pub fn remember(&mut self, recording: &Recording) {
        self.memory.builds.push(Build::new(&recording.steps()));
        self.begin();
    }

    /// Begins a session.
    pub fn begin(&mut self) {
        (self.trust, self.at) = (Trust::default(), None);
    }

    /// What it believes now.
    pub fn guess(&mut self, world: &World) -> Result<Guess, Error> {
        let Some(mut view) = View::new(world, &self.memory) else { return Ok(Guess::default()) };
        let opinion = match self.senses {
            Senses::Both => self.asker.ask(&view.planes)?,
            Senses::Network => {
                view.forget_likeness();
                self.asker.ask(&view.planes)?
            }
            Senses::Likeness => view.likeness_alone(world),
        };
        Ok(consider(world, &view, &opinion))
    }

    /// What it does now: nothing, if it is not sure enough or was told to stop.
    pub fn decide(&mut self, world: &World) -> Result<Vec<Intent>, Error> {
        if world.is_stopped() {
            return Ok(Vec::new());
        }
        let guess = self.guess(world)?;
        self.trust.look(world);
        let build = self.nerve.after(world.undone(), self.trust.conceit());
        let mut intents = Vec::new();
        if let Some(doubt) = guess.doubts.first().filter(|d| d.sure >= build) {
            self.fly(doubt.at, &mut intents);
            intents.push(Intent::Break { at: doubt.at });
            return Ok(intents);
        }
        let Some(Thought { at, block, sure }) = guess.thoughts.first().copied() else { return Ok(intents) };
        if sure >= build {
            if self.at.is_none() {
                intents.push(Intent::Say {
                    text: "I think I see what this will be. Say stop if I should not help.".to_owned(),
                });
            }
            self.fly(at, &mut intents);
            intents.push(Intent::Place { at, block, sure });
            self.trust.bet(world, &guess.thoughts[1..]);
            return Ok(intents);
        }
        self.trust.bet(world, &guess.thoughts);
        if sure >= self.nerve.show {
            intents.push(Intent::Ghost { at, block, sure });
        }
        Ok(intents)
    }

    fn fly(&mut self, to: Cell, intents: &mut Vec<Intent>) {
        if self.at.is_none_or(|at| at.distance(to) > REACH) {
            let above = to.plus(Cell::new(0, 2, 0));
            intents.push(Intent::Move { at: above });
            self.at = Some(above);
        }
    }
}

/// What could be put where, and how likely it is right.
fn consider(world: &World, view: &View, opinion: &Opinion) -> Guess {
    let mut guess = Guess { progress: opinion.value, ..Guess::default() };
    let mut ranked: Vec<(f32, Thought)> = Vec::new();
    for index in 0..CELLS {
        let at = view.cell(index);
        let goal = &opinion.goal[index * CLASSES..(index + 1) * CLASSES];
        if let Some(here) = world.standing(at) {
            if here.by == Actor::Assistant {
                guess.doubts.push(Thought { at, block: here.block, sure: goal[0] });
            }
            continue;
        }
        let Some(best) = (1..CLASSES).max_by(|a, b| goal[*a].total_cmp(&goal[*b])) else { continue };
        // A material that was not used lately is known only from what this looks like.
        let block = if best < CLASSES - 1 {
            world.material(best - 1)
        } else {
            let unnamed = |b: &Block| b.is_solid() && world.rank(*b).is_none_or(|r| r + 2 >= CLASSES);
            [view.repeated[index], view.remembered[index]].into_iter().map(|say| say.block).find(unnamed)
        };
        if let Some(block) = block
            && world.is_open(at)
        {
            let sure = goal[best];
            ranked.push((sure - OUT_OF_THE_WAY * opinion.next[index], Thought { at, block, sure }));
        }
    }
    let by = |a: &(f32, Thought), b: &(f32, Thought)| b.0.total_cmp(&a.0).then(a.1.at.cmp(&b.1.at));
    ranked.sort_by(by);
    guess.thoughts = ranked.into_iter().map(|(_, thought)| thought).collect();
    guess.doubts.sort_by(|a, b| b.sure.total_cmp(&a.sure).then(a.at.cmp(&b.at)));
    guess
}

/// The rule of thumb that everything is compared with: if the last two blocks are of one material and in one line, with nothing else
/// between them, the line goes on.
pub fn extend_the_line(world: &World) -> Option<Thought> {
    let mut latest = world.latest(2).into_iter();
    let ((last, block), (before, was)) = (latest.next()?, latest.next()?);
    let d = last.minus(before);
    let steps = last.distance(before);
    let way = Cell::new(d.x.signum(), d.y.signum(), d.z.signum());
    let straight = way.x.abs() + way.y.abs() + way.z.abs() == 1;
    let whole = straight && (0..steps).all(|n| world.block(before.plus(way.times(n))) == block);
    if block != was || !whole {
        return None;
    }
    // Past what it has put itself.
    let ours = |at: &Cell| world.standing(*at).is_some_and(|s| s.by == Actor::Assistant && s.block == block);
    let at = (1..=16).map(|n| last.plus(way.times(n))).find(|at| !ours(at))?;
    world.is_open(at).then_some(Thought { at, block, sure: 1.0 })
}
