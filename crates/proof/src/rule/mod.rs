//! The rules: how one element of one operation follows from elements of its operands, a few scalar steps at a time.
//!
//! This is what the referee contract computes, in Rust. The tests compare it with `exact`'s scalar device for every operation, and the
//! contract with it. Elements are 32-bit words; a float is never a NaN but the canonical one.
//!
//! Most elements are settled at once, from a handful of operand elements. The others are *chains*: blocks of at most 64 scalar steps,
//! each of which reads elements and carries a state of a few words on to the next.

mod chain;
mod place;

use exact::{BinaryFn, UnaryFn, scalar};

use crate::record::{COMPARE, INT, Opcode, Record};
use place::Place;

/// The most scalar steps in a block.
pub const BLOCK: u64 = 64;

/// How many blocks the chain of one element has; 0 if there is none and the element is settled at once.
pub fn blocks(record: &Record) -> u64 {
    chain::blocks(record)
}

/// Where read number `j` of a block comes from, given the words read before: an operand and an element of it.
///
/// `None` if there is no such read: all has been read, or what has been read leaves the element without a value.
pub fn read(record: &Record, element: u64, block: u64, j: usize, before: &[u32]) -> Option<(usize, u64)> {
    if chain::blocks(record) > 0 {
        return chain::read(record, element, block, j);
    }
    let at = Place { record, element };
    let same = |operand: usize| Some((operand, element));
    let stretched = |operand: usize| Some((operand, at.stretched(operand)));
    match (record.code, j) {
        (Opcode::Unit | Opcode::Copy | Opcode::Unary | Opcode::ToFloat, 0) => same(0),
        (Opcode::Philox, 0..4) => Some((0, element / at.last() * 4 + j as u64)),
        (Opcode::Binary | Opcode::Compare | Opcode::Int, 0..2) | (Opcode::Fma, 0..3) => stretched(j),
        (Opcode::Select | Opcode::Broadcast, 0) => stretched(0),
        (Opcode::Select, 1) => stretched(if *before.first()? == 0 { 2 } else { 1 }),
        (Opcode::Permute, 0) => Some((0, at.permuted())),
        (Opcode::Slice, 0) => Some((0, at.sliced())),
        (Opcode::Pad, 0) => Some((0, at.padded()?)),
        (Opcode::Concat, 0) => Some(at.concatenated()),
        (Opcode::Flip, 0) => Some((0, at.flipped())),
        (Opcode::Gather, 0) => Some((1, element / at.row_of(0))),
        (Opcode::Gather, 1) => {
            let row = at.row_of(0);
            Place::below(*before.first()?, at.dim(0, 0)).map(|id| (0, id * row + element % row))
        }
        (Opcode::Pick, 0) => same(1),
        (Opcode::Pick, 1) => {
            let n = at.last_of(0);
            Place::below(*before.first()?, n).map(|id| (0, element * n + id))
        }
        (Opcode::Place, 0) => Some((0, element / at.last())),
        (Opcode::Place, 1) => {
            let n = at.last();
            (u64::from(*before.first()?) == element % n).then_some((1, element / n))
        }
        (Opcode::WriteRows, 0) => Some((2, at.batch())),
        (Opcode::WriteRows, 1) => at.written(*before.first()?),
        (Opcode::Im2col, 0) => Some((0, at.patch()?)),
        (Opcode::Unpack, 0) => Some((0, at.packed().0)),
        (Opcode::Unpack, 1..3) => Some((j, at.packed().1)),
        _ => None,
    }
}

/// Executes one block, from the state after the block before (nothing, for the first).
///
/// Gives the state after it; after the last block that is the element's value alone. `None` if the element has no value, or if
/// the state or the reads have another length than the rule gives them.
pub fn run(record: &Record, element: u64, block: u64, state: &[u32], reads: &[u32]) -> Option<Vec<u32>> {
    if chain::blocks(record) > 0 {
        return chain::run(record, element, block, state, reads);
    }
    if block != 0 || !state.is_empty() {
        return None;
    }
    // The reads are complete if there is no further one, and each that there is has its place.
    let complete = (0..reads.len()).all(|j| read(record, element, 0, j, &reads[..j]).is_some())
        && read(record, element, 0, reads.len(), reads).is_none();
    if !complete {
        return None;
    }
    value(record, element, reads).map(|word| vec![word])
}

/// The element's value from its reads, for what has no chain.
fn value(record: &Record, element: u64, reads: &[u32]) -> Option<u32> {
    let at = Place { record, element };
    let function = usize::from(record.function);
    match record.code {
        Opcode::Full => Some(record.attributes[0]),
        Opcode::Iota => Some(at.iota() as u32),
        Opcode::Philox => {
            let [low, high, stream, position] = <[u32; 4]>::try_from(reads).ok()?;
            let i = element % at.last();
            let words = scalar::philox([(i / 4) as u32, position, stream, 0], [low, high]);
            Some(words[(i % 4) as usize])
        }
        Opcode::Unit => Some(scalar::unit(*reads.first()?)),
        Opcode::ToFloat => Some(scalar::to_float(*reads.first()?)),
        Opcode::Unary => Some(scalar::unary(*UnaryFn::ALL.get(function)?, *reads.first()?)),
        Opcode::Binary => {
            Some(scalar::binary(*BinaryFn::ALL.get(function)?, *reads.first()?, *reads.get(1)?))
        }
        Opcode::Compare => Some(scalar::compare(*COMPARE.get(function)?, *reads.first()?, *reads.get(1)?)),
        Opcode::Int => scalar::int(*INT.get(function)?, *reads.first()?, *reads.get(1)?),
        Opcode::Fma => Some(scalar::fma(*reads.first()?, *reads.get(1)?, *reads.get(2)?)),
        // The first read says which element is the value; without a second there is none.
        Opcode::Select | Opcode::Gather | Opcode::Pick | Opcode::WriteRows => reads.get(1).copied(),
        Opcode::Place => {
            let id = u64::from(*reads.first()?);
            (id < at.last()).then(|| reads.get(1).copied().unwrap_or(0))
        }
        Opcode::Copy
        | Opcode::Permute
        | Opcode::Broadcast
        | Opcode::Slice
        | Opcode::Concat
        | Opcode::Flip => reads.first().copied(),
        // Outside there are zeros.
        Opcode::Pad | Opcode::Im2col => Some(reads.first().copied().unwrap_or(0)),
        Opcode::Unpack => {
            let [word, scale, shift] = <[u32; 3]>::try_from(reads).ok()?;
            let q = word >> at.packed().2 & ((1 << record.attributes[0]) - 1);
            Some(scalar::fma(scalar::to_float(q), scale, shift))
        }
        _ => None,
    }
}

/// `a + b` of two numbers.
fn add(a: u32, b: u32) -> u32 {
    scalar::binary(BinaryFn::Add, a, b)
}

/// The greater of two numbers.
fn max(a: u32, b: u32) -> u32 {
    scalar::binary(BinaryFn::Max, a, b)
}

/// The ranks of a row's elements: what [`Opcode::Rank`] gives, all at once.
pub(crate) fn ranks(row: &[u32]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|a, b| {
        let (x, y) = (row[*a], row[*b]);
        chain::above(y, x).cmp(&chain::above(x, y)).then(a.cmp(b))
    });
    let mut ranks = vec![0; row.len()];
    for (rank, i) in (0..).zip(order) {
        ranks[i] = rank;
    }
    ranks
}

/// The sums before each of a row's elements: what [`Opcode::Running`] gives, all at once.
pub(crate) fn running(row: &[u32]) -> Vec<u32> {
    let before = |sum: &mut u32, x: &u32| {
        let so_far = *sum;
        *sum = add(so_far, *x);
        Some(so_far)
    };
    row.iter().scan(0, before).collect()
}
