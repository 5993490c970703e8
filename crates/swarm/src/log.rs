//! The event log: everything a node was told, so that any round can be gone through again.
//!
//! A log is a run of records, each as long as it says and with a check that covers it and all before it:
//!
//! ```text
//! length of the content (4 bytes)   check (8 bytes)   content
//! ```
//!
//! What a killed process had half written is found by its check and cut off: all before it stands.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::event::{Effect, Event};
use crate::flock::{Flock, Parts};
use crate::limits::RECORD_BYTES;
use crate::memory::Memory;

/// A record of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// A node began, or began a new log, remembering this.
    Begin {
        /// The charter, as a `swarm.toml`.
        charter: String,
        /// What it remembered.
        memory: Box<Memory>,
    },
    /// Something happened.
    Step {
        /// When, in the node's milliseconds.
        at: u64,
        /// What.
        event: Event,
        /// The hash of what was to be done about it.
        effects: [u8; 32],
    },
}

const HEAD: usize = 12;

/// Turns records into the bytes of a log.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    check: [u8; 8],
}

impl Writer {
    /// For a log that is empty yet.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// The bytes to add to the log for a record.
    pub fn bytes(&mut self, record: &Record) -> Vec<u8> {
        let content = postcard::to_allocvec(record).unwrap_or_default();
        self.check = check(self.check, &content);
        [&(content.len() as u32).to_le_bytes()[..], &self.check, &content].concat()
    }
}

/// Reads a log's records.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    read: usize,
    check: [u8; 8],
}

impl<'a> Reader<'a> {
    /// Reads these bytes.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, read: 0, check: [0; 8] }
    }

    /// How many bytes were whole so far: where to cut the file, once there are no more records.
    pub fn whole(&self) -> usize {
        self.read
    }

    /// A writer that goes on after what was read.
    pub fn writer(&self) -> Writer {
        Writer { check: self.check }
    }
}

impl Iterator for Reader<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let rest = self.bytes.get(self.read..)?;
        let length = u32::from_le_bytes(*rest.first_chunk()?) as usize;
        if length > RECORD_BYTES {
            return None;
        }
        let claimed = rest.get(4..HEAD)?;
        let content = rest.get(HEAD..HEAD.checked_add(length)?)?;
        let found = check(self.check, content);
        if found != claimed {
            return None;
        }
        let record = postcard::from_bytes(content).ok()?;
        self.read += HEAD + length;
        self.check = found;
        Some(record)
    }
}

fn check(before: [u8; 8], content: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new_derive_key("starling swarm log v1");
    let hash = hasher.update(&before).update(content).finalize();
    hash.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// The hash of what a step wanted done.
fn digest(effects: &[Effect]) -> [u8; 32] {
    let bytes = postcard::to_allocvec(effects).unwrap_or_default();
    let mut hasher = blake3::Hasher::new_derive_key("starling swarm effects v1");
    *hasher.update(&bytes).finalize().as_bytes()
}

/// A flock that writes down all it is told.
#[derive(Debug)]
pub struct Recorder {
    flock: Flock,
    writer: Writer,
}

impl Recorder {
    /// Begins a log; gives its first bytes.
    pub fn begin(parts: Arc<Parts>, memory: Memory) -> Result<(Recorder, Vec<u8>), Error> {
        let record = Record::Begin { charter: parts.charter.to_toml(), memory: Box::new(memory.clone()) };
        let mut recorder = Recorder { flock: Flock::new(parts, memory)?, writer: Writer::new() };
        let bytes = recorder.writer.bytes(&record);
        Ok((recorder, bytes))
    }

    /// Goes on from a log: gives what had been asked for and was not done, and how many bytes of the log are whole. What follows them is to be cut off.
    ///
    /// `None` if not even its beginning is whole.
    pub fn resume(parts: Arc<Parts>, log: &[u8]) -> Result<Option<(Recorder, Vec<Effect>, usize)>, Error> {
        let mut reader = Reader::new(log);
        let Some(Record::Begin { memory, .. }) = reader.next() else { return Ok(None) };
        let mut flock = Flock::new(parts, *memory)?;
        for (at, record) in reader.by_ref().enumerate() {
            replay_one(&mut flock, at + 1, record)?;
        }
        let (outstanding, whole) = (flock.outstanding(), reader.whole());
        Ok(Some((Recorder { flock, writer: reader.writer() }, outstanding, whole)))
    }

    /// A step; gives what to add to the log, **before** anything of what else it gives is done.
    pub fn step(&mut self, at: u64, event: Event) -> (Vec<u8>, Vec<Effect>) {
        let effects = self.flock.step(at, event.clone());
        let record = Record::Step { at, event, effects: digest(&effects) };
        (self.writer.bytes(&record), effects)
    }

    /// Begins a new log where this one ends, so that logs can be of any length; gives its first bytes.
    pub fn rotate(&mut self) -> Vec<u8> {
        let charter = self.flock.parts().charter.to_toml();
        self.writer = Writer::new();
        self.writer.bytes(&Record::Begin { charter, memory: Box::new(self.flock.memory()) })
    }

    /// Who is recorded.
    pub fn flock(&self) -> &Flock {
        &self.flock
    }
}

fn replay_one(flock: &mut Flock, at: usize, record: Record) -> Result<(u64, Event, Vec<Effect>), Error> {
    let Record::Step { at: time, event, effects } = record else { return Err(Error::Replay { at }) };
    let again = flock.step(time, event.clone());
    if digest(&again) == effects { Ok((time, event, again)) } else { Err(Error::Replay { at }) }
}

/// Goes through a log again, step by step; `watch` sees each with its time, its event, what was done about it, and the flock after it.
///
/// It fails at the first step that goes otherwise than it went. `parts` makes the parts that a charter names.
pub fn replay(
    log: &[u8],
    parts: impl FnOnce(&str) -> Result<Arc<Parts>, Error>,
    mut watch: impl FnMut(u64, &Event, &[Effect], &Flock),
) -> Result<usize, Error> {
    let mut reader = Reader::new(log);
    let Some(Record::Begin { charter, memory }) = reader.next() else {
        let why = "its beginning is missing or damaged: there is nothing to go on from".to_owned();
        return Err(Error::Kept { what: "log", why });
    };
    let mut flock = Flock::new(parts(&charter)?, *memory)?;
    let mut steps = 0;
    for record in reader {
        steps += 1;
        let (time, event, effects) = replay_one(&mut flock, steps, record)?;
        watch(time, &event, &effects, &flock);
    }
    Ok(steps)
}
