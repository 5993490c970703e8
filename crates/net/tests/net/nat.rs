//! Two hosts behind separate NATs and a public one, each in a network namespace of its own. Needs root and Linux; says so where it
//! cannot run.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const LONG: Duration = Duration::from_mins(2);

/// A program whose lines are read; it ends with this.
struct Program {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Program {
    fn start(command: &mut Command) -> Program {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).for_each(|line| _ = sender.send(line));
        });
        Program { child, lines, seen: Vec::new() }
    }

    /// Waits for a line that suits.
    fn line(&mut self, suits: impl Fn(&str) -> bool) -> String {
        loop {
            match self.lines.recv_timeout(LONG) {
                Ok(line) if suits(&line) => return line,
                Ok(line) => self.seen.push(line),
                Err(why) => panic!("{why} after {:#?}", self.seen),
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A network namespace, gone with this.
struct Namespace(String);

impl Namespace {
    fn new(name: &str) -> Option<Namespace> {
        let name = format!("starling-{name}-{}", std::process::id());
        let added = Command::new("ip").args(["netns", "add", &name]).stderr(Stdio::null()).status();
        added.is_ok_and(|status| status.success()).then_some(Namespace(name))
    }

    fn neighbour(&self, program: &Path, options: &[&str]) -> Program {
        Program::start(Command::new("ip").args(["netns", "exec", &self.0]).arg(program).args(options))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).status();
    }
}

/// The example, which cargo builds beside the tests.
fn neighbour() -> Option<PathBuf> {
    let tests = std::env::current_exe().ok()?;
    let program = tests.parent()?.parent()?.join("examples/neighbour");
    program.is_file().then_some(program)
}

/// Says that the test was left out, past the harness, which shows nothing of a test that passes.
fn leave_out(why: &str) {
    let _ = writeln!(std::io::stderr(), "\nLEFT OUT: the test of two hosts behind NATs: {why}");
}

#[test]
fn hosts_behind_nats_meet_at_a_relay_and_then_directly() {
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
    let relay_id = relay.line(|line| line.starts_with("peer "))["peer ".len()..].to_owned();
    let relay_at = format!("{at}/p2p/{relay_id}");

    let anywhere = "/ip4/0.0.0.0/udp/4747/quic-v1";
    let mut first = left.neighbour(&program, &["--listen", anywhere, "--bootstrap", &relay_at]);
    let first_id = first.line(|line| line.starts_with("peer "))["peer ".len()..].to_owned();
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
