//! Proof that a transaction is in a block: relayers build it, the ledger checks it before it believes a deposit.
//!
//! A merkle branch alone proves too much, because Bitcoin's tree does not tell a leaf from an inner node (docs/adr/0024 has the
//! argument in full):
//! - an inner node could be presented as a transaction: it has 64 bytes, so no transaction of 64 bytes is accepted;
//! - whoever gets a transaction of 64 bytes into a block could present it as two hashes, with a forged transaction below one of
//!   them: so a branch through 64 bytes that could be a transaction has to show how deep the tree is. The branch of the block's
//!   first transaction does: that is a coinbase, with 36 fixed bytes that no two hashes can contain, so no branch goes on
//!   below it. No byte of the coinbase is needed, and an honest branch needs this once in 2^43 nodes, or if a miner wants it so.
//!
//! An odd level of the tree repeats its last node (CVE-2012-2459). The repeated node is the *left* one's copy, so a branch
//! that goes up from the right of two equal nodes starts at a leaf that does not exist: refused. From the left it is the
//! honest last leaf of an odd level, without which a good part of all transactions could not be proven.
//!
//! The same rules are in `BitcoinLightClient.requireIncluded`; tests compare the two on random input.

use bitcoin::block::Header;
use bitcoin::consensus::encode;
use bitcoin::hashes::{Hash, sha256d};
use bitcoin::{Block, BlockHash, Transaction, TxMerkleNode, Txid};
use serde::{Deserialize, Serialize};

/// Levels of the deepest possible block: 1,000,000 stripped bytes hold at most 16,666 transactions of 60 bytes.
pub const MAX_DEPTH: usize = 15;

/// Bytes of the largest possible stripped transaction: 4,000,000 weight units.
pub const MAX_TRANSACTION_BYTES: usize = 1_000_000;

/// Bytes that could also be two hashes of the tree.
const AMBIGUOUS_BYTES: usize = 64;

/// A merkle branch, from the leaf upwards; hashes in internal byte order.
pub type Branch = Vec<[u8; 32]>;

/// Bytes of both scripts of a transaction of 64 bytes.
const SCRIPT_BYTES: u8 = 4;

/// Shows that a transaction is leaf `index` of the block with a header. Matches the contracts' `InclusionProof`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InclusionProof {
    /// Of the block, on a chain that the verifier knows.
    pub header: Header,
    /// Position of the transaction in the block; the coinbase is 0.
    pub index: u32,
    /// The branch from the transaction to the merkle root.
    pub siblings: Branch,
    /// Empty, unless a node of the branch could be a transaction: the coinbase's txid, and its branch until it joins the
    /// transaction's.
    pub leftmost: Branch,
}

/// Why no proof could be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    #[error("transaction {txid} is not in block {block}")]
    Absent { txid: Txid, block: BlockHash },
    #[error("block {block} does not match its merkle root")]
    BadBlock { block: BlockHash },
    /// No verifier accepts it.
    #[error("transaction {txid} has 64 bytes and cannot be proven")]
    Ambiguous { txid: Txid },
}

/// Why a proof was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error("a transaction of {bytes} bytes, expected at most {MAX_TRANSACTION_BYTES}")]
    TooLarge { bytes: usize },
    #[error("a transaction of 64 bytes can be confused with two hashes of the tree")]
    Ambiguous,
    #[error("not exactly one transaction without witness: {0}")]
    BadTransaction(String),
    #[error("a branch of {depth} levels, expected at most {MAX_DEPTH}")]
    TooDeep { depth: usize },
    #[error("index {index} is outside a tree of {depth} levels")]
    IndexOutside { index: u32, depth: usize },
    #[error(
        "the two nodes at level {level} could be a transaction of 64 bytes, and the depth of the tree is not shown"
    )]
    AmbiguousNode { level: usize },
    #[error("the first transaction's branch has {got} nodes, expected {want}")]
    WrongDepth { got: usize, want: usize },
    #[error("the first transaction's txid has a coinbase's zeros, which no hash has")]
    NotATransaction,
    #[error("the first transaction's branch leads to {got}, expected {want} of the transaction's")]
    LeftmostMismatch { got: TxMerkleNode, want: TxMerkleNode },
    #[error("the node at level {level} is the copy of its left sibling")]
    Duplicated { level: usize },
    #[error("the transaction's branch leads to {got}, expected merkle root {want}")]
    WrongRoot { got: TxMerkleNode, want: TxMerkleNode },
}

impl InclusionProof {
    /// Builds the proof for the transaction `txid` of `block`.
    ///
    /// # Errors
    ///
    /// The block does not contain it, does not match its own merkle root, or the transaction can never be proven.
    pub fn build(block: &Block, txid: Txid) -> Result<Self, BuildError> {
        let block_hash = block.block_hash();
        let leaves: Vec<Txid> = block.txdata.iter().map(Transaction::compute_txid).collect();
        let levels = levels(leaves.iter().map(|txid| txid.to_byte_array()).collect());
        let root = levels.last().and_then(|level| level.first());
        if root != Some(block.header.merkle_root.as_byte_array()) {
            return Err(BuildError::BadBlock { block: block_hash });
        }
        let index = leaves.iter().position(|leaf| *leaf == txid);
        let index = index.ok_or(BuildError::Absent { txid, block: block_hash })?;
        if strip(&block.txdata[index]).len() == AMBIGUOUS_BYTES {
            return Err(BuildError::Ambiguous { txid });
        }
        let siblings = branch(&levels, index);
        let mut proof = Self { header: block.header, index: index as u32, siblings, leftmost: Vec::new() };
        if proof.climb(txid, Depth::Unknown).is_err() {
            let first = [vec![levels[0][0]], branch(&levels, 0)].concat();
            proof.leftmost = first.into_iter().take(proof.leftmost_nodes()).collect();
        }
        Ok(proof)
    }

    /// The block, which the verifier has to find on a chain that it trusts.
    pub fn block_hash(&self) -> BlockHash {
        self.header.block_hash()
    }

    /// Checks the proof of `transaction` (stripped) against the merkle root of the header, which the caller has found on a chain
    /// it trusts. Returns the txid, always recomputed.
    ///
    /// # Errors
    ///
    /// The first rule broken, see [`ProofError`].
    pub fn verify(&self, transaction: &[u8]) -> Result<Txid, ProofError> {
        let depth = self.siblings.len();
        if depth > MAX_DEPTH {
            return Err(ProofError::TooDeep { depth });
        }
        if self.index >> depth != 0 {
            return Err(ProofError::IndexOutside { index: self.index, depth });
        }
        parse_stripped(transaction)?;
        let shown = if self.leftmost.is_empty() { Depth::Unknown } else { self.check_depth()? };
        let txid = Txid::from_raw_hash(sha256d::Hash::hash(transaction));
        let (got, want) = (self.climb(txid, shown)?, self.header.merkle_root);
        if got == want { Ok(txid) } else { Err(ProofError::WrongRoot { got, want }) }
    }

    /// How many nodes of the first transaction's branch there are until it joins: where the branch turns right last.
    fn leftmost_nodes(&self) -> usize {
        (u32::BITS - self.index.leading_zeros()) as usize
    }

    /// The first transaction is as deep as the proven one.
    fn check_depth(&self) -> Result<Depth, ProofError> {
        let (got, want) = (self.leftmost.len(), self.leftmost_nodes());
        if got != want || want == 0 {
            return Err(ProofError::WrongDepth { got, want });
        }
        // Half of a coinbase of 64 bytes would make the tree a level deeper.
        if self.leftmost[0][5..].iter().all(|byte| *byte == 0) {
            return Err(ProofError::NotATransaction);
        }
        let got = self.leftmost[1..].iter().fold(self.leftmost[0], |node, sibling| parent(&node, sibling));
        let want = self.siblings[want - 1];
        if got != want {
            let (got, want) = (TxMerkleNode::from_byte_array(got), TxMerkleNode::from_byte_array(want));
            return Err(ProofError::LeftmostMismatch { got, want });
        }
        Ok(Depth::Shown)
    }

    /// Climbs the branch from the leaf to the root.
    fn climb(&self, leaf: Txid, depth: Depth) -> Result<TxMerkleNode, ProofError> {
        let mut node = leaf.to_byte_array();
        for (level, sibling) in self.siblings.iter().enumerate() {
            let right = self.index >> level & 1 == 1;
            if right && node == *sibling {
                return Err(ProofError::Duplicated { level });
            }
            let (first, second) = if right { (sibling, &node) } else { (&node, sibling) };
            // The branch of the first transaction shows its depth itself.
            if depth == Depth::Unknown && self.index != 0 && could_be_transaction(first, second) {
                return Err(ProofError::AmbiguousNode { level });
            }
            node = parent(first, second);
        }
        Ok(TxMerkleNode::from_byte_array(node))
    }
}

/// Whether a proof has shown how deep the tree is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Unknown,
    Shown,
}

/// Whether 64 bytes, in two halves, could be a transaction: one input, one output, scripts of 4 bytes together, and an amount
/// below 2^51 sat. All that Bitcoin allows of this size are among these; of random nodes one in 2^43 is.
pub fn could_be_transaction(left: &[u8; 32], right: &[u8; 32]) -> bool {
    // The input's script begins at byte 42 of 64; outputs are counted 4 bytes behind its end.
    let script = right[9];
    if left[4] != 1 || script > SCRIPT_BYTES {
        return false;
    }
    let outputs = 14 + usize::from(script);
    right[outputs] == 1
        && right[outputs + 7] < 8
        && right[outputs + 8] == 0
        && right[outputs + 9] == SCRIPT_BYTES - script
}

/// A transaction's bytes without witness; their hash is its txid.
pub fn strip(transaction: &Transaction) -> Vec<u8> {
    let mut stripped = transaction.clone();
    for input in &mut stripped.input {
        input.witness.clear();
    }
    encode::serialize(&stripped)
}

/// Reads exactly one transaction without witness, of any size except 64 bytes.
///
/// # Errors
///
/// `TooLarge`, `Ambiguous`, or `BadTransaction` for trailing bytes, witnesses, no inputs, and encodings not the shortest.
pub fn parse_stripped(bytes: &[u8]) -> Result<Transaction, ProofError> {
    if bytes.len() > MAX_TRANSACTION_BYTES {
        return Err(ProofError::TooLarge { bytes: bytes.len() });
    }
    if bytes.len() == AMBIGUOUS_BYTES {
        return Err(ProofError::Ambiguous);
    }
    let bad = |reason: &str| Err(ProofError::BadTransaction(reason.to_owned()));
    let transaction: Transaction =
        encode::deserialize(bytes).map_err(|error| ProofError::BadTransaction(error.to_string()))?;
    if transaction.input.is_empty() || transaction.output.is_empty() {
        return bad("no inputs or no outputs");
    }
    if encode::serialize(&transaction) != bytes || strip(&transaction).len() != bytes.len() {
        return bad("carries a witness, or is not encoded in the one canonical way");
    }
    Ok(transaction)
}

/// The tree's levels, leaves first, root last. Each odd level except the root is as if it ended with a copy of its last node.
fn levels(leaves: Vec<[u8; 32]>) -> Vec<Vec<[u8; 32]>> {
    let mut levels = vec![leaves];
    while let Some(level) = levels.last()
        && level.len() > 1
    {
        let next = level.chunks(2).map(|pair| parent(&pair[0], pair.last().unwrap_or(&pair[0]))).collect();
        levels.push(next);
    }
    levels
}

fn branch(levels: &[Vec<[u8; 32]>], index: usize) -> Branch {
    let below_root = levels.iter().take(levels.len().saturating_sub(1));
    below_root
        .enumerate()
        .map(|(height, level)| {
            let node = index >> height;
            *level.get(node ^ 1).unwrap_or(&level[node])
        })
        .collect()
}

fn parent(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut both = [0; 64];
    both[..32].copy_from_slice(left);
    both[32..].copy_from_slice(right);
    sha256d::Hash::hash(&both).to_byte_array()
}
