//! All that nodes tell, numbered and kept, so that whoever comes back misses nothing, or is told what.
//!
//! The newest events are in memory, more of them on the disk: one line of JSON each, in files that are named after their first event's number. How the
//! nodes are is kept beside the files whenever a new one begins, so that nothing has to be read again from its beginning.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::state::State;
use crate::error::{Error, Result};
use crate::home::replace;
use crate::report::Report;

/// Events in memory, and bytes of them.
const LIMIT_EVENTS: usize = 16 << 10;
const LIMIT_BYTES: usize = 8 << 20;
/// Bytes of a file, and how many files there are: some 300,000 events.
const FILE_BYTES: u64 = 4 << 20;
const LIMIT_FILES: usize = 32;

/// Something that a node told, with its number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Told {
    /// One more than the event before it.
    pub id: u64,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Which node; empty for what is about all of them.
    pub node: String,
    /// What it told.
    pub report: Report,
}

/// Events that are no longer kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Missed {
    /// The first of them.
    pub from: u64,
    /// The last of them.
    pub to: u64,
}

/// Some events in a row.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Batch {
    /// What should have come before them and is gone.
    pub(crate) missed: Option<Missed>,
    /// Each with its number, as JSON.
    pub(crate) lines: Vec<(u64, Arc<str>)>,
}

/// All that nodes tell, and how that leaves them.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    inner: Arc<Mutex<Inner>>,
    newest: watch::Receiver<u64>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    state: State,
    ring: VecDeque<Arc<str>>,
    ring_bytes: usize,
    file: File,
    file_bytes: u64,
    /// Whether a write has failed: it is said once.
    broken: bool,
    newest: watch::Sender<u64>,
}

impl Feed {
    /// Goes on with what a folder has, or begins there.
    pub(crate) fn open(folder: &Path) -> Result<Feed> {
        fs::create_dir_all(folder).map_err(|why| Error::file("making the folder", folder, why))?;
        let mut state = read_state(folder).unwrap_or_else(|| State::new(now_ms()));
        let (mut ring, mut ring_bytes) = (VecDeque::new(), 0);
        let mut last = None;
        for first in firsts(folder)? {
            let path = path(folder, first);
            let (text, bytes) = read_whole_lines(&path)?;
            for (id, line) in (first..).zip(text.lines()) {
                if id > state.last {
                    // What another version wrote otherwise is kept for its number, and tells nothing.
                    match serde_json::from_str::<Told>(line) {
                        Ok(told) => state.take(&told),
                        Err(_) => state.last = id,
                    }
                }
                push(&mut ring, &mut ring_bytes, line.into());
            }
            last = Some((path, bytes));
        }
        let (path, file_bytes) = last.unwrap_or_else(|| (path(folder, state.last + 1), 0));
        let open = File::options().create(true).append(true).open(&path);
        let file = open.map_err(|why| Error::file("opening", &path, why))?;
        file.set_len(file_bytes).map_err(|why| Error::file("cutting", &path, why))?;
        let (tell, newest) = watch::channel(state.last);
        let inner = Inner {
            folder: folder.to_owned(),
            state,
            ring,
            ring_bytes,
            file,
            file_bytes,
            broken: false,
            newest: tell,
        };
        Ok(Feed { inner: Arc::new(Mutex::new(inner)), newest })
    }

    /// Takes in what a node told.
    pub(crate) fn tell(&self, node: &str, report: Report) {
        self.lock().tell(node, report);
    }

    /// How the nodes are now.
    pub(crate) fn state<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock().state)
    }

    /// For what is known without being told.
    pub(crate) fn state_mut(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock().state);
    }

    /// The number of the newest event, as it changes.
    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.clone()
    }

    /// The events after one, at most so many. It may read the disk.
    pub(crate) fn after(&self, id: u64, limit: usize) -> Result<Batch> {
        let folder = {
            let inner = self.lock();
            let last = inner.state.last;
            let first = last + 1 - inner.ring.len() as u64;
            if id >= last {
                return Ok(Batch::default());
            }
            if id + 1 >= first {
                let from = (id + 1 - first) as usize;
                let lines = inner.ring.iter().skip(from).take(limit).cloned();
                return Ok(Batch { missed: None, lines: (id + 1..).zip(lines).collect() });
            }
            inner.folder.clone()
        };
        let firsts = firsts(&folder)?;
        let at = firsts.partition_point(|first| *first <= id + 1);
        let mut batch = Batch::default();
        let mut wanted = id + 1;
        for first in &firsts[at.saturating_sub(1)..] {
            if *first > wanted {
                batch.missed = Some(Missed { from: wanted, to: first - 1 });
                wanted = *first;
            }
            let (text, _) = read_whole_lines(&path(&folder, *first))?;
            let lines = (*first..).zip(text.lines()).filter(|(id, _)| *id >= wanted);
            batch.lines.extend(lines.take(limit).map(|(id, line)| (id, line.into())));
            if !batch.lines.is_empty() {
                break;
            }
        }
        Ok(batch)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn tell(&mut self, node: &str, report: Report) {
        let told = Told { id: self.state.last + 1, at_ms: now_ms(), node: node.to_owned(), report };
        let Ok(line) = serde_json::to_string(&told) else { return };
        if let Err(why) = self.write(&line)
            && !std::mem::replace(&mut self.broken, true)
        {
            tracing::warn!(%why, "what nodes tell cannot be kept on the disk: after a restart it is gone");
        }
        push(&mut self.ring, &mut self.ring_bytes, line.into());
        self.state.take(&told);
        self.newest.send_replace(told.id);
    }

    fn write(&mut self, line: &str) -> std::io::Result<()> {
        if self.file_bytes >= FILE_BYTES {
            let next = self.state.last + 1;
            self.file = File::options().create(true).append(true).open(path(&self.folder, next))?;
            self.file_bytes = 0;
            replace(&self.folder.join("state.json"), &serde_json::to_vec(&self.state)?)?;
            let firsts = firsts(&self.folder).map_err(std::io::Error::other)?;
            for old in &firsts[..firsts.len().saturating_sub(LIMIT_FILES)] {
                fs::remove_file(path(&self.folder, *old))?;
            }
        }
        self.file_bytes += line.len() as u64 + 1;
        self.file.write_all(format!("{line}\n").as_bytes())
    }
}

fn push(ring: &mut VecDeque<Arc<str>>, bytes: &mut usize, line: Arc<str>) {
    *bytes += line.len();
    ring.push_back(line);
    while ring.len() > LIMIT_EVENTS || *bytes > LIMIT_BYTES {
        *bytes -= ring.pop_front().map_or(0, |old| old.len());
    }
}

/// What was kept of how the nodes are. One that another version wrote is left.
fn read_state(folder: &Path) -> Option<State> {
    serde_json::from_slice(&fs::read(folder.join("state.json")).ok()?).ok()
}

/// A file's lines, and how many bytes they are. What was half written when the process was killed is left out.
fn read_whole_lines(path: &Path) -> Result<(String, u64)> {
    let about = |doing| move |why| Error::file(doing, path, why);
    let bytes = fs::read(path).map_err(about("reading"))?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    Ok((String::from_utf8_lossy(&bytes[..whole]).into_owned(), whole as u64))
}

fn path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:012}.jsonl"))
}

/// The numbers of the first events of all files, in order.
fn firsts(folder: &Path) -> Result<Vec<u64>> {
    let about = |why| Error::file("reading", folder, why);
    let mut firsts = Vec::new();
    for entry in fs::read_dir(folder).map_err(about)? {
        let name = entry.map_err(about)?.file_name();
        firsts.extend(name.to_str().and_then(|name| name.strip_suffix(".jsonl")?.parse::<u64>().ok()));
    }
    firsts.sort_unstable();
    Ok(firsts)
}

pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(round: u64) -> Report {
        Report::Opened { round }
    }

    fn ids(batch: &Batch) -> Vec<u64> {
        batch.lines.iter().map(|(id, _)| *id).collect()
    }

    #[test]
    fn whoever_comes_back_misses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let feed = Feed::open(folder.path()).unwrap();
        for round in 1..=5 {
            feed.tell("1", opened(round));
        }
        assert_eq!(ids(&feed.after(2, 2).unwrap()), [3, 4]);
        assert_eq!(ids(&feed.after(4, 9).unwrap()), [5]);
        assert_eq!(feed.after(5, 9).unwrap(), Batch::default());
        drop(feed);
        let feed = Feed::open(folder.path()).unwrap();
        feed.tell("1", opened(6));
        assert_eq!(ids(&feed.after(0, 99).unwrap()), [1, 2, 3, 4, 5, 6]);
        let told: Told = serde_json::from_str(&feed.after(5, 1).unwrap().lines[0].1).unwrap();
        assert_eq!((told.id, told.node.as_str(), told.report), (6, "1", opened(6)));
    }

    #[test]
    fn half_a_line_is_cut_off_and_its_number_given_again() {
        let folder = tempfile::tempdir().unwrap();
        let feed = Feed::open(folder.path()).unwrap();
        feed.tell("1", opened(1));
        feed.tell("1", opened(2));
        drop(feed);
        let file = path(folder.path(), 1);
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() - 5]).unwrap();
        let feed = Feed::open(folder.path()).unwrap();
        feed.tell("1", opened(3));
        drop(feed);
        let feed = Feed::open(folder.path()).unwrap();
        let batch = feed.after(0, 9).unwrap();
        assert_eq!(ids(&batch), [1, 2]);
        assert!(batch.lines[1].1.contains(r#""round":3"#), "{batch:?}");
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_gone_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let feed = Feed::open(folder.path()).unwrap();
        let words = "x".repeat(20_000);
        let count = 8000;
        for _ in 0..count {
            feed.tell("1", Report::Said { words: words.clone() });
        }
        let firsts = firsts(folder.path()).unwrap();
        assert_eq!(firsts.len(), LIMIT_FILES);
        let on_disk: u64 =
            fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
        assert!(on_disk < (LIMIT_FILES as u64 + 1) * FILE_BYTES);
        assert!(feed.lock().ring_bytes <= LIMIT_BYTES);
        let batch = feed.after(3, 2).unwrap();
        assert_eq!(batch.missed, Some(Missed { from: 4, to: firsts[0] - 1 }));
        assert_eq!(ids(&batch), [firsts[0], firsts[0] + 1]);
        // Through all that is left, from the disk into memory, nothing is skipped.
        let mut at = firsts[0] - 1;
        while let Some((last, _)) = feed.after(at, 300).unwrap().lines.last() {
            let batch = feed.after(at, 300).unwrap();
            assert_eq!((batch.missed, batch.lines[0].0), (None, at + 1));
            at = *last;
        }
        assert_eq!(at, count);
        drop(feed);
        assert_eq!(Feed::open(folder.path()).unwrap().state(|state| state.last), count);
    }
}
