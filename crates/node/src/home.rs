//! Where a node keeps what is its own.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::report::hex;

/// A node's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    folder: PathBuf,
}

impl Home {
    /// A folder, made if need be.
    pub fn open(folder: &Path) -> Result<Home> {
        fs::create_dir_all(folder).map_err(|why| Error::file("making the folder", folder, why))?;
        Ok(Home { folder: folder.to_owned() })
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The wallet and the peer key.
    pub fn keys(&self) -> PathBuf {
        self.folder.join("keys")
    }

    /// What belongs to one swarm, made if need be.
    pub fn swarm(&self, id: &[u8; 32]) -> Result<PathBuf> {
        let name = hex(&id[..8]);
        let folder = self.folder.join("swarms").join(name);
        fs::create_dir_all(&folder).map_err(|why| Error::file("making the folder", &folder, why))?;
        Ok(folder)
    }
}

/// Gives a file new content, whole or not at all.
pub(crate) fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = file.with_extension("new");
    fs::write(&new, bytes)?;
    fs::rename(&new, file)
}
