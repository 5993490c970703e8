//! What a dispute costs over a step so large that nobody could make it here: only the way to one wrong block is made up.

use std::fmt::Write as _;

use exact::{DType, Op, Shape, Type};
use proof::game::{Dispute, Move, Party, Shown, StepOpening, Walk};
use proof::tree::{OPENED, fold, height, width};
use proof::{Block, Claim, Digest, Header, Record, Terms, rule};

use crate::court::{Court, TIME};

/// A tree of which only what lies beside the way to one leaf is there, and a neighbour of that leaf.
struct Sparse(Walk);

/// A hash that is nothing's.
fn noise(seed: &mut u64) -> Digest {
    std::array::from_fn(|_| {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*seed >> 40) as u8
    })
}

impl Sparse {
    /// Of so many leaves, with these in it; they lie side by side.
    fn new(leaves: u64, known: &[(u64, Digest)], seed: &mut u64) -> Sparse {
        let (target, mut node) = *known.last().unwrap();
        let (top, mut base, mut opened) = (height(leaves), 0, Vec::new());
        while base < top {
            let span = if base == 0 && top % OPENED != 0 { top % OPENED } else { OPENED };
            let above = target >> (base + span);
            let first = above << span;
            let count = (1 << span).min(width(leaves, base) - first);
            let mut nodes: Vec<Digest> = (0..count).map(|_| noise(seed)).collect();
            if base == 0 {
                for (at, leaf) in known {
                    nodes[(at - first) as usize] = *leaf;
                }
            }
            nodes[((target >> base) - first) as usize] = node;
            node = fold(leaves, base + span, above, &nodes).unwrap();
            opened.insert(0, (base, first, nodes));
            base += span;
        }
        Sparse(Walk { leaves, level: top, index: 0, at: node, root: node, opened, choosing: false })
    }

    fn path(&self, leaf: u64) -> Vec<Digest> {
        let beside = |level: u32| (level, (leaf >> level) ^ 1);
        let there = |(level, at): &(u32, u64)| *at < width(self.0.leaves, *level);
        (0..height(self.0.leaves))
            .map(beside)
            .filter(there)
            .map(|(l, at)| self.0.node(l, at).unwrap())
            .collect()
    }

    /// The moves down to a leaf.
    fn descent(&self, leaf: u64) -> Vec<(Party, Move)> {
        let of = |(base, first, nodes): &(u32, u64, Vec<Digest>)| {
            let open = (Party::Defender, Move::Open(nodes.clone()));
            [open, (Party::Challenger, Move::Choose((leaf >> base) - first))]
        };
        self.0.opened.iter().flat_map(of).collect()
    }
}

/// The gas of all transactions, how many there were, how often the sides took turns, and what each kind took.
pub(crate) struct Bill {
    pub(crate) gas: u64,
    pub(crate) moves: u32,
    pub(crate) rounds: u32,
    pub(crate) table: String,
}

/// A dispute over one element of a matrix product of `m x k x n` fused multiply-adds, in a program of so many values.
pub(crate) fn product(m: usize, k: usize, n: usize, values: u32) -> Bill {
    let mut seed = 7;
    let ty = |dims: &[usize]| Type { dtype: DType::F32, shape: Shape::new(dims).unwrap() };
    let value = values - 3;
    let operands = [(value - 1, ty(&[m, k])), (value - 2, ty(&[k, n]))];
    let record = Record::new(&Op::Matmul { ta: false, tb: false }, ty(&[m, n]), &operands).unwrap();

    // The chain: a block that does not follow from the one before, and after it the last one, which ends in the element.
    let blocks = rule::blocks(&record);
    let wrong = blocks - 2;
    let word =
        |seed: &mut u64| 0x3f00_0000 | u32::from_le_bytes(noise(seed)[..4].try_into().unwrap()) & 0x00ff_ffff;
    let reads = |seed: &mut u64| (0..128).map(|_| word(seed)).collect::<Vec<u32>>();
    let before = Block { state: vec![word(&mut seed), word(&mut seed)], reads: reads(&mut seed) };
    let lie = Block { state: vec![1, 2], reads: reads(&mut seed) };
    // The tensor: a leaf of words, one of which is disputed.
    let words: Vec<u32> = (0..64).map(|_| word(&mut seed)).collect();
    let leaves = (m * n).div_ceil(64) as u64;
    let leaf = leaves / 3;
    let hash = proof::words_leaf(&words);
    let tensor = Sparse::new(leaves, &[(leaf, hash)], &mut seed);
    let commitment = proof::commitment(&record.ty, &tensor.0.root);

    // The step: a claim of one step whose states are anything.
    let shown = [noise(&mut seed), noise(&mut seed)];
    let (v, u) = (u64::from(value), u64::from(value) - 2);
    let trace =
        Sparse::new(u64::from(values), &[(u, shown[1]), (v - 1, shown[0]), (v, commitment)], &mut seed);
    let records = Sparse::new(u64::from(values), &[(v, record.commitment(value))], &mut seed);
    let program =
        Header { inputs: 3, values, slots: 100, records: records.0.root, assigned: noise(&mut seed) };
    let opening = StepOpening {
        before: noise(&mut seed),
        before_path: Vec::new(),
        after: noise(&mut seed),
        program,
        inputs: noise(&mut seed),
        schedule_path: Vec::new(),
        trace: trace.0.root,
    };
    let schedule = proof::scheduled(0, &program.commitment(), &opening.inputs);
    let terms = Terms { job: [1; 32], schedule, start: proof::state_after(0, &opening.before), steps: 1 };
    let claim = Claim { terms, run: proof::state_after(1, &opening.after) };

    let last = Block { state: vec![words[5]], reads: Vec::new() };
    let known = [(wrong - 1, before.commitment()), (wrong, lie.commitment()), (wrong + 1, last.commitment())];
    let chain = Sparse::new(blocks, &known, &mut seed);

    let operand = |i: usize, at: u64| Shown { commitment: shown[i], path: trace.path(at) };
    let made = Move::Made {
        record: record.clone(),
        record_path: records.path(v),
        operands: vec![operand(0, v - 1), operand(1, v - 2)],
    };
    let mut moves = vec![
        (Party::Defender, Move::Step(Box::new(opening))),
        (Party::Challenger, Move::Side { value: true }),
    ];
    moves.extend(trace.descent(v));
    moves.push((Party::Challenger, made));
    moves.push((Party::Defender, Move::Root(tensor.0.root)));
    moves.extend(tensor.descent(leaf));
    moves.push((Party::Defender, Move::Words(words)));
    moves.push((Party::Challenger, Move::Element(5)));
    let path = chain.path(wrong + 1);
    moves.push((Party::Defender, Move::Chain { root: chain.0.root, last, path }));
    moves.extend(chain.descent(wrong));
    moves.push((Party::Defender, Move::Block(lie)));
    let before = Some((before, chain.path(wrong - 1)));
    moves.push((Party::Challenger, Move::Miscount { before }));

    let mut court = Court::new();
    let id = court.claim(&claim);
    let contest = court.contest(id).unwrap();
    let mut dispute = Dispute::new(claim, TIME, court.now());
    let mut bill = Bill { gas: court.gas["contest"], moves: 0, rounds: 0, table: String::new() };
    let mut had = std::collections::BTreeSet::new();
    // What a side can say without waiting for the other goes in one transaction.
    for together in moves.chunk_by(|(a, _), (b, _)| a == b) {
        let (party, stage) = (together[0].0, dispute.stage());
        let (mut bytes, mut kinds) = (Vec::new(), Vec::new());
        for (_, step) in together {
            assert_eq!(dispute.turn(), Some(party), "{stage:?}");
            bytes.push(dispute.encode(step));
            dispute.play(party, step, court.now()).unwrap();
            kinds.push(format!("{step:?}").split([' ', '(', '{']).next().unwrap_or_default().to_owned());
        }
        court.play(party, contest, &bytes).unwrap_or_else(|e| panic!("{stage:?}: {e:02x?}"));
        let (gas, kinds) = (court.gas["play"], kinds.join(", "));
        bill.gas += gas;
        bill.moves += 1;
        bill.rounds += u32::from(party == Party::Defender);
        if had.insert((format!("{stage:?}"), kinds.clone())) {
            let _ = writeln!(
                bill.table,
                "{:<10} {:<8} {kinds:<14} {gas:>8}",
                format!("{party:?}"),
                format!("{stage:?}")
            );
        }
    }
    assert_eq!(dispute.winner(), Some(Party::Challenger));
    assert_eq!(court.status(id), 2);
    bill
}
