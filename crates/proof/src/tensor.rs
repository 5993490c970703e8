//! Tensors and what they are committed to as.

use exact::{DType, Shape, Type};

use crate::hash::{Digest, Tag, bytes, tagged};
use crate::tree::{Tree, climb};

/// How many words a leaf of a tensor has; the last one has what is left.
pub const LEAF: usize = 64;

/// A tensor with its own elements, each as its 32 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// What its elements are, and their shape.
    pub ty: Type,
    /// The elements in row-major order.
    pub words: Vec<u32>,
}

impl Tensor {
    /// The tree over its words.
    pub fn tree(&self) -> Tree {
        words_tree(&self.words)
    }

    /// What it is committed to as.
    pub fn commitment(&self) -> Digest {
        commitment(&self.ty, &self.tree().root())
    }

    /// One element with what shows that it is in the tensor.
    pub fn open(&self, index: u64) -> Opening {
        let tree = self.tree();
        let leaf = index as usize / LEAF;
        let words = self.words.chunks(LEAF).nth(leaf).unwrap_or_default().to_vec();
        Opening { root: tree.root(), words, path: tree.path(leaf as u64) }
    }
}

/// The tree over a tensor's words.
pub(crate) fn words_tree(words: &[u32]) -> Tree {
    Tree::new(words.chunks(LEAF).map(words_leaf).collect())
}

/// The hash of one leaf's words.
pub fn words_leaf(words: &[u32]) -> Digest {
    tagged(Tag::Words, &[&bytes(words)])
}

/// How many leaves a tensor of this type has.
pub(crate) fn leaves(ty: &Type) -> u64 {
    ty.shape.elements().div_ceil(LEAF) as u64
}

/// What a tensor is committed to as: its type and the root of its words.
pub fn commitment(ty: &Type, root: &Digest) -> Digest {
    tagged(Tag::Tensor, &[&encode(ty), root])
}

/// A type as 26 bytes.
pub(crate) fn encode(ty: &Type) -> [u8; 26] {
    let mut out = [0; 26];
    out[0] = u8::from(ty.dtype == DType::U32);
    out[1] = ty.shape.rank() as u8;
    for (axis, dim) in ty.shape.iter().enumerate() {
        out[2 + 4 * axis..][..4].copy_from_slice(&(dim as u32).to_be_bytes());
    }
    out
}

/// A type from its bytes, if they are those of one.
pub(crate) fn decode(bytes: &[u8; 26]) -> Option<Type> {
    let dtype = match bytes[0] {
        0 => DType::F32,
        1 => DType::U32,
        _ => return None,
    };
    let rank = usize::from(bytes[1]);
    let dims: Vec<usize> = bytes[2..]
        .chunks(4)
        .map(|b| b.iter().fold(0, |n, byte| n << 8 | usize::from(*byte)))
        .take(rank)
        .collect();
    let ty = Type { dtype, shape: Shape::new(&dims).ok()? };
    (dims.len() == rank && encode(&ty) == *bytes).then_some(ty)
}

/// A piece of a tensor with what shows that it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The root of the tensor's words.
    pub root: Digest,
    /// The words of the leaf that the element is in.
    pub words: Vec<u32>,
    /// The way up.
    pub path: Vec<Digest>,
}

impl Opening {
    /// The element of this number of the tensor with this type and commitment, if it shows one.
    pub fn element(&self, ty: &Type, expected: &Digest, index: u64) -> Option<u32> {
        let elements = ty.shape.elements() as u64;
        let at = index / LEAF as u64;
        if index >= elements || self.words.len() as u64 != (elements - at * LEAF as u64).min(LEAF as u64) {
            return None;
        }
        let root = climb(words_leaf(&self.words), at, leaves(ty), &self.path)?;
        let shown = root == self.root && commitment(ty, &root) == *expected;
        shown.then(|| self.words[index as usize % LEAF])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(dims: &[usize]) -> Tensor {
        let ty = Type { dtype: DType::F32, shape: Shape::new(dims).unwrap() };
        let words = (0..ty.shape.elements() as u32).map(|i| i.wrapping_mul(0x9e37_79b9)).collect();
        Tensor { ty, words }
    }

    #[test]
    fn each_element_can_be_shown_and_no_other() {
        for dims in [vec![1], vec![63], vec![64], vec![65], vec![7, 100], vec![]] {
            let x = tensor(&dims);
            let c = x.commitment();
            for i in 0..x.words.len() as u64 {
                let opening = x.open(i);
                assert_eq!(opening.element(&x.ty, &c, i), Some(x.words[i as usize]));
                assert_eq!(opening.element(&x.ty, &c, i + x.words.len() as u64), None);
                let mut wrong = opening.clone();
                wrong.words[i as usize % LEAF] ^= 1;
                assert_eq!(wrong.element(&x.ty, &c, i), None);
            }
        }
    }

    #[test]
    fn the_shape_and_the_type_are_bound() {
        let x = tensor(&[4, 6]);
        let other = |dims: &[usize], dtype| {
            let ty = Type { dtype, shape: Shape::new(dims).unwrap() };
            Tensor { ty, words: x.words.clone() }
        };
        for wrong in [other(&[6, 4], DType::F32), other(&[24], DType::F32), other(&[4, 6], DType::U32)] {
            assert_ne!(wrong.commitment(), x.commitment());
            assert_eq!(x.open(0).element(&wrong.ty, &x.commitment(), 0), None);
        }
        // An axis of one more is another tensor, though the elements are the same.
        assert_ne!(other(&[4, 6, 1], DType::F32).commitment(), x.commitment());
    }

    #[test]
    fn a_leaf_has_the_length_it_has() {
        let x = tensor(&[65]);
        let mut padded = x.open(64);
        padded.words.push(0);
        assert_eq!(padded.element(&x.ty, &x.commitment(), 64), None);
        let mut longer = x.clone();
        longer.words.extend([0; 63]);
        assert_ne!(longer.tree().root(), x.tree().root());
    }

    #[test]
    fn types_have_one_encoding() {
        let x = tensor(&[4, 6]);
        let bytes = encode(&x.ty);
        assert_eq!(decode(&bytes), Some(x.ty));
        for (at, value) in [(0, 2), (1, 7), (1, 1), (20, 1)] {
            let mut wrong = bytes;
            wrong[at] = value;
            assert_eq!(decode(&wrong), None, "{at}");
        }
    }
}
