//! The checks: `test`, `lint`, `deny` and `vectors`.

use crate::step::{Done, cargo, output, root, run, run_watched, step, target};
use crate::{conformance, contracts, dashboard, node};
use std::path::Path;
use std::process::{Command, Stdio};

/// Pinned, since `deny.toml` changes its words between versions.
const CARGO_DENY: &str = "0.20.2";

/// Every check, the tests last so that the run ends with their closing lines.
pub(crate) fn test() -> Done {
    lint()?;
    vectors(true)?;
    contracts::test()?;
    conformance::chain()?;
    dashboard::check()?;
    dashboard::browse_where_possible()?;
    let anvil = node::anvil()?;
    let mut tally = Tally::default();
    let tests = step("cargo test: unit, integration and documentation tests", || {
        let mut tests = cargo(&["test", "--workspace", "--no-fail-fast"]);
        run_watched(tests.env("ANVIL", &anvil), |line| tally.read(line))
    });
    println!("\n{} passed, {} failed", tally.passed, tally.failed);
    tests
}

/// The checks that need no test run.
pub(crate) fn lint() -> Done {
    step("rustfmt: the sources are formatted", || run(&mut cargo(&["fmt", "--all", "--check"])))
        .map_err(|why| format!("{why}; `cargo fmt --all` mends it"))?;
    step("clippy: no warning in any target", || {
        run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))
    })?;
    step("rustdoc: no broken link, nothing undocumented", || {
        let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--document-private-items", "--quiet"]);
        run(doc.env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    arm64()?;
    deny()
}

/// That the code for 64-bit Arm compiles, on a machine that has Rust's library for it.
fn arm64() -> Done {
    const TARGET: &str = "aarch64-unknown-linux-gnu";
    let library = output(
        Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).current_dir(root()),
    )?;
    if !Path::new(library.trim()).is_dir() {
        eprintln!("\nNot checked: the code for arm64 (`rustup target add {TARGET}` gives what it takes).");
        return Ok(());
    }
    step("arm64: `exact` compiles for it", || {
        // Without blake3's own C code: a bare machine has no C compiler for Arm.
        let pure = "blake3/pure,blake3/no_neon";
        run(&mut cargo(&["check", "--quiet", "-p", "exact", "--features", pure, "--target", TARGET]))
    })
}

/// Licences, sources and bans of everything we depend on, as `deny.toml` allows them.
pub(crate) fn deny() -> Done {
    let home = target().join("tools");
    let tool = home.join(format!("bin/cargo-deny{}", std::env::consts::EXE_SUFFIX));
    let version = output(Command::new(&tool).arg("--version").stderr(Stdio::null())).unwrap_or_default();
    if version.trim() != format!("cargo-deny {CARGO_DENY}") {
        step(&format!("installing cargo-deny {CARGO_DENY} into target/tools (minutes, once)"), || {
            let mut install =
                cargo(&["install", "--locked", "--quiet", "cargo-deny", "--version", CARGO_DENY]);
            // It runs for half a second: a quick build of it is worth more than a quick run.
            install.envs([("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"), ("CARGO_PROFILE_RELEASE_LTO", "off")]);
            run(install.arg("--root").arg(&home))
        })?;
    }
    step("cargo-deny: licences, sources and bans of the dependencies", || {
        // Not the advisories: their database would make a check of this tree depend on the day it is run.
        run(Command::new(tool)
            .args(["--all-features", "check", "bans", "licenses", "sources"])
            .current_dir(root()))
    })
}

/// The conformance vectors of `exact`, written by its scalar spec, or compared with it.
pub(crate) fn vectors(check: bool) -> Done {
    let headline = if check { "the committed vectors are the spec's" } else { "writing the vectors anew" };
    step(headline, || {
        let mut example = cargo(&["run", "--quiet", "-p", "exact", "--example", "vectors", "--"]);
        run(if check { example.arg("--check") } else { &mut example })
    })
}

/// The sum over all test programs of a run.
#[derive(Default, Debug, PartialEq)]
struct Tally {
    passed: u64,
    failed: u64,
}

impl Tally {
    /// Takes note of a line like `test result: ok. 12 passed; 0 failed; 1 ignored; …`.
    fn read(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("test result: ") else { return };
        for part in rest.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(Ok(n)), Some(what)) = (words.next().map(str::parse::<u64>), words.next()) else {
                continue;
            };
            match what {
                "passed" => self.passed += n,
                "failed" => self.failed += n,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn the_tally_sums_over_test_programs() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test a ... ok",
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.52s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
        ] {
            tally.read(line);
        }
        assert_eq!(tally, Tally { passed: 15, failed: 2 });
    }
}
