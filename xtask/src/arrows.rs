//! Who may know what: the arrows between our crates, and the one crate that may know each foreign thing.
//!
//! The tables below are the picture in `ARCHITECTURE.md`, and the tests hold the workspace to them. They name
//! crates before these exist, so that a crate is born under its rule.

use crate::step::{cargo, output};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Our crates from the ground up. A crate may depend on crates of lower rows only: not on its neighbours.
const ROWS: &[&[&str]] = &[
    &["exact"],
    &["lm", "net", "chain"],
    &["gym"],
    &["swarm", "assist", "market", "commons", "proof"],
    &["node"],
    &["starling"],
];

/// Tools of the developer: they may use anything, and nothing may use them.
const TOOLS: &[&str] = &["bench", "conformance", "conformance-contracts", "xtask"];

/// Arrows that the rows would allow and the design does not: pure state machines, and what must stay at home.
const NEVER: &[(&str, &[&str])] = &[
    ("gym", &["net", "chain"]),
    ("swarm", &["net", "chain"]),
    ("proof", &["net", "chain"]),
    ("assist", &["net", "chain"]),
];

/// Foreign packages, by the start of their names, and the only crate of ours that may name them.
const ONLY: &[(&str, &str)] = &[
    ("libp2p", "net"),
    ("alloy", "chain"),
    ("revm", "chain"),
    ("tokenizers", "lm"),
    ("safetensors", "lm"),
    ("cudarc", "exact"),
];

/// Words of the source that only the named crates may contain.
const WORDS_ONLY: &[(&str, &[&str])] =
    &[("core::arch", &["exact"]), ("std::arch", &["exact"]), ("target_feature", &["exact"])];

/// Crates whose result depends on their arguments alone, and the words they may not contain.
const PURE: &[&str] = &["exact", "proof", "swarm"];
const IMPURE: &[&str] = &["std::fs", "std::net", "std::time", "SystemTime", "Instant::now", "thread::sleep"];

/// A member of the workspace and what it names in its manifest.
#[derive(Debug, Default, PartialEq)]
struct Member {
    name: String,
    /// The folder of its manifest.
    folder: PathBuf,
    /// Direct dependencies of every kind (normal, build, dev), by package name.
    dependencies: Vec<String>,
}

/// The workspace as cargo sees it.
fn members() -> Vec<Member> {
    let text = output(&mut cargo(&["metadata", "--format-version", "1", "--no-deps", "--offline"])).unwrap();
    let metadata: Value = serde_json::from_str(&text).unwrap();
    let strings = |of: &Value| of.as_str().unwrap().to_owned();
    let member = |package: &Value| Member {
        name: strings(&package["name"]),
        folder: Path::new(&strings(&package["manifest_path"])).parent().unwrap().to_path_buf(),
        dependencies: package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| strings(&d["name"]))
            .collect(),
    };
    metadata["packages"].as_array().unwrap().iter().map(member).collect()
}

/// Every wrong arrow of a workspace, each as a sentence.
fn wrong_arrows(workspace: &[Member]) -> Vec<String> {
    let row = |name: &str| ROWS.iter().position(|row| row.contains(&name));
    let mut wrong = Vec::new();
    for Member { name, dependencies, .. } in workspace {
        if TOOLS.contains(&name.as_str()) {
            continue;
        }
        let Some(own) = row(name) else {
            wrong.push(format!(
                "{name} has no place in the picture: give it a row in ARCHITECTURE.md and here"
            ));
            continue;
        };
        let never = NEVER.iter().find(|(who, _)| who == name).map_or(&[][..], |(_, whom)| whom);
        for dependency in dependencies {
            if TOOLS.contains(&dependency.as_str()) {
                wrong.push(format!("{name} depends on {dependency}, which is a developer's tool"));
            }
            if row(dependency).is_some_and(|of| of >= own) {
                wrong.push(format!("{name} depends on {dependency}, which does not lie below it"));
            }
            if never.contains(&dependency.as_str()) {
                wrong.push(format!("{name} depends on {dependency}, which it must not know"));
            }
            for (start, keeper) in ONLY {
                if is_or_extends(dependency, start) && name != keeper {
                    wrong.push(format!("{name} depends on {dependency}, which only {keeper} may know"));
                }
            }
        }
    }
    wrong
}

/// `libp2p` and `libp2p-tcp`, but not `libp2px`.
fn is_or_extends(name: &str, start: &str) -> bool {
    name.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}

/// Every word in one source file of `name` that this crate may not contain, as `line: word`.
fn wrong_words(name: &str, source: &str) -> Vec<String> {
    let kept = WORDS_ONLY.iter().filter(|(_, keepers)| !keepers.contains(&name)).map(|(word, _)| *word);
    let impure = if PURE.contains(&name) { IMPURE } else { &[] };
    let words: Vec<&str> = kept.chain(impure.iter().copied()).collect();
    let code = source.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.flat_map(|(i, line)| {
        let hit = words.iter().filter(move |word| line.contains(**word));
        hit.map(move |word| format!("line {}: {word}", i + 1))
    })
    .collect()
}

fn for_each_source(folder: &Path, look: &mut impl FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            for_each_source(&path, look);
        } else if path.extension().is_some_and(|e| e == "rs") {
            look(&path, &std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn the_arrows_between_crates_are_as_drawn() {
    assert_eq!(wrong_arrows(&members()), Vec::<String>::new());
}

#[test]
fn sources_keep_to_what_their_crate_may_know() {
    let mut wrong = Vec::new();
    for Member { name, folder, .. } in members() {
        if !TOOLS.contains(&name.as_str()) {
            for_each_source(&folder.join("src"), &mut |path, text| {
                wrong.extend(wrong_words(&name, text).into_iter().map(|w| format!("{} {w}", path.display())));
            });
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn a_made_up_workspace_with_good_arrows_passes() {
    let workspace = [
        member("exact", &["blake3"]),
        member("lm", &["exact", "tokenizers"]),
        member("net", &["libp2p", "libp2p-stream"]),
        member("chain", &["alloy", "alloy-primitives", "revm"]),
        member("gym", &["exact"]),
        member("swarm", &["exact", "lm", "gym"]),
        member("market", &["net", "chain"]),
        member("node", &["exact", "swarm", "market", "net"]),
        member("starling", &["node"]),
        member("bench", &["exact", "lm", "gemm"]),
    ];
    assert_eq!(wrong_arrows(&workspace), Vec::<String>::new());
}

#[test]
fn each_wrong_arrow_is_named() {
    for (name, dependency, said) in [
        ("exact", "lm", "exact depends on lm, which does not lie below it"),
        ("lm", "net", "lm depends on net, which does not lie below it"),
        ("gym", "swarm", "gym depends on swarm, which does not lie below it"),
        ("market", "commons", "market depends on commons, which does not lie below it"),
        ("node", "starling", "node depends on starling, which does not lie below it"),
        ("swarm", "net", "swarm depends on net, which it must not know"),
        ("assist", "chain", "assist depends on chain, which it must not know"),
        ("node", "libp2p", "node depends on libp2p, which only net may know"),
        ("market", "alloy-primitives", "market depends on alloy-primitives, which only chain may know"),
        ("node", "revm", "node depends on revm, which only chain may know"),
        ("exact", "bench", "exact depends on bench, which is a developer's tool"),
    ] {
        assert_eq!(wrong_arrows(&[member(name, &[dependency])]), [said]);
    }
    let stranger = wrong_arrows(&[member("misc", &[])]);
    assert_eq!(stranger, ["misc has no place in the picture: give it a row in ARCHITECTURE.md and here"]);
}

#[test]
fn each_wrong_word_is_named() {
    let simd = "fn main() {}\nuse core::arch::x86_64::*;\n";
    assert_eq!(wrong_words("lm", simd), ["line 2: core::arch"]);
    assert_eq!(wrong_words("exact", simd), Vec::<String>::new());
    assert_eq!(wrong_words("proof", "let now = std::time::Duration::ZERO;"), ["line 1: std::time"]);
    assert_eq!(wrong_words("node", "let now = std::time::Duration::ZERO;"), Vec::<String>::new());
    assert_eq!(wrong_words("exact", "    // no std::fs here"), Vec::<String>::new());
}

fn member(name: &str, dependencies: &[&str]) -> Member {
    let dependencies = dependencies.iter().map(|d| (*d).to_owned()).collect();
    Member { name: name.to_owned(), dependencies, ..Member::default() }
}
