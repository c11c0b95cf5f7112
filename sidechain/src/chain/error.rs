//! Why the chain cannot do what it was asked.

use alloy_primitives::B256;

use crate::{
    execution::{BlockError, InclusionError, Outcome},
    genesis::GenesisError,
    state::store::StoreError,
};

/// Why the chain cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the data directory.
    #[error("data directory {path} is in use by another process: {detail}")]
    Locked {
        /// The directory.
        path: String,
        /// What rocksdb said.
        detail: String,
    },
    /// The data belongs to another network.
    #[error("data directory is of another network: its genesis block is {stored}, genesis.json makes {wanted}")]
    OtherGenesis {
        /// Hash of the genesis block stored.
        stored: B256,
        /// Hash of the genesis block wanted.
        wanted: B256,
    },
    /// The data was written by a version that is not understood.
    #[error("data directory has format {stored}, this version reads {wanted}")]
    Version {
        /// Format stored.
        stored: String,
        /// Format read.
        wanted: u32,
    },
    /// The genesis file is wrong.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The disk fails.
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
    /// The block is not there yet.
    #[error("block {number} is not known, the head is {head}")]
    UnknownBlock {
        /// Block asked for.
        number: u64,
        /// Last final block.
        head: u64,
    },
    /// State that old was pruned.
    #[error("state of block {number} was pruned, the oldest kept is {oldest}")]
    Pruned {
        /// Block asked for.
        number: u64,
        /// Oldest block with state.
        oldest: u64,
    },
    /// The call could not even start: nonce, balance, intrinsic gas.
    #[error(transparent)]
    Invalid(#[from] InclusionError),
    /// `estimate_gas`: the call fails with any gas.
    #[error("execution reverted")]
    Failed(Box<Outcome>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why logs are not answered.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// More logs than the caller takes.
    #[error("more than {limit} logs match; ask for blocks {from} to {until} first")]
    TooMany {
        /// Most logs that are answered.
        limit: usize,
        /// First block asked for.
        from: u64,
        /// Last block up to which the limit holds.
        until: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a block cannot be made final. Fatal in every case: stop.
#[derive(Debug, thiserror::Error)]
pub enum FinalizeError {
    /// A block was to be finalized before its parent.
    #[error("block {got} cannot be finalized after block {head}, expected block {}", head + 1)]
    Gap {
        /// Number of the block.
        got: u64,
        /// Last finalized block.
        head: u64,
    },
    /// Another block of that number is final already: more than a third of the validators are faulty.
    #[error("block {number} is final with hash {stored}, got {got}")]
    Conflict {
        /// Number of the block.
        number: u64,
        /// Hash stored.
        stored: B256,
        /// Hash of the block given.
        got: B256,
    },
    /// A finalized block breaks the rules: this node and the quorum run different rules.
    #[error("finalized block {number} is invalid: {error}")]
    Invalid {
        /// Number of the block.
        number: u64,
        /// The broken rule.
        error: Box<BlockError>,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
