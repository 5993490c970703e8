//! What a node has to say about itself, line by line, in a file of its home that never grows beyond its limit.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::error::{Error, Result};

/// The longest that the file gets; one that was as long is kept beside it.
const LIMIT_BYTES: u64 = 4 << 20;
/// What is written unless told otherwise: ours, and of others' crates what is the matter.
pub const USUAL: &str = "warn,node=info,net=info,chain=info";

/// Writes what this process has to say into `node.log` in this home from now on; `what` says what of it: a level (`error`, `warn`, `info`,
/// `debug`, `trace`), or levels by crate, as in `warn,node=debug`.
pub fn begin(home: &Path, what: &str) -> Result<()> {
    let targets = targets(what)?;
    let file = Rolling::open(&home.join("node.log"), LIMIT_BYTES)?;
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(Mutex::new(file));
    let told = tracing::subscriber::set_global_default(
        tracing_subscriber::registry().with(lines.with_filter(targets)),
    );
    // A process has one log: whoever was first has it.
    told.map_err(|why| Error::Stopped { part: "log", why: why.to_string() })
}

fn targets(what: &str) -> Result<Targets> {
    what.parse().map_err(|why| Error::Level { what: what.to_owned(), why: format!("{why}") })
}

/// A file that is put aside when it is long, and begun anew.
#[derive(Debug)]
struct Rolling {
    path: PathBuf,
    file: File,
    bytes: u64,
    limit: u64,
}

impl Rolling {
    fn open(path: &Path, limit: u64) -> Result<Rolling> {
        let about = |why| Error::file("opening", path, why);
        let file = File::options().create(true).append(true).open(path).map_err(about)?;
        let bytes = file.metadata().map_err(about)?.len();
        Ok(Rolling { path: path.to_owned(), file, bytes, limit })
    }
}

impl Write for Rolling {
    /// Takes a whole line, always.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.bytes > 0 && self.bytes + line.len() as u64 > self.limit {
            fs::rename(&self.path, self.path.with_extension("log.old"))?;
            self.file = File::create(&self.path)?;
            self.bytes = 0;
        }
        self.file.write_all(line)?;
        self.bytes += line.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_put_aside_when_it_is_long_and_goes_on_after_a_restart() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("node.log");
        let old = home.path().join("node.log.old");
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let mut log = Rolling::open(&path, 10).unwrap();
        log.write_all(b"one\n").unwrap();
        drop(log);
        let mut log = Rolling::open(&path, 10).unwrap();
        log.write_all(b"two\n").unwrap();
        assert_eq!((read(&path), read(&old)), ("one\ntwo\n".to_owned(), String::new()));
        log.write_all(b"three\n").unwrap();
        assert_eq!((read(&path), read(&old)), ("three\n".to_owned(), "one\ntwo\n".to_owned()));
        // A line that is longer than all of it is one file.
        log.write_all(b"a very long line\n").unwrap();
        log.write_all(b"four\n").unwrap();
        assert_eq!((read(&path), read(&old)), ("four\n".to_owned(), "a very long line\n".to_owned()));
    }

    #[test]
    fn levels_are_understood() {
        for what in [USUAL, "debug", "warn,node=trace"] {
            assert!(targets(what).is_ok(), "{what}");
        }
        let error = targets("node=loud").unwrap_err().to_string();
        assert!(error.contains("node=loud") && error.contains("debug"), "{error}");
    }
}
