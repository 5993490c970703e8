//! Names and random numbers that everyone works out alike.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A node, by the hash of what names it among its peers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub [u8; 32]);

impl NodeId {
    /// The node with this peer id, whatever form such ids have.
    pub fn of(peer: &[u8]) -> NodeId {
        let mut hasher = blake3::Hasher::new_derive_key("starling swarm node v1");
        NodeId(*hasher.update(peer).finalize().as_bytes())
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

/// What a round's choices are drawn from: given by whoever opens rounds, and the same for everyone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seed(pub [u8; 32]);

impl Seed {
    /// The number that belongs to this purpose and these parts. Other purposes, parts or cuts between parts give unrelated numbers.
    pub fn number(&self, purpose: &str, parts: &[&[u8]]) -> u64 {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in std::iter::once(&purpose.as_bytes()).chain(parts) {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let hash = hasher.finalize();
        u64::from_le_bytes(hash.as_bytes()[..8].first_chunk().copied().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts_and_so_do_the_cuts() {
        let seed = Seed([7; 32]);
        let one = seed.number("tasks", &[b"ab", b"c"]);
        assert_eq!(one, seed.number("tasks", &[b"ab", b"c"]));
        for other in [
            seed.number("tasks", &[b"a", b"bc"]),
            seed.number("tasks", &[b"abc"]),
            seed.number("taskz", &[b"ab", b"c"]),
            Seed([8; 32]).number("tasks", &[b"ab", b"c"]),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_node_reads_short() {
        assert_eq!(NodeId([0xab; 32]).to_string(), "abababab");
        assert_ne!(NodeId::of(b"one"), NodeId::of(b"two"));
    }
}
