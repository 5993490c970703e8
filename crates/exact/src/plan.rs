//! Where every tensor of a program lies during a run, decided before it runs.
//!
//! Each state has a block of its own, which sessions may share. Inputs and results lie in one arena: an input for good, a
//! result in the smallest hole that fits when it is made until its last reader is done. An element-by-element operation
//! writes over an operand that no one reads again, and what a state becomes is written over the state itself where
//! nothing still reads the old one. Another shape of a value, and a piece of it that lies in one stretch, are where it is.

use std::collections::{BTreeMap, BTreeSet};

use crate::Error;
use crate::program::op::Op;
use crate::program::{Operation, Program, ValueId};
use crate::shape::Type;

/// Places begin at multiples of this many words, a cache line.
const LINE: usize = 16;

/// What a backend needs to know to lay out a run.
pub(crate) trait Needs {
    /// Words of working memory for one operation, beside its operands and results.
    fn scratch_words(&self, op: &Op, operands: &[Type], results: &[Type]) -> usize;
}

/// Where a value lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// From this word of the arena on.
    Arena(usize),
    /// In the block of the state of this number, from this word on.
    State(usize, usize),
}

/// A layout: the place of every value, and how much there is in all.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) places: Vec<Place>,
    /// Words of all states together.
    pub(crate) state_words: usize,
    /// Words of the arena.
    pub(crate) words: usize,
    /// Words of scratch after it.
    pub(crate) scratch_words: usize,
    /// Values that are copied into states when the run is over: value, state's leaf.
    pub(crate) copies: Vec<(ValueId, ValueId)>,
}

impl Plan {
    /// Lays out a program, or says how much it needs and which operation is the largest if that is beyond the limit.
    pub(crate) fn new(program: &Program, needs: &dyn Needs, limit_bytes: u64) -> Result<Plan, Error> {
        let plan = Layout::new(program).finish(needs);
        if plan.bytes() > limit_bytes {
            let size =
                |o: &Operation| -> u64 { o.results().map(|v| program.ty(v).shape.elements() as u64).sum() };
            let largest = (0..program.operations.len()).max_by_key(|&i| size(&program.operations[i]));
            let (op, at) = largest.map_or(("none", 0), |i| (program.operations[i].op.name(), i));
            return Err(Error::Memory { needed: plan.bytes(), limit: limit_bytes, op, at });
        }
        Ok(plan)
    }

    /// Everything a session of this plan holds for tensors and scratch.
    pub(crate) fn bytes(&self) -> u64 {
        4 * (self.state_words as u64 + self.words as u64 + self.scratch_words as u64)
    }
}

/// What a state takes.
pub(crate) fn state_bytes(ty: &Type) -> u64 {
    4 * ty.shape.elements().next_multiple_of(LINE) as u64
}

/// Which results may lie where an operand lay: pairs of operand and result whose elements are read and written one for one.
fn in_place(op: &Op) -> &'static [(usize, usize)] {
    match op {
        // The last three read all of a row before they write it, and then element for element; so does the gradient below.
        Op::Unary(_)
        | Op::Unit
        | Op::ToFloat
        | Op::WriteRows
        | Op::Rope { .. }
        | Op::Softmax
        | Op::TokenLogprobGrad => &[(0, 0)],
        Op::RmsNormGrad => &[(3, 0)],
        Op::Binary(_) | Op::Int(_) | Op::Swiglu => &[(0, 0), (1, 0)],
        Op::Fma => &[(0, 0), (1, 0), (2, 0)],
        Op::Select => &[(1, 0), (2, 0)],
        Op::SwigluGrad => &[(0, 0), (1, 1)],
        Op::AdamW { .. } => &[(0, 0), (2, 1), (3, 2)],
        _ => &[],
    }
}

/// Where in its operand's storage an operation's result lies already, if it does: in one stretch from this word on.
pub(crate) fn stretch_of(op: &Op, operand: &Type) -> Option<usize> {
    match op {
        Op::Reshape { .. } => Some(0),
        Op::Slice { axis, start, .. } => {
            let axis = usize::from(*axis);
            let leading = operand.shape.iter().take(axis).all(|d| d == 1);
            leading.then(|| *start as usize * operand.shape.iter().skip(axis + 1).product::<usize>())
        }
        _ => None,
    }
}

fn stretch(program: &Program, operation: &Operation) -> Option<usize> {
    stretch_of(&operation.op, &program.ty(*operation.operands.first()?))
}

/// Which values, or other shapes of which, are outputs or what states become.
fn kept(program: &Program) -> Vec<bool> {
    let mut kept = vec![false; program.types.len()];
    let given = program.outputs.iter().map(|(_, v)| v).chain(program.assigned.iter().flatten());
    given.for_each(|v| kept[*v as usize] = true);
    for operation in program.operations.iter().rev() {
        if matches!(operation.op, Op::Reshape { .. }) && kept[operation.first as usize] {
            kept[operation.operands[0] as usize] = true;
        }
    }
    kept
}

struct Layout<'a> {
    program: &'a Program,
    /// The value whose storage a value is: itself, or what it is another shape or a piece of.
    root: Vec<ValueId>,
    /// How many words into its root's storage a value begins.
    offset: Vec<usize>,
    /// The last operation that reads a root; `usize::MAX` if the run's end does.
    last_read: Vec<usize>,
    /// The state that a root is to become, if any.
    becomes: Vec<Option<ValueId>>,
    places: Vec<Option<Place>>,
    arena: Arena,
}

impl<'a> Layout<'a> {
    fn new(program: &'a Program) -> Layout<'a> {
        let values = program.types.len();
        let kept = kept(program);
        let mut root: Vec<ValueId> = (0..values as u32).collect();
        let mut offset = vec![0; values];
        let mut last_read = vec![0; values];
        for (at, operation) in program.operations.iter().enumerate() {
            let (result, within) = (operation.first as usize, stretch(program, operation));
            // What is given back has storage of its own, whatever becomes of what it is a piece of.
            if let Some(words) = within
                && (matches!(operation.op, Op::Reshape { .. }) || !kept[result])
            {
                let operand = operation.operands[0] as usize;
                root[result] = root[operand];
                offset[result] = offset[operand] + words;
            }
            for operand in &operation.operands {
                last_read[root[*operand as usize] as usize] = at;
            }
        }
        let mut becomes = vec![None; values];
        for (state, value) in program.assigned.iter().enumerate() {
            if let Some(value) = value {
                let root = root[*value as usize] as usize;
                last_read[root] = usize::MAX;
                becomes[root].get_or_insert((program.inputs + state) as ValueId);
            }
        }
        for (_, value) in &program.outputs {
            let root = root[*value as usize] as usize;
            last_read[root] = usize::MAX;
            // It stays what the run gave, whoever writes the state or runs on it later: so it has a place of its own.
            becomes[root] = None;
        }
        let places = vec![None; values];
        let mut layout =
            Layout { program, root, offset, last_read, becomes, places, arena: Arena::default() };
        layout.chains();
        layout
    }

    /// Where rows are written into what rows were written into, all of it may happen in the state that the last becomes.
    fn chains(&mut self) {
        for (at, operation) in self.program.operations.iter().enumerate().rev() {
            let result = operation.first as usize;
            if let (Op::WriteRows, Some(state)) = (&operation.op, self.becomes[result]) {
                let before = self.root[operation.operands[0] as usize];
                let over = self.writes_over(at, before, result as ValueId);
                if over && !self.is_leaf(before) && self.becomes[before as usize].is_none() {
                    self.becomes[before as usize] = Some(state);
                }
            }
        }
    }

    /// Whether an operation that may work in place finds a root as that takes: nobody reads it later, and whatever of it is
    /// read now is all of it.
    fn writes_over(&self, at: usize, root: ValueId, result: ValueId) -> bool {
        let operation = &self.program.operations[at];
        let whole = |v: &ValueId| self.root[*v as usize] != root || self.words(*v) == self.words(root);
        // Rows are not written one for one: a cache written into itself needs the old one beside the new.
        let apart =
            !matches!(operation.op, Op::WriteRows) || self.root[operation.operands[1] as usize] != root;
        self.last_read[root as usize] == at
            && apart
            && self.words(result) == self.words(root)
            && operation.operands.iter().all(whole)
    }

    fn words(&self, value: ValueId) -> usize {
        self.program.ty(value).shape.elements()
    }

    fn is_leaf(&self, value: ValueId) -> bool {
        (value as usize) < self.program.leaves.len()
    }

    fn finish(mut self, needs: &dyn Needs) -> Plan {
        let mut state_words = 0;
        for leaf in 0..self.program.leaves.len() {
            let words = self.words(leaf as ValueId);
            self.places[leaf] = Some(match leaf.checked_sub(self.program.inputs) {
                Some(state) => {
                    state_words += words.next_multiple_of(LINE);
                    Place::State(state, 0)
                }
                None => Place::Arena(self.arena.take(words)),
            });
        }
        let mut scratch_words = 0;
        for (at, operation) in self.program.operations.iter().enumerate() {
            let types = |ids: &[ValueId]| ids.iter().map(|v| self.program.ty(*v)).collect::<Vec<_>>();
            let results: Vec<ValueId> = operation.results().collect();
            let needed = needs.scratch_words(&operation.op, &types(&operation.operands), &types(&results));
            scratch_words = scratch_words.max(needed.next_multiple_of(LINE));
            if self.root[operation.first as usize] != operation.first {
                continue;
            }
            let mut given = Vec::new();
            for (i, result) in results.iter().enumerate() {
                let (place, over) = self.place(at, i, *result, &given);
                self.places[*result as usize] = Some(place);
                given.extend(over);
            }
            self.release(at, operation, &results, &given);
        }
        let place = |v: ValueId| {
            let offset = self.offset[v as usize];
            match self.places[self.root[v as usize] as usize] {
                Some(Place::Arena(word)) => Place::Arena(word + offset),
                Some(Place::State(state, word)) => Place::State(state, word + offset),
                None => Place::Arena(0),
            }
        };
        let places: Vec<Place> = (0..self.places.len() as u32).map(place).collect();
        let mut copies = Vec::new();
        for (state, value) in self.program.assigned.iter().enumerate() {
            let state = self.program.inputs + state;
            if let Some(value) = value
                && places[*value as usize] != places[state]
            {
                copies.push((*value, state as ValueId));
            }
        }
        Plan { places, state_words, words: self.arena.end, scratch_words, copies }
    }

    /// A place for one result, and the operand's root whose place it is if it has it from one.
    fn place(
        &mut self,
        at: usize,
        index: usize,
        result: ValueId,
        given: &[ValueId],
    ) -> (Place, Option<ValueId>) {
        let operation = &self.program.operations[at];
        let words = self.words(result);
        for (operand, to) in in_place(&operation.op) {
            let root = self.root[operation.operands[*operand] as usize];
            // A leaf keeps its value, unless it is the state that this result becomes.
            let allowed = !self.is_leaf(root) || self.becomes[result as usize] == Some(root);
            if *to == index
                && !given.contains(&root)
                && allowed
                && self.writes_over(at, root, result)
                && let Some(place) = self.places[root as usize]
            {
                return (place, Some(root));
            }
        }
        // Straight into the state, if no one reads the old one any more.
        if let Some(state) = self.becomes[result as usize]
            && (self.last_read[state as usize] < at || !self.is_read(state))
            && self.words(state) == words
            && let Some(place) = self.places[state as usize]
        {
            return (place, None);
        }
        (Place::Arena(self.arena.take(words)), None)
    }

    /// Whether any operation reads a leaf (its last reader is given as 0 otherwise).
    fn is_read(&self, leaf: ValueId) -> bool {
        self.last_read[leaf as usize] > 0
            || self.program.operations.first().is_some_and(|first| first.operands.contains(&leaf))
    }

    /// Frees what no later operation reads: operands at their last reading, and results that no one reads.
    fn release(&mut self, at: usize, operation: &Operation, results: &[ValueId], given: &[ValueId]) {
        let mut done: Vec<ValueId> = Vec::new();
        for operand in &operation.operands {
            let root = self.root[*operand as usize];
            if self.last_read[root as usize] == at && !self.is_leaf(root) && !given.contains(&root) {
                done.push(root);
            }
        }
        // A result that is never read was last read "before" it was made.
        done.extend(results.iter().filter(|r| self.last_read[**r as usize] <= at));
        done.sort_unstable();
        done.dedup();
        for root in done {
            if let Some(Place::Arena(place)) = self.places[root as usize] {
                self.arena.give_back(place, self.words(root));
            }
        }
    }
}

/// Words handed out and taken back, first by the smallest hole that fits.
#[derive(Default)]
struct Arena {
    /// Words of each hole by its first word; holes never touch.
    holes: BTreeMap<usize, usize>,
    /// The same as (words, first word): programs come from anyone, so the fitting one must be found at once.
    by_size: BTreeSet<(usize, usize)>,
    end: usize,
}

impl Arena {
    fn take(&mut self, words: usize) -> usize {
        let words = words.next_multiple_of(LINE);
        if words == 0 {
            return 0;
        }
        if let Some((len, place)) = self.by_size.range((words, 0)..).next().copied() {
            self.close(place, len);
            if len > words {
                self.open(place + words, len - words);
            }
            return place;
        }
        // None fits: grow, from the last hole if it reaches the end.
        let place = match self.holes.last_key_value() {
            Some((&place, &len)) if place + len == self.end => {
                self.close(place, len);
                place
            }
            _ => self.end,
        };
        self.end = place + words;
        place
    }

    fn give_back(&mut self, place: usize, words: usize) {
        let words = words.next_multiple_of(LINE);
        if words == 0 {
            return;
        }
        let (mut place, mut words) = (place, words);
        if let Some((&before, &len)) = self.holes.range(..place).next_back()
            && before + len == place
        {
            self.close(before, len);
            (place, words) = (before, len + words);
        }
        if let Some(len) = self.holes.get(&(place + words)).copied() {
            self.close(place + words, len);
            words += len;
        }
        self.open(place, words);
    }

    fn open(&mut self, place: usize, words: usize) {
        self.holes.insert(place, words);
        self.by_size.insert((words, place));
    }

    fn close(&mut self, place: usize, words: usize) {
        self.holes.remove(&place);
        self.by_size.remove(&(words, place));
    }
}
