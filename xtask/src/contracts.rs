//! The contracts: their artifacts, their tests, what they cost, and what a static analyser says of them.
//!
//! What they are built and checked with comes from the registries of Node and Python, in pinned versions.

use crate::step::{Done, root, run, step, target};
use crate::{node, python};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Writes artifacts and gas snapshot anew from the sources.
pub(crate) fn write() -> Done {
    install()?;
    step("contracts: compiling them, and writing their artifacts and addresses", || artifacts(&[]))?;
    step("contracts: what each call costs", || gas(false))
}

/// Proves that the committed artifacts are what the sources give.
pub(crate) fn check() -> Done {
    install()?;
    step("contracts: the committed artifacts are what the sources give", || artifacts(&["--check"]))
}

/// Everything CI asks of the contracts: artifacts, tests, gas.
pub(crate) fn test() -> Done {
    check()?;
    step("contracts: unit tests, fuzzing, and invariants over 10,200 random sequences", || {
        run(forge()?.args(["test", "--offline"]))
    })?;
    step("contracts: the committed gas snapshot is what calls cost", || gas(true))
}

/// Static analysis: no finding of high or medium weight that the code does not explain.
pub(crate) fn slither() -> Done {
    install()?;
    let python = python::with_slither()?;
    let slither = python.with_file_name(format!("slither{}", std::env::consts::EXE_SUFFIX));
    step("slither: no high or medium finding is left unexplained", || {
        let out = target().join("contracts/slither");
        let build =
            ["build", "--offline", "--build-info", "--skip", "test", "--skip", "gas", "--force", "--out"];
        let mut forge = forge()?;
        run(forge.args(build).arg(&out))?;
        // It asks forge for its settings, and looks for it in the path.
        let mut path: Vec<PathBuf> =
            Path::new(forge.get_program()).parent().map(Into::into).into_iter().collect();
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let path = std::env::join_paths(path).map_err(|e| format!("PATH: {e}"))?;
        let mut analysis = Command::new(slither);
        analysis
            .args([".", "--fail-medium", "--foundry-ignore-compile", "--foundry-out-directory"])
            .arg(&out);
        run(analysis.env("PATH", path).current_dir(home()))
    })
}

/// Takes one rule after another out of the contracts; each time a test has to fail.
pub(crate) fn mutants() -> Done {
    install()?;
    step("contracts: whether a test notices when a rule is gone (many minutes)", || {
        let forge = forge()?;
        run(Command::new("node")
            .arg("bin/mutants.mjs")
            .arg(forge.get_program())
            .arg(home())
            .arg(target().join("contracts/mutants"))
            .current_dir(home()))
    })
}

fn home() -> PathBuf {
    root().join("contracts")
}

fn artifacts(options: &[&str]) -> Done {
    run(Command::new("node").arg("bin/artifacts.mjs").args(options).current_dir(home()))
}

/// Writes `contracts/gas-snapshot`, or compares with it.
fn gas(check: bool) -> Done {
    let told = if check { "true" } else { "false" };
    let mut tests = forge()?;
    tests.args(["test", "--offline", "--gas-snapshot-check", told]).env("FOUNDRY_PROFILE", "gas");
    run(&mut tests).map_err(|why| format!("{why}; `cargo xtask contracts` writes the snapshot anew"))
}

/// forge, as npm brings it: its own launcher needs an install script that we do not run.
fn forge() -> Done<Command> {
    let os = match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    };
    let cpu = if std::env::consts::ARCH == "aarch64" { "arm64" } else { "amd64" };
    let name = format!("forge{}", std::env::consts::EXE_SUFFIX);
    let path = home().join(format!("node_modules/@foundry-rs/forge-{os}-{cpu}/bin")).join(name);
    if !path.is_file() {
        return Err(format!(
            "there is no forge for this machine at {}: npm has it for Linux, macOS and Windows",
            path.display()
        ));
    }
    let mut forge = Command::new(path);
    forge.current_dir(home());
    Ok(forge)
}

fn install() -> Done {
    node::locked(
        &home(),
        "contracts: installing compiler, forge and OpenZeppelin from npm (once; about 100 MB)",
    )
}
