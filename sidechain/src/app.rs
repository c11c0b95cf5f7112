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

mod error;
mod logs;
mod reads;
mod registrations;
mod rows;
mod senders;
mod state_at;

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use alloy_primitives::{Address, B256};

pub use self::{
    error::{LogsError, OpenError, ProposeError, RegistrationError, SimulateError},
    logs::{LogEntry, LogFilter, logs_of},
    reads::{Located, Stored},
    registrations::Registration,
    state_at::{AccountProof, StateAt, StorageProof},
};
use self::{
    rows::{block_batch, check_format, stamp_format, state_batch, stored_hash, stored_head},
    senders::Senders,
};
use crate::{
    execution::{self, BlockError, Executed, Execution, Rules, child_header},
    genesis::Genesis,
    state::{CodeCache, StateReader, Working},
    store::{Store, StoreError, Table},
    types::{Block, Header, Receipt, Transaction},
};

/// How far a proposer's clock may run ahead of ours, in milliseconds.
pub const MAX_CLOCK_DRIFT_MS: u64 = 2_000;

/// Deposit registrations kept. About 200 bytes each: 200 MB.
pub const MAX_REGISTRATIONS: u64 = 1_000_000;

/// Executed blocks kept above the head. Ordinarily there are two or three; while nothing becomes final every round may bring
/// another. One that was dropped is executed again when it is needed.
const MAX_PENDING: usize = 128;

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
        Self { state_blocks: None, proof_blocks: 1024 }
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
    senders: Senders,
}

/// The last final block and what was executed above it.
struct Tip {
    head: Header,
    hash: B256,
    pending: HashMap<B256, Arc<Executed>>,
    /// Hashes in `pending`, oldest first, and some that are gone.
    order: VecDeque<B256>,
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
        match self.overlays.iter().find_map(|executed| executed.overlay.get(table, key)) {
            Some(row) => Ok(row),
            None => self.store.get(table, key),
        }
    }

    fn block_hash(&self, number: u64) -> Result<Option<B256>, StoreError> {
        if number > self.parent.number {
            return Ok(None);
        }
        match self.overlays.iter().find(|executed| executed.block.number() == number) {
            Some(executed) => Ok(Some(executed.hash)),
            None => stored_hash(self.store, number),
        }
    }
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
                return Err(OpenError::OtherGenesis { stored, wanted: first.hash });
            }
            Some(_) => stored_head(&store)?,
            None => {
                let mut batch = block_batch(&first);
                state_batch(&mut batch, &first, false);
                stamp_format(&mut batch);
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
            tip: RwLock::new(Tip { head, hash, pending: HashMap::new(), order: VecDeque::new() }),
            finalizing: Mutex::default(),
            registering: Mutex::default(),
            codes: CodeCache::default(),
            senders: Senders::default(),
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
        let view = self.view(parent).ok_or(ProposeError::UnknownParent(parent))?;
        let timestamp = view.parent.timestamp.max(now_ms / 1000);
        let header = child_header(&self.rules, &view.parent, parent, timestamp, beneficiary);
        let mut execution = Execution::new(&self.rules, header, Working::new(&view, &self.codes));
        for candidate in candidates {
            if execution.is_full() {
                break;
            }
            match execution.include(&candidate) {
                // One that would break the supply is skipped too: the chain must go on without it.
                Ok(()) | Err(BlockError::Transaction { .. } | BlockError::Supply(_)) => {}
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
        let known = self.tip().pending.get(&hash).is_some_and(|known| known.block == *block);
        if known {
            return Ok(());
        }
        let (number, head) = (block.number(), self.head().number);
        if number <= head {
            let known = stored_hash(&self.store, number)? == Some(hash) && block.is_whole();
            return if known { Ok(()) } else { Err(BlockError::Final { number, head }) };
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
        let _one_at_a_time = self.finalizing.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, hash) = (block.number(), block.hash());
        let head = self.head().number;
        if number <= head {
            return match stored_hash(&self.store, number)? {
                Some(stored) if stored != hash => Err(StoreError::Conflict { number, stored, got: hash }),
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
                error => StoreError::Invalid { number, error: Box::new(error) },
            })?),
        };
        if executed.block.header.parent_hash != self.head_hash() {
            let (stored, got) = (self.head_hash(), executed.block.header.parent_hash);
            return Err(StoreError::Conflict { number: head, stored, got });
        }

        let mut batch = block_batch(&executed);
        state_batch(&mut batch, &executed, true);
        self.prune(&mut batch, number)?;
        self.writing.store(number, Ordering::SeqCst);
        self.store.write(batch)?;

        let Executed { block, senders, receipts, .. } = &*executed;
        let finalized = Finalized { block: block.clone(), hash, receipts: receipts.clone(), senders: senders.clone() };
        let mut tip = self.tip.write().unwrap_or_else(PoisonError::into_inner);
        tip.head = block.header.clone();
        tip.hash = hash;
        tip.pending.retain(|_, pending| pending.block.number() > number);
        let Tip { pending, order, .. } = &mut *tip;
        order.retain(|hash| pending.contains_key(hash));
        drop(tip);
        self.senders.forget(block);
        Ok(Some(Arc::new(finalized)))
    }

    /// Remembers a sender that was recovered outside, so that a block with this transaction is verified faster.
    pub fn remember_sender(&self, transaction: &Transaction) {
        self.senders.remember(transaction);
    }

    fn tip(&self) -> RwLockReadGuard<'_, Tip> {
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
        let parent = overlays.first().map_or(&tip.head, |executed: &Arc<Executed>| &executed.block.header).clone();
        Some(View { store: &self.store, overlays, parent })
    }

    /// Runs a block and checks all of it but its time against the clock.
    fn execute(&self, block: &Block) -> Result<Executed, BlockError> {
        let Header { number, parent_hash: parent, timestamp, beneficiary, .. } = block.header;
        let view = self.view(parent).ok_or(BlockError::UnknownParent { number, parent })?;
        if timestamp < view.parent.timestamp {
            let want = format!("at least {}, the parent's", view.parent.timestamp);
            return Err(BlockError::Header { field: "timestamp", got: timestamp.to_string(), want });
        }
        let header = child_header(&self.rules, &view.parent, parent, timestamp, beneficiary);
        // Refused before anything is run, so that a bad header costs us nothing.
        if number != header.number {
            let want = header.number.to_string();
            return Err(BlockError::Header { field: "number", got: number.to_string(), want });
        }
        let transactions = self.senders.recover(block, self.rules.chain_id)?;
        let mut execution = Execution::new(&self.rules, header, Working::new(&view, &self.codes));
        transactions.iter().try_for_each(|transaction| execution.include(transaction))?;
        let executed = execution.finish(view.parent.state_root)?;
        execution::compare(&block.header, &executed.block.header)?;
        Ok(executed)
    }

    /// Keeps an executed block until a block of its number is final.
    fn keep(&self, executed: Executed) {
        let mut tip = self.tip.write().unwrap_or_else(PoisonError::into_inner);
        if executed.block.number() <= tip.head.number {
            return;
        }
        if tip.order.len() >= MAX_PENDING
            && let Some(oldest) = tip.order.pop_front()
        {
            tip.pending.remove(&oldest);
        }
        tip.order.push_back(executed.hash);
        tip.pending.insert(executed.hash, Arc::new(executed));
    }
}

#[cfg(test)]
mod tests;
