//! Programs and data from strangers: an error that names the operation and the limit, never a panic, never an allocation
//! before the check.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use common::cases::{KINDS, Size, case};
use common::choices::Stream;
use common::values::floats;
use common::wire::{Wire, alone};
use common::{cases, config, programs, values};
use exact::{
    BinaryFn, Builder, DType, Device, Error, IntFn, Limits, MAX_ENCODED_BYTES, MAX_NAME_BYTES, Op, Program,
    ReduceFn, Session, Shape, Type, UnaryFn,
};
use proptest::prelude::*;

const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/regressions/hostile.txt");
const TIGHT: Limits = Limits { memory_bytes: 64 << 20, work: u64::MAX };
/// Elements that a decoded program may work through in a test; more is refused by the test, not by the library.
const PATIENCE: u64 = 1 << 16;

/// What a node does with bytes from a stranger: decode, plan within a limit, feed, run. Anything but a panic will do.
fn receive(bytes: &[u8]) {
    let Ok(program) = Program::decode(bytes) else { return };
    assert_eq!(program.encode(), bytes, "two encodings of one program");
    let small = program.to_string().len() < 1 << 20;
    assert!(small || bytes.len() > 10_000);
    for device in [Device::cpu(1), Device::scalar()] {
        let Ok(mut session) = Session::new(&program, &device, TIGHT) else { continue };
        assert!(session.bytes() <= TIGHT.memory_bytes);
        if session.bytes() > 4 * PATIENCE {
            continue;
        }
        let leaves: Vec<(String, Type)> =
            program.inputs().chain(program.states()).map(|(name, ty)| (name.to_owned(), ty)).collect();
        for (i, (name, ty)) in leaves.iter().enumerate() {
            let n = ty.shape.elements();
            let bits = match ty.dtype {
                DType::F32 => floats(values::Kind::Wild, i as u64, n),
                DType::U32 => values::ints(0, 3, i as u64, n),
            };
            common::play::write(&mut session, name, ty.dtype, &bits).unwrap();
        }
        let _ = session.run();
        let _ = session.run();
    }
}

/// As `receive`, telling which bytes it was.
fn receive_or_tell(bytes: &[u8]) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| receive(bytes))).map_err(|_| {
        let text = Program::decode(bytes).map_or_else(|e| e.to_string(), |p| p.to_string());
        format!("{bytes:02x?}\n{text}")
    })
}

/// Few operations, since what is tested is what becomes of their bytes.
fn some_program(seed: u64) -> Vec<u8> {
    let mut s = Stream(seed);
    if s.one_in(2) {
        let case = case(s.pick(&KINDS), Size::Tiny, seed);
        return alone(&case.op, &case.operands).unwrap().encode();
    }
    let length = 10 + s.below(80);
    let decisions: Vec<u32> = (0..length).map(|_| s.number() as u32).collect();
    programs::program(&decisions).program.encode()
}

proptest! {
    #![proptest_config(config(2_000, REGRESSIONS))]

    #[test]
    fn noise(body in prop::collection::vec(any::<u8>(), 0..300), led in any::<bool>()) {
        let bytes = if led { [&common::wire::MAGIC[..], &body].concat() } else { body };
        prop_assert_eq!(receive_or_tell(&bytes), Ok(()));
    }

    /// Valid programs with bits turned over, bytes changed, pieces cut out, doubled or taken from another.
    #[test]
    fn mutations(seed in any::<u64>(), changes in prop::collection::vec(any::<(u8, u32, u8)>(), 1..6)) {
        let mut bytes = some_program(seed);
        let other = some_program(seed ^ 1);
        for (kind, at, with) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = at as usize % bytes.len();
            let to = (at + usize::from(with)).min(bytes.len());
            match kind % 8 {
                0..=2 => bytes[at] ^= 1 << (with % 8),
                3 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][usize::from(with) % 5],
                4 => bytes.truncate(at),
                5 => drop(bytes.drain(at..to)),
                6 => {
                    let piece = bytes[at..to].to_vec();
                    bytes.splice(at..at, piece);
                }
                _ => {
                    let from = usize::from(with).min(other.len());
                    let tail = other[from..].to_vec();
                    bytes.splice(at.., tail);
                }
            }
        }
        prop_assert_eq!(receive_or_tell(&bytes), Ok(()));
    }

    /// Well-formed lists of well-formed operations that nobody checked: wrong operands, wrong counts, absurd attributes.
    #[test]
    fn unchecked_operations(seed in any::<u64>()) {
        let bytes = unchecked(seed).bytes();
        prop_assert_eq!(receive_or_tell(&bytes), Ok(()));
    }
}

/// What nobody checked is sometimes right, often wrong, and sometimes too much: else the test above tests little.
#[test]
fn unchecked_operations_are_of_every_sort() {
    let (mut right, mut wrong, mut too_much) = (0, 0, 0);
    for seed in 0..3_000 {
        match unchecked(seed).program() {
            Err(_) => wrong += 1,
            Ok(program) => match Session::new(&program, &Device::cpu(1), TIGHT) {
                Ok(_) => right += 1,
                Err(_) => too_much += 1,
            },
        }
    }
    assert!(right > 150 && wrong > 150 && too_much > 20, "{right} right, {wrong} wrong, {too_much} too much");
}

/// Operations of random programs, with their attributes and operands disturbed and everything they make given back.
fn unchecked(seed: u64) -> Wire {
    let mut s = Stream(seed);
    let mut wire = Wire::default();
    let lengths = [0, 1, 2, 3, 4, 5, 8, 1 << 16, (1 << 20) - 1, 1 << 31, u32::MAX as usize];
    for i in 0..=s.below(4) {
        let dims: Vec<usize> =
            (0..s.below(6)).map(|_| if s.one_in(6) { s.pick(&lengths) } else { 1 + s.below(4) }).collect();
        let Ok(shape) = Shape::new(&dims) else { continue };
        let ty = Type { dtype: s.pick(&[DType::F32, DType::F32, DType::U32]), shape };
        let list = if s.one_in(3) { &mut wire.states } else { &mut wire.inputs };
        list.push((format!("leaf {i}"), ty));
    }
    let leaves = (wire.inputs.len() + wire.states.len()) as u32;
    let mut values = leaves;
    for _ in 0..=s.below(3) {
        let kind = s.pick(&KINDS);
        let number = s.number();
        let case = case(kind, Size::Tiny, number);
        let op = disturbed(case.op, &mut s);
        // Leaves that the operation would like, more often than not.
        let mut operands = Vec::new();
        for ty in &case.operands {
            if s.one_in(4) && values > 0 {
                operands.push(s.below(values as usize + 1) as u32);
            } else if wire.operations.is_empty() {
                operands.push((wire.inputs.len()) as u32);
                wire.inputs.push((format!("own {}", wire.inputs.len()), *ty));
            } else {
                operands.push(s.below(values.max(1) as usize) as u32);
            }
        }
        if s.one_in(10) {
            operands.pop();
        }
        values = (wire.inputs.len() + wire.states.len()) as u32 + values - values.min(leaves);
        values += common::wire::results(&op);
        wire.operations.push((op, operands));
    }
    let first = (wire.inputs.len() + wire.states.len()) as u32;
    let results: u32 = wire.operations.iter().map(|(op, _)| common::wire::results(op)).sum();
    wire.outputs = (first..first + results).map(|v| (format!("out {v}"), v)).collect();
    wire.assigned = (0..wire.states.len())
        .map(|_| if s.one_in(2) { Some(s.below(values as usize) as u32) } else { None })
        .collect();
    wire
}

/// An operation with one of its attributes far from what it was.
fn disturbed(op: Op, s: &mut Stream) -> Op {
    if !s.one_in(2) {
        return op;
    }
    let far = [0, 1, 2, 3, 7, 255, 65_535, 1 << 20, 1 << 31, u32::MAX - 1, u32::MAX];
    let axis = s.pick(&[0, 1, 2, 5, 6, 7, 255]);
    let mut n = || s.pick(&far);
    let shape =
        |dims: &[u32]| Shape::new(&dims.iter().map(|d| *d as usize).collect::<Vec<_>>()).unwrap_or_default();
    match op {
        Op::Full { dtype, .. } => Op::Full { dtype, shape: shape(&[n(), n()]), bits: n() },
        Op::Iota { .. } => Op::Iota { shape: shape(&[n()]), axis },
        Op::Philox { .. } => Op::Philox { words: n() },
        Op::Reshape { .. } => Op::Reshape { shape: shape(&[n(), n(), 1]) },
        Op::Permute { .. } => Op::Permute { order: vec![axis; 3] },
        Op::Broadcast { .. } => Op::Broadcast { shape: shape(&[n(), 1, n()]) },
        Op::Slice { .. } => Op::Slice { axis, start: n(), len: n() },
        Op::Pad { .. } => Op::Pad { axis, before: n(), after: n() },
        Op::Concat { .. } => Op::Concat { axis },
        Op::Flip { .. } => Op::Flip { axis },
        Op::ScatterAdd { .. } => Op::ScatterAdd { rows: n() },
        Op::Place { .. } => Op::Place { n: n() },
        Op::Im2col { .. } => Op::Im2col { kernel: [n(), n(), n()], pad: [n(), n(), n()] },
        Op::Matmul { ta, tb } => Op::Matmul { ta: !ta, tb },
        Op::RaggedMatmul { ta, tb } => Op::RaggedMatmul { ta, tb: !tb },
        Op::Reduce { with, .. } => Op::Reduce { with, axis },
        Op::Dot { .. } => Op::Dot { axis },
        Op::RmsNorm { .. } => Op::RmsNorm { eps: f32::from_bits(n()) },
        Op::Attention { causal, .. } => Op::Attention { scale: f32::from_bits(n()), causal: !causal },
        Op::Conv3d { .. } => Op::Conv3d { pad: [n(), n(), n()] },
        Op::Conv3dWeightGrad { .. } => Op::Conv3dWeightGrad { pad: [n(), n(), n()], kernel: [n(), n(), n()] },
        Op::AdamW { b2, eps, decay, .. } => Op::AdamW { b1: f32::from_bits(n()), b2, eps, decay },
        Op::Unpack { .. } => Op::Unpack { bits: axis },
        Op::PackedMatmul { .. } => Op::PackedMatmul { bits: axis },
        same => same,
    }
}

/// Cut anywhere, an encoding is not one.
#[test]
fn every_truncation_is_refused() {
    for seed in 0..u64::from(cases(30)) {
        let bytes = some_program(seed);
        for end in 0..bytes.len() {
            assert!(Program::decode(&bytes[..end]).is_err(), "seed {seed}, {end} of {} bytes", bytes.len());
        }
        assert!(Program::decode(&[&bytes[..], &[0]].concat()).is_err(), "seed {seed}, a byte more");
    }
}

fn f32(dims: &[usize]) -> Type {
    Type { dtype: DType::F32, shape: Shape::new(dims).unwrap() }
}

fn u32(dims: &[usize]) -> Type {
    Type { dtype: DType::U32, shape: Shape::new(dims).unwrap() }
}

/// Each is refused, and the message says what is wrong with what.
#[test]
fn what_does_not_fit_is_named() {
    let check = |op: Op, operands: &[Type], says: &[&str]| {
        let error = alone(&op, operands).unwrap_err().to_string();
        for words in says {
            assert!(error.contains(words), "{op:?} on {operands:?} says {error:?}, not {words:?}");
        }
    };
    let x = f32(&[4, 3]);
    check(
        Op::Matmul { ta: false, tb: false },
        &[x, f32(&[4, 5])],
        &["matmul", "inner axes differ: 3 and 4", "f32[4, 3], f32[4, 5]"],
    );
    check(Op::Matmul { ta: false, tb: false }, &[x], &["matmul", "2 operands, got 1"]);
    check(Op::Unary(UnaryFn::Exp), &[u32(&[2])], &["exp", "operand 0 must be f32", "u32[2]"]);
    check(Op::Binary(BinaryFn::Add), &[x, f32(&[2])], &["add", "do not broadcast"]);
    check(Op::Reduce { with: ReduceFn::Sum, axis: 2 }, &[x], &["sum", "no axis 2"]);
    check(Op::Reduce { with: ReduceFn::Max, axis: 0 }, &[f32(&[0, 3])], &["reduce_max", "no elements"]);
    check(Op::Slice { axis: 0, start: u32::MAX, len: u32::MAX }, &[x], &["slice", "past the end"]);
    check(Op::Permute { order: vec![0, 0] }, &[x], &["permute", "each axis once"]);
    check(Op::Concat { axis: 0 }, &[], &["concat", "at least one operand"]);
    check(Op::RmsNorm { eps: f32::NAN }, &[x, f32(&[3])], &["rms_norm", "finite"]);
    check(
        Op::Full { dtype: DType::F32, shape: Shape::SCALAR, bits: 0xffc0_0000 },
        &[],
        &["full", "canonical"],
    );
    check(Op::Pad { axis: 0, before: u32::MAX, after: u32::MAX }, &[x], &["too large", "1099511627776"]);
    check(Op::Philox { words: u32::MAX }, &[u32(&[1 << 20, 4])], &["too large", "1099511627776"]);
    check(Op::Conv3d { pad: [u32::MAX; 3] }, &[f32(&[1, 2, 2, 2, 1]), f32(&[1, 1, 1, 1, 1])], &["too large"]);
    check(
        Op::Im2col { kernel: [u32::MAX; 3], pad: [0; 3] },
        &[f32(&[1, 2, 2, 2, 1])],
        &["im2col", "larger than"],
    );
    check(Op::Im2col { kernel: [0, 1, 1], pad: [0; 3] }, &[f32(&[1, 2, 2, 2, 1])], &["im2col", "kernel"]);
    let kv = f32(&[1, 5, 0, 4]);
    check(
        Op::Attention { scale: 1.0, causal: true },
        &[f32(&[1, 2, 3, 4]), kv, kv, u32(&[1])],
        &["attention", "multiple"],
    );
    check(Op::Gather, &[Type { ..x }, f32(&[2])], &["gather", "operand 1 must be u32"]);
}

/// A list of operations as it may come: each error is found whatever stands around it.
#[test]
fn lists_that_are_no_programs() {
    let check = |wire: Wire, says: &str| {
        let error = wire.program().unwrap_err().to_string();
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    };
    let ty = f32(&[2]);
    let input = || vec![("x".to_owned(), ty)];
    let copy = (Op::Copy, vec![0]);
    let good = Wire {
        inputs: input(),
        operations: vec![copy.clone()],
        outputs: vec![("y".into(), 1)],
        ..Wire::default()
    };
    assert!(good.clone().program().is_ok());

    check(Wire { operations: vec![(Op::Copy, vec![1])], ..good.clone() }, "copy: value %1 is not defined");
    check(Wire { operations: vec![(Op::Copy, vec![u32::MAX])], ..good.clone() }, "value %4294967295");
    check(Wire { operations: vec![copy.clone(), copy.clone()], ..good.clone() }, "canonical form");
    check(Wire { outputs: vec![("y".into(), 0)], ..good.clone() }, "canonical form");
    check(Wire { outputs: vec![("y".into(), 9)], ..good.clone() }, "output: value %9");
    check(Wire { outputs: vec![("x".into(), 1)], ..good.clone() }, "\"x\" is already taken");
    check(Wire { outputs: vec![(String::new(), 1)], ..good.clone() }, "1 to 256 bytes");
    check(Wire { outputs: vec![("n".repeat(MAX_NAME_BYTES + 1), 1)], ..good.clone() }, "1 to 256 bytes");
    check(Wire { assigned: vec![None], ..good.clone() }, "more states than it has");
    let state = Wire {
        inputs: Vec::new(),
        states: input(),
        operations: vec![copy],
        outputs: Vec::new(),
        assigned: vec![Some(1)],
    };
    assert!(state.clone().program().is_ok());
    check(Wire { assigned: Vec::new(), ..state.clone() }, "of every state");
    check(Wire { assigned: vec![Some(0)], ..state.clone() }, "canonical form");
    check(Wire { assigned: vec![Some(7)], ..state.clone() }, "assign: value %7");
    let sum = (Op::Reduce { with: ReduceFn::Sum, axis: 0 }, vec![0]);
    check(Wire { operations: vec![sum], ..state }, "assign: the types differ");

    let mut bytes = good.bytes();
    bytes[5] = 2;
    assert!(Program::decode(&bytes).unwrap_err().to_string().contains("version 1"));
    assert!(Program::decode(&[]).is_err());
    let error = Program::decode(&vec![0; MAX_ENCODED_BYTES + 1]).unwrap_err().to_string();
    assert!(error.contains("4194305 bytes") && error.contains("4194304"), "{error}");
}

/// Lists as long as the encoding allows: to decode and plan them takes time in proportion, not its square.
#[test]
fn long_programs_take_no_longer_than_they_are() {
    let n = 200_000;
    let full = Op::Full { dtype: DType::F32, shape: Shape::SCALAR, bits: 0 };
    // Very many states that become one value.
    let states = Wire {
        states: (0..n).map(|i| (format!("{i:x}"), f32(&[]))).collect(),
        operations: vec![(full.clone(), vec![])],
        assigned: vec![Some(n); n as usize],
        ..Wire::default()
    };
    let program = states.program().unwrap();
    assert!(Session::new(&program, &Device::cpu(1), TIGHT).is_ok());

    // A long chain of reshapes, its end given back very often.
    let mut chain = Wire { operations: vec![(full.clone(), vec![])], ..Wire::default() };
    for i in 0..n {
        let dims: &[usize] = if i % 2 == 0 { &[1] } else { &[] };
        chain.operations.push((Op::Reshape { shape: Shape::new(dims).unwrap() }, vec![i]));
    }
    chain.outputs = (0..n).map(|i| (format!("{i:x}"), n)).collect();
    let program = chain.program().unwrap();
    assert!(Session::new(&program, &Device::cpu(1), TIGHT).is_ok());

    // Every other one of many values is freed, then as many larger ones are made.
    let mut holes = Wire::default();
    let m = 60_000;
    for _ in 0..m {
        holes.operations.push((full.clone(), vec![]));
    }
    let mut last = m;
    for i in (1..m).step_by(2) {
        let with = if i == 1 { i } else { last - 1 };
        holes.operations.push((Op::Binary(BinaryFn::Add), vec![i, with]));
        last += 1;
    }
    for _ in 0..m {
        let shape = Shape::new(&[17]).unwrap();
        holes.operations.push((Op::Full { dtype: DType::F32, shape, bits: 0 }, vec![]));
    }
    holes.outputs = (0..m).step_by(2).chain(last - 1..last + m).map(|v| (format!("{v:x}"), v)).collect();
    let program = holes.program().unwrap();
    assert!(Session::new(&program, &Device::cpu(1), TIGHT).is_ok());
}

/// What can be built can be shipped; and no message is as long as what it is about.
#[test]
fn programs_that_are_too_long_to_ship_are_not_built() {
    let mut b = Builder::new();
    for i in 0..17_000 {
        b.input::<f32>(&format!("{i:0256}"), &[]).unwrap();
    }
    let error = b.finish().unwrap_err().to_string();
    assert!(error.contains("bytes") && error.contains("4194304"), "{error}");

    let ty = f32(&[3]);
    let error = alone(&Op::Concat { axis: 1 }, &vec![ty; 10_000]).unwrap_err().to_string();
    assert!(error.contains("no axis 1") && error.contains("and 9984 more") && error.len() < 400, "{error}");
}

/// An empty tensor may have an axis of 2^32 - 1: nothing walks along it.
#[test]
fn empty_tensors_with_long_axes_are_done_at_once() {
    let long = u32::MAX as usize;
    let kv = f32(&[1, 3, 2, 4]);
    let none = [f32(&[1, 0, 2, 4]), kv, kv, u32(&[1])];
    let stat = [f32(&[1, 2, 0]); 2];
    let rope = [f32(&[1, long, 1, 0]), f32(&[long, 0]), f32(&[long, 0])];
    let cases: Vec<(Op, Vec<Type>)> = vec![
        (Op::Rope { inverse: false }, rope.to_vec()),
        (Op::Copy, vec![f32(&[long, 0])]),
        (Op::Reduce { with: ReduceFn::Sum, axis: 0 }, vec![f32(&[long, 0])]),
        (Op::Swiglu, vec![f32(&[0, long]); 2]),
        (Op::Gather, vec![f32(&[1, long, 0]), u32(&[4])]),
        (Op::ScatterAdd { rows: u32::MAX }, vec![u32(&[0]), f32(&[0, 0])]),
        (Op::Concat { axis: 1 }, vec![f32(&[0, long / 2]); 2]),
        (Op::Permute { order: vec![1, 0] }, vec![f32(&[0, long])]),
        (Op::Matmul { ta: true, tb: false }, vec![f32(&[long, 0]), f32(&[long, 0])]),
        (Op::RmsNormWeightGrad, vec![f32(&[0, 5, 0]), f32(&[0, 5]), f32(&[0, 5, 0])]),
        (Op::Conv3dWeightGrad { pad: [0; 3], kernel: [1; 3] }, vec![f32(&[1, 1, 1, long, 0]); 2]),
        (Op::Philox { words: 0 }, vec![u32(&[0, 4])]),
        (Op::Attention { scale: 1.0, causal: true }, vec![f32(&[1, 2, 0, 4]), kv, kv, u32(&[1])]),
        (Op::Attention { scale: 1.0, causal: true }, vec![f32(&[1, 0, 2, 4]), kv, kv, u32(&[1])]),
        (
            Op::AttentionGrad { scale: 1.0, causal: true },
            [&none[..], &none[..1], &stat[..], &none[..1]].concat(),
        ),
        (Op::Binary(BinaryFn::Add), vec![f32(&[long, 0]), f32(&[1, 1])]),
    ];
    for (op, operands) in cases {
        let program = alone(&op, &operands).unwrap();
        for device in [Device::scalar(), Device::cpu(2)] {
            Session::new(&program, &device, TIGHT).unwrap().run().unwrap_or_else(|e| panic!("{op:?}: {e}"));
        }
    }
}

/// An id, a bound or a start that is out of range: which operation, which number, where, and the limit.
#[test]
fn ids_out_of_range_are_named() {
    let check = |op: Op, operands: &[Type], ints: &[&[u32]], says: &str| {
        let program = alone(&op, operands).unwrap();
        for device in [Device::scalar(), Device::cpu(1)] {
            let mut session = Session::new(&program, &device, TIGHT).unwrap();
            let mut ints = ints.iter();
            for (i, ty) in operands.iter().enumerate() {
                if ty.dtype == DType::U32 {
                    session.write(&format!("x{i}"), ints.next().unwrap()).unwrap();
                }
            }
            let error = session.run().unwrap_err();
            assert!(matches!(error, Error::Index { at: 0, .. } | Error::IntegerOverflow { at: 0, .. }));
            assert_eq!(error.to_string(), says, "{op:?} on {device:?}");
        }
    };
    let x = f32(&[3, 2]);
    let index = |op: &str, what: &str, at: usize, limit: u64| {
        format!("{op} (operation 0): {what} at position {at} is out of range: the limit is {limit}")
    };
    check(Op::Gather, &[x, u32(&[2])], &[&[0, 3]], &index("gather", "id 3", 1, 3));
    check(Op::Gather, &[f32(&[0, 2]), u32(&[1])], &[&[0]], &index("gather", "id 0", 0, 0));
    check(
        Op::ScatterAdd { rows: 2 },
        &[u32(&[3]), x],
        &[&[0, 1, u32::MAX]],
        &index("scatter_add", "id 4294967295", 2, 2),
    );
    check(Op::Pick, &[x, u32(&[3])], &[&[2, 0, 0]], &index("pick", "id 2", 0, 2));
    check(Op::Place { n: 4 }, &[u32(&[1]), f32(&[1])], &[&[4]], &index("place", "id 4", 0, 4));
    check(
        Op::WriteRows,
        &[f32(&[1, 3, 2]), f32(&[1, 2, 2]), u32(&[1])],
        &[&[2]],
        &index("write_rows", "start 2", 0, 1),
    );
    check(Op::TokenLogprob, &[x, u32(&[3])], &[&[0, 0, 2]], &index("token_logprob", "id 2", 2, 2));
    let g = f32(&[3]);
    check(
        Op::TokenLogprobGrad,
        &[x, u32(&[3]), g, g, g],
        &[&[5, 0, 2]],
        &index("token_logprob_grad", "id 5", 0, 2),
    );
    let rows = u32(&[3]);
    let ragged = Op::RaggedMatmul { ta: false, tb: false };
    check(
        ragged.clone(),
        &[x, f32(&[2, 2]), rows, rows],
        &[&[0; 3], &[2, 3, 2]],
        &index("ragged_matmul", "upper bound 3", 1, 2),
    );
    check(
        ragged,
        &[x, f32(&[2, 2]), rows, rows],
        &[&[0, 2, 0], &[0, 1, 0]],
        &index("ragged_matmul", "lower bound 2", 1, 1),
    );
    let (q, kv) = (f32(&[1, 2, 1, 4]), f32(&[1, 3, 1, 4]));
    let attention = |causal| Op::Attention { scale: 1.0, causal };
    check(attention(true), &[q, kv, kv, u32(&[1])], &[&[2]], &index("attention", "start 2", 0, 1));
    check(attention(false), &[q, kv, kv, u32(&[1])], &[&[4]], &index("attention", "number of keys 4", 0, 3));
    check(attention(false), &[q, kv, kv, u32(&[1])], &[&[0]], &index("attention", "number of keys 0", 0, 3));
    let few = f32(&[1, 1, 1, 4]);
    check(
        attention(true),
        &[q, few, few, u32(&[1])],
        &[&[0]],
        &index("attention", "number of queries 2", 0, 1),
    );
    let unfit = |op: &str, at: usize| {
        format!("{op} (operation 0): the integer result at position {at} does not fit 32 bits unsigned")
    };
    let two = u32(&[2]);
    check(Op::Int(IntFn::Add), &[two, two], &[&[1, u32::MAX], &[1, 1]], &unfit("int_add", 1));
    check(Op::Int(IntFn::Sub), &[two, two], &[&[0, 9], &[1, 1]], &unfit("int_sub", 0));
    check(Op::Int(IntFn::Mul), &[two, two], &[&[65_536; 2], &[65_535, 65_536]], &unfit("int_mul", 1));
}

/// Names, types and lengths at the session's door.
#[test]
fn data_that_does_not_fit_is_named() {
    let mut b = Builder::new();
    let x = b.input::<f32>("x", &[2, 3]).unwrap();
    let w = b.state::<f32>("w", &[3]).unwrap();
    let y = b.add(x, w).unwrap();
    b.output("y", y).unwrap();
    let mut session = Session::new(&b.finish().unwrap(), &Device::cpu(1), TIGHT).unwrap();
    let said = |e: Error| e.to_string();
    assert_eq!(
        said(session.write("x", &[0.0f32; 5]).unwrap_err()),
        "\"x\" is f32[2, 3], and the data given are 5 x f32"
    );
    assert_eq!(
        said(session.write("x", &[0u32; 6]).unwrap_err()),
        "\"x\" is f32[2, 3], and the data given are 6 x u32"
    );
    let error = said(session.write("z", &[0.0f32; 5]).unwrap_err());
    assert_eq!(error, "there is no input or state named \"z\"; there are: input \"x\", state \"w\"");
    assert!(said(session.write("y", &[0.0f32; 6]).unwrap_err()).contains("no input or state named \"y\""));
    assert!(said(session.read::<f32>("x").unwrap_err()).contains("no state or output named \"x\""));
    session.run().unwrap();
    assert!(said(session.read::<u32>("y").unwrap_err()).contains("6 x u32"));
    assert!(said(session.read_into("y", &mut [0.0f32; 5]).unwrap_err()).contains("5 x f32"));
    // A NaN with a payload is stored as the one NaN.
    session.write("w", &[f32::from_bits(0xffc0_1234), 0.0, f32::from_bits(0x7f80_0001)]).unwrap();
    let bits: Vec<u32> = session.read::<f32>("w").unwrap().into_iter().map(f32::to_bits).collect();
    assert_eq!(bits, [0x7fc0_0000, 0, 0x7fc0_0000]);
}

/// What a builder is asked for beyond its limits.
#[test]
fn a_builder_names_its_limits() {
    let mut b = Builder::new();
    let error = b.input::<f32>("x", &[1 << 21, 1 << 21]).unwrap_err().to_string();
    assert!(error.contains("[2097152, 2097152]") && error.contains("1099511627776"), "{error}");
    assert!(b.input::<f32>("x", &[usize::MAX]).unwrap_err().to_string().contains("1099511627776"));
    assert!(b.input::<f32>("x", &[1; 7]).unwrap_err().to_string().contains("7 axes: at most 6"));
    assert!(b.input::<f32>("", &[1]).unwrap_err().to_string().contains("1 to 256 bytes"));
    let x = b.input::<f32>("x", &[2]).unwrap();
    assert!(b.state::<f32>("x", &[1]).unwrap_err().to_string().contains("\"x\" is already taken"));
    assert!(b.slice(x, 0, usize::MAX, 1).is_err());
    assert!(b.sum(x, 300).unwrap_err().to_string().contains("no axis 255"));
    assert!(b.assign(x, x).unwrap_err().to_string().contains("only a state can be assigned"));
    let w = b.state::<f32>("w", &[2]).unwrap();
    b.assign(w, x).unwrap();
    assert!(b.assign(w, x).unwrap_err().to_string().contains("\"w\" is assigned twice"));
    assert!(b.gradients(x, &[x]).unwrap_err().to_string().contains("single number"));
}
