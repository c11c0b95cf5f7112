//! Why a block is not valid, or a transaction has no place in it.

use alloy_primitives::{B256, Bytes};

use super::supply::Supply;
use crate::{block::TransactionError, state::store::StoreError};

/// Why a block is not valid.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The parent is neither final nor executed here. Verify the ancestors first, or wait for them.
    #[error("parent {parent} of block {number} is not known")]
    UnknownParent {
        /// Number of the block.
        number: u64,
        /// Hash of the parent.
        parent: B256,
    },
    /// The block conflicts with a final one: its number is at or below the head. Ignore it.
    #[error("block {number} is not above the final block {head}")]
    Final {
        /// Number of the block.
        number: u64,
        /// Last final block.
        head: u64,
    },
    /// A header field is not what the rules make it. The proposer is at fault.
    #[error("header field {field} is {got}, expected {want}")]
    Header {
        /// Name of the field.
        field: &'static str,
        /// Value seen.
        got: String,
        /// Value wanted.
        want: String,
    },
    /// The clock of the proposer runs ahead, or that of this node behind. Try again later.
    #[error("timestamp {got} is ahead of the clock, at most {want}")]
    Future {
        /// Timestamp seen, in seconds.
        got: u64,
        /// Highest accepted at this moment, in seconds.
        want: u64,
    },
    /// A transaction cannot stand where it stands. The proposer is at fault.
    #[error("transaction {index} ({hash}): {error}")]
    Transaction {
        /// Position in the block.
        index: usize,
        /// Its hash.
        hash: B256,
        /// The broken rule.
        error: InclusionError,
    },
    /// The peg would not be covered. A bug in the contracts or worse: nobody may accept such a block.
    #[error("supply invariant broken: {0}")]
    Supply(Box<Supply>),
    /// This node's store failed; says nothing about the block.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BlockError {
    /// Whether the proposer broke a rule, so that this block will never be valid.
    pub const fn is_fault(&self) -> bool {
        matches!(self, Self::Header { .. } | Self::Transaction { .. } | Self::Supply { .. })
    }
}

/// Why a transaction cannot be in a block at this place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InclusionError {
    /// Encoding, signature, type or chain id.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// The EVM's rules: nonce, balance, fees, intrinsic gas.
    #[error("{0}")]
    Invalid(String),
    /// The nonce of the sender's account is another one.
    #[error("nonce {got}, expected {want}")]
    Nonce {
        /// Nonce of the transaction.
        got: u64,
        /// Nonce of the account.
        want: u64,
    },
    /// Too little gas is left in the block.
    #[error("gas limit {got} above the {left} left in the block")]
    BlockGas {
        /// Gas limit of the transaction.
        got: u64,
        /// Left in the block, or in its free lane.
        left: u64,
    },
    /// Too few bytes are left in the block.
    #[error("size {got} above the {left} bytes left in the block")]
    BlockBytes {
        /// Size of the transaction.
        got: usize,
        /// Left in the block, or in its free lane.
        left: usize,
    },
    /// Not allowed in the free lane.
    #[error("gas price 0 is only for members of the federation who call the peg's contracts without value: {0}")]
    NotFree(&'static str),
    /// A free transaction must succeed.
    #[error("a transaction with gas price 0 must succeed: {reason}")]
    FreeFailed {
        /// Revert reason or halt.
        reason: String,
        /// Data returned by the revert.
        output: Bytes,
    },
}
