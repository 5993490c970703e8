//! What the network sees: a window around the player's last block, as planes of numbers.
//!
//! Materials are seen by rank, the one used last first, so that what is learned of one holds for all, whatever palette a game has.

use crate::likeness::{Build, Likeness, Say};
use crate::net::Opinion;
use crate::world::{Actor, Block, Cell, World};

/// The window: cells along x, y and z.
pub(crate) const SIZE: [usize; 3] = [11, 10, 10];
/// Its cells.
pub(crate) const CELLS: usize = SIZE[0] * SIZE[1] * SIZE[2];
/// Numbers for each cell.
pub(crate) const PLANES: usize = 30;
/// What a cell may come to be: empty, one of the last four materials, or another.
pub(crate) const CLASSES: usize = 6;
/// The first of the planes that the likenesses fill: seven for this build itself, seven for earlier ones.
const OWN_SAYS: usize = 16;
/// Ranks that have a class of their own.
const RANKS: usize = 4;

/// What was built before, and is kept in mind.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) builds: Vec<Build>,
}

/// Earlier sessions that are laid over the world, the latest.
pub(crate) const MOST_BUILDS: usize = 8;

/// The window at some moment.
#[derive(Debug)]
pub(crate) struct View {
    low: Cell,
    /// `[CELLS, PLANES]`.
    pub(crate) planes: Vec<f32>,
    /// What earlier sessions say of each cell.
    pub(crate) remembered: Vec<Say>,
    /// What this build itself says of each cell.
    pub(crate) repeated: Vec<Say>,
    /// How much a guess about each cell matters: it does where something may happen soon.
    pub(crate) weights: Vec<f32>,
}

impl View {
    /// What there is to see now; nothing before the player's first block.
    pub(crate) fn new(world: &World, memory: &Memory) -> Option<View> {
        let acts = world.placed();
        let last = acts.last()?.0;
        let floor = world.floor();
        let low = Cell::new(last.x - 5, (last.y - 5).max(floor), last.z - 5);
        let old: Vec<&Build> = memory.builds.iter().rev().take(MOST_BUILDS).collect();
        let own = Build::of(world);
        let own = [&own];
        let remembered = Likeness::new(world, &old, false);
        let repeated = Likeness::new(world, &own, true);
        let back = |n: usize| acts.len().checked_sub(n + 1).map(|i| acts[i].0);
        let way = back(1).map(|before| last.minus(before));
        let mut view = View {
            low,
            planes: vec![0.0; CELLS * PLANES],
            remembered: vec![Say::default(); CELLS],
            repeated: vec![Say::default(); CELLS],
            weights: vec![0.0; CELLS],
        };
        let now = world.acts();
        for index in 0..CELLS {
            let at = view.cell(index);
            let p = &mut view.planes[index * PLANES..(index + 1) * PLANES];
            let mut near = at.distance(last) <= 3;
            if let Some(here) = world.standing(at) {
                p[world.rank(here.block).map_or(RANKS, |r| r.min(RANKS))] = 1.0;
                if here.by == Actor::Assistant {
                    p[5] = 1.0;
                } else {
                    let age = (now - here.at) as f32;
                    p[6] = 1.0 / (1.0 + age / 2.0);
                    p[7] = 1.0 / (1.0 + age / 16.0);
                }
                near = true;
            } else if world.is_supported(at) {
                near |= at.y > floor || at.distance(last) <= 4;
            }
            for n in 0..3 {
                if back(n) == Some(at) {
                    p[8 + n] = 1.0;
                }
            }
            if let Some(when) = world.broken(at) {
                p[11] = 1.0 / (1.0 + (now - when) as f32 / 4.0);
            }
            let inside = world.holds(at);
            p[12] = f32::from(u8::from(!inside));
            p[13] = f32::from(u8::from(at.y == floor));
            if world.player() == Some(at) {
                p[14] = 1.0;
            }
            if let Some(way) = way {
                for n in 1..=6 {
                    if at == last.plus(way.times(n)) {
                        p[15] = 1.0 / n as f32;
                    }
                }
            }
            let says = [repeated.say(&own, at), remembered.say(&old, at)];
            for (i, say) in says.iter().enumerate() {
                let p = &mut p[OWN_SAYS + 7 * i..OWN_SAYS + 7 * (i + 1)];
                p[0] = say.empty;
                if say.solid > 0.0 {
                    p[1 + world.rank(say.block).map_or(RANKS, |r| r.min(RANKS))] = say.solid;
                    near = true;
                }
                p[6] = say.soon;
            }
            [view.repeated[index], view.remembered[index]] = says;
            view.weights[index] = match (inside, near) {
                (false, _) => 0.0,
                (true, true) => 1.0,
                (true, false) => 0.1,
            };
        }
        Some(view)
    }

    /// As if nothing were like anything.
    pub(crate) fn forget_likeness(&mut self) {
        self.planes.chunks_exact_mut(PLANES).for_each(|p| p[OWN_SAYS..].fill(0.0));
        self.repeated.fill(Say::default());
        self.remembered.fill(Say::default());
    }

    /// What the likenesses alone would have one believe: of a cell the one that says more.
    pub(crate) fn likeness_alone(&self, world: &World) -> Opinion {
        let mut goal = vec![0.0; CELLS * CLASSES];
        for (index, goal) in goal.chunks_exact_mut(CLASSES).enumerate() {
            let (a, b) = (self.repeated[index], self.remembered[index]);
            let say = if a.solid > b.solid { a } else { b };
            goal[0] = 1.0 - say.solid;
            if say.solid > 0.0 {
                goal[class(world, say.block)] = say.solid;
            }
        }
        Opinion { goal, next: vec![0.0; CELLS], value: 0.0 }
    }

    /// The cell of this index.
    pub(crate) fn cell(&self, index: usize) -> Cell {
        let [_, height, width] = SIZE;
        let (x, y, z) = (index / (height * width), index / width % height, index % width);
        self.low.plus(Cell::new(x as i32, y as i32, z as i32))
    }

    /// The index of a cell of the window.
    pub(crate) fn index(&self, at: Cell) -> Option<usize> {
        let d = at.minus(self.low);
        let [x, y, z] = [d.x, d.y, d.z];
        let inside = [x, y, z].iter().zip(SIZE).all(|(v, size)| (0..size as i32).contains(v));
        inside.then(|| ((x as usize * SIZE[1]) + y as usize) * SIZE[2] + z as usize)
    }
}

/// The class of a block in this world.
pub(crate) fn class(world: &World, block: Block) -> usize {
    match block {
        Block::AIR => 0,
        _ => 1 + world.rank(block).map_or(RANKS, |r| r.min(RANKS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::practice::{Part, repeaters};

    #[test]
    fn every_cell_has_its_index() {
        let session = &repeaters(Part::Lessons, 1, 1, 1)[0].sessions[0];
        let view = View::new(&session.last_build(), &Memory::default()).unwrap();
        for index in 0..CELLS {
            assert_eq!(view.index(view.cell(index)), Some(index));
        }
        assert_eq!(view.index(view.cell(0).plus(Cell::new(-1, 0, 0))), None);
    }

    /// Another palette is another game; what is seen is the same.
    #[test]
    fn materials_are_seen_by_rank_alone() {
        let sessions = &repeaters(Part::Lessons, 2, 1, 2)[0].sessions;
        let renamed = |r: &crate::Recording| {
            let mut r = r.clone();
            for event in &mut r.events {
                if let crate::Act::Place { block, .. } = &mut event.act {
                    block.0 = 100 - block.0;
                }
            }
            r
        };
        let planes = |old: &crate::Recording, new: &crate::Recording| {
            let memory = Memory { builds: vec![Build::new(&old.steps())] };
            View::new(&new.last_build(), &memory).unwrap().planes
        };
        let (a, b) = (&sessions[0], &sessions[1]);
        assert!(planes(a, b) == planes(&renamed(a), &renamed(b)));
    }
}
