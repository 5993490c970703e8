//! The tree of hashes under a root, and the proofs that cut it into pieces which are checked one by one.
//!
//! A blob is cut into *groups* of 64 KiB, the leaves of what we keep of BLAKE3's tree, and into *parts* of 64 groups, the
//! unit that is asked for. The proof of a part is its groups' hashes and the hashes beside the way up from the part to the
//! root. Its length follows from the blob's size, so nobody has to be believed about it.
//!
//! A size that was only claimed is proved by the last group: BLAKE3 puts the place and the length of the last chunk into
//! its hash, and every other size leads to another tree.

use std::ops::Range;

use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

use super::Root;

/// Bytes of a group: what is checked and counted as there, whole.
pub(crate) const GROUP: u64 = 64 << 10;
/// A part has `2^PART_LEVEL` groups.
pub(crate) const PART_LEVEL: u32 = 6;
/// Groups of a part.
pub(crate) const PART_GROUPS: u64 = 1 << PART_LEVEL;
/// The largest blob there can be: 16 TiB. Sums of offsets below stay far from overflow.
pub(crate) const MAX_SIZE: u64 = 1 << 44;

/// The hash of a group or of a larger subtree: BLAKE3's chaining value.
pub(crate) type Node = [u8; 32];

/// What follows from a blob's size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shape {
    size: u64,
}

impl Shape {
    /// `None` if no blob may be that large.
    pub(crate) fn new(size: u64) -> Option<Shape> {
        (size <= MAX_SIZE).then_some(Shape { size })
    }

    pub(crate) fn size(self) -> u64 {
        self.size
    }

    /// The empty blob has one group, of no bytes.
    pub(crate) fn groups(self) -> u64 {
        self.size.div_ceil(GROUP).max(1)
    }

    pub(crate) fn parts(self) -> u64 {
        self.groups().div_ceil(PART_GROUPS)
    }

    /// The bytes of some groups.
    pub(crate) fn bytes(self, groups: Range<u64>) -> Range<u64> {
        (groups.start * GROUP).min(self.size)..(groups.end * GROUP).min(self.size)
    }

    /// How many bytes a group has: only the last one may have fewer than the others.
    pub(crate) fn len_of(self, group: u64) -> usize {
        let bytes = self.bytes(group..group + 1);
        (bytes.end - bytes.start) as usize
    }

    /// The groups that hold some bytes.
    pub(crate) fn groups_of(self, bytes: Range<u64>) -> Range<u64> {
        let end = bytes.end.min(self.size);
        if bytes.start >= end { 0..0 } else { bytes.start / GROUP..end.div_ceil(GROUP) }
    }

    pub(crate) fn groups_of_part(self, part: u64) -> Range<u64> {
        part * PART_GROUPS..((part + 1) * PART_GROUPS).min(self.groups())
    }

    /// How many nodes a level has; groups are level 0.
    fn width(self, level: u32) -> u64 {
        self.groups().div_ceil(1 << level)
    }

    /// The level of the root.
    fn top(self) -> u32 {
        self.groups().next_power_of_two().trailing_zeros()
    }

    /// How many nodes there are below the root.
    pub(crate) fn nodes(self) -> u64 {
        self.place(self.top(), 0)
    }

    /// Where a node is kept: the levels lie one after the other, the groups first.
    fn place(self, level: u32, index: u64) -> u64 {
        (0..level).map(|below| self.width(below)).sum::<u64>() + index
    }

    /// The nodes beside the way from `part` to the root, as (level, index), from below.
    fn beside(self, part: u64) -> impl Iterator<Item = (u32, u64)> {
        (PART_LEVEL..self.top()).filter_map(move |level| {
            let index = (part >> (level - PART_LEVEL)) ^ 1;
            (index < self.width(level)).then_some((level, index))
        })
    }

    /// How many nodes the proof of a part has.
    pub(crate) fn proof_len(self, part: u64) -> usize {
        if self.groups() == 1 {
            return 0;
        }
        let groups = self.groups_of_part(part);
        (groups.end - groups.start) as usize + self.beside(part).count()
    }

    /// Where the nodes of a part's proof are kept, in the proof's order.
    pub(crate) fn proof_places(self, part: u64) -> Vec<Range<u64>> {
        if self.groups() == 1 {
            return Vec::new();
        }
        let beside = self.beside(part).map(|(level, index)| {
            let place = self.place(level, index);
            place..place + 1
        });
        std::iter::once(self.groups_of_part(part)).chain(beside).collect()
    }
}

/// The hash of one group of a blob that has more than one.
pub(crate) fn hash_group(group: u64, bytes: &[u8]) -> Node {
    blake3::Hasher::new().set_input_offset(group * GROUP).update(bytes).finalize_non_root()
}

/// The groups of a part whose hashes are proved to belong to the root.
#[derive(Clone, Debug)]
pub(crate) struct Proved {
    root: Root,
    shape: Shape,
    pub(crate) part: u64,
    groups: Vec<Node>,
}

impl Proved {
    /// Checks the proof of a part. `None`: somebody lied.
    pub(crate) fn check(root: Root, shape: Shape, part: u64, proof: &[Node]) -> Option<Proved> {
        if part >= shape.parts() || proof.len() != shape.proof_len(part) {
            return None;
        }
        let range = shape.groups_of_part(part);
        let groups = proof[..if proof.is_empty() { 0 } else { (range.end - range.start) as usize }].to_vec();
        let proved = Proved { root, shape, part, groups };
        // One group is the whole blob: its own hash is the root, and is checked with its bytes.
        (proof.is_empty() || Root::new(proved.climb(&proof[proved.groups.len()..])) == root).then_some(proved)
    }

    /// The hash at the top, given the nodes beside the way.
    fn climb(&self, beside: &[Node]) -> Node {
        let mut above = Vec::new();
        let top = self.fold(|level, _, nodes| {
            if level == self.shape.top().min(PART_LEVEL) {
                above.extend_from_slice(nodes);
            }
        });
        let Some(mut node) = top.or_else(|| above.first().copied()) else {
            return [0; 32];
        };
        for ((level, index), sibling) in self.shape.beside(self.part).zip(beside) {
            let (left, right) = if index & 1 == 0 { (sibling, &node) } else { (&node, sibling) };
            node = merge(left, right, level + 1 == self.shape.top());
        }
        node
    }

    /// Goes through the levels of this part's own tree, the groups first: (level, index of the first node, nodes). Returns
    /// the root if the part is the whole blob.
    fn fold(&self, mut level_is: impl FnMut(u32, u64, &[Node])) -> Option<Node> {
        let top = self.shape.top();
        let mut nodes = self.groups.clone();
        for level in 0..=PART_LEVEL.min(top) {
            level_is(level, self.part << (PART_LEVEL - level), &nodes);
            if level < PART_LEVEL.min(top) {
                nodes = raise(&nodes, level + 1 == top);
            }
        }
        (top <= PART_LEVEL).then(|| nodes.first().copied()).flatten()
    }

    /// Everything that this proof shows of the tree, as runs of nodes and where they are kept. `proof` is the checked one.
    pub(crate) fn nodes(&self, proof: &[Node]) -> Vec<(u64, Vec<Node>)> {
        let mut runs = Vec::new();
        if self.groups.is_empty() {
            return runs;
        }
        self.fold(|level, first, nodes| {
            if level < self.shape.top() {
                runs.push((self.shape.place(level, first), nodes.to_vec()));
            }
        });
        for ((level, index), node) in self.shape.beside(self.part).zip(&proof[self.groups.len()..]) {
            runs.push((self.shape.place(level, index), vec![*node]));
        }
        runs
    }

    /// Whether these are the bytes of a group of this part.
    pub(crate) fn holds(&self, group: u64, bytes: &[u8]) -> bool {
        let range = self.shape.groups_of_part(self.part);
        if !range.contains(&group) || bytes.len() != self.shape.len_of(group) {
            return false;
        }
        match self.groups.get((group - range.start) as usize) {
            None => Root::of(bytes) == self.root,
            Some(node) => hash_group(group, bytes) == *node,
        }
    }
}

fn merge(left: &Node, right: &Node, root: bool) -> Node {
    if root {
        merge_subtrees_root(left, right, Mode::Hash).into()
    } else {
        merge_subtrees_non_root(left, right, Mode::Hash)
    }
}

/// The level above some neighbouring nodes, of which the first has an even index. One without a neighbour rises as it is:
/// BLAKE3's left subtrees are full.
pub(crate) fn raise(nodes: &[Node], root: bool) -> Vec<Node> {
    let pair = |pair: &[Node]| match pair {
        [left, right] => merge(left, right, root),
        alone => alone[0],
    };
    nodes.chunks(2).map(pair).collect()
}

/// How the upper levels of a whole tree are made from the level of groups: for each level from the bottom, where it begins
/// and how many nodes it has. The last one is the root.
pub(crate) fn levels(shape: Shape) -> Vec<(u64, u64)> {
    (0..=shape.top()).map(|level| (shape.place(level, 0), shape.width(level))).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The whole tree of some bytes, in memory.
    pub(crate) fn tree(bytes: &[u8]) -> Vec<Node> {
        let shape = Shape::new(bytes.len() as u64).unwrap();
        if shape.groups() == 1 {
            return Vec::new();
        }
        let mut level: Vec<Node> = bytes
            .chunks(GROUP as usize)
            .enumerate()
            .map(|(at, group)| hash_group(at as u64, group))
            .collect();
        let mut all = Vec::new();
        while level.len() > 1 {
            all.extend_from_slice(&level);
            level = raise(&level, level.len() == 2);
        }
        assert_eq!(Root::new(level[0]), Root::of(bytes));
        all
    }

    pub(crate) fn proof(shape: Shape, tree: &[Node], part: u64) -> Vec<Node> {
        let places = shape.proof_places(part);
        places.into_iter().flat_map(|run| tree[run.start as usize..run.end as usize].to_vec()).collect()
    }

    pub(crate) fn some_bytes(len: usize, seed: u8) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
        bytes
    }

    const G: usize = GROUP as usize;
    const P: usize = G * PART_GROUPS as usize;

    #[test]
    fn every_part_of_every_shape_is_proved() {
        for len in [0, 1, G - 1, G, G + 1, 3 * G, P - 1, P, P + 1, 2 * P, 2 * P + G + 7, 5 * P + 3 * G + 1] {
            let bytes = some_bytes(len, 1);
            let shape = Shape::new(len as u64).unwrap();
            let tree = tree(&bytes);
            assert_eq!(shape.nodes(), tree.len() as u64, "{len}");
            let mut known = vec![None; tree.len()];
            for part in 0..shape.parts() {
                let proof = proof(shape, &tree, part);
                assert_eq!(proof.len(), shape.proof_len(part), "{len}");
                let proved = Proved::check(Root::of(&bytes), shape, part, &proof).unwrap();
                for group in shape.groups_of_part(part) {
                    let place = shape.bytes(group..group + 1);
                    assert!(proved.holds(group, &bytes[place.start as usize..place.end as usize]));
                }
                for (place, nodes) in proved.nodes(&proof) {
                    for (at, node) in nodes.into_iter().enumerate() {
                        known[place as usize + at] = Some(node);
                    }
                }
            }
            assert!(
                known.iter().zip(&tree).all(|(known, node)| known.is_none_or(|known| known == *node)),
                "{len}"
            );
            for run in (0..shape.parts()).flat_map(|part| shape.proof_places(part)) {
                assert!(known[run.start as usize..run.end as usize].iter().all(Option::is_some), "{len}");
            }
        }
    }

    #[test]
    fn a_size_that_lies_is_found_out_by_the_last_group() {
        let bytes = some_bytes(P + 3 * G + 9, 2);
        let (root, tree) = (Root::of(&bytes), tree(&bytes));
        let right = Shape::new(bytes.len() as u64).unwrap();
        for claimed in [1, G, P, P + G, bytes.len() - 1, bytes.len() + 1, P + 4 * G, P + 5 * G, 2 * P, 9 * P]
        {
            let shape = Shape::new(claimed as u64).unwrap();
            let (last, group) = (shape.parts() - 1, shape.groups() - 1);
            let mut proof = proof(right, &tree, right.parts() - 1);
            proof.resize(shape.proof_len(last), [7; 32]);
            let place = shape.bytes(group..group + 1);
            let tail: Vec<u8> =
                (place.start..place.end).map(|at| bytes.get(at as usize).copied().unwrap_or(0)).collect();
            let fooled = Proved::check(root, shape, last, &proof).is_some_and(|p| p.holds(group, &tail));
            assert!(!fooled, "{claimed}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn one_wrong_bit_anywhere_is_seen(len in 1..3 * P, pick in any::<u64>(), bit in 0u8..8) {
            let bytes = some_bytes(len, 3);
            let (shape, root) = (Shape::new(len as u64).unwrap(), Root::of(&bytes));
            let tree = tree(&bytes);
            let part = pick % shape.parts();
            let mut proof = proof(shape, &tree, part);
            let group = part * PART_GROUPS;
            let place = shape.bytes(group..group + 1);
            let mut data = bytes[place.start as usize..place.end as usize].to_vec();
            let at = (pick >> 20) as usize % data.len();
            data[at] ^= 1 << bit;
            prop_assert!(!Proved::check(root, shape, part, &proof).unwrap().holds(group, &data));
            if !proof.is_empty() {
                let at = (pick >> 20) as usize % proof.len();
                proof[at][(pick >> 50) as usize % 32] ^= 1 << bit;
                prop_assert!(Proved::check(root, shape, part, &proof).is_none());
            }
        }

        #[test]
        fn any_size_any_proof(size in any::<u64>(), part in any::<u64>(), proof in prop::collection::vec(any::<Node>(), 0..80)) {
            if let Some(shape) = Shape::new(size) {
                prop_assert!(shape.groups() == 1 || Proved::check(Root::of(b""), shape, part % shape.parts(), &proof).is_none());
            }
        }
    }
}
