//! Where tensors lie is nobody's business but the planner's: reuse of memory changes no bit, states survive, outputs stay, and
//! what a program needs is known, and refused if it is too much, before anything is allocated.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::HashMap;

use common::play::{Feed, ROOMY, devices, play, read, write};
use common::wire::{Wire, alone};
use common::{config, programs};
use exact::{Builder, Device, Error, Limits, Op, Program, Session, Type};
use proptest::prelude::*;

const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/regressions/plan.txt");

/// A program read back from its encoding, so that a test sees its operations.
fn wire(program: &Program) -> Wire {
    postcard::from_bytes(&program.encode()[common::wire::MAGIC.len()..]).unwrap()
}

/// What a program gives if every operation is a program of its own, so that nothing is ever written over.
struct Apart {
    wire: Wire,
    types: Vec<Type>,
    values: Vec<Vec<u32>>,
    sessions: HashMap<usize, Session>,
}

impl Apart {
    fn new(program: &Program) -> Apart {
        let wire = wire(program);
        let types: Vec<Type> = wire.inputs.iter().chain(&wire.states).map(|(_, ty)| *ty).collect();
        let values = types.iter().map(|ty| vec![0; ty.shape.elements()]).collect();
        Apart { wire, types, values, sessions: HashMap::new() }
    }

    fn give(&mut self, name: &str, bits: &[u32]) {
        let leaf = self.wire.inputs.iter().chain(&self.wire.states).position(|(n, _)| n == name).unwrap();
        self.values[leaf] = bits.to_vec();
    }

    /// One run: the outputs, then the states.
    fn run(&mut self, device: &Device) -> Result<[Vec<Vec<u32>>; 2], Error> {
        let leaves = self.wire.inputs.len() + self.wire.states.len();
        self.values.truncate(leaves);
        self.types.truncate(leaves);
        for (i, (op, operands)) in self.wire.operations.iter().enumerate() {
            let types: Vec<Type> = operands.iter().map(|v| self.types[*v as usize]).collect();
            let session = self.sessions.entry(i).or_insert_with(|| {
                let program = alone(op, &types).unwrap();
                Session::new(&program, device, ROOMY).unwrap()
            });
            for (n, (v, ty)) in operands.iter().zip(&types).enumerate() {
                write(session, &format!("x{n}"), ty.dtype, &self.values[*v as usize]).unwrap();
            }
            session.run()?;
            let results: Vec<(String, Type)> =
                session.program().outputs().map(|(name, ty)| (name.to_owned(), ty)).collect();
            for (name, ty) in results {
                self.values.push(read(session, &name, ty.dtype));
                self.types.push(ty);
            }
        }
        let outputs = self.wire.outputs.iter().map(|(_, v)| self.values[*v as usize].clone()).collect();
        let new: Vec<(usize, Vec<u32>)> = self
            .wire
            .assigned
            .iter()
            .enumerate()
            .filter_map(|(i, v)| v.map(|v| (self.wire.inputs.len() + i, self.values[v as usize].clone())))
            .collect();
        for (state, value) in new {
            self.values[state] = value;
        }
        Ok([outputs, self.values[self.wire.inputs.len()..leaves].to_vec()])
    }
}

fn bytes_of(program: &Program) -> u64 {
    let leaves = program.inputs().chain(program.states());
    leaves.map(|(_, ty)| 4 * ty.shape.elements() as u64).sum()
}

proptest! {
    #![proptest_config(config(400, REGRESSIONS))]

    /// Memory that is used again, results over operands and states written where they lie: as if there were none of it.
    #[test]
    fn reuse_changes_nothing(decisions in prop::collection::vec(any::<u32>(), 10..320)) {
        let made = programs::program(&decisions);
        for device in [&Device::scalar(), &devices()[devices().len() - 2].1] {
            let mut apart = Apart::new(&made.program);
            for (i, run) in play(&made.program, device, &made.feeds, false).iter().enumerate() {
                for feed in made.feeds.iter().filter(|f| i < f.runs.len()) {
                    apart.give(&feed.name, &feed.runs[i]);
                }
                match apart.run(device) {
                    Ok([outputs, states]) => {
                        prop_assert!(run.error.is_none());
                        prop_assert!(outputs == run.outputs, "run {}: outputs of\n{}", i, made.program);
                        prop_assert!(states == run.states, "run {}: states of\n{}", i, made.program);
                    }
                    // The one operation is number 0 of its own program.
                    Err(_) => prop_assert!(run.error.is_some()),
                }
            }
        }
    }

    /// What is announced is what is taken; a byte less is refused, and the refusal says how much is needed.
    #[test]
    fn what_a_program_needs_is_known_before(decisions in prop::collection::vec(any::<u32>(), 10..200)) {
        let program = programs::program(&decisions).program;
        for device in [&Device::scalar(), &devices()[devices().len() - 1].1] {
            let needed = Session::bytes_needed(&program, device);
            prop_assert!(needed >= bytes_of(&program));
            let session = Session::new(&program, device, Limits { memory_bytes: needed, ..Limits::default() });
            prop_assert_eq!(session.unwrap().bytes(), needed);
            if needed > 0 {
                match Session::new(&program, device, Limits { memory_bytes: needed - 1, ..Limits::default() }) {
                    Err(Error::Memory { needed: said, limit, .. }) => prop_assert_eq!((said, limit), (needed, needed - 1)),
                    other => prop_assert!(false, "{:?}", other),
                }
            }
        }
    }
}

#[test]
fn too_much_is_refused_before_it_is_allocated() {
    // Four tebibytes a tensor: to allocate one of them would end the test.
    let mut b = Builder::new();
    let x = b.input::<f32>("x", &[1 << 20, 1 << 20]).unwrap();
    let y = b.permute(x, &[1, 0]).unwrap();
    let y = b.sum(y, 1).unwrap();
    b.output("y", y).unwrap();
    let program = b.finish().unwrap();
    for device in [Device::scalar(), Device::cpu(1)] {
        let error = Session::new(&program, &device, Limits::default()).unwrap_err();
        let Error::Memory { needed, limit, op, at } = error.clone() else { panic!("{error}") };
        assert!(needed >= 8 << 40 && limit == 8 << 30 && op == "permute" && at == 0, "{error}");
        let text = error.to_string();
        assert!(text.contains("permute") && text.contains(&limit.to_string()), "{text}");
    }
}

/// The peak of a chain is two tensors, however long it is; of one written over its own operand, one.
#[test]
fn a_chain_takes_no_more_than_two_of_its_tensors() {
    let chain = |length: usize, over: bool| {
        let mut b = Builder::new();
        let mut x = b.input::<f32>("x", &[1000, 16]).unwrap();
        x = b.copy(x).unwrap();
        for _ in 0..length {
            x = if over { b.scale(x, 0.5).unwrap() } else { b.permute(x, &[1, 0]).unwrap() };
        }
        b.output("y", x).unwrap();
        Session::bytes_needed(&b.finish().unwrap(), &Device::cpu(1))
    };
    let one = 4 * 16_000;
    assert_eq!(chain(40, false), 3 * one);
    assert!(chain(40, true) < 2 * one + 4096);
}

/// An output is what the last run gave, also where the same value has become a state that is written since.
#[test]
fn outputs_stay_when_the_state_moves_on() {
    let mut b = Builder::new();
    let w = b.state::<f32>("w", &[3]).unwrap();
    let next = b.scale(w, 2.0).unwrap();
    b.assign(w, next).unwrap();
    b.output("next", next).unwrap();
    let program = b.finish().unwrap();
    for device in [Device::scalar(), Device::cpu(1)] {
        let mut session = Session::new(&program, &device, ROOMY).unwrap();
        session.write("w", &[1.0f32, 2.0, 3.0]).unwrap();
        session.run().unwrap();
        session.write("w", &[0.0f32; 3]).unwrap();
        assert_eq!(session.read::<f32>("next").unwrap(), [2.0, 4.0, 6.0]);
        assert_eq!(session.read::<f32>("w").unwrap(), [0.0; 3]);

        let mut other = session.share(&program, ROOMY).unwrap();
        other.write("w", &[5.0f32; 3]).unwrap();
        other.run().unwrap();
        assert_eq!(session.read::<f32>("next").unwrap(), [2.0, 4.0, 6.0]);
        assert_eq!(session.read::<f32>("w").unwrap(), [10.0; 3]);
    }
}

/// States that become each other, or the same value, or what another was.
#[test]
fn states_move_all_at_once() {
    let mut b = Builder::new();
    let states: Vec<_> = ["p", "q", "r", "s", "t"].map(|n| b.state::<f32>(n, &[2]).unwrap()).to_vec();
    let [p, q, r, s, t] = states[..] else { unreachable!() };
    b.assign(p, q).unwrap();
    b.assign(q, p).unwrap();
    let sum = b.add(p, r).unwrap();
    b.assign(r, sum).unwrap();
    b.assign(s, sum).unwrap();
    let late = b.mul(t, s).unwrap();
    b.assign(t, late).unwrap();
    let old = b.sub(r, t).unwrap();
    b.output("old", old).unwrap();
    let program = b.finish().unwrap();
    for device in [Device::scalar(), Device::cpu(2)] {
        let mut session = Session::new(&program, &device, ROOMY).unwrap();
        let mut model = [[1.0f32, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0], [9.0, 10.0]];
        for (name, value) in ["p", "q", "r", "s", "t"].iter().zip(&model) {
            session.write(name, value).unwrap();
        }
        for _ in 0..4 {
            session.run().unwrap();
            let [p, q, r, s, t] = model;
            let with = |f: fn(f32, f32) -> f32, a: [f32; 2], b: [f32; 2]| [f(a[0], b[0]), f(a[1], b[1])];
            let old = with(|a, b| a - b, r, t);
            let sum = with(|a, b| a + b, p, r);
            model = [q, p, sum, sum, with(|a, b| a * b, t, s)];
            assert_eq!(session.read::<f32>("old").unwrap(), old);
            for (name, value) in ["p", "q", "r", "s", "t"].iter().zip(&model) {
                assert_eq!(session.read::<f32>(name).unwrap(), value, "{name}");
            }
        }
    }
}

/// A counter, a table it indexes, and a weight: a run that fails on the second step.
fn failing() -> (Program, Vec<Feed>) {
    let mut b = Builder::new();
    let w = b.state::<f32>("w", &[2]).unwrap();
    let kept = b.state::<f32>("kept", &[2]).unwrap();
    let ids = b.input::<u32>("ids", &[1]).unwrap();
    let next = b.add(w, kept).unwrap();
    b.assign(w, next).unwrap();
    let table = b.reshape(kept, &[2, 1]).unwrap();
    let picked = b.gather(table, ids).unwrap();
    b.output("picked", picked).unwrap();
    (b.finish().unwrap(), Vec::new())
}

#[test]
fn a_failed_run_leaves_nothing_that_can_be_mistaken_for_a_result() {
    let (program, _) = failing();
    for device in [Device::scalar(), Device::cpu(1)] {
        let mut session = Session::new(&program, &device, ROOMY).unwrap();
        assert_eq!(session.read::<f32>("picked").unwrap_err(), Error::NoResult { name: "picked".into() });
        session.write("kept", &[1.0f32, 2.0]).unwrap();
        session.write("ids", &[1u32]).unwrap();
        session.run().unwrap();
        assert_eq!(session.read::<f32>("picked").unwrap(), [2.0]);

        session.write("ids", &[2u32]).unwrap();
        let error = session.run().unwrap_err();
        let index = Error::Index { op: "gather", at: 2, what: "id", index: 2, position: 0, limit: 2 };
        assert_eq!(error, index);
        // Neither the output nor what may be half new can be read, nor can it run on.
        assert_eq!(session.read::<f32>("picked").unwrap_err(), Error::NoResult { name: "picked".into() });
        let poisoned = Error::Poisoned { name: "w".into() };
        assert_eq!(session.read::<f32>("w").unwrap_err(), poisoned);
        session.write("ids", &[0u32]).unwrap();
        assert_eq!(session.run().unwrap_err(), poisoned);
        // Whoever shares the state is told as well.
        let mut other = session.share(&program, ROOMY).unwrap();
        other.write("ids", &[0u32]).unwrap();
        assert_eq!(other.run().unwrap_err(), poisoned);
        assert_eq!(session.read::<f32>("kept").unwrap(), [1.0, 2.0]);

        session.write("w", &[10.0f32, 10.0]).unwrap();
        session.run().unwrap();
        assert_eq!(session.read::<f32>("w").unwrap(), [11.0, 12.0]);
        assert_eq!(session.read::<f32>("picked").unwrap(), [1.0]);
    }
}

/// A panic in the middle of a run (here of who watches it) is a failed run.
#[test]
fn a_run_that_panics_poisons_its_states() {
    let (program, _) = failing();
    let mut session = Session::new(&program, &Device::cpu(2), ROOMY).unwrap();
    let watched = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = session.trace(&mut |traced| assert!(traced.index() < 1, "seen enough"));
    }));
    assert!(watched.is_err());
    assert_eq!(session.run().unwrap_err(), Error::Poisoned { name: "w".into() });
    session.write("w", &[0.0f32; 2]).unwrap();
    session.run().unwrap();
}

#[test]
fn sessions_share_states_by_name_and_type() {
    let with = |dims: &[usize]| {
        let mut b = Builder::new();
        let w = b.state::<f32>("w", dims).unwrap();
        let y = b.scale(w, 3.0).unwrap();
        b.output("y", y).unwrap();
        b.finish().unwrap()
    };
    let first = Session::new(&with(&[4]), &Device::cpu(1), ROOMY).unwrap();
    let error = first.share(&with(&[5]), ROOMY).unwrap_err();
    assert!(matches!(&error, Error::Data { name, .. } if name == "w"), "{error}");
    let mut second = first.share(&with(&[4]), ROOMY).unwrap();
    second.write("w", &[1.0f32, 2.0, 3.0, 4.0]).unwrap();
    assert_eq!(first.read::<f32>("w").unwrap(), [1.0, 2.0, 3.0, 4.0]);
    // The first goes, the state stays.
    drop(first);
    second.run().unwrap();
    assert_eq!(second.read::<f32>("y").unwrap(), [3.0, 6.0, 9.0, 12.0]);
}

/// A state may come and go piece by piece; a piece that does not lie in it is refused, and nothing else than a state has pieces.
#[test]
fn a_state_is_written_and_read_in_parts() {
    let mut b = Builder::new();
    let w = b.state::<f32>("w", &[2, 3]).unwrap();
    let y = b.scale(w, 2.0).unwrap();
    b.output("y", y).unwrap();
    let mut session = Session::new(&b.finish().unwrap(), &Device::cpu(1), ROOMY).unwrap();
    session.write_part("w", 4, &[5.0f32, f32::from_bits(0xffff_ffff)]).unwrap();
    session.write_part("w", 1, &[2.0f32, 3.0]).unwrap();
    session.write_part::<f32>("w", 6, &[]).unwrap();
    let bits: Vec<u32> = session.read::<f32>("w").unwrap().into_iter().map(f32::to_bits).collect();
    let expected = [0.0f32, 2.0, 3.0, 0.0, 5.0].map(f32::to_bits);
    assert_eq!((&bits[..5], bits[5]), (&expected[..], 0x7fc0_0000), "a NaN becomes the canonical one");
    let mut part = [0.0f32; 2];
    session.read_part("w", 1, &mut part).unwrap();
    assert_eq!(part, [2.0, 3.0]);
    session.run().unwrap();
    for (first, len) in [(5, 2), (7, 0), (usize::MAX, 2)] {
        let error = session.write_part("w", first, &vec![1.0f32; len]).unwrap_err();
        assert!(matches!(error, Error::Data { .. }), "{error}");
        assert!(session.read_part("w", first, &mut vec![1.0f32; len]).is_err());
    }
    assert!(session.write_part("w", 0, &[1u32]).is_err());
    assert!(session.write_part("y", 0, &[1.0f32]).is_err());
    assert!(session.read_part("y", 0, &mut part).is_err());
    assert_eq!(session.read::<f32>("w").unwrap()[..3], [0.0, 2.0, 3.0]);
}

/// A trace shows each operation once, in order, with the hash of the bytes it shows.
#[test]
fn a_trace_shows_every_operation_and_its_hash() {
    let mut seen = 0;
    for seed in 0..30 {
        let mut s = common::choices::Stream(seed);
        let decisions: Vec<u32> = (0..200).map(|_| s.number() as u32).collect();
        let made = programs::program(&decisions);
        let ops: Vec<Op> = wire(&made.program).operations.into_iter().map(|(op, _)| op).collect();
        for (name, device) in devices() {
            let mut session = Session::new(&made.program, device, ROOMY).unwrap();
            for feed in &made.feeds {
                write(&mut session, &feed.name, feed.ty.dtype, &feed.runs[0]).unwrap();
            }
            let mut next = 0;
            let done = session.trace(&mut |traced| {
                assert_eq!((traced.index(), traced.op()), (next, &ops[next]), "{name}");
                for (i, ty) in traced.types().enumerate() {
                    let bits = traced.bits(i);
                    assert_eq!(bits.len(), ty.shape.elements());
                    let bytes: Vec<u8> = bits.iter().flat_map(|word| word.to_le_bytes()).collect();
                    assert_eq!(traced.hash(i), *blake3::hash(&bytes).as_bytes(), "{name}");
                }
                next += 1;
            });
            assert!(done.is_err() || next == made.program.len());
            seen += next;
        }
    }
    assert!(seen > 1000, "only {seen} operations were seen");
}

/// A piece of a value lies where the value is; who writes over the value must not change the piece first.
#[test]
fn a_piece_is_read_before_its_whole_is_written_over() {
    let mut b = Builder::new();
    let x = b.input::<f32>("x", &[4, 3]).unwrap();
    let x = b.scale(x, 2.0).unwrap();
    let (first, rest) = (b.slice(x, 0, 0, 1).unwrap(), b.slice(x, 0, 1, 3).unwrap());
    // May not be written over `x`: its first row is added to every row.
    let y = b.add(x, first).unwrap();
    let z = b.slice(y, 0, 1, 3).unwrap();
    let z = b.add(z, rest).unwrap();
    b.output("z", z).unwrap();
    let program = b.finish().unwrap();
    for device in [Device::scalar(), Device::cpu(1)] {
        let mut session = Session::new(&program, &device, ROOMY).unwrap();
        session.write("x", &[1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12.0f32]).unwrap();
        session.run().unwrap();
        let right: Vec<f32> = (4..13).map(|i| (4 * i + 2 * (1 + (i - 1) % 3)) as f32).collect();
        assert_eq!(session.read::<f32>("z").unwrap(), right);
    }
}

/// Rows written one after another into a state are written there, and pieces of it are read there: there is no second one.
#[test]
fn a_cache_that_grows_row_by_row_is_not_copied() {
    let (rows, tokens, width) = (8, 512, 16);
    let mut b = Builder::new();
    let new = b.input::<f32>("new", &[3, 1, width]).unwrap();
    let at = b.input::<u32>("at", &[3]).unwrap();
    let cache = b.state::<f32>("cache", &[rows, tokens, width]).unwrap();
    let mut flat = b.reshape(cache, &[1, rows * tokens, width]).unwrap();
    for i in 0..3 {
        let (row, at) = (b.slice(new, 0, i, 1).unwrap(), b.slice(at, 0, i, 1).unwrap());
        flat = b.write_rows(flat, row, at).unwrap();
    }
    let longer = b.reshape(flat, &[rows, tokens, width]).unwrap();
    b.assign(cache, longer).unwrap();
    let some = b.slice(longer, 0, 2, 4).unwrap();
    let sum = b.sum(some, 1).unwrap();
    b.output("sum", sum).unwrap();
    let program = b.finish().unwrap();
    let cache_bytes = (4 * rows * tokens * width) as u64;
    assert!(program.states().all(|(_, ty)| Session::state_bytes(&ty) == cache_bytes));
    assert!(Session::bytes_needed(&program, &Device::cpu(1)) < cache_bytes + cache_bytes / 8);
    for device in [Device::scalar(), Device::cpu(2)] {
        let mut session = Session::new(&program, &device, ROOMY).unwrap();
        assert_eq!(session.changes("cache").unwrap(), 0);
        session.write("new", &(0..3 * width).map(|i| i as f32 + 1.0).collect::<Vec<_>>()).unwrap();
        for run in 0..2 {
            session.write("at", &[1, 2 * tokens as u32 + run, 5 * tokens as u32 + 7]).unwrap();
            session.run().unwrap();
        }
        assert_eq!(session.changes("cache").unwrap(), 2);
        let kept = session.read::<f32>("cache").unwrap();
        assert_eq!(kept.iter().filter(|x| **x != 0.0).count(), 4 * width);
        assert_eq!(kept[width..][..2], [1.0, 2.0]);
        let sum = session.read::<f32>("sum").unwrap();
        let row = |i: usize| sum[i * width];
        assert_eq!(
            [row(0), row(1), row(2), row(3)],
            [2.0 * (width as f32 + 1.0), 0.0, 0.0, 2.0 * width as f32 + 1.0]
        );
    }
}
