//! `starling blob` as its user runs it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A node of its own for each store, with keys beside it.
fn blob(store: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_starling"));
    command.arg("blob").args(arguments).arg("--store").arg(store).arg("--home").arg(home(store));
    command
}

fn home(store: &Path) -> PathBuf {
    store.with_extension("home")
}

/// What a command that must succeed prints.
fn said(store: &Path, arguments: &[&str]) -> String {
    let output = blob(store, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What a command that must fail complains of.
fn complained(store: &Path, arguments: &[&str]) -> String {
    let output = blob(store, arguments).output().unwrap();
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Ends with the test, however that ends.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_file_goes_from_one_store_to_another() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (folder.path().join("ours"), folder.path().join("theirs"));
    let file = folder.path().join("file");
    let bytes: Vec<u8> = (0..5_000_000u32).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect();
    std::fs::write(&file, &bytes).unwrap();
    let added = said(&ours, &["add", file.to_str().unwrap(), "--pin", "mine"]);
    let root = added.split_whitespace().next().unwrap().to_owned();
    assert_eq!(root, blake3::hash(&bytes).to_string());

    let mut serving = blob(&ours, &["serve", "--port", "0", "--json"]);
    let mut serving = Serving(serving.stdout(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(serving.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut addresses = lines.map(|line| {
        let line: Value = serde_json::from_str(&line).unwrap();
        line["address"].as_str().unwrap().to_owned()
    });
    let address = addresses.find(|address| address.starts_with("/ip4/127.0.0.1/")).unwrap();

    // It is the peer that `identity` shows.
    let mut identity = Command::new(env!("CARGO_BIN_EXE_starling"));
    let shown =
        identity.args(["identity", "export", "--peer", "--raw", "--home"]).arg(home(&ours)).output().unwrap();
    let digits = String::from_utf8(shown.stdout).unwrap();
    let digits = digits.trim().strip_prefix("0x").unwrap();
    let secret: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).unwrap()).collect();
    let peer = net::PeerId::from_secret(&secret.try_into().unwrap()).unwrap();
    assert!(address.ends_with(&peer.to_string()), "{address} {peer}");

    let copy = folder.path().join("copy");
    let to = copy.to_str().unwrap();
    assert!(said(&theirs, &["get", &root, "--peer", &address, "-o", to]).contains("every byte checked"));
    assert!(std::fs::read(&copy).unwrap() == bytes);
    let listed: Value = serde_json::from_str(&said(&theirs, &["list", "--json"])).unwrap();
    assert_eq!(
        (&listed["root"], &listed["present"]),
        (&Value::from(root.as_str()), &Value::from(bytes.len()))
    );
    let output = blob(&theirs, &["get", &root, "-o", "-"]).output().unwrap();
    assert!(output.stdout == bytes, "what is here needs nobody");
    assert!(complained(&ours, &["list"]).contains("in use by another process"));
    drop(serving);
    // What is pinned stays.
    assert!(said(&theirs, &["gc"]).starts_with("removed 1 blobs"));
    assert!(said(&ours, &["gc"]).starts_with("removed 0 blobs"));
    assert!(said(&ours, &["verify"]).contains("good"));
}

#[test]
fn what_cannot_be_done_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let store = &folder.path().join("store");
    let root = "0".repeat(64);
    for (arguments, says) in [
        (&["get", "xyz"][..], "64 hexadecimal digits"),
        (&["add", "/nowhere/at/all"], "cannot open /nowhere/at/all"),
        (&["unpin", "x"], "there is no pin `x`"),
        (&["pin", "a/b", &root], "cannot name a pin"),
        (&["list", "--limit", "many"], "use a number of bytes"),
        (&["get", &root, "--patience", "1"], "name one (--peer)"),
    ] {
        let complaint = complained(store, arguments);
        assert!(complaint.contains(says), "{arguments:?}: {complaint}");
    }
}
