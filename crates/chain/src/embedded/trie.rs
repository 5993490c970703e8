//! The Merkle Patricia trie whose root stands in a block's header.
//!
//! Keys are hashes, all of one length, so no branch holds a value. A trie is cheap to clone: clones share all nodes until one of them
//! is changed, and then all but those on the way to the change. That is how the states of many blocks lie in memory side by
//! side, each with its root, and how a root costs only what has changed since the last one.

use std::sync::{Arc, OnceLock};

use alloy::primitives::{B256, Bytes, keccak256};
use alloy_trie::nodes::{BranchNodeRef, ExtensionNodeRef, LeafNodeRef, RlpNode};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles, TrieMask};

/// What a trie holds: it can be written as the RLP that goes into a leaf.
pub(crate) trait Value: Clone {
    /// Appends the value's RLP.
    fn encode(&self, out: &mut Vec<u8>);
}

/// A map from hashes to values with a Merkle root.
#[derive(Clone, Debug)]
pub(crate) struct Trie<V>(Link<V>);

type Link<V> = Option<Arc<Node<V>>>;

#[derive(Clone, Debug)]
struct Node<V> {
    shape: Shape<V>,
    /// How a parent refers to this node: its RLP when that is short, else its hash. Worked out when a root is asked for; it
    /// depends on the depth at which the node hangs, so whoever moves a node makes it anew.
    reference: OnceLock<RlpNode>,
}

#[derive(Clone, Debug)]
enum Shape<V> {
    Leaf {
        key: B256,
        value: V,
    },
    /// All keys below agree with `key` on the nibbles before `at` and differ there. If the node hangs higher than `at`, its
    /// encoding begins with an extension.
    Branch {
        key: B256,
        at: usize,
        children: Box<[Link<V>; 16]>,
    },
}

impl<V> Default for Trie<V> {
    fn default() -> Trie<V> {
        Trie(None)
    }
}

impl<V: Value> Trie<V> {
    /// The value of a key.
    pub(crate) fn get(&self, key: &B256) -> Option<&V> {
        let mut node = self.0.as_deref()?;
        loop {
            match &node.shape {
                Shape::Leaf { key: own, value } => return (own == key).then_some(value),
                Shape::Branch { at, children, .. } => node = children[nibble(key, *at)].as_deref()?,
            }
        }
    }

    /// Gives a key a value.
    pub(crate) fn insert(&mut self, key: B256, value: V) {
        insert(&mut self.0, key, value);
    }

    /// Takes a key out.
    pub(crate) fn remove(&mut self, key: &B256) {
        if self.get(key).is_some() {
            remove(&mut self.0, key);
        }
    }

    /// The Merkle root.
    pub(crate) fn root(&self) -> B256 {
        let Some(node) = &self.0 else { return EMPTY_ROOT_HASH };
        let reference = node.reference(0);
        // The root is a hash even where a reference to a node so short would be the node itself.
        reference.as_hash().unwrap_or_else(|| keccak256(reference))
    }

    /// The nodes from the root towards a key: they prove its value, or that it has none.
    pub(crate) fn prove(&self, key: &B256) -> Vec<Bytes> {
        let mut proof = Vec::new();
        let (mut link, mut depth) = (self.0.as_ref(), 0);
        while let Some(node) = link {
            let mut put = |rlp: Vec<u8>| {
                // Nodes shorter than a hash stand inside their parents.
                if rlp.len() >= 32 || proof.is_empty() {
                    proof.push(Bytes::from(rlp));
                }
            };
            put(node.encode(depth));
            let Shape::Branch { key: own, at, children } = &node.shape else { break };
            if first_difference(own, key, *at).is_some() {
                break;
            }
            if *at > depth {
                put(encode_branch(children, *at));
            }
            link = children[nibble(key, *at)].as_ref();
            depth = at + 1;
        }
        proof
    }
}

impl<V: Value> Node<V> {
    fn new(shape: Shape<V>) -> Arc<Node<V>> {
        Arc::new(Node { shape, reference: OnceLock::new() })
    }

    /// How the parent refers to this node, which hangs at this depth.
    fn reference(&self, depth: usize) -> &RlpNode {
        self.reference.get_or_init(|| RlpNode::from_rlp(&self.encode(depth)))
    }

    fn encode(&self, depth: usize) -> Vec<u8> {
        let mut rlp = Vec::with_capacity(128);
        match &self.shape {
            Shape::Leaf { key, value } => {
                let mut inner = Vec::with_capacity(96);
                value.encode(&mut inner);
                LeafNodeRef::new(&Nibbles::unpack(key).slice(depth..), &inner).rlp(&mut rlp);
            }
            Shape::Branch { key, at, children } => {
                let branch = encode_branch(children, *at);
                if *at == depth {
                    return branch;
                }
                let prefix = Nibbles::unpack(key).slice(depth..*at);
                ExtensionNodeRef::new(&prefix, &RlpNode::from_rlp(&branch)).rlp(&mut rlp);
            }
        }
        rlp
    }
}

fn encode_branch<V: Value>(children: &[Link<V>; 16], at: usize) -> Vec<u8> {
    let (mut stack, mut mask) = (Vec::with_capacity(16), 0);
    for (i, child) in children.iter().enumerate() {
        if let Some(child) = child {
            stack.push(child.reference(at + 1).clone());
            mask |= 1 << i;
        }
    }
    let mut rlp = Vec::with_capacity(544);
    BranchNodeRef::new(&stack, TrieMask::new(mask)).rlp(&mut rlp);
    rlp
}

fn insert<V: Value>(link: &mut Link<V>, key: B256, value: V) {
    let Some(node) = link else {
        *link = Some(Node::new(Shape::Leaf { key, value }));
        return;
    };
    let (own, end) = match &node.shape {
        Shape::Leaf { key, .. } => (*key, 64),
        Shape::Branch { key, at, .. } => (*key, *at),
    };
    if let Some(at) = first_difference(&own, &key, end) {
        let mut children: Box<[Link<V>; 16]> = Box::default();
        children[nibble(&own, at)] = link.take().map(moved);
        children[nibble(&key, at)] = Some(Node::new(Shape::Leaf { key, value }));
        *link = Some(Node::new(Shape::Branch { key, at, children }));
        return;
    }
    let node = Arc::make_mut(node);
    node.reference = OnceLock::new();
    match &mut node.shape {
        Shape::Leaf { value: old, .. } => *old = value,
        Shape::Branch { at, children, .. } => insert(&mut children[nibble(&key, *at)], key, value),
    }
}

/// Takes out a key that is there.
fn remove<V: Value>(link: &mut Link<V>, key: &B256) {
    let Some(node) = link else { return };
    let node = Arc::make_mut(node);
    node.reference = OnceLock::new();
    let Shape::Branch { at, children, .. } = &mut node.shape else {
        *link = None;
        return;
    };
    remove(&mut children[nibble(key, *at)], key);
    let mut left = children.iter_mut().filter(|child| child.is_some());
    // A branch has two children at least: the last one takes its place.
    if let (Some(last), None) = (left.next(), left.next()) {
        let last = last.take().map(moved);
        *link = last;
    }
}

/// The same node for another depth.
fn moved<V: Value>(mut node: Arc<Node<V>>) -> Arc<Node<V>> {
    Arc::make_mut(&mut node).reference = OnceLock::new();
    node
}

fn nibble(key: &B256, at: usize) -> usize {
    let byte = key[at / 2];
    usize::from(if at.is_multiple_of(2) { byte >> 4 } else { byte & 15 })
}

/// The first nibble before `end` in which two keys differ.
fn first_difference(a: &B256, b: &B256, end: usize) -> Option<usize> {
    let byte = a.iter().zip(b.iter()).position(|(a, b)| a != b)?;
    let at = 2 * byte + usize::from(a[byte] >> 4 == b[byte] >> 4);
    (at < end).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::U256;
    use alloy_trie::HashBuilder;
    use alloy_trie::proof::verify_proof;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// The root as another implementation works it out.
    fn expected(map: &BTreeMap<B256, U256>) -> B256 {
        let mut builder = HashBuilder::default();
        for (key, value) in map {
            builder.add_leaf(Nibbles::unpack(key), &alloy_rlp::encode(value));
        }
        builder.root()
    }

    /// Keys that share long prefixes and short ones.
    fn key() -> impl Strategy<Value = B256> {
        (0..4u8, 0..4u8, 0..32usize, 0..3u8).prop_map(|(first, other, at, byte)| {
            let mut key = B256::repeat_byte(first << 4);
            key[at] = byte << 4 | other;
            key
        })
    }

    proptest! {
        #[test]
        fn roots_and_proofs_are_those_of_another_implementation(
            changes in prop::collection::vec((key(), 0..4u64, any::<bool>()), 1..80), asked in key(),
        ) {
            let (mut trie, mut map) = (Trie::default(), BTreeMap::new());
            let mut past = Vec::new();
            for (key, value, wide) in changes {
                let value = if wide { U256::MAX - U256::from(value) } else { U256::from(value) };
                if value.is_zero() {
                    trie.remove(&key);
                    map.remove(&key);
                } else {
                    trie.insert(key, value);
                    map.insert(key, value);
                }
                prop_assert_eq!(trie.root(), expected(&map));
                past.push((trie.clone(), trie.root()));
            }
            for key in map.keys().chain([&asked]) {
                let value = map.get(key);
                prop_assert_eq!(trie.get(key), value);
                let proof = trie.prove(key);
                let value = value.map(alloy_rlp::encode);
                prop_assert!(verify_proof(trie.root(), Nibbles::unpack(key), value, &proof).is_ok() || map.is_empty());
            }
            // What came later has changed nothing in the clones.
            for (trie, root) in past {
                let again: Trie<U256> = leaves(&trie).into_iter().fold(Trie::default(), |mut again, (key, value)| {
                    again.insert(key, value);
                    again
                });
                prop_assert_eq!(again.root(), root);
            }
        }
    }

    fn leaves(trie: &Trie<U256>) -> Vec<(B256, U256)> {
        fn walk(node: Option<&Node<U256>>, out: &mut Vec<(B256, U256)>) {
            match node.map(|node| &node.shape) {
                None => {}
                Some(Shape::Leaf { key, value }) => out.push((*key, *value)),
                Some(Shape::Branch { children, .. }) => {
                    for child in children.iter() {
                        walk(child.as_deref(), out);
                    }
                }
            }
        }
        let mut out = Vec::new();
        walk(trie.0.as_deref(), &mut out);
        out
    }
}
