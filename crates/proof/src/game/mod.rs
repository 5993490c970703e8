//! The dispute: two parties, one of whom lies, find the one block of arithmetic over which they differ; and that is executed.
//!
//! ```text
//! run ── the first step after which the states are wrong
//!  └─ step ── the first value of its program that is wrong          (or a state that is not what its program makes it)
//!      └─ value ── an element of it                                 (or an input, or a state, that is another one)
//!          └─ element ── settled at once, or the first wrong block of its chain
//!              └─ block ── executed; or a word it reads, looked up
//! ```
//!
//! Each descent is the same: the defender opens sixteen nodes of a tree it has committed to, and the challenger chooses the first that
//! differs from its own. All before that is agreed, so what is wrong at the end is wrong by itself. `Disputes.sol` has the same rules
//! in the same order; this machine has no clock, no chain and no randomness.

mod code;
mod player;

pub use code::MAX_MOVE_BYTES;
pub use player::{Account, Book, Player, StepAccount};

use crate::graph::{Header, KEPT, assignment};
use crate::hash::Digest;
use crate::record::{Opcode, Record};
use crate::rule;
use crate::run::{Block, Claim, scheduled, state_after};
use crate::tensor::{LEAF, Opening, commitment, leaves, words_leaf};
use crate::tree::{OPENED, climb, fold, height};

/// Who has to move, or has won.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Party {
    /// Who made the claim.
    Defender,
    /// Who says that it is wrong.
    Challenger,
}

impl Party {
    /// The other one.
    pub fn other(self) -> Party {
        match self {
            Party::Defender => Party::Challenger,
            Party::Challenger => Party::Defender,
        }
    }
}

/// What the dispute is at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Descending to the first wrong step.
    Run,
    /// The defender says what the step was made from.
    Step,
    /// The challenger says whether a value is wrong or a state is not what it should become.
    Side,
    /// Descending to the first wrong value.
    Trace,
    /// The challenger says what the value is made from.
    Value,
    /// Descending to the first wrong state.
    After,
    /// The challenger shows what the state becomes.
    Slot,
    /// The defender gives the root of the value's words.
    Root,
    /// Descending to the first wrong leaf of the tensor.
    Words,
    /// The defender shows the leaf's words.
    Leaf,
    /// The challenger says which is wrong.
    Element,
    /// The defender commits to the element's chain.
    Chain,
    /// Descending to the first wrong block.
    Blocks,
    /// The defender shows the block.
    Block,
    /// The challenger says what is wrong with it.
    Last,
    /// It is decided.
    Over,
}

/// A descent in a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Walk {
    /// How many leaves the tree has.
    pub leaves: u64,
    /// The level of the node it has come to, from the leaves.
    pub level: u32,
    /// Its place in the level.
    pub index: u64,
    /// The node.
    pub at: Digest,
    /// The tree's root.
    pub root: Digest,
    /// All that has been opened: level, place of the first, nodes. The last is to be chosen from if `choosing`.
    pub opened: Vec<(u32, u64, Vec<Digest>)>,
    /// Whether the challenger has to choose.
    pub choosing: bool,
}

impl Walk {
    fn new(root: Digest, leaves: u64) -> Walk {
        Walk { leaves, level: height(leaves), index: 0, at: root, root, opened: Vec::new(), choosing: false }
    }

    /// A node that follows from what has been opened.
    pub fn node(&self, level: u32, index: u64) -> Option<Digest> {
        if level == height(self.leaves) && index == 0 {
            return Some(self.root);
        }
        let holds = |(base, first, nodes): &&(u32, u64, Vec<Digest>)| {
            let from = index.checked_shl(level.wrapping_sub(*base)).unwrap_or(u64::MAX);
            level >= *base && level < *base + OPENED && from >= *first && from < *first + nodes.len() as u64
        };
        let (base, first, nodes) = self.opened.iter().find(holds)?;
        let (from, count) = ((index << (level - base)) - first, 1u64 << (level - base));
        let mine = &nodes[from as usize..nodes.len().min((from + count) as usize)];
        let mut row = mine.to_vec();
        while row.len() > 1 {
            row =
                row.chunks(2).map(|c| if let [l, r] = c { crate::tree::node(l, r) } else { c[0] }).collect();
        }
        row.first().copied()
    }
}

/// What the defender says a step was made from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StepOpening {
    /// The root over the states before it.
    pub before: Digest,
    /// What shows that these are the states after the step before; nothing for the first step.
    pub before_path: Vec<Digest>,
    /// The root over the states after it.
    pub after: Digest,
    /// Its program.
    pub program: Header,
    /// The root over its inputs.
    pub inputs: Digest,
    /// What shows that this program and these inputs were to be run in this step.
    pub schedule_path: Vec<Digest>,
    /// The root over all values of the program.
    pub trace: Digest,
}

/// A thing that is committed to, with the way to its tree's root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// What it is committed to as.
    pub commitment: Digest,
    /// The way up.
    pub path: Vec<Digest>,
}

/// One move.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Move {
    /// Defender: the nodes below the one the dispute has come to.
    Open(Vec<Digest>),
    /// Challenger: the first of them that is wrong.
    Choose(u64),
    /// Defender: what the step was made from.
    Step(Box<StepOpening>),
    /// Challenger: whether it is a value that is wrong (or else a state after the step).
    Side {
        /// A value.
        value: bool,
    },
    /// Challenger: the value is an input or a state, and this is what it should be.
    Given {
        /// The value's record.
        record: Record,
        /// What shows that it is.
        record_path: Vec<Digest>,
        /// What it should be.
        given: Shown,
    },
    /// Challenger: the value is made from these.
    Made {
        /// The value's record.
        record: Record,
        /// What shows that it is.
        record_path: Vec<Digest>,
        /// Its operands.
        operands: Vec<Shown>,
    },
    /// Challenger: the state becomes this value, or stays.
    Becomes {
        /// The value; `None` if it stays.
        value: Option<u32>,
        /// What shows that.
        path: Vec<Digest>,
        /// What it should be.
        given: Shown,
    },
    /// Defender: the root of the value's words.
    Root(Digest),
    /// Defender: the words of the leaf.
    Words(Vec<u32>),
    /// Challenger: the word that is wrong, of an element that has a chain.
    Element(u32),
    /// Challenger: the word that is wrong, and what it should follow from.
    Settle {
        /// The word.
        word: u32,
        /// What the rule reads, in its order.
        reads: Vec<Opening>,
    },
    /// Defender: the chain of the element.
    Chain {
        /// The root over its blocks.
        root: Digest,
        /// The last block, which ends in the element.
        last: Block,
        /// What shows that it is.
        path: Vec<Digest>,
    },
    /// Defender: the block.
    Block(Block),
    /// Challenger: the block reads a word that is another one.
    Misread {
        /// Which.
        read: u32,
        /// What it should be.
        opening: Opening,
    },
    /// Challenger: the block does not follow from the one before.
    Miscount {
        /// The block before, with the way up; `None` before the first.
        before: Option<(Block, Vec<Digest>)>,
    },
}

/// Why a move is not accepted. Nothing has changed then, but the clock runs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// The dispute is over.
    #[error("the dispute is decided: there is nothing left to say")]
    Over,
    /// Somebody else has to move.
    #[error("it is the {0:?}'s turn")]
    Turn(Party),
    /// Another kind of move is needed.
    #[error("the dispute is at {0:?}: this move does not belong there")]
    Stage(Stage),
    /// The clock has run out.
    #[error("the time for this move is up")]
    Late,
    /// A proof does not show what it should.
    #[error("{0} does not lead to what was committed to: show it as it was committed")]
    Proof(&'static str),
    /// The time is not up yet.
    #[error("the other side still has time to move")]
    Early,
}

/// A dispute over one claim.
#[derive(Clone, Debug)]
pub struct Dispute {
    claim: Claim,
    stage: Stage,
    walk: Walk,
    winner: Option<Party>,
    /// The seconds that each side has left, the defender's first; and since when the one whose turn it is thinks.
    left_s: [u64; 2],
    since_s: u64,
    moves: u32,
    /// The number of the wrong step.
    t: u64,
    step: Option<StepOpening>,
    /// The wrong value: its number, its record and what its operands are committed to as.
    value: Option<(u32, Record, Vec<Digest>)>,
    words: Vec<u32>,
    /// The wrong element and what the defender says it is.
    element: (u64, u32),
    block: Option<Block>,
}

impl Dispute {
    /// A dispute that begins now, with so many seconds for each side.
    pub fn new(claim: Claim, time_s: u64, now_s: u64) -> Dispute {
        let mut dispute = Dispute {
            claim,
            stage: Stage::Run,
            walk: Walk::new(claim.run, claim.terms.steps),
            winner: None,
            left_s: [time_s; 2],
            since_s: now_s,
            moves: 0,
            t: 0,
            step: None,
            value: None,
            words: Vec::new(),
            element: (0, 0),
            block: None,
        };
        dispute.arrive();
        dispute
    }

    /// The claim.
    pub fn claim(&self) -> &Claim {
        &self.claim
    }

    /// What it is at.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Who has won, when it is over.
    pub fn winner(&self) -> Option<Party> {
        self.winner
    }

    /// How many moves were made.
    pub fn moves(&self) -> u32 {
        self.moves
    }

    /// The descent it is in or has just ended.
    pub fn walk(&self) -> &Walk {
        &self.walk
    }

    /// The wrong step.
    pub fn wrong_step(&self) -> u64 {
        self.t
    }

    /// What the defender said of the wrong step.
    pub fn step(&self) -> Option<&StepOpening> {
        self.step.as_ref()
    }

    /// The wrong value, its record and what its operands are committed to as.
    pub fn value(&self) -> Option<(u32, &Record, &[Digest])> {
        self.value.as_ref().map(|(v, record, operands)| (*v, record, operands.as_slice()))
    }

    /// The words of the wrong leaf.
    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// The wrong element, and what the defender says it is.
    pub fn element(&self) -> (u64, u32) {
        self.element
    }

    /// The wrong block.
    pub fn block(&self) -> Option<&Block> {
        self.block.as_ref()
    }

    /// The seconds that a side has left, at the time of the last move.
    pub fn left_s(&self, party: Party) -> u64 {
        self.left_s[party as usize]
    }

    /// Who has to move; nobody when it is over.
    pub fn turn(&self) -> Option<Party> {
        let party = match self.stage {
            Stage::Over => return None,
            Stage::Run | Stage::Trace | Stage::After | Stage::Words | Stage::Blocks if self.walk.choosing => {
                Party::Challenger
            }
            Stage::Side | Stage::Value | Stage::Slot | Stage::Element | Stage::Last => Party::Challenger,
            _ => Party::Defender,
        };
        Some(party)
    }

    /// Ends the dispute if the time of the side that has to move is up. Anyone may.
    pub fn expire(&mut self, now_s: u64) -> Result<Party, Refusal> {
        let turn = self.turn().ok_or(Refusal::Over)?;
        if now_s.saturating_sub(self.since_s) <= self.left_s[turn as usize] {
            return Err(Refusal::Early);
        }
        self.win(turn.other());
        Ok(turn.other())
    }

    /// Makes a move.
    pub fn play(&mut self, party: Party, step: &Move, now_s: u64) -> Result<(), Refusal> {
        let turn = self.turn().ok_or(Refusal::Over)?;
        if party != turn {
            return Err(Refusal::Turn(turn));
        }
        let spent = now_s.saturating_sub(self.since_s);
        let left = self.left_s[turn as usize].checked_sub(spent).ok_or(Refusal::Late)?;
        self.apply(step)?;
        self.left_s[turn as usize] = left;
        self.since_s = self.since_s.max(now_s);
        self.moves += 1;
        Ok(())
    }

    fn apply(&mut self, step: &Move) -> Result<(), Refusal> {
        match (self.stage, step) {
            (Stage::Run | Stage::Trace | Stage::After | Stage::Words | Stage::Blocks, Move::Open(below))
                if !self.walk.choosing =>
            {
                self.open(below)
            }
            (
                Stage::Run | Stage::Trace | Stage::After | Stage::Words | Stage::Blocks,
                Move::Choose(child),
            ) if self.walk.choosing => self.choose(*child),
            (Stage::Step, Move::Step(opening)) => self.reveal(opening),
            (Stage::Side, Move::Side { value }) => self.side(*value),
            (Stage::Value, Move::Given { record, record_path, given }) => {
                self.given(record, record_path, given)
            }
            (Stage::Value, Move::Made { record, record_path, operands }) => {
                self.made(record, record_path, operands)
            }
            (Stage::Slot, Move::Becomes { value, path, given }) => self.becomes(*value, path, given),
            (Stage::Root, Move::Root(root)) => self.root(root),
            (Stage::Leaf, Move::Words(words)) => self.leaf(words),
            (Stage::Element, Move::Element(word)) => self.pick(*word),
            (Stage::Element, Move::Settle { word, reads }) => self.settle(*word, reads),
            (Stage::Chain, Move::Chain { root, last, path }) => self.chain(root, last, path),
            (Stage::Block, Move::Block(block)) => self.show_block(block),
            (Stage::Last, Move::Misread { read, opening }) => self.misread(*read, opening),
            (Stage::Last, Move::Miscount { before }) => self.miscount(before.as_ref()),
            (stage, _) => Err(Refusal::Stage(stage)),
        }
    }

    fn win(&mut self, party: Party) {
        self.winner = Some(party);
        self.stage = Stage::Over;
    }

    /// Decides: the challenger was right, or it was not.
    fn decide(&mut self, wrong: bool) {
        self.win(if wrong { Party::Challenger } else { Party::Defender });
    }

    fn walk_into(&mut self, stage: Stage, root: Digest, leaves: u64) {
        self.stage = stage;
        self.walk = Walk::new(root, leaves);
        self.arrive();
    }

    /// Goes on to the next stage if the descent has come to a leaf.
    fn arrive(&mut self) {
        if self.walk.level > 0 {
            return;
        }
        self.stage = match self.stage {
            Stage::Run => {
                self.t = self.walk.index;
                Stage::Step
            }
            Stage::Trace => Stage::Value,
            Stage::After => Stage::Slot,
            Stage::Words => Stage::Leaf,
            Stage::Blocks => Stage::Block,
            stage => stage,
        };
    }

    fn open(&mut self, below: &[Digest]) -> Result<(), Refusal> {
        let walk = &mut self.walk;
        if fold(walk.leaves, walk.level, walk.index, below) != Some(walk.at) {
            return Err(Refusal::Proof("what is opened"));
        }
        let down = walk.level.min(OPENED);
        walk.opened.push((walk.level - down, walk.index << down, below.to_vec()));
        walk.choosing = true;
        Ok(())
    }

    fn choose(&mut self, child: u64) -> Result<(), Refusal> {
        let walk = &mut self.walk;
        let (level, first, nodes) = walk.opened.last().ok_or(Refusal::Proof("the choice"))?;
        walk.at = *nodes.get(child as usize).ok_or(Refusal::Proof("the choice"))?;
        (walk.level, walk.index) = (*level, first + child);
        walk.choosing = false;
        self.arrive();
        Ok(())
    }

    fn reveal(&mut self, opening: &StepOpening) -> Result<(), Refusal> {
        let (t, Claim { terms, run }) = (self.t, self.claim);
        if state_after(t + 1, &opening.after) != self.walk.at {
            return Err(Refusal::Proof("the state after the step"));
        }
        let before = state_after(t, &opening.before);
        let right = match t.checked_sub(1) {
            None => before == terms.start && opening.before_path.is_empty(),
            Some(last) => climb(before, last, terms.steps, &opening.before_path) == Some(run),
        };
        if !right {
            return Err(Refusal::Proof("the state before the step"));
        }
        let due = scheduled(t, &opening.program.commitment(), &opening.inputs);
        if climb(due, t, terms.steps, &opening.schedule_path) != Some(terms.schedule) {
            return Err(Refusal::Proof("the step's program and inputs"));
        }
        self.step = Some(opening.clone());
        self.stage = Stage::Side;
        Ok(())
    }

    fn opened_step(&self) -> Result<&StepOpening, Refusal> {
        self.step.as_ref().ok_or(Refusal::Stage(self.stage))
    }

    fn side(&mut self, value: bool) -> Result<(), Refusal> {
        let step = self.opened_step()?;
        let (stage, root, leaves) = if value {
            (Stage::Trace, step.trace, step.program.values)
        } else {
            (Stage::After, step.after, step.program.slots)
        };
        self.walk_into(stage, root, u64::from(leaves));
        Ok(())
    }

    /// Whether the record is that of the value the dispute has come to.
    fn is_record(&self, record: &Record, path: &[Digest]) -> Result<(), Refusal> {
        let (step, value) = (self.opened_step()?, self.walk.index);
        let leads = climb(record.commitment(value as u32), value, u64::from(step.program.values), path);
        if leads == Some(step.program.records) { Ok(()) } else { Err(Refusal::Proof("the record")) }
    }

    fn given(&mut self, record: &Record, path: &[Digest], given: &Shown) -> Result<(), Refusal> {
        self.is_record(record, path)?;
        let step = self.opened_step()?;
        let (count, root) = match record.code {
            Opcode::Input => (step.program.inputs, step.inputs),
            Opcode::State => (step.program.slots, step.before),
            _ => return Err(Refusal::Proof("the record")),
        };
        let slot = u64::from(record.attributes[0]);
        if climb(given.commitment, slot, u64::from(count), &given.path) != Some(root) {
            return Err(Refusal::Proof("what the value should be"));
        }
        self.decide(given.commitment != self.walk.at);
        Ok(())
    }

    fn made(&mut self, record: &Record, path: &[Digest], operands: &[Shown]) -> Result<(), Refusal> {
        self.is_record(record, path)?;
        let leaf = matches!(record.code, Opcode::Input | Opcode::State);
        if leaf || operands.len() != record.operands.len() {
            return Err(Refusal::Proof("the record"));
        }
        let step = self.opened_step()?;
        for (shown, (value, _)) in operands.iter().zip(&record.operands) {
            let values = u64::from(step.program.values);
            if climb(shown.commitment, u64::from(*value), values, &shown.path) != Some(step.trace) {
                return Err(Refusal::Proof("an operand"));
            }
        }
        let commitments = operands.iter().map(|o| o.commitment).collect();
        self.value = Some((self.walk.index as u32, record.clone(), commitments));
        self.stage = Stage::Root;
        Ok(())
    }

    fn becomes(&mut self, value: Option<u32>, path: &[Digest], given: &Shown) -> Result<(), Refusal> {
        let (step, slot) = (self.opened_step()?, self.walk.index);
        let slots = u64::from(step.program.slots);
        let what = assignment(slot as u32, value.unwrap_or(KEPT));
        if climb(what, slot, slots, path) != Some(step.program.assigned) {
            return Err(Refusal::Proof("what the state becomes"));
        }
        let leads = match value {
            None => climb(given.commitment, slot, slots, &given.path) == Some(step.before),
            Some(value) => {
                let values = u64::from(step.program.values);
                climb(given.commitment, u64::from(value), values, &given.path) == Some(step.trace)
            }
        };
        if !leads {
            return Err(Refusal::Proof("what the state should be"));
        }
        self.decide(given.commitment != self.walk.at);
        Ok(())
    }

    fn record(&self) -> Result<(&Record, &[Digest]), Refusal> {
        let value = self.value.as_ref().ok_or(Refusal::Stage(self.stage))?;
        Ok((&value.1, &value.2))
    }

    fn root(&mut self, root: &Digest) -> Result<(), Refusal> {
        let ty = self.record()?.0.ty;
        if commitment(&ty, root) != self.walk.at {
            return Err(Refusal::Proof("the root of the value's words"));
        }
        let leaves = leaves(&ty);
        if leaves == 0 {
            // There is nothing in it that could be wrong but the root, which is zeros then.
            self.decide(*root != [0; 32]);
            return Ok(());
        }
        self.walk_into(Stage::Words, *root, leaves);
        Ok(())
    }

    fn leaf(&mut self, words: &[u32]) -> Result<(), Refusal> {
        let elements = self.record()?.0.ty.shape.elements() as u64;
        let count = (elements - self.walk.index * LEAF as u64).min(LEAF as u64);
        if words.len() as u64 != count || words_leaf(words) != self.walk.at {
            return Err(Refusal::Proof("the words of the leaf"));
        }
        self.words = words.to_vec();
        self.stage = Stage::Element;
        Ok(())
    }

    fn point_at(&mut self, word: u32) -> Result<(), Refusal> {
        let says = *self.words.get(word as usize).ok_or(Refusal::Proof("the element"))?;
        self.element = (self.walk.index * LEAF as u64 + u64::from(word), says);
        Ok(())
    }

    fn pick(&mut self, word: u32) -> Result<(), Refusal> {
        if rule::blocks(self.record()?.0) == 0 {
            return Err(Refusal::Stage(self.stage));
        }
        self.point_at(word)?;
        self.stage = Stage::Chain;
        Ok(())
    }

    fn settle(&mut self, word: u32, openings: &[Opening]) -> Result<(), Refusal> {
        if rule::blocks(self.record()?.0) > 0 {
            return Err(Refusal::Stage(self.stage));
        }
        let says = *self.words.get(word as usize).ok_or(Refusal::Proof("the element"))?;
        let element = self.walk.index * LEAF as u64 + u64::from(word);
        let (record, operands) = self.record()?;
        let mut reads = Vec::new();
        while let Some((operand, index)) = rule::read(record, element, 0, reads.len(), &reads) {
            let shown = openings
                .get(reads.len())
                .and_then(|opening| opening.element(&record.operands[operand].1, &operands[operand], index));
            reads.push(shown.ok_or(Refusal::Proof("an element that is read"))?);
        }
        if reads.len() != openings.len() {
            return Err(Refusal::Proof("an element that is read"));
        }
        let right = rule::run(record, element, 0, &[], &reads);
        self.element = (element, says);
        self.decide(right != Some(vec![says]));
        Ok(())
    }

    fn chain(&mut self, root: &Digest, last: &Block, path: &[Digest]) -> Result<(), Refusal> {
        let blocks = rule::blocks(self.record()?.0);
        if climb(last.commitment(), blocks - 1, blocks, path) != Some(*root) || last.state != [self.element.1]
        {
            return Err(Refusal::Proof("the last block"));
        }
        self.walk_into(Stage::Blocks, *root, blocks);
        Ok(())
    }

    fn show_block(&mut self, block: &Block) -> Result<(), Refusal> {
        if block.commitment() != self.walk.at {
            return Err(Refusal::Proof("the block"));
        }
        self.block = Some(block.clone());
        self.stage = Stage::Last;
        Ok(())
    }

    fn misread(&mut self, read: u32, opening: &Opening) -> Result<(), Refusal> {
        let (record, operands) = self.record()?;
        let reads = &self.block.as_ref().ok_or(Refusal::Stage(self.stage))?.reads;
        let says = *reads.get(read as usize).ok_or(Refusal::Proof("the word that is read"))?;
        let (operand, index) = rule::read(record, self.element.0, self.walk.index, read as usize, reads)
            .ok_or(Refusal::Proof("the word that is read"))?;
        let right = opening
            .element(&record.operands[operand].1, &operands[operand], index)
            .ok_or(Refusal::Proof("the word that is read"))?;
        self.decide(right != says);
        Ok(())
    }

    fn miscount(&mut self, before: Option<&(Block, Vec<Digest>)>) -> Result<(), Refusal> {
        let block = self.block.as_ref().ok_or(Refusal::Stage(self.stage))?;
        let (at, blocks, record) = (self.walk.index, self.walk.leaves, self.record()?.0);
        let state = match (at.checked_sub(1), before) {
            (None, None) => &[][..],
            (Some(last), Some((before, path)))
                if climb(before.commitment(), last, blocks, path) == Some(self.walk.root) =>
            {
                &before.state
            }
            _ => return Err(Refusal::Proof("the block before")),
        };
        let right = rule::run(record, self.element.0, at, state, &block.reads);
        let wrong = right.as_ref() != Some(&block.state);
        self.decide(wrong);
        Ok(())
    }
}
