//! The chain over a store: how it is opened, and what it holds in memory.

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, atomic::AtomicU64};

use alloy_primitives::{Address, B256};

use super::{
    error::OpenError,
    pending::Pending,
    receipts::receipts_batch,
    recent::RecentHashes,
    registrants,
    retention::{Oldest, Retention, Windows},
    rows::{block_batch, check_format, stamp_format, state_batch, stored_begin, stored_hash, stored_head},
    senders::Senders,
    shared::{SHARED_BYTES, Shared},
    stored::Stored,
    tip::{Tip, View},
};
use crate::{
    block::{Block, Header, Receipt, Transaction},
    execution::{Executed, Rules},
    genesis::Genesis,
    state::{CodeCache, store::Store},
};

/// The chain of one network, over a store.
pub struct Chain<S> {
    pub(super) genesis: Genesis,
    pub(super) network_id: B256,
    pub(super) genesis_block: Block,
    pub(super) rules: Rules,
    pub(super) retention: Retention,
    /// From which block on state, proofs and bodies are there.
    pub(super) windows: Windows,
    /// The block that the state was copied of; 0: none.
    pub(super) began: u64,
    pub(super) store: S,
    pub(super) tip: RwLock<Tip>,
    /// One block is finalized at a time.
    pub(super) finalizing: Mutex<()>,
    /// Number of the last block whose writes may have become visible.
    pub(super) writing: AtomicU64,
    /// One batch of registrations is taken at a time.
    pub(super) registering: Mutex<registrants::Oldest>,
    pub(super) codes: CodeCache,
    pub(super) senders: Senders,
    /// Final blocks and receipts in memory.
    pub(super) blocks: Shared<Stored>,
    pub(super) receipts: Shared<Vec<Receipt>>,
    pub(super) changed: Mutex<Changed>,
}

/// The accounts that the last final block changed.
#[derive(Clone, Debug, Default)]
pub struct Changed {
    /// Its number; 0 before the first.
    pub number: u64,
    /// keccak256 of their addresses.
    pub accounts: Arc<[B256]>,
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
                receipts_batch(&mut batch, &first);
                state_batch(&mut batch, &first, false);
                stamp_format(&mut batch);
                store.write(batch)?;
                (first.block.header.clone(), first.hash)
            }
        };
        let recent = RecentHashes::load(&store, head.number, hash)?;
        Ok(Self {
            rules: genesis.rules(),
            network_id: genesis.network_id(),
            genesis,
            genesis_block: first.block,
            retention,
            windows: Windows::load(&store)?,
            began: stored_begin(&store)?,
            store,
            writing: AtomicU64::new(head.number),
            tip: RwLock::new(Tip { head, hash, recent, pending: Pending::default() }),
            finalizing: Mutex::default(),
            registering: Mutex::default(),
            codes: CodeCache::default(),
            senders: Senders::default(),
            blocks: Shared::new(SHARED_BYTES),
            receipts: Shared::new(SHARED_BYTES),
            changed: Mutex::default(),
        })
    }

    /// The block that this node's state was copied of: of blocks before it, nothing is known here. 0: it executed them all.
    pub const fn began(&self) -> u64 {
        self.began
    }

    /// Where it is kept.
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// What the network agreed on.
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Which network it is: [`Genesis::network_id`], computed once.
    pub const fn network_id(&self) -> B256 {
        self.network_id
    }

    /// What its blocks may do.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// How long what is old is kept.
    pub const fn retention(&self) -> &Retention {
        &self.retention
    }

    /// From which block on something is there.
    pub fn oldest(&self) -> Oldest {
        let Windows { states, proofs, bodies } = &self.windows;
        Oldest { states: states.oldest(), proofs: proofs.oldest(), bodies: bodies.oldest() }
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

    /// The accounts that the last block made final here changed.
    pub fn changed(&self) -> Changed {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers a sender that was recovered outside, so that a block with this transaction is verified faster.
    pub fn remember_sender(&self, transaction: &Transaction) {
        self.senders.remember(transaction);
    }

    pub(super) fn tip(&self) -> RwLockReadGuard<'_, Tip> {
        self.tip.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// State after `block`, if it is the head or pending on top of it.
    ///
    /// A block that becomes final meanwhile does no harm: what it changed stays in the view and says the same as the store.
    pub(super) fn view(&self, block: B256) -> Option<View<'_, S>> {
        let tip = self.tip();
        let branch = tip.pending.branch(block, tip.hash)?;
        let parent = branch.tip().unwrap_or(&tip.head).clone();
        Some(View { store: &self.store, recent: tip.recent.clone(), branch, parent })
    }

    /// Keeps an executed block until a block of its number is final.
    pub(super) fn keep(&self, executed: Executed) {
        let mut tip = self.tip.write().unwrap_or_else(PoisonError::into_inner);
        let head = tip.hash;
        tip.pending.insert(executed, head);
    }
}
