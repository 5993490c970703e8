//! The arithmetic in Solidity against the scalar specification of `exact`, bit for bit.
//!
//! Each function gets some thousand vectors: random ones, with weight on what goes wrong. `ARITHMETIC_VECTORS=1000000 cargo test
//! -p conformance-contracts --test arithmetic` gives each a million, which takes some minutes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod evm;
mod numbers;

use evm::{Argument, Contract, bytes};
use exact::{BinaryFn, CompareFn, IntFn, UnaryFn, scalar};
use numbers::Stream;
use revm::primitives::{hex, keccak256};

/// How many vectors one call to the contract brings.
const BATCH: usize = 1024;

/// What should come of some words.
type Expected = Box<dyn Fn(&[u32]) -> Vec<u32>>;

/// A function as both sides have it.
struct Function {
    name: &'static str,
    /// Its number in the referee, and which of several it is.
    code: (u64, u64),
    /// Words of one vector.
    operands: fn(&mut Stream) -> Vec<u32>,
    /// Words that come out, by `exact`.
    result: Expected,
}

/// How many vectors each function gets; `dear` ones, which take many multiplications, get fewer unless a number is asked for.
fn vectors(dear: bool) -> usize {
    let asked = std::env::var("ARITHMETIC_VECTORS").ok().and_then(|n| n.parse().ok());
    asked.unwrap_or(if dear { 1_500 } else { 12_000 })
}

/// Compares both sides on so many vectors.
fn compare(function: &Function, n: usize) {
    let mut contract = Contract::of("Arithmetic");
    // Another function has other vectors.
    let mut stream = Stream(function.code.0 << 8 | function.code.1);
    let mut gas = 0;
    let mut left = n;
    while left > 0 {
        let batch: Vec<Vec<u32>> = (0..left.min(BATCH)).map(|_| (function.operands)(&mut stream)).collect();
        left -= batch.len();
        let words: Vec<u8> = batch.iter().flatten().flat_map(|w| w.to_be_bytes()).collect();
        let (code, number) = function.code;
        let arguments = [Argument::Number(code), Argument::Number(number), Argument::Bytes(&words)];
        let (answer, used) = contract.call("results(uint256,uint256,bytes)", &arguments).unwrap();
        gas += used;
        let mut results =
            bytes(&answer, 0).chunks_exact(4).map(|w| u32::from_be_bytes(w.try_into().unwrap()));
        for operands in &batch {
            for expected in (function.result)(operands) {
                let got = results.next().unwrap();
                assert_eq!(
                    got, expected,
                    "{}{operands:08x?} is {expected:08x} in exact, {got:08x} in Solidity",
                    function.name
                );
            }
        }
        assert_eq!(results.next(), None);
    }
    println!("{}: {n} vectors, {} gas each", function.name, gas / n as u64);
}

#[test]
fn sums_products_quotients_and_roots() {
    let binary = |f: BinaryFn, operands| Function {
        name: f.name(),
        code: (7, BinaryFn::ALL.iter().position(|g| *g == f).unwrap() as u64),
        operands,
        result: Box::new(move |x| vec![scalar::binary(f, x[0], x[1])]),
    };
    compare(
        &Function {
            name: "fma",
            code: (10, 0),
            operands: |s| s.product_and_term().to_vec(),
            result: Box::new(|x| vec![scalar::fma(x[0], x[1], x[2])]),
        },
        2 * vectors(false),
    );
    compare(&binary(BinaryFn::Add, |s| s.terms().to_vec()), vectors(false));
    compare(&binary(BinaryFn::Sub, |s| s.terms().to_vec()), vectors(false));
    compare(&binary(BinaryFn::Mul, |s| s.factors().to_vec()), vectors(false));
    compare(&binary(BinaryFn::Div, |s| s.fraction().to_vec()), vectors(false));
    compare(&binary(BinaryFn::Max, |s| s.terms().to_vec()), vectors(false));
    compare(&binary(BinaryFn::Min, |s| s.terms().to_vec()), vectors(false));
    compare(&binary(BinaryFn::ReluGrad, |s| s.terms().to_vec()), vectors(false));
    compare(&unary(UnaryFn::Sqrt), vectors(false));
}

#[test]
fn relations_conversions_integers_and_random_bits() {
    for (i, f) in [CompareFn::Lt, CompareFn::Le, CompareFn::Eq].into_iter().enumerate() {
        let function = Function {
            name: ["lt", "le", "eq"][i],
            code: (8, i as u64),
            operands: |s| match s.below(4) {
                0 => vec![s.number() & 0x8000_0000, s.number() & 0x8000_0000],
                // Neighbours, of one sign and of two.
                1 => {
                    let x = s.number();
                    vec![x, x.wrapping_add(s.below(3)).wrapping_sub(1)]
                }
                2 => s.terms().to_vec(),
                _ => vec![s.number(), s.number()],
            },
            result: Box::new(move |x| vec![scalar::compare(f, x[0], x[1])]),
        };
        compare(&function, vectors(false));
    }
    let to_float = Function {
        name: "to_float",
        code: (12, 0),
        // Of every length; with ties where there are more bits than a number has.
        operands: |s| {
            let length = 1 + s.below(32);
            let x = s.bits() >> (32 - length);
            let cut = length.saturating_sub(24);
            let tie = x >> cut << cut | (1 << cut) >> 1;
            vec![if s.below(2) == 0 { x } else { tie.wrapping_add(s.below(3)).wrapping_sub(1) }]
        },
        result: Box::new(|x| vec![scalar::to_float(x[0])]),
    };
    compare(&to_float, vectors(false));

    use IntFn::{Add, Eq, Lt, Max, Min, Mul, Sub};
    for (i, f) in [Add, Sub, Mul, Max, Min, Lt, Eq].into_iter().enumerate() {
        let function = Function {
            name: f.name(),
            code: (9, i as u64),
            operands: |s| {
                let mut one = || match s.below(4) {
                    0 => s.below(4),
                    1 => u32::MAX - s.below(4),
                    2 => s.below(1 << 17),
                    _ => s.bits(),
                };
                vec![one(), one()]
            },
            result: Box::new(move |x| {
                let result = scalar::int(f, x[0], x[1]);
                vec![u32::from(result.is_some()), result.unwrap_or(0)]
            }),
        };
        compare(&function, vectors(false));
    }
    let unit = Function {
        name: "unit",
        code: (4, 0),
        operands: |s| vec![s.bits()],
        result: Box::new(|x| vec![scalar::unit(x[0])]),
    };
    compare(&unit, vectors(false));
    let philox = Function {
        name: "philox",
        code: (3, 0),
        operands: |s| {
            (0..6).map(|_| if s.below(4) == 0 { s.below(2).wrapping_neg() } else { s.bits() }).collect()
        },
        result: Box::new(|x| scalar::philox([x[0], x[1], x[2], x[3]], [x[4], x[5]]).to_vec()),
    };
    compare(&philox, vectors(false) / 4);
}

fn unary(f: UnaryFn) -> Function {
    Function {
        name: f.name(),
        code: (6, UnaryFn::ALL.iter().position(|g| *g == f).unwrap() as u64),
        operands: |s| {
            let x = s.number();
            // Also about the multiples of pi/4 and of ln 2, where functions turn or their parts change.
            let multiple = |s: &mut Stream, step: f32| {
                let near = (s.below(250) as f32 * step).to_bits() + s.below(5);
                near.wrapping_sub(2) & 0x7fff_ffff | s.bits() & 0x8000_0000
            };
            vec![match s.below(8) {
                0 => multiple(s, std::f32::consts::FRAC_PI_4),
                1 => multiple(s, std::f32::consts::LN_2 / 2.0),
                _ => x,
            }]
        },
        result: Box::new(move |x| vec![scalar::unary(f, x[0])]),
    }
}

#[test]
fn functions_of_a_number() {
    for f in UnaryFn::ALL {
        compare(&unary(f), vectors(true));
    }
}

#[test]
fn derivatives() {
    for f in [BinaryFn::SiluGrad, BinaryFn::GeluGrad] {
        let function = Function {
            name: f.name(),
            code: (7, BinaryFn::ALL.iter().position(|g| *g == f).unwrap() as u64),
            operands: |s| vec![s.number(), s.number()],
            result: Box::new(move |x| vec![scalar::binary(f, x[0], x[1])]),
        };
        compare(&function, vectors(true));
    }
}

/// The table of constants in `docs/spec.md` is tested against the code of `exact`; so are these against that table.
#[test]
fn the_constants_are_those_of_the_specification() {
    let document = include_str!("../../docs/spec.md");
    let source = include_str!("../../contracts/src/Functions.sol");
    let names = ["EXP", "LN2", "LOG", "LOG_LN2", "TANH", "SIN", "COS", "HALF_PI", "GELU"];
    for name in names {
        let line = document.lines().find(|line| line.split(' ').next() == Some(name)).unwrap();
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        let constant = |name: &str| {
            let declared = format!("constant {name} = 0x");
            let from =
                source.find(&declared).unwrap_or_else(|| panic!("no constant {name}")) + declared.len();
            source[from..].split(';').next().unwrap().trim_start_matches("00").to_owned()
        };
        // Nine do not fit a word: the leading one stands alone.
        let (alone, rest) = words.split_at(words.len().saturating_sub(8));
        assert_eq!(constant(name), rest.join("_"), "{name}");
        if let [leading] = alone {
            assert_eq!(constant(&format!("{name}_LEADING")), *leading);
        }
    }
}

/// What `contracts/test/Arithmetic.t.sol` has of the committed vectors: each function's results, by their hash.
#[test]
fn the_contracts_own_tests_have_the_committed_vectors() {
    let vectors = include_str!("../../crates/exact/vectors/functions.txt");
    let tests = include_str!("../../contracts/test/Arithmetic.t.sol");
    let mut name = "";
    for line in vectors.lines() {
        if let Some(title) = line.strip_prefix("case ") {
            name = title;
        } else if let Some(output) = line.strip_prefix("out ") {
            let words: String = output.split(' ').skip(2).collect();
            let hash = keccak256(hex::decode(words).unwrap());
            assert!(tests.contains(&format!("{hash}, \"{name}\"")), "{name} should have the hash {hash}");
        }
    }
}
