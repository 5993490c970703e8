//! `starling up` as its user runs it, shorter.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::process::{Command, Output};

fn starling(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_starling")).args(arguments).output().unwrap()
}

#[test]
fn it_learns_answers_and_is_checked_and_the_seed_decides() {
    let run = |threads: &str| {
        let output = starling(&["up", "--steps", "12", "--threads", threads, "--seed", "5"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        text
    };
    let text = run("1");
    assert!(text.contains("6 of 6 hold"), "{text}");
    assert_eq!(text.matches("caught").count(), 4, "{text}");
    // Weights are born and end up the same, whatever the threads.
    let weights = |text: &str| -> Vec<String> {
        text.lines().filter(|line| line.contains("its weights")).map(str::to_owned).collect()
    };
    assert_eq!(weights(&text).len(), 2);
    assert_eq!(weights(&run("2")), weights(&text));
}

#[test]
fn too_little_memory_is_said_with_the_remedy() {
    let output = starling(&["up", "--memory", "1"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(error.contains("raise the limit"), "{error}");
}

#[test]
fn help_teaches() {
    let output = starling(&["up", "--help"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for option in ["--threads", "--steps", "--seed", "--memory"] {
        assert!(text.contains(option), "{text}");
    }
}
