//! Proof that a transaction is in a block: relayers build it, the ledger checks it before it believes a deposit.
//!
//! A merkle branch alone proves too much. Bitcoin's tree does not tell a leaf from an inner node: whoever gets a 64-byte
//! transaction into a block can present it as two hashes with a forged transaction below, or present two hashes as a
//! transaction. So a proof carries the block's coinbase and its branch too. A coinbase is leaf 0 and starts with 36 fixed
//! bytes after the version, which no inner node can be made to contain; its branch therefore shows how deep the leaves are,
//! and a transaction at any other depth is refused. A transaction of exactly 64 bytes is refused wherever it stands.
//!
//! An odd level of the tree repeats its last node (CVE-2012-2459). The repeated node is the *left* one's copy, so a branch
//! that goes up from the right of two equal nodes starts at a leaf that does not exist: refused. From the left it is the
//! honest last leaf of an odd level, without which a good part of all transactions could not be proven; and for the
//! coinbase, never last in a level with siblings, both are refused.
//!
//! The same rules are in `BitcoinLightClient.requireIncluded`; tests compare the two on random input.

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

/// Shows that a transaction is leaf `index` of block `block_hash`. Matches the contracts' `InclusionProof`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InclusionProof {
    /// The block, on a chain that the verifier knows.
    pub block_hash: BlockHash,
    /// Position of the transaction in the block; the coinbase is 0.
    pub index: u32,
    /// The branch from the transaction to the merkle root.
    pub siblings: Branch,
    /// The block's coinbase transaction without witness.
    pub coinbase: Vec<u8>,
    /// The branch from the coinbase to the merkle root; its length is the depth of the tree.
    pub coinbase_siblings: Branch,
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
    #[error("not a coinbase: its one input has to spend nothing")]
    BadCoinbase,
    #[error("a branch of {depth} levels, expected at most {MAX_DEPTH}")]
    TooDeep { depth: usize },
    #[error("a branch of {got} levels, but the block's coinbase is {want} levels deep")]
    WrongDepth { got: usize, want: usize },
    #[error("index {index} is outside a tree of {depth} levels")]
    IndexOutside { index: u32, depth: usize },
    #[error("the node at level {level} is the copy of its left sibling")]
    Duplicated { level: usize },
    #[error("the transaction's branch leads to {got}, expected merkle root {want}")]
    WrongRoot { got: TxMerkleNode, want: TxMerkleNode },
    #[error("the coinbase's branch leads to {got}, expected merkle root {want}")]
    WrongCoinbaseRoot { got: TxMerkleNode, want: TxMerkleNode },
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
        Ok(Self {
            block_hash,
            index: index as u32,
            siblings: branch(&levels, index),
            coinbase: strip(&block.txdata[0]),
            coinbase_siblings: branch(&levels, 0),
        })
    }

    /// Checks the proof of `transaction` (stripped) against the merkle root of the header of `block_hash`, which the caller
    /// has found on a chain it trusts. Returns the txid, always recomputed.
    ///
    /// # Errors
    ///
    /// The first rule broken, see [`ProofError`].
    pub fn verify(&self, transaction: &[u8], merkle_root: TxMerkleNode) -> Result<Txid, ProofError> {
        let want = self.coinbase_siblings.len();
        if want > MAX_DEPTH {
            return Err(ProofError::TooDeep { depth: want });
        }
        if self.siblings.len() != want {
            return Err(ProofError::WrongDepth { got: self.siblings.len(), want });
        }
        if self.index >> want != 0 {
            return Err(ProofError::IndexOutside { index: self.index, depth: want });
        }

        let coinbase = parse_stripped(&self.coinbase)?;
        if !coinbase.is_coinbase() {
            return Err(ProofError::BadCoinbase);
        }
        let got = climb(&self.coinbase, 0, &self.coinbase_siblings, Forbidden::Both)?;
        if got != merkle_root {
            return Err(ProofError::WrongCoinbaseRoot { got, want: merkle_root });
        }

        parse_stripped(transaction)?;
        let got = climb(transaction, self.index, &self.siblings, Forbidden::Right)?;
        if got != merkle_root {
            return Err(ProofError::WrongRoot { got, want: merkle_root });
        }
        Ok(Txid::from_raw_hash(sha256d::Hash::hash(transaction)))
    }
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

/// On which side of an equal sibling a node must not be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Forbidden {
    Right,
    Both,
}

/// Climbs the branch from a leaf to the root.
fn climb(leaf: &[u8], index: u32, siblings: &[[u8; 32]], forbidden: Forbidden) -> Result<TxMerkleNode, ProofError> {
    let mut node = sha256d::Hash::hash(leaf).to_byte_array();
    for (level, sibling) in siblings.iter().enumerate() {
        let right = index >> level & 1 == 1;
        if node == *sibling && (right || forbidden == Forbidden::Both) {
            return Err(ProofError::Duplicated { level });
        }
        node = if right { parent(sibling, &node) } else { parent(&node, sibling) };
    }
    Ok(TxMerkleNode::from_byte_array(node))
}

fn parent(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut both = [0; 64];
    both[..32].copy_from_slice(left);
    both[32..].copy_from_slice(right);
    sha256d::Hash::hash(&both).to_byte_array()
}
