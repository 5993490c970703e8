//! Processes of ours, and what they report.

#![allow(dead_code, reason = "not every test needs all of it")]
#![allow(clippy::expect_used, reason = "a test may fail")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

/// The longest that anything may take.
const LONG: Duration = Duration::from_mins(3);

/// A process of ours whose reports are read; it is killed with this.
pub(crate) struct Process {
    child: Child,
    lines: mpsc::Receiver<Value>,
}

impl Process {
    pub(crate) fn start(arguments: &[&str]) -> Process {
        Process::of(Command::new(env!("CARGO_BIN_EXE_starling")).args(arguments))
    }

    /// One that is started in some other way.
    pub(crate) fn of(command: &mut Command) -> Process {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (to, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let Ok(line) = serde_json::from_str(&line) else { continue };
                if to.send(line).is_err() {
                    break;
                }
            }
        });
        Process { child, lines }
    }

    /// The next line.
    pub(crate) fn next(&self) -> Value {
        self.lines.recv_timeout(LONG).expect("it says nothing more, or not in time")
    }

    /// Killed as `kill -9` does it; what it had said before is read.
    pub(crate) fn kill(mut self) -> Vec<Value> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.iter().collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
