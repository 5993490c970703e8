//! Hashes: Keccak-256, since a contract can take it for next to nothing, and one tag for each kind of thing that is hashed.
//!
//! A tag leads every preimage, so that nothing of one kind can pass for something of another.

use sha3::{Digest as _, Keccak256};

/// A Keccak-256 hash.
pub type Digest = [u8; 32];

/// What is hashed: the first byte of its preimage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Tag {
    /// Up to 64 words of a tensor.
    Words = 0x00,
    /// Two nodes of a tree.
    Node = 0x01,
    /// A tensor: its type and the root of its words.
    Tensor = 0x02,
    /// All states after so many steps.
    State = 0x03,
    /// A step that is to be made: its program and inputs.
    Step = 0x04,
    /// An operation of a program.
    Record = 0x05,
    /// What a state becomes.
    Assignment = 0x06,
    /// A program.
    Program = 0x07,
    /// A claim.
    Claim = 0x08,
    /// A block of scalar steps.
    Block = 0x09,
}

/// The hash of one tagged thing, given in parts.
pub(crate) fn tagged(tag: Tag, parts: &[&[u8]]) -> Digest {
    let mut hasher = Keccak256::new();
    hasher.update([tag as u8]);
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Words as the bytes that are hashed: little-endian, as memory has them.
pub(crate) fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_hash_that_contracts_have() {
        // Keccak-256 of one zero byte, as `keccak256(hex"00")` gives it.
        let expected = "bc36789e7a1e281436464229828f817d6612f7b477d66591ff96a9e064bcc98a";
        let byte = |i: usize| u8::from_str_radix(&expected[2 * i..2 * i + 2], 16).unwrap();
        assert_eq!(tagged(Tag::Words, &[]), std::array::from_fn(byte));
    }
}
