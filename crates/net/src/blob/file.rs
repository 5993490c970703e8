//! One blob on the disk, whole or in part.
//!
//! Whatever is counted as there was checked against the root first. A partial blob keeps marks of what it has; they are
//! written after the bytes, and after a restart each marked group is read and checked again, so a process killed or a
//! machine switched off at any moment never leaves a wrong byte that counts.

use std::ops::Range;
use std::path::Path;
use std::sync::RwLock;

use tokio::sync::watch;

use super::bits::Bits;
use super::disk::{Disk, write_whole};
use super::tree::{GROUP, Node, PART_GROUPS, Proved, Shape};
use super::{Error, Root};

/// An open blob.
#[derive(Debug)]
pub struct Blob {
    root: Root,
    shape: Shape,
    data: Disk,
    tree: Option<Disk>,
    have: RwLock<Have>,
    /// Counts changes of `have`, for those who wait for them.
    changed: watch::Sender<u64>,
}

/// What of a blob is there.
#[derive(Debug)]
enum Have {
    All,
    Some {
        groups: Bits,
        /// Parts whose proof lies in the tree.
        proofs: Bits,
        marks: Disk,
    },
}

/// Why given bytes were not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// They are not the blob's.
    Lie,
    /// They could not be stored.
    Store(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        Refused::Store(error)
    }
}

/// Bytes before the marks: who we are, and the blob's size.
const MARKS_AT: u64 = 16;
const MARKS: &[u8; 8] = b"blobpart";

impl Blob {
    /// Its name.
    pub fn root(&self) -> Root {
        self.root
    }

    /// How many bytes it has.
    pub fn size(&self) -> u64 {
        self.shape.size()
    }

    /// How many of its bytes are here.
    pub fn present(&self) -> u64 {
        let Have::Some { groups, .. } = &*self.read() else { return self.size() };
        let last = self.shape.groups() - 1;
        let lacks = if groups.get(last) { GROUP - self.shape.len_of(last) as u64 } else { 0 };
        groups.count() * GROUP - lacks
    }

    /// Whether all of it is here.
    pub fn is_whole(&self) -> bool {
        match &*self.read() {
            Have::All => true,
            Have::Some { groups, .. } => groups.is_full(),
        }
    }

    /// Reads bytes that are here.
    pub fn read_at(&self, at: u64, into: &mut [u8]) -> Result<(), Error> {
        let bytes = at..at.saturating_add(into.len() as u64);
        if bytes.end > self.size() || !self.has(self.shape.groups_of(bytes)) {
            return Err(Error::NotHere { root: self.root });
        }
        self.data.read_at(at, into)
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    pub(crate) fn has(&self, groups: Range<u64>) -> bool {
        self.first_gap(groups).is_none()
    }

    /// The first group of a range that is missing.
    pub(crate) fn first_gap(&self, groups: Range<u64>) -> Option<u64> {
        match &*self.read() {
            Have::All => None,
            Have::Some { groups: have, .. } => have.first_gap(groups),
        }
    }

    /// From the first to the last missing group of a range.
    pub(crate) fn gap(&self, groups: Range<u64>) -> Option<Range<u64>> {
        match &*self.read() {
            Have::All => None,
            Have::Some { groups: have, .. } => {
                Some(have.first_gap(groups.clone())?..have.last_gap(groups)? + 1)
            }
        }
    }

    /// The parts that are here whole; `None` means all.
    pub(crate) fn parts(&self) -> Option<Bits> {
        let Have::Some { groups, .. } = &*self.read() else { return None };
        let mut parts = Bits::none(self.shape.parts());
        for part in 0..self.shape.parts() {
            if groups.first_gap(self.shape.groups_of_part(part)).is_none() {
                parts.set(part);
            }
        }
        Some(parts)
    }

    /// Told whenever more is here.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The proof of a part, if it is here.
    pub(crate) fn proof(&self, part: u64) -> Result<Option<Vec<Node>>, Error> {
        if let Have::Some { proofs, .. } = &*self.read()
            && !proofs.get(part)
        {
            return Ok(None);
        }
        self.read_proof(part).map(Some)
    }

    fn read_proof(&self, part: u64) -> Result<Vec<Node>, Error> {
        let mut proof = Vec::with_capacity(self.shape.proof_len(part));
        if let Some(tree) = &self.tree {
            for run in self.shape.proof_places(part) {
                proof.extend(tree.read_nodes(run.start, run.end - run.start)?);
            }
        }
        Ok(proof)
    }

    /// Checks the proof of a part and keeps it: the door to [`put`](Self::put).
    pub(crate) fn prove(&self, part: u64, proof: &[Node]) -> Result<Proved, Refused> {
        let proved = Proved::check(self.root, self.shape, part, proof).ok_or(Refused::Lie)?;
        let known = match &*self.read() {
            Have::All => true,
            Have::Some { proofs, .. } => proofs.get(part),
        };
        if !known {
            if let Some(tree) = &self.tree {
                for (first, nodes) in proved.nodes(proof) {
                    tree.write_nodes(first, &nodes)?;
                }
            }
            if let Have::Some { proofs, .. } = &mut *self.write() {
                proofs.set(part);
            }
        }
        Ok(proved)
    }

    /// Takes whole neighbouring groups of a proved part. Those before a wrong one are kept.
    pub(crate) fn put(&self, proved: &Proved, first: u64, bytes: &[u8]) -> Result<(), Refused> {
        let mut good = 0;
        let mut group = first;
        while group < self.shape.groups() {
            let len = self.shape.len_of(group);
            // The empty blob has a group of no bytes.
            let done = good == bytes.len() && len > 0;
            if done || !bytes.get(good..good + len).is_some_and(|bytes| proved.holds(group, bytes)) {
                break;
            }
            (good, group) = (good + len, group + 1);
        }
        if group > first {
            self.data.write_at(first * GROUP, &bytes[..good])?;
            self.mark(first..group)?;
        }
        if good < bytes.len() { Err(Refused::Lie) } else { Ok(()) }
    }

    fn mark(&self, range: Range<u64>) -> Result<(), Error> {
        if let Have::Some { groups, marks, .. } = &mut *self.write() {
            let first = range.start / 8;
            let last = (range.end - 1) / 8;
            range.for_each(|group| groups.set(group));
            let bytes: Vec<u8> = (first..=last).map(|at| groups.byte(at)).collect();
            marks.write_at(MARKS_AT + first, &bytes)?;
        }
        self.changed.send_modify(|count| *count += 1);
        Ok(())
    }

    /// All is here and lies on the disk: no marks are needed any more.
    pub(crate) fn set_whole(&self) {
        *self.write() = Have::All;
        self.changed.send_modify(|count| *count += 1);
    }

    /// Waits until all of it lies on the disk.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.data.sync()?;
        self.tree.as_ref().map_or(Ok(()), Disk::sync)
    }

    pub(crate) fn data(&self) -> &Disk {
        &self.data
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Have> {
        self.have.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Have> {
        self.have.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Files of blobs: `data`, and `tree` if there is more than one group; `marks` in those that are partial.
impl Blob {
    /// Opens a whole blob.
    pub(crate) fn open_whole(folder: &Path, root: Root, size: u64) -> Result<Blob, Error> {
        let (shape, data, tree) = open_files(folder, root, size, false)?;
        Ok(Blob { root, shape, data, tree, have: RwLock::new(Have::All), changed: watch::Sender::new(0) })
    }

    /// Begins a partial blob in an empty folder. It counts once its marks are there, which are written last.
    pub(crate) fn create(folder: &Path, root: Root, shape: Shape) -> Result<Blob, Error> {
        let data = Disk::create(folder.join("data"))?;
        data.set_len(shape.size())?;
        let tree = if shape.nodes() == 0 { None } else { Some(Disk::create(folder.join("tree"))?) };
        if let Some(tree) = &tree {
            tree.set_len(shape.nodes() * 32)?;
        }
        write_marks(folder, shape, &Bits::none(shape.groups()))?;
        let marks = Disk::open(folder.join("marks"), true)?;
        let have =
            Have::Some { groups: Bits::none(shape.groups()), proofs: Bits::none(shape.parts()), marks };
        Ok(Blob { root, shape, data, tree, have: RwLock::new(have), changed: watch::Sender::new(0) })
    }

    /// Opens a partial blob again, and checks everything that it says it has.
    pub(crate) fn resume(folder: &Path, root: Root) -> Result<Blob, Error> {
        let (shape, marked) = read_marks(folder, root)?;
        let (_, data, tree) = open_files(folder, root, shape.size(), true)?;
        let marks = Disk::open(folder.join("marks"), true)?;
        let blob =
            Blob { root, shape, data, tree, have: RwLock::new(Have::All), changed: watch::Sender::new(0) };
        let (groups, proofs) = blob.check(|group| marked.get(group))?;
        marks.write_at(MARKS_AT, &groups.to_bytes())?;
        *blob.write() = Have::Some { groups, proofs, marks };
        Ok(blob)
    }

    /// Reads the groups that `marked` names and finds out which of them, and of the proofs above them, are right.
    pub(crate) fn check(&self, marked: impl Fn(u64) -> bool) -> Result<(Bits, Bits), Error> {
        let mut groups = Bits::none(self.shape.groups());
        let mut proofs = Bits::none(self.shape.parts());
        let mut buffer = vec![0; GROUP as usize];
        for part in 0..self.shape.parts() {
            if !self.shape.groups_of_part(part).any(&marked) {
                continue;
            }
            let proof = self.read_proof(part)?;
            let Some(proved) = Proved::check(self.root, self.shape, part, &proof) else { continue };
            proofs.set(part);
            for group in self.shape.groups_of_part(part).filter(|group| marked(*group)) {
                let bytes = &mut buffer[..self.shape.len_of(group)];
                self.data.read_at(group * GROUP, bytes)?;
                if proved.holds(group, bytes) {
                    groups.set(group);
                }
            }
        }
        Ok((groups, proofs))
    }
}

fn open_files(
    folder: &Path,
    root: Root,
    size: u64,
    write: bool,
) -> Result<(Shape, Disk, Option<Disk>), Error> {
    let damaged = |groups| Error::Damaged { root, bad: groups, groups };
    let shape = Shape::new(size).ok_or_else(|| damaged(0))?;
    let data = Disk::open(folder.join("data"), write)?;
    let tree = if shape.nodes() == 0 { None } else { Some(Disk::open(folder.join("tree"), write)?) };
    let tree_len = tree.as_ref().map_or(Ok(0), Disk::len)?;
    if data.len()? != size || tree_len != shape.nodes() * 32 {
        return Err(damaged(shape.groups()));
    }
    Ok((shape, data, tree))
}

/// Writes which groups are there.
pub(crate) fn write_marks(folder: &Path, shape: Shape, groups: &Bits) -> Result<(), Error> {
    let mut bytes = MARKS.to_vec();
    bytes.extend(shape.size().to_le_bytes());
    bytes.extend(groups.to_bytes());
    write_whole(&folder.join("marks"), &bytes)
}

/// Reads which groups are said to be there. The size is what the length of the data file confirms.
pub(crate) fn read_marks(folder: &Path, root: Root) -> Result<(Shape, Bits), Error> {
    let damaged = || Error::Damaged { root, bad: 0, groups: 0 };
    let marks = Disk::open(folder.join("marks"), false)?;
    let len = marks.len()?;
    let mut head = [0; MARKS_AT as usize];
    if len < MARKS_AT {
        return Err(damaged());
    }
    marks.read_at(0, &mut head)?;
    let (magic, size) = head.split_at(8);
    let size = size.try_into().map_or(u64::MAX, u64::from_le_bytes);
    let shape = Shape::new(size).filter(|_| magic == MARKS).ok_or_else(damaged)?;
    let data = Disk::open(folder.join("data"), false)?;
    if len != MARKS_AT + Bits::bytes_for(shape.groups()) || data.len()? != size {
        return Err(damaged());
    }
    let mut bytes = vec![0; (len - MARKS_AT) as usize];
    marks.read_at(MARKS_AT, &mut bytes)?;
    Ok((shape, Bits::from_bytes(shape.groups(), &bytes)))
}

/// Groups that one reading or writing takes at most, and bytes of it.
pub(crate) const BATCH: u64 = 16;

const _: () = assert!(PART_GROUPS.is_multiple_of(BATCH));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::tree::tests::{proof, some_bytes, tree};
    use proptest::prelude::*;

    const G: usize = GROUP as usize;

    #[derive(Clone, Debug)]
    enum Step {
        /// Takes groups from a part as they are.
        Put { at: u64, count: u64 },
        /// Is offered groups of which one bit is wrong.
        Lie { at: u64, bit: usize },
        /// The process ends and the blob is opened again.
        Again,
        /// A byte of the data, the tree or the marks changes while nobody looks.
        Rot { file: usize, at: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (any::<u64>(), 1u64..20).prop_map(|(at, count)| Step::Put { at, count }),
            2 => (any::<u64>(), any::<usize>()).prop_map(|(at, bit)| Step::Lie { at, bit }),
            1 => Just(Step::Again),
            1 => (0usize..3, any::<usize>()).prop_map(|(file, at)| Step::Rot { file, at }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn what_counts_as_there_is_right(len in 1usize..140 * G, steps in prop::collection::vec(step(), 1..24)) {
            let bytes = some_bytes(len, 5);
            let (root, shape, tree) = (Root::of(&bytes), Shape::new(len as u64).unwrap(), tree(&bytes));
            let folder = tempfile::tempdir().unwrap();
            let mut blob = Blob::create(folder.path(), root, shape).unwrap();
            for step in steps {
                match step {
                    Step::Put { at, count } => {
                        let group = at % shape.groups();
                        let part = group / PART_GROUPS;
                        let proved = blob.prove(part, &proof(shape, &tree, part)).unwrap();
                        let end = (group + count).min(shape.groups_of_part(part).end);
                        let place = shape.bytes(group..end);
                        blob.put(&proved, group, &bytes[place.start as usize..place.end as usize]).unwrap();
                        prop_assert!(blob.has(group..end));
                    }
                    Step::Lie { at, bit } => {
                        let group = at % shape.groups();
                        let part = group / PART_GROUPS;
                        let proved = blob.prove(part, &proof(shape, &tree, part)).unwrap();
                        let place = shape.bytes(group..group + 1);
                        let mut wrong = bytes[place.start as usize..place.end as usize].to_vec();
                        let at = bit % (wrong.len() * 8);
                        wrong[at / 8] ^= 1 << (at % 8);
                        prop_assert!(matches!(blob.put(&proved, group, &wrong), Err(Refused::Lie)));
                    }
                    Step::Again => {}
                    Step::Rot { file, at } => {
                        let path = folder.path().join(["data", "tree", "marks"][file]);
                        if let Ok(mut bytes) = std::fs::read(&path) {
                            // The head of the marks is no secret: a wrong one is refused as a whole, which the store answers
                            // by starting anew.
                            let from = if file == 2 { MARKS_AT as usize } else { 0 };
                            if bytes.len() > from {
                                let at = from + at % (bytes.len() - from);
                                bytes[at] ^= 0x40;
                                std::fs::write(&path, bytes).unwrap();
                            }
                        }
                    }
                }
                blob = Blob::resume(folder.path(), root).unwrap();
                let mut present = 0;
                for group in 0..shape.groups() {
                    if blob.has(group..group + 1) {
                        let place = shape.bytes(group..group + 1);
                        let mut read = vec![0; shape.len_of(group)];
                        blob.read_at(place.start, &mut read).unwrap();
                        prop_assert_eq!(&read[..], &bytes[place.start as usize..place.end as usize]);
                        present += read.len() as u64;
                    }
                }
                prop_assert_eq!(blob.present(), present);
            }
        }

        #[test]
        fn any_marks_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64), size in 0u64..4_000_000) {
            let folder = tempfile::tempdir().unwrap();
            let mut marks = MARKS.to_vec();
            marks.extend(size.to_le_bytes());
            marks.extend(&bytes);
            for marks in [marks, bytes] {
                std::fs::write(folder.path().join("marks"), marks).unwrap();
                Disk::create(folder.path().join("data")).unwrap().set_len(size).unwrap();
                let _ = read_marks(folder.path(), Root::of(b""));
            }
        }
    }
}
