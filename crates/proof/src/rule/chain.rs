//! Elements that take many scalar steps: products, folds, searches.

use exact::{CompareFn, scalar};

use super::place::Place;
use super::{BLOCK, add, max};
use crate::record::{Opcode, Record};

/// K is cut at multiples of this.
const CUT: u64 = 512;
/// An axis is folded by this many lanes.
const LANES: usize = 64;

/// How many scalar steps the whole chain has; `None` if the element needs no chain.
fn length(record: &Record) -> Option<u64> {
    let along = |axis: usize| record.operands[0].1.shape.dim(axis) as u64;
    let axis = record.attributes[0] as usize;
    match record.code {
        Opcode::Matmul | Opcode::RaggedMatmul => {
            let rank = record.operands[0].1.shape.rank();
            Some(along(if record.attributes[0] == 0 { rank - 1 } else { rank - 2 }))
        }
        Opcode::Sum | Opcode::Dot | Opcode::Max => Some(along(axis)),
        Opcode::ArgMax | Opcode::Rank | Opcode::Running => Some(record.operands[0].1.shape.last() as u64),
        Opcode::ScatterAdd => Some(record.operands[0].1.shape.elements() as u64),
        _ => None,
    }
}

/// Whether the last block folds the lanes rather than reads.
fn folds(record: &Record) -> bool {
    matches!(record.code, Opcode::Sum | Opcode::Dot)
}

pub(super) fn blocks(record: &Record) -> u64 {
    let Some(length) = length(record) else { return 0 };
    length.div_ceil(BLOCK).max(1) + u64::from(folds(record))
}

/// The first step of a block, and how many it has.
fn steps(record: &Record, block: u64) -> (u64, u64) {
    let (from, length) = (block * BLOCK, length(record).unwrap_or(0));
    (from, length.saturating_sub(from).min(BLOCK))
}

/// How many words each step reads, and how many are read before the first.
fn reads_per(code: Opcode) -> (u64, u64) {
    match code {
        Opcode::Matmul | Opcode::Dot | Opcode::ScatterAdd => (2, 0),
        Opcode::RaggedMatmul => (2, 2),
        Opcode::Rank => (1, 1),
        _ => (1, 0),
    }
}

/// How many words a block reads.
fn count(record: &Record, block: u64) -> u64 {
    if folds(record) && block + 1 == blocks(record) {
        return 0;
    }
    let (per, first) = reads_per(record.code);
    first + per * steps(record, block).1
}

pub(super) fn read(record: &Record, element: u64, block: u64, j: usize) -> Option<(usize, u64)> {
    let j = j as u64;
    if block >= blocks(record) || j >= count(record, block) {
        return None;
    }
    let at = Place { record, element };
    let (per, first) = reads_per(record.code);
    let from = steps(record, block).0;
    // The step that the word is read for, and which of its words it is.
    let (step, which) = if j < first { (0, 0) } else { (from + (j - first) / per, (j - first) % per) };
    match record.code {
        Opcode::RaggedMatmul if j < 2 => Some((2 + j as usize, element / at.last())),
        Opcode::Matmul | Opcode::RaggedMatmul => Some(product(record, element, step, which)),
        Opcode::Sum | Opcode::Max => Some((0, along(record, element, step))),
        Opcode::Dot => Some((which as usize, along(record, element, step))),
        Opcode::ArgMax => Some((0, element * at.last_of(0) + step)),
        Opcode::ScatterAdd => {
            let row = at.record.ty.shape.iter().skip(1).map(|d| d as u64).product::<u64>();
            Some(if which == 0 { (0, step) } else { (1, step * row + element % row) })
        }
        Opcode::Rank if j == 0 => Some((0, element)),
        Opcode::Rank | Opcode::Running => Some((0, element / at.last() * at.last() + step)),
        _ => None,
    }
}

/// Where step k of an element of a matrix product finds its factor from either operand.
fn product(record: &Record, element: u64, k_at: u64, which: u64) -> (usize, u64) {
    let shape = &record.ty.shape;
    let rank = shape.rank();
    let (m, n) = (shape.dim(rank - 2) as u64, shape.dim(rank - 1) as u64);
    let k = length(record).unwrap_or(0);
    let (batch, row, column) = (element / (m * n), element / n % m, element % n);
    if which == 0 {
        (0, batch * m * k + if record.attributes[0] != 0 { k_at * m + row } else { row * k + k_at })
    } else {
        (1, batch * k * n + if record.attributes[1] != 0 { column * k + k_at } else { k_at * n + column })
    }
}

/// Element `step` of the axis that is folded into this element.
fn along(record: &Record, element: u64, step: u64) -> u64 {
    let (_, n, inner) = record.operands[0].1.shape.around(record.attributes[0] as usize);
    let (n, inner) = (n as u64, inner as u64);
    (element / inner * n + step) * inner + element % inner
}

pub(super) fn run(
    record: &Record,
    element: u64,
    block: u64,
    state: &[u32],
    reads: &[u32],
) -> Option<Vec<u32>> {
    let begin = begin(record);
    let last = block + 1 == blocks(record);
    if block >= blocks(record) || reads.len() as u64 != count(record, block) {
        return None;
    }
    let mut state = match (block, state.is_empty()) {
        (0, true) => begin,
        (1.., false) if state.len() == begin.len() => state.to_vec(),
        _ => return None,
    };
    let (from, steps) = steps(record, block);
    match record.code {
        Opcode::Matmul => {
            let range = 0..length(record)?;
            multiply(&mut state, range.clone(), from..from + steps, reads);
            Some(if last { vec![total(&state, range)] } else { state })
        }
        Opcode::RaggedMatmul => {
            let (lo, hi) = (u64::from(reads[0]), u64::from(reads[1]));
            if lo > hi || hi > length(record)? {
                return None;
            }
            multiply(&mut state, lo..hi, from..from + steps, &reads[2..]);
            Some(if last { vec![total(&state, lo..hi)] } else { state })
        }
        Opcode::Sum | Opcode::Dot if last => Some(vec![halve(state)]),
        Opcode::Sum => {
            state.iter_mut().zip(reads).for_each(|(lane, x)| *lane = add(*lane, *x));
            Some(state)
        }
        Opcode::Dot => {
            let pairs = reads.as_chunks::<2>().0;
            state.iter_mut().zip(pairs).for_each(|(lane, [a, b])| *lane = scalar::fma(*a, *b, *lane));
            Some(state)
        }
        Opcode::Max => Some(vec![reads.iter().fold(state[0], |m, x| max(m, *x))]),
        Opcode::ArgMax => {
            for (step, x) in (from..).zip(reads) {
                if step == 0 || above(*x, state[1]) {
                    state = vec![step as u32, *x];
                }
            }
            state.truncate(if last { 1 } else { 2 });
            Some(state)
        }
        Opcode::ScatterAdd => {
            let at = Place { record, element };
            let row = at.record.ty.shape.iter().skip(1).map(|d| d as u64).product::<u64>();
            for [id, x] in reads.as_chunks::<2>().0 {
                if *id >= record.attributes[0] {
                    return None;
                }
                if u64::from(*id) == element / row {
                    state[0] = add(state[0], *x);
                }
            }
            Some(state)
        }
        Opcode::Rank => {
            let n = record.operands[0].1.shape.last() as u64;
            let (own, i) = (reads[0], element % n);
            let before = |(j, x): &(u64, &u32)| above(**x, own) || (*j < i && !above(own, **x));
            let more = (from..).zip(&reads[1..]).filter(before).count();
            Some(vec![state[0].wrapping_add(more as u32)])
        }
        Opcode::Running => {
            let before = (element % record.operands[0].1.shape.last() as u64).saturating_sub(from);
            Some(vec![reads.iter().take(before as usize).fold(state[0], |sum, x| add(sum, *x))])
        }
        _ => None,
    }
}

/// The state before the first block.
fn begin(record: &Record) -> Vec<u32> {
    match record.code {
        Opcode::Sum | Opcode::Dot => vec![0; LANES],
        Opcode::Max => vec![f32::NEG_INFINITY.to_bits()],
        Opcode::ScatterAdd | Opcode::Rank | Opcode::Running => vec![0],
        // Products: the sum of the cuts that are done, and that of this one. Searches: the index and the element.
        _ => vec![0, 0],
    }
}

/// Steps of a product: only those in `range` count.
fn multiply(state: &mut [u32], range: std::ops::Range<u64>, steps: std::ops::Range<u64>, reads: &[u32]) {
    for (k, [a, b]) in steps.zip(reads.as_chunks::<2>().0) {
        if !range.contains(&k) {
            continue;
        }
        if k.is_multiple_of(CUT) && k > range.start {
            state[0] = close(state, k - 1, range.start);
            state[1] = 0;
        }
        state[1] = scalar::fma(*a, *b, state[1]);
    }
}

/// The sum of all cuts up to the one that step k is in. The first is not added to anything: `0 + -0` would lose a sign.
fn close(state: &[u32], k: u64, start: u64) -> u32 {
    if k / CUT == start / CUT { state[1] } else { add(state[0], state[1]) }
}

fn total(state: &[u32], range: std::ops::Range<u64>) -> u32 {
    if range.is_empty() { 0 } else { close(state, range.end - 1, range.start) }
}

/// The lanes as one number: the upper half is added onto the lower until one is left.
fn halve(mut lanes: Vec<u32>) -> u32 {
    while lanes.len() > 1 {
        let upper = lanes.split_off(lanes.len() / 2);
        lanes.iter_mut().zip(upper).for_each(|(low, high)| *low = add(*low, high));
    }
    lanes[0]
}

/// Whether one number comes before another in descending order, NaN first.
pub(super) fn above(a: u32, b: u32) -> bool {
    let nan = |x: u32| x & 0x7fff_ffff > 0x7f80_0000;
    if nan(a) { !nan(b) } else { !nan(b) && scalar::compare(CompareFn::Lt, b, a) == 1 }
}
