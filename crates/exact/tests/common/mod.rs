//! What the integration tests share: values, programs and operations made at random, and a way to run them everywhere.

#![allow(dead_code, unused_imports, reason = "each test program uses its own part")]

pub(crate) mod cases;
pub(crate) mod choices;
pub(crate) mod models;
pub(crate) mod play;
pub(crate) mod programs;
pub(crate) mod real;
pub(crate) mod values;
pub(crate) mod vectors;
pub(crate) mod wire;

/// How many random cases a property gets: `usual`, or what `EXACT_CASES` says.
pub(crate) fn cases(usual: u32) -> u32 {
    std::env::var("EXACT_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

/// What proptest is told: cases, and where the seeds of failures are kept.
pub(crate) fn config(usual: u32, regressions: &'static str) -> proptest::test_runner::Config {
    let keep = proptest::test_runner::FileFailurePersistence::Direct(regressions);
    proptest::test_runner::Config {
        cases: cases(usual),
        failure_persistence: Some(Box::new(keep)),
        max_shrink_iters: 4_000,
        ..proptest::test_runner::Config::default()
    }
}
