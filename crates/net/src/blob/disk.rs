//! Files read and written at a place, by several threads at once, and folders that stay after a power cut.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::Error;
use super::error::At;
use super::tree::Node;

/// An open file that knows its name.
#[derive(Debug)]
pub(crate) struct Disk {
    file: File,
    path: PathBuf,
}

impl Disk {
    /// Makes a file anew.
    pub(crate) fn create(path: PathBuf) -> Result<Disk, Error> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        Ok(Disk { file: file.at("create", &path)?, path })
    }

    pub(crate) fn open(path: PathBuf, write: bool) -> Result<Disk, Error> {
        let file = File::options().read(true).write(write).open(&path);
        Ok(Disk { file: file.at("open", &path)?, path })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn len(&self) -> Result<u64, Error> {
        Ok(self.file.metadata().at("look at", &self.path)?.len())
    }

    pub(crate) fn set_len(&self, len: u64) -> Result<(), Error> {
        self.file.set_len(len).at("make room for", &self.path)
    }

    pub(crate) fn read_at(&self, at: u64, into: &mut [u8]) -> Result<(), Error> {
        read_exact_at(&self.file, at, into).at("read", &self.path)
    }

    pub(crate) fn write_at(&self, at: u64, bytes: &[u8]) -> Result<(), Error> {
        write_all_at(&self.file, at, bytes).at("write", &self.path)
    }

    /// Reads `count` nodes from place `first` on.
    pub(crate) fn read_nodes(&self, first: u64, count: u64) -> Result<Vec<Node>, Error> {
        let mut nodes = vec![[0; 32]; count as usize];
        self.read_at(first * 32, nodes.as_flattened_mut())?;
        Ok(nodes)
    }

    pub(crate) fn write_nodes(&self, first: u64, nodes: &[Node]) -> Result<(), Error> {
        self.write_at(first * 32, nodes.as_flattened())
    }

    /// Waits until what was written lies on the disk.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.file.sync_all().at("sync", &self.path)
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, at: u64, into: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, into, at)
}

#[cfg(unix)]
fn write_all_at(file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut at: u64, mut into: &mut [u8]) -> io::Result<()> {
    while !into.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, into, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => (at, into) = (at + n as u64, &mut into[n..]),
        }
    }
    Ok(())
}

#[cfg(windows)]
fn write_all_at(file: &File, mut at: u64, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_write(file, bytes, at)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => (at, bytes) = (at + n as u64, &bytes[n..]),
        }
    }
    Ok(())
}

/// Makes what was created, renamed or removed in a folder last. Systems without the notion do it by themselves.
pub(crate) fn sync_folder(path: &Path) -> Result<(), Error> {
    if cfg!(unix) {
        File::open(path).and_then(|folder| folder.sync_all()).at("sync", path)?;
    }
    Ok(())
}

/// Writes a small file that is there whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    let new = path.with_file_name(name);
    let disk = Disk::create(new.clone())?;
    disk.write_at(0, bytes)?;
    disk.sync()?;
    rename(&new, path)
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).at("rename", from)?;
    to.parent().map_or(Ok(()), sync_folder)
}

pub(crate) fn make_folder(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).at("create", path)
}

/// Removes a folder with what is in it; that it is not there is well.
pub(crate) fn remove_folder(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.at("remove", path),
    }
}
