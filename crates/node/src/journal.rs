//! The node's event log on the disk: written before anything is done about an event, so that a node that is killed goes on where it was.
//!
//! A log begins where a checkpoint of the model was asked for. The one before it is kept as long: should the checkpoint not have come to be, what was
//! learned since the last one is learned again from the logs.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use swarm::{Effect, Event, Flock, Lesson, Memory, Parts, Recorder, log};

use crate::error::{Error, Result};

/// Logs that are kept.
const KEPT: usize = 3;
/// A log that is longer is not read: nothing of ours writes such.
const LIMIT_BYTES: u64 = 4 << 30;

/// A flock whose every step is on the disk before it is acted on.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
    recorder: Recorder,
    file: File,
    /// The newest log's number.
    number: u64,
    /// Its length.
    bytes: u64,
}

/// What is to be done before a node goes on.
#[derive(Debug, Default)]
pub(crate) struct Unfinished {
    /// What was learned after the last checkpoint, with the root it came to.
    pub(crate) learned: Vec<(u64, Vec<Lesson>, [u8; 32])>,
    /// What was asked for and not done.
    pub(crate) effects: Vec<Effect>,
}

impl Journal {
    /// Goes on from the logs of a folder, or begins one. `saved` is the round that the model's checkpoint is of.
    pub(crate) fn open(
        folder: &Path,
        parts: &Arc<Parts>,
        saved: Option<u64>,
        newcomer: impl FnOnce() -> Memory,
    ) -> Result<(Journal, Unfinished)> {
        fs::create_dir_all(folder).map_err(|why| Error::file("making the folder", folder, why))?;
        let numbers = numbers(folder)?;
        let mut unfinished = Unfinished::default();
        let mut newest = None;
        for number in &numbers {
            let path = path(folder, *number);
            let bytes = read(&path)?;
            let Some((recorder, effects, whole)) = Recorder::resume(parts.clone(), &bytes)? else {
                // Killed while it was begun: the one before it goes on.
                continue;
            };
            learned_in(&bytes[..whole], parts, saved, &mut unfinished.learned)?;
            unfinished.effects = effects;
            newest = Some((*number, recorder, whole));
        }
        let journal = if let Some((number, recorder, whole)) = newest {
            let path = path(folder, number);
            let file =
                File::options().append(true).open(&path).map_err(|why| Error::file("opening", &path, why))?;
            file.set_len(whole as u64).map_err(|why| Error::file("cutting", &path, why))?;
            Journal { folder: folder.to_owned(), recorder, file, number, bytes: whole as u64 }
        } else {
            let number = numbers.last().map_or(1, |last| last + 1);
            let (recorder, bytes) = Recorder::begin(parts.clone(), newcomer())?;
            let file = begin(&path(folder, number), &bytes)?;
            Journal { folder: folder.to_owned(), recorder, file, number, bytes: bytes.len() as u64 }
        };
        Ok((journal, unfinished))
    }

    /// A step, written down; gives what is to be done.
    pub(crate) fn step(&mut self, at: u64, event: Event) -> Result<Vec<Effect>> {
        let (bytes, effects) = self.recorder.step(at, event);
        let failed = |why| Error::file("writing", &path(&self.folder, self.number), why);
        self.file.write_all(&bytes).map_err(failed)?;
        self.bytes += bytes.len() as u64;
        Ok(effects)
    }

    /// Begins a new log here.
    pub(crate) fn rotate(&mut self) -> Result<()> {
        let next = self.number + 1;
        let first = self.recorder.rotate();
        self.file = begin(&path(&self.folder, next), &first)?;
        (self.number, self.bytes) = (next, first.len() as u64);
        let numbers = numbers(&self.folder)?;
        for old in &numbers[..numbers.len().saturating_sub(KEPT)] {
            let path = path(&self.folder, *old);
            fs::remove_file(&path).map_err(|why| Error::file("removing", &path, why))?;
        }
        Ok(())
    }

    /// Whether all logs together might take more than this, were this one to grow much longer.
    pub(crate) fn is_long(&self, limit_bytes: u64) -> bool {
        self.bytes >= limit_bytes / KEPT as u64
    }

    /// Who is recorded.
    pub(crate) fn flock(&self) -> &Flock {
        self.recorder.flock()
    }
}

/// What a log says was learned after the saved round, and not yet found in an earlier log.
fn learned_in(
    bytes: &[u8],
    parts: &Arc<Parts>,
    saved: Option<u64>,
    found: &mut Vec<(u64, Vec<Lesson>, [u8; 32])>,
) -> Result<()> {
    let mut asked: Option<(u64, Vec<Lesson>)> = None;
    log::replay(
        bytes,
        |_| Ok(parts.clone()),
        |_, event, effects, _| {
            if let Event::Learned { round, root } = event
                && let Some((_, lessons)) = asked.take_if(|(of, _)| of == round)
                && saved.is_none_or(|saved| *round > saved)
                && found.last().is_none_or(|(last, ..)| round > last)
            {
                found.push((*round, lessons, *root));
            }
            for effect in effects {
                if let Effect::Learn { round, lessons } = effect {
                    asked = Some((*round, lessons.clone()));
                }
            }
        },
    )?;
    Ok(())
}

/// The logs of a folder, the newest last.
pub(crate) fn logs(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(numbers(folder)?.into_iter().map(|number| path(folder, number)).collect())
}

/// A log's bytes.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let about = |why| Error::file("reading", path, why);
    let length = fs::metadata(path).map_err(about)?.len();
    if length > LIMIT_BYTES {
        return Err(Error::Damaged { file: path.to_owned(), why: format!("it has {length} bytes") });
    }
    fs::read(path).map_err(about)
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}.log"))
}

fn numbers(folder: &Path) -> Result<Vec<u64>> {
    let about = |why| Error::file("reading", folder, why);
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder).map_err(about)? {
        let name = entry.map_err(about)?.file_name();
        numbers.extend(name.to_str().and_then(|name| name.strip_suffix(".log")?.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn begin(path: &Path, bytes: &[u8]) -> Result<File> {
    let mut file = File::create(path).map_err(|why| Error::file("making", path, why))?;
    file.write_all(bytes).map_err(|why| Error::file("writing", path, why))?;
    Ok(file)
}
