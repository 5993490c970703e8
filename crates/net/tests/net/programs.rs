//! Nodes in processes of their own, and in network namespaces where the machine allows those.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

const LONG: Duration = Duration::from_mins(2);

/// A program whose lines are read; it ends with this.
pub(crate) struct Program {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> Program {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).for_each(|line| _ = sender.send(line));
        });
        Program { child, lines, seen: Vec::new() }
    }

    /// Waits for a line that suits.
    pub(crate) fn line(&mut self, suits: impl Fn(&str) -> bool) -> String {
        match self.line_within(LONG, suits) {
            Ok(line) => line,
            Err(why) => panic!("{why} after {:#?}", self.seen),
        }
    }

    /// Waits so long for a line that suits.
    pub(crate) fn line_within(
        &mut self,
        time: Duration,
        suits: impl Fn(&str) -> bool,
    ) -> Result<String, mpsc::RecvTimeoutError> {
        loop {
            let line = self.lines.recv_timeout(time)?;
            if suits(&line) {
                return Ok(line);
            }
            self.seen.push(line);
        }
    }

    /// What follows a line's first word, once there is such a line.
    pub(crate) fn said(&mut self, word: &str) -> String {
        let start = format!("{word} ");
        self.line(|line| line.starts_with(&start))[start.len()..].to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A network namespace, gone with this.
pub(crate) struct Namespace(pub(crate) String);

impl Namespace {
    pub(crate) fn new(name: &str) -> Option<Namespace> {
        let name = format!("starling-{name}-{}", std::process::id());
        ip(&["netns", "add", &name]).then_some(Namespace(name))
    }

    pub(crate) fn neighbour(&self, program: &Path, options: &[&str]) -> Program {
        Program::start(Command::new("ip").args(["netns", "exec", &self.0]).arg(program).args(options))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        ip(&["netns", "del", &self.0]);
    }
}

/// Runs `ip`, and says whether it did what it was told.
pub(crate) fn ip(arguments: &[&str]) -> bool {
    let done = Command::new("ip").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

/// The example, which cargo builds beside the tests.
pub(crate) fn neighbour() -> Option<PathBuf> {
    let tests = std::env::current_exe().ok()?;
    let program = tests.parent()?.parent()?.join("examples/neighbour");
    program.is_file().then_some(program)
}

/// Says that a test was left out, past the harness, which shows nothing of a test that passes.
pub(crate) fn leave_out(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "\nLEFT OUT: the test of {test}: {why}");
}
