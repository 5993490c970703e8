//! Taking bytes in, hashed while they are copied, and giving them out as a file.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::disk::{Disk, remove_folder, rename, sync_folder};
use super::error::At;
use super::file::BATCH;
use super::store::Room;
use super::tree::{GROUP, MAX_SIZE, Node, Shape, hash_group, levels, raise};
use super::{Blob, Error, Root, Store};

/// Room taken in one step while the size is unknown.
const STEP: u64 = 64 << 20;
/// Nodes read or written at once while the tree is made.
const NODES: u64 = 4096;

impl Store {
    /// Takes in what a reader gives, to its end. When it returns, the blob lies on the disk.
    pub fn add(&self, mut reader: impl Read) -> Result<Arc<Blob>, Error> {
        self.take(&mut reader, Path::new("what is given"), |_| false)
    }

    /// Takes in a file. Where the file system lets files share blocks, as btrfs and XFS do, nothing is copied.
    pub fn add_file(&self, path: &Path) -> Result<Arc<Blob>, Error> {
        let file = File::open(path).at("open", path)?;
        if !file.metadata().at("look at", path)?.is_file() {
            let source = io::Error::other("it is not a file, and a blob is the bytes of one file");
            return Err(Error::Io { doing: "add", path: path.to_owned(), source });
        }
        self.take(&mut &file, path, |data| share_blocks(&file, data))
    }

    /// `shared` may make the data file a copy of what will be read.
    fn take(
        &self,
        reader: &mut dyn Read,
        from: &Path,
        shared: impl FnOnce(&File) -> bool,
    ) -> Result<Arc<Blob>, Error> {
        let (folder, mut room) = self.temp(0)?;
        let taken = (|| {
            let data = Disk::create(folder.join("data"))?;
            let copy = !shared(data.file());
            let (root, size) = take_in(&folder, &data, reader, from, copy, &mut room)?;
            data.sync()?;
            sync_folder(&folder)?;
            Ok((root, size))
        })();
        let adopted = taken.and_then(|(root, size)| self.adopt(&folder, root, size, room));
        if adopted.is_err() {
            // The first error is the one to tell.
            let _ = remove_folder(&folder);
        }
        adopted
    }
}

/// Reads to the end, writes the data unless it is there already, and the tree; says what it was.
fn take_in(
    folder: &Path,
    data: &Disk,
    reader: &mut dyn Read,
    from: &Path,
    copy: bool,
    room: &mut Room,
) -> Result<(Root, u64), Error> {
    let mut buffer = vec![0; (BATCH * GROUP) as usize];
    let mut tree: Option<Disk> = None;
    let mut nodes: Vec<Node> = Vec::new();
    let (mut size, mut kept, mut written) = (0, 0, 0);
    loop {
        let len = fill(reader, &mut buffer).at("read", from)?;
        if size + len as u64 > MAX_SIZE {
            let source = io::Error::other("it has more than 16 TiB, the most a blob may have");
            return Err(Error::Io { doing: "add", path: from.to_owned(), source });
        }
        while kept < size + len as u64 {
            kept += STEP.min((size + len as u64 - kept).max(GROUP));
            room.grow_to(kept)?;
        }
        if copy {
            data.write_at(size, &buffer[..len])?;
        }
        let first = size / GROUP;
        nodes.extend(
            buffer[..len].chunks(GROUP as usize).zip(first..).map(|(group, at)| hash_group(at, group)),
        );
        size += len as u64;
        let done = len < buffer.len();
        if done && size <= GROUP {
            return Ok((Root::of(&buffer[..len]), size));
        }
        if done || nodes.len() as u64 >= NODES {
            let tree = match &mut tree {
                Some(tree) => tree,
                none => none.insert(Disk::create(folder.join("tree"))?),
            };
            tree.write_nodes(written, &nodes)?;
            written += nodes.len() as u64;
            nodes.clear();
        }
        if done {
            break;
        }
    }
    let (Some(tree), Some(shape)) = (tree, Shape::new(size)) else { return Ok((Root::of(&[]), 0)) };
    let root = grow(&tree, shape)?;
    tree.sync()?;
    Ok((root, size))
}

/// Makes the levels above the groups, and the root.
fn grow(tree: &Disk, shape: Shape) -> Result<Root, Error> {
    let levels = levels(shape);
    let mut root = [0; 32];
    for (at, pair) in levels.windows(2).enumerate() {
        let [(from, width), (to, _)] = pair else { continue };
        let top = at + 2 == levels.len();
        let mut done = 0;
        while done < *width {
            let run = NODES.min(width - done);
            let above = raise(&tree.read_nodes(from + done, run)?, top);
            if top {
                root = above[0];
            } else {
                tree.write_nodes(to + done / 2, &above)?;
            }
            done += run;
        }
    }
    Ok(Root::new(root))
}

/// Reads until the buffer is full or there is no more.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match reader.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

/// Makes one file a copy of another that shares its blocks; says whether the file system can.
#[cfg(target_os = "linux")]
fn share_blocks(from: &File, to: &File) -> bool {
    rustix::fs::ioctl_ficlone(to, from).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn share_blocks(_: &File, _: &File) -> bool {
    false
}

impl Blob {
    /// Writes all of it to a file, which is there whole or not at all.
    pub fn copy_to(&self, path: &Path) -> Result<(), Error> {
        if !self.is_whole() {
            return Err(Error::NotHere { root: self.root() });
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let part = path.with_file_name(name);
        let copied = (|| {
            let file = Disk::create(part.clone())?;
            if !share_blocks(self.data().file(), file.file()) {
                let mut buffer = vec![0; (BATCH * GROUP) as usize];
                let mut at = 0;
                while at < self.size() {
                    let len = (self.size() - at).min(BATCH * GROUP) as usize;
                    self.read_at(at, &mut buffer[..len])?;
                    file.write_at(at, &buffer[..len])?;
                    at += len as u64;
                }
            }
            file.sync()?;
            rename(&part, path)
        })();
        if copied.is_err() {
            let _ = fs::remove_file(&part);
        }
        copied
    }
}
