//! What is kept of one player on this machine: sessions, and what was learned from them. Nothing of it leaves the machine by itself.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use exact::Device;

use crate::error::Error;
use crate::helper::{Assistant, Nerve};
use crate::lines::{Recorder, replace};
use crate::net::Weights;
use crate::recording::{Header, Recording};
use crate::robin;

/// How files of sessions end.
const ENDING: &str = ".jsonl.zst";
/// How files of sessions end that are not compressed.
const PLAIN: &str = ".jsonl";
/// The most sessions that are looked at, the latest by name.
const MOST_SESSIONS: usize = 1000;

/// The folder of one player.
#[derive(Clone, Debug)]
pub struct Home {
    folder: PathBuf,
}

impl Home {
    /// The folder, made if need be.
    pub fn open(folder: &Path) -> Result<Home, Error> {
        let sessions = folder.join("sessions");
        fs::create_dir_all(&sessions).map_err(|why| Error::file("making the folder", &sessions, why))?;
        Ok(Home { folder: folder.to_owned() })
    }

    /// The files of the sessions, the oldest first: their names say when they began.
    pub fn sessions(&self) -> Result<Vec<PathBuf>, Error> {
        sessions_in(&self.folder.join("sessions"))
    }

    /// Begins to record a session under this name.
    pub fn record(&self, name: &str, header: &Header) -> Result<Recorder, Error> {
        Recorder::new(&self.folder.join("sessions").join(format!("{name}{ENDING}")), header)
    }

    /// Takes a recording in that was made elsewhere. One that is here already stays as it is, and that is an error.
    pub fn keep(&self, name: &str, recording: &Recording) -> Result<(), Error> {
        let path = self.folder.join("sessions").join(format!("{name}{ENDING}"));
        if path.exists() {
            return Err(Error::file("keeping", &path, std::io::ErrorKind::AlreadyExists.into()));
        }
        recording.save(&path)
    }

    fn own_weights(&self) -> PathBuf {
        self.folder.join("weights.bin")
    }

    /// The player's own weights, or those that ship; and whether they are the player's own.
    pub fn weights(&self) -> Result<(Weights, bool), Error> {
        let path = self.own_weights();
        match read(&path) {
            Ok(bytes) => Ok((Weights::from_bytes(&bytes)?, true)),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok((robin()?, false)),
            Err(why) => Err(Error::file("reading", &path, why)),
        }
    }

    /// Makes these the player's own weights. This is also how weights come in from elsewhere.
    pub fn set_weights(&self, weights: &Weights) -> Result<(), Error> {
        replace(&self.own_weights(), &weights.to_bytes())
    }

    /// The assistant as it is for this player now: own weights, all sessions in mind.
    pub fn assistant(&self, nerve: Nerve, device: &Device) -> Result<Assistant, Error> {
        let mut assistant = Assistant::new(&self.weights()?.0, nerve, device)?;
        for path in self.sessions()? {
            assistant.remember(&Recording::open(&path)?);
        }
        Ok(assistant)
    }

    /// Forgets one session, by its name. What the weights learned from it they keep: [`Home::forget_weights`] undoes that.
    pub fn forget_session(&self, name: &str) -> Result<(), Error> {
        let known = self.sessions()?.into_iter().find(|path| name_of(path) == name);
        let path = known.unwrap_or_else(|| self.folder.join("sessions").join(format!("{name}{ENDING}")));
        fs::remove_file(&path).map_err(|why| Error::file("forgetting", &path, why))
    }

    /// Goes back to the weights that ship.
    pub fn forget_weights(&self) -> Result<(), Error> {
        let path = self.own_weights();
        match fs::remove_file(&path) {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::file("forgetting", &path, why))
            }
            _ => Ok(()),
        }
    }

    /// Forgets everything.
    pub fn forget_all(&self) -> Result<(), Error> {
        for path in self.sessions()? {
            fs::remove_file(&path).map_err(|why| Error::file("forgetting", &path, why))?;
        }
        self.forget_weights()
    }
}

/// A file's bytes, one more than weights have at most: so what is too long is seen to be, and nothing is read whole that is larger.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(Weights::count() as u64 * 4 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Weights that were exported to a file.
pub fn read_weights(path: &Path) -> Result<Weights, Error> {
    Weights::from_bytes(&read(path).map_err(|why| Error::file("reading", path, why))?)
}

/// A session's name: its file's, without the ending.
pub fn name_of(path: &Path) -> String {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    name.strip_suffix(ENDING).or(name.strip_suffix(PLAIN)).map_or(name.clone(), str::to_owned)
}

/// How deep folders are looked into.
const DEPTH: usize = 4;

/// The sessions in a folder and those in it, in the order of their names. Recordings that are not compressed count as well.
pub fn sessions_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut all = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let wrong = |why| Error::file("looking into", &folder, why);
        for entry in fs::read_dir(&folder).map_err(wrong)? {
            let entry = entry.map_err(wrong)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type().map_err(wrong)?.is_dir() {
                folders.extend((depth < DEPTH).then(|| (entry.path(), depth + 1)));
            } else if name.ends_with(ENDING) || name.ends_with(PLAIN) {
                all.push(entry.path());
            }
        }
    }
    all.sort();
    let first = all.len().saturating_sub(MOST_SESSIONS);
    Ok(all.split_off(first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::practice::{Part, repeaters};

    #[test]
    fn what_is_kept_is_found_and_what_is_forgotten_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::open(&folder.path().join("assist")).unwrap();
        let sessions = repeaters(Part::Lessons, 3, 1, 2).remove(0).sessions;
        home.keep("2", &sessions[1]).unwrap();
        assert!(home.keep("2", &sessions[0]).is_err(), "it is here already");
        let mut recorder = home.record("1", &sessions[0].header).unwrap();
        for event in &sessions[0].events {
            recorder.record(event).unwrap();
        }
        assert!(home.record("1", &sessions[0].header).is_err(), "a session is never written over");
        recorder.finish().unwrap();
        let names = || home.sessions().unwrap().iter().map(|p| name_of(p)).collect::<Vec<_>>();
        assert_eq!(names(), ["1", "2"]);
        assert_eq!(Recording::open(&home.sessions().unwrap()[0]).unwrap(), sessions[0]);

        let weights = Weights::first(3);
        home.set_weights(&weights).unwrap();
        assert_eq!(home.weights().unwrap(), (weights.clone(), true));
        fs::create_dir(folder.path().join("assist/sessions/more")).unwrap();
        let plain = folder.path().join("assist/sessions/more/3.jsonl");
        fs::write(&plain, sessions[1].to_lines().unwrap()).unwrap();
        fs::write(folder.path().join("assist/sessions/more/notes.txt"), "").unwrap();
        assert_eq!(names(), ["1", "2", "3"]);
        assert_eq!(Recording::open(&plain).unwrap(), sessions[1]);
        home.forget_session("3").unwrap();
        home.forget_session("1").unwrap();
        assert!(home.forget_session("1").is_err());
        assert_eq!(names(), ["2"]);
        home.forget_all().unwrap();
        assert!(names().is_empty());
        assert_eq!(home.weights().unwrap(), (robin().unwrap(), false));
        home.forget_weights().unwrap();
    }

    #[test]
    fn weights_that_are_none_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weights");
        let good = Weights::first(3).to_bytes();
        fs::write(&file, &good).unwrap();
        assert_eq!(read_weights(&file).unwrap(), Weights::first(3));
        let mut nan = good.clone();
        nan[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        for bytes in [&good[1..], &[&good[..], &[0]].concat(), &nan, &[]] {
            fs::write(&file, bytes).unwrap();
            assert!(matches!(read_weights(&file), Err(Error::Weights { .. })));
        }
    }
}
