//! What a machine's owner says holds, while a node runs.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::process::{Command, Output};

use common::Process;

fn starling(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_starling")).args(arguments).output().unwrap()
}

fn said(arguments: &[&str]) -> String {
    let output = starling(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_paused_node_begins_no_round_says_so_and_works_again() {
    let home = tempfile::tempdir().unwrap();
    let node = home.path().join("nodes/1");
    let node = node.to_str().unwrap();
    let up = Process::start(&[
        "up",
        "--nodes",
        "1",
        "--no-control",
        "--home",
        home.path().to_str().unwrap(),
        "--json",
    ]);
    // Waits for a report; none of those on the way may be of the other kind.
    let until = |what: &str, never: &str| {
        loop {
            let line = up.next();
            let report = &line["report"]["what"];
            assert_ne!(report, never, "{line}");
            if report == what {
                break;
            }
        }
    };
    until("learned", "rests");
    said(&["pause", "--home", node]);
    until("rests", "works");
    // It goes on to end the round it was in. Another begins only when it works again.
    let status = said(&["status", "--home", node]);
    assert!(status.contains("rests: paused by its owner"), "{status}");
    let metrics = said(&["status", "--home", node, "--metrics"]);
    assert!(metrics.contains("starling_resting{") && metrics.contains("starling_rounds_total{"), "{metrics}");
    said(&["limits", "set", "cpu_percent", "90", "--home", node]);
    assert!(said(&["limits", "--home", node]).contains("cpu_percent              90"));
    let limits = said(&["resume", "--home", node, "--json"]);
    assert!(limits.contains(r#""paused":false"#) && limits.contains(r#""cpu_percent":90"#), "{limits}");
    until("works", "opened");
    until("opened", "rests");
    until("learned", "rests");
}

#[test]
fn what_goes_wrong_has_a_number() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().to_str().unwrap();
    for (arguments, number) in [
        (&["join", "hello", "--home", home][..], 3),
        (&["limits", "set", "cpu_percent", "500", "--home", home], 3),
        (&["limits", "set", "cpu", "5", "--home", home], 3),
        (&["status", "--home", home], 4),
        (&["model", "pull", "nothing"], 3),
        (&["model", "pull", "a/b", "--hub", "http://127.0.0.1:1", "--to", home], 7),
        (&["up", "--nodes", "none"], 2),
        (&["limits", "show", "--home", home], 0),
    ] {
        let output = starling(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(number), "{arguments:?}: {error}");
    }
    assert!(said(&["--help"]).contains("docs/exit-codes.md"));
}
