//! Random programs: operations that feed each other, gradients, states that move from run to run.

use std::collections::BTreeSet;

use exact::{Device, Program};
use proptest::prelude::*;

use crate::common::choices::Stream;
use crate::common::play::{Run, devices, parting, play, same_everywhere};
use crate::common::{cases, config, programs};

const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/regressions/bits.txt");

fn decisions() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(any::<u32>(), 10..320)
}

fn unwatched(played: &[Run]) -> Vec<Run> {
    played.iter().map(|run| Run { operations: Vec::new(), ..run.clone() }).collect()
}

proptest! {
    #![proptest_config(config(700, REGRESSIONS))]

    /// Outputs, states after each of three runs, every operation's results, and errors.
    #[test]
    fn every_device_gives_the_same_bits(decisions in decisions()) {
        let made = programs::program(&decisions);
        let right = same_everywhere(&made.program, &made.feeds);
        prop_assert!(right.is_ok(), "{}", right.unwrap_err());

        // Watching changes nothing.
        let right = unwatched(&right.unwrap());
        for device in [&Device::scalar(), &devices()[devices().len() - 1].1] {
            let alone = play(&made.program, device, &made.feeds, false);
            prop_assert!(right == alone, "trace and run differ: {:?}", parting(&made.program, &right, &alone));
        }
    }

    /// A program is its encoding.
    #[test]
    fn encoding_and_back(decisions in decisions()) {
        let program = programs::program(&decisions).program;
        let again = Program::decode(&program.encode());
        prop_assert_eq!(again.as_ref(), Ok(&program));
        prop_assert_eq!(again.unwrap().hash(), program.hash());
    }
}

/// What the generator leaves out is not tested by it.
#[test]
fn the_generator_makes_every_operation_that_a_builder_has() {
    let mut seen = BTreeSet::new();
    let (mut failed, mut moved) = (0, 0);
    for seed in 0..600 {
        let mut s = Stream(seed);
        let decisions: Vec<u32> = (0..200).map(|_| s.number() as u32).collect();
        let made = programs::program(&decisions);
        for line in made.program.to_string().lines() {
            if let Some((_, right)) = line.split_once(" = ") {
                seen.insert(right.split([' ', '(']).next().unwrap_or_default().to_owned());
            }
        }
        if seed < u64::from(cases(60)) {
            let played = play(&made.program, &devices()[0].1, &made.feeds, false);
            failed += usize::from(played.iter().any(|run| run.error.is_some()));
            moved += usize::from(played.len() == 3 && played[0].states != played[2].states);
        }
    }
    for noise in ["input", "state", ""] {
        seen.remove(noise);
    }
    seen.retain(|name| !name.starts_with('%'));
    // Every kind; those that stand for many functions by the functions' names.
    let families = ["unary", "binary", "compare", "int", "nested_axes"];
    let missing: Vec<&str> =
        ["lt", "le", "eq", "int_add", "int_sub", "int_mul", "int_max", "int_min", "int_lt", "int_eq"]
            .into_iter()
            .chain(cases::KINDS.into_iter().filter(|kind| !families.contains(kind)))
            .chain(exact::UnaryFn::ALL.map(exact::UnaryFn::name))
            .chain(exact::BinaryFn::ALL.map(exact::BinaryFn::name))
            .filter(|name| !seen.contains(*name))
            .collect();
    assert!(missing.is_empty(), "never made: {missing:?}");
    assert!(moved > 10, "of 60 programs only {moved} have states that move");
    assert!(failed < 20, "of 60 programs {failed} fail");
}
