//! What the machine's owner lets a node have, seen and changed from the page; and what the node writes into its log.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::owner::{LIMITS, Limits};

/// What is read of a log's end, and lines of it that are given.
const LIMIT_BYTES: u64 = 256 << 10;
const LIMIT_LINES: usize = 400;

/// One of the owner's limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Limit {
    /// Its name.
    pub key: String,
    /// What it says.
    pub says: String,
    /// What it is set to, as it stands in the file; nothing, if nothing is limited.
    pub value: Option<String>,
    /// A value that it may have.
    pub example: String,
    /// Whether a running node heeds it only when it is started again.
    pub at_start: bool,
}

/// A change of one limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Which.
    pub key: String,
    /// What to set it to, as it would stand in the file; `none` lifts it.
    pub value: String,
}

/// A line of a node's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Line {
    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`; empty for what goes on from the line before.
    pub level: String,
    /// The line, from its time to its end.
    pub text: String,
}

/// The limits of a home.
pub(crate) fn limits(home: &Path) -> Result<Vec<Limit>> {
    let limits = Limits::read(home)?;
    let of = |about: &crate::owner::About| Limit {
        key: about.key.to_owned(),
        says: about.says.to_owned(),
        value: limits.value(about.key),
        example: about.example.to_owned(),
        at_start: about.at_start,
    };
    Ok(LIMITS.iter().map(of).collect())
}

/// Changes one; a node that runs there heeds it within a second or two.
pub(crate) fn change(home: &Path, change: &Change) -> Result<Vec<Limit>> {
    Limits::read(home)?.with(&change.key, &change.value)?.write(home)?;
    limits(home)
}

/// The last lines of a node's log, the oldest first; none if it has written none.
pub(crate) fn log(home: &Path) -> Result<Vec<Line>> {
    let path = home.join("node.log");
    let about = |why| Error::file("reading", &path, why);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(why) => return Err(about(why)),
    };
    let length = file.metadata().map_err(about)?.len();
    let from = length.saturating_sub(LIMIT_BYTES);
    file.seek(SeekFrom::Start(from)).map_err(about)?;
    let mut bytes = Vec::new();
    file.take(LIMIT_BYTES).read_to_end(&mut bytes).map_err(about)?;
    let text = String::from_utf8_lossy(&bytes);
    // The first line may have lost its beginning.
    let lines: Vec<&str> = text.lines().skip(usize::from(from > 0)).collect();
    Ok(lines[lines.len().saturating_sub(LIMIT_LINES)..].iter().map(|line| Line::of(line)).collect())
}

impl Line {
    fn of(text: &str) -> Line {
        const LEVELS: [&str; 5] = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
        let second = text.split_whitespace().nth(1).unwrap_or_default();
        let level = if LEVELS.contains(&second) { second } else { "" };
        Line { level: level.to_owned(), text: text.chars().take(2000).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_seen_changed_and_lifted() {
        let home = tempfile::tempdir().unwrap();
        let set = |key: &str, value: &str| {
            change(home.path(), &Change { key: key.to_owned(), value: value.to_owned() })
        };
        let value = |limits: &[Limit], key: &str| limits.iter().find(|l| l.key == key).unwrap().value.clone();
        assert_eq!(value(&limits(home.path()).unwrap(), "paused").as_deref(), Some("false"));
        assert_eq!(value(&set("paused", "true").unwrap(), "paused").as_deref(), Some("true"));
        assert!(Limits::read(home.path()).unwrap().paused);
        set("hours", "22:00-07:00").unwrap();
        assert_eq!(value(&set("hours", "none").unwrap(), "hours"), None);
        assert!(set("cpu_percent", "700").unwrap_err().to_string().contains("from 1 to 100"));
        assert!(set("nothing", "1").unwrap_err().to_string().contains("there is no such limit"));
    }

    #[test]
    fn of_a_long_log_the_end_is_read() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(log(home.path()).unwrap(), []);
        let line = |n: usize| format!("2026-11-20T18:00:00Z  WARN node: number {n}\n");
        let text: String = (0..20_000).map(line).collect();
        std::fs::write(home.path().join("node.log"), text + "  and more\n").unwrap();
        let lines = log(home.path()).unwrap();
        assert_eq!(lines.len(), LIMIT_LINES);
        assert_eq!((lines[0].level.as_str(), lines[LIMIT_LINES - 1].level.as_str()), ("WARN", ""));
        assert!(lines[LIMIT_LINES - 2].text.ends_with("number 19999"));
    }
}
