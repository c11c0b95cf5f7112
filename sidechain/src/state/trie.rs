//! Merkle-Patricia tries with stored nodes: incremental roots, and proofs.
//!
//! Every node whose RLP has at least 32 bytes is in the store under its path from the root, one nibble a byte; smaller
//! nodes stand inside their parent, as the yellow paper (appendix D) wants. So an update loads, per changed key, one node for
//! each level, and a proof is a walk. The root node always stands at the empty path, however small it is.
//!
//! Of a leaf only the rest of its key is stored: its value is in the flat table of accounts or slots already. So a value that
//! changes changes no leaf in the store. The first byte tells: branches and extensions are RLP lists (from 0xc0), the rest of a
//! leaf's key is hex-prefix encoded (0x20 to 0x3f).
//!
//! Keys are hashes, hence of equal length: a branch never has a value of its own.

pub mod range;

use std::collections::BTreeMap;

use alloy_primitives::{B256, Bytes, keccak256};
pub use alloy_trie::Nibbles;
use alloy_trie::{
    EMPTY_ROOT_HASH, TrieMask,
    nodes::{BranchNodeRef, ExtensionNodeRef, LeafNodeRef, RlpNode, TrieNode, encode_path_leaf},
};

use super::store::StoreError;
use crate::stop::{Stop, Stopped};

/// Nibbles of a key: keys are hashes.
const KEY_NIBBLES: usize = 64;

/// Where the nodes of one trie come from.
pub trait NodeReader {
    /// What is stored at a path: RLP of a branch or an extension, or the rest of a leaf's key.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn node(&self, path: &Nibbles) -> Result<Option<Vec<u8>>, StoreError>;

    /// The value that the trie has for a key, as in its leaf.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn value(&self, key: B256) -> Result<Option<Vec<u8>>, StoreError>;
}

/// What an update does to the stored nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The new root.
    pub root: B256,
    /// By path, in order: nodes that differ from what is stored.
    pub nodes: Vec<NodeChange>,
}

/// A node that changes in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeChange {
    /// Nibbles from the root.
    pub path: Nibbles,
    /// Row stored so far.
    pub before: Option<Vec<u8>>,
    /// Row to store; `None` to delete.
    pub after: Option<Vec<u8>>,
}

/// A trie being changed. Nodes are loaded as they are needed, and written by [`Trie::commit`] alone.
pub struct Trie<'a, R> {
    reader: &'a R,
    root: Child,
    /// Nodes that were loaded, as stored.
    loaded: BTreeMap<Nibbles, Vec<u8>>,
}

#[derive(Debug)]
enum Node {
    Leaf { key: Nibbles, value: Vec<u8> },
    Extension { key: Nibbles, child: Child },
    Branch { children: Box<[Child; 16]> },
}

/// What a node refers to.
#[derive(Debug, Default)]
enum Child {
    #[default]
    Empty,
    /// Not loaded: the hash of a stored node, or the RLP of a small one.
    Reference(RlpNode),
    /// In memory, perhaps changed.
    Node(Box<Node>),
}

impl<'a, R: NodeReader> Trie<'a, R> {
    /// Opens a trie by its root; nothing is loaded yet.
    pub fn open(reader: &'a R, root: B256) -> Self {
        let root = if root == EMPTY_ROOT_HASH { Child::Empty } else { Child::Reference(RlpNode::word_rlp(&root)) };
        Self { reader, root, loaded: BTreeMap::new() }
    }

    /// Sets the value of a key; `None` removes it.
    ///
    /// # Errors
    ///
    /// When the store fails or lacks a node.
    pub fn set(&mut self, key: B256, value: Option<Vec<u8>>) -> Result<(), StoreError> {
        let key = Nibbles::unpack(key);
        let root = std::mem::take(&mut self.root);
        let node = self.resolve(root, &Nibbles::new(), Some(&key))?;
        self.root = match value {
            Some(value) => self.insert(node, Nibbles::new(), key, value)?,
            None => self.remove(node, Nibbles::new(), key)?,
        };
        Ok(())
    }

    /// Computes the root, and which stored nodes change.
    ///
    /// # Errors
    ///
    /// When it is stopped.
    pub fn commit(mut self, stop: &Stop) -> Result<Commit, Stopped> {
        let mut nodes = Vec::new();
        let root = match std::mem::take(&mut self.root) {
            Child::Empty => EMPTY_ROOT_HASH,
            Child::Reference(reference) => reference.as_hash().unwrap_or(EMPTY_ROOT_HASH),
            Child::Node(node) => {
                let leaf = leaf_row(&node);
                let rlp = self.encode(*node, Nibbles::new(), &mut nodes, stop)?;
                let root = keccak256(&rlp);
                self.keep(Nibbles::new(), leaf.unwrap_or(rlp), &mut nodes);
                root
            }
        };
        // What was loaded and has no node of at least 32 bytes at its path now is gone.
        nodes.extend(std::mem::take(&mut self.loaded).into_iter().map(|(path, before)| NodeChange {
            path,
            before: Some(before),
            after: None,
        }));
        nodes.sort_unstable_by_key(|change| change.path);
        Ok(Commit { root, nodes })
    }

    /// Loads what a child refers to. `replaced` is the rest of the key whose value will be replaced or removed: a leaf's value
    /// is then not needed, and stays empty.
    fn resolve(
        &mut self,
        child: Child,
        path: &Nibbles,
        replaced: Option<&Nibbles>,
    ) -> Result<Option<Node>, StoreError> {
        match child {
            Child::Empty => Ok(None),
            Child::Node(node) => Ok(Some(*node)),
            Child::Reference(reference) if reference.is_hash() => {
                let row = self.reader.node(path)?.ok_or_else(|| missing(path))?;
                let node = match leaf_key(&row, path)? {
                    Some(key) if replaced == Some(&key) => Node::Leaf { key, value: Vec::new() },
                    Some(key) => Node::Leaf { key, value: leaf_value(self.reader, path, &key)? },
                    None => decode(&row, path)?,
                };
                self.loaded.insert(*path, row);
                Ok(Some(node))
            }
            Child::Reference(reference) => Ok(Some(decode(&reference, path)?)),
        }
    }

    fn insert(&mut self, node: Option<Node>, path: Nibbles, key: Nibbles, value: Vec<u8>) -> Result<Child, StoreError> {
        let node = match node {
            None => Node::Leaf { key, value },
            Some(Node::Leaf { key: other, .. }) if other == key => Node::Leaf { key, value },
            Some(Node::Leaf { key: other, value: other_value }) => {
                let common = key.common_prefix_length(&other);
                let mut children = Box::<[Child; 16]>::default();
                children[index(&other, common)] = leaf(other.slice(common + 1..), other_value);
                children[index(&key, common)] = leaf(key.slice(common + 1..), value);
                extend(key.slice(..common), Node::Branch { children })
            }
            Some(Node::Extension { key: other, child }) => {
                let common = key.common_prefix_length(&other);
                if common == other.len() {
                    let below = path.join(&other);
                    let rest = key.slice(common..);
                    let node = self.resolve(child, &below, Some(&rest))?;
                    let child = self.insert(node, below, rest, value)?;
                    Node::Extension { key: other, child }
                } else {
                    let mut children = Box::<[Child; 16]>::default();
                    let rest = other.slice(common + 1..);
                    children[index(&other, common)] = if rest.is_empty() {
                        child
                    } else {
                        Child::Node(Box::new(Node::Extension { key: rest, child }))
                    };
                    children[index(&key, common)] = leaf(key.slice(common + 1..), value);
                    extend(key.slice(..common), Node::Branch { children })
                }
            }
            Some(Node::Branch { mut children }) => {
                let (below, rest) = (path.join(&key.slice(..1)), key.slice(1..));
                let slot = &mut children[index(&key, 0)];
                let node = self.resolve(std::mem::take(slot), &below, Some(&rest))?;
                *slot = self.insert(node, below, rest, value)?;
                Node::Branch { children }
            }
        };
        Ok(Child::Node(Box::new(node)))
    }

    fn remove(&mut self, node: Option<Node>, path: Nibbles, key: Nibbles) -> Result<Child, StoreError> {
        let node = match node {
            None => return Ok(Child::Empty),
            Some(Node::Leaf { key: other, .. }) if other == key => return Ok(Child::Empty),
            Some(leaf @ Node::Leaf { .. }) => leaf,
            Some(Node::Extension { key: other, child }) if key.starts_with(&other) => {
                let (below, rest) = (path.join(&other), key.slice(other.len()..));
                let node = self.resolve(child, &below, Some(&rest))?;
                // A branch has at least two children, so something is left.
                match self.remove(node, below, rest)? {
                    Child::Node(node) => extend(other, *node),
                    child => Node::Extension { key: other, child },
                }
            }
            Some(extension @ Node::Extension { .. }) => extension,
            Some(Node::Branch { mut children }) => {
                let (below, rest) = (path.join(&key.slice(..1)), key.slice(1..));
                let slot = &mut children[index(&key, 0)];
                let node = self.resolve(std::mem::take(slot), &below, Some(&rest))?;
                *slot = self.remove(node, below, rest)?;
                self.collapse(children, &path)?
            }
        };
        Ok(Child::Node(Box::new(node)))
    }

    /// A branch with a single child becomes that child, one nibble longer.
    fn collapse(&mut self, mut children: Box<[Child; 16]>, path: &Nibbles) -> Result<Node, StoreError> {
        let mut used = (0..16).filter(|nibble| !matches!(children[*nibble], Child::Empty));
        let (Some(only), None) = (used.next(), used.next()) else {
            return Ok(Node::Branch { children });
        };
        let nibble = Nibbles::from_nibbles([u8::try_from(only).expect("a nibble is below 16")]);
        let below = path.join(&nibble);
        let child = std::mem::take(&mut children[only]);
        let node = self.resolve(child, &below, None)?.ok_or_else(|| missing(&below))?;
        Ok(extend(nibble, node))
    }

    /// RLP of a node; notes changed nodes below it.
    fn encode(
        &mut self,
        node: Node,
        path: Nibbles,
        nodes: &mut Vec<NodeChange>,
        stop: &Stop,
    ) -> Result<Vec<u8>, Stopped> {
        use alloy_rlp::Encodable;
        stop.check()?;
        let mut rlp = Vec::new();
        match node {
            Node::Leaf { key, value } => LeafNodeRef::new(&key, &value).encode(&mut rlp),
            Node::Extension { key, child } => {
                let child = self.reference(child, path.join(&key), nodes, stop)?;
                ExtensionNodeRef::new(&key, child.as_ref().map_or(&[], |child| child)).encode(&mut rlp);
            }
            Node::Branch { children } => {
                let mut stack = Vec::with_capacity(16);
                let mut mask = TrieMask::default();
                for (nibble, child) in (0u8..).zip(*children) {
                    let mut below = path;
                    below.push(nibble);
                    if let Some(child) = self.reference(child, below, nodes, stop)? {
                        stack.push(child);
                        mask.set_bit(nibble);
                    }
                }
                BranchNodeRef::new(&stack, mask).encode(&mut rlp);
            }
        }
        Ok(rlp)
    }

    fn reference(
        &mut self,
        child: Child,
        path: Nibbles,
        nodes: &mut Vec<NodeChange>,
        stop: &Stop,
    ) -> Result<Option<RlpNode>, Stopped> {
        Ok(match child {
            Child::Empty => None,
            Child::Reference(reference) => Some(reference),
            Child::Node(node) => {
                let leaf = leaf_row(&node);
                let rlp = self.encode(*node, path, nodes, stop)?;
                let reference = RlpNode::from_rlp(&rlp);
                if reference.is_hash() {
                    self.keep(path, leaf.unwrap_or(rlp), nodes);
                }
                Some(reference)
            }
        })
    }

    /// Notes that a node stands at a path from now on.
    fn keep(&mut self, path: Nibbles, row: Vec<u8>, nodes: &mut Vec<NodeChange>) {
        let before = self.loaded.remove(&path);
        if before.as_ref() != Some(&row) {
            nodes.push(NodeChange { path, before, after: Some(row) });
        }
    }
}

/// The proof that a key has a value, or none: RLP nodes from the root on, as `eth_getProof` gives them.
///
/// # Errors
///
/// When the store fails or lacks a node.
pub fn prove<R: NodeReader>(reader: &R, key: B256) -> Result<Vec<Bytes>, StoreError> {
    let key = Nibbles::unpack(key);
    let mut proof = Vec::new();
    let mut path = Nibbles::new();
    let Some(mut row) = reader.node(&path)? else {
        return Ok(proof);
    };
    loop {
        if let Some(rest) = leaf_key(&row, &path)? {
            let mut rlp = Vec::new();
            alloy_rlp::Encodable::encode(&LeafNodeRef::new(&rest, &leaf_value(reader, &path, &rest)?), &mut rlp);
            proof.push(Bytes::from(rlp));
            return Ok(proof);
        }
        let mut node = decode(&row, &path)?;
        proof.push(Bytes::from(row));
        // Small nodes are part of the one just pushed.
        let below = loop {
            let child = match node {
                Node::Leaf { .. } => return Ok(proof),
                Node::Extension { key: part, child } => {
                    path.extend(&part);
                    child
                }
                Node::Branch { mut children } => {
                    let nibble = key.get_unchecked(path.len());
                    path.push(nibble);
                    std::mem::take(&mut children[usize::from(nibble)])
                }
            };
            if !key.starts_with(&path) {
                return Ok(proof);
            }
            match child {
                Child::Reference(reference) if reference.is_hash() => break reader.node(&path)?,
                Child::Reference(reference) => node = decode(&reference, &path)?,
                Child::Empty | Child::Node(_) => return Ok(proof),
            }
        };
        row = below.ok_or_else(|| missing(&path))?;
    }
}

/// A node with some nibbles in front of it.
fn extend(prefix: Nibbles, node: Node) -> Node {
    match node {
        node if prefix.is_empty() => node,
        Node::Leaf { key, value } => Node::Leaf { key: prefix.join(&key), value },
        Node::Extension { key, child } => Node::Extension { key: prefix.join(&key), child },
        branch @ Node::Branch { .. } => Node::Extension { key: prefix, child: Child::Node(Box::new(branch)) },
    }
}

fn leaf(key: Nibbles, value: Vec<u8>) -> Child {
    Child::Node(Box::new(Node::Leaf { key, value }))
}

fn index(key: &Nibbles, position: usize) -> usize {
    usize::from(key.get_unchecked(position))
}

/// What is stored of a leaf: the rest of its key. None for other nodes.
fn leaf_row(node: &Node) -> Option<Vec<u8>> {
    let Node::Leaf { key, .. } = node else { return None };
    Some(encode_path_leaf(key, true).to_vec())
}

/// The rest of a leaf's key, if the row at `path` is a leaf's.
fn leaf_key(row: &[u8], path: &Nibbles) -> Result<Option<Nibbles>, StoreError> {
    let Some(first @ 0x20..=0x3f) = row.first().copied() else { return Ok(None) };
    let mut key = Nibbles::unpack(&row[1..]);
    if first & 0x10 != 0 {
        key = Nibbles::from_nibbles([first & 0x0f]).join(&key);
    }
    if path.len() + key.len() == KEY_NIBBLES {
        Ok(Some(key))
    } else {
        Err(corrupt(path, "is a leaf at another depth than its key's"))
    }
}

/// The value of the leaf at `path` with the rest `key` of its key.
fn leaf_value<R: NodeReader>(reader: &R, path: &Nibbles, key: &Nibbles) -> Result<Vec<u8>, StoreError> {
    let key = B256::from_slice(&path.join(key).pack());
    reader.value(key)?.ok_or_else(|| corrupt(path, "is a leaf without a value"))
}

fn decode(rlp: &[u8], path: &Nibbles) -> Result<Node, StoreError> {
    use alloy_rlp::Decodable;
    let left = KEY_NIBBLES.saturating_sub(path.len());
    match TrieNode::decode(&mut &*rlp) {
        Ok(TrieNode::Leaf(leaf)) if leaf.key.len() != left => {
            Err(corrupt(path, "is a leaf at another depth than its key's"))
        }
        Ok(TrieNode::Extension(extension)) if extension.key.is_empty() || extension.key.len() >= left => {
            Err(corrupt(path, "is an extension beyond its keys"))
        }
        Ok(TrieNode::Branch(_)) if left == 0 => Err(corrupt(path, "is a branch beyond its keys")),
        Ok(TrieNode::Leaf(leaf)) => Ok(Node::Leaf { key: leaf.key, value: leaf.value }),
        Ok(TrieNode::Extension(extension)) => {
            Ok(Node::Extension { key: extension.key, child: Child::Reference(extension.child) })
        }
        Ok(TrieNode::Branch(branch)) => {
            let mut children = Box::<[Child; 16]>::default();
            for (nibble, child) in branch.state_mask.iter().zip(branch.stack) {
                children[usize::from(nibble)] = Child::Reference(child);
            }
            Ok(Node::Branch { children })
        }
        Ok(TrieNode::EmptyRoot) => Err(corrupt(path, "is empty")),
        Err(error) => Err(corrupt(path, &format!("does not decode: {error}"))),
    }
}

fn missing(path: &Nibbles) -> StoreError {
    corrupt(path, "is missing")
}

fn corrupt(path: &Nibbles, what: &str) -> StoreError {
    StoreError::Corrupt { table: "trie nodes", detail: format!("the node at path {path:?} {what}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;
    use alloy_trie::{HashBuilder, proof::verify_proof};
    use proptest::prelude::*;

    /// Nodes and values.
    #[derive(Default)]
    pub(super) struct Stored(pub(super) BTreeMap<Nibbles, Vec<u8>>, BTreeMap<B256, Vec<u8>>);

    impl NodeReader for Stored {
        fn node(&self, path: &Nibbles) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(self.0.get(path).cloned())
        }

        fn value(&self, key: B256) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(self.1.get(&key).cloned())
        }
    }

    impl Stored {
        pub(super) fn apply(&mut self, root: B256, updates: &[(B256, Option<Vec<u8>>)]) -> B256 {
            let mut trie = Trie::open(self, root);
            for (key, value) in updates {
                trie.set(*key, value.clone()).expect("all nodes are there");
            }
            let Commit { root, nodes } = trie.commit(&Stop::never()).expect("nobody stops it");
            for NodeChange { path, before, after } in nodes {
                assert_eq!(self.0.get(&path), before.as_ref(), "before of {path:?}");
                match after {
                    Some(after) => self.0.insert(path, after),
                    None => self.0.remove(&path),
                };
            }
            for (key, value) in updates {
                match value {
                    Some(value) => self.1.insert(*key, value.clone()),
                    None => self.1.remove(key),
                };
            }
            root
        }
    }

    fn naive_root(model: &BTreeMap<B256, Vec<u8>>) -> B256 {
        let mut builder = HashBuilder::default();
        for (key, value) in model {
            builder.add_leaf(Nibbles::unpack(key), value);
        }
        builder.root()
    }

    /// Keys that share long prefixes, so that extensions and small nodes inside others appear.
    pub(super) fn key() -> impl Strategy<Value = B256> {
        (0u8..4, 0u8..3, 0u8..8, any::<bool>()).prop_map(|(head, middle, tail, deep)| {
            let mut key = B256::repeat_byte(0x11);
            key[0] = head << 4;
            key[15] = middle;
            key[31] = tail;
            if deep {
                key[30] = tail << 3;
            }
            key
        })
    }

    fn update() -> impl Strategy<Value = (B256, Option<Vec<u8>>)> {
        (key(), prop::option::weighted(0.7, prop::collection::vec(1u8..255, 1..40)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn the_root_after_any_updates_is_the_naive_one_and_every_proof_verifies(
            rounds in prop::collection::vec(prop::collection::vec(update(), 0..30), 1..6),
            asked in prop::collection::vec(key(), 8),
        ) {
            let mut stored = Stored::default();
            let mut model = BTreeMap::new();
            let mut root = EMPTY_ROOT_HASH;
            for updates in &rounds {
                root = stored.apply(root, updates);
                for (key, value) in updates {
                    match value {
                        Some(value) => model.insert(*key, value.clone()),
                        None => model.remove(key),
                    };
                }
                prop_assert_eq!(root, naive_root(&model));
            }
            for key in asked.iter().chain(model.keys()) {
                let proof = prove(&stored, *key).expect("all nodes are there");
                let value = model.get(key).cloned();
                prop_assert!(verify_proof(root, Nibbles::unpack(key), value, &proof).is_ok());
            }
            // Nothing is left behind: an equal trie built at once has the same nodes.
            let mut fresh = Stored::default();
            let all: Vec<_> = model.into_iter().map(|(key, value)| (key, Some(value))).collect();
            prop_assert_eq!(fresh.apply(EMPTY_ROOT_HASH, &all), root);
            prop_assert_eq!(fresh.0, stored.0);
        }
    }

    #[test]
    fn computing_a_root_ends_when_it_is_stopped() {
        let stored = Stored::default();
        let mut trie = Trie::open(&stored, EMPTY_ROOT_HASH);
        for number in 0u64..1_000 {
            trie.set(keccak256(number.to_be_bytes()), Some(vec![7; 40])).expect("nothing is loaded");
        }
        let stop = Stop::default();
        stop.stop();
        assert_eq!(trie.commit(&stop), Err(Stopped));
    }

    #[test]
    fn a_value_that_changes_changes_no_leaf_in_the_store() {
        let (mut stored, key) = (Stored::default(), B256::repeat_byte);
        stored.apply(EMPTY_ROOT_HASH, &[(key(1), Some(vec![7; 40]))]);
        let root = stored.apply(naive_root(&stored.1), &[(key(0x21), Some(vec![8; 40]))]);
        let leaves = |stored: &Stored| stored.0.values().filter(|row| row[0] < 0x40).cloned().collect::<Vec<_>>();
        let before = leaves(&stored);
        assert_eq!(before.iter().map(Vec::len).collect::<Vec<_>>(), [32, 32], "63 nibbles and the prefix");
        let changed = stored.apply(root, &[(key(1), Some(vec![9; 40]))]);
        assert_eq!(changed, naive_root(&stored.1));
        assert_eq!(leaves(&stored), before);
    }

    #[test]
    fn many_random_keys_give_the_naive_root() {
        let mut stored = Stored::default();
        let mut model = BTreeMap::new();
        let mut root = EMPTY_ROOT_HASH;
        for round in 0u64..20 {
            let updates: Vec<_> = (0..200u64)
                .map(|i| {
                    let key = keccak256((round * 37 % 11 * 200 + i).to_be_bytes());
                    let value = (i % 5 != round % 5).then(|| alloy_rlp::encode(U256::from(round * 1000 + i + 1)));
                    (key, value)
                })
                .collect();
            root = stored.apply(root, &updates);
            for (key, value) in updates {
                match value {
                    Some(value) => model.insert(key, value),
                    None => model.remove(&key),
                };
            }
            assert_eq!(root, naive_root(&model), "round {round}");
        }
    }
}
