//! `starling doctor` as its user runs it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::process::{Command, Output};

fn doctor(arguments: &[&str]) -> Output {
    let always = ["doctor", "--quiet", "--port", "0"];
    Command::new(env!("CARGO_BIN_EXE_starling")).args(always).args(arguments).output().unwrap()
}

#[test]
fn it_says_that_nobody_is_there_and_what_to_do() {
    let output = doctor(&["--seconds", "5", "--bootstrap", "/ip4/127.0.0.1/tcp/9"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("/quic-v1/p2p/16Uiu2HA"), "{text}");
    assert!(text.contains("network    alone: no peer is connected"), "{text}");
    assert!(text.contains("nobody listens there") && text.contains("reachable  not known yet"), "{text}");
    let wrong = doctor(&["--bootstrap", "127.0.0.1:4747"]);
    assert!(!wrong.status.success());
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("write it as /ip4/"));
}
