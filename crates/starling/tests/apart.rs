//! Two machines that share nothing but a cable: each a network namespace. Needs root and Linux; says so where it cannot run.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::io::Write;
use std::process::{Command, Stdio};

use common::Process;

/// A network namespace, gone with this.
struct Namespace(String);

impl Namespace {
    fn new(name: &str) -> Option<Namespace> {
        let name = format!("starling-{name}-{}", std::process::id());
        ip(&["netns", "add", &name]).then_some(Namespace(name))
    }

    fn starling(&self, arguments: &[&str]) -> Process {
        let program = env!("CARGO_BIN_EXE_starling");
        Process::of(Command::new("ip").args(["netns", "exec", &self.0, program]).args(arguments))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        ip(&["netns", "del", &self.0]);
    }
}

/// Runs `ip`, and says whether it did what it was told.
fn ip(arguments: &[&str]) -> bool {
    let done = Command::new("ip").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

/// Lays a cable between two namespaces, and says whether that can be done here.
fn cable(here: &Namespace, there: &Namespace) -> bool {
    let ends = [("a", here, "10.78.0.1/24"), ("b", there, "10.78.0.2/24")]
        .map(|(end, space, address)| (format!("st{end}{}", std::process::id()), &space.0, address));
    let [(a, ..), (b, ..)] = &ends;
    ip(&["link", "add", a, "type", "veth", "peer", "name", b])
        && ends.iter().all(|(end, space, address)| {
            ip(&["link", "set", end, "netns", space])
                && ip(&["-n", space, "link", "set", "lo", "up"])
                && ip(&["-n", space, "address", "add", address, "dev", end])
                && ip(&["-n", space, "link", "set", end, "up"])
        })
}

#[test]
fn another_machine_joins_with_the_invite_alone_is_heard_and_has_a_place_on_the_chain() {
    let spaces = [Namespace::new("here"), Namespace::new("there")];
    let [Some(here), Some(there)] = &spaces else { return leave_out() };
    if !cable(here, there) {
        return leave_out();
    }
    let home = tempfile::tempdir().unwrap();
    let (up, mine) = (home.path().join("up"), home.path().join("mine"));
    let first = here.starling(&[
        "up",
        "--nodes",
        "1",
        "--no-control",
        "--listen",
        "10.78.0.1",
        "--home",
        up.to_str().unwrap(),
        "--json",
    ]);
    let begun = first.next();
    let invite = begun["begun"]["invite"].as_str().unwrap();
    let second = there.starling(&[
        "join",
        invite,
        "--home",
        mine.to_str().unwrap(),
        "--quiet",
        "--port",
        "0",
        "--threads",
        "1",
        "--json",
        "--until-stdin-ends",
    ]);
    // It has a place on the chain, and learns from what the other says.
    let mut registered = false;
    loop {
        let report = second.next();
        assert_ne!(report["what"], "ended", "{report}");
        registered |= report["what"] == "registered";
        if report["what"] == "learned" && report["heard"].as_array().is_some_and(|heard| !heard.is_empty()) {
            break;
        }
    }
    assert!(registered);
    // And the other from what it says.
    loop {
        let report = &first.next()["report"];
        if report["what"] == "learned" && report["heard"].as_array().is_some_and(|heard| !heard.is_empty()) {
            break;
        }
    }
}

/// Says that the test was left out, past the harness, which shows nothing of a test that passes.
fn leave_out() {
    let why = "network namespaces with `veth` need root and `ip netns`";
    let _ = writeln!(std::io::stderr(), "\nLEFT OUT: the test of two machines: {why}");
}
