//! BLAKE3 of a tensor, on several threads.

use blake3::Hasher;
use blake3::hazmat::{
    ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root,
};

use crate::cpu::Pool;

/// What one task hashes: a power of two of BLAKE3's chunks, so that it is a subtree of its own.
const PIECE: usize = 128 << 10;

#[cfg(not(target_endian = "little"))]
compile_error!("tensors are hashed as little-endian bytes: a big-endian target needs them swapped first");

/// The BLAKE3 hash of words as little-endian bytes; the same whatever the threads.
pub(crate) fn hash_words(words: &[u32], pool: Option<&Pool>) -> [u8; 32] {
    // SAFETY: any words are bytes, and the target is little-endian.
    let bytes = unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<u8>(), words.len() * 4) };
    match pool {
        Some(pool) if pool.threads() > 1 && bytes.len() > PIECE => in_pieces(bytes, pool),
        _ => *blake3::hash(bytes).as_bytes(),
    }
}

fn in_pieces(bytes: &[u8], pool: &Pool) -> [u8; 32] {
    let pieces = bytes.len().div_ceil(PIECE);
    let mut values: Vec<ChainingValue> = vec![[0; 32]; pieces];
    let out = crate::cpu::Shared(values.as_mut_ptr());
    pool.run(pieces, &|piece, _| {
        let part = &bytes[piece * PIECE..bytes.len().min((piece + 1) * PIECE)];
        let mut hasher = Hasher::new();
        hasher.set_input_offset((piece * PIECE) as u64).update(part);
        // SAFETY: each task writes its own element.
        unsafe { *out.at(piece) = hasher.finalize_non_root() };
    });
    // More than one piece, so the root is a merge of two subtrees.
    let left = left_subtree_len(bytes.len() as u64) as usize / PIECE;
    let (l, r) =
        (subtree(&values[..left], left * PIECE), subtree(&values[left..], bytes.len() - left * PIECE));
    *merge_subtrees_root(&l, &r, Mode::Hash).as_bytes()
}

/// The chaining value of a subtree of this many bytes from those of its pieces.
fn subtree(values: &[ChainingValue], bytes: usize) -> ChainingValue {
    if let [only] = values {
        return *only;
    }
    let left = left_subtree_len(bytes as u64) as usize / PIECE;
    let l = subtree(&values[..left], left * PIECE);
    let r = subtree(&values[left..], bytes - left * PIECE);
    merge_subtrees_non_root(&l, &r, Mode::Hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_do_not_show() {
        let words: Vec<u32> = (0..400_000u32).map(|i| i.wrapping_mul(0x9e37_79b9)).collect();
        let pool = Pool::new(2);
        for n in [0, 1, 31, 32_768, 32_769, 65_536, 65_537, 98_304, 131_073, 400_000] {
            assert_eq!(hash_words(&words[..n], Some(&pool)), hash_words(&words[..n], None), "{n} words");
        }
    }
}
