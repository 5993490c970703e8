//! The limits themselves, and the file they are in.

use std::fmt::{self, Write};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::home::replace;

/// A file that is longer is none of ours.
const LIMIT_BYTES: u64 = 64 << 10;
/// Spans of hours that a day may have.
const LIMIT_SPANS: usize = 8;
/// The least rates and sizes that a node can work with.
const LEAST_KIB_PER_SECOND: u64 = 64;
const LEAST_BLOBS_MIB: u64 = 64;
const LEAST_LOGS_MIB: u64 = 16;
const LEAST_MEMORY_MIB: u64 = 64;
const MINUTES: u16 = 24 * 60;

/// What of this machine a node may have, and when. Where nothing is said there is no limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Whether it rests until it is told otherwise.
    pub paused: bool,
    /// The hours it may work in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<Hours>,
    /// Whether it works only while other programs leave most of the machine idle.
    pub only_when_idle: bool,
    /// The share of the time that it computes, in percent; it pauses between pieces of work.
    pub cpu_percent: u16,
    /// Threads it computes with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<u16>,
    /// The most memory for the model and all that it takes to learn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// The most that weights for others, and of others, take on the disk.
    pub blobs_mib: u64,
    /// The most that the event logs take on the disk.
    pub logs_mib: u64,
    /// What it gives to others per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload_kib_per_second: Option<u64>,
    /// What it fetches from others per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download_kib_per_second: Option<u64>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            paused: false,
            hours: None,
            only_when_idle: false,
            cpu_percent: 100,
            threads: None,
            memory_mib: None,
            blobs_mib: 1024,
            logs_mib: 1024,
            upload_kib_per_second: None,
            download_kib_per_second: None,
        }
    }
}

/// What a limit is, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Its name.
    pub key: &'static str,
    /// What it says.
    pub says: &'static str,
    /// A value that it may have.
    pub example: &'static str,
    /// Whether a running node heeds it only when it is started again.
    pub at_start: bool,
}

const fn about(key: &'static str, says: &'static str, example: &'static str) -> About {
    About { key, says, example, at_start: false }
}

const fn at_start(key: &'static str, says: &'static str, example: &'static str) -> About {
    About { key, says, example, at_start: true }
}

/// Every limit, in the order of the file.
pub const LIMITS: &[About] = &[
    about("paused", "whether it rests until `starling resume`", "true"),
    about(
        "hours",
        "the hours it may begin rounds in, by this machine's clock",
        "\"22:00-07:00, 12:00-13:00\"",
    ),
    about("only_when_idle", "whether it works only while other programs leave the machine idle", "true"),
    about(
        "cpu_percent",
        "the share of the time that it computes, 1 to 100: it pauses between pieces of work",
        "50",
    ),
    at_start("threads", "threads it computes with", "2"),
    at_start("memory_mib", "the most memory for the model and what it takes to learn, in mebibytes", "512"),
    at_start(
        "blobs_mib",
        "the most that weights of its own and of others take on the disk, in mebibytes",
        "1024",
    ),
    about("logs_mib", "the most that its event logs take on the disk, in mebibytes", "1024"),
    about("upload_kib_per_second", "what it gives of weights to others, in kibibytes per second", "1024"),
    about("download_kib_per_second", "what it fetches of weights, in kibibytes per second", "4096"),
];

impl Limits {
    /// Where the limits of a home are.
    pub fn file(home: &Path) -> PathBuf {
        home.join("limits.toml")
    }

    /// The limits of a home; none, if there is no file.
    pub fn read(home: &Path) -> Result<Limits> {
        let file = Limits::file(home);
        let length = match fs::metadata(&file) {
            Ok(found) => found.len(),
            Err(why) if why.kind() == ErrorKind::NotFound => return Ok(Limits::default()),
            Err(why) => return Err(Error::file("reading", &file, why)),
        };
        let wrong = |why: String| Error::Limits { what: file.display().to_string(), why };
        if length > LIMIT_BYTES {
            return Err(wrong(format!("it has {length} bytes, and no limits are that long")));
        }
        let text = fs::read_to_string(&file).map_err(|why| Error::file("reading", &file, why))?;
        let limits: Limits =
            toml::from_str(&text).map_err(|why| wrong(why.to_string().trim().replace('\n', " ")))?;
        limits.checked().map_err(wrong)
    }

    /// Writes them into a home, each with what it says; a node that runs there heeds them within a second or two.
    pub fn write(&self, home: &Path) -> Result<()> {
        let file = Limits::file(home);
        replace(&file, self.text().as_bytes()).map_err(|why| Error::file("writing", &file, why))
    }

    /// With one limit changed, as a person wrote it: `none` lifts it.
    pub fn with(&self, key: &str, value: &str) -> Result<Limits> {
        let wrong = |why: String| Error::Limits { what: key.to_owned(), why };
        if LIMITS.iter().all(|limit| limit.key != key) {
            return Err(wrong("there is no such limit".to_owned()));
        }
        let mut table = self.table();
        if value == "none" {
            table.remove(key);
        } else {
            let found = toml::from_str::<toml::Table>(&format!("{key} = {value}")).ok();
            let one = found.filter(|found| found.len() == 1).and_then(|mut found| found.remove(key));
            // What is no number and no truth is a text, with quotes around it or without.
            table.insert(key.to_owned(), one.unwrap_or_else(|| value.into()));
        }
        let limits: Limits =
            table.try_into().map_err(|why: toml::de::Error| wrong(why.message().to_owned()))?;
        limits.checked().map_err(wrong)
    }

    /// What a limit is set to, as it stands in the file; nothing, if nothing is limited.
    pub fn value(&self, key: &str) -> Option<String> {
        self.table().get(key).map(ToString::to_string)
    }

    /// Whether they make sense, or what does not.
    pub fn check(&self) -> Result<()> {
        self.clone().checked().map(drop).map_err(|why| Error::Limits { what: "the limits".to_owned(), why })
    }

    fn checked(self) -> Result<Limits, String> {
        let least = |key: &str, value: Option<u64>, least: u64| match value {
            Some(value) if value < least => Err(format!("{key} is {value} and must be {least} at least")),
            _ => Ok(()),
        };
        if !(1..=100).contains(&self.cpu_percent) {
            return Err(format!("cpu_percent is {} and must be from 1 to 100", self.cpu_percent));
        }
        least("threads", self.threads.map(u64::from), 1)?;
        least("memory_mib", self.memory_mib, LEAST_MEMORY_MIB)?;
        least("blobs_mib", Some(self.blobs_mib), LEAST_BLOBS_MIB)?;
        least("logs_mib", Some(self.logs_mib), LEAST_LOGS_MIB)?;
        least("upload_kib_per_second", self.upload_kib_per_second, LEAST_KIB_PER_SECOND)?;
        least("download_kib_per_second", self.download_kib_per_second, LEAST_KIB_PER_SECOND)?;
        Ok(self)
    }

    fn table(&self) -> toml::Table {
        toml::Table::try_from(self).unwrap_or_default()
    }

    /// The file.
    fn text(&self) -> String {
        let mut text = "# What of this machine the node may have, and when. Change it here or with `starling limits set`, which writes it anew.\n"
            .to_owned();
        let table = self.table();
        for About { key, says, example, at_start } in LIMITS {
            let when = if *at_start { "; heeded when the node is started again" } else { "" };
            let _ = write!(text, "\n# {key}: {says}{when}\n");
            let _ = match table.get(*key) {
                Some(value) => writeln!(text, "{key} = {value}"),
                None => writeln!(text, "# {key} = {example}"),
            };
        }
        text
    }
}

/// Hours of the day, as `22:00-07:00, 12:00-13:00`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hours(Vec<(u16, u16)>);

impl Hours {
    /// Whether a minute of the day is in them.
    pub fn have(&self, minute: u16) -> bool {
        let has = |(from, to): &(u16, u16)| {
            if from < to {
                return (*from..*to).contains(&minute);
            }
            // Over midnight.
            minute >= *from || minute < *to
        };
        self.0.iter().any(has)
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Hours, String> {
        let wrong = || format!("`{text}` are no hours: write them as 22:00-07:00, several with commas");
        let minute = |text: &str| -> Option<u16> {
            let (hour, minute) = text.trim().split_once(':')?;
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (hour <= 24 && minute < 60 && hour * 60 + minute <= MINUTES).then_some(hour * 60 + minute)
        };
        let mut spans = Vec::new();
        for span in text.split(',') {
            let (from, to) = span.split_once('-').ok_or_else(wrong)?;
            let (from, to) = (minute(from).ok_or_else(wrong)?, minute(to).ok_or_else(wrong)?);
            if from == to || spans.len() == LIMIT_SPANS {
                return Err(format!(
                    "{}; each span ends at another time than it begins, and there are {LIMIT_SPANS} at most",
                    wrong()
                ));
            }
            spans.push((from, to));
        }
        Ok(Hours(spans))
    }
}

impl TryFrom<String> for Hours {
    type Error = String;

    fn try_from(text: String) -> Result<Hours, String> {
        text.parse()
    }
}

impl From<Hours> for String {
    fn from(hours: Hours) -> String {
        hours.to_string()
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (from, to)) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that limits everything.
    fn strict() -> Limits {
        Limits {
            paused: true,
            hours: Some("22:00-07:00".parse().unwrap()),
            only_when_idle: true,
            cpu_percent: 50,
            threads: Some(1),
            memory_mib: Some(256),
            blobs_mib: 100,
            logs_mib: 50,
            upload_kib_per_second: Some(100),
            download_kib_per_second: Some(200),
        }
    }

    #[test]
    fn every_limit_is_described_and_its_example_can_be_set() {
        let keys: Vec<String> = strict().table().keys().cloned().collect();
        let mut described: Vec<&str> = LIMITS.iter().map(|limit| limit.key).collect();
        described.sort_unstable();
        assert_eq!(keys, described);
        for limit in LIMITS {
            let set = Limits::default().with(limit.key, limit.example).unwrap();
            assert_eq!(set.value(limit.key).as_deref(), Some(limit.example), "{}", limit.key);
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(Limits::read(home.path()).unwrap(), Limits::default());
        for limits in [Limits::default(), strict()] {
            limits.write(home.path()).unwrap();
            assert_eq!(Limits::read(home.path()).unwrap(), limits);
        }
    }

    #[test]
    fn limits_are_set_one_by_one_and_lifted() {
        let none = Limits::default();
        let set = none.with("cpu_percent", "30").unwrap().with("hours", "8:00-9:30").unwrap();
        assert_eq!(
            (set.cpu_percent, set.hours.as_ref().map(ToString::to_string)),
            (30, Some("08:00-09:30".to_owned()))
        );
        assert_eq!(set.with("hours", "none").unwrap().with("cpu_percent", "none").unwrap(), none);
        for (key, value, why) in [
            ("cpu", "3", "there is no such limit"),
            ("cpu_percent", "0", "from 1 to 100"),
            ("cpu_percent", "much", "invalid type"),
            ("upload_kib_per_second", "1", "must be 64 at least"),
            ("hours", "morning", "write them as 22:00-07:00"),
            ("hours", "7:00-7:00", "ends at another time"),
            ("hours", "7:00-25:00", "are no hours"),
            ("hours", "7:00-99999999:00", "are no hours"),
            ("threads", "1\nmemory_mib = 1", "invalid type"),
        ] {
            let found = none.with(key, value).unwrap_err().to_string();
            assert!(found.contains(why) && found.contains("starling limits"), "{key} {value}: {found}");
        }
    }
}
