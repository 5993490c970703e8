//! Simulated players: how somebody goes about a goal, with slips, second thoughts and pauses.

use std::collections::{HashMap, HashSet};

use super::goal::{Family, Goal, Style};
use crate::dice::Dice;
use crate::event::{Act, Event};
use crate::recording::{Header, Recording};
use crate::world::{Actor, Block, Bounds, Cell, MATERIALS, SIDES, World};

/// In which order somebody puts blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Layer by layer, in rows that all run the same way.
    Rows,
    /// Layer by layer, there and back.
    Furrows,
    /// Column by column.
    Columns,
    /// Layer by layer, always on to what is near.
    Rounds,
    /// Always on to what is near, up or down.
    Walk,
    /// A face at a time, from its bottom up.
    Faces,
    /// The rims of every layer first.
    Outline,
    /// A block, then its mirror image.
    Pairs,
    /// Corners up to the top first, then what is between them.
    Pillars,
}

impl Order {
    /// The habits that teach.
    pub(crate) const TAUGHT: &[Order] = &[
        Order::Rows,
        Order::Furrows,
        Order::Columns,
        Order::Rounds,
        Order::Rounds,
        Order::Walk,
        Order::Faces,
    ];
    /// The habits that are only ever examined.
    pub(crate) const HELD_OUT: &[Order] = &[Order::Outline, Order::Pairs, Order::Pillars];
}

/// Whether examples teach or examine: nothing that one shows does the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Families and habits to learn from.
    Lessons,
    /// Families and habits that no lesson shows.
    Exam,
}

/// What somebody tends to do.
#[derive(Clone, Debug)]
pub(crate) struct Habit {
    order: Order,
    /// Whether a part is finished before the next is begun.
    by_parts: bool,
    /// Which way rows run.
    turn: u8,
    /// In a hundred: going on somewhere else.
    jumps: u32,
    /// In a hundred: a block that is not of the goal.
    slips: u32,
    /// In a hundred, for each session: changing the goal on the way.
    doubts: u32,
    /// In a hundred, for each session: leaving it unfinished.
    quits: u32,
    /// How rough goals become in their hands.
    rough: bool,
}

impl Habit {
    fn new(part: Part, dice: &mut Dice) -> Habit {
        let orders = if part == Part::Lessons { Order::TAUGHT } else { Order::HELD_OUT };
        // From tidy to messy, all of it at once.
        let mess = dice.below(4) as u32;
        Habit {
            order: dice.of(orders),
            by_parts: dice.percent(70),
            turn: dice.below(8) as u8,
            jumps: mess * dice.range(0, 4) as u32,
            slips: mess * dice.range(0, 2) as u32,
            doubts: mess * 15,
            quits: mess * 8,
            rough: mess > 0 && dice.percent(50),
        }
    }
}

/// A simulated player: a habit, a taste, and a motif to come back to.
#[derive(Clone, Debug)]
pub(crate) struct Player {
    habit: Habit,
    style: Style,
    motifs: Vec<Goal>,
    part: Part,
    name: String,
    dice: Dice,
    sessions: u64,
}

impl Player {
    pub(crate) fn new(part: Part, seed: u64, number: u64) -> Player {
        let mut dice = Dice::new(seed ^ if part == Part::Exam { 0x5eed_0e4a } else { 0 }, number);
        let style = Style::new(&mut dice);
        let habit = Habit::new(part, &mut dice);
        let name = format!("{} {number}", if part == Part::Exam { "stranger" } else { "pupil" });
        let mut player = Player { habit, style, motifs: Vec::new(), part, name, dice, sessions: 0 };
        for _ in 0..2 {
            let motif = player.motif();
            player.motifs.push(motif);
        }
        player
    }

    fn family(&mut self) -> Family {
        self.dice.of(if self.part == Part::Lessons { Family::TAUGHT } else { Family::HELD_OUT })
    }

    fn motif(&mut self) -> Goal {
        loop {
            let family = self.family();
            let goal = Goal::new(family, self.style, true, &mut self.dice);
            let goal = if self.habit.rough { goal.roughened(&mut self.dice, self.style) } else { goal };
            if (6..=60).contains(&goal.len()) {
                return goal;
            }
        }
    }

    /// A session about something that this player will not build again.
    pub(crate) fn one_off(&mut self) -> Recording {
        let style = if self.dice.percent(50) { self.style } else { Style::new(&mut self.dice) };
        let mut goal = loop {
            let family = self.family();
            let goal = Goal::new(family, style, false, &mut self.dice);
            if (10..=400).contains(&goal.len()) {
                break goal;
            }
        };
        if self.habit.rough {
            goal = goal.roughened(&mut self.dice, style);
        }
        self.play(goal, style)
    }

    /// A session of this player's own motifs, again and again.
    pub(crate) fn repeat(&mut self) -> Recording {
        let motif = usize::from(self.dice.percent(25));
        let motif = self.motifs[motif].clone();
        let copies = (150 / motif.len().max(1) as i32).clamp(3, 7);
        let copies = self.dice.range(2, copies);
        let goal = Goal::repeated(&motif, copies, &mut self.dice);
        let style = self.style;
        self.play(goal, style)
    }

    /// Builds it.
    fn play(&mut self, goal: Goal, style: Style) -> Recording {
        self.sessions += 1;
        let goal = goal.moved(&mut self.dice);
        let mut hands = Hands::new(&self.habit, goal, &style, self.dice.clone());
        hands.build();
        // What the hands threw is thrown: the next session goes on after it.
        self.dice = hands.dice;
        let header = Header {
            player: self.name.clone(),
            floor: Some(0),
            bounds: None::<Bounds>,
            palette: MATERIALS.map(str::to_owned).to_vec(),
            seed: self.sessions,
            model: String::new(),
        };
        Recording { header, events: hands.events }
    }
}

/// A session while it is played.
struct Hands<'a> {
    habit: &'a Habit,
    style: &'a Style,
    goal: HashMap<Cell, Block>,
    queue: Vec<Cell>,
    world: World,
    events: Vec<Event>,
    /// Slips that have not been put right yet: where, and after how many actions somebody notices.
    slipped: Vec<(Cell, usize)>,
    time_ms: u64,
    dice: Dice,
}

impl<'a> Hands<'a> {
    fn new(habit: &'a Habit, goal: Goal, style: &'a Style, dice: Dice) -> Hands<'a> {
        let queue = queue(habit, &goal);
        let goal = goal.parts.into_iter().flatten().collect();
        let world = World::new(None, Some(0));
        let (events, slipped) = (Vec::new(), Vec::new());
        Hands { habit, style, goal, queue, world, events, slipped, time_ms: 0, dice }
    }

    fn act(&mut self, act: Act) {
        // Now and then somebody stops and thinks.
        let pause =
            if self.dice.percent(4) { self.dice.range(3_000, 20_000) } else { self.dice.range(250, 1_500) };
        self.time_ms += pause as u64;
        let event = Event::player(self.time_ms, act);
        self.world.apply(&event);
        self.events.push(event);
    }

    fn put(&mut self, at: Cell, block: Block) {
        if self.events.len().is_multiple_of(5) {
            let d = self.dice.of(&[
                Cell::new(2, 0, 0),
                Cell::new(-2, 0, 0),
                Cell::new(0, 0, 2),
                Cell::new(0, 0, -2),
            ]);
            let beside = at.plus(d);
            self.act(Act::Move { at: Cell::new(beside.x, beside.y.max(1) - 1, beside.z) });
        }
        self.act(Act::Place { at, block });
    }

    fn build(&mut self) {
        let whole = self.queue.len();
        let doubt_at = if self.dice.percent(self.habit.doubts) { self.dice.below(whole) } else { usize::MAX };
        let quit_at = if self.dice.percent(self.habit.quits) {
            whole - self.dice.below(whole / 2 + 1)
        } else {
            usize::MAX
        };
        let mut done = 0;
        while !self.queue.is_empty() && done < quit_at {
            if done == doubt_at {
                self.doubt();
            }
            self.notice();
            let Some(at) = self.next() else { break };
            let Some(block) = self.goal.get(&at).copied() else { continue };
            if self.dice.percent(self.habit.slips) {
                self.slip(at, block);
            }
            if self.world.block(at) == block {
                continue;
            }
            if self.world.block(at).is_solid() {
                self.act(Act::Break { at });
            }
            self.put(at, block);
            done += 1;
        }
        for (at, _) in std::mem::take(&mut self.slipped) {
            self.mend(at);
        }
    }

    /// The next cell of the queue that something can be put against; now and then one further on.
    fn next(&mut self) -> Option<Cell> {
        let from = if self.dice.percent(self.habit.jumps) { self.dice.below(self.queue.len()) } else { 0 };
        let order = (from..self.queue.len()).chain(0..from);
        let next = order.into_iter().find(|i| self.world.is_supported(self.queue[*i]));
        let next = next.or(if self.queue.is_empty() { None } else { Some(0) })?;
        Some(self.queue.remove(next))
    }

    fn slip(&mut self, at: Cell, block: Block) {
        let (wrong_at, wrong) = if self.dice.percent(60) {
            (at.plus(self.dice.of(&SIDES)), block)
        } else {
            (at, self.dice.of(&self.style.materials))
        };
        let free = !self.world.block(wrong_at).is_solid() && wrong_at.y >= 0;
        if !free || self.goal.get(&wrong_at) == Some(&wrong) {
            return;
        }
        self.put(wrong_at, wrong);
        if self.dice.percent(70) {
            self.act(Act::Break { at: wrong_at });
        } else {
            let after = self.events.len() + self.dice.below(20);
            self.slipped.push((wrong_at, after));
        }
    }

    /// Puts right what was done wrong a while ago.
    fn notice(&mut self) {
        let now = self.events.len();
        let (seen, rest): (Vec<_>, Vec<_>) = self.slipped.iter().partition(|(_, when)| *when <= now);
        self.slipped = rest;
        for (at, _) in seen {
            self.mend(at);
        }
    }

    fn mend(&mut self, at: Cell) {
        let (is, should) = (self.world.block(at), self.goal.get(&at).copied().unwrap_or(Block::AIR));
        if is == should || self.dice.percent(10) {
            return;
        }
        if is.is_solid() {
            self.act(Act::Break { at });
        }
        if should.is_solid() && self.world.is_supported(at) {
            self.put(at, should);
            self.queue.retain(|c| *c != at);
        }
    }

    /// Second thoughts: another material from here on or from the start, a piece left out, a row more.
    fn doubt(&mut self) {
        let old = self.dice.of(&self.style.materials);
        match self.dice.below(3) {
            0 => {
                let new = Block(self.dice.range(1, 8) as u8);
                let from_start = self.dice.percent(40);
                let mut changed: Vec<Cell> =
                    self.goal.iter().filter(|(_, b)| **b == old).map(|(c, _)| *c).collect();
                changed.sort_unstable();
                for at in changed {
                    let stands = self.world.block(at).is_solid();
                    if !stands || from_start {
                        self.goal.insert(at, new);
                    }
                    if stands && from_start {
                        self.queue.insert(0, at);
                    }
                }
            }
            1 => {
                // The last third of what is left is not built after all.
                let keep = self.queue.len() - self.queue.len() / 3;
                for at in self.queue.split_off(keep) {
                    self.goal.remove(&at);
                }
            }
            _ => {
                // One higher, wherever the top is.
                let top = self.goal.keys().map(|c| c.y).max().unwrap_or(0);
                let mut more: Vec<(Cell, Block)> = (self.goal.iter().filter(|(c, _)| c.y == top))
                    .map(|(c, b)| (c.plus(Cell::new(0, 1, 0)), *b))
                    .collect();
                more.sort_unstable();
                for (at, block) in more {
                    self.goal.insert(at, block);
                    self.queue.push(at);
                }
            }
        }
    }
}

/// The cells of a goal in the order of a habit.
fn queue(habit: &Habit, goal: &Goal) -> Vec<Cell> {
    let groups: Vec<Vec<Cell>> = if habit.by_parts {
        goal.parts.iter().map(|part| part.iter().map(|(c, _)| *c).collect()).collect()
    } else {
        let mut all: Vec<Cell> = goal.parts.iter().flatten().map(|(c, _)| *c).collect();
        all.sort_unstable();
        all.dedup();
        vec![all]
    };
    let mut last = None;
    let mut out: Vec<Cell> = Vec::with_capacity(goal.len());
    let mut seen = HashSet::new();
    for group in groups {
        let ordered = ordered(habit, group, last);
        last = ordered.last().copied().or(last);
        out.extend(ordered.into_iter().filter(|c| seen.insert(*c)));
    }
    out
}

fn ordered(habit: &Habit, mut group: Vec<Cell>, last: Option<Cell>) -> Vec<Cell> {
    let turned = |c: &Cell| crate::likeness::turned(*c, habit.turn);
    let all: HashSet<Cell> = group.iter().copied().collect();
    match habit.order {
        Order::Rows => group.sort_by_key(|c| (c.y, turned(c).x, turned(c).z)),
        Order::Furrows => {
            group.sort_by_key(|c| {
                let t = turned(c);
                (c.y, t.x, if (t.x + c.y).rem_euclid(2) == 0 { t.z } else { -t.z })
            });
        }
        Order::Columns => group.sort_by_key(|c| (turned(c).x, turned(c).z, c.y)),
        Order::Faces => group.sort_by_key(|c| (turned(c).x, c.y, turned(c).z)),
        Order::Rounds => return near(group, last, 16),
        Order::Walk => return near(group, last, 2),
        Order::Outline => {
            let inner = |c: &Cell| SIDES[..4].iter().all(|d| all.contains(&c.plus(*d)));
            group.sort_by_key(|c| (c.y, inner(c), turned(c).x, turned(c).z));
        }
        Order::Pillars => {
            group.sort_by_key(|c| {
                let open = |i: usize| !all.contains(&c.plus(SIDES[i]));
                let corner = (open(0) || open(1)) && (open(2) || open(3));
                let t = turned(c);
                if corner { (0, t.x, t.z, c.y) } else { (1, c.y, t.x, t.z) }
            });
        }
        Order::Pairs => {
            group.sort_by_key(|c| (c.y, turned(c).z, turned(c).x));
            let (low, high) = group.iter().fold((i32::MAX, i32::MIN), |(l, h), c| (l.min(c.x), h.max(c.x)));
            let mut out = Vec::with_capacity(group.len());
            let mut seen = HashSet::new();
            for c in group {
                for c in [c, Cell::new(low + high - c.x, c.y, c.z)] {
                    if all.contains(&c) && seen.insert(c) {
                        out.push(c);
                    }
                }
            }
            return out;
        }
    }
    group
}

/// Always on to the nearest, straight on if that is as near; a step up or down counts `up` times.
fn near(mut group: Vec<Cell>, last: Option<Cell>, up: i32) -> Vec<Cell> {
    group.sort_unstable();
    let mut out: Vec<Cell> = Vec::with_capacity(group.len());
    let mut at = last.or(group.first().copied()).unwrap_or(Cell::new(0, 0, 0));
    let mut way = Cell::new(0, 0, 0);
    let lowest = |group: &[Cell]| group.iter().map(|c| c.y).min().unwrap_or(0);
    while !group.is_empty() {
        let ground = if up > 4 { lowest(&group) } else { 0 };
        let cost = |c: &Cell| {
            let d = c.minus(at);
            let straight = *c == at.plus(way);
            let flat = d.x * d.x + d.z * d.z;
            (up * (c.y - ground).abs() * i32::from(up > 4) + up * d.y.abs() + 2 * flat) * 2
                - i32::from(straight)
        };
        let Some(next) = (0..group.len()).min_by_key(|i| cost(&group[*i])) else { break };
        let next = group.remove(next);
        way = next.minus(at);
        at = next;
        out.push(next);
    }
    out
}

/// Who did what when somebody is helped now and then: some of the player's blocks are put by the assistant, a few actions early.
pub(crate) fn helped(recording: &Recording, chances: u32, dice: &mut Dice) -> Vec<Event> {
    let last = recording.last_build();
    let acts: Vec<&Event> = recording.events.iter().collect();
    let mut early: Vec<Vec<Event>> = vec![Vec::new(); acts.len()];
    let mut kept = vec![true; acts.len()];
    for (i, event) in acts.iter().enumerate() {
        let Act::Place { at, block } = event.act else { continue };
        if event.who != Actor::Player || last.block(at) != block || !dice.percent(chances) {
            continue;
        }
        let when = i.saturating_sub(1 + dice.below(10));
        kept[i] = false;
        early[when].push(Event { who: Actor::Assistant, ..(*event).clone() });
    }
    let mut out = Vec::with_capacity(acts.len());
    for ((event, early), kept) in acts.into_iter().zip(early).zip(kept) {
        if kept {
            out.push(event.clone());
        }
        out.extend(early);
    }
    out
}
