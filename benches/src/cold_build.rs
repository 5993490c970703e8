//! How long a first build of the product takes.

use crate::report::Unit;
use crate::{Bench, Result};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

pub(crate) fn bench(bench: &mut Bench) -> Result {
    bench.report.open("build", "cargo build --release in an empty target directory");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = std::env::temp_dir().join(format!("bench-cold-build-{}", std::process::id()));
    let cargo = || Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Downloading is the network's time, not the build's.
    let fetched = cargo().args(["fetch", "--quiet", "--locked"]).current_dir(&root).status()?.success();
    let start = Instant::now();
    let mut build = cargo();
    build.args(["build", "--release", "--quiet", "--locked", "--target-dir"]).arg(&target).current_dir(root);
    let built = fetched && build.status()?.success();
    let seconds = start.elapsed().as_secs_f64();
    std::fs::remove_dir_all(&target)?;
    if !built {
        return Err("the build failed".into());
    }
    bench.report.figure("cold release build", Unit::Cost("s"), seconds, "the bar", 120.0);
    Ok(())
}
