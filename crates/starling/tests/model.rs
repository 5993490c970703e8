//! `starling model show` and `starling chat` as their user runs them, on a model that knows nothing.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use exact::{Device, Limits};
use lm::{Alphabet, Chat, Config, Language, Model};

fn starling(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_starling"));
    let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may have ended before it read anything.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// A folder with a model in it, and the model's root.
fn folder(name: &str) -> (PathBuf, String) {
    let folder = std::env::temp_dir().join(format!("starling-cli-{}-{name}", std::process::id()));
    let tokenizer = Alphabet::new("abcdefghijklmnopqrstuvwxyz ?").tokenizer().unwrap();
    let config = Config {
        vocabulary: tokenizer.len(),
        width: 16,
        layers: 1,
        heads: 2,
        kv_heads: 2,
        head_dim: 8,
        hidden: 32,
        context: 48,
        rope_theta: 10_000.0,
        rope_scaling: lm::RopeScaling::None,
        norm_eps: 1e-6,
        tied: true,
        qkv_bias: false,
        qk_norm: false,
    };
    let source = "{% for m in messages %}{{ m.content }}?{% endfor %}";
    let chat = Some(Chat::new("small", source, &[("eos_token", "<|end|>")]).unwrap());
    let language = Language { tokenizer, chat, begin: None, ends: vec![Alphabet::END], pad: None };
    let model = Model::new(config, 3, &Device::cpu(1), Limits::default()).unwrap();
    model.save(&folder, Some(&language)).unwrap();
    let root = model.root().unwrap().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    (folder, root)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_model_is_shown_with_its_root() {
    let (folder, root) = folder("show");
    let output = starling(&["model", "show", text(&folder)], "");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for part in [root.as_str(), "1 layers", "30 tokens, 48 at a time", "F32", "a chat template"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let output = starling(&["model", "show", text(&folder), "--memory", "0"], "");
    assert!(String::from_utf8_lossy(&output.stderr).contains("raise the limit"));
    std::fs::remove_file(folder.join("model.safetensors")).unwrap();
    let output = starling(&["model", "show", text(&folder)], "");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("model.safetensors"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_seed_decides_what_is_said() {
    let (folder, _) = folder("chat");
    let say = |seed: &str, temperature: &str| {
        let arguments =
            ["chat", text(&folder), "hello", "--seed", seed, "--temperature", temperature, "--tokens", "24"];
        let output = starling(&arguments, "");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let first = say("1", "1.5");
    assert_eq!(say("1", "1.5"), first);
    assert!((2..6).any(|seed| say(&seed.to_string(), "1.5") != first));
    assert_eq!(say("1", "0"), say("2", "0"));
    // Line by line, what was said before is part of the prompt; an empty line says nothing.
    let lines = ["chat", text(&folder), "--tokens", "2", "--system", "be brief"];
    let output = starling(&lines, "hello\n\nhow are you\n");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8(output.stdout).unwrap().lines().count() >= 2);
    let output = starling(&lines, &"so long a line that the model cannot take it all ".repeat(3));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("begin anew"), "{error}");
    let output = starling(&["chat", text(&folder), "x", "--temperature", "-1"], "");
    assert!(!output.status.success());
    std::fs::remove_dir_all(folder).unwrap();
}
