//! A manifest: what a checkpoint consists of, in few bytes that have one form and one hash.

use std::collections::BTreeSet;

use exact::{MAX_ELEMENTS, MAX_NAME_BYTES, MAX_RANK};
use serde::{Deserialize, Serialize};

/// Bytes of a tensor that are one chunk, the last of a tensor being shorter.
pub(super) const CHUNK: usize = 1 << 20;
/// Tensors up to this many bytes are in the manifest itself.
pub(super) const INLINE: usize = 512;
/// The most bytes of a manifest.
pub const MAX_MANIFEST_BYTES: usize = 64 << 20;
/// The most notes in a manifest.
pub const MAX_NOTES: usize = 1024;
/// The most bytes of one note.
pub const MAX_NOTE_BYTES: usize = 1 << 20;

const MAGIC: [u8; 8] = *b"STARCKP1";
const HASH_CONTEXT: &str = "starling checkpoint manifest v1";

/// What a checkpoint consists of: a step, notes about everything that is not a tensor, and the tensors' hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// How many steps were made before it.
    pub step: u64,
    /// What else determines what follows: configuration, hyper-parameters, where the data is, random streams, the program's hash.
    pub notes: Vec<(String, Vec<u8>)>,
    /// The tensors, in the order they were saved.
    pub tensors: Vec<SavedTensor>,
}

/// One tensor of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedTensor {
    /// Its name.
    pub name: String,
    /// Whether its elements are integers rather than numbers.
    pub integers: bool,
    /// Its shape.
    pub dims: Vec<u64>,
    /// Its elements' bytes.
    pub content: Content,
}

/// Where a tensor's bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// Here, since they are few.
    Here(Vec<u8>),
    /// In chunks with these hashes, one after another.
    Chunks(Vec<[u8; 32]>),
}

impl SavedTensor {
    /// How many bytes its elements are.
    pub fn bytes(&self) -> usize {
        // A manifest that exists was checked: this fits.
        4 * self.dims.iter().map(|d| *d as usize).product::<usize>()
    }

    fn check(&self) -> Result<(), String> {
        let wrong = |why: &str| Err(format!("its tensor {:?} {why}", self.name));
        if self.name.is_empty() || self.name.len() > MAX_NAME_BYTES {
            return Err("it has a tensor with a name that is empty or too long".to_owned());
        }
        if self.dims.len() > MAX_RANK {
            return wrong("has too many axes");
        }
        let elements = self.dims.iter().try_fold(1u64, |n, d| n.checked_mul(*d));
        if elements.is_none_or(|n| n > MAX_ELEMENTS) {
            return wrong("is too large");
        }
        let bytes = self.bytes();
        let fits = match &self.content {
            Content::Here(content) => content.len() == bytes && bytes <= INLINE,
            Content::Chunks(chunks) => chunks.len() == bytes.div_ceil(CHUNK) && bytes > INLINE,
        };
        if fits { Ok(()) } else { wrong("has not as many bytes as its shape says") }
    }
}

impl Manifest {
    /// The manifest as bytes; the same manifest always gives the same.
    pub fn encode(&self) -> Vec<u8> {
        // Writing to a vector cannot fail: every length is known and no value refuses to be serialised.
        Manifest::seal(&postcard::to_extend(self, MAGIC.to_vec()).unwrap_or_default())
    }

    /// The bytes with their hash behind them, as a manifest has it. Nothing is said of what the bytes are.
    pub fn seal(bytes: &[u8]) -> Vec<u8> {
        [bytes, &blake3::derive_key(HASH_CONTEXT, bytes)].concat()
    }

    /// The checkpoint's content hash: with it anyone can tell that all they were given is what was saved.
    pub fn hash(&self) -> [u8; 32] {
        let bytes = self.encode();
        let mut hash = [0; 32];
        hash.copy_from_slice(&bytes[bytes.len() - 32..]);
        hash
    }

    /// Reads a manifest from bytes that may come from anyone; says why, if it is none.
    pub fn decode(bytes: &[u8]) -> Result<Manifest, String> {
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(format!("it has {} bytes, and a manifest at most {MAX_MANIFEST_BYTES}", bytes.len()));
        }
        let Some((body, hash)) = bytes.split_last_chunk::<32>() else {
            return Err("it is too short to be a manifest".to_owned());
        };
        let Some(fields) = body.strip_prefix(&MAGIC) else {
            return Err("it does not begin as a manifest of version 1 does".to_owned());
        };
        if blake3::derive_key(HASH_CONTEXT, body) != *hash {
            return Err("its hash is not the one at its end".to_owned());
        }
        let manifest: Manifest =
            postcard::from_bytes(fields).map_err(|e| format!("its fields cannot be read: {e}"))?;
        manifest.check()?;
        // Long integers, bytes at the end and the like would give one manifest two hashes.
        if manifest.encode() != bytes {
            return Err("it is not in the one canonical form".to_owned());
        }
        Ok(manifest)
    }

    /// Checks that it is within the limits.
    pub(super) fn check(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        if self.notes.len() > MAX_NOTES {
            return Err(format!("it has more than {MAX_NOTES} notes"));
        }
        for (name, note) in &self.notes {
            if name.len() > MAX_NAME_BYTES || note.len() > MAX_NOTE_BYTES {
                return Err("it has a note that is too long".to_owned());
            }
            if !names.insert(name) {
                return Err(format!("it has two notes {name:?}"));
            }
        }
        names.clear();
        for tensor in &self.tensors {
            tensor.check()?;
            if !names.insert(&tensor.name) {
                return Err(format!("it has two tensors {:?}", tensor.name));
            }
        }
        Ok(())
    }

    /// The hashes of all chunks.
    pub(super) fn chunks(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.tensors.iter().flat_map(|tensor| match &tensor.content {
            Content::Here(_) => [].iter(),
            Content::Chunks(chunks) => chunks.iter(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn content(bytes: usize, fill: u8) -> Content {
        if bytes <= INLINE {
            Content::Here(vec![fill; bytes])
        } else {
            Content::Chunks(vec![[fill; 32]; bytes.div_ceil(CHUNK)])
        }
    }

    prop_compose! {
        fn manifest()(
            step in any::<u64>(),
            notes in prop::collection::btree_map("[a-z]{0,8}", prop::collection::vec(any::<u8>(), 0..40), 0..5),
            tensors in prop::collection::btree_map("[a-z.]{1,8}", (any::<bool>(), prop::collection::vec(0u64..700, 0..3), any::<u8>()), 0..6),
        ) -> Manifest {
            let tensors = tensors.into_iter().map(|(name, (integers, dims, fill))| {
                let bytes = 4 * dims.iter().product::<u64>() as usize;
                SavedTensor { name, integers, dims, content: content(bytes, fill) }
            });
            Manifest { step, notes: notes.into_iter().collect(), tensors: tensors.collect() }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(manifest in manifest()) {
            prop_assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest));
        }

        #[test]
        fn any_other_byte_is_noticed(manifest in manifest(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
            let mut bytes = manifest.encode();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(Manifest::decode(&bytes).is_err());
            bytes.truncate(at);
            prop_assert!(Manifest::decode(&bytes).is_err());
        }

        /// Whoever changes a manifest can seal it again: then it is another one, or none.
        #[test]
        fn hostile_bytes_are_refused_or_canonical(
            manifest in manifest(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            noise in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let mut body = manifest.encode();
            body.truncate(body.len() - 32);
            for (at, byte) in changes {
                let at = at.index(body.len());
                body[at] = byte;
            }
            for body in [body, [&MAGIC[..], &noise].concat()] {
                let bytes = Manifest::seal(&body);
                if let Ok(read) = Manifest::decode(&bytes) {
                    prop_assert_eq!(read.encode(), bytes);
                }
            }
        }
    }

    #[test]
    fn limits_are_kept() {
        let tensor = |name: &str, dims: &[u64], content| SavedTensor {
            name: name.to_owned(),
            integers: false,
            dims: dims.to_vec(),
            content,
        };
        let why = |tensors: Vec<SavedTensor>, notes: Vec<(String, Vec<u8>)>| {
            Manifest::decode(&Manifest { step: 0, notes, tensors }.encode()).unwrap_err()
        };
        let fine = tensor("a", &[2], Content::Here(vec![0; 8]));
        assert!(why(vec![fine.clone(), fine.clone()], vec![]).contains("two tensors"));
        assert!(why(vec![tensor("", &[0], Content::Here(vec![]))], vec![]).contains("name"));
        assert!(why(vec![tensor("a", &[1; 40], Content::Here(vec![0; 4]))], vec![]).contains("axes"));
        assert!(
            why(vec![tensor("a", &[1 << 40, 1 << 40], Content::Chunks(vec![]))], vec![]).contains("large")
        );
        assert!(why(vec![tensor("a", &[2], Content::Here(vec![0; 7]))], vec![]).contains("bytes"));
        assert!(why(vec![tensor("a", &[2], Content::Chunks(vec![[0; 32]]))], vec![]).contains("bytes"));
        assert!(why(vec![tensor("a", &[1 << 20], Content::Chunks(vec![[0; 32]]))], vec![]).contains("bytes"));
        let note = |n: usize| ("n".to_owned(), vec![0; n]);
        assert!(why(vec![], vec![note(0), note(1)]).contains("two notes"));
        assert!(why(vec![], vec![note(MAX_NOTE_BYTES + 1)]).contains("too long"));
        assert!(Manifest::decode(&vec![0; MAX_MANIFEST_BYTES + 1]).unwrap_err().contains("at most"));
    }
}
