//! Merkle trees whose form follows from the number of their leaves.
//!
//! Each level pairs neighbours; a last node without a neighbour goes up as it is. There is no padding and nothing is doubled, so
//! that a list has one root and a proof has one length, both fixed by the leaf's index and the number of leaves.

use crate::hash::{Digest, Tag, tagged};

/// How many levels one opening shows: 16 nodes instead of one.
pub const OPENED: u32 = 4;

/// A node from its two children.
pub(crate) fn node(left: &Digest, right: &Digest) -> Digest {
    tagged(Tag::Node, &[left, right])
}

/// How many nodes a level has, counted from the leaves.
pub fn width(leaves: u64, level: u32) -> u64 {
    if level >= 64 {
        u64::from(leaves > 0)
    } else {
        (leaves >> level) + u64::from(leaves & ((1 << level) - 1) != 0)
    }
}

/// The level of the root.
pub fn height(leaves: u64) -> u32 {
    leaves.max(1).next_power_of_two().trailing_zeros()
}

/// A tree with all its nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    /// The tree over these leaves, which are hashes already.
    pub fn new(leaves: Vec<Digest>) -> Tree {
        let mut levels = vec![leaves];
        while let Some(last) = levels.last()
            && last.len() > 1
        {
            let above = up(last);
            levels.push(above);
        }
        Tree { levels }
    }

    /// How many leaves it has.
    pub fn leaves(&self) -> u64 {
        self.levels[0].len() as u64
    }

    /// A leaf, if there is one of this number.
    pub fn leaf(&self, index: u64) -> Option<Digest> {
        self.levels[0].get(usize::try_from(index).ok()?).copied()
    }

    /// A node by its level, counted from the leaves, and its place there.
    pub fn node(&self, level: u32, index: u64) -> Option<Digest> {
        self.levels.get(level as usize)?.get(usize::try_from(index).ok()?).copied()
    }

    /// The root; zeros if there are no leaves.
    pub fn root(&self) -> Digest {
        self.levels.last().and_then(|level| level.first()).copied().unwrap_or_default()
    }

    /// What shows that a leaf is in it: the neighbours on the way up.
    pub fn path(&self, index: u64) -> Vec<Digest> {
        let mut at = index as usize;
        let mut path = Vec::new();
        for level in &self.levels[..self.levels.len() - 1] {
            path.extend(level.get(at ^ 1));
            at /= 2;
        }
        path
    }

    /// The nodes below one node, as many levels down as one opening shows.
    pub fn below(&self, level: u32, index: u64) -> Vec<Digest> {
        let down = level.min(OPENED);
        let Some(nodes) = self.levels.get((level - down) as usize) else { return Vec::new() };
        let from = ((index << down) as usize).min(nodes.len());
        nodes[from..nodes.len().min(from + (1 << down))].to_vec()
    }
}

fn up(level: &[Digest]) -> Vec<Digest> {
    let pair = |pair: &[Digest]| match pair {
        [left, right] => node(left, right),
        _ => pair[0],
    };
    level.chunks(2).map(pair).collect()
}

/// The root that a leaf and its path lead to, if the path has the length it must have.
pub fn climb(leaf: Digest, index: u64, leaves: u64, path: &[Digest]) -> Option<Digest> {
    if index >= leaves {
        return None;
    }
    let (mut at, mut width, mut node_at) = (index, leaves, leaf);
    let mut path = path.iter();
    while width > 1 {
        if at ^ 1 < width {
            let beside = path.next()?;
            node_at = if at & 1 == 0 { node(&node_at, beside) } else { node(beside, &node_at) };
        }
        at /= 2;
        width = width.div_ceil(2);
    }
    path.next().is_none().then_some(node_at)
}

/// What the nodes below one node come to, if there are as many as there must be.
pub fn fold(leaves: u64, level: u32, index: u64, below: &[Digest]) -> Option<Digest> {
    let down = level.min(OPENED);
    if down == 0 || index >= width(leaves, level) || below.len() as u64 != count_below(leaves, level, index) {
        return None;
    }
    let mut nodes = below.to_vec();
    for _ in 0..down {
        nodes = up(&nodes);
    }
    nodes.first().copied()
}

/// How many nodes one opening of a node shows.
pub fn count_below(leaves: u64, level: u32, index: u64) -> u64 {
    let down = level.min(OPENED);
    let from = index << down;
    width(leaves, level - down).saturating_sub(from).min(1 << down)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(n: u64) -> Vec<Digest> {
        (0..n).map(|i| tagged(Tag::Words, &[&i.to_le_bytes()])).collect()
    }

    #[test]
    fn each_leaf_has_one_proof_in_one_place() {
        for n in 1..40 {
            let tree = Tree::new(leaves(n));
            assert_eq!(height(n), tree.levels.len() as u32 - 1);
            for i in 0..n {
                let (leaf, path) = (tree.leaf(i).unwrap(), tree.path(i));
                assert_eq!(climb(leaf, i, n, &path), Some(tree.root()));
                // Not elsewhere, not in a list of another length, not with a path of another length.
                for j in (0..n + 2).filter(|j| *j != i) {
                    assert_ne!(climb(leaf, j, n, &path), Some(tree.root()), "{i} of {n} as {j}");
                }
                for m in (1..45).filter(|m| *m != n) {
                    let there = climb(leaf, i, m, &path) == Some(tree.root());
                    // The same place in lists of two lengths may have one path; the length is bound beside the root.
                    assert!(!there || same_way(i, n, m), "{i} of {n} as of {m}");
                }
                let longer = [path.clone(), vec![[0; 32]]].concat();
                assert_eq!(climb(leaf, i, n, &longer), None);
                if let Some((_, shorter)) = path.split_last() {
                    assert_eq!(climb(leaf, i, n, shorter), None);
                }
            }
        }
    }

    /// Whether leaf `i` has neighbours on the same sides in lists of both lengths.
    fn same_way(i: u64, n: u64, m: u64) -> bool {
        let sides = |n: u64| -> Vec<bool> {
            let there = (0..height(n)).filter(|level| (i >> level) ^ 1 < width(n, *level));
            there.map(|level| i >> level & 1 == 1).collect()
        };
        sides(n) == sides(m)
    }

    #[test]
    fn a_last_leaf_is_not_doubled() {
        let three = leaves(3);
        let doubled = [three.clone(), vec![three[2]]].concat();
        assert_ne!(Tree::new(three).root(), Tree::new(doubled).root());
    }

    #[test]
    fn a_node_is_no_leaf() {
        let all = leaves(4);
        let tree = Tree::new(all.clone());
        let nodes = vec![node(&all[0], &all[1]), node(&all[2], &all[3])];
        // The nodes of the level above have the same root as a list of two: what tells them apart is the tag of what is hashed
        // into a leaf, and the number of leaves.
        assert_eq!(Tree::new(nodes.clone()).root(), tree.root());
        assert_eq!(climb(nodes[0], 0, 4, &[nodes[1]]), None);
    }

    #[test]
    fn descending_ends_at_the_leaf() {
        for n in [1, 2, 5, 16, 17, 31, 33, 256, 257, 1000] {
            let tree = Tree::new(leaves(n));
            for target in [0, n / 3, n / 2, n - 1] {
                let (mut level, mut index, mut at) = (height(n), 0, tree.root());
                let mut rounds = 0;
                while level > 0 {
                    let below = tree.below(level, index);
                    assert_eq!(fold(n, level, index, &below), Some(at));
                    assert_eq!(fold(n, level, index, &below[1..]), None);
                    let down = level.min(OPENED);
                    level -= down;
                    let child = (target >> level) - (index << down);
                    index = (index << down) + child;
                    at = below[child as usize];
                    rounds += 1;
                }
                assert_eq!((Some(at), index), (tree.leaf(target), target));
                assert_eq!(rounds, height(n).div_ceil(OPENED));
            }
        }
    }
}
