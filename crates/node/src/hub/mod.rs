//! Models from a hub: Hugging Face's layout over HTTPS, and folders in that layout on this machine.
//!
//! What a hub says is checked like anything foreign: names stay inside the folder, sizes are known and limited before a byte is fetched, and a file counts only
//! once its hash is the one that the hub named for the commit. What has arrived of a file is kept, and fetched on from there.

mod error;
mod folder;
mod remote;

use std::path::Path;

pub use error::HubError;
pub use folder::{Pulled, list, put};
pub use remote::{Hub, Listing, Progress, Remote, Sum};

/// The most files that a model may have.
const LIMIT_FILES: usize = 1024;
/// What is said of a pulled model, in its folder.
const NOTE: &str = ".starling.json";

/// Whether a file is one of a model as we and `transformers` read it: its numbers as safetensors, its shape, its words. Older kinds of files, which
/// may hold programs, are not.
fn is_wanted(path: &str) -> bool {
    const NAMES: &[&str] =
        &["merges.txt", "vocab.txt", "tokenizer.model", "chat_template.jinja", "README.md", "LICENSE"];
    let kind = Path::new(path).extension().and_then(|kind| kind.to_str());
    !path.contains('/') && (matches!(kind, Some("safetensors" | "json")) || NAMES.contains(&path))
}

/// Whether a path stays in the folder it is put in, on any system.
fn is_inside(path: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && !part.contains(['\\', ':'])
            && !part.contains(char::is_control)
    };
    path.len() <= 256 && path.split('/').all(plain)
}

/// Owner and name of a model.
fn is_name(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part.len() <= 96
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    text.split('/').count() == 2 && text.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_fetched_and_what_is_not() {
        for path in
            ["config.json", "model-00001-of-00002.safetensors", "model.safetensors.index.json", "merges.txt"]
        {
            assert!(is_wanted(path), "{path}");
        }
        for path in
            ["pytorch_model.bin", "onnx/model.onnx", "training_args.pt", "modeling.py", "a/config.json"]
        {
            assert!(!is_wanted(path), "{path}");
        }
    }

    #[test]
    fn names_stay_where_they_belong() {
        for path in ["config.json", "a/b.json", "..a"] {
            assert!(is_inside(path), "{path}");
        }
        for path in ["", "/etc/passwd", "../x", "a/../../x", "a//b", "C:x", "a\\b", "a\nb", &"x".repeat(300)]
        {
            assert!(!is_inside(path), "{path:?}");
        }
        assert!(is_name("Qwen/Qwen3-0.6B") && is_name("a/b"));
        for name in ["a", "a/b/c", "../b", "a/", "a/b c", "a/.b", ""] {
            assert!(!is_name(name), "{name}");
        }
    }
}
