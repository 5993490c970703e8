//! Lessons from sessions, and the recipe of the weights that ship.

use exact::Device;

use super::player::{Part, Player, helped};
use crate::dice::Dice;
use crate::error::Error;
use crate::event::{Act, Event};
use crate::likeness::Build;
use crate::net::{Learner, Lesson, ROWS, Weights};
use crate::recording::Recording;
use crate::view::{CELLS, Memory, View, class};
use crate::world::{Actor, Cell, World};

/// How weights are made from nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// What first weights and lessons are drawn from.
    pub seed: u64,
    /// Steps of learning.
    pub steps: u64,
    /// The rate at the start; it falls to nothing in a line.
    pub rate: f32,
}

impl Recipe {
    /// The recipe of the weights that ship.
    pub fn shipped() -> Recipe {
        Recipe { seed: 1, steps: 5000, rate: 3e-3 }
    }

    /// Makes the weights; `watch` is told each step's number, from 1, and its loss.
    pub fn run(&self, device: &Device, mut watch: impl FnMut(u64, f32)) -> Result<Weights, Error> {
        let mut learner = Learner::new(&Weights::first(self.seed), device)?;
        let mut lessons = Simulated::new(self.seed);
        for step in 0..self.steps {
            let batch: Vec<Lesson> = (0..ROWS).map(|_| lessons.next()).collect();
            let warm = (step as f32 + 1.0) / 50.0;
            let rate = self.rate * warm.min(1.0) * (1.0 - step as f32 / self.steps as f32);
            let loss = learner.learn(&batch, rate)?;
            watch(step + 1, loss);
        }
        learner.weights()
    }
}

/// Lessons that wait, so that neighbours in a batch are of different players.
const WAITING: usize = 600;

/// An endless stream of lessons from simulated players.
pub(crate) struct Simulated {
    seed: u64,
    players: u64,
    waiting: Vec<Lesson>,
    dice: Dice,
}

impl Simulated {
    pub(crate) fn new(seed: u64) -> Simulated {
        Simulated { seed, players: 0, waiting: Vec::new(), dice: Dice::new(seed, u64::MAX) }
    }

    pub(crate) fn next(&mut self) -> Lesson {
        while self.waiting.len() < WAITING {
            let mut player = Player::new(Part::Lessons, self.seed, self.players);
            self.players += 1;
            let mut memory = Memory::default();
            let repeats = self.dice.percent(50);
            for _ in 0..self.dice.range(1, 4) {
                // Nobody always repeats themselves.
                let again = self.dice.percent(if repeats { 85 } else { 5 });
                let recording = if again { player.repeat() } else { player.one_off() };
                let count = 12.min(1 + recording.acts() / 8);
                lessons_of(&recording, &memory, count, &mut self.dice, &mut self.waiting);
                memory.builds.push(Build::new(&recording.steps()));
            }
        }
        let at = self.dice.below(self.waiting.len());
        self.waiting.swap_remove(at)
    }
}

/// Lessons from moments of a session, as if somebody had been helped more or less.
pub(crate) fn lessons_of(
    recording: &Recording,
    memory: &Memory,
    count: usize,
    dice: &mut Dice,
    out: &mut Vec<Lesson>,
) {
    let last = recording.last_build();
    let blocks = last.blocks();
    let chances = dice.of(&[0, 15, 35, 50]);
    let events = helped(recording, chances, dice);
    let acts: Vec<usize> = (0..events.len())
        .filter(|i| events[*i].who == Actor::Player && events[*i].block_act().is_some())
        .collect();
    if acts.len() < 2 {
        return;
    }
    // The same number of moments in every stretch of the session.
    let mut moments: Vec<usize> = (0..count)
        .map(|i| {
            let (from, to) = (i * acts.len() / count, (i + 1) * acts.len() / count);
            acts[from + dice.below((to - from).max(1))]
        })
        .collect();
    moments.dedup();
    let mut world = recording.world();
    let mut moments = moments.into_iter().peekable();
    for (i, event) in events.iter().enumerate() {
        world.apply(event);
        if moments.peek() != Some(&i) {
            continue;
        }
        moments.next();
        let mut seen = world.clone();
        if dice.percent(12) {
            mistake(&mut seen, &last, dice);
        }
        let Some(view) = View::new(&seen, memory) else { continue };
        let goal = (0..CELLS).map(|c| class(&seen, last.block(view.cell(c))) as u32).collect();
        let coming = events[i + 1..].iter().filter(|e| e.who == Actor::Player);
        let next = coming.filter_map(Event::block_act).find(|(_, block)| block.is_solid());
        let next = next.and_then(|(at, _)| view.index(at));
        let stands = blocks.iter().filter(|(at, block)| seen.block(*at) == *block).count();
        let value = stands as f32 / blocks.len().max(1) as f32;
        out.push(Lesson { planes: view.planes, goal, weights: view.weights, next, value });
    }
}

/// A block that the assistant should not have put.
fn mistake(world: &mut World, last: &World, dice: &mut Dice) {
    let Some((near, block)) = world.placed().last().copied() else { return };
    for _ in 0..8 {
        let d = Cell::new(dice.range(-2, 2), dice.range(-1, 1), dice.range(-2, 2));
        let at = near.plus(d);
        if world.is_open(at) && last.block(at) != block {
            world.apply(&Event {
                time_ms: 0,
                who: Actor::Assistant,
                act: Act::Place { at, block },
                sure: None,
            });
            return;
        }
    }
}
