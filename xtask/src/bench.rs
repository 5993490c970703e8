//! `bench`: sets up the peers, then hands over to the program that knows the work.

use crate::step::{Done, cargo, root, run, target};
use crate::{node, python};
use std::path::PathBuf;
use std::process::Command;

/// Benches in which PyTorch has no part.
const WITHOUT_TORCH: [&str; 11] =
    ["build", "trace", "check", "gguf", "chain", "blob", "net", "swarm", "voices", "genrl", "wren"];
/// Benches that want `transformers` beside PyTorch.
const WITH_TRANSFORMERS: [&str; 2] = ["lm", "speak"];

/// Runs the harness in `benches/` with the peers it can have; see its `main.rs` for the names and options.
pub(crate) fn bench(name: &str, options: &[&str]) -> Done {
    if name == "assist" {
        // It has no peers that could be run, and its examination needs nothing else of the workspace.
        let quick = ["--players", "4", "--learners", "1"];
        let size = if options.contains(&"--quick") { &quick[..] } else { &[] };
        let exam = ["run", "--quiet", "--release", "-p", "assist", "--example", "robin", "--", "exam"];
        return run(cargo(&exam).args(size));
    }
    let mut harness = cargo(&["run", "--quiet", "--release", "-p", "bench", "--", name]);
    harness.args(options.iter().filter(|o| **o != "--no-torch"));
    if name == "chain" {
        harness.env("BENCH_ANVIL", node::anvil()?);
    }
    if ["lm", "gguf"].contains(&name) {
        harness.env("BENCH_GGUF", python::smollm()?);
        match python::with_llama() {
            Ok(python) => _ = harness.env("BENCH_LLAMA_PYTHON", python),
            Err(why) => eprintln!("llama.cpp takes no part: {why}"),
        }
    }
    if name == "genrl" {
        run(&mut cargo(&["build", "--release", "-p", "starling"]))?;
        harness.env("BENCH_STARLING", target().join("release/starling"));
        harness.env("BENCH_GENRL_PYTHON", python::with_genrl()?);
    }
    // `wren-add` is a part of `wren`.
    let kind = name.split('-').next().unwrap_or(name);
    if !WITHOUT_TORCH.contains(&kind) && !options.contains(&"--no-torch") {
        let python =
            if WITH_TRANSFORMERS.contains(&name) { python::with_transformers } else { python::with_torch };
        match python() {
            Ok(python) => {
                harness.env("BENCH_PYTHON", python);
                match mkl_shim() {
                    Ok(shim) => _ = harness.env("BENCH_MKL_SHIM", shim),
                    Err(why) => eprintln!("PyTorch takes no part with AVX-512 forced: {why}"),
                }
            }
            Err(why) => eprintln!("PyTorch takes no part: {why}"),
        }
    }
    run(&mut harness)
}

/// Builds the library that makes MKL use AVX-512 on a processor of any vendor.
fn mkl_shim() -> Done<PathBuf> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err("it is done by LD_PRELOAD, on x86-64 Linux".to_owned());
    }
    let shim = target().join("python/mkl_any_vendor.so");
    run(Command::new("cc")
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .arg(&shim)
        .arg(root().join("benches/peers/mkl_any_vendor.c")))?;
    Ok(shim)
}
