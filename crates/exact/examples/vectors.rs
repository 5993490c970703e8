//! Writes the conformance vectors of `vectors/`, or proves that they are what the scalar spec gives.
//!
//! ```sh
//! cargo run --release -p exact --example vectors              # write them anew
//! cargo run --release -p exact --example vectors -- --check   # run what is committed on the spec
//! ```

#![allow(clippy::unwrap_used, reason = "the cases are written down here")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::path::Path;
use std::process::ExitCode;

use common::cases::{Case, KINDS, Size, case};
use common::choices::Stream;
use common::models::{Sizes, training_step};
use common::values::{Kind, SPECIALS, floats, ints};
use common::vectors::{Run, Tensor, Vector, text_of, vectors_of};
use common::{programs, wire};
use exact::{BinaryFn, CompareFn, DType, Device, IntFn, Op, Program, ReduceFn, Shape, Type, UnaryFn};

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let done = match std::env::args().nth(1).as_deref() {
        None => write(&folder),
        Some("--check") => check(&folder),
        Some(other) => Err(format!("no such option: {other}; there is --check")),
    };
    match done {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Every file with what is in it, yet without results.
fn files() -> Vec<(&'static str, Vec<Vector>)> {
    let of = |kinds: &[&str], rounds: u64| -> Vec<Vector> {
        let random = |kind: &&str| -> Vec<Vector> {
            let case = |seed: u64| case(kind, Size::Tiny, seed << 8);
            (0..rounds).map(|seed| one(&format!("{kind} {seed}"), &case(seed))).collect()
        };
        kinds.iter().flat_map(random).collect()
    };
    let [nothing, elementwise, moved, contracted, fused] = families();
    vec![
        ("functions.txt", functions()),
        ("integers.txt", integers()),
        ("sources.txt", of(&nothing, 6)),
        ("elementwise.txt", of(&elementwise, 12)),
        ("moved.txt", of(&moved, 10)),
        ("contracted.txt", [of(&contracted, 12), contractions()].concat()),
        ("fused.txt", [of(&fused, 12), fusions()].concat()),
        ("packed.txt", of(&["unpack", "packed_matmul"], 10)),
        ("programs.txt", whole_programs()),
    ]
}

/// The kinds of operations: made from nothing, element by element, moved, contracted, fused.
fn families() -> [Vec<&'static str>; 5] {
    let at = |kind: &str| KINDS.iter().position(|k| *k == kind).unwrap();
    let cuts = [0, at("unit"), at("reshape"), at("matmul"), at("rms_norm"), at("nested_axes")];
    std::array::from_fn(|i| KINDS[cuts[i]..cuts[i + 1]].to_vec())
}

fn write(folder: &Path) -> Result<String, String> {
    let mut count = 0;
    for (name, vectors) in files() {
        let played: Result<Vec<Vector>, String> =
            vectors.iter().map(|v| v.played(&Device::scalar())).collect();
        let played = played?;
        count += played.len();
        std::fs::write(folder.join(name), text_of(&played)).map_err(|e| format!("{name}: {e}"))?;
    }
    Ok(format!("{count} cases written to {}", folder.display()))
}

fn check(folder: &Path) -> Result<String, String> {
    let mut count = 0;
    for (name, _) in files() {
        let text = std::fs::read_to_string(folder.join(name)).map_err(|e| format!("{name}: {e}"))?;
        let vectors = vectors_of(&text).map_err(|e| format!("{name}: {e}"))?;
        let played: Result<Vec<Vector>, String> =
            vectors.iter().map(|v| v.played(&Device::scalar())).collect();
        for (committed, given) in vectors.iter().zip(played.map_err(|e| format!("{name}: {e}"))?) {
            if *committed != given {
                return Err(format!("{name}: {}: the spec gives other bits", committed.title));
            }
        }
        if text != text_of(&vectors) {
            return Err(format!("{name}: the text is not as it is written: `cargo xtask vectors` writes it"));
        }
        count += vectors.len();
    }
    Ok(format!("{count} cases are what the spec gives"))
}

/// One operation alone.
fn one(title: &str, case: &Case) -> Vector {
    let program = wire::alone(&case.op, &case.operands).unwrap();
    let input = |(i, (ty, bits)): (usize, (&Type, &Vec<u32>))| Tensor {
        name: format!("x{i}"),
        ty: *ty,
        bits: bits.clone(),
    };
    let inputs = case.operands.iter().zip(&case.data).enumerate().map(input).collect();
    let runs = vec![Run { inputs, ..Run::default() }];
    Vector { title: title.to_owned(), program: program.encode(), runs, ..Vector::default() }
}

fn directed(title: &str, op: Op, operands: &[(DType, &[usize], Vec<u32>)]) -> Vector {
    let ty = |dtype: DType, dims: &[usize]| Type { dtype, shape: Shape::new(dims).unwrap() };
    let data = operands.iter().map(|(.., bits)| bits.clone()).collect();
    let operands = operands.iter().map(|(dtype, dims, _)| ty(*dtype, dims)).collect();
    one(title, &Case { op, operands, data })
}

use DType::{F32, U32};

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// Functions of one number over every corner and a sample of magnitudes; of two and three over all pairs and triples.
fn functions() -> Vec<Vector> {
    let mut xs = SPECIALS.to_vec();
    let mut s = Stream(1);
    // Every eighth binade, both signs; and where the functions change.
    xs.extend((0..=31).map(|e| (e * 8) << 23 | (s.number() as u32 & 0x807f_ffff)));
    xs.extend(bits(&[
        0.5, 0.625, 0.6249, 9.5, 9.51, 1.5, 2.5, 3.25, 0.1, 0.75, 10.0, -10.0, 150.0, -150.1, 1e6, 3e38,
    ]));
    xs.extend(floats(Kind::Tame, 2, 32));
    let mut vectors: Vec<Vector> = UnaryFn::ALL
        .iter()
        .map(|f| directed(f.name(), Op::Unary(*f), &[(F32, &[xs.len()], xs.clone())]))
        .collect();

    let some: Vec<u32> =
        SPECIALS[..18].iter().copied().chain([0x3f80_0001, 0x3380_0000, 0x4b80_0000]).collect();
    let n = some.len();
    let (column, row) = ([n, 1], [n]);
    let pairs = [(F32, &column[..], some.clone()), (F32, &row[..], some)];
    for f in BinaryFn::ALL {
        vectors.push(directed(f.name(), Op::Binary(f), &pairs));
    }
    for (name, f) in [("lt", CompareFn::Lt), ("le", CompareFn::Le), ("eq", CompareFn::Eq)] {
        vectors.push(directed(name, Op::Compare(f), &pairs));
    }
    // Ties, cancellation, results that are subnormal, infinities against each other.
    let few = bits(&[
        0.0,
        -0.0,
        1.0,
        -1.000_000_1,
        f32::INFINITY,
        f32::NAN,
        f32::from_bits(1),
        -f32::MIN_POSITIVE,
        f32::MAX,
        5.960_464_5e-8,
    ]);
    let n = few.len();
    let three =
        [(F32, &[n, 1, 1][..], few.clone()), (F32, &[n, 1][..], few.clone()), (F32, &[n][..], few.clone())];
    vectors.push(directed("fma", Op::Fma, &three));
    // Sums that lie next to the middle of two numbers, where two roundings would go astray.
    let mut s = Stream(3);
    let close = |s: &mut Stream| {
        let a = f32::from_bits(0x3f80_0000 | s.number() as u32 & 0x007f_ffff);
        let b = f32::from_bits(0x3f80_0000 | s.number() as u32 & 0x007f_ffff);
        let half_ulp = if a * b >= 2.0 { 1.192_092_9e-7 } else { 5.960_464_5e-8 };
        (a, b, s.pick(&[half_ulp, -half_ulp, 1e-30, -1e-30, half_ulp * 1e-9]))
    };
    let triples: Vec<(f32, f32, f32)> = (0..120).map(|_| close(&mut s)).collect();
    let part = |f: fn(&(f32, f32, f32)) -> f32| bits(&triples.iter().map(f).collect::<Vec<_>>());
    let operands = [part(|t| t.0), part(|t| t.1), part(|t| t.2)].map(|bits| (F32, &[120][..], bits));
    vectors.push(directed("fma next to ties", Op::Fma, &operands));
    vectors
}

/// Integers at their limits; those that do not fit fail.
fn integers() -> Vec<Vector> {
    let edge = vec![0, 1, 2, 3, 65_535, 65_536, 0x7fff_ffff, 0x8000_0000, u32::MAX - 1, u32::MAX];
    let n = edge.len();
    let mut vectors = Vec::new();
    for f in [IntFn::Max, IntFn::Min, IntFn::Lt, IntFn::Eq] {
        let operands = [(U32, &[n, 1][..], edge.clone()), (U32, &[n][..], edge.clone())];
        vectors.push(directed(f.name(), Op::Int(f), &operands));
    }
    for (f, a, b) in [
        (IntFn::Add, vec![0, u32::MAX, 5], vec![0, 0, 6]),
        (IntFn::Add, vec![0, u32::MAX, 5], vec![0, 1, 6]),
        (IntFn::Sub, vec![0, u32::MAX, 5], vec![0, u32::MAX, 5]),
        (IntFn::Sub, vec![0, u32::MAX, 5], vec![0, u32::MAX, 6]),
        (IntFn::Mul, vec![65_535, u32::MAX, 0], vec![65_537, 1, u32::MAX]),
        (IntFn::Mul, vec![65_536, u32::MAX, 0], vec![65_536, 1, u32::MAX]),
    ] {
        vectors.push(directed(f.name(), Op::Int(f), &[(U32, &[3], a), (U32, &[3], b)]));
    }
    let halves = vec![
        0,
        1,
        16_777_215,
        16_777_216,
        16_777_217,
        16_777_219,
        33_554_434,
        33_554_435,
        u32::MAX - 128,
        u32::MAX,
    ];
    vectors.push(directed("to_float: ties to even", Op::ToFloat, &[(U32, &[10], halves)]));
    let words = vec![0, 1, 255, 256, 511, 512, 0x7fff_ffff, 0x8000_0000, 0xffff_fdff, u32::MAX];
    vectors.push(directed("unit", Op::Unit, &[(U32, &[10], words)]));
    let seeds =
        [[0; 4], [u32::MAX; 4], [1, 2, 3, 4], [0xa409_3822, 0x299f_31d0, 0x0370_7344, 0x1319_8a2e]].concat();
    vectors.push(directed("philox", Op::Philox { words: 9 }, &[(U32, &[4, 4], seeds)]));
    for (limit, id) in [("in range", 2), ("out of range", 3)] {
        let table = floats(Kind::Plain, 1, 6);
        let operands = [(F32, &[3, 2][..], table), (U32, &[2][..], vec![0, id])];
        vectors.push(directed(&format!("gather {limit}"), Op::Gather, &operands));
    }
    vectors
}

/// Products and folds longer than a block, a lane or the tree is wide.
fn contractions() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for (k, kind) in [(513, Kind::Tame), (512, Kind::Spiked), (0, Kind::Tame)] {
        let operands =
            [(F32, &[2, k][..], floats(kind, 5, 2 * k)), (F32, &[k, 1][..], floats(Kind::Tame, 6, k))];
        let op = Op::Matmul { ta: false, tb: false };
        vectors.push(directed(&format!("matmul, K = {k}"), op, &operands));
    }
    // Each row its own part of K: up to a block's end, across it, from inside a block, nothing.
    let operands = [
        (F32, &[5, 520][..], floats(Kind::Tame, 7, 5 * 520)),
        (F32, &[520, 1][..], floats(Kind::Tame, 8, 520)),
        (U32, &[5][..], vec![0, 100, 512, 3, 7]),
        (U32, &[5][..], vec![512, 520, 520, 3, 8]),
    ];
    vectors.push(directed(
        "ragged_matmul across blocks",
        Op::RaggedMatmul { ta: false, tb: false },
        &operands,
    ));
    // Zero times infinity lies outside the range, and is not looked at.
    let operands = [
        (F32, &[1, 3][..], bits(&[0.0, -0.0, 1.0])),
        (F32, &[3, 1][..], bits(&[f32::INFINITY, 2.0, f32::NAN])),
        (U32, &[1][..], vec![1]),
        (U32, &[1][..], vec![2]),
    ];
    vectors.push(directed("ragged_matmul skips", Op::RaggedMatmul { ta: false, tb: false }, &operands));
    for n in [63, 64, 65, 200] {
        let x = floats(Kind::Tame, n as u64, n);
        let sum = Op::Reduce { with: ReduceFn::Sum, axis: 0 };
        vectors.push(directed(&format!("sum of {n}"), sum, &[(F32, &[n], x.clone())]));
        let y = floats(Kind::Tame, n as u64 + 1, n);
        vectors.push(directed(
            &format!("dot of {n}"),
            Op::Dot { axis: 0 },
            &[(F32, &[n], x), (F32, &[n], y)],
        ));
    }
    let zeros = || bits(&[-0.0; 3]);
    let sum = Op::Reduce { with: ReduceFn::Sum, axis: 0 };
    vectors.push(directed("sum of -0 is +0", sum, &[(F32, &[3], zeros())]));
    let rows = bits(&[
        -0.0,
        0.0,
        -1.0, // +0 is above -0
        2.0,
        2.0,
        1.0, // a tie
        f32::NAN,
        f32::INFINITY,
        f32::NAN, // NaN is above all
        f32::NEG_INFINITY,
        f32::NEG_INFINITY,
        f32::NEG_INFINITY,
    ]);
    let greatest = Op::Reduce { with: ReduceFn::Max, axis: 1 };
    vectors.push(directed("reduce_max", greatest, &[(F32, &[4, 3], rows.clone())]));
    vectors.push(directed("argmax", Op::ArgMax, &[(F32, &[4, 3], rows)]));
    let (k, p) = (vec![0, 2, 1, 0, 5, 0], bits(&[1.0, 1.0, 0.5, 0.5, 0.7, 0.0]));
    let logits = bits(&[
        1.0,
        1.0,
        1.0,
        1.0, // all
        0.0,
        -0.0,
        0.0,
        0.0, // the first two of equals
        3.0,
        1.0,
        3.0,
        2.0, // the best
        0.0,
        0.0,
        0.0,
        0.0, // half the mass
        2.0,
        f32::NAN,
        5.0,
        1.0,
        f32::NEG_INFINITY,
        f32::NEG_INFINITY,
        f32::NEG_INFINITY,
        f32::NEG_INFINITY,
    ]);
    vectors.push(directed("keep", Op::Keep, &[(F32, &[6, 4], logits), (U32, &[6], k), (F32, &[6], p)]));
    vectors
}

/// Fused operations where they have corners.
fn fusions() -> Vec<Vector> {
    let inf = f32::INFINITY;
    let rows =
        bits(&[-inf, -inf, -inf, inf, 1.0, inf, f32::NAN, 0.0, 0.0, 0.0, -200.0, 100.0, 1e38, -1e38, 3e38]);
    let mut vectors = vec![
        directed("softmax", Op::Softmax, &[(F32, &[5, 3], rows.clone())]),
        directed(
            "token_logprob",
            Op::TokenLogprob,
            &[(F32, &[5, 3], rows), (U32, &[5], vec![0, 1, 2, 1, 0])],
        ),
    ];
    let wide = floats(Kind::Tame, 11, 2 * 70);
    vectors.push(directed("softmax of 70", Op::Softmax, &[(F32, &[2, 70], wide.clone())]));
    let weight = floats(Kind::Tame, 12, 70);
    vectors.push(directed(
        "rms_norm of 70",
        Op::RmsNorm { eps: 1e-6 },
        &[(F32, &[2, 70], wide), (F32, &[70], weight)],
    ));
    // A cache with room behind the keys that are seen: what is in it must not be.
    let (q, kv) = ([2, 2, 4, 3], [2, 6, 2, 3]);
    let cache = |seed: u64| -> Vec<u32> {
        let mut data = floats(Kind::Tame, seed, 72);
        data[30..36].fill(0x7fc0_0000);
        data[54..72].fill(0x7f80_0000);
        data
    };
    let operands = |start: Vec<u32>| {
        [
            (F32, &q[..], floats(Kind::Tame, 13, 48)),
            (F32, &kv[..], cache(14)),
            (F32, &kv[..], cache(15)),
            (U32, &[2][..], start),
        ]
    };
    vectors.push(directed(
        "attention, causal",
        Op::Attention { scale: 0.5, causal: true },
        &operands(vec![3, 1]),
    ));
    vectors.push(directed(
        "attention, full",
        Op::Attention { scale: 0.5, causal: false },
        &operands(vec![5, 3]),
    ));
    vectors.push(directed(
        "attention, too many",
        Op::Attention { scale: 0.5, causal: true },
        &operands(vec![5, 1]),
    ));
    let logits = floats(Kind::Tame, 16, 6 * 20);
    let seeds: Vec<u32> = (0..6).flat_map(|row| [42, 0, row, 7]).collect();
    let settings = [
        (U32, &[6, 4][..], seeds),
        (F32, &[6][..], bits(&[0.0, 1.0, 0.7, 2.0, 1.0, 1e-6])),
        (U32, &[6][..], vec![0, 0, 5, 1, 0, 3]),
        (F32, &[6][..], bits(&[1.0, 1.0, 1.0, 0.9, 0.5, 0.9])),
    ];
    let operands = [vec![(F32, &[6, 20][..], logits)], settings.to_vec()].concat();
    vectors.push(directed("sample", Op::Sample, &operands));
    let angle = bits(&[1.0, 0.0, -1.0, 0.5]);
    let x = (F32, &[1, 2, 2, 4][..], floats(Kind::Plain, 17, 16));
    let tables = [(F32, &[2, 2][..], angle.clone()), (F32, &[2, 2][..], angle)];
    for inverse in [false, true] {
        let operands = [x.clone(), tables[0].clone(), tables[1].clone()];
        vectors.push(directed("rope", Op::Rope { inverse }, &operands));
    }
    vectors
}

/// Programs of many operations, run several times.
fn whole_programs() -> Vec<Vector> {
    let tensor = |(name, ty): (&str, Type), bits: Vec<u32>| Tensor { name: name.to_owned(), ty, bits };
    let sizes = Sizes { layers: 1, batch: 2, t: 3, width: 8, heads: 2, inner: 12, vocabulary: 11 };
    let program = training_step(&sizes).unwrap();
    let states = program.states().enumerate().map(|(i, state)| {
        let n = state.1.shape.elements();
        let bits = if state.0.starts_with('p') { floats(Kind::Tame, i as u64, n) } else { vec![0; n] };
        tensor(state, bits)
    });
    let run = |step: i32| {
        let input = |input: (&str, Type)| {
            let n = input.1.shape.elements();
            let bits = match input.0 {
                "lr" => bits(&[0.01]),
                "c1" => bits(&[1.0 / (1.0 - 0.9f32.powi(step))]),
                "c2" => bits(&[1.0 / (1.0 - 0.95f32.powi(step))]),
                _ => ints(0, 10, step as u64, n),
            };
            tensor(input, bits)
        };
        Run { inputs: program.inputs().map(input).collect(), ..Run::default() }
    };
    let mut vectors = vec![Vector {
        title: "a training step of a decoder, twice".to_owned(),
        program: program.encode(),
        states: states.collect(),
        runs: vec![run(1), run(2)],
        ..Vector::default()
    }];
    // Small ones at random, among them such as fail.
    let mut seed = 0;
    while vectors.len() < 41 {
        seed += 1;
        let mut s = Stream(seed);
        let length = 20 + s.below(60);
        let decisions: Vec<u32> = (0..length).map(|_| s.number() as u32).collect();
        let made = programs::program(&decisions);
        let program: &Program = &made.program;
        let values: usize = program.to_string().len();
        let words: usize = made.feeds.iter().flat_map(|f| &f.runs).map(Vec::len).sum();
        let results: usize = program.outputs().map(|(_, ty)| ty.shape.elements()).sum();
        if program.len() < 5 || words > 600 || results > 300 || values > 6_000 {
            continue;
        }
        let feed = |name: &str| made.feeds.iter().find(|f| f.name == name).unwrap();
        let states = program.states().map(|state| tensor(state, feed(state.0).runs[0].clone())).collect();
        let runs = (0..2).map(|i| Run {
            inputs: program.inputs().map(|input| tensor(input, feed(input.0).runs[i].clone())).collect(),
            ..Run::default()
        });
        let (title, program) = (format!("random {seed}"), program.encode());
        vectors.push(Vector { title, states, runs: runs.collect(), program, ..Vector::default() });
    }
    vectors
}
