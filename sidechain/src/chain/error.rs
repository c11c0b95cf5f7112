//! Why the chain cannot do what it was asked.

use alloy_primitives::B256;

use crate::{
    execution::{BlockError, InclusionError, Outcome},
    genesis::GenesisError,
    geth,
    state::store::StoreError,
};

/// Why the chain cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the data directory.
    #[error("data directory {path} is in use by another process: {detail}")]
    Locked {
        path: String,
        /// What rocksdb said.
        detail: String,
    },
    /// The data belongs to another network.
    #[error("data directory is of another network: its genesis block is {stored}, genesis.json makes {wanted}")]
    OtherGenesis {
        /// Hash of block 0 in the store.
        stored: B256,
        /// Hash of the block that genesis.json makes.
        wanted: B256,
    },
    /// Another version of Causeway wrote the data: start that one, or an empty directory.
    #[error(
        "data directory has format {stored}, this version reads {wanted}: use the version of Causeway that wrote it, or an empty directory"
    )]
    Version {
        /// Format number in the store, or `unknown`.
        stored: String,
        /// Format number that this version reads.
        wanted: u32,
    },
    /// The genesis file is wrong.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why no block can be proposed.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// The parent is neither final nor executed here.
    #[error("parent {0} is not known")]
    UnknownParent(B256),
    /// The store failed, or our own block is invalid, which is a bug.
    #[error(transparent)]
    Block(#[from] BlockError),
}

/// Why a call cannot be tried.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The block asked for is above the last final one, `head`: try later.
    #[error("block {number} is not known, the head is {head}")]
    UnknownBlock { number: u64, head: u64 },
    /// The call could not even start: nonce, balance, intrinsic gas.
    #[error(transparent)]
    Invalid(#[from] InclusionError),
    /// `estimate_gas`: the call fails with any gas.
    #[error("execution reverted")]
    Failed(Box<Outcome>),
    /// `estimate_gas`: it needs more gas than it may have, or than its sender can pay. In geth's words.
    #[error("{}", geth::allowance_exceeded(*.0))]
    Allowance(u64),
    /// `estimate_gas`: the call cannot start with the most gas that it may have. In geth's words.
    #[error("{}", geth::estimate_refused(&error.to_string(), *gas))]
    NoEstimate { gas: u64, error: InclusionError },
    /// `estimate_gas`: the sender has less than the value. In geth's words.
    #[error("{}", geth::INSUFFICIENT_FUNDS_FOR_TRANSFER)]
    Funds,
    /// The execution was stopped before its end; says nothing about the call.
    #[error("execution was stopped before its end")]
    Stopped,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<BlockError> for SimulateError {
    fn from(error: BlockError) -> Self {
        match error {
            BlockError::Store(error) => error.into(),
            BlockError::Stopped => Self::Stopped,
            BlockError::Transaction { error, .. } => Self::Invalid(error),
            error => Self::Invalid(InclusionError::Invalid(error.to_string())),
        }
    }
}

/// Why logs are not answered.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// More logs match, or more must be read for them, than one answer allows. Ask for fewer blocks at a time.
    #[error(
        "query returned more than {limit} results or must read too much. Try with this block range [{from:#x}, {until:#x}]."
    )]
    TooMuch {
        /// Most logs in one answer.
        limit: usize,
        from: u64,
        /// Last block up to which one answer has all.
        until: u64,
    },
    /// The first block alone has more matching logs than fit in an answer. Its receipts do, one by one.
    #[error(
        "query returned too much: the logs of block {number} alone do not fit in an answer. Ask for fewer addresses \
         and topics, or for its receipts by eth_getTransactionReceipt"
    )]
    Block { number: u64 },
    /// Stopped from outside before the first block was searched.
    #[error("stopped before the logs were found")]
    Stopped,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a block cannot be made final. Fatal in every case: stop.
#[derive(Debug, thiserror::Error)]
pub enum FinalizeError {
    /// A block was to be finalized before its parent: `got` is more than one above the last final block, `head`.
    #[error("block {got} cannot be finalized after block {head}, expected block {}", head + 1)]
    Gap { got: u64, head: u64 },
    /// Another block of that number is final already: more than a third of the validators are faulty.
    #[error("block {number} is final with hash {stored}, got {got}")]
    Conflict { number: u64, stored: B256, got: B256 },
    /// A finalized block breaks the rules: this node and the quorum run different rules.
    #[error("finalized block {number} is invalid: {error}")]
    Invalid {
        number: u64,
        /// The broken rule.
        error: Box<BlockError>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
