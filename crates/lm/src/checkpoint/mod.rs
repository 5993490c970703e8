//! Checkpoints: everything that determines how learning goes on, safe on disk whatever happens while it is written.
//!
//! A [`Store`] is a folder:
//!
//! ```text
//! chunks/3f/3f9c…          a piece of a tensor, named by its BLAKE3 hash; one that several checkpoints have is there once
//! steps/000000000120       the manifest of the checkpoint after step 120: notes, and the hashes of all tensors' pieces
//! named/best               the manifest of a checkpoint that is to be kept
//! lock, incoming/          whose folder it is, and what is being written
//! ```
//!
//! Chunks are written, synced and put in place before the manifest that needs them, and each file is put in place by a rename: whenever
//! the process is killed, what is found later is the checkpoints that were complete. Every byte is checked when it is read.

mod error;
mod manifest;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use exact::{DType, Session};

pub use error::CheckpointError;
pub use manifest::{Content, MAX_MANIFEST_BYTES, MAX_NOTE_BYTES, MAX_NOTES, Manifest, SavedTensor};

use manifest::{CHUNK, INLINE};

type Result<T, E = CheckpointError> = std::result::Result<T, E>;

/// A folder of checkpoints, of which this process is the only user as long as it is open.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    /// Keeps other processes out; the system lets go of it however this one ends.
    _lock: File,
}

/// A checkpoint that is being saved.
#[derive(Debug)]
pub struct Saving<'a> {
    store: &'a Store,
    manifest: Manifest,
    /// Chunks that are written and not yet in place.
    incoming: BTreeSet<[u8; 32]>,
}

/// A checkpoint that was found, its manifest checked. Its tensors are checked when they are read.
#[derive(Debug)]
pub struct Checkpoint<'a> {
    store: &'a Store,
    manifest: Manifest,
}

impl Store {
    /// Opens a folder of checkpoints, or makes one.
    pub fn open(folder: &Path) -> Result<Store> {
        for part in ["chunks", "steps", "named", "incoming"] {
            let path = folder.join(part);
            fs::create_dir_all(&path).map_err(CheckpointError::file("making the folder", &path))?;
        }
        let path = folder.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(CheckpointError::file("opening", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(CheckpointError::InUse { path: folder.to_owned() }),
            Err(TryLockError::Error(source)) => {
                return Err(CheckpointError::File { doing: "locking", path, source });
            }
        }
        // What a process that was killed had begun to write.
        let store = Store { folder: folder.to_owned(), _lock: lock };
        for path in list(&folder.join("incoming"))? {
            remove(&path)?;
        }
        Ok(store)
    }

    /// Begins to save the checkpoint after this many steps. Nothing is there before [`Saving::finish`].
    pub fn save(&self, step: u64) -> Saving<'_> {
        Saving { store: self, manifest: Manifest { step, ..Manifest::default() }, incoming: BTreeSet::new() }
    }

    /// The steps that there are checkpoints of, rising.
    pub fn steps(&self) -> Result<Vec<u64>> {
        let step = |path: &PathBuf| path.file_name()?.to_str()?.parse().ok();
        let mut steps: Vec<u64> = list(&self.folder.join("steps"))?.iter().filter_map(step).collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// The checkpoint after this many steps.
    pub fn load(&self, step: u64) -> Result<Checkpoint<'_>> {
        self.manifest(&self.of_step(step), &format!("of step {step}"))
    }

    /// The checkpoint of this name.
    pub fn load_named(&self, name: &str) -> Result<Checkpoint<'_>> {
        self.manifest(&self.of_name(name)?, &format!("{name:?}"))
    }

    /// Goes on from the last checkpoint that `restore` can take up, whole and unharmed; gives it, and what was wrong with later ones.
    ///
    /// `None` if there is none at all; the last one's error if there are some and none can be taken up.
    pub fn resume<E: From<CheckpointError>>(
        &self,
        mut restore: impl FnMut(&Checkpoint<'_>) -> Result<(), E>,
    ) -> Result<Option<(Checkpoint<'_>, Vec<E>)>, E> {
        let mut failed = Vec::new();
        for step in self.steps()?.into_iter().rev() {
            let taken = self.load(step).map_err(E::from).and_then(|found| restore(&found).map(|()| found));
            match taken {
                Ok(found) => return Ok(Some((found, failed))),
                Err(why) => failed.push(why),
            }
        }
        if failed.is_empty() { Ok(None) } else { Err(failed.swap_remove(0)) }
    }

    /// Keeps a checkpoint under a name, whatever becomes of its step.
    pub fn keep(&self, step: u64, name: &str) -> Result<()> {
        let found = self.load(step)?;
        self.put(&self.of_name(name)?, &found.manifest.encode())
    }

    /// Removes a name.
    pub fn forget(&self, name: &str) -> Result<()> {
        remove(&self.of_name(name)?)
    }

    /// Removes all checkpoints but the last `last` and those with names, and every chunk that none of these needs.
    ///
    /// Gives how many bytes that freed. A damaged manifest is left alone, and then so are all chunks: it may be mended.
    pub fn collect(&self, last: usize) -> Result<u64> {
        let steps = self.steps()?;
        let mut freed = 0;
        for step in &steps[..steps.len().saturating_sub(last)] {
            let path = self.of_step(*step);
            freed += size(&path);
            remove(&path)?;
        }
        let mut needed: BTreeSet<String> = BTreeSet::new();
        for folder in ["steps", "named"] {
            for path in list(&self.folder.join(folder))? {
                let Ok(found) = self.manifest(&path, "") else { return Ok(freed) };
                needed.extend(found.manifest.chunks().map(hex));
            }
        }
        for folder in list(&self.folder.join("chunks"))? {
            for path in list(&folder)? {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if !needed.contains(name) {
                    freed += size(&path);
                    remove(&path)?;
                }
            }
        }
        Ok(freed)
    }

    fn manifest(&self, path: &Path, name: &str) -> Result<Checkpoint<'_>> {
        let bytes = match read(path, MAX_MANIFEST_BYTES) {
            Err(CheckpointError::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Err(CheckpointError::Missing { name: name.to_owned(), path: self.folder.clone() });
            }
            bytes => bytes?,
        };
        let damaged = |why| CheckpointError::Damaged { path: path.to_owned(), why };
        let manifest = Manifest::decode(&bytes).map_err(damaged)?;
        Ok(Checkpoint { store: self, manifest })
    }

    fn of_step(&self, step: u64) -> PathBuf {
        self.folder.join("steps").join(format!("{step:012}"))
    }

    fn of_name(&self, name: &str) -> Result<PathBuf> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err(CheckpointError::Name { name: name.chars().take(80).collect() });
        }
        Ok(self.folder.join("named").join(name))
    }

    fn chunk(&self, hash: &[u8; 32]) -> PathBuf {
        let name = hex(hash);
        self.folder.join("chunks").join(&name[..2]).join(name)
    }

    /// Writes a file so that it is there whole or not at all.
    fn put(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let name = path.file_name().unwrap_or_default();
        let incoming = self.folder.join("incoming").join(name);
        write(&incoming, bytes)?;
        sync(&incoming)?;
        fs::rename(&incoming, path).map_err(CheckpointError::file("putting in place", path))?;
        sync_folder(path.parent().unwrap_or(&self.folder))
    }
}

impl Saving<'_> {
    /// Adds a note: anything that determines what follows and is no tensor.
    pub fn note(&mut self, name: &str, note: &[u8]) {
        self.manifest.notes.push((name.to_owned(), note.to_vec()));
    }

    /// Adds a tensor of numbers.
    pub fn numbers(&mut self, name: &str, dims: &[usize], numbers: &[f32]) -> Result<()> {
        self.words(name, false, dims, numbers.len(), numbers.iter().map(|x| x.to_bits()))
    }

    /// Adds a tensor of integers.
    pub fn integers(&mut self, name: &str, dims: &[usize], integers: &[u32]) -> Result<()> {
        self.words(name, true, dims, integers.len(), integers.iter().copied())
    }

    /// Adds every state of these sessions' programs; one that several share is there once.
    pub fn states(&mut self, sessions: &[&Session]) -> Result<(), crate::Error> {
        let mut had = BTreeSet::new();
        for session in sessions {
            for (name, ty) in session.program().states().filter(|(name, _)| had.insert(name.to_owned())) {
                let dims = ty.shape.to_vec();
                match ty.dtype {
                    DType::F32 => self.numbers(name, &dims, &session.read::<f32>(name)?)?,
                    DType::U32 => self.integers(name, &dims, &session.read::<u32>(name)?)?,
                }
            }
        }
        Ok(())
    }

    /// Makes it a checkpoint, safe on disk; gives its hash.
    pub fn finish(self) -> Result<[u8; 32]> {
        self.manifest.check().map_err(|why| CheckpointError::Unfit { why })?;
        let bytes = self.manifest.encode();
        if bytes.len() > MAX_MANIFEST_BYTES {
            let why = format!("its manifest has {} bytes and may have {MAX_MANIFEST_BYTES}", bytes.len());
            return Err(CheckpointError::Unfit { why });
        }
        // All chunks first, so that the system can write them in one go; what needs them last.
        let incoming = |hash| self.store.folder.join("incoming").join(hex(hash));
        self.incoming.iter().try_for_each(|hash| sync(&incoming(hash)))?;
        let mut folders = BTreeSet::new();
        for hash in &self.incoming {
            let path = self.store.chunk(hash);
            fs::rename(incoming(hash), &path).map_err(CheckpointError::file("putting in place", &path))?;
            folders.extend(path.parent().map(Path::to_owned));
        }
        folders.iter().try_for_each(|folder| sync_folder(folder))?;
        self.store.put(&self.store.of_step(self.manifest.step), &bytes)?;
        Ok(self.manifest.hash())
    }

    fn words(
        &mut self,
        name: &str,
        integers: bool,
        dims: &[usize],
        count: usize,
        words: impl Iterator<Item = u32>,
    ) -> Result<()> {
        if dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d)) != Some(count) {
            let why = format!("the tensor {name:?} has {count} elements and not the shape {dims:?}");
            return Err(CheckpointError::Unfit { why });
        }
        let mut bytes = Vec::with_capacity(CHUNK.min(4 * count));
        let mut chunks = Vec::new();
        for word in words {
            bytes.extend_from_slice(&word.to_le_bytes());
            if bytes.len() == CHUNK {
                chunks.push(self.chunk(&bytes)?);
                bytes.clear();
            }
        }
        let content = if 4 * count <= INLINE {
            Content::Here(bytes)
        } else {
            if !bytes.is_empty() {
                chunks.push(self.chunk(&bytes)?);
            }
            Content::Chunks(chunks)
        };
        let dims = dims.iter().map(|d| *d as u64).collect();
        self.manifest.tensors.push(SavedTensor { name: name.to_owned(), integers, dims, content });
        Ok(())
    }

    /// Writes a chunk, if it is not there yet.
    fn chunk(&mut self, bytes: &[u8]) -> Result<[u8; 32]> {
        let hash = *blake3::hash(bytes).as_bytes();
        let path = self.store.chunk(&hash);
        // One that is there and damaged is written anew.
        let there = || read(&path, CHUNK).is_ok_and(|there| there == bytes);
        if !self.incoming.contains(&hash) && !there() {
            let folder = path.parent().unwrap_or(&self.store.folder);
            if !folder.is_dir() {
                fs::create_dir_all(folder).map_err(CheckpointError::file("making the folder", folder))?;
                sync_folder(&self.store.folder.join("chunks"))?;
            }
            write(&self.store.folder.join("incoming").join(hex(&hash)), bytes)?;
            self.incoming.insert(hash);
        }
        Ok(hash)
    }
}

impl Checkpoint<'_> {
    /// How many steps were made before it.
    pub fn step(&self) -> u64 {
        self.manifest.step
    }

    /// Its content hash.
    pub fn hash(&self) -> [u8; 32] {
        self.manifest.hash()
    }

    /// What it consists of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// A note of it.
    pub fn note(&self, name: &str) -> Result<&[u8]> {
        let note = self.manifest.notes.iter().find(|(other, _)| other == name);
        note.map(|(_, note)| note.as_slice()).ok_or_else(|| self.differs(format!("has no note {name:?}")))
    }

    /// The numbers of a tensor of it.
    pub fn numbers(&self, name: &str) -> Result<Vec<f32>> {
        Ok(self.words(self.tensor(name, false)?)?.into_iter().map(f32::from_bits).collect())
    }

    /// The integers of a tensor of it.
    pub fn integers(&self, name: &str) -> Result<Vec<u32>> {
        self.words(self.tensor(name, true)?)
    }

    /// Gives every state of these sessions' programs the value it had. It must have been saved with exactly these states.
    ///
    /// Nothing is written before all tensors were found to be there and of the right shape; a damaged one is found only when it is read.
    pub fn restore(&self, sessions: &mut [&mut Session]) -> Result<(), crate::Error> {
        let mut states: BTreeMap<String, (usize, exact::Type)> = BTreeMap::new();
        for (i, session) in sessions.iter().enumerate() {
            states.extend(session.program().states().map(|(name, ty)| (name.to_owned(), (i, ty))));
        }
        if let Some(tensor) = self.manifest.tensors.iter().find(|t| !states.contains_key(&t.name)) {
            return Err(self.differs(format!("has a tensor {:?} that nothing asks for", tensor.name)).into());
        }
        for (name, (_, ty)) in &states {
            let tensor = self.tensor(name, ty.dtype == DType::U32)?;
            if !ty.shape.iter().map(|d| d as u64).eq(tensor.dims.iter().copied()) {
                let why = format!("has a tensor {name:?} of shape {:?}, not {ty}", tensor.dims);
                return Err(self.differs(why).into());
            }
        }
        for (name, (i, ty)) in &states {
            match ty.dtype {
                DType::F32 => sessions[*i].write(name, &self.numbers(name)?)?,
                DType::U32 => sessions[*i].write(name, &self.integers(name)?)?,
            }
        }
        Ok(())
    }

    /// Reads and checks every byte of it.
    pub fn verify(&self) -> Result<()> {
        self.manifest.tensors.iter().try_for_each(|tensor| self.words(tensor).map(drop))
    }

    fn tensor(&self, name: &str, integers: bool) -> Result<&SavedTensor> {
        let fits = |t: &&SavedTensor| t.name == name && t.integers == integers;
        let lacks = || self.differs(format!("has no tensor {name:?} of that type"));
        self.manifest.tensors.iter().find(fits).ok_or_else(lacks)
    }

    fn words(&self, tensor: &SavedTensor) -> Result<Vec<u32>> {
        let mut bytes = Vec::new();
        match &tensor.content {
            Content::Here(here) => bytes.extend_from_slice(here),
            Content::Chunks(chunks) => {
                let mut left = tensor.bytes();
                for hash in chunks {
                    let path = self.store.chunk(hash);
                    let damaged =
                        |why: &str| Err(CheckpointError::Damaged { path: path.clone(), why: why.to_owned() });
                    if !path.exists() {
                        return damaged("it is gone");
                    }
                    let part = read(&path, CHUNK)?;
                    if part.len() != left.min(CHUNK) {
                        return damaged("it is not as long as it was");
                    }
                    if blake3::hash(&part) != *hash {
                        return damaged("its content is not what its name says");
                    }
                    left -= part.len();
                    bytes.extend_from_slice(&part);
                }
            }
        }
        Ok(bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }

    fn differs(&self, why: String) -> CheckpointError {
        CheckpointError::Differs { step: self.manifest.step, why }
    }
}

fn hex(hash: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*hash).to_hex().to_string()
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let about = || CheckpointError::file("reading the folder", folder);
    let entries = fs::read_dir(folder).map_err(about())?;
    let mut paths = entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>().map_err(about())?;
    paths.sort();
    Ok(paths)
}

/// A file's bytes, if they are not too many.
fn read(path: &Path, limit: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(CheckpointError::file("opening", path))?;
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(CheckpointError::file("reading", path))?;
    if bytes.len() > limit {
        let why = format!("it has more than {limit} bytes");
        return Err(CheckpointError::Damaged { path: path.to_owned(), why });
    }
    Ok(bytes)
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create(path).map_err(CheckpointError::file("making", path))?;
    file.write_all(bytes).map_err(CheckpointError::file("writing", path))
}

fn sync(path: &Path) -> Result<()> {
    let file = File::options().write(true).open(path).map_err(CheckpointError::file("opening", path))?;
    file.sync_all().map_err(CheckpointError::file("syncing", path))
}

/// So that names put in place are there after a power cut, too. Only Unix has, and needs, such a thing.
fn sync_folder(path: &Path) -> Result<()> {
    if cfg!(unix) {
        let folder = File::open(path).map_err(CheckpointError::file("opening", path))?;
        folder.sync_all().map_err(CheckpointError::file("syncing", path))?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).map_err(CheckpointError::file("removing", path))
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}
