//! Two processes that find each other: one hears what the other says on a topic.

use crate::programs::{Namespace, Program, ip, leave_out, neighbour};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const NOT_BUILT: &str = "the example `neighbour` is not built; `cargo test -p net` builds it";

fn start(program: &Path, options: &[&str]) -> Program {
    Program::start(Command::new(program).args(options))
}

#[test]
fn a_process_joins_by_a_bootstrap_address() {
    let Some(program) = neighbour() else { return leave_out("joining by an address", NOT_BUILT) };
    for listen in ["/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"] {
        let mut first = start(&program, &["--listen", listen, "--say", "good morning"]);
        let address = first.said("listening");
        let mut second = start(&program, &["--listen", listen, "--bootstrap", &address]);
        assert!(second.said("heard").starts_with("good morning"));
    }
}

#[test]
fn processes_of_one_lan_need_no_address() {
    let leave_out = |why: &str| leave_out("joining by the LAN", why);
    let Some(program) = neighbour() else { return leave_out(NOT_BUILT) };
    let swarm = format!("neighbours of {}", std::process::id());
    let options = ["--swarm", &swarm, "--lan", "yes", "--listen", "/ip4/0.0.0.0/udp/0/quic-v1"];
    let speaks = [&options[..], &["--say", "good evening"]].concat();
    let spaces = [Namespace::new("here"), Namespace::new("there")];
    if let [Some(here), Some(there)] = &spaces
        && cable(here, there)
    {
        let _first = here.neighbour(&program, &speaks);
        let mut second = there.neighbour(&program, &options);
        assert!(second.said("heard").starts_with("good evening"));
        return;
    }
    // Without namespaces, this machine's own network has to do; whether it carries multicast is not ours to say.
    let _first = start(&program, &speaks);
    let mut second = start(&program, &options);
    match second.line_within(Duration::from_secs(20), |line| line.starts_with("heard ")) {
        Ok(heard) => assert!(heard.starts_with("heard good evening"), "{heard}"),
        Err(_) => leave_out(
            "network namespaces with `veth` need root, and this machine's own network carries no multicast",
        ),
    }
}

/// Lays a cable between two namespaces, and says whether that can be done here.
fn cable(here: &Namespace, there: &Namespace) -> bool {
    let ends = [("a", here, "10.77.0.1/24"), ("b", there, "10.77.0.2/24")]
        .map(|(end, space, address)| (format!("sl{end}{}", std::process::id()), &space.0, address));
    let [(a, ..), (b, ..)] = &ends;
    ip(&["link", "add", a, "type", "veth", "peer", "name", b])
        && ends.iter().all(|(end, space, address)| {
            ip(&["link", "set", end, "netns", space])
                && ip(&["-n", space, "link", "set", "lo", "up"])
                && ip(&["-n", space, "address", "add", address, "dev", end])
                && ip(&["-n", space, "link", "set", end, "up"])
                && ip(&["-n", space, "route", "add", "default", "dev", end])
        })
}
