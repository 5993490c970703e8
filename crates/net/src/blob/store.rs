//! A folder of blobs.
//!
//! ```text
//! lock               one process at a time
//! blobs/ROOT/        whole blobs: `data`, and `tree` for those of more than one group
//! partial/ROOT/      those that are arriving: the same and `marks`
//! pins/NAME          roots that stay
//! temp/              what is being written or removed; emptied when the store is opened
//! ```
//!
//! A blob becomes whole, and goes, by one rename of its folder. There is no index beside the files that could say
//! something else than they do; when a blob was last used is the time of its data file.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use tokio::sync::mpsc;

use super::disk::{make_folder, remove_folder, rename, sync_folder, write_whole};
use super::error::At;
use super::file::{read_marks, write_marks};
use super::tree::Shape;
use super::{Blob, Error, Root};

/// Blobs on this machine's disk, within a limit. Clones are the same store.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) dir: PathBuf,
    limit_bytes: u64,
    /// Held as long as the store is open.
    _lock: File,
    state: Mutex<State>,
    /// Held while a partial blob is opened or becomes whole. Taken before `state`, never after it.
    opening: Mutex<()>,
}

#[derive(Debug)]
struct State {
    blobs: HashMap<Root, Entry>,
    /// Bytes of all entries, and those promised to what is being written.
    used: u64,
    pins: BTreeMap<String, Root>,
    /// Numbers the folders in `temp`.
    temps: u64,
    /// Those who are told of what is removed.
    watchers: Vec<mpsc::UnboundedSender<Root>>,
}

#[derive(Debug)]
struct Entry {
    size: u64,
    whole: bool,
    used: SystemTime,
    open: Weak<Blob>,
}

/// What a store has of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub root: Root,
    /// How many bytes it has.
    pub size: u64,
    /// How many of them are here. Those of a partial blob are checked only when it is opened.
    pub present: u64,
    /// The pins that hold it.
    pub pins: Vec<String>,
    /// When it was last used.
    pub used: SystemTime,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// How many blobs.
    pub blobs: u64,
    /// How many bytes they took.
    pub bytes: u64,
}

/// Bytes of a blob's data and tree. Sparse or not, a partial blob counts as if it were whole: it will be.
fn cost(size: u64) -> u64 {
    size + Shape::new(size).map_or(0, |shape| shape.nodes() * 32)
}

/// Room that is promised to something being written, until it is an entry or was given up.
#[derive(Debug)]
pub(crate) struct Room {
    inner: Arc<Inner>,
    bytes: u64,
}

impl Room {
    /// Makes it larger, evicting what may go.
    pub(crate) fn grow_to(&mut self, bytes: u64) -> Result<(), Error> {
        let more = bytes.saturating_sub(self.bytes);
        self.inner.make_room(&mut self.inner.state(), more)?;
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.inner.state().used -= self.bytes;
    }
}

impl Store {
    /// Opens the store in a folder, which is made if need be. `limit_bytes` is the most that it may take on the disk.
    pub fn open(dir: &Path, limit_bytes: u64) -> Result<Store, Error> {
        make_folder(dir)?;
        let path = dir.join("lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&path).at("open", &path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse { path: dir.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(error).at("lock", &path),
        }
        remove_folder(&dir.join("temp"))?;
        for folder in ["blobs", "partial", "pins", "temp"] {
            make_folder(&dir.join(folder))?;
        }
        let state =
            State { blobs: HashMap::new(), used: 0, pins: BTreeMap::new(), temps: 0, watchers: Vec::new() };
        let inner = Inner {
            dir: dir.to_owned(),
            limit_bytes,
            _lock: lock,
            state: Mutex::new(state),
            opening: Mutex::new(()),
        };
        inner.look()?;
        Ok(Store { inner: Arc::new(inner) })
    }

    /// A whole blob, open.
    pub fn blob(&self, root: Root) -> Result<Arc<Blob>, Error> {
        self.inner.open(root)?.filter(|blob| blob.is_whole()).ok_or(Error::NotHere { root })
    }

    /// A blob, whole or not, if any of it is here.
    pub fn find(&self, root: Root) -> Result<Option<Arc<Blob>>, Error> {
        self.inner.open(root)
    }

    /// The folder it lies in.
    pub fn folder(&self) -> &Path {
        &self.inner.dir
    }

    /// Everything that is here, by root.
    pub fn list(&self) -> Vec<Listed> {
        let state = self.inner.state();
        let listed = |(root, entry): (&Root, &Entry)| Listed {
            root: *root,
            size: entry.size,
            present: match entry.open.upgrade() {
                Some(blob) => blob.present(),
                None if entry.whole => entry.size,
                None => read_marks(&self.inner.partial(*root), *root)
                    .map_or(0, |(_, marks)| (marks.count() * super::tree::GROUP).min(entry.size)),
            },
            pins: state
                .pins
                .iter()
                .filter(|(_, pinned)| *pinned == root)
                .map(|(name, _)| name.clone())
                .collect(),
            used: entry.used,
        };
        let mut all: Vec<Listed> = state.blobs.iter().map(listed).collect();
        all.sort_by_key(|listed| listed.root);
        all
    }

    /// Bytes that the store takes on the disk, and the most it may.
    pub fn usage(&self) -> (u64, u64) {
        (self.inner.state().used, self.inner.limit_bytes)
    }

    /// Keeps a blob, also one still to come, from being evicted. A name pins one root: the last it was given.
    pub fn pin(&self, name: &str, root: Root) -> Result<(), Error> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 100 || name.starts_with('.') || !name.chars().all(fits) {
            return Err(Error::NotAName { name: name.chars().take(100).collect() });
        }
        let mut state = self.inner.state();
        write_whole(&self.inner.dir.join("pins").join(name), root.to_string().as_bytes())?;
        state.pins.insert(name.to_owned(), root);
        Ok(())
    }

    /// Takes a pin away; says whether there was one.
    pub fn unpin(&self, name: &str) -> Result<bool, Error> {
        let mut state = self.inner.state();
        if state.pins.remove(name).is_none() {
            return Ok(false);
        }
        let path = self.inner.dir.join("pins").join(name);
        fs::remove_file(&path).at("remove", &path)?;
        Ok(true)
    }

    /// The pins and what they hold.
    pub fn pins(&self) -> BTreeMap<String, Root> {
        self.inner.state().pins.clone()
    }

    /// Removes what is neither pinned nor in use, the least recently used first, until at most `keep_bytes` are taken.
    pub fn gc(&self, keep_bytes: u64) -> Result<Removed, Error> {
        let mut state = self.inner.state();
        let mut removed = Removed::default();
        while state.used > keep_bytes {
            let Some(bytes) = self.inner.evict(&mut state)? else { break };
            removed.blobs += 1;
            removed.bytes += bytes;
        }
        Ok(removed)
    }

    /// Reads a whole blob and checks every byte of it. A damaged one becomes partial: its wrong groups are dropped.
    pub fn verify(&self, root: Root) -> Result<(), Error> {
        let blob = self.blob(root)?;
        let groups = blob.shape().groups();
        let (good, _) = blob.check(|_| true)?;
        if good.is_full() {
            return Ok(());
        }
        let folder = self.inner.whole(root);
        write_marks(&folder, blob.shape(), &good)?;
        let mut state = self.inner.state();
        rename(&folder, &self.inner.partial(root))?;
        if let Some(entry) = state.blobs.get_mut(&root) {
            entry.whole = false;
            entry.open = Weak::new();
        }
        Err(Error::Damaged { root, bad: groups - good.count(), groups })
    }

    /// Whether any of a blob is here.
    pub(crate) fn knows(&self, root: Root) -> bool {
        self.inner.state().blobs.contains_key(&root)
    }

    /// Tells from now on what is removed. As many roots may wait as there are blobs.
    pub(crate) fn removals(&self) -> mpsc::UnboundedReceiver<Root> {
        let (watcher, removals) = mpsc::unbounded_channel();
        self.inner.state().watchers.push(watcher);
        removals
    }

    /// Opens a partial blob to fill it, or begins one of this size; a whole one is given as it is.
    pub(crate) fn begin(&self, root: Root, shape: Shape) -> Result<Arc<Blob>, Error> {
        loop {
            if let Some(blob) = self.inner.open(root)? {
                return Ok(blob);
            }
            let mut state = self.inner.state();
            // Somebody else began it just now.
            if state.blobs.contains_key(&root) {
                continue;
            }
            let size = shape.size();
            self.inner.make_room(&mut state, cost(size))?;
            let folder = self.inner.partial(root);
            return match make_folder(&folder).and_then(|()| Blob::create(&folder, root, shape)) {
                Ok(blob) => {
                    let blob = Arc::new(blob);
                    let open = Arc::downgrade(&blob);
                    state.blobs.insert(root, Entry { size, whole: false, used: SystemTime::now(), open });
                    Ok(blob)
                }
                Err(error) => {
                    state.used -= cost(size);
                    let _ = remove_folder(&folder);
                    Err(error)
                }
            };
        }
    }

    /// Makes a blob of which everything has arrived lie on the disk as a whole one.
    pub(crate) fn finish(&self, blob: &Blob) -> Result<(), Error> {
        let root = blob.root();
        if !blob.is_whole() {
            return Err(Error::NotHere { root });
        }
        let _one = self.inner.opening.lock().unwrap_or_else(PoisonError::into_inner);
        let (from, to) = (self.inner.partial(root), self.inner.whole(root));
        if !from.exists() {
            return Ok(());
        }
        blob.sync()?;
        sync_folder(&from)?;
        let mut state = self.inner.state();
        if to.exists() {
            remove_folder(&from)?;
        } else if from.exists() {
            rename(&from, &to)?;
        }
        blob.set_whole();
        if let Some(entry) = state.blobs.get_mut(&root) {
            entry.whole = true;
            entry.used = SystemTime::now();
        }
        drop(state);
        let marks = to.join("marks");
        if marks.exists() { fs::remove_file(&marks).at("remove", &marks) } else { Ok(()) }
    }

    /// Takes in a folder with a blob's `data` and `tree`, for which there is room.
    pub(crate) fn adopt(
        &self,
        folder: &Path,
        root: Root,
        size: u64,
        mut room: Room,
    ) -> Result<Arc<Blob>, Error> {
        room.grow_to(cost(size))?;
        let mut state = self.inner.state();
        if state.blobs.get(&root).is_some_and(|entry| entry.whole) {
            drop(state);
            remove_folder(folder)?;
            drop(room);
            return self.blob(root);
        }
        rename(folder, &self.inner.whole(root))?;
        // Some of it may have been arriving; who still writes there writes into files without a name.
        remove_folder(&self.inner.partial(root))?;
        let blob = Arc::new(Blob::open_whole(&self.inner.whole(root), root, size)?);
        let entry = Entry { size, whole: true, used: SystemTime::now(), open: Arc::downgrade(&blob) };
        if state.blobs.insert(root, entry).is_none() {
            state.used += cost(size);
        }
        drop(state);
        Ok(blob)
    }

    /// An empty folder to write in, and the room for it.
    pub(crate) fn temp(&self, bytes: u64) -> Result<(PathBuf, Room), Error> {
        let mut state = self.inner.state();
        self.inner.make_room(&mut state, bytes)?;
        let folder = self.inner.temp(&mut state);
        drop(state);
        let room = Room { inner: self.inner.clone(), bytes };
        make_folder(&folder)?;
        Ok((folder, room))
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn whole(&self, root: Root) -> PathBuf {
        self.dir.join("blobs").join(root.to_string())
    }

    fn partial(&self, root: Root) -> PathBuf {
        self.dir.join("partial").join(root.to_string())
    }

    fn temp(&self, state: &mut State) -> PathBuf {
        state.temps += 1;
        self.dir.join("temp").join(state.temps.to_string())
    }

    /// Finds out what there is. What cannot be a blob any more is removed.
    fn look(&self) -> Result<(), Error> {
        let mut state = self.state();
        for (folder, whole) in [("blobs", true), ("partial", false)] {
            for (name, path) in entries(&self.dir.join(folder))? {
                let Ok(root) = name.parse::<Root>() else { continue };
                let data = path.join("data");
                let found = fs::metadata(&data).at("look at", &data).and_then(|meta| {
                    if !whole {
                        read_marks(&path, root)?;
                    }
                    Ok((meta.len(), meta.modified().at("look at", &data)?))
                });
                match found {
                    // A blob that became whole twice: the whole one is kept.
                    Ok(_) if state.blobs.contains_key(&root) => remove_folder(&path)?,
                    Ok((size, used)) => {
                        state.blobs.insert(root, Entry { size, whole, used, open: Weak::new() });
                        state.used += cost(size);
                    }
                    // Killed while it began, before it had anything.
                    Err(_) => remove_folder(&path)?,
                }
            }
        }
        for (name, path) in entries(&self.dir.join("pins"))? {
            // One that was being written when the process ended.
            if name.starts_with('.') {
                continue;
            }
            let text = fs::read_to_string(&path).at("read", &path)?;
            if let Ok(root) = text.trim().parse() {
                state.pins.insert(name, root);
            }
        }
        Ok(())
    }

    fn open(&self, root: Root) -> Result<Option<Arc<Blob>>, Error> {
        if let Some(blob) = self.open_whole(root)? {
            return Ok(Some(blob));
        }
        // What is partial is checked while it is opened, which may take long: the store goes on meanwhile, and those who
        // want the same blob wait here.
        let _one = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(blob) = self.open_whole(root)? {
            return Ok(Some(blob));
        }
        if !self.state().blobs.contains_key(&root) {
            return Ok(None);
        }
        let resumed = Blob::resume(&self.partial(root), root);
        let mut state = self.state();
        if state.blobs.get(&root).is_none_or(|entry| entry.whole) {
            // Evicted, or whole by another way: the second is found the next time.
            return Ok(None);
        }
        self.opened(&mut state, root, resumed)
    }

    /// What is open already, or whole.
    fn open_whole(&self, root: Root) -> Result<Option<Arc<Blob>>, Error> {
        let mut state = self.state();
        let Some(entry) = state.blobs.get_mut(&root) else { return Ok(None) };
        entry.used = SystemTime::now();
        if let Some(blob) = entry.open.upgrade() {
            return Ok(Some(blob));
        }
        if !entry.whole {
            return Ok(None);
        }
        let opened = Blob::open_whole(&self.whole(root), root, entry.size);
        if let Ok(blob) = &opened {
            // That the time of last use cannot be noted is no reason not to use it.
            let _ = blob.data().file().set_modified(entry.used);
        }
        self.opened(&mut state, root, opened)
    }

    /// Notes that an entry is open now. One that turned out to be damaged is removed.
    fn opened(
        &self,
        state: &mut State,
        root: Root,
        opened: Result<Blob, Error>,
    ) -> Result<Option<Arc<Blob>>, Error> {
        match opened {
            Ok(blob) => {
                let blob = Arc::new(blob);
                if let Some(entry) = state.blobs.get_mut(&root) {
                    entry.open = Arc::downgrade(&blob);
                }
                Ok(Some(blob))
            }
            Err(Error::Damaged { .. }) => {
                self.remove(state, root)?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Takes `bytes` of the limit, for which it evicts what may go.
    fn make_room(&self, state: &mut State, bytes: u64) -> Result<(), Error> {
        let fits = |state: &State| state.used.checked_add(bytes).is_some_and(|sum| sum <= self.limit_bytes);
        // What can never fit evicts nothing.
        let kept = State::kept(state);
        if kept.saturating_add(bytes) > self.limit_bytes {
            return Err(Error::Quota { need: bytes, limit: self.limit_bytes, kept });
        }
        while !fits(state) {
            if self.evict(state)?.is_none() {
                return Err(Error::Quota { need: bytes, limit: self.limit_bytes, kept: state.used });
            }
        }
        state.used += bytes;
        Ok(())
    }

    /// Removes the least recently used blob that may go, and says how much it took.
    fn evict(&self, state: &mut State) -> Result<Option<u64>, Error> {
        let may_go = state.blobs.iter().filter(|(root, entry)| state.may_go(root, entry));
        let Some((root, size)) =
            may_go.min_by_key(|(root, entry)| (entry.used, **root)).map(|(root, entry)| (*root, entry.size))
        else {
            return Ok(None);
        };
        self.remove(state, root)?;
        Ok(Some(cost(size)))
    }

    fn remove(&self, state: &mut State, root: Root) -> Result<(), Error> {
        let Some(entry) = state.blobs.remove(&root) else { return Ok(()) };
        state.used -= cost(entry.size);
        state.watchers.retain(|watcher| watcher.send(root).is_ok());
        let folder = if entry.whole { self.whole(root) } else { self.partial(root) };
        // One step takes it out of the store, however many files it is.
        let temp = self.temp(state);
        rename(&folder, &temp)?;
        remove_folder(&temp)
    }
}

impl State {
    fn may_go(&self, root: &Root, entry: &Entry) -> bool {
        entry.open.strong_count() == 0 && !self.pins.values().any(|pinned| pinned == root)
    }

    /// Bytes that no eviction can free.
    fn kept(&self) -> u64 {
        let gone: u64 = self
            .blobs
            .iter()
            .filter(|(root, entry)| self.may_go(root, entry))
            .map(|(_, e)| cost(e.size))
            .sum();
        self.used - gone
    }
}

fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).at("read", folder)? {
        let entry = entry.at("read", folder)?;
        if let Ok(name) = entry.file_name().into_string() {
            all.push((name, entry.path()));
        }
    }
    Ok(all)
}
