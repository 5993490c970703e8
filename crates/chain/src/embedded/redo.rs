//! The newest steps, in a file that is quick to make sure of: one write to a place that lies ready, one sync.
//!
//! The tables are a tree, so a step changes pages all over their file, and making sure of these takes the disk long. Instead each
//! step is written here first and is safe then; the tables follow in memory, and are written through when this file is full. After
//! a crash they are what they were then, and the steps here are done again (`store.rs`).
//!
//! The file is never shortened nor made longer, and is written over from its beginning once the tables have what is in it. What
//! is older therefore lies behind what is newer: each entry has a number, by which the reader knows.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// A number, a length and a checksum stand before each entry.
const HEAD: usize = 8 + 4 + 16;

/// Entries with their numbers, as they follow each other.
pub(crate) type Entries = Vec<(u64, Vec<u8>)>;

/// The file.
#[derive(Debug)]
pub(crate) struct Redo {
    file: File,
    /// How large it is.
    room: usize,
    /// Where the next entry goes.
    pub(super) at: usize,
}

impl Redo {
    /// Opens the file, or makes it, of this size; gives the entries in it that are whole.
    pub(crate) fn open(path: &Path, room: usize) -> io::Result<(Redo, Entries)> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::new();
        (&mut file).take(room as u64).read_to_end(&mut bytes)?;
        if bytes.len() < room {
            // Zeros, and not a hole: a sync has then nothing to note but what was written.
            file.write_all(&vec![0; room - bytes.len()])?;
            file.sync_all()?;
            if let Some(folder) = path.parent() {
                sync_folder(folder)?;
            }
        }
        Ok((Redo { file, room, at: 0 }, entries(&bytes)))
    }

    /// Whether there is room for an entry.
    pub(crate) fn fits(&self, body: &[u8]) -> bool {
        body.len().checked_add(HEAD).is_some_and(|length| length <= self.room - self.at)
    }

    /// Writes an entry that fits; when this returns, it is on the disk.
    pub(crate) fn append(&mut self, number: u64, body: &[u8]) -> io::Result<()> {
        let mut entry = Vec::with_capacity(HEAD + body.len());
        entry.extend(number.to_le_bytes());
        entry.extend((body.len() as u32).to_le_bytes());
        entry.extend(checksum(number, body));
        entry.extend(body);
        self.file.seek(SeekFrom::Start(self.at as u64))?;
        self.file.write_all(&entry)?;
        self.at += entry.len();
        self.file.sync_data()
    }

    /// Begins again at the beginning: what is there, the tables have.
    pub(crate) fn rewind(&mut self) {
        self.at = 0;
    }
}

/// A file that is new is safe only when its folder knows of it.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

fn checksum(number: u64, body: &[u8]) -> [u8; 16] {
    let whole = Sha256::new().chain_update(number.to_le_bytes()).chain_update(body).finalize();
    let mut half = [0; 16];
    half.copy_from_slice(&whole[..16]);
    half
}

/// What is whole at the beginning of a file, up to what is not or to what does not follow.
fn entries(mut bytes: &[u8]) -> Entries {
    let mut found = Entries::new();
    while let Some((head, rest)) = bytes.split_at_checked(HEAD) {
        let (Ok(number), Ok(length)) = (head[..8].try_into(), head[8..12].try_into()) else { break };
        let (number, length) = (u64::from_le_bytes(number), u32::from_le_bytes(length) as usize);
        let Some((body, rest)) = rest.split_at_checked(length) else { break };
        let follows = found.last().is_none_or(|(last, _)| last.checked_add(1) == Some(number));
        if checksum(number, body) != head[12..] || !follows {
            break;
        }
        found.push((number, body.to_vec()));
        bytes = rest;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(numbers: std::ops::Range<u64>, folder: &Path) -> Vec<u8> {
        let path = folder.join(format!("redo-{numbers:?}"));
        let (mut redo, _) = Redo::open(&path, 4096).unwrap();
        for number in numbers {
            redo.append(number, &vec![number as u8; number as usize * 7]).unwrap();
        }
        std::fs::read(path).unwrap()
    }

    fn folder(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("starling-redo-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn what_was_written_is_read_again() {
        let folder = folder("again");
        let path = folder.join("log");
        let (mut redo, found) = Redo::open(&path, 100).unwrap();
        assert!(found.is_empty());
        redo.append(7, b"seven").unwrap();
        redo.append(8, b"").unwrap();
        assert!(redo.fits(&[0; 100 - 3 * HEAD - 5]) && !redo.fits(&[0; 101 - 3 * HEAD - 5]));
        let both = vec![(7, b"seven".to_vec()), (8, Vec::new())];
        assert_eq!(Redo::open(&path, 100).unwrap().1, both);
        // Written over from the beginning: the second no longer follows the first.
        redo.rewind();
        redo.append(9, b"ninth").unwrap();
        assert_eq!(Redo::open(&path, 100).unwrap().1, [(9, b"ninth".to_vec())]);
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_cut_or_changed_ends_what_is_read() {
        let folder = folder("cut");
        let whole = written(1..9, &folder);
        let found = entries(&whole);
        assert_eq!(found.len(), 8);
        let mut end = 0;
        for (read, (_, body)) in found.iter().enumerate() {
            for at in end..end + HEAD + body.len() {
                let mut changed = whole.clone();
                changed[at] ^= 1;
                assert_eq!(entries(&changed).len(), read, "changed at {at}");
                assert_eq!(entries(&whole[..at]).len(), read, "cut at {at}");
            }
            end += HEAD + body.len();
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    proptest! {
        #[test]
        fn any_bytes_are_some_entries(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(entries(&bytes).len() <= bytes.len() / HEAD);
        }
    }
}
