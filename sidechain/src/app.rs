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

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use alloy_primitives::{Address, B256, Bloom, Bytes, Log, TxKind, U256, keccak256};
use alloy_rlp::{Decodable, Encodable};

use crate::{
    execution::{
        self, BlockError, Call, Executed, Execution, InclusionError, Outcome, Rules, child_header,
    },
    genesis::{Genesis, GenesisError},
    state::{Account, AccountNodes, CodeCache, StateReader, StorageNodes, Working, slot_hash},
    store::{Batch, Store, StoreError, Table},
    trie::prove,
    types::{self, Block, Header, MAX_TRANSACTION_GAS, Receipt, Transaction, TxEnvelope},
};

/// How far a proposer's clock may run ahead of ours, in milliseconds.
pub const MAX_CLOCK_DRIFT_MS: u64 = 2_000;

/// Deposit registrations kept. About 200 bytes each: 200 MB.
pub const MAX_REGISTRATIONS: u64 = 1_000_000;

/// Format of the data in the store.
const FORMAT: u32 = 1;

/// Senders remembered for transactions that were seen before they stand in a block: 52 bytes each, 7 MB.
const MAX_SENDERS: usize = 1 << 17;

/// How long old state is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Blocks for which state can be read (`eth_call`, `eth_getBalance`); `None`: all of them.
    pub state_blocks: Option<u64>,
    /// Blocks for which state can be proved (`eth_getProof`). About 4 KB for each changed account and block.
    pub proof_blocks: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            state_blocks: None,
            proof_blocks: 1024,
        }
    }
}

/// The chain of one network, over a store.
pub struct Chain<S> {
    genesis: Genesis,
    genesis_block: Block,
    rules: Rules,
    retention: Retention,
    store: S,
    tip: RwLock<Tip>,
    /// One block is finalized at a time.
    finalizing: Mutex<()>,
    /// Number of the last block whose writes may have become visible.
    writing: AtomicU64,
    registering: Mutex<()>,
    codes: CodeCache,
    senders: Mutex<HashMap<B256, Address>>,
}

/// The last final block and what was executed above it.
struct Tip {
    head: Header,
    hash: B256,
    pending: HashMap<B256, Arc<Executed>>,
}

/// State after a block that may not be final: its overlay, those of its pending ancestors, then the store.
struct View<'a, S> {
    store: &'a S,
    /// Newest first.
    overlays: Vec<Arc<Executed>>,
    parent: Header,
}

impl<S: Store> StateReader for View<'_, S> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self
            .overlays
            .iter()
            .find_map(|executed| executed.overlay.get(table, key))
        {
            Some(row) => Ok(row),
            None => self.store.get(table, key),
        }
    }

    fn block_hash(&self, number: u64) -> Result<Option<B256>, StoreError> {
        if number > self.parent.number {
            return Ok(None);
        }
        match self
            .overlays
            .iter()
            .find(|executed| executed.block.number() == number)
        {
            Some(executed) => Ok(Some(executed.hash)),
            None => stored_hash(self.store, number),
        }
    }
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

/// Why a deposit is not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// This node keeps no more.
    #[error(
        "this node keeps {MAX_REGISTRATIONS} deposit registrations and takes no more; ask another node"
    )]
    TooMany,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
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
        Self::open_with(genesis, store, Retention::default(), &[])
    }

    /// The same with a choice of what is kept, and, for tests and benchmarks alone, coins at genesis (see
    /// [`Genesis::build_with_allocation`]).
    ///
    /// # Errors
    ///
    /// `OpenError`; nothing is changed.
    pub fn open_with(
        genesis: Genesis,
        store: S,
        retention: Retention,
        allocation: &[(Address, u64)],
    ) -> Result<Self, OpenError> {
        let first = genesis.build_with_allocation(allocation)?;
        check_format(&store)?;
        let (head, hash) = match stored_hash(&store, 0)? {
            Some(stored) if stored != first.hash => {
                return Err(OpenError::OtherGenesis {
                    stored,
                    wanted: first.hash,
                });
            }
            Some(_) => stored_head(&store)?,
            None => {
                let mut batch = block_batch(&first);
                state_batch(&mut batch, &first, false);
                batch.put(Table::Meta, META_FORMAT, FORMAT.to_be_bytes());
                store.write(batch)?;
                (first.block.header.clone(), first.hash)
            }
        };
        Ok(Self {
            rules: Rules::new(&genesis),
            genesis,
            genesis_block: first.block,
            retention,
            store,
            writing: AtomicU64::new(head.number),
            tip: RwLock::new(Tip {
                head,
                hash,
                pending: HashMap::new(),
            }),
            finalizing: Mutex::default(),
            registering: Mutex::default(),
            codes: CodeCache::default(),
            senders: Mutex::default(),
        })
    }

    /// What the network agreed on.
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// What its blocks may do.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Block 0.
    pub fn genesis_block(&self) -> Block {
        self.genesis_block.clone()
    }

    /// The last final header.
    pub fn head(&self) -> Header {
        self.tip().head.clone()
    }

    /// Hash of the last final header.
    pub fn head_hash(&self) -> B256 {
        self.tip().hash
    }

    /// A block by hash: executed here but pending, or final.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn block(&self, hash: B256) -> Result<Option<Block>, StoreError> {
        if let Some(executed) = self.tip().pending.get(&hash) {
            return Ok(Some(executed.block.clone()));
        }
        let Some(number) = self.number_of(hash)? else {
            return Ok(None);
        };
        Ok(self.stored(number)?.map(|stored| stored.block))
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
        let view = self
            .view(parent)
            .ok_or(ProposeError::UnknownParent(parent))?;
        let timestamp = view.parent.timestamp.max(now_ms / 1000);
        let header = child_header(&self.rules, &view.parent, parent, timestamp, beneficiary);
        let mut execution = Execution::new(&self.rules, header, Working::new(&view, &self.codes));
        for candidate in candidates {
            if execution.is_full() {
                break;
            }
            match execution.include(&candidate) {
                // One that would break the supply is skipped too: the chain must go on without it.
                Ok(()) | Err(BlockError::Transaction { .. } | BlockError::Supply { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let executed = execution.finish(view.parent.state_root)?;
        let block = executed.block.clone();
        self.keep(executed);
        Ok(block)
    }

    /// Executes a block on its parent's state and checks everything in it. Keeps the result for [`Self::finalize`].
    ///
    /// # Errors
    ///
    /// See [`BlockError`].
    pub fn verify(&self, block: &Block, now_ms: u64) -> Result<(), BlockError> {
        let hash = block.hash();
        // The hash is the header's alone, so the transactions are compared too.
        let known = self
            .tip()
            .pending
            .get(&hash)
            .is_some_and(|known| known.block == *block);
        if known {
            return Ok(());
        }
        let (number, head) = (block.number(), self.head().number);
        if number <= head {
            let known = stored_hash(&self.store, number)? == Some(hash) && block.is_whole();
            return if known {
                Ok(())
            } else {
                Err(BlockError::Final { number, head })
            };
        }
        let want = (now_ms + MAX_CLOCK_DRIFT_MS) / 1000;
        let got = block.header.timestamp;
        if got > want {
            return Err(BlockError::Future { got, want });
        }
        let executed = self.execute(block)?;
        self.keep(executed);
        Ok(())
    }

    /// Makes a block final: one atomic batch, on disk when this returns. `None` when it was final already.
    ///
    /// # Errors
    ///
    /// Every [`StoreError`] here is fatal: stop.
    pub fn finalize(&self, block: &Block) -> Result<Option<Arc<Finalized>>, StoreError> {
        let _one_at_a_time = self
            .finalizing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (number, hash) = (block.number(), block.hash());
        let head = self.head().number;
        if number <= head {
            return match stored_hash(&self.store, number)? {
                Some(stored) if stored != hash => Err(StoreError::Conflict {
                    number,
                    stored,
                    got: hash,
                }),
                _ => Ok(None),
            };
        }
        if number > head + 1 {
            return Err(StoreError::Gap { got: number, head });
        }
        let cached = self.tip().pending.get(&hash).cloned();
        let executed = match cached {
            Some(executed) => executed,
            None => Arc::new(self.execute(block).map_err(|error| match error {
                BlockError::Store(error) => error,
                error => StoreError::Invalid {
                    number,
                    error: Box::new(error),
                },
            })?),
        };
        if executed.block.header.parent_hash != self.head_hash() {
            let (stored, got) = (self.head_hash(), executed.block.header.parent_hash);
            return Err(StoreError::Conflict {
                number: head,
                stored,
                got,
            });
        }

        let mut batch = block_batch(&executed);
        state_batch(&mut batch, &executed, true);
        self.prune(&mut batch, number)?;
        self.writing.store(number, Ordering::SeqCst);
        self.store.write(batch)?;

        let Executed {
            block,
            senders,
            receipts,
            ..
        } = &*executed;
        let finalized = Finalized {
            block: block.clone(),
            hash,
            receipts: receipts.clone(),
            senders: senders.clone(),
        };
        let mut tip = self.tip.write().unwrap_or_else(PoisonError::into_inner);
        tip.head = block.header.clone();
        tip.hash = hash;
        tip.pending
            .retain(|_, pending| pending.block.number() > number);
        drop(tip);
        self.forget_senders(block);
        Ok(Some(Arc::new(finalized)))
    }

    /// Keeps a finality certificate for a block. Certificates are not part of any hash; any valid one will do.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn put_finality(&self, number: u64, certificate: &[u8]) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        batch.put(Table::Finality, number.to_be_bytes(), certificate);
        self.store.write(batch)
    }

    /// The certificate kept for exactly this block.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn finality(&self, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(Table::Finality, &number.to_be_bytes())
    }

    /// The first block at or after `number` with a certificate.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn finality_at_or_after(&self, number: u64) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        let Some((key, certificate)) = self.store.seek(Table::Finality, &number.to_be_bytes())?
        else {
            return Ok(None);
        };
        Ok(Some((block_number(Table::Finality, &key)?, certificate)))
    }

    /// Number of a final block.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn number_of(&self, hash: B256) -> Result<Option<u64>, StoreError> {
        let row = self.store.get(Table::BlockNumber, hash.as_slice())?;
        row.map(|row| block_number(Table::BlockNumber, &row))
            .transpose()
    }

    /// Hash of a final block.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn hash_of(&self, number: u64) -> Result<Option<B256>, StoreError> {
        stored_hash(&self.store, number)
    }

    /// Header of a final block.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn header(&self, number: u64) -> Result<Option<Header>, StoreError> {
        stored_header(&self.store, number)
    }

    /// A final block with its senders.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn stored(&self, number: u64) -> Result<Option<Stored>, StoreError> {
        let Some(header) = self.header(number)? else {
            return Ok(None);
        };
        let body = self.store.get(Table::Body, &number.to_be_bytes())?;
        let body =
            body.ok_or_else(|| corrupt(Table::Body, format!("block {number} is missing")))?;
        let (transactions, senders) = decode_body(&body)?;
        let hash = header.hash_slow();
        Ok(Some(Stored {
            block: Block {
                header,
                transactions,
            },
            hash,
            senders,
        }))
    }

    /// Receipts of a final block.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn receipts(&self, number: u64) -> Result<Option<Vec<Receipt>>, StoreError> {
        let Some(row) = self.store.get(Table::Receipts, &number.to_be_bytes())? else {
            return Ok(None);
        };
        decode(Table::Receipts, &row).map(Some)
    }

    /// A final transaction by hash.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn transaction(&self, hash: B256) -> Result<Option<Located>, StoreError> {
        let Some(row) = self.store.get(Table::TransactionHash, hash.as_slice())? else {
            return Ok(None);
        };
        let wrong = || corrupt(Table::TransactionHash, format!("entry of {hash}"));
        let (number, index) = row.split_at_checked(8).ok_or_else(wrong)?;
        let number = block_number(Table::TransactionHash, number)?;
        let index = u32::from_be_bytes(index.try_into().map_err(|_| wrong())?) as usize;
        let Stored {
            block,
            hash: block_hash,
            senders,
        } = self.stored(number)?.ok_or_else(wrong)?;
        let (Some(envelope), Some(sender)) = (block.transactions.get(index), senders.get(index))
        else {
            return Err(wrong());
        };
        let transaction = Transaction::new_unchecked(envelope.clone(), *sender);
        Ok(Some(Located {
            transaction,
            header: block.header,
            block_hash,
            index,
        }))
    }

    /// Matching logs in order, at most `limit`.
    ///
    /// # Errors
    ///
    /// `TooMany` says up to which block the limit holds.
    pub fn logs(&self, filter: &LogFilter, limit: usize) -> Result<Vec<LogEntry>, LogsError> {
        /// Blooms read at once: 256 KB.
        const CHUNK: usize = 1024;
        let mut found = Vec::new();
        let mut next = filter.from;
        loop {
            // Only blocks with logs have a bloom here.
            let blooms = self.store.scan(Table::Bloom, &next.to_be_bytes(), CHUNK)?;
            let last = blooms.len() < CHUNK;
            for (key, bloom) in blooms {
                let number = block_number(Table::Bloom, &key)?;
                if number > filter.to {
                    return Ok(found);
                }
                next = number + 1;
                if bloom.len() == Bloom::len_bytes() && filter.may_match(&Bloom::from_slice(&bloom))
                {
                    self.block_logs(number, filter, &mut found)?;
                    if found.len() > limit {
                        return Err(LogsError::TooMany {
                            limit,
                            from: filter.from,
                            until: number.saturating_sub(1),
                        });
                    }
                }
            }
            if last {
                return Ok(found);
            }
        }
    }

    fn block_logs(
        &self,
        number: u64,
        filter: &LogFilter,
        found: &mut Vec<LogEntry>,
    ) -> Result<(), StoreError> {
        let (Some(Stored { block, hash, .. }), Some(receipts)) =
            (self.stored(number)?, self.receipts(number)?)
        else {
            return Err(corrupt(
                Table::Receipts,
                format!("block {number} is missing"),
            ));
        };
        found.extend(logs_of(&block, hash, &receipts).filter(|entry| filter.matches(&entry.log)));
        Ok(())
    }

    /// State after a final block.
    ///
    /// # Errors
    ///
    /// `UnknownBlock`, `Pruned`.
    pub fn state_at(&self, number: u64) -> Result<StateAt<'_, S>, SimulateError> {
        let head = self.head().number;
        if number > head {
            return Err(SimulateError::UnknownBlock { number, head });
        }
        let oldest = self.oldest(META_STATE_OLDEST)?;
        if number < oldest {
            return Err(SimulateError::Pruned { number, oldest });
        }
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
        let state = self.state_at(number)?;
        let header = self.header(number)?.ok_or(SimulateError::UnknownBlock {
            number,
            head: self.head().number,
        })?;
        let outcome = execution::simulate(
            &self.rules,
            &header,
            Working::new(&state, &self.codes),
            call,
        );
        let outcome = outcome.map_err(simulate_error)?;
        // What was read may have been pruned meanwhile.
        self.state_at(number)?;
        Ok(outcome)
    }

    /// A gas limit with which a call succeeds, at most 1.5 % above the smallest.
    ///
    /// # Errors
    ///
    /// As [`Self::simulate`]; `Failed` with the outcome when no gas limit makes it succeed.
    pub fn estimate_gas(&self, number: u64, call: &Call) -> Result<u64, SimulateError> {
        let state = self.state_at(number)?;
        let try_with = |gas| {
            self.simulate(
                number,
                &Call {
                    gas: Some(gas),
                    ..call.clone()
                },
            )
        };
        // A plain transfer: to an account without code.
        if let (TxKind::Call(to), true) = (call.to, call.input.is_empty())
            && call.access_list.0.is_empty()
            && state
                .account(to)?
                .is_none_or(|account| account.code_hash == alloy_trie::KECCAK_EMPTY)
            && to.as_slice()[..18] != [0; 18]
            && try_with(21_000)?.success
        {
            return Ok(21_000);
        }
        let mut high = call
            .gas
            .unwrap_or(MAX_TRANSACTION_GAS)
            .min(MAX_TRANSACTION_GAS);
        if call.gas_price > 0 {
            let balance = state
                .account(call.from)?
                .map_or(U256::ZERO, |account| account.balance);
            let affordable = balance.saturating_sub(call.value) / U256::from(call.gas_price);
            high = high.min(affordable.saturating_to());
        }
        let outcome = try_with(high)?;
        if !outcome.success {
            return Err(SimulateError::Failed(Box::new(outcome)));
        }
        // What was used after refunds never suffices less one.
        let mut low = outcome.gas_used.saturating_sub(1);
        while high - low > 1 && (high - low) * 1000 > high * 15 {
            // The answer mostly lies just above what was used, so look there first.
            let middle = (low + (high - low) / 2).min(low.saturating_mul(2));
            match try_with(middle) {
                Ok(outcome) if outcome.success => high = middle,
                Ok(_) | Err(SimulateError::Invalid(_)) => low = middle,
                Err(error) => return Err(error),
            }
        }
        Ok(high)
    }

    /// Whether a free-lane transaction could stand in the next block: members only, the peg's contracts, success. Its nonce
    /// may lie ahead.
    ///
    /// # Errors
    ///
    /// `Invalid` with the revert reason.
    pub fn check_free(&self, transaction: &Transaction) -> Result<Outcome, SimulateError> {
        let (head, hash) = {
            let tip = self.tip();
            (tip.head.clone(), tip.hash)
        };
        let Some(view) = self.view(hash) else {
            return Err(SimulateError::UnknownBlock {
                number: head.number,
                head: self.head().number,
            });
        };
        let header = child_header(&self.rules, &head, hash, head.timestamp, Address::ZERO);
        execution::try_free(
            &self.rules,
            &header,
            Working::new(&view, &self.codes),
            transaction,
        )
        .map_err(simulate_error)
    }

    /// Remembers a sender that was recovered outside, so that a block with this transaction is verified faster.
    pub fn remember_sender(&self, transaction: &Transaction) {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        if senders.len() >= MAX_SENDERS {
            senders.clear();
        }
        senders.insert(*transaction.inner().tx_hash(), transaction.signer());
    }

    /// Keeps a deposit registration. Answers its cursor, and whether it is new.
    ///
    /// # Errors
    ///
    /// `TooMany` above [`MAX_REGISTRATIONS`].
    pub fn register_deposit(
        &self,
        registration: &Registration,
    ) -> Result<(u64, bool), RegistrationError> {
        let _one_at_a_time = self
            .registering
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((cursor, _)) = self.registration(registration.output_key)? {
            return Ok((cursor, false));
        }
        let last = self.store.get(Table::Meta, META_LAST_CURSOR)?;
        let cursor = 1 + last.map_or(Ok(0), |row| block_number(Table::Meta, &row))?;
        if cursor > MAX_REGISTRATIONS {
            return Err(RegistrationError::TooMany);
        }
        let mut batch = Batch::default();
        batch.put(
            Table::Registration,
            cursor.to_be_bytes(),
            registration.to_bytes(),
        );
        batch.put(
            Table::RegistrationKey,
            registration.output_key.to_vec(),
            cursor.to_be_bytes(),
        );
        batch.put(Table::Meta, META_LAST_CURSOR, cursor.to_be_bytes());
        self.store.write(batch)?;
        Ok((cursor, true))
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
        let rows = self.store.scan(
            Table::Registration,
            &after.saturating_add(1).to_be_bytes(),
            limit,
        )?;
        rows.into_iter()
            .map(|(key, row)| {
                Ok((
                    block_number(Table::Registration, &key)?,
                    Registration::from_bytes(&row)?,
                ))
            })
            .collect()
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
        let Some(cursor) = self
            .store
            .get(Table::RegistrationKey, output_key.as_slice())?
        else {
            return Ok(None);
        };
        let row = self.store.get(Table::Registration, &cursor)?;
        let row =
            row.ok_or_else(|| corrupt(Table::Registration, format!("{output_key} is missing")))?;
        Ok(Some((
            block_number(Table::RegistrationKey, &cursor)?,
            Registration::from_bytes(&row)?,
        )))
    }

    fn tip(&self) -> std::sync::RwLockReadGuard<'_, Tip> {
        self.tip.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// State after `block`, if it is the head or pending on top of it.
    ///
    /// A block that becomes final meanwhile does no harm: its overlay stays in the view and says the same as the store.
    fn view(&self, block: B256) -> Option<View<'_, S>> {
        let tip = self.tip();
        let mut overlays = Vec::new();
        let mut next = block;
        while next != tip.hash {
            let executed = tip.pending.get(&next)?;
            next = executed.block.header.parent_hash;
            overlays.push(executed.clone());
        }
        let parent = overlays
            .first()
            .map_or(&tip.head, |executed: &Arc<Executed>| &executed.block.header)
            .clone();
        Some(View {
            store: &self.store,
            overlays,
            parent,
        })
    }

    /// Runs a block and checks all of it but its time against the clock.
    fn execute(&self, block: &Block) -> Result<Executed, BlockError> {
        let Header {
            number,
            parent_hash: parent,
            timestamp,
            beneficiary,
            ..
        } = block.header;
        let view = self
            .view(parent)
            .ok_or(BlockError::UnknownParent { number, parent })?;
        if timestamp < view.parent.timestamp {
            let want = format!("at least {}, the parent's", view.parent.timestamp);
            return Err(BlockError::Header {
                field: "timestamp",
                got: timestamp.to_string(),
                want,
            });
        }
        let header = child_header(&self.rules, &view.parent, parent, timestamp, beneficiary);
        // Refused before anything is run, so that a bad header costs us nothing.
        if number != header.number {
            let want = header.number.to_string();
            return Err(BlockError::Header {
                field: "number",
                got: number.to_string(),
                want,
            });
        }
        let transactions = self.recover(block)?;
        let mut execution = Execution::new(&self.rules, header, Working::new(&view, &self.codes));
        transactions
            .iter()
            .try_for_each(|transaction| execution.include(transaction))?;
        let executed = execution.finish(view.parent.state_root)?;
        execution::compare(&block.header, &executed.block.header)?;
        Ok(executed)
    }

    /// The senders of a block's transactions: remembered, or recovered on all cores.
    fn recover(&self, block: &Block) -> Result<Vec<Transaction>, BlockError> {
        /// Below this, starting threads costs more than it gains (a recovery takes about 30 microseconds).
        const PARALLEL_FROM: usize = 64;
        let known: Vec<Option<Address>> = {
            let senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
            block
                .transactions
                .iter()
                .map(|envelope| senders.get(envelope.tx_hash()).copied())
                .collect()
        };
        let one = |(index, (envelope, known)): (usize, (&TxEnvelope, &Option<Address>))| match known
        {
            Some(sender) => Ok(Transaction::new_unchecked(envelope.clone(), *sender)),
            None => types::recover(envelope.clone(), self.rules.chain_id).map_err(|error| {
                BlockError::Transaction {
                    index,
                    hash: *envelope.tx_hash(),
                    error: error.into(),
                }
            }),
        };
        let all: Vec<_> = block.transactions.iter().zip(&known).enumerate().collect();
        let missing = known.iter().filter(|known| known.is_none()).count();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        if missing < PARALLEL_FROM || threads == 1 {
            return all.into_iter().map(one).collect();
        }
        let parts: Vec<Result<Vec<Transaction>, BlockError>> = std::thread::scope(|scope| {
            let workers: Vec<_> = all
                .chunks(all.len().div_ceil(threads))
                .map(|part| scope.spawn(move || part.iter().copied().map(one).collect()))
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().expect("recovering a sender does not panic"))
                .collect()
        });
        parts
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
            .map(|parts| parts.concat())
    }

    /// Keeps an executed block until a block of its number is final.
    fn keep(&self, executed: Executed) {
        let mut tip = self.tip.write().unwrap_or_else(PoisonError::into_inner);
        if executed.block.number() > tip.head.number {
            tip.pending.insert(executed.hash, Arc::new(executed));
        }
    }

    fn forget_senders(&self, block: &Block) {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        for envelope in &block.transactions {
            senders.remove(envelope.tx_hash());
        }
    }

    fn oldest(&self, meta: &'static [u8]) -> Result<u64, StoreError> {
        self.store
            .get(Table::Meta, meta)?
            .map_or(Ok(0), |row| block_number(Table::Meta, &row))
    }

    /// Removes history that is no longer kept once block `number` is final.
    fn prune(&self, batch: &mut Batch, number: u64) -> Result<(), StoreError> {
        let Retention {
            state_blocks,
            proof_blocks,
        } = self.retention;
        self.prune_history(
            batch,
            Table::NodeUndo,
            META_NODES_OLDEST,
            number.saturating_sub(proof_blocks),
        )?;
        if let Some(blocks) = state_blocks {
            self.prune_history(
                batch,
                Table::StateUndo,
                META_STATE_OLDEST,
                number.saturating_sub(blocks),
            )?;
        }
        Ok(())
    }

    /// Makes `oldest` the oldest block whose rows can be read: rows changed by it and before lose their history.
    fn prune_history(
        &self,
        batch: &mut Batch,
        undo: Table,
        meta: &'static [u8],
        oldest: u64,
    ) -> Result<(), StoreError> {
        /// Blocks pruned with each block; when the window was shortened, the rest follows with the next ones.
        const STEP: usize = 16;
        if oldest == 0 {
            return Ok(());
        }
        for (key, keys) in self.store.scan(undo, &[], STEP)? {
            let block = block_number(undo, &key)?;
            if block > oldest {
                break;
            }
            for (table, key) in decode_undo(&keys)? {
                batch.delete(table, [key, &block.to_be_bytes()].concat());
            }
            batch.delete(undo, key);
        }
        if self.oldest(meta)? < oldest {
            batch.put(Table::Meta, meta, oldest.to_be_bytes());
        }
        Ok(())
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
        let proof = self.prove(address, slots);
        // What was read may have been pruned meanwhile, so ask afterwards.
        let (number, oldest) = (self.number, self.chain.oldest(META_NODES_OLDEST)?);
        if number < oldest {
            return Err(SimulateError::Pruned { number, oldest });
        }
        Ok(proof?)
    }

    fn prove(&self, address: Address, slots: &[U256]) -> Result<AccountProof, StoreError> {
        let hash = keccak256(address);
        let nodes = StorageNodes(self, hash);
        let storage = slots.iter().map(|slot| {
            let value = self.storage_by_hash(hash, *slot)?;
            Ok(StorageProof {
                slot: *slot,
                value,
                proof: prove(&nodes, slot_hash(*slot))?,
            })
        });
        Ok(AccountProof {
            account: self.account_by_hash(hash)?,
            proof: prove(&AccountNodes(self), hash)?,
            storage: storage.collect::<Result<_, StoreError>>()?,
        })
    }
}

impl<S: Store> StateReader for StateAt<'_, S> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        // The order matters: if a block becomes final between the two reads, its history entry corrects the first.
        let now = self.chain.store.get(table, key)?;
        let Some(history) = history(table) else {
            return Ok(now);
        };
        if self.chain.writing.load(Ordering::SeqCst) <= self.number {
            return Ok(now);
        }
        let from = [key, &(self.number + 1).to_be_bytes()].concat();
        match self.chain.store.seek(history, &from)? {
            Some((found, before)) if found.len() == from.len() && found.starts_with(key) => {
                Ok((!before.is_empty()).then_some(before))
            }
            _ => Ok(now),
        }
    }

    fn block_hash(&self, number: u64) -> Result<Option<B256>, StoreError> {
        if number > self.number {
            Ok(None)
        } else {
            stored_hash(&self.chain.store, number)
        }
    }
}

impl Registration {
    /// recipient 20, reclaim key 32, largest fee 8, epoch 4, output key 32.
    const BYTES: usize = 96;

    fn to_bytes(&self) -> Vec<u8> {
        [
            self.recipient.as_slice(),
            self.reclaim_key.as_slice(),
            &self.max_fee_sat.to_be_bytes(),
            &self.epoch.to_be_bytes(),
            self.output_key.as_slice(),
        ]
        .concat()
    }

    fn from_bytes(row: &[u8]) -> Result<Self, StoreError> {
        let row: &[u8; Self::BYTES] = row
            .try_into()
            .map_err(|_| corrupt(Table::Registration, format!("entry of {} bytes", row.len())))?;
        let (recipient, rest) = row.split_at(20);
        let (reclaim_key, rest) = rest.split_at(32);
        let (fee, rest) = rest.split_at(8);
        let (epoch, output_key) = rest.split_at(4);
        Ok(Self {
            recipient: Address::from_slice(recipient),
            reclaim_key: B256::from_slice(reclaim_key),
            max_fee_sat: u64::from_be_bytes(fee.try_into().expect("8 bytes")),
            epoch: u32::from_be_bytes(epoch.try_into().expect("4 bytes")),
            output_key: B256::from_slice(output_key),
        })
    }
}

/// The logs of a block with their places, in order.
pub fn logs_of<'a>(
    block: &'a Block,
    hash: B256,
    receipts: &'a [Receipt],
) -> impl Iterator<Item = LogEntry> + 'a {
    block
        .transactions
        .iter()
        .zip(receipts)
        .enumerate()
        .flat_map(|(index, (envelope, receipt))| {
            receipt.logs().iter().map(move |log| (index, envelope, log))
        })
        .enumerate()
        .map(move |(log_index, (index, envelope, log))| LogEntry {
            log: log.clone(),
            block_number: block.number(),
            block_hash: hash,
            block_timestamp: block.header.timestamp,
            transaction_hash: *envelope.tx_hash(),
            transaction_index: index as u64,
            log_index: log_index as u64,
        })
}

const META_FORMAT: &[u8] = b"format";
const META_HEAD: &[u8] = b"head";
const META_NODES_OLDEST: &[u8] = b"nodes_oldest";
const META_STATE_OLDEST: &[u8] = b"state_oldest";
const META_LAST_CURSOR: &[u8] = b"last_cursor";

/// Header, body, receipts and their indexes, and the new head.
fn block_batch(executed: &Executed) -> Batch {
    let Executed {
        hash,
        block,
        senders,
        receipts,
        ..
    } = executed;
    let key = block.number().to_be_bytes();
    let mut batch = Batch::default();
    batch.put(Table::Header, key, alloy_rlp::encode(&block.header));
    let mut body = Vec::new();
    block.transactions.encode(&mut body);
    senders
        .iter()
        .for_each(|sender| body.extend_from_slice(sender.as_slice()));
    batch.put(Table::Body, key, body);
    let mut row = Vec::new();
    receipts.encode(&mut row);
    batch.put(Table::Receipts, key, row);
    if !block.header.logs_bloom.is_zero() {
        batch.put(Table::Bloom, key, block.header.logs_bloom.to_vec());
    }
    batch.put(Table::BlockNumber, hash.to_vec(), key);
    for (index, envelope) in (0u32..).zip(&block.transactions) {
        batch.put(
            Table::TransactionHash,
            envelope.tx_hash().to_vec(),
            [&key[..], &index.to_be_bytes()].concat(),
        );
    }
    batch.put(Table::Meta, META_HEAD, key);
    batch
}

/// Changed rows, their history, and what prunes it.
fn state_batch(batch: &mut Batch, executed: &Executed, with_history: bool) {
    let number = executed.block.number().to_be_bytes();
    let (mut state_undo, mut node_undo) = (Vec::new(), Vec::new());
    for (hash, code) in &executed.overlay.codes {
        batch.put(Table::Code, hash.to_vec(), code.to_vec());
    }
    for (table, key, change) in executed.overlay.changes() {
        batch
            .writes
            .push((table, key.clone(), change.after.clone()));
        if let (true, Some(history)) = (with_history, history(table)) {
            batch.put(
                history,
                [key, number.as_slice()].concat(),
                change.before.clone().unwrap_or_default(),
            );
            let nodes = matches!(table, Table::AccountNode | Table::StorageNode);
            encode_undo(
                if nodes {
                    &mut node_undo
                } else {
                    &mut state_undo
                },
                history,
                key,
            );
        }
    }
    for (undo, keys) in [(Table::StateUndo, state_undo), (Table::NodeUndo, node_undo)] {
        if !keys.is_empty() {
            batch.put(undo, number, keys);
        }
    }
}

/// The table with the earlier rows of a table.
const fn history(table: Table) -> Option<Table> {
    match table {
        Table::Account => Some(Table::AccountHistory),
        Table::Slot => Some(Table::SlotHistory),
        Table::AccountNode => Some(Table::AccountNodeHistory),
        Table::StorageNode => Some(Table::StorageNodeHistory),
        _ => None,
    }
}

/// Tables with earlier rows, by the byte that stands for them in an undo list.
const HISTORIES: [Table; 4] = [
    Table::AccountHistory,
    Table::SlotHistory,
    Table::AccountNodeHistory,
    Table::StorageNodeHistory,
];

/// Appends table, length and key.
fn encode_undo(list: &mut Vec<u8>, table: Table, key: &[u8]) {
    let position = HISTORIES
        .iter()
        .position(|history| *history == table)
        .expect("one of the four");
    list.push(u8::try_from(position).expect("below 4"));
    // The longest key is a storage node's: 32 + 64 + 1 bytes.
    list.push(u8::try_from(key.len()).expect("keys have at most 97 bytes"));
    list.extend_from_slice(key);
}

fn decode_undo(mut list: &[u8]) -> Result<Vec<(Table, &[u8])>, StoreError> {
    let wrong = || corrupt(Table::NodeUndo, "undo list ends early".to_owned());
    let mut keys = Vec::new();
    while let [table, length, rest @ ..] = list {
        let table = HISTORIES.get(usize::from(*table)).ok_or_else(wrong)?;
        let (key, rest) = rest
            .split_at_checked(usize::from(*length))
            .ok_or_else(wrong)?;
        keys.push((*table, key));
        list = rest;
    }
    if list.is_empty() {
        Ok(keys)
    } else {
        Err(wrong())
    }
}

fn check_format<S: Store>(store: &S) -> Result<(), OpenError> {
    match store.get(Table::Meta, META_FORMAT)? {
        Some(stored) if stored != FORMAT.to_be_bytes() => {
            let stored = <[u8; 4]>::try_from(stored).map_or("unknown".to_owned(), |be| {
                u32::from_be_bytes(be).to_string()
            });
            Err(OpenError::Version {
                stored,
                wanted: FORMAT,
            })
        }
        _ => Ok(()),
    }
}

fn stored_head<S: Store>(store: &S) -> Result<(Header, B256), StoreError> {
    let missing = || corrupt(Table::Meta, "the head is missing".to_owned());
    let number = block_number(
        Table::Meta,
        &store.get(Table::Meta, META_HEAD)?.ok_or_else(missing)?,
    )?;
    let header = stored_header(store, number)?.ok_or_else(missing)?;
    let hash = header.hash_slow();
    Ok((header, hash))
}

fn stored_header<S: Store>(store: &S, number: u64) -> Result<Option<Header>, StoreError> {
    let Some(row) = store.get(Table::Header, &number.to_be_bytes())? else {
        return Ok(None);
    };
    decode(Table::Header, &row).map(Some)
}

fn stored_hash<S: Store>(store: &S, number: u64) -> Result<Option<B256>, StoreError> {
    Ok(store
        .get(Table::Header, &number.to_be_bytes())?
        .map(keccak256))
}

fn decode_body(row: &[u8]) -> Result<(Vec<TxEnvelope>, Vec<Address>), StoreError> {
    let mut rest = row;
    let transactions = Vec::<TxEnvelope>::decode(&mut rest)
        .map_err(|error| corrupt(Table::Body, error.to_string()))?;
    let senders: Vec<Address> = rest.chunks_exact(20).map(Address::from_slice).collect();
    if senders.len() != transactions.len() || rest.len() != 20 * senders.len() {
        return Err(corrupt(
            Table::Body,
            format!(
                "{} transactions, {} bytes of senders",
                transactions.len(),
                rest.len()
            ),
        ));
    }
    Ok((transactions, senders))
}

fn decode<T: Decodable>(table: Table, row: &[u8]) -> Result<T, StoreError> {
    T::decode(&mut &*row).map_err(|error| corrupt(table, error.to_string()))
}

fn block_number(table: Table, bytes: &[u8]) -> Result<u64, StoreError> {
    let bytes = bytes
        .try_into()
        .map_err(|_| corrupt(table, format!("{} bytes for a number", bytes.len())))?;
    Ok(u64::from_be_bytes(bytes))
}

fn corrupt(table: Table, detail: String) -> StoreError {
    StoreError::Corrupt {
        table: table.name(),
        detail,
    }
}

fn simulate_error(error: BlockError) -> SimulateError {
    match error {
        BlockError::Store(error) => SimulateError::Store(error),
        BlockError::Transaction { error, .. } => SimulateError::Invalid(error),
        error => SimulateError::Invalid(InclusionError::Invalid(error.to_string())),
    }
}

#[cfg(test)]
mod tests;
