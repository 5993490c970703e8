//! What of this machine a node may have, and when: its owner's limits.
//!
//! [`Limits`] are a file in the node's home, read when the node starts and again whenever it changes. [`may_work`] decides, from them and
//! from how the machine is, whether the node may begin another round. One that may not stays connected and does what it owes: it ends the round it
//! is in, reveals what it has committed to, and claims what it has earned.

mod limits;
mod load;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::Result;
pub use limits::{About, Hours, LIMITS, Limits};
use load::Load;

/// How often it is looked whether the file has changed, and how busy the machine is.
const LOOK: Duration = Duration::from_secs(1);
/// From this share of the machine that other programs use on, it is not idle; and it is again when they use less than that.
const BUSY: f32 = 0.25;
const IDLE: f32 = 0.15;

/// Why a node rests.
#[derive(Clone, Debug, PartialEq)]
pub enum Rest {
    /// Its owner said so.
    Paused,
    /// It is not one of these hours.
    Hours(Hours),
    /// Other programs use this share of the machine.
    Busy(f32),
    /// It may work on an idle machine only, and nobody knows how busy this one is.
    Unknown,
}

impl fmt::Display for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rest::Paused => f.write_str("paused by its owner: `starling resume` lets it work again"),
            Rest::Hours(hours) => write!(
                f,
                "its owner lets it work from {hours} only: `starling limits set hours none` lifts that"
            ),
            Rest::Busy(share) => write!(
                f,
                "other programs use {:.0} % of this machine, and its owner lets it work only when it is idle: \
                 `starling limits set only_when_idle false` lifts that",
                100.0 * share
            ),
            Rest::Unknown => f.write_str(
                "how busy this machine is is not known, and its owner lets it work only when it is idle: \
                 `starling limits set only_when_idle false` lifts that",
            ),
        }
    }
}

/// How it is around a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Around {
    /// The minute of the day, by the clock on the wall.
    pub minute: u16,
    /// The share of the machine that other programs use, where that is known.
    pub busy: Option<f32>,
}

/// Whether a node may begin another round, or why not. `before` is why it rests already, if it does: a machine that has just been busy is to be
/// quieter than one that has not, so that a node does not come and go.
pub fn may_work(limits: &Limits, around: Around, before: Option<&Rest>) -> Result<(), Rest> {
    if limits.paused {
        return Err(Rest::Paused);
    }
    if let Some(hours) = limits.hours.as_ref().filter(|hours| !hours.have(around.minute)) {
        return Err(Rest::Hours(hours.clone()));
    }
    if !limits.only_when_idle {
        return Ok(());
    }
    let most = if matches!(before, Some(Rest::Busy(_))) { IDLE } else { BUSY };
    match around.busy {
        None => Err(Rest::Unknown),
        Some(busy) if busy > most => Err(Rest::Busy(busy)),
        Some(_) => Ok(()),
    }
}

/// Looks after the limits while a node runs.
#[derive(Debug)]
pub(crate) struct Owner {
    home: PathBuf,
    limits: Limits,
    load: Load,
    rest: Option<Rest>,
    looked: Instant,
    /// What is wrong with the file.
    wrong: Option<String>,
}

/// What a look has shown.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Seen {
    /// The limits are others.
    pub(crate) limits: bool,
    /// The node begins to rest, rests for another reason, or works again.
    pub(crate) rest: bool,
    /// The file cannot be read, or can again.
    pub(crate) file: bool,
}

impl Owner {
    /// Reads the limits of a home. A node whose limits cannot be read does not start: it would not know what it may do.
    pub(crate) fn open(home: &Path) -> Result<Owner> {
        let limits = Limits::read(home)?;
        let load = Load::begin();
        let mut owner =
            Owner { home: home.to_owned(), limits, load, rest: None, looked: Instant::now(), wrong: None };
        owner.judge();
        Ok(owner)
    }

    /// What holds.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Why it rests, if it does.
    pub(crate) fn rest(&self) -> Option<&Rest> {
        self.rest.as_ref()
    }

    /// What is wrong with the file, if something is.
    pub(crate) fn wrong(&self) -> Option<&str> {
        self.wrong.as_deref()
    }

    /// Looks again, if the last look was a while ago.
    pub(crate) fn look(&mut self) -> Seen {
        if self.looked.elapsed() < LOOK {
            return Seen::default();
        }
        self.looked = Instant::now();
        self.load.look();
        let mut seen = Seen::default();
        let wrong = match Limits::read(&self.home) {
            Ok(limits) => {
                seen.limits = limits != self.limits;
                self.limits = limits;
                None
            }
            // What was there holds on.
            Err(why) => Some(why.to_string()),
        };
        seen.file = wrong != self.wrong;
        self.wrong = wrong;
        seen.rest = self.judge();
        seen
    }

    /// Whether it rests now; says whether that is news. That it is a little busier or less is none.
    fn judge(&mut self) -> bool {
        let around = Around { minute: minute_of_day(), busy: self.load.busy() };
        let rest = may_work(&self.limits, around, self.rest.as_ref()).err();
        let kind = |rest: &Option<Rest>| rest.as_ref().map(std::mem::discriminant);
        let news = kind(&rest) != kind(&self.rest);
        self.rest = rest;
        news
    }
}

/// The minute of the day where this machine stands.
fn minute_of_day() -> u16 {
    let now = jiff::Zoned::now();
    now.hour() as u16 * 60 + now.minute() as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::replace;

    fn check(limits: &Limits, minute: u16, busy: Option<f32>, before: Option<&Rest>) -> Option<Rest> {
        may_work(limits, Around { minute, busy }, before).err()
    }

    #[test]
    fn who_may_work_and_when() {
        let free = Limits::default();
        assert_eq!(check(&free, 0, None, None), None);
        let paused = Limits { paused: true, ..Limits::default() };
        assert_eq!(check(&paused, 0, Some(0.0), None), Some(Rest::Paused));

        let hours: Hours = "22:00-07:00, 12:00-13:00".parse().unwrap();
        let nights = Limits { hours: Some(hours.clone()), ..Limits::default() };
        for (minute, works) in [
            (0, true),
            (7 * 60 - 1, true),
            (7 * 60, false),
            (12 * 60, true),
            (13 * 60, false),
            (22 * 60 - 1, false),
            (22 * 60, true),
            (24 * 60 - 1, true),
        ] {
            let rests = (!works).then(|| Rest::Hours(hours.clone()));
            assert_eq!(check(&nights, minute, None, None), rests, "minute {minute}");
        }

        let idle = Limits { only_when_idle: true, ..Limits::default() };
        assert_eq!(check(&idle, 0, None, None), Some(Rest::Unknown));
        assert_eq!(check(&idle, 0, Some(0.2), None), None);
        assert_eq!(check(&idle, 0, Some(0.3), None), Some(Rest::Busy(0.3)));
        assert_eq!(check(&idle, 0, Some(0.2), Some(&Rest::Busy(0.3))), Some(Rest::Busy(0.2)), "it was busy");
        assert_eq!(check(&idle, 0, Some(0.1), Some(&Rest::Busy(0.3))), None);
        assert_eq!(check(&idle, 0, Some(0.2), Some(&Rest::Paused)), None, "it was not for that");
    }

    #[test]
    fn a_file_that_changes_is_read_again_and_a_damaged_one_changes_nothing() {
        let home = tempfile::tempdir().unwrap();
        let mut owner = Owner::open(home.path()).unwrap();
        let mut look = |text: Option<&str>| {
            if let Some(text) = text {
                replace(&Limits::file(home.path()), text.as_bytes()).unwrap();
            }
            owner.looked = Instant::now().checked_sub(2 * LOOK).unwrap();
            let seen = owner.look();
            (seen, owner.rest().cloned(), owner.limits().clone(), owner.wrong().map(str::to_owned))
        };
        assert_eq!(look(None).0, Seen::default());
        let (seen, rest, ..) = look(Some("paused = true"));
        assert_eq!((seen, rest), (Seen { limits: true, rest: true, file: false }, Some(Rest::Paused)));
        let (seen, rest, limits, wrong) = look(Some("paused = maybe"));
        assert!(seen.file && wrong.unwrap().contains("limits.toml"));
        assert!(rest == Some(Rest::Paused) && limits.paused);
        assert_eq!(look(None).0, Seen::default(), "it is said once");
        let (seen, rest, _, wrong) = look(Some("cpu_percent = 50"));
        assert_eq!((seen, rest, wrong), (Seen { limits: true, rest: true, file: true }, None, None));
        assert!(Owner::open(home.path()).is_ok());
        replace(&Limits::file(home.path()), b"cpu_percent = 500").unwrap();
        assert!(Owner::open(home.path()).unwrap_err().to_string().contains("cpu_percent"));
    }
}
