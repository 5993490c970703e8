//! `bench` and `conformance`: sets up the peers, then hands over to the programs that know the work.

use crate::python;
use crate::step::{Done, cargo, root, run, step, target};
use std::path::PathBuf;
use std::process::Command;

/// Runs the harness in `benches/` with the peers it can have; see its `main.rs` for the names and options.
pub(crate) fn bench(name: &str, options: &[&str]) -> Done {
    let mut harness = cargo(&["run", "--quiet", "--release", "-p", "bench", "--", name]);
    harness.args(options.iter().filter(|o| **o != "--no-torch"));
    let alone = ["build", "trace", "check"].contains(&name) || name.starts_with("wren");
    let torch_has_a_part = !alone && !options.contains(&"--no-torch");
    if torch_has_a_part {
        let python =
            if ["lm", "speak"].contains(&name) { python::with_transformers() } else { python::with_torch() };
        match python {
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

/// Runs the named suites, or all.
pub(crate) fn conformance(names: &[&str]) -> Done {
    let names = if names.is_empty() { &["torch"] } else { names };
    for name in names {
        match *name {
            "torch" => torch()?,
            other => return Err(format!("no such suite: `{other}`; there is torch")),
        }
    }
    Ok(())
}

/// Our operations write their inputs, results and gradients; PyTorch works out the same and compares.
fn torch() -> Done {
    let python = python::with_torch()?;
    let cases = target().join("conformance/torch");
    step("exact: values and gradients of every differentiable operation", || {
        let _ = std::fs::remove_dir_all(&cases);
        std::fs::create_dir_all(&cases).map_err(|e| format!("{}: {e}", cases.display()))?;
        run(cargo(&["run", "--quiet", "--release", "-p", "conformance", "--bin", "torch-cases", "--"])
            .arg(&cases))
    })?;
    step("PyTorch: the same, compared", || {
        run(Command::new(python).arg(root().join("conformance/torch/compare.py")).arg(&cases))
    })
}
