//! Blocks and transactions made for tests, at a target that two hashes meet.

use bitcoin::block::{Header, Version};
use bitcoin::hashes::Hash;
use bitcoin::transaction::Version as TransactionVersion;
use bitcoin::{
    Amount, Block, BlockHash, CompactTarget, OutPoint, ScriptBuf, Sequence, Target, Transaction, TxIn, TxMerkleNode,
    TxOut, Txid, Witness,
};
use mainchain::Network;
use mainchain::header::{hash_bytes, to_bytes};

/// The easiest target, regtest's limit.
pub const LIMIT: u32 = 0x207f_ffff;
/// When chains begin here, in seconds since 1970.
pub const START: u32 = 1_700_000_000;

/// A header that meets the target it states; `salt` tells siblings apart where there is no `root`.
#[must_use]
pub fn mine(previous: BlockHash, time: u32, bits: u32, salt: u64, root: Option<TxMerkleNode>) -> Header {
    let mut merkle_root = [0; 32];
    merkle_root[..8].copy_from_slice(&salt.to_le_bytes());
    let mut header = Header {
        version: Version::NO_SOFT_FORK_SIGNALLING,
        prev_blockhash: previous,
        merkle_root: root.unwrap_or_else(|| TxMerkleNode::from_byte_array(merkle_root)),
        time,
        bits: CompactTarget::from_consensus(bits),
        nonce: 0,
    };
    while !meets_target(&header) {
        header.nonce += 1;
    }
    header
}

/// Its hash.
#[must_use]
pub fn hash(header: &Header) -> BlockHash {
    hash_bytes(&to_bytes(header))
}

/// Whether it has the work that it states.
#[must_use]
pub fn meets_target(header: &Header) -> bool {
    Target::from_compact(header.bits).is_met_by(hash(header))
}

/// Spends a fixed outpoint; `salt` is the amount in satoshis.
#[must_use]
pub fn transaction(salt: u64, script_bytes: usize) -> Transaction {
    Transaction {
        version: TransactionVersion::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::new(Txid::from_byte_array([7; 32]), 1),
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::from_slice(&[[salt as u8; 64]]),
        }],
        output: vec![TxOut { value: Amount::from_sat(salt), script_pubkey: ScriptBuf::from(vec![0x51; script_bytes]) }],
    }
}

/// A coinbase.
#[must_use]
pub fn coinbase() -> Transaction {
    let mut coinbase = transaction(5_000_000_000, 34);
    coinbase.input[0].previous_output = OutPoint::null();
    coinbase.input[0].script_sig = ScriptBuf::from(vec![1, 1, 0]);
    coinbase
}

/// A block on regtest's genesis.
#[must_use]
pub fn block(transactions: Vec<Transaction>) -> Block {
    block_on(&Network::Regtest.genesis(), START, transactions)
}

/// A block on another.
///
/// # Panics
///
/// Never: it has transactions.
#[must_use]
pub fn block_on(previous: &Header, time: u32, transactions: Vec<Transaction>) -> Block {
    let mut block = Block { header: *previous, txdata: [vec![coinbase()], transactions].concat() };
    let root = block.compute_merkle_root().expect("has transactions");
    block.header = mine(hash(previous), time, LIMIT, 0, Some(root));
    block
}
