//! `starling up` as its user runs it, shorter.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn starling(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_starling")).args(arguments).output().unwrap()
}

/// A short run, and what it tells at its end.
fn run(home: &Path, rounds: &str) -> (Vec<Value>, Value) {
    let home = home.to_str().unwrap();
    let output =
        starling(&["up", "--nodes", "2", "--no-control", "--rounds", rounds, "--home", home, "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ended = lines.pop().unwrap();
    (lines, ended["ended"].clone())
}

fn reports<'a>(lines: &'a [Value], what: &str) -> Vec<&'a Value> {
    lines.iter().map(|line| &line["report"]).filter(|report| report["what"] == what).collect()
}

#[test]
fn a_flock_learns_hears_each_other_is_checked_and_paid_and_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let (lines, ended) = run(home.path(), "4");
    let nodes = ended["nodes"].as_array().unwrap();
    assert_eq!(nodes.len(), 2);
    for node in nodes {
        assert_eq!(node["rounds"], 4, "{ended}");
        assert!(node["before"].is_number() && node["after"].is_number(), "{ended}");
        assert_eq!(node["audits_failed"], 0, "{ended}");
    }
    assert!(nodes.iter().any(|node| node["audits_held"].as_u64() > Some(0)), "nobody was checked: {ended}");
    let learned = reports(&lines, "learned");
    let heard = |report: &&&Value| report["heard"].as_array().is_some_and(|heard| !heard.is_empty());
    assert!(learned.iter().filter(heard).count() >= 4, "they hardly heard each other: {learned:?}");
    assert!(!reports(&lines, "paid").is_empty(), "nobody was paid");

    // Run again, it goes on: no round is done twice.
    let last = learned.iter().filter_map(|report| report["round"].as_u64()).max().unwrap();
    let (lines, _) = run(home.path(), "1");
    let resumed: Vec<_> = reports(&lines, "started").iter().map(|r| r["resumed"].as_u64().unwrap()).collect();
    assert!(resumed.iter().all(|round| *round >= last - 1), "{resumed:?} after {last}");
    assert!(reports(&lines, "learned").iter().all(|report| report["round"].as_u64().unwrap() > last));
}

#[test]
fn a_killed_node_learns_again_what_it_had_learned_to_the_same_bits() {
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_starling"))
        .args(["up", "--nodes", "1", "--no-control", "--home", home.path().to_str().unwrap(), "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The model is saved after the first round: of the next two, the log alone knows what was learned.
    let (mut process, mut learned) = (None, Vec::new());
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let report = &line["report"];
        if report["what"] == "started" {
            process = report["process"].as_u64();
        }
        if report["what"] == "learned" {
            learned.push((report["round"].clone(), report["model"].clone()));
            if learned.len() == 3 {
                break;
            }
        }
    }
    let killed = Command::new("kill").args(["-9", &process.unwrap().to_string()]).status().unwrap();
    assert!(killed.success());
    child.kill().unwrap();
    child.wait().unwrap();

    let home = home.path().to_str().unwrap();
    let output = starling(&["up", "--nodes", "1", "--no-control", "--rounds", "1", "--home", home, "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let redone: Vec<_> = reports(&lines, "redone")
        .iter()
        .map(|report| (report["round"].clone(), report["model"].clone()))
        .collect();
    assert!(redone.len() >= 2 && learned.ends_with(&redone), "{redone:?} after {learned:?}");
}

/// A colony of one, with these options, and a stranger who joins it for a round; gives what the stranger says.
fn stranger(options: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let usual = ["up", "--nodes", "1", "--no-control", "--home", home.path().to_str().unwrap(), "--json"];
    let mut up = Command::new(env!("CARGO_BIN_EXE_starling"))
        .args([&usual[..], options].concat())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = BufReader::new(up.stdout.as_mut().unwrap()).lines().next().unwrap().unwrap();
    let begun: Value = serde_json::from_str(&begun).unwrap();
    let invite = begun["begun"]["invite"].as_str().unwrap();
    let mine = home.path().join("mine");
    let mine = mine.to_str().unwrap();
    let output = starling(&["join", invite, "--home", mine, "--loopback", "--rounds", "1", "--json"]);
    up.kill().unwrap();
    up.wait().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains(r#""what":"learned""#), "{text}");
    text
}

#[test]
fn a_stranger_is_given_what_it_needs() {
    let text = stranger(&[]);
    assert!(text.contains(r#""what":"registered""#) && !text.contains("unpaid"), "{text}");
}

#[test]
fn who_has_no_money_takes_part_and_is_told_what_it_needs() {
    let text = stranger(&["--no-gifts"]);
    assert!(text.contains("needs") && text.contains("takes part unpaid"), "{text}");
}

#[test]
fn what_cannot_be_is_said_with_the_remedy() {
    for (arguments, remedy) in [
        (&["up", "--game", "chess"][..], "there are share and debate"),
        (&["up", "--env", "chess"], "there is no such environment"),
        (&["join", "hello"], "copy it whole"),
    ] {
        let output = starling(arguments);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && error.contains(remedy), "{arguments:?}: {error}");
    }
}

#[test]
fn help_teaches() {
    let output = starling(&["up", "--help"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for option in ["--nodes", "--rounds", "--env", "--game", "--home", "--fresh", "--json"] {
        assert!(text.contains(option), "{text}");
    }
}
