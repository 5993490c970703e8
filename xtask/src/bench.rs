//! `bench` and `conformance`: sets up the peers, then hands over to the programs that know the work.

use crate::step::{Done, cargo, root, run, step, target};
use crate::{node, python};
use std::path::PathBuf;
use std::process::Command;

/// Runs the harness in `benches/` with the peers it can have; see its `main.rs` for the names and options.
pub(crate) fn bench(name: &str, options: &[&str]) -> Done {
    let mut harness = cargo(&["run", "--quiet", "--release", "-p", "bench", "--", name]);
    harness.args(options.iter().filter(|o| **o != "--no-torch"));
    if name == "chain" {
        harness.env("BENCH_ANVIL", node::anvil()?);
    }
    let torch_has_a_part = !["build", "trace", "chain"].contains(&name) && !options.contains(&"--no-torch");
    if torch_has_a_part {
        match python::with_torch() {
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
    let names = if names.is_empty() { &["torch", "chain", "keys"] } else { names };
    for name in names {
        match *name {
            "keys" => keys()?,
            "torch" => torch()?,
            "chain" => chain()?,
            other => return Err(format!("no such suite: `{other}`; there are torch, chain and keys")),
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

/// Keystores there and back between Starling and `eth_account`.
fn keys() -> Done {
    let python = python::with_web3()?;
    step("building the command line", || run(&mut cargo(&["build", "--quiet", "-p", "starling"])))?;
    step("eth_account: keystores there and back", || {
        let folder = target().join("conformance/keys");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let starling = target().join(format!("debug/starling{}", std::env::consts::EXE_SUFFIX));
        run(Command::new(python).arg(root().join("conformance/keys/keystores.py")).arg(starling).arg(folder))
    })
}

/// Other people's clients do the same on the embedded chain and on Anvil, and must be told the same.
pub(crate) fn chain() -> Done {
    let (modules, anvil, python) = (node::with_chain()?, node::anvil()?, python::with_web3()?);
    let here = root().join("conformance/chain");
    let node = |script: &str| {
        let mut node = Command::new("node");
        node.arg(here.join(script)).env("NODE_MODULES", &modules);
        node
    };
    step("solc: the contract that the clients deploy is what its source compiles to", || {
        run(node("compile.mjs").arg("--check"))
    })?;
    let told = target().join("conformance/chain");
    std::fs::create_dir_all(&told).map_err(|e| format!("{}: {e}", told.display()))?;
    let build = ["build", "--quiet", "-p", "conformance", "--bin", "embedded-chain"];
    step("the embedded chain, built", || run(&mut cargo(&build)))?;
    let ours = target().join(format!("debug/embedded-chain{}", std::env::consts::EXE_SUFFIX));
    for (client, mut script) in [
        ("viem", node("with_viem.mjs")),
        ("ethers", node("with_ethers.mjs")),
        ("web3.py", {
            let mut script = Command::new(&python);
            script.arg(here.join("with_web3.py"));
            script
        }),
    ] {
        step(&format!("{client}: the same on the embedded chain as on Anvil"), || {
            run(script.env("EMBEDDED", &ours).env("ANVIL", &anvil).env("TOLD", &told))
        })?;
    }
    Ok(())
}
