//! The chain: proposes, verifies and finalizes blocks, and answers what is asked about them.
//!
//! ```text
//!  candidates -> propose --+                       +-> Finalized (RPC subscriptions, mempool)
//!                          |-> pending (by hash) --+
//!  block ------> verify ---+     finalize          +-> store: one atomic batch
//! ```
//!
//! Blocks that are not final yet live in memory as overlays over their parents. Everything is synchronous and blocks on
//! CPU and disk; call it from a blocking worker. Time is an argument.

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bloom, Bytes, Log, U256};

use crate::{
    execution::{BlockError, Call, InclusionError, Outcome},
    genesis::{Genesis, GenesisError},
    state::{Account, StateReader},
    store::{Store, StoreError},
    types::{Block, Header, Receipt, Transaction},
};

/// How far a proposer's clock may run ahead of ours, in milliseconds.
pub const MAX_CLOCK_DRIFT_MS: u64 = 2_000;

/// Deposit registrations kept. About 200 bytes each: 200 MB.
pub const MAX_REGISTRATIONS: u64 = 1_000_000;

/// The chain of one network, over a store.
pub struct Chain<S> {
    genesis: Genesis,
    store: S,
}

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
    #[error(
        "data directory is of another network: its genesis block is {stored}, genesis.json makes {wanted}"
    )]
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

/// A block that just became final: what subscriptions and the mempool need.
#[derive(Clone, Debug)]
pub struct Finalized {
    /// The block.
    pub block: Block,
    /// Its hash.
    pub hash: B256,
    /// One for each transaction.
    pub receipts: Vec<Receipt>,
    /// The sender of each transaction.
    pub senders: Vec<Address>,
}

/// A final block as stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The block.
    pub block: Block,
    /// Its hash.
    pub hash: B256,
    /// The sender of each transaction.
    pub senders: Vec<Address>,
}

/// A transaction in a final block.
#[derive(Clone, Debug)]
pub struct Located {
    /// The transaction with its sender.
    pub transaction: Transaction,
    /// Header of its block.
    pub header: Header,
    /// Hash of its block.
    pub block_hash: B256,
    /// Position in the block.
    pub index: usize,
}

/// Which logs are wanted: blocks from..=to; an empty list matches everything.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// First block.
    pub from: u64,
    /// Last block.
    pub to: u64,
    /// Emitters; any of them.
    pub addresses: Vec<Address>,
    /// For each position, any of these.
    pub topics: [Vec<B256>; 4],
}

impl LogFilter {
    /// Whether a log matches, whatever its block.
    pub fn matches(&self, log: &Log) -> bool {
        (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && self.topics.iter().enumerate().all(|(position, wanted)| {
                wanted.is_empty()
                    || log
                        .topics()
                        .get(position)
                        .is_some_and(|topic| wanted.contains(topic))
            })
    }

    /// Whether a block with this bloom may hold a matching log.
    pub fn may_match(&self, bloom: &Bloom) -> bool {
        use alloy_primitives::BloomInput;
        let has = |raw: &[u8]| bloom.contains_input(BloomInput::Raw(raw));
        (self.addresses.is_empty() || self.addresses.iter().any(|address| has(address.as_slice())))
            && self
                .topics
                .iter()
                .all(|wanted| wanted.is_empty() || wanted.iter().any(|topic| has(topic.as_slice())))
    }
}

/// A log and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// The log.
    pub log: Log,
    /// Its block.
    pub block_number: u64,
    /// Hash of the block.
    pub block_hash: B256,
    /// Timestamp of the block, in seconds.
    pub block_timestamp: u64,
    /// Transaction that emitted it.
    pub transaction_hash: B256,
    /// Position of the transaction in the block.
    pub transaction_index: u64,
    /// Position of the log in the block.
    pub log_index: u64,
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

/// Merkle proof of an account and some of its slots (EIP-1186).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountProof {
    /// The account; `None` when the proof shows its absence.
    pub account: Option<Account>,
    /// RLP nodes from the root on.
    pub proof: Vec<Bytes>,
    /// One for each slot asked for.
    pub storage: Vec<StorageProof>,
}

/// Merkle proof of a storage slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageProof {
    /// The slot.
    pub slot: U256,
    /// Its value; zero when the proof shows its absence.
    pub value: U256,
    /// RLP nodes from the root on.
    pub proof: Vec<Bytes>,
}

/// What a deposit address commits to, as registered by `peg_registerDeposit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Account on the sidechain.
    pub recipient: Address,
    /// x-only key that can take the deposit back.
    pub reclaim_key: B256,
    /// Largest share of fees the depositor pays.
    pub max_fee_sat: u64,
    /// Epoch whose key the address uses.
    pub epoch: u32,
    /// x-only output key of the address; the registration's identity.
    pub output_key: B256,
}

/// State at a final block; reads never fall back to another block's state.
pub struct StateAt<'a, S> {
    chain: &'a Chain<S>,
    number: u64,
}

impl<S: Store> Chain<S> {
    /// Opens the chain; writes the genesis block at the first start.
    ///
    /// # Errors
    ///
    /// `OpenError`; nothing is changed.
    pub fn open(genesis: Genesis, store: S) -> Result<Self, OpenError> {
        Ok(Self { genesis, store })
    }

    /// What the network agreed on.
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Block 0.
    pub fn genesis_block(&self) -> Block {
        todo!()
    }

    /// The last final header.
    pub fn head(&self) -> Header {
        todo!()
    }

    /// Hash of the last final header.
    pub fn head_hash(&self) -> B256 {
        todo!()
    }

    /// A block by hash: executed here but pending, or final.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn block(&self, hash: B256) -> Result<Option<Block>, StoreError> {
        let _ = (hash, &self.store);
        todo!()
    }

    /// Makes a block on `parent` (final or pending) of the candidates that can stand in it, in their order; the others
    /// are skipped. It counts as verified.
    ///
    /// # Errors
    ///
    /// `UnknownParent`; `Block` when the store fails.
    pub fn propose(
        &self,
        parent: B256,
        now_ms: u64,
        beneficiary: Address,
        candidates: impl Iterator<Item = Transaction>,
    ) -> Result<Block, ProposeError> {
        let _ = (parent, now_ms, beneficiary, candidates);
        todo!()
    }

    /// Executes a block on its parent's state and checks everything in it. Keeps the result for [`Self::finalize`].
    ///
    /// # Errors
    ///
    /// See [`BlockError`].
    pub fn verify(&self, block: &Block, now_ms: u64) -> Result<(), BlockError> {
        let _ = (block, now_ms);
        todo!()
    }

    /// Makes a block final: one atomic batch, on disk when this returns. `None` when it was final already.
    ///
    /// # Errors
    ///
    /// Every [`StoreError`] here is fatal: stop.
    pub fn finalize(&self, block: &Block) -> Result<Option<Arc<Finalized>>, StoreError> {
        let _ = block;
        todo!()
    }

    /// Keeps a finality certificate for a block. Certificates are not part of any hash; any valid one will do.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn put_finality(&self, number: u64, certificate: &[u8]) -> Result<(), StoreError> {
        let _ = (number, certificate);
        todo!()
    }

    /// The certificate kept for exactly this block.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn finality(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let _ = number;
        todo!()
    }

    /// The first block at or after `number` with a certificate.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn finality_at_or_after(&self, number: u64) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let _ = number;
        todo!()
    }

    /// Number of a final block.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn number_of(&self, hash: B256) -> Result<Option<u64>, StoreError> {
        let _ = hash;
        todo!()
    }

    /// Header of a final block.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn header(&self, number: u64) -> Result<Option<Header>, StoreError> {
        let _ = number;
        todo!()
    }

    /// A final block with its senders.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn stored(&self, number: u64) -> Result<Option<Stored>, StoreError> {
        let _ = number;
        todo!()
    }

    /// Receipts of a final block.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn receipts(&self, number: u64) -> Result<Option<Vec<Receipt>>, StoreError> {
        let _ = number;
        todo!()
    }

    /// A final transaction by hash.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn transaction(&self, hash: B256) -> Result<Option<Located>, StoreError> {
        let _ = hash;
        todo!()
    }

    /// Matching logs in order, at most `limit`.
    ///
    /// # Errors
    ///
    /// `TooMany` says up to which block the limit holds.
    pub fn logs(&self, filter: &LogFilter, limit: usize) -> Result<Vec<LogEntry>, LogsError> {
        let _ = (filter, limit);
        todo!()
    }

    /// State after a final block.
    ///
    /// # Errors
    ///
    /// `UnknownBlock`, `Pruned`.
    pub fn state_at(&self, number: u64) -> Result<StateAt<'_, S>, SimulateError> {
        Ok(StateAt {
            chain: self,
            number,
        })
    }

    /// Tries a call on the state after a final block, in that block's environment.
    ///
    /// # Errors
    ///
    /// `UnknownBlock`, `Pruned`, `Invalid`. A revert is an outcome, not an error.
    pub fn simulate(&self, number: u64, call: &Call) -> Result<Outcome, SimulateError> {
        let _ = (number, call);
        todo!()
    }

    /// The smallest gas limit with which a call succeeds.
    ///
    /// # Errors
    ///
    /// As [`Self::simulate`]; `Failed` with the outcome when no gas limit makes it succeed.
    pub fn estimate_gas(&self, number: u64, call: &Call) -> Result<u64, SimulateError> {
        let _ = (number, call);
        todo!()
    }

    /// Whether a free-lane transaction could stand in the next block: members only, the peg's contracts, success. Its nonce
    /// may lie ahead.
    ///
    /// # Errors
    ///
    /// `Invalid` with the revert reason.
    pub fn check_free(&self, transaction: &Transaction) -> Result<Outcome, SimulateError> {
        let _ = transaction;
        todo!()
    }

    /// Remembers a sender that was recovered outside, so that a block with this transaction is verified faster.
    pub fn remember_sender(&self, transaction: &Transaction) {
        let _ = transaction;
    }

    /// Keeps a deposit registration. Answers its cursor, and whether it is new.
    ///
    /// # Errors
    ///
    /// `StoreError::Full` above [`MAX_REGISTRATIONS`].
    pub fn register_deposit(&self, registration: &Registration) -> Result<(u64, bool), StoreError> {
        let _ = registration;
        todo!()
    }

    /// Registrations after a cursor (0: from the first), in order.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn registrations(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Registration)>, StoreError> {
        let _ = (after, limit);
        todo!()
    }

    /// The registration of an output key.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn registration(
        &self,
        output_key: B256,
    ) -> Result<Option<(u64, Registration)>, StoreError> {
        let _ = output_key;
        todo!()
    }
}

impl<S: Store> StateAt<'_, S> {
    /// The block.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Proof of an account and some of its slots against the block's state root.
    ///
    /// # Errors
    ///
    /// `Pruned` outside the window for which trie nodes are kept.
    pub fn proof(&self, address: Address, slots: &[U256]) -> Result<AccountProof, SimulateError> {
        let _ = (address, slots, self.chain);
        todo!()
    }
}

impl<S: Store> StateReader for StateAt<'_, S> {
    fn account(&self, _address: Address) -> Result<Option<Account>, StoreError> {
        todo!()
    }

    fn storage(&self, _address: Address, _slot: U256) -> Result<U256, StoreError> {
        todo!()
    }

    fn code(&self, _hash: B256) -> Result<Option<Bytes>, StoreError> {
        todo!()
    }

    fn block_hash(&self, _number: u64) -> Result<Option<B256>, StoreError> {
        todo!()
    }
}
