//! The rules give the bits of `exact`'s scalar device, for every operation there is.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../exact/tests/common/mod.rs"]
mod common;

use std::collections::BTreeSet;

use common::cases::{KINDS, Size, case};
use common::wire::{alone, results};
use exact::{Device, Limits, Op};
use proof::{Graph, Honest, Opcode, Runner, Stop, Tensor, element, evaluate_all, rule};

/// How many cases of each kind; `PROOF_CASES` says more.
fn cases(usual: u64) -> u64 {
    std::env::var("PROOF_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

/// A program of one operation and what it is given.
fn made(kind: &str, size: Size, seed: u64) -> (Graph, Vec<Tensor>) {
    let case = case(kind, size, seed);
    let program = alone(&case.op, &case.operands).unwrap();
    let graph = Graph::new(&program, &[]).unwrap();
    let inputs: Vec<Tensor> = (case.operands.iter().zip(&case.data))
        .map(|(ty, words)| Tensor { ty: *ty, words: words.clone() })
        .collect();
    let canonical = |tensor: &Tensor| {
        let nan = |w: &u32| *w & 0x7fff_ffff > 0x7f80_0000;
        let words = tensor.words.iter().map(|w| if nan(w) { 0x7fc0_0000 } else { *w }).collect();
        if tensor.ty.dtype == exact::DType::F32 { Tensor { ty: tensor.ty, words } } else { tensor.clone() }
    };
    (graph, inputs.iter().map(canonical).collect())
}

/// Runs one case both ways; gives the kinds of values it has.
fn check(kind: &str, size: Size, seed: u64) -> BTreeSet<Opcode> {
    let (graph, inputs) = made(kind, size, seed);
    let mut seen = Vec::new();
    let mut scalar = Honest::new(Device::scalar(), Limits::default());
    let done = scalar.step(&graph, 0, &inputs, &[], Some(&mut |v, tensor| seen.push((v, tensor.clone()))));
    let by_rules = evaluate_all(&graph, &inputs, &[], &mut |_, _| {});
    match (done, by_rules) {
        (Ok(_), Ok(values)) => {
            assert_eq!(seen.len(), values.len());
            for (v, tensor) in seen {
                let record = &graph.records()[v as usize];
                assert_eq!(tensor, values[v as usize], "{kind}, seed {seed}, value {v}: {record:?}");
            }
        }
        (Err(Stop::Fault { value, element }), Err(Stop::Fault { value: v, element: e })) => {
            assert_eq!((value, element), (v, e), "{kind}, seed {seed}");
        }
        (one, other) => panic!("{kind}, seed {seed}: {one:?} and {other:?}"),
    }
    graph.records().iter().map(|r| r.code).collect()
}

#[test]
fn every_operation_has_a_rule_and_it_is_right() {
    let mut codes = BTreeSet::new();
    for kind in KINDS {
        for seed in 0..cases(6) {
            codes.extend(check(kind, Size::Tiny, seed));
            codes.extend(check(kind, Size::Small, 1000 + seed));
        }
    }
    codes.insert(Opcode::State);
    assert_eq!(codes, Opcode::ALL.into_iter().collect(), "a kind of value that no case has");
}

#[test]
fn long_chains_are_cut_where_the_products_are() {
    for kind in ["matmul", "ragged_matmul", "sum", "dot", "reduce_max", "argmax", "scatter_add", "keep"] {
        for seed in 0..cases(2) {
            let (graph, inputs) = made(kind, Size::Large, seed);
            let mut values = Vec::new();
            let mut scalar = Honest::new(Device::scalar(), Limits::default());
            scalar.step(&graph, 0, &inputs, &[], Some(&mut |_, tensor| values.push(tensor.clone()))).unwrap();
            for (value, record) in values.iter().zip(graph.records()) {
                if record.code == Opcode::Input {
                    continue;
                }
                let operands: Vec<&Tensor> =
                    record.operands.iter().map(|(v, _)| &values[*v as usize]).collect();
                // A few elements of each: every one of them is a chain of thousands of steps.
                let n = value.words.len() as u64;
                for e in (0..8).map(|i| i * 0x9e37_79b9 % n.max(1)).chain(n.checked_sub(1)).filter(|e| *e < n)
                {
                    assert_eq!(
                        element(record, &operands, e),
                        Some(value.words[e as usize]),
                        "{kind}, {seed}: {record:?}"
                    );
                }
            }
        }
    }
}

/// An operation that is added to `exact` has to be added here, and then to the cases, which need a rule for it.
#[test]
fn no_operation_is_left_out() {
    // `true` for what has a record of its own, `false` for what is disputed as what it is made of.
    #[rustfmt::skip]
    let known = |op: &Op| match op {
        Op::Full { .. } | Op::Iota { .. } | Op::Philox { .. } | Op::Unit | Op::Copy | Op::Unary(_) | Op::Binary(_)
        | Op::Compare(_) | Op::Int(_) | Op::Fma | Op::Select | Op::ToFloat | Op::Reshape { .. }
        | Op::Permute { .. } | Op::Broadcast { .. } | Op::Slice { .. } | Op::Pad { .. } | Op::Concat { .. }
        | Op::Flip { .. } | Op::Gather | Op::ScatterAdd { .. } | Op::Pick | Op::Place { .. } | Op::WriteRows
        | Op::Im2col { .. } | Op::Matmul { .. } | Op::RaggedMatmul { .. } | Op::Reduce { .. } | Op::Dot { .. }
        | Op::ArgMax | Op::Keep | Op::Unpack { .. } => true,
        Op::RmsNorm { .. } | Op::RmsNormGrad | Op::RmsNormWeightGrad | Op::Softmax | Op::TokenLogprob
        | Op::TokenLogprobGrad | Op::Swiglu | Op::SwigluGrad | Op::Rope { .. } | Op::Attention { .. }
        | Op::AttentionGrad { .. } | Op::Conv3d { .. } | Op::Conv3dWeightGrad { .. } | Op::AdamW { .. }
        | Op::Sample | Op::PackedMatmul { .. } => false,
    };
    let mut seen = BTreeSet::new();
    for kind in KINDS {
        for seed in 0..12 {
            let case = case(kind, Size::Tiny, seed);
            // What is fused is disputed as what it is made of.
            assert_eq!(known(&case.op), !case.op.is_fused(), "{}", case.op.name());
            seen.insert(case.op.name());
            assert!(results(&case.op) >= 1);
        }
    }
    let kinds: BTreeSet<&str> = KINDS
        .into_iter()
        .filter(|k| !["unary", "binary", "compare", "int", "nested_axes"].contains(k))
        .collect();
    let missing: Vec<_> = kinds.difference(&seen).collect();
    assert!(missing.is_empty(), "no case has {missing:?}");
}

#[test]
fn what_has_the_wrong_length_has_no_value() {
    let case = case("matmul", Size::Small, 1011);
    let program = alone(&case.op, &case.operands).unwrap();
    let graph = Graph::new(&program, &[]).unwrap();
    let record = graph.records().last().unwrap();
    let count = (0..1000).take_while(|j| rule::read(record, 0, 0, *j, &[]).is_some()).count();
    assert!(rule::run(record, 0, 0, &[], &vec![0; count]).is_some());
    assert!(rule::run(record, 0, 0, &[], &vec![0; count + 1]).is_none());
    assert!(rule::run(record, 0, 0, &[0, 0], &vec![0; count]).is_none());
    assert!(rule::run(record, 0, rule::blocks(record), &[0, 0], &[]).is_none());
}
