//! Goals from chance: what simulated players build.
//!
//! A goal is a list of parts in the order in which somebody may think of them. Families on the [`Family::HELD_OUT`] list never teach: they
//! are what the assistant is examined on.

use std::collections::BTreeMap;

use crate::dice::Dice;
use crate::world::{Block, Cell};

/// What is to be built: blocks in parts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Goal {
    pub(crate) parts: Vec<Vec<(Cell, Block)>>,
}

/// Kinds of goals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    House,
    Tower,
    Wall,
    Pyramid,
    Stairs,
    Garden,
    Heap,
    Columns,
    Fence,
    Hall,
    Blob,
    Bridge,
    Arch,
    Castle,
    Picture,
    Ziggurat,
}

impl Family {
    /// The families that teach.
    pub(crate) const TAUGHT: &[Family] = &[
        Family::House,
        Family::House,
        Family::Tower,
        Family::Wall,
        Family::Pyramid,
        Family::Stairs,
        Family::Garden,
        Family::Heap,
        Family::Columns,
        Family::Fence,
        Family::Hall,
        Family::Blob,
    ];
    /// The families that are only ever examined.
    pub(crate) const HELD_OUT: &[Family] =
        &[Family::Bridge, Family::Arch, Family::Castle, Family::Picture, Family::Ziggurat];
}

/// The materials somebody builds with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) materials: [Block; 5],
}

impl Style {
    pub(crate) fn new(dice: &mut Dice) -> Style {
        let mut all: Vec<u8> = (1..=8).collect();
        dice.shuffle(&mut all);
        // Many people use few materials.
        let kinds = dice.range(1, 5) as usize;
        Style { materials: std::array::from_fn(|i| Block(all[i % kinds])) }
    }
}

/// A goal being drawn: later blocks take the place of earlier ones.
struct Canvas {
    cells: BTreeMap<Cell, (usize, Block)>,
    part: usize,
}

impl Canvas {
    fn new() -> Canvas {
        Canvas { cells: BTreeMap::new(), part: 0 }
    }

    fn next(&mut self) {
        self.part += 1;
    }

    fn set(&mut self, x: i32, y: i32, z: i32, block: Block) {
        let at = Cell::new(x, y, z);
        if block.is_solid() {
            self.cells.insert(at, (self.part, block));
        } else {
            self.cells.remove(&at);
        }
    }

    fn fill(&mut self, from: [i32; 3], to: [i32; 3], block: Block) {
        for y in from[1]..=to[1] {
            for x in from[0]..=to[0] {
                for z in from[2]..=to[2] {
                    self.set(x, y, z, block);
                }
            }
        }
    }

    /// The four sides of a box, each a part of its own if so wanted.
    fn walls(&mut self, from: [i32; 3], to: [i32; 3], block: Block, apart: bool) {
        let [x0, y0, z0] = from;
        let [x1, y1, z1] = to;
        for (a, b) in [
            ([x0, y0, z0], [x1, y1, z0]),
            ([x1, y0, z0], [x1, y1, z1]),
            ([x0, y0, z1], [x1, y1, z1]),
            ([x0, y0, z0], [x0, y1, z1]),
        ] {
            self.fill(a, b, block);
            if apart {
                self.next();
            }
        }
    }

    fn done(self) -> Goal {
        let mut parts = vec![Vec::new(); self.part + 1];
        for (at, (part, block)) in self.cells {
            parts[part].push((at, block));
        }
        parts.retain(|p: &Vec<_>| !p.is_empty());
        Goal { parts }
    }
}

impl Goal {
    /// A goal of this family; `small` ones are for repeating.
    pub(crate) fn new(family: Family, style: Style, small: bool, dice: &mut Dice) -> Goal {
        let mut c = Canvas::new();
        let [a, b, d, e, _] = style.materials;
        let size = |dice: &mut Dice, lo: i32, hi: i32| {
            if small { dice.range(lo, i32::midpoint(lo, hi)) } else { dice.range(lo, hi) }
        };
        match family {
            Family::House => house(&mut c, style, small, dice),
            Family::Tower => {
                let (w, h) = (size(dice, 2, 4), size(dice, 3, 9));
                let hollow = w > 2 && dice.percent(60);
                if hollow {
                    c.walls([0, 0, 0], [w - 1, h - 1, w - 1], a, dice.percent(30));
                } else {
                    c.fill([0, 0, 0], [w - 1, h - 1, w - 1], a);
                }
                c.next();
                crown(&mut c, w, h, b, dice);
            }
            Family::Wall => {
                let (l, h, t) = (size(dice, 4, 12), size(dice, 2, 5), dice.range(1, 2));
                c.fill([0, 0, 0], [l - 1, h - 1, t - 1], a);
                c.next();
                let every = dice.range(2, 4);
                let kind = dice.below(4);
                for x in (0..l).step_by(every as usize) {
                    match kind {
                        0 => c.set(x, h, 0, b),
                        1 => c.fill([x, 0, 0], [x, h - 1, t - 1], b),
                        2 if h > 2 => c.set(x, h / 2, 0, d),
                        _ => {}
                    }
                }
            }
            Family::Pyramid => {
                let w = size(dice, 3, 7);
                let hollow = dice.percent(40);
                for y in 0..=(w / 2) {
                    let (lo, hi) = (y, w - 1 - y);
                    if hi < lo {
                        break;
                    }
                    let m = if dice.percent(70) { a } else { b };
                    if hollow && y > 0 {
                        c.walls([lo, y, lo], [hi, y, hi], m, false);
                    } else {
                        c.fill([lo, y, lo], [hi, y, hi], m);
                    }
                }
            }
            Family::Stairs => {
                let (n, w) = (size(dice, 3, 7), dice.range(1, 3));
                let solid = dice.percent(60);
                for i in 0..n {
                    let y0 = if solid { 0 } else { i };
                    c.fill([i, y0, 0], [i, i, w - 1], a);
                    if dice.percent(40) {
                        c.next();
                    }
                }
                c.next();
                if dice.percent(40) {
                    for i in 0..n {
                        c.set(i, i + 1, 0, b);
                    }
                }
            }
            Family::Garden => {
                let (w, l) = (size(dice, 4, 9), size(dice, 4, 9));
                c.fill([0, 0, 0], [w - 1, 0, l - 1], a);
                c.next();
                c.walls([0, 0, 0], [w - 1, 0, l - 1], b, false);
                c.next();
                let every = dice.range(2, 3);
                for x in (1..w - 1).step_by(every as usize) {
                    for z in (1..l - 1).step_by(every as usize) {
                        if dice.percent(85) {
                            c.set(x, 1, z, d);
                            if dice.percent(30) {
                                c.set(x, 2, z, e);
                            }
                        }
                    }
                }
            }
            Family::Heap => {
                // Boxes on and beside each other.
                for _ in 0..dice.range(2, if small { 3 } else { 6 }) {
                    let [x, z] = [dice.range(0, 6), dice.range(0, 6)];
                    let [w, h, l] = [dice.range(1, 4), dice.range(1, 4), dice.range(1, 4)];
                    let m = dice.of(&style.materials);
                    c.fill([x, 0, z], [x + w - 1, h - 1, z + l - 1], m);
                    c.next();
                }
            }
            Family::Columns => {
                let (n, h, gap) = (size(dice, 2, 5), size(dice, 2, 6), dice.range(2, 4));
                let both = dice.percent(50);
                for i in 0..n {
                    for z in if both { vec![0, gap + 1] } else { vec![0] } {
                        c.fill([i * gap, 0, z], [i * gap, h - 1, z], a);
                        c.set(i * gap, h - 1, z, b);
                        c.next();
                    }
                }
                if dice.percent(60) {
                    let z = if both { gap + 1 } else { 0 };
                    c.fill([0, h, 0], [(n - 1) * gap, h, z], d);
                }
            }
            Family::Fence => {
                let (w, l, every) = (size(dice, 4, 9), size(dice, 4, 9), dice.range(2, 3));
                let post = dice.range(2, 3);
                c.walls([0, 0, 0], [w - 1, 0, l - 1], a, dice.percent(50));
                c.next();
                for x in 0..w {
                    for z in 0..l {
                        let rim = x == 0 || z == 0 || x == w - 1 || z == l - 1;
                        if rim && (x + z) % every == 0 {
                            c.fill([x, 1, z], [x, post - 1, z], b);
                        }
                    }
                }
            }
            Family::Hall => {
                let (w, l, h) = (size(dice, 4, 8), size(dice, 4, 9), size(dice, 3, 5));
                c.fill([0, 0, 0], [w - 1, 0, l - 1], a);
                c.next();
                for (x, z) in [(0, 0), (w - 1, 0), (w - 1, l - 1), (0, l - 1)] {
                    c.fill([x, 1, z], [x, h - 1, z], b);
                    c.next();
                }
                c.fill([0, h, 0], [w - 1, h, l - 1], d);
            }
            Family::Blob => {
                // A walk of blocks: nothing to it but that each touches the last.
                let (mut x, mut y, mut z) = (0, 0, 0);
                for _ in 0..size(dice, 8, 40) {
                    c.set(x, y, z, dice.of(&[a, a, a, b, d]));
                    match dice.below(6) {
                        0 => x += 1,
                        1 => x = (x - 1).max(-4),
                        2 => z += 1,
                        3 => z = (z - 1).max(-4),
                        4 => y = (y + 1).min(6),
                        _ => y = (y - 1).max(0),
                    }
                }
            }
            Family::Bridge => {
                let (l, w, h) = (size(dice, 5, 12), size(dice, 2, 4), size(dice, 1, 4));
                for x in [0, l - 1] {
                    c.fill([x, 0, 0], [x, h - 1, w - 1], b);
                    c.next();
                }
                c.fill([0, h, 0], [l - 1, h, w - 1], a);
                c.next();
                for z in [0, w - 1] {
                    for x in (0..l).step_by(dice.of(&[1, 2])) {
                        c.set(x, h + 1, z, d);
                    }
                    c.next();
                }
            }
            Family::Arch => {
                let (w, h, t) = (size(dice, 4, 7), size(dice, 3, 6), dice.range(1, 2));
                for x in [0, w - 1] {
                    c.fill([x, 0, 0], [x, h - 1, t - 1], a);
                    c.next();
                }
                c.fill([1, h - 1, 0], [1, h - 1, t - 1], b);
                c.fill([w - 2, h - 1, 0], [w - 2, h - 1, t - 1], b);
                c.fill([0, h, 0], [w - 1, h, t - 1], a);
                if dice.percent(50) {
                    c.fill([w / 2, h, 0], [w / 2, h, t - 1], d);
                }
            }
            Family::Castle => {
                let (w, h) = (size(dice, 5, 9), size(dice, 2, 4));
                for (x, z) in [(0, 0), (w, 0), (w, w), (0, w)] {
                    c.fill([x, 0, z], [x + 1, h + 1, z + 1], b);
                    c.next();
                }
                for (from, to) in [
                    ([2, 0, 0], [w - 1, h - 1, 0]),
                    ([w + 1, 0, 2], [w + 1, h - 1, w - 1]),
                    ([2, 0, w + 1], [w - 1, h - 1, w + 1]),
                    ([0, 0, 2], [0, h - 1, w - 1]),
                ] {
                    c.fill(from, to, a);
                    c.next();
                }
                for x in (2..w).step_by(2) {
                    c.set(x, h, 0, a);
                    c.set(x, h, w + 1, a);
                }
                c.fill([w / 2, 0, 0], [w / 2 + 1, 1, 0], Block::AIR);
            }
            Family::Picture => {
                // A picture on a wall, its halves alike.
                let (half, h) = (size(dice, 2, 4), size(dice, 4, 8));
                let pair = [a, b, d];
                let frame = dice.percent(40);
                for y in 0..h {
                    let mut m = dice.of(&pair);
                    for x in 0..half {
                        if dice.percent(45) {
                            m = dice.of(&pair);
                        }
                        c.set(x, y, 0, m);
                        c.set(2 * half - 1 - x, y, 0, m);
                    }
                }
                if frame {
                    c.next();
                    c.fill([-1, 0, 0], [-1, h, 0], e);
                    c.fill([2 * half, 0, 0], [2 * half, h, 0], e);
                    c.fill([-1, h, 0], [2 * half, h, 0], e);
                }
            }
            Family::Ziggurat => {
                let (w, l, step) = (size(dice, 5, 8), size(dice, 4, 8), dice.range(1, 2));
                let (mut lo, mut y) = (0, 0);
                while lo < (w.min(l) + 1) / 2 && y < 8 {
                    let m = if lo % 2 == 0 { a } else { b };
                    c.fill([lo, y, lo], [w - 1 - lo, y + step - 1, l - 1 - lo], m);
                    c.next();
                    lo += 1;
                    y += step;
                }
            }
        }
        c.done()
    }

    /// The same motif again and again, along a line, in a square or mirrored; copies may differ in a detail.
    pub(crate) fn repeated(motif: &Goal, copies: i32, dice: &mut Dice) -> Goal {
        let (low, high) = motif.corners();
        let size = Cell::new(high.x - low.x + 1, 0, high.z - low.z + 1);
        let gap = dice.range(1, 3);
        let layout = dice.below(4);
        let mut goal = Goal::default();
        for i in 0..copies {
            let (column, row) = match layout {
                1 => (0, i),
                2 => (i % 2, i / 2),
                _ => (i, 0),
            };
            let shift = Cell::new(column * (size.x + gap), 0, row * (size.z + gap));
            let flipped = layout == 3 && i % 2 == 1;
            let odd = dice.percent(25);
            for part in &motif.parts {
                let put = |(at, block): &(Cell, Block)| {
                    let x = if flipped { high.x - (at.x - low.x) } else { at.x };
                    (Cell::new(x, at.y, at.z).plus(shift), *block)
                };
                let mut part: Vec<(Cell, Block)> = part.iter().map(put).collect();
                if odd && part.len() > 3 && dice.percent(40) {
                    part.remove(dice.below(part.len()));
                }
                goal.parts.push(part);
            }
        }
        goal
    }

    /// Small differences, as people make them: blocks left out, others of another material.
    pub(crate) fn roughened(mut self, dice: &mut Dice, style: Style) -> Goal {
        for part in &mut self.parts {
            if part.len() < 6 {
                continue;
            }
            for _ in 0..dice.below(1 + part.len() / 12) {
                let i = dice.below(part.len());
                if dice.percent(50) {
                    part.remove(i);
                } else {
                    part[i].1 = dice.of(&style.materials);
                }
            }
        }
        self
    }

    /// Turned and moved somewhere else.
    pub(crate) fn moved(mut self, dice: &mut Dice) -> Goal {
        let turn = dice.below(8) as u8;
        let shift = Cell::new(dice.range(-30, 30), 0, dice.range(-30, 30));
        for (at, _) in self.parts.iter_mut().flatten() {
            *at = crate::likeness::turned(*at, turn).plus(shift);
        }
        self
    }

    fn corners(&self) -> (Cell, Cell) {
        let mut low = Cell::new(i32::MAX, i32::MAX, i32::MAX);
        let mut high = Cell::new(i32::MIN, i32::MIN, i32::MIN);
        for (c, _) in self.parts.iter().flatten() {
            low = Cell::new(low.x.min(c.x), low.y.min(c.y), low.z.min(c.z));
            high = Cell::new(high.x.max(c.x), high.y.max(c.y), high.z.max(c.z));
        }
        (low, high)
    }

    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(Vec::len).sum()
    }
}

fn house(c: &mut Canvas, style: Style, small: bool, dice: &mut Dice) {
    let [a, b, d, e, f] = style.materials;
    let most = if small { 5 } else { 8 };
    let (w, l, h) = (dice.range(3, most), dice.range(4, most + 1), dice.range(2, 4));
    let ground = i32::from(dice.percent(50));
    if ground == 1 {
        c.fill([0, 0, 0], [w - 1, 0, l - 1], b);
        c.next();
    }
    let top = ground + h - 1;
    c.walls([0, ground, 0], [w - 1, top, l - 1], a, dice.percent(50));
    // People leave the door and the windows open while the walls go up, or fill them in afterwards.
    if dice.percent(50) {
        c.next();
    }
    for (x, z) in [(0, 0), (w - 1, 0), (0, l - 1), (w - 1, l - 1)] {
        if e != a && dice.percent(60) {
            c.fill([x, ground, z], [x, top, z], e);
        }
    }
    c.next();
    let door = dice.range(1, (w - 2).max(1));
    c.fill([door, ground, 0], [door, ground + 1, 0], Block::AIR);
    let pane = if dice.percent(60) { d } else { Block::AIR };
    let every = dice.range(2, 3);
    let sides = dice.range(1, 4);
    if h > 2 {
        for z in (1..l - 1).step_by(every as usize) {
            c.set(0, ground + 1, z, pane);
            if sides > 1 {
                c.set(w - 1, ground + 1, z, pane);
            }
        }
        if sides > 2 {
            for x in (1..w - 1).step_by(every as usize) {
                c.set(x, ground + 1, l - 1, pane);
            }
        }
    }
    c.next();
    match dice.below(4) {
        0 => c.fill([0, top + 1, 0], [w - 1, top + 1, l - 1], f),
        1 => {
            // A roof that rises to the middle.
            for i in 0..=(w - 1) / 2 {
                c.fill([i, top + 1 + i, 0], [i, top + 1 + i, l - 1], f);
                c.fill([w - 1 - i, top + 1 + i, 0], [w - 1 - i, top + 1 + i, l - 1], f);
            }
        }
        2 => {
            for i in 0..=(w.min(l) - 1) / 2 {
                c.walls([i, top + 1 + i, i], [w - 1 - i, top + 1 + i, l - 1 - i], f, false);
            }
        }
        _ => c.fill([-1, top + 1, -1], [w, top + 1, l], f),
    }
}

fn crown(c: &mut Canvas, w: i32, h: i32, block: Block, dice: &mut Dice) {
    match dice.below(4) {
        0 => {
            for x in 0..w {
                for z in 0..w {
                    let rim = x == 0 || z == 0 || x == w - 1 || z == w - 1;
                    if rim && (x + z) % 2 == 0 {
                        c.set(x, h, z, block);
                    }
                }
            }
        }
        1 => c.fill([0, h, 0], [w - 1, h, w - 1], block),
        2 => c.walls([-1, h, -1], [w, h, w], block, false),
        _ => {}
    }
}
