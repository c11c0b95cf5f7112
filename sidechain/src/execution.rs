//! Running the transactions of a block.

use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U256};

use crate::store::StoreError;

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
    #[error(
        "supply invariant broken: supply {supply} + owed {owed} + held {held} > vault {vault} + deficit {deficit} (wei)"
    )]
    Supply {
        /// Coins outside the Bridge.
        supply: U256,
        /// Queued and paying withdrawals.
        owed: U256,
        /// Fees held.
        held: U256,
        /// Settled vault outputs.
        vault: U256,
        /// Recorded deficit.
        deficit: U256,
    },
    /// This node's store failed; says nothing about the block.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BlockError {
    /// Whether the proposer broke a rule, so that this block will never be valid.
    pub const fn is_fault(&self) -> bool {
        matches!(
            self,
            Self::Header { .. } | Self::Transaction { .. } | Self::Supply { .. }
        )
    }
}

/// Why a transaction cannot be in a block at this place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InclusionError {
    /// Encoding, signature, type or chain id.
    #[error(transparent)]
    Transaction(#[from] crate::types::TransactionError),
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
    #[error(
        "gas price 0 is only for members of the federation who call the peg's contracts without value: {0}"
    )]
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

/// A call that is tried without being sent (`eth_call`, `eth_estimateGas`).
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// Sender; no signature is asked for.
    pub from: Address,
    /// Contract or account called, or `Create`.
    pub to: TxKind,
    /// Wei sent along; the sender must have it.
    pub value: U256,
    /// Call data or creation code.
    pub input: Bytes,
    /// Gas limit; default and maximum is the block's.
    pub gas: Option<u64>,
    /// Wei per gas; with 0 the sender need not be able to pay for gas.
    pub gas_price: u128,
    /// EIP-2930.
    pub access_list: AccessList,
}

/// What a call did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it neither reverted nor halted.
    pub success: bool,
    /// Why it halted (out of gas, invalid opcode), if so; `None` for success and revert.
    pub halt: Option<String>,
    /// Gas after refunds.
    pub gas_used: u64,
    /// Data returned or revert data.
    pub output: Bytes,
    /// Logs emitted.
    pub logs: Vec<Log>,
    /// Address of the contract created, if one was.
    pub created: Option<Address>,
}
