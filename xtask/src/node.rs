//! Node packages, installed the first time they are needed: under `target/node/`, or where a `package-lock.json` is.

use crate::step::{Done, run, step, target};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The chain to compare with, the clients that must not notice a difference, and the compiler of what they deploy.
/// Pinned: a comparison names what it was taken against.
const CHAIN: &[&str] = &["@foundry-rs/anvil@1.7.1", "ethers@6.17.0", "solc@0.8.37", "viem@2.57.0"];

/// The folder of packages for whatever compares chains.
pub(crate) fn with_chain() -> Done<PathBuf> {
    environment("chain", CHAIN)
}

/// Anvil's program, for the system that we are on.
pub(crate) fn anvil() -> Done<PathBuf> {
    let system = match std::env::consts::OS {
        "macos" => "darwin",
        "windows" => "win32",
        other => other,
    };
    let processor = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let home = format!("@foundry-rs/anvil-{system}-{processor}/bin/anvil{}", std::env::consts::EXE_SUFFIX);
    let program = with_chain()?.join(home);
    if program.is_file() {
        Ok(program)
    } else {
        Err(format!("no Anvil for this system: {}", program.display()))
    }
}

/// Brings a folder's `node_modules` to what its `package-lock.json` says, once.
pub(crate) fn locked(home: &Path, headline: &str) -> Done {
    let lock = home.join("package-lock.json");
    let wanted = std::fs::read_to_string(&lock).map_err(|e| format!("{}: {e}", lock.display()))?;
    // Written last: an installation that was interrupted has no such file and is made again.
    let made = home.join("node_modules/.made-of");
    if std::fs::read_to_string(&made).is_ok_and(|had| had == wanted) {
        return Ok(());
    }
    step(headline, || {
        run(npm()
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(home))
        .map_err(|why| format!("{why}; Node 20 with npm is needed (https://nodejs.org)"))?;
        std::fs::write(&made, &wanted).map_err(|e| format!("{}: {e}", made.display()))
    })
}

fn npm() -> Command {
    Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" })
}

/// The `node_modules` of an environment with these packages.
fn environment(name: &str, packages: &[&str]) -> Done<PathBuf> {
    let home = target().join("node").join(name);
    let wanted = packages.join(" ");
    // Written last: an environment whose making was interrupted has no such file and is made again.
    let made = home.join("made-of");
    if std::fs::read_to_string(&made).is_ok_and(|had| had == wanted) {
        return Ok(home.join("node_modules"));
    }
    step(&format!("Node: installing {wanted} into target/node/{name} (once)"), || {
        std::fs::create_dir_all(&home).map_err(|e| format!("{}: {e}", home.display()))?;
        // The packages' own scripts are not run: none of these needs them.
        let quiet = ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
        run(npm().args(quiet).arg(&home).args(packages))?;
        std::fs::write(&made, &wanted).map_err(|e| format!("{}: {e}", made.display()))
    })?;
    Ok(home.join("node_modules"))
}
