//! Every operation by itself, on operands of every kind.

use std::collections::BTreeSet;

use exact::{DType, Error, Op, Program};

use crate::common::cases::{Case, KINDS, Size, case};
use crate::common::choices::Stream;
use crate::common::play::{Feed, same_everywhere};
use crate::common::{cases, wire};

fn feeds(case: &Case) -> Vec<Feed> {
    let feed = |(i, (ty, data)): (usize, (&exact::Type, &Vec<u32>))| Feed {
        name: format!("x{i}"),
        ty: *ty,
        state: false,
        runs: vec![data.clone(), data.clone()],
    };
    case.operands.iter().zip(&case.data).enumerate().map(feed).collect()
}

fn check(program: &Program, case: &Case, seed: u64) {
    // An integer that does not fit is an error, the same one everywhere; any other case must run.
    let played = same_everywhere(program, &feeds(case)).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    let overflow = |e: &Error| matches!(e, Error::IntegerOverflow { .. });
    let unfit = played.iter().filter_map(|run| run.error.as_ref()).find(|e| !overflow(e));
    assert_eq!(unfit, None, "seed {seed}: {program}");
}

fn each_kind(size: Size, rounds: u32) {
    for kind in KINDS {
        for seed in 0..u64::from(rounds) {
            let case = case(kind, size, seed);
            let program = wire::alone(&case.op, &case.operands).unwrap_or_else(|why| {
                panic!("{kind}, seed {seed}: {why}\n{:?} {:?}", case.op, case.operands)
            });
            check(&program, &case, seed);
        }
    }
}

#[test]
fn every_operation_at_small_sizes() {
    each_kind(Size::Small, cases(48));
}

#[test]
fn every_operation_at_tiny_sizes() {
    each_kind(Size::Tiny, cases(48));
}

#[test]
fn every_operation_at_large_sizes() {
    each_kind(Size::Large, cases(10));
}

/// Operands that nobody reads again may be written over; one value may be several operands.
#[test]
fn every_operation_over_its_own_operands() {
    let rounds = u64::from(cases(48));
    let mut aliased = BTreeSet::new();
    for kind in KINDS {
        for seed in 0..rounds {
            let mut case = case(kind, Size::Small, seed << 8 | 0x55);
            if case.operands.is_empty() || matches!(case.op, Op::Reshape { .. }) {
                continue;
            }
            let mut s = Stream(seed);
            let mut which: Vec<u32> = (0..case.operands.len() as u32).collect();
            for i in 1..which.len() {
                let j = s.below(i);
                if case.operands[i] == case.operands[j] && s.one_in(2) && case.operands[i].dtype == DType::F32
                {
                    which[i] = which[j];
                    aliased.insert(case.op.name());
                }
            }
            // What is left out is not an input that nobody reads, but must still be written.
            for (i, w) in which.iter().enumerate() {
                case.data[i] = case.data[*w as usize].clone();
            }
            let program = wire::over_copies(&case.op, &case.operands, &which).unwrap_or_else(|why| {
                panic!("{kind}, seed {seed}: {why}\n{:?} {:?}", case.op, case.operands)
            });
            check(&program, &case, seed);
        }
    }
    for op in ["add", "fma", "swiglu_grad", "adamw", "attention", "write_rows", "matmul"] {
        assert!(aliased.contains(op) || rounds < 48, "no case gave {op} one value twice");
    }
}

#[test]
fn the_kinds_are_all_the_operations() {
    let mut seen = BTreeSet::new();
    for kind in KINDS {
        for seed in 0..60 {
            seen.insert(case(kind, Size::Tiny, seed).op.name());
        }
    }
    // 14 functions of one number, 9 of two, 3 comparisons, 7 of integers, and 45 others.
    assert_eq!(seen.len(), 14 + 9 + 3 + 7 + 45, "{seen:?}");
}
