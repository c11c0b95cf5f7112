//! Trees of hashes: one signature under many leaves, and for each leaf a path that leads to what was signed.
//!
//! ```text
//!            root              node = keccak256(the lesser child | the greater)
//!           /    \             leaf = keccak256(32 bytes), so a leaf is never taken for a node
//!        node     \            one without a sibling moves up as it is
//!       /    \     \
//!     leaf  leaf  leaf         path of the first: its sibling, then the third
//! ```
//! These are the trees of OpenZeppelin's `MerkleProof` and its standard tree, so a contract or a page checks a path with what it has.

use alloy_primitives::{B256, FixedBytesSliceExt as _, keccak256};

/// Leaves of one tree, so that a path fits a header of an HTTP answer: 10 hashes.
pub const MAX_LEAVES: usize = 1 << MAX_DEPTH;

/// Hashes of one path.
pub const MAX_DEPTH: usize = 10;

/// All of one tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// From the leaves to the root.
    levels: Vec<Vec<B256>>,
}

impl Tree {
    /// None without leaves, or with more than [`MAX_LEAVES`].
    #[must_use]
    pub fn of(leaves: Vec<B256>) -> Option<Self> {
        if leaves.is_empty() || leaves.len() > MAX_LEAVES {
            return None;
        }
        let mut levels = vec![leaves];
        while let Some(last) = levels.last().filter(|last| last.len() > 1) {
            let above = last.chunks(2).map(|pair| pair.iter().copied().reduce(node).expect("a chunk is not empty"));
            levels.push(above.collect());
        }
        Some(Self { levels })
    }

    #[must_use]
    pub fn root(&self) -> B256 {
        self.levels.last().expect("there is a leaf")[0]
    }

    /// The path of the leaf with this index, from 0.
    #[must_use]
    pub fn path(&self, index: usize) -> Vec<B256> {
        let sibling = |(height, level): (usize, &Vec<B256>)| level.get((index >> height) ^ 1).copied();
        self.levels.iter().enumerate().filter_map(sibling).collect()
    }
}

/// Where a path leads from a leaf; none if it is longer than one of ours.
#[must_use]
pub fn root(leaf: B256, path: &[B256]) -> Option<B256> {
    (path.len() <= MAX_DEPTH).then(|| path.iter().copied().fold(leaf, node))
}

fn node(a: B256, b: B256) -> B256 {
    let (lesser, greater) = if a < b { (a, b) } else { (b, a) };
    keccak256([lesser, greater].as_flattened())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(number: usize) -> B256 {
        keccak256(number.to_be_bytes())
    }

    #[test]
    fn every_leaf_of_a_tree_of_any_size_leads_to_its_root_and_nothing_else_does() {
        for count in (1..70).chain([1_000, MAX_LEAVES]) {
            let tree = Tree::of((0..count).map(leaf).collect()).unwrap();
            for index in 0..count {
                let path = tree.path(index);
                assert_eq!(root(leaf(index), &path), Some(tree.root()), "{index} of {count}");
                assert_ne!(root(leaf(count), &path), Some(tree.root()), "{index} of {count}");
            }
        }
    }

    #[test]
    fn a_tree_and_a_path_have_a_bound() {
        assert_eq!(Tree::of(Vec::new()), None);
        assert_eq!(Tree::of(vec![leaf(0); MAX_LEAVES + 1]), None);
        assert_eq!(root(leaf(0), &[leaf(1); MAX_DEPTH + 1]), None);
    }
}
