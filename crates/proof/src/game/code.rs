//! Moves as bytes: what the contract is sent, and what others read from its events.
//!
//! Numbers are big-endian; a blob has its length before it in two bytes, hashes have their number before them in one. With a move
//! goes what the contract needs of earlier ones, since it keeps only hashes of them.

use super::{Dispute, Move, Shown, StepOpening, Walk};
use crate::graph::{Header, KEPT};
use crate::hash::{Digest, bytes};
use crate::record::Record;
use crate::run::Block;
use crate::tensor::Opening;
use crate::tree::{OPENED, width};

/// The most bytes a move has.
pub const MAX_MOVE_BYTES: usize = 64 << 10;

struct Writer(Vec<u8>);

impl Writer {
    fn byte(&mut self, byte: u8) -> &mut Self {
        self.0.push(byte);
        self
    }
    fn hash(&mut self, hash: &Digest) -> &mut Self {
        self.0.extend(hash);
        self
    }
    fn hashes(&mut self, hashes: &[Digest]) -> &mut Self {
        self.0.push(hashes.len() as u8);
        self.0.extend(hashes.iter().flatten());
        self
    }
    fn blob(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend((bytes.len() as u16).to_be_bytes());
        self.0.extend(bytes);
        self
    }
    fn words(&mut self, words: &[u32]) -> &mut Self {
        self.blob(&bytes(words))
    }
    fn opening(&mut self, opening: &Opening) -> &mut Self {
        self.hash(&opening.root).words(&opening.words).hashes(&opening.path)
    }
    fn shown(&mut self, shown: &Shown) -> &mut Self {
        self.hash(&shown.commitment).hashes(&shown.path)
    }
    fn block(&mut self, block: &Block) -> &mut Self {
        self.words(&block.state).words(&block.reads)
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (part, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(part)
    }
    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }
    fn number(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }
    fn hash(&mut self) -> Option<Digest> {
        self.take(32)?.try_into().ok()
    }
    fn hashes(&mut self) -> Option<Vec<Digest>> {
        (0..self.byte()?).map(|_| self.hash()).collect()
    }
    fn blob(&mut self) -> Option<&'a [u8]> {
        let count = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        self.take(usize::from(count))
    }
    fn words(&mut self) -> Option<Vec<u32>> {
        let (words, rest) = self.blob()?.as_chunks::<4>();
        rest.is_empty().then(|| words.iter().map(|w| u32::from_le_bytes(*w)).collect())
    }
    fn opening(&mut self) -> Option<Opening> {
        Some(Opening { root: self.hash()?, words: self.words()?, path: self.hashes()? })
    }
    fn shown(&mut self) -> Option<Shown> {
        Some(Shown { commitment: self.hash()?, path: self.hashes()? })
    }
    fn block(&mut self) -> Option<Block> {
        Some(Block { state: self.words()?, reads: self.words()? })
    }
    fn step(&mut self) -> Option<StepOpening> {
        let (before, after) = (self.hash()?, self.hash()?);
        let (inputs, values, slots) = (self.number()?, self.number()?, self.number()?);
        let program = Header { inputs, values, slots, records: self.hash()?, assigned: self.hash()? };
        let (inputs, trace) = (self.hash()?, self.hash()?);
        let (before_path, schedule_path) = (Vec::new(), Vec::new());
        Some(StepOpening { before, before_path, after, program, inputs, schedule_path, trace })
    }
    fn record(&mut self) -> Option<Record> {
        Record::decode(self.blob()?)
    }
    /// The operation that goes with later moves.
    fn operation(&mut self) -> Option<()> {
        self.record()?;
        self.hashes().map(drop)
    }
}

/// The step as it was opened, without the ways to the roots.
fn opened(step: &StepOpening) -> Vec<u8> {
    let p = &step.program;
    let numbers = [p.inputs, p.values, p.slots].map(u32::to_be_bytes).concat();
    [&step.before[..], &step.after, &numbers, &p.records, &p.assigned, &step.inputs, &step.trace].concat()
}

/// A chosen node's way up to the node it was opened from.
fn way(walk: &Walk, child: u64) -> Vec<Digest> {
    let Some((level, first, _)) = walk.opened.last() else { return Vec::new() };
    let (mut at, mut path) = (first + child, Vec::new());
    for above in *level..(*level + OPENED).min(walk.level) {
        if at ^ 1 < width(walk.leaves, above) {
            path.extend(walk.node(above, at ^ 1));
        }
        at /= 2;
    }
    path
}

impl Dispute {
    /// A move as the contract is sent it, when the dispute is where it is now.
    pub fn encode(&self, step: &Move) -> Vec<u8> {
        let mut w = Writer(Vec::new());
        let again = || self.step.as_ref().map(opened).unwrap_or_default();
        let operation = |w: &mut Writer| {
            if let Some((_, record, operands)) = &self.value {
                w.blob(&record.encode()).hashes(operands);
            }
        };
        let said = |w: &mut Writer| {
            if let Some(block) = &self.block {
                w.block(block);
            }
        };
        match step {
            Move::Open(below) => {
                w.byte(0).hashes(below);
            }
            Move::Choose(child) => {
                let nodes = self.walk.opened.last().map(|(_, _, nodes)| nodes.as_slice());
                let node = nodes.and_then(|nodes| nodes.get(*child as usize)).copied().unwrap_or_default();
                w.byte(1).byte(*child as u8).hash(&node).hashes(&way(&self.walk, *child));
            }
            Move::Step(opening) => {
                w.byte(2).0.extend(opened(opening));
                w.hashes(&opening.before_path).hashes(&opening.schedule_path);
            }
            Move::Side { value } => {
                w.byte(3).0.extend(again());
                w.byte(u8::from(*value));
            }
            Move::Given { record, record_path, given } => {
                w.byte(4).0.extend(again());
                w.blob(&record.encode()).hashes(record_path).shown(given);
            }
            Move::Made { record, record_path, operands } => {
                w.byte(5).0.extend(again());
                w.blob(&record.encode()).hashes(record_path);
                for operand in operands {
                    w.shown(operand);
                }
            }
            Move::Becomes { value, path, given } => {
                w.byte(6).0.extend(again());
                w.0.extend(value.unwrap_or(KEPT).to_be_bytes());
                w.hashes(path).shown(given);
            }
            Move::Root(root) => {
                operation(w.byte(7));
                w.hash(root);
            }
            Move::Words(words) => {
                w.byte(8).words(words);
            }
            Move::Element(word) => {
                operation(w.byte(9));
                w.words(&self.words).byte(*word as u8);
            }
            Move::Settle { word, reads } => {
                operation(w.byte(10));
                w.words(&self.words).byte(*word as u8).byte(reads.len() as u8);
                for opening in reads {
                    w.opening(opening);
                }
            }
            Move::Chain { root, last, path } => {
                w.byte(11).hash(root).block(last).hashes(path);
            }
            Move::Block(block) => {
                w.byte(12).block(block);
            }
            Move::Misread { read, opening } => {
                operation(w.byte(13));
                said(&mut w);
                w.byte(*read as u8).opening(opening);
            }
            Move::Miscount { before } => {
                operation(w.byte(14));
                said(&mut w);
                if let Some((block, path)) = before {
                    w.block(block).hashes(path);
                }
            }
        }
        w.0
    }
}

impl Move {
    /// The move of these bytes, which may come from anyone; what goes with it of earlier moves is passed over.
    pub fn decode(bytes: &[u8]) -> Option<Move> {
        let mut r = Reader(bytes.get(..bytes.len().min(MAX_MOVE_BYTES))?);
        let kind = r.byte()?;
        let step = match kind {
            0 => Move::Open(r.hashes()?),
            1 => {
                let child = u64::from(r.byte()?);
                r.hash()?;
                r.hashes()?;
                Move::Choose(child)
            }
            2 => {
                let mut step = r.step()?;
                (step.before_path, step.schedule_path) = (r.hashes()?, r.hashes()?);
                Move::Step(Box::new(step))
            }
            3 => {
                r.step()?;
                Move::Side { value: r.byte()? == 1 }
            }
            4 => {
                r.step()?;
                Move::Given { record: r.record()?, record_path: r.hashes()?, given: r.shown()? }
            }
            5 => {
                r.step()?;
                let (record, record_path) = (r.record()?, r.hashes()?);
                let operands = record.operands.iter().map(|_| r.shown()).collect::<Option<_>>()?;
                Move::Made { record, record_path, operands }
            }
            6 => {
                r.step()?;
                let value = Some(r.number()?).filter(|v| *v != KEPT);
                Move::Becomes { value, path: r.hashes()?, given: r.shown()? }
            }
            7 => {
                r.operation()?;
                Move::Root(r.hash()?)
            }
            8 => Move::Words(r.words()?),
            9 => {
                r.operation()?;
                r.words()?;
                Move::Element(u32::from(r.byte()?))
            }
            10 => {
                r.operation()?;
                r.words()?;
                let word = u32::from(r.byte()?);
                let reads = (0..r.byte()?).map(|_| r.opening()).collect::<Option<_>>()?;
                Move::Settle { word, reads }
            }
            11 => Move::Chain { root: r.hash()?, last: r.block()?, path: r.hashes()? },
            12 => Move::Block(r.block()?),
            13 => {
                r.operation()?;
                r.block()?;
                Move::Misread { read: u32::from(r.byte()?), opening: r.opening()? }
            }
            14 => {
                r.operation()?;
                r.block()?;
                let before = if r.0.is_empty() { None } else { Some((r.block()?, r.hashes()?)) };
                Move::Miscount { before }
            }
            _ => return None,
        };
        (bytes.len() <= MAX_MOVE_BYTES && r.0.is_empty()).then_some(step)
    }
}
