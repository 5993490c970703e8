//! What this looks like: earlier builds of this player, and this build itself, laid over what is being built now.
//!
//! Every way of laying one over the other (moved, turned, mirrored, in other materials) under which the player's last blocks fall on
//! blocks is a guess at the whole goal. Guesses are weighed by how much agrees; together, with the guess that it is none of
//! these, they are a distribution over goals that needs no learning: what was built once can be helped with the second time.

use std::collections::HashSet;

use crate::world::{Block, Cell, World};

/// A build as it may come again: its blocks in the order in which they were put.
#[derive(Clone, Debug, Default)]
pub(crate) struct Build {
    steps: Vec<(Cell, Block)>,
    low: [i32; 3],
    size: [i32; 3],
    /// For each cell of the box the step that put it, plus one.
    at: Vec<u32>,
}

/// The most steps of a build that are kept, the latest.
const MOST_STEPS: usize = 4000;
/// The largest box a build is kept in.
const MOST_CELLS: i64 = 1 << 20;

impl Build {
    /// A build of these steps; a cell that comes again counts when it last did.
    pub(crate) fn new(steps: &[(Cell, Block)]) -> Build {
        let steps = &steps[steps.len().saturating_sub(MOST_STEPS)..];
        let Some((last, _)) = steps.last().copied() else { return Build::default() };
        let (mut low, mut high) = ([last.x, last.y, last.z], [last.x, last.y, last.z]);
        let mut kept = Vec::with_capacity(steps.len());
        // From the end, as far as the box allows: the latest is what counts.
        for (c, b) in steps.iter().rev() {
            let (mut l, mut h) = (low, high);
            for (i, v) in [c.x, c.y, c.z].into_iter().enumerate() {
                l[i] = l[i].min(v);
                h[i] = h[i].max(v);
            }
            if (0..3).map(|i| i64::from(h[i] - l[i] + 1)).product::<i64>() > MOST_CELLS {
                break;
            }
            (low, high) = (l, h);
            kept.push((*c, *b));
        }
        kept.reverse();
        let size = [0, 1, 2].map(|i| high[i] - low[i] + 1);
        let mut build = Build { steps: kept, low, size, at: Vec::new() };
        build.at = vec![0; size.iter().product::<i32>() as usize];
        for i in 0..build.steps.len() {
            if let Some(index) = build.index(build.steps[i].0) {
                build.at[index] = i as u32 + 1;
            }
        }
        build
    }

    /// What stands of what was put there by whomever, in order.
    pub(crate) fn of(world: &World) -> Build {
        let mut all: Vec<_> = world.all_standing().map(|(c, s)| (s.at, c, s.block)).collect();
        // Of what was put at the same time the order is that of places: it must not be a hash map's.
        all.sort_unstable();
        let steps: Vec<_> = all.into_iter().map(|(_, c, b)| (c, b)).collect();
        Build::new(&steps)
    }

    fn index(&self, c: Cell) -> Option<usize> {
        let d = [c.x - self.low[0], c.y - self.low[1], c.z - self.low[2]];
        let inside = (0..3).all(|i| (0..self.size[i]).contains(&d[i]));
        inside.then(|| ((d[0] * self.size[1] + d[1]) * self.size[2] + d[2]) as usize)
    }

    /// The step that put what is there.
    fn step(&self, c: Cell) -> Option<usize> {
        let step = self.at.get(self.index(c)?).copied()?;
        (step > 0).then(|| step as usize - 1)
    }

    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }
}

/// A cell turned about the origin: by quarters, and mirrored from 4 on.
pub(crate) fn turned(c: Cell, turn: u8) -> Cell {
    let x = if turn & 4 == 0 { c.x } else { -c.x };
    match turn & 3 {
        0 => Cell::new(x, c.y, c.z),
        1 => Cell::new(-c.z, c.y, x),
        2 => Cell::new(-x, c.y, -c.z),
        _ => Cell::new(c.z, c.y, -x),
    }
}

/// The turn that takes [`turned`] back.
fn back(turn: u8) -> u8 {
    if turn & 4 == 0 { (4 - turn) & 3 } else { turn }
}

/// A guess: this build, laid over the world in this way.
#[derive(Clone, Debug)]
struct Guess {
    source: usize,
    turn: u8,
    /// From the turned source to the world.
    shift: Cell,
    evidence: i32,
    /// The step of the source that the player is at.
    now: usize,
    /// What the source's materials are here.
    map: Vec<(Block, Block)>,
}

/// How many of the player's last blocks a guess is held to.
const RECENT: usize = 16;
/// How many of a source's steps before now the world is held to.
const BEFORE: usize = 12;
/// How many guesses are kept.
const MOST_GUESSES: usize = 6;
/// How many steps of all builds together are tried as places the player may be at, the latest of each; and at least how many of one.
const MOST_TRIED: usize = 2048;
const LEAST_TRIED: usize = 128;
/// The weight of "none of these", as evidence.
const NONE: i32 = 8;
/// Steps of this build itself that are too recent to be a likeness: the network sees those for itself.
const FRESH: usize = 8;

/// What the guesses of one kind say of a cell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Say {
    /// How much of the belief says that it will be empty.
    pub(crate) empty: f32,
    /// The material most of the rest says, and how much.
    pub(crate) block: Block,
    pub(crate) solid: f32,
    /// How soon: up to 1 for the next, below 0 for what should have come before.
    pub(crate) soon: f32,
}

/// The guesses of one kind, with their weights.
#[derive(Debug, Default)]
pub(crate) struct Likeness {
    guesses: Vec<Guess>,
    weights: Vec<f32>,
}

impl Likeness {
    /// What of these builds the world looks like. `own`: the only build is the world's own.
    pub(crate) fn new(world: &World, builds: &[&Build], own: bool) -> Likeness {
        let latest = world.latest(RECENT);
        if latest.len() < 3 {
            return Likeness::default();
        }
        let mut guesses: Vec<Guess> = Vec::new();
        let mut known = HashSet::new();
        let most = (MOST_TRIED / builds.len().max(1)).max(LEAST_TRIED);
        for (source, build) in builds.iter().enumerate() {
            let end = if own { build.len().saturating_sub(FRESH) } else { build.len() };
            for anchor in [latest[0].0, latest[2].0] {
                for turn in 0..8 {
                    for step in end.saturating_sub(most)..end {
                        let shift = anchor.minus(turned(build.steps[step].0, turn));
                        if known.contains(&(source, turn, shift)) {
                            continue;
                        }
                        let guess = weigh(world, build, source, turn, shift, &latest, own.then_some(end));
                        if let Some(guess) = guess {
                            known.insert((source, turn, shift));
                            guesses.push(guess);
                        }
                    }
                }
            }
        }
        guesses.sort_by(|a, b| {
            b.evidence
                .cmp(&a.evidence)
                .then((b.source, b.now, a.turn, a.shift).cmp(&(a.source, a.now, b.turn, b.shift)))
        });
        guesses.truncate(MOST_GUESSES);
        let weight = |evidence: i32| (1u64 << (evidence.clamp(0, 40) as u32 / 2)) as f32;
        let total: f32 = guesses.iter().map(|g| weight(g.evidence)).sum::<f32>() + weight(NONE);
        let weights = guesses.iter().map(|g| weight(g.evidence) / total).collect();
        Likeness { guesses, weights }
    }

    /// What the guesses say of a cell.
    pub(crate) fn say(&self, builds: &[&Build], at: Cell) -> Say {
        let mut say = Say::default();
        let mut blocks: [(Block, f32); MOST_GUESSES] = [(Block::AIR, 0.0); MOST_GUESSES];
        for (guess, weight) in self.guesses.iter().zip(&self.weights) {
            let build = builds[guess.source];
            let there = turned(at.minus(guess.shift), back(guess.turn));
            let Some(step) = build.step(there) else {
                // Beyond the build's box it says nothing.
                if build.index(there).is_some() {
                    say.empty += weight;
                }
                continue;
            };
            let block = mapped(&guess.map, build.steps[step].1);
            for entry in &mut blocks {
                if entry.1 == 0.0 || entry.0 == block {
                    entry.0 = block;
                    entry.1 += weight;
                    break;
                }
            }
            let ahead = step as i32 - guess.now as i32;
            let soon = 1.0 / (1.0 + (ahead.abs() as f32) / 6.0);
            say.soon += weight * if ahead > 0 { soon } else { -soon };
        }
        for (block, weight) in blocks {
            if weight > say.solid {
                (say.block, say.solid) = (block, weight);
            }
        }
        say
    }
}

fn mapped(map: &[(Block, Block)], block: Block) -> Block {
    map.iter().find(|(from, _)| *from == block).map_or(block, |(_, to)| *to)
}

/// How well a build laid over the world agrees with what was done last; nothing if it does not at all.
fn weigh(
    world: &World,
    build: &Build,
    source: usize,
    turn: u8,
    shift: Cell,
    latest: &[(Cell, Block)],
    own_end: Option<usize>,
) -> Option<Guess> {
    let mut evidence = 0;
    let mut now = 0;
    let mut map: Vec<(Block, Block)> = Vec::new();
    let unturn = back(turn);
    let mut order = 0;
    let mut later = usize::MAX;
    for (i, (at, block)) in latest.iter().enumerate() {
        let step = build.step(turned(at.minus(shift), unturn));
        let step = step.filter(|s| own_end.is_none_or(|end| *s < end));
        match step {
            Some(step) => {
                let from = build.steps[step].1;
                match map.iter().find(|(f, _)| *f == from) {
                    Some((_, to)) if to == block => evidence += 1,
                    Some(_) => evidence -= 2,
                    None => {
                        // Another material than in the source speaks a little against it.
                        evidence += i32::from(from == *block);
                        map.push((from, *block));
                    }
                }
                now = now.max(step);
                order += i32::from(step < later);
                later = step;
            }
            // What came before this likeness began says nothing against it.
            None => evidence -= [3, 2, 2, 2, 1, 1].get(i).copied().unwrap_or(0),
        }
        if (i == 2 && evidence < -1) || (i == 4 && evidence < 1) {
            return None;
        }
    }
    // The same order as then speaks for it.
    evidence += order / 3;
    for step in now.saturating_sub(BEFORE)..now {
        let (from, was) = build.steps[step];
        let here = world.block(turned(from, turn).plus(shift));
        if here.is_solid() && mapped(&map, was) == here {
            evidence += 1;
        } else {
            evidence -= 1;
        }
    }
    (evidence >= 4).then_some(Guess { source, turn, shift, evidence, now, map })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Act, Event};

    /// A motif with nothing in it that is like another part of it.
    const MOTIF: [(i32, i32, i32, u8); 12] = [
        (0, 0, 0, 1),
        (1, 0, 0, 1),
        (1, 0, 1, 2),
        (1, 1, 1, 2),
        (1, 2, 1, 1),
        (2, 2, 1, 1),
        (3, 2, 1, 3),
        (3, 2, 2, 3),
        (3, 1, 2, 1),
        (3, 0, 2, 2),
        (3, 0, 3, 2),
        (4, 0, 3, 1),
    ];

    fn motif(turn: u8, shift: Cell, swap: bool) -> Vec<(Cell, Block)> {
        let put = |(x, y, z, b): (i32, i32, i32, u8)| {
            let b = if swap { 1 + b % 3 } else { b };
            (turned(Cell::new(x, y, z), turn).plus(shift), Block(b))
        };
        MOTIF.map(put).to_vec()
    }

    fn world(steps: &[(Cell, Block)]) -> World {
        let mut world = World::new(None, Some(0));
        for (at, block) in steps {
            world.apply(&Event::player(0, Act::Place { at: *at, block: *block }));
        }
        world
    }

    #[test]
    fn turning_there_and_back_changes_nothing() {
        let c = Cell::new(3, 5, -7);
        for turn in 0..8 {
            assert_eq!(turned(turned(c, turn), back(turn)), c);
        }
    }

    #[test]
    fn a_motif_from_another_session_is_known_again_however_it_lies() {
        let memory = [Build::new(&motif(0, Cell::new(0, 0, 0), false))];
        let memory: Vec<&Build> = memory.iter().collect();
        for turn in 0..8 {
            for swap in [false, true] {
                let steps = motif(turn, Cell::new(100, 0, -50), swap);
                let likeness = Likeness::new(&world(&steps[..7]), &memory, false);
                for (i, (at, block)) in steps.iter().enumerate().skip(7) {
                    let say = likeness.say(&memory, *at);
                    assert!(say.solid > 0.5 && say.block == *block, "turn {turn}, step {i}: {say:?}");
                    assert!(say.soon > 0.0);
                }
                assert!(likeness.say(&memory, steps[8].0.plus(Cell::new(0, 3, 0))).solid < 0.2);
            }
        }
    }

    #[test]
    fn a_motif_that_comes_again_in_one_session_is_seen() {
        let mut steps = motif(0, Cell::new(0, 0, 0), false);
        let again = motif(0, Cell::new(8, 0, 0), false);
        steps.extend(&again[..7]);
        let world = world(&steps);
        let own = Build::of(&world);
        let likeness = Likeness::new(&world, &[&own], true);
        for (at, block) in &again[7..] {
            let say = likeness.say(&[&own], *at);
            assert!(say.solid > 0.5 && say.block == *block, "{say:?}");
        }
    }

    #[test]
    fn what_is_like_nothing_says_nothing() {
        let memory = Build::new(&motif(0, Cell::new(0, 0, 0), false));
        let other: Vec<_> = (0..10).map(|i| (Cell::new(3 * i, 0, i * i), Block(1))).collect();
        let likeness = Likeness::new(&world(&other), &[&memory], false);
        assert!(likeness.guesses.is_empty());
    }

    #[test]
    fn a_build_keeps_what_its_box_allows_the_latest_first() {
        let far = [(Cell::new(-900_000, 0, 0), Block(1)), (Cell::new(900_000, 0, 0), Block(2))];
        let build = Build::new(&far);
        assert_eq!(build.len(), 1);
        assert_eq!(build.step(far[1].0), Some(0));
        assert_eq!(build.step(far[0].0), None);
        assert_eq!(Build::new(&[]).step(far[0].0), None);
    }
}
