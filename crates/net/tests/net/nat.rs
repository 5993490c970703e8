//! Two hosts behind separate NATs and a public one, each in a network namespace of its own. Needs root and Linux; says so where it
//! cannot run.

use crate::programs::{Namespace, Program, leave_out, neighbour};
use std::fs::File;
use std::path::Path;
use std::process::Command;

#[test]
fn hosts_behind_nats_meet_at_a_relay_and_then_directly() {
    let leave_out = |why: &str| leave_out("two hosts behind NATs", why);
    let Some(program) = neighbour() else {
        return leave_out("the example `neighbour` is not built; `cargo test -p net` builds it");
    };
    let spaces = [Namespace::new("public"), Namespace::new("left"), Namespace::new("right")];
    let [Some(public), Some(left), Some(right)] = &spaces else {
        return leave_out("network namespaces need root and `ip netns`");
    };
    if let Err(why) = File::options().read(true).write(true).open("/dev/net/tun") {
        return leave_out(&format!("/dev/net/tun cannot be opened ({why})"));
    }
    if Command::new("python3").arg("--version").output().is_err() {
        return leave_out("there is no `python3`");
    }
    let world = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nat/world.py");
    let mut world = Program::start(Command::new("python3").arg(world).args([&public.0, &left.0, &right.0]));
    world.line(|line| line == "ready");

    let at = "/ip4/203.0.113.1/udp/4747/quic-v1";
    let mut relay = public.neighbour(&program, &["--listen", at, "--external", at]);
    let relay_id = relay.said("peer");
    let relay_at = format!("{at}/p2p/{relay_id}");

    let anywhere = "/ip4/0.0.0.0/udp/4747/quic-v1";
    let mut first = left.neighbour(&program, &["--listen", anywhere, "--bootstrap", &relay_at]);
    let first_id = first.said("peer");
    // It finds out that nobody can call it, and waits for callers at the relay.
    let waits = first.line(|line| line.starts_with("listening ") && line.contains("/p2p-circuit"));
    let waits_at = &waits["listening ".len()..];
    let options =
        ["--listen", anywhere, "--bootstrap", &relay_at, "--bootstrap", waits_at, "--greet", &first_id];
    let mut second = right.neighbour(&program, &options);
    let first_greeting = second.line(|line| line.starts_with("greeted "));
    // These NATs allow a direct way: sooner or later that is the one.
    if first_greeting != "greeted directly" {
        second.line(|line| line == "greeted directly");
    }
}
