//! Proofs that some leaves are all that a trie has in a range of keys, for whoever copies a trie piece by piece.
//!
//! ```text
//!            root                    nodes on the ways to both ends of the range are shown (`prove_range`)
//!          /  |   \
//!        .. [    ] ..                what lies between them is built again from the leaves alone, and must hash to what
//!      from ------- to               the shown nodes say of it
//! ```
//! So nothing can be left out, added, changed or moved; whoever sent a wrong piece is found with that piece. Every node of
//! the range comes out of the check, so a trie whose pieces were all checked is complete, and needs no second pass.

use std::collections::BTreeMap;

use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::Encodable as _;
use alloy_trie::{
    EMPTY_ROOT_HASH, Nibbles, TrieMask,
    nodes::{BranchNodeRef, ExtensionNodeRef, LeafNodeRef, RlpNode},
};

use super::{Child, Node, NodeReader, decode, leaf_row, prove};
use crate::state::store::StoreError;

/// The last key there can be.
pub const LAST_KEY: B256 = B256::repeat_byte(0xff);

/// A key and its value.
pub type Leaf = (B256, Vec<u8>);

/// What is stored at a path from the root: see [`super`].
pub type StoredNode = (Nibbles, Vec<u8>);

/// Why leaves are not those of a range. Whoever sent them is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    #[error("key {key} follows {before}, expected a larger one")]
    Order { before: B256, key: B256 },
    #[error("key {key} is not between {from} and {to}")]
    Outside { key: B256, from: B256, to: B256 },
    #[error("the leaf of key {0} is not in the trie")]
    Added(B256),
    #[error("the trie has leaves at path {0:?} that are not shown")]
    Omitted(Nibbles),
    #[error("the leaves at path {0:?} do not hash to what the trie has there")]
    Changed(Nibbles),
    #[error("the proof lacks the node with hash {hash} at path {path:?}")]
    Unproven { path: Nibbles, hash: B256 },
    #[error("a node of the proof does not decode: {0}")]
    Node(String),
}

/// The nodes that prove the leaves from `from` to `to`, both inclusive: those on the ways to both ends.
///
/// # Errors
///
/// When the store fails or lacks a node.
pub fn prove_range<R: NodeReader>(reader: &R, from: B256, to: B256) -> Result<Vec<Bytes>, StoreError> {
    let mut nodes = if from.is_zero() { Vec::new() } else { prove(reader, from)? };
    if to != LAST_KEY {
        let second = prove(reader, to)?;
        let shared = nodes.iter().zip(&second).take_while(|(first, second)| first == second).count();
        nodes.extend_from_slice(&second[shared..]);
    }
    Ok(nodes)
}

/// Checks that `leaves` are exactly those that the trie with `root` has from `from` to `to`, both inclusive. Answers its
/// nodes there, and those on the ways to both ends.
///
/// # Errors
///
/// See [`RangeError`].
pub fn verify_range(
    root: B256,
    (from, to): (B256, B256),
    leaves: &[Leaf],
    proof: &[Bytes],
) -> Result<Vec<StoredNode>, RangeError> {
    check_keys(from, to, leaves)?;
    let proof = proof.iter().map(|rlp| (keccak256(rlp), rlp.as_ref())).collect();
    let mut check = Check { from, to, proof, nodes: Vec::new() };
    let root = (root != EMPTY_ROOT_HASH).then(|| RlpNode::word_rlp(&root));
    check.subtree(Nibbles::new(), root.as_ref(), leaves)?;
    Ok(check.nodes)
}

fn check_keys(from: B256, to: B256, leaves: &[Leaf]) -> Result<(), RangeError> {
    if let Some(pair) = leaves.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
        return Err(RangeError::Order { before: pair[0].0, key: pair[1].0 });
    }
    let outside = [leaves.first(), leaves.last()].into_iter().flatten().find(|leaf| leaf.0 < from || leaf.0 > to);
    outside.map_or(Ok(()), |leaf| Err(RangeError::Outside { key: leaf.0, from, to }))
}

struct Check<'a> {
    from: B256,
    to: B256,
    /// By hash.
    proof: BTreeMap<B256, &'a [u8]>,
    /// What was checked so far.
    nodes: Vec<StoredNode>,
}

impl Check<'_> {
    /// Checks the leaves below a path against what the trie says of it: `None` for nothing.
    fn subtree(&mut self, path: Nibbles, want: Option<&RlpNode>, leaves: &[Leaf]) -> Result<(), RangeError> {
        let Some(want) = want else {
            return leaves.first().map_or(Ok(()), |leaf| Err(RangeError::Added(leaf.0)));
        };
        let (first, last) = (padded(&path, 0x00), padded(&path, 0xff));
        if last < self.from || first > self.to {
            // No leaf of the range is here: the keys were checked.
            return Ok(());
        }
        if first < self.from || last > self.to {
            return self.opened(path, want, leaves);
        }
        if leaves.is_empty() {
            return Err(RangeError::Omitted(path));
        }
        let (rlp, row) = self.build(path, leaves);
        if reference(&path, &rlp) != *want {
            return Err(RangeError::Changed(path));
        }
        self.keep(path, rlp, row);
        Ok(())
    }

    /// Checks the leaves below a node that is partly outside of the range, by what the proof shows of it.
    fn opened(&mut self, path: Nibbles, want: &RlpNode, leaves: &[Leaf]) -> Result<(), RangeError> {
        let rlp = match want.as_hash() {
            Some(hash) => self.proof.get(&hash).copied().ok_or(RangeError::Unproven { path, hash })?.to_vec(),
            None => want.to_vec(),
        };
        let node = decode(&rlp, &path).map_err(|error| RangeError::Node(error.to_string()))?;
        self.keep(path, rlp, leaf_row(&node));
        match node {
            Node::Leaf { key, value } => self.single(path.join(&key), &value, leaves),
            Node::Extension { key, child } => {
                let below = path.join(&key);
                if let Some(leaf) = leaves.iter().find(|leaf| !Nibbles::unpack(leaf.0).starts_with(&below)) {
                    return Err(RangeError::Added(leaf.0));
                }
                self.subtree(below, known(&child), leaves)
            }
            Node::Branch { children } => {
                let mut rest = leaves;
                for (nibble, child) in (0u8..).zip(children.iter()) {
                    let (below, here) = split(path, nibble, &mut rest);
                    self.subtree(below, known(child), here)?;
                }
                Ok(())
            }
        }
    }

    /// Checks that the leaf at a full path is the one shown, if it is in the range.
    fn single(&self, path: Nibbles, value: &[u8], leaves: &[Leaf]) -> Result<(), RangeError> {
        let key = padded(&path, 0);
        if let Some(other) = leaves.iter().find(|leaf| leaf.0 != key) {
            return Err(RangeError::Added(other.0));
        }
        match leaves.first() {
            None if self.from <= key && key <= self.to => Err(RangeError::Omitted(path)),
            Some(leaf) if leaf.1 != value => Err(RangeError::Changed(path)),
            _ => Ok(()),
        }
    }

    /// RLP of the node at `path` over some leaves, at least one, and what is stored of it if that is something else; keeps the nodes
    /// below it.
    fn build(&mut self, path: Nibbles, leaves: &[Leaf]) -> (Vec<u8>, Option<Vec<u8>>) {
        let mut rlp = Vec::new();
        let (first, last) = (Nibbles::unpack(leaves[0].0), Nibbles::unpack(leaves[leaves.len() - 1].0));
        if let [(_, value)] = leaves {
            let key = first.slice(path.len()..);
            LeafNodeRef::new(&key, value).encode(&mut rlp);
            return (rlp, leaf_row(&Node::Leaf { key, value: Vec::new() }));
        }
        let common = first.common_prefix_length(&last);
        if common > path.len() {
            let child = self.child(first.slice(..common), leaves);
            ExtensionNodeRef::new(&first.slice(path.len()..common), &child).encode(&mut rlp);
            return (rlp, None);
        }
        let (mut stack, mut mask, mut rest) = (Vec::with_capacity(16), TrieMask::default(), leaves);
        for nibble in 0..16 {
            let (below, here) = split(path, nibble, &mut rest);
            if !here.is_empty() {
                stack.push(self.child(below, here));
                mask.set_bit(nibble);
            }
        }
        BranchNodeRef::new(&stack, mask).encode(&mut rlp);
        (rlp, None)
    }

    fn child(&mut self, path: Nibbles, leaves: &[Leaf]) -> RlpNode {
        let (rlp, row) = self.build(path, leaves);
        let reference = RlpNode::from_rlp(&rlp);
        self.keep(path, rlp, row);
        reference
    }

    /// Keeps a node that has a place of its own in the store; `row` is what is stored if that is not its RLP.
    fn keep(&mut self, path: Nibbles, rlp: Vec<u8>, row: Option<Vec<u8>>) {
        if rlp.len() >= 32 || path.is_empty() {
            self.nodes.push((path, row.unwrap_or(rlp)));
        }
    }
}

/// How a parent, or for the root whoever asks, refers to a node.
fn reference(path: &Nibbles, rlp: &[u8]) -> RlpNode {
    if path.is_empty() { RlpNode::word_rlp(&keccak256(rlp)) } else { RlpNode::from_rlp(rlp) }
}

/// A child of a decoded node.
fn known(child: &Child) -> Option<&RlpNode> {
    match child {
        Child::Reference(reference) => Some(reference),
        Child::Empty | Child::Node(_) => None,
    }
}

/// Takes from `rest` the leaves below a child of a branch, and names the child's path. Children are taken in order.
fn split<'a>(path: Nibbles, nibble: u8, rest: &mut &'a [Leaf]) -> (Nibbles, &'a [Leaf]) {
    let depth = path.len();
    let mut below = path;
    below.push(nibble);
    let count = rest.partition_point(|leaf| nibble_at(&leaf.0, depth) <= nibble);
    let (here, after) = rest.split_at(count);
    *rest = after;
    (below, here)
}

fn nibble_at(key: &B256, depth: usize) -> u8 {
    let byte = key[depth / 2];
    if depth.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f }
}

/// The first (`fill` 0x00) or the last (0xff) key below a path.
fn padded(path: &Nibbles, fill: u8) -> B256 {
    let mut key = B256::repeat_byte(fill);
    for (depth, nibble) in path.iter().enumerate() {
        let byte = &mut key[depth / 2];
        *byte = if depth.is_multiple_of(2) { nibble << 4 | *byte & 0x0f } else { *byte & 0xf0 | nibble };
    }
    key
}

#[cfg(test)]
mod tests;
