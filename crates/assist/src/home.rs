//! What is kept of one player on this machine: sessions, and what was learned from them. Nothing of it leaves the machine by itself.

use std::fs;
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

    /// Takes a recording in that was made elsewhere.
    pub fn keep(&self, name: &str, recording: &Recording) -> Result<(), Error> {
        recording.save(&self.folder.join("sessions").join(format!("{name}{ENDING}")))
    }

    fn own_weights(&self) -> PathBuf {
        self.folder.join("weights.bin")
    }

    /// The player's own weights, or those that ship; and whether they are the player's own.
    pub fn weights(&self) -> Result<(Weights, bool), Error> {
        let path = self.own_weights();
        match fs::read(&path) {
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
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => Err(Error::file("forgetting", &path, why)),
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

/// A session's name: its file's, without the ending.
pub fn name_of(path: &Path) -> String {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    name.strip_suffix(ENDING).map_or(name.clone(), str::to_owned)
}

/// The sessions in a folder, the oldest first by their names.
pub fn sessions_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = fs::read_dir(folder).map_err(|why| Error::file("looking into", folder, why))?;
    let mut all = Vec::new();
    for entry in entries {
        let path = entry.map_err(|why| Error::file("looking into", folder, why))?.path();
        if path.to_string_lossy().ends_with(ENDING) {
            all.push(path);
        }
    }
    all.sort();
    let first = all.len().saturating_sub(MOST_SESSIONS);
    Ok(all.split_off(first))
}
