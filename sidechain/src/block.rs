//! Blocks, transactions and receipts: Ethereum's own types and encodings, and the few rules that need no state.

use alloy_consensus::transaction::{Recovered, SignerRecoverable};
pub use alloy_consensus::{Header, TxEnvelope};
use alloy_consensus::{ReceiptEnvelope, Transaction as _, proofs::calculate_transaction_root};
use alloy_eips::{
    Decodable2718,
    eip1559::{BaseFeeParams, calc_next_block_base_fee},
};
use alloy_primitives::{Address, B256};
use alloy_rlp::{BufMut, Decodable, Encodable};
use api::free_lane;

use crate::limits::{MAX_TRANSACTION_BYTES, MIN_BASE_FEE};

/// A transaction with its sender, which is recovered once: in the workers of the RPC and of gossip.
pub type Transaction = Recovered<TxEnvelope>;

/// A transaction as its sender will sign it.
pub type Unsigned = alloy_consensus::TypedTransaction;

/// A receipt as hashed into the block: status, cumulative gas, bloom and logs.
pub type Receipt = ReceiptEnvelope;

/// A block as proposed, gossiped and stored. RLP: `[header, [transactions]]`; the hash is the header's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Ethereum header, fork Osaka.
    pub header: Header,
    /// In order of execution.
    pub transactions: Vec<TxEnvelope>,
}

impl Block {
    /// keccak256 of the RLP header. Computed at each call.
    pub fn hash(&self) -> B256 {
        self.header.hash_slow()
    }

    /// Height; the genesis block has 0.
    pub const fn number(&self) -> u64 {
        self.header.number
    }

    /// Whether the transactions are those the header commits to. Decoding checks it.
    pub fn is_whole(&self) -> bool {
        calculate_transaction_root(&self.transactions) == self.header.transactions_root
    }

    fn payload_length(&self) -> usize {
        self.header.length() + self.transactions.length()
    }
}

impl Encodable for Block {
    fn encode(&self, out: &mut dyn BufMut) {
        alloy_rlp::Header { list: true, payload_length: self.payload_length() }.encode(out);
        self.header.encode(out);
        self.transactions.encode(out);
    }

    fn length(&self) -> usize {
        let payload = self.payload_length();
        payload + alloy_rlp::length_of_length(payload)
    }
}

impl Decodable for Block {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut payload = alloy_rlp::Header::decode_bytes(buf, true)?;
        let block = Self { header: Header::decode(&mut payload)?, transactions: Vec::decode(&mut payload)? };
        if !payload.is_empty() {
            return Err(alloy_rlp::Error::UnexpectedLength);
        }
        // The hash says nothing about the transactions except for this root: without the check, whoever passes a block on
        // could put others under the same hash.
        if !block.is_whole() {
            return Err(alloy_rlp::Error::Custom("the transactions are not those of the header"));
        }
        Ok(block)
    }
}

/// Why raw bytes are not a transaction this chain takes. The sender of the bytes is at fault in every case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// Not an EIP-2718 transaction.
    #[error("not a transaction: {0}")]
    Encoding(String),
    /// EIP-4844.
    #[error("blob transactions (type 3) are not supported by this chain")]
    Blob,
    /// Signature invalid, or its s value in the upper half (EIP-2).
    #[error("invalid signature")]
    Signature,
    /// Signed for another chain, or, before EIP-155, for none.
    #[error(
        "invalid chain id for signer: have {} want {want}{}",
        got.unwrap_or_default(),
        if got.is_none() { " (only replay-protected (EIP-155) transactions allowed over RPC)" } else { "" }
    )]
    ChainId {
        /// Chain id signed, if any.
        got: Option<u64>,
        /// Chain id of this chain.
        want: u64,
    },
    /// Too many bytes.
    #[error("transaction has {got} bytes, at most {MAX_TRANSACTION_BYTES} are allowed")]
    Size {
        /// Bytes seen.
        got: usize,
    },
}

/// Decodes what `eth_sendRawTransaction` and gossip carry, and recovers the sender.
///
/// # Errors
///
/// See [`TransactionError`].
pub fn decode_transaction(raw: &[u8], chain_id: u64) -> Result<Transaction, TransactionError> {
    if raw.len() > MAX_TRANSACTION_BYTES {
        return Err(TransactionError::Size { got: raw.len() });
    }
    // Type 3: with or without a sidecar it is refused, so say so before its encoding is judged.
    if raw.first() == Some(&3) {
        return Err(TransactionError::Blob);
    }
    let envelope = TxEnvelope::decode_2718_exact(raw).map_err(|error| TransactionError::Encoding(error.to_string()))?;
    recover(envelope, chain_id)
}

/// Recovers the sender of a decoded transaction and checks that it is meant for this chain.
///
/// # Errors
///
/// `Blob`, `ChainId`, `Signature`.
pub fn recover(envelope: TxEnvelope, chain_id: u64) -> Result<Transaction, TransactionError> {
    check_kind(&envelope, chain_id)?;
    let sender: Address = envelope.recover_signer().map_err(|_| TransactionError::Signature)?;
    Ok(Recovered::new_unchecked(envelope, sender))
}

/// Checks that a transaction is of a type this chain has, and meant for it.
///
/// # Errors
///
/// `Blob`, `ChainId`.
pub fn check_kind(envelope: &TxEnvelope, chain_id: u64) -> Result<(), TransactionError> {
    if matches!(envelope, TxEnvelope::Eip4844(_)) {
        return Err(TransactionError::Blob);
    }
    // Transactions without a chain id could be replayed from any other chain, so they are refused even though EIP-155
    // allows them.
    if envelope.chain_id() != Some(chain_id) {
        return Err(TransactionError::ChainId { got: envelope.chain_id(), want: chain_id });
    }
    Ok(())
}

/// Whether a transaction asks for the free lane, by the price that it names ([`free_lane`]).
pub fn is_free(transaction: &TxEnvelope) -> bool {
    let TxEnvelope::Eip1559(signed) = transaction else { return false };
    let (max_fee, tip) = (signed.tx().max_fee_per_gas, signed.tx().max_priority_fee_per_gas);
    (max_fee, tip) == (free_lane::MAX_FEE_PER_GAS, free_lane::MAX_PRIORITY_FEE_PER_GAS)
}

/// What a transaction is charged in a block with this base fee, in wei per gas; or, while it waits, what it offers at most.
pub fn gas_price(transaction: &TxEnvelope, base_fee: Option<u64>) -> u128 {
    if is_free(transaction) { 0 } else { transaction.effective_gas_price(base_fee) }
}

/// Base fee of the block after `parent`: EIP-1559 with Ethereum's parameters, and the floor [`MIN_BASE_FEE`].
pub fn next_base_fee(parent: &Header) -> u64 {
    let base_fee = parent.base_fee_per_gas.unwrap_or(MIN_BASE_FEE);
    calc_next_block_base_fee(parent.gas_used, parent.gas_limit, base_fee, BaseFeeParams::ethereum()).max(MIN_BASE_FEE)
}
