//! The block world as the assistant knows it: what stands where, who put it there, and when.

use std::collections::{HashMap, HashSet};

use crate::event::{Act, Event};

/// A place in the world; `y` is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell {
    /// East.
    pub x: i32,
    /// Up.
    pub y: i32,
    /// South.
    pub z: i32,
}

impl Cell {
    /// How far from the origin a place may be.
    pub const FARTHEST: i32 = 1 << 20;

    /// The place with these coordinates.
    pub fn new(x: i32, y: i32, z: i32) -> Cell {
        Cell { x, y, z }
    }

    pub(crate) fn plus(self, d: Cell) -> Cell {
        Cell::new(self.x + d.x, self.y + d.y, self.z + d.z)
    }

    pub(crate) fn minus(self, d: Cell) -> Cell {
        Cell::new(self.x - d.x, self.y - d.y, self.z - d.z)
    }

    pub(crate) fn times(self, n: i32) -> Cell {
        Cell::new(self.x * n, self.y * n, self.z * n)
    }

    /// The larger of the distances along the axes.
    pub(crate) fn distance(self, other: Cell) -> i32 {
        let d = self.minus(other);
        d.x.abs().max(d.y.abs()).max(d.z.abs())
    }

    pub(crate) fn is_near_origin(self) -> bool {
        [self.x, self.y, self.z].iter().all(|v| (-Cell::FARTHEST..=Cell::FARTHEST).contains(v))
    }
}

/// The six sides of a block.
pub(crate) const SIDES: [Cell; 6] = [
    Cell { x: 1, y: 0, z: 0 },
    Cell { x: -1, y: 0, z: 0 },
    Cell { x: 0, y: 0, z: 1 },
    Cell { x: 0, y: 0, z: -1 },
    Cell { x: 0, y: 1, z: 0 },
    Cell { x: 0, y: -1, z: 0 },
];

/// A kind of block: its number in the session's palette, 0 for air.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block(pub u8);

impl Block {
    /// Nothing.
    pub const AIR: Block = Block(0);

    /// Whether something stands there.
    pub fn is_solid(self) -> bool {
        self != Block::AIR
    }
}

/// The materials of a world of our own, by their number; a recording brings its own.
pub const MATERIALS: [&str; 9] =
    ["air", "stone", "dirt", "planks", "cobblestone", "bricks", "glass", "wool", "log"];

/// Who did something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Actor {
    /// The person who builds.
    Player,
    /// We.
    Assistant,
}

/// A block, who put it there, and how many block actions the player had made by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) block: Block,
    pub(crate) by: Actor,
    pub(crate) at: u32,
}

/// Where building is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The lowest corner.
    pub low: Cell,
    /// The highest corner, itself included.
    pub high: Cell,
}

impl Bounds {
    pub(crate) fn hold(&self, c: Cell) -> bool {
        let Bounds { low, high } = self;
        (low.x..=high.x).contains(&c.x) && (low.y..=high.y).contains(&c.y) && (low.z..=high.z).contains(&c.z)
    }
}

/// All that is known of a session so far.
#[derive(Clone, Debug)]
pub struct World {
    bounds: Option<Bounds>,
    floor: Option<i32>,
    cells: HashMap<Cell, Standing>,
    /// When the player last took something away here.
    broken: HashMap<Cell, u32>,
    /// Where the player undid what we did, or said no: not ours to build until the player does.
    vetoed: HashSet<Cell>,
    /// Where the player put blocks, in order.
    placed: Vec<(Cell, Block)>,
    /// Materials, the one used last first.
    materials: Vec<Block>,
    /// The player's block actions so far.
    acts: u32,
    /// The lowest block of the player's.
    lowest: Option<i32>,
    /// How often the player took back or replaced what we did.
    undone: u32,
    player: Option<Cell>,
    stopped: bool,
}

impl World {
    /// An empty world. Without a floor, the lowest block so far stands on it.
    pub fn new(bounds: Option<Bounds>, floor: Option<i32>) -> World {
        World {
            bounds,
            floor,
            cells: HashMap::new(),
            broken: HashMap::new(),
            vetoed: HashSet::new(),
            placed: Vec::new(),
            materials: Vec::new(),
            acts: 0,
            lowest: None,
            undone: 0,
            player: None,
            stopped: false,
        }
    }

    /// What happens, happens here.
    pub fn apply(&mut self, event: &Event) {
        let player = event.who == Actor::Player;
        match &event.act {
            Act::Place { at, block } if block.is_solid() => self.place(event.who, *at, *block),
            Act::Place { at, .. } | Act::Break { at } => self.take(event.who, *at),
            Act::Move { at } if player => self.player = Some(*at),
            Act::Reject { at } => {
                self.vetoed.insert(*at);
            }
            Act::Stop => self.stopped = true,
            Act::Resume => self.stopped = false,
            Act::Move { .. } | Act::Ghost { .. } | Act::Accept { .. } | Act::Say { .. } => {}
        }
    }

    fn place(&mut self, by: Actor, at: Cell, block: Block) {
        if by == Actor::Player {
            self.acts += 1;
            let ours = self.cells.get(&at).is_some_and(|s| s.by == Actor::Assistant && s.block != block);
            self.vetoed.remove(&at);
            if ours {
                self.undone += 1;
                self.vetoed.insert(at);
            }
            self.lowest = Some(self.lowest.map_or(at.y, |y| y.min(at.y)));
            self.broken.remove(&at);
            self.placed.push((at, block));
            if self.materials.first() != Some(&block) {
                self.materials.retain(|m| *m != block);
                self.materials.insert(0, block);
            }
        }
        self.cells.insert(at, Standing { block, by, at: self.acts });
    }

    fn take(&mut self, by: Actor, at: Cell) {
        let was = self.cells.remove(&at);
        if by == Actor::Player {
            self.acts += 1;
            self.undone += u32::from(was.is_some_and(|s| s.by == Actor::Assistant));
            self.broken.insert(at, self.acts);
            self.vetoed.insert(at);
        }
    }

    /// What stands there.
    pub fn block(&self, at: Cell) -> Block {
        self.cells.get(&at).map_or(Block::AIR, |s| s.block)
    }

    /// Everything that stands, in an order that depends on nothing but what stands.
    pub fn blocks(&self) -> Vec<(Cell, Block)> {
        let mut all: Vec<(Cell, Block)> = self.cells.iter().map(|(c, s)| (*c, s.block)).collect();
        all.sort_unstable();
        all
    }

    /// The player's block actions so far.
    pub fn acts(&self) -> u32 {
        self.acts
    }

    /// How often the player took back or replaced what the assistant did.
    pub fn undone(&self) -> u32 {
        self.undone
    }

    /// Whether the player told us to stop.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    pub(crate) fn standing(&self, at: Cell) -> Option<Standing> {
        self.cells.get(&at).copied()
    }

    pub(crate) fn all_standing(&self) -> impl Iterator<Item = (Cell, Standing)> {
        self.cells.iter().map(|(c, s)| (*c, *s))
    }

    pub(crate) fn broken(&self, at: Cell) -> Option<u32> {
        self.broken.get(&at).copied()
    }

    /// Where the player put blocks, in order, whatever became of them.
    pub(crate) fn placed(&self) -> &[(Cell, Block)] {
        &self.placed
    }

    /// The last places the player put something where it still stands, the last first.
    pub(crate) fn latest(&self, count: usize) -> Vec<(Cell, Block)> {
        let mut seen = HashSet::new();
        let stands = |(at, block): &(Cell, Block)| {
            self.standing(*at).is_some_and(|s| s.block == *block && s.by == Actor::Player)
        };
        let newest = self.placed.iter().rev().copied();
        newest.filter(stands).filter(|(at, _)| seen.insert(*at)).take(count).collect()
    }

    /// A material's rank: 0 for the one the player used last, and so on.
    pub(crate) fn rank(&self, block: Block) -> Option<usize> {
        self.materials.iter().position(|m| *m == block)
    }

    /// The material of a rank.
    pub(crate) fn material(&self, rank: usize) -> Option<Block> {
        self.materials.get(rank).copied()
    }

    pub(crate) fn player(&self) -> Option<Cell> {
        self.player
    }

    /// The height of the first blocks above the ground.
    pub(crate) fn floor(&self) -> i32 {
        self.floor.or(self.lowest).unwrap_or(0)
    }

    /// Whether blocks may be there at all.
    pub(crate) fn holds(&self, at: Cell) -> bool {
        at.y >= self.floor() && at.is_near_origin() && self.bounds.is_none_or(|b| b.hold(at))
    }

    /// Whether we may put a block there: it is free, has something to stand on or hang from, nobody stands in it, and the player has
    /// not undone us there.
    pub fn is_open(&self, at: Cell) -> bool {
        let taken = self.player.is_some_and(|p| p == at || p.plus(SIDES[4]) == at);
        !taken
            && self.holds(at)
            && !self.block(at).is_solid()
            && !self.vetoed.contains(&at)
            && self.is_supported(at)
    }

    pub(crate) fn is_supported(&self, at: Cell) -> bool {
        at.y == self.floor() || SIDES.iter().any(|d| self.block(at.plus(*d)).is_solid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn did(who: Actor, act: Act) -> Event {
        Event { time_ms: 0, who, act, sure: None }
    }

    fn put(at: Cell, block: u8) -> Act {
        Act::Place { at, block: Block(block) }
    }

    #[test]
    fn what_the_player_undid_is_not_ours_to_do_again() {
        let mut world = World::new(None, Some(0));
        let (a, b, c) = (Cell::new(0, 0, 0), Cell::new(1, 0, 0), Cell::new(2, 0, 0));
        world.apply(&did(Actor::Player, put(a, 1)));
        assert!(world.is_open(b) && world.is_open(c));
        world.apply(&did(Actor::Assistant, put(b, 1)));
        world.apply(&did(Actor::Player, Act::Break { at: b }));
        assert!(!world.is_open(b));
        world.apply(&did(Actor::Player, Act::Reject { at: c }));
        assert!(!world.is_open(c));
        assert_eq!(world.undone(), 1);
        // The player building there takes it back, unless it is another block than ours was.
        world.apply(&did(Actor::Player, put(b, 2)));
        assert_eq!(world.block(b), Block(2));
        let d = Cell::new(0, 1, 0);
        world.apply(&did(Actor::Assistant, put(d, 1)));
        world.apply(&did(Actor::Player, put(d, 2)));
        assert_eq!(world.undone(), 2);
        world.apply(&did(Actor::Assistant, Act::Break { at: d }));
        assert!(!world.is_open(d));
    }

    #[test]
    fn only_free_and_supported_places_within_bounds_are_open() {
        let bounds = Bounds { low: Cell::new(0, 0, 0), high: Cell::new(3, 3, 3) };
        let mut world = World::new(Some(bounds), Some(0));
        world.apply(&did(Actor::Player, put(Cell::new(1, 0, 1), 1)));
        world.apply(&did(Actor::Player, Act::Move { at: Cell::new(2, 0, 1) }));
        for (at, open) in [
            (Cell::new(1, 0, 1), false),
            (Cell::new(1, 1, 1), true),
            (Cell::new(1, 2, 1), false),
            (Cell::new(0, 0, 1), true),
            (Cell::new(2, 0, 1), false),
            (Cell::new(2, 1, 1), false),
            (Cell::new(4, 0, 1), false),
            (Cell::new(1, -1, 1), false),
        ] {
            assert_eq!(world.is_open(at), open, "{at:?}");
        }
    }

    #[test]
    fn materials_rank_by_last_use() {
        let mut world = World::new(None, None);
        for (x, block) in [1, 2, 1, 3].into_iter().enumerate() {
            world.apply(&did(Actor::Player, put(Cell::new(x as i32, 5, 0), block)));
        }
        assert_eq!([3, 1, 2, 4].map(|b| world.rank(Block(b))), [Some(0), Some(1), Some(2), None]);
        assert_eq!(world.floor(), 5);
    }
}
