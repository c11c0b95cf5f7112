//! Why a block is not valid, or a transaction has no place in it.

use alloy_primitives::{B256, Bytes};

use super::supply::Supply;
use crate::{
    block::TransactionError,
    limits::MAX_MEMBER_TRANSACTIONS,
    state::{CommitError, store::StoreError},
    stop::Stopped,
};

/// Why a block is not valid.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The parent is neither final nor executed here. Verify the ancestors first, or wait for them.
    #[error("parent {parent} of block {number} is not known")]
    UnknownParent { number: u64, parent: B256 },
    /// The block conflicts with a final one: its number is at or below the head. Ignore it.
    #[error("block {number} is not above the final block {head}")]
    Final { number: u64, head: u64 },
    /// A header field is not what the rules make it. The proposer is at fault.
    #[error("header field {field} is {got}, expected {want}")]
    Header { field: &'static str, got: String, want: String },
    /// The clock of the proposer runs ahead, or that of this node behind. Try again later.
    #[error("timestamp {got} is ahead of the clock, at most {want}")]
    Future {
        /// The header's timestamp, in seconds since 1970.
        got: u64,
        /// Highest accepted at this moment, in seconds since 1970.
        want: u64,
    },
    /// A transaction cannot stand where it stands. The proposer is at fault.
    #[error("transaction {index} ({hash}): {error}")]
    Transaction {
        /// Position in the block, from 0.
        index: usize,
        hash: B256,
        error: InclusionError,
    },
    /// The peg would not be covered. A bug in the contracts or worse: nobody may accept such a block.
    #[error("supply invariant broken: {0}")]
    Supply(Box<Supply>),
    /// The execution was stopped before its end; says nothing about the block.
    #[error("execution was stopped before its end")]
    Stopped,
    /// This node's store failed; says nothing about the block.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Stopped> for BlockError {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

impl From<CommitError> for BlockError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Stopped(stopped) => stopped.into(),
            CommitError::Store(error) => error.into(),
        }
    }
}

impl BlockError {
    /// Whether a candidate that was skipped for this will be skipped on every later state too, as far as anybody can tell: it
    /// neither waits for room nor for another transaction.
    #[must_use]
    pub const fn is_hopeless(&self) -> bool {
        match self {
            Self::Supply(_) => true,
            Self::Transaction { error, .. } => match error {
                InclusionError::Transaction(_)
                | InclusionError::Invalid(_)
                | InclusionError::NotFree(_)
                | InclusionError::FreeFailed { .. } => true,
                InclusionError::Nonce { got, want } => *got < *want,
                InclusionError::BlockGas { .. } | InclusionError::BlockBytes { .. } | InclusionError::MemberCount => {
                    false
                }
            },
            _ => false,
        }
    }
}

/// Why a transaction cannot be in a block at this place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InclusionError {
    /// Its encoding, signature, type or chain id is not one that this chain accepts.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// The EVM refuses to start it: balance, fees or intrinsic gas. Text for people.
    #[error("{0}")]
    Invalid(String),
    /// The sender's account has the nonce `want`.
    #[error("nonce {got}, expected {want}")]
    Nonce { got: u64, want: u64 },
    /// Too little gas is left in the block.
    #[error("gas limit {got} above the {left} left in the block")]
    BlockGas {
        /// The transaction's gas limit.
        got: u64,
        /// Gas left in the block, in its free lane, or for this member.
        left: u64,
    },
    /// Too few bytes are left in the block.
    #[error("size {got} above the {left} bytes left in the block")]
    BlockBytes {
        /// Size of the transaction's EIP-2718 encoding, in bytes.
        got: usize,
        /// Bytes left in the block, in its free lane, or for this member.
        left: usize,
    },
    /// The member has used the number of free transactions that it may have in one block.
    #[error("the member has {MAX_MEMBER_TRANSACTIONS} free transactions in the block already")]
    MemberCount,
    /// It names the free lane's price, but that lane does not take it, for the reason given.
    #[error(
        "a maximum fee of 2^64 - 1 wei per gas without a tip is only for members of the federation who call the peg's contracts without value: {0}"
    )]
    NotFree(&'static str),
    /// A free transaction must succeed.
    #[error("a free transaction must succeed: {reason}")]
    FreeFailed {
        /// Why it failed: the contract's revert reason or the EVM's halt, for people.
        reason: String,
        /// Data that the revert returned; empty after a halt.
        output: Bytes,
    },
}
