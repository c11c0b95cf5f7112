//! The engine's application: joins chain and pool.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};
use std::time::Instant;

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256};
use tracing::{debug, error, info, warn};

use super::commit::commit;
use crate::{
    block::{Block, Transaction, next_base_fee},
    chain::{Ahead, MAX_CLOCK_DRIFT_MS, ProposeError, Room},
    counters::RoundEvent,
    execution::{BlockError, Stop},
    io::{
        consensus::{Application, BUILD_LIMIT, FinalBlocks, Verdict},
        node_state::{
            NodeState,
            building::{BUDGET, Build, Left, Timing},
            offered::{Ancestors, Offered},
        },
    },
    state::store::StoreError,
};

const _: () = assert!(BUDGET.as_millis() < BUILD_LIMIT.as_millis(), "the engine waits longer than a build takes");

/// The node in the engine's eyes.
pub(in crate::io) struct NodeApplication {
    pub(in crate::io) state: NodeState,
    timing: Timing,
    /// Whether the clock was doubted when it was last looked at.
    in_doubt: AtomicBool,
    /// Number and hash of the last block with transactions that was built here, until it is known whether it became final.
    built: Mutex<Option<(u64, B256)>>,
    /// Of the block that was last asked about, by its hash.
    ancestors: Mutex<Option<(B256, Arc<Ancestors>)>>,
}

impl NodeApplication {
    pub(in crate::io) fn new(state: NodeState) -> Self {
        Self::with_timing(state, Timing::default())
    }

    pub(super) fn with_timing(state: NodeState, timing: Timing) -> Self {
        Self { state, timing, in_doubt: AtomicBool::new(false), built: Mutex::new(None), ancestors: Mutex::new(None) }
    }

    /// What the next block may take.
    #[cfg(test)]
    pub(super) fn time_of_a_block(&self) -> std::time::Duration {
        self.timing.budget()
    }

    /// Transactions that ran longer than a block has time for, or set off a panic, leave the pool, and their senders wait.
    fn hold_back(&self, left: &Left, now_ms: u64) {
        let too_often = |transaction: &&Transaction| self.state.pool().on_stop(*transaction.tx_hash());
        let slow = left.blamed.iter().chain(left.stopped.iter().filter(too_often));
        let slow = slow.map(|transaction| (transaction, "took too long"));
        for (transaction, what) in slow.chain(left.broke.iter().map(|transaction| (transaction, "set off a bug"))) {
            let (hash, sender) = (transaction.tx_hash(), transaction.signer());
            let until_ms = self.state.pool().evict_and_hold(transaction, now_ms);
            warn!(%hash, %sender, gas = transaction.gas_limit(), until_ms, "transaction {what}: evicted, and its sender is held back");
        }
    }

    /// Looks what became of the last block that was built here: another in its place means that too few checked it in time.
    fn learn_of_the_last(&self) {
        // A plain value: a panic elsewhere does not spoil it.
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((number, hash)) = *built else { return };
        match self.state.chain.header(number) {
            Ok(Some(header)) => {
                if header.hash_slow() != hash {
                    self.timing.too_slow();
                }
                *built = None;
            }
            Ok(None) => {}
            Err(error) => warn!(%error, number, "cannot read what became of a block"),
        }
    }

    /// A block of what the pool offers, as `make` makes it.
    pub(super) fn build_by(
        &self,
        (parent, now_ms, beneficiary): (B256, u64, Address),
        stop: &Stop,
        make: impl FnOnce(&mut Build<'_>) -> Result<Block, ProposeError>,
    ) -> Result<Block, String> {
        self.learn_of_the_last();
        let mut offered = Offered::new(&self.state, self.ancestors(parent)?);
        let (built, left) = Build::run(&self.timing, &mut offered, stop, make);
        debug!(%parent, budget = ?self.timing.budget(), %left, "built");
        self.hold_back(&left, now_ms);
        self.drop_failed(parent, &left.failed);
        let built = built.unwrap_or_else(|panic| {
            // Without whoever set it off the next block is an ordinary one.
            error!(panic, "a bug, set off by a transaction: the block stays empty");
            self.state.chain.propose(parent, now_ms, beneficiary, std::iter::empty(), stop)
        });
        let block = built.map_err(|error| error.to_string())?;
        if !block.transactions.is_empty() {
            *self.built.lock().unwrap_or_else(PoisonError::into_inner) = Some((block.number(), block.hash()));
        }
        Ok(block)
    }

    /// What a block on `parent` stands on.
    ///
    /// # Errors
    ///
    /// In words: `parent` is not known, or the store failed.
    fn ancestors(&self, parent: B256) -> Result<Arc<Ancestors>, String> {
        // A plain value: a panic elsewhere does not spoil it.
        let mut last = self.ancestors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, ancestors)) = last.as_ref().filter(|(hash, _)| *hash == parent) {
            // What became final meanwhile is not in the pool any more.
            return Ok(ancestors.clone());
        }
        let usable = self.state.chain.usable(parent).ok_or_else(|| format!("block {parent} is not known"))?;
        let (header, pending) = usable;
        let ancestors = Arc::new(Ancestors { base_fee: next_base_fee(&header), pending });
        *last = Some((parent, ancestors.clone()));
        Ok(ancestors)
    }

    /// Tells the pool what could not be included, for reasons that will not go away.
    fn drop_failed(&self, parent: B256, failed: &[B256]) {
        // On other parents it may be that something did not become final which made it fail.
        let lasts = parent == self.state.chain.head_hash();
        let mut pool = self.state.pool();
        for hash in failed {
            if pool.on_failure(*hash, lasts) {
                debug!(%hash, "dropped: it fails in blocks");
            }
        }
    }
}

impl FinalBlocks for NodeApplication {
    fn keep(&self, kept: Vec<Ahead>) -> Result<(), String> {
        self.state.chain.keep_ahead(&kept).map_err(|error| error.to_string())
    }

    fn first_block(&self) -> u64 {
        self.state.chain.first_block()
    }

    fn kept(&self, from: u64, limit: usize) -> Result<Vec<Ahead>, String> {
        self.state.chain.kept_ahead(from, limit).map_err(|error| error.to_string())
    }

    fn final_block(&self, number: u64) -> Result<Option<Block>, String> {
        match self.state.chain.final_block(number) {
            Err(StoreError::Pruned { .. }) => Ok(None),
            block => block.map_err(|error| error.to_string()),
        }
    }

    fn number_of(&self, hash: B256) -> Result<Option<u64>, String> {
        self.state.chain.number_of(hash).map_err(|error| error.to_string())
    }

    fn certificate(&self, number: u64) -> Result<Option<Vec<u8>>, String> {
        self.state.chain.final_certificate(number).map_err(|error| error.to_string())
    }

    fn certified(&self, from: u64, limit: usize) -> Result<Vec<u64>, String> {
        self.state.chain.certified(from, limit).map_err(|error| error.to_string())
    }
}

impl Application for NodeApplication {
    fn genesis(&self) -> Block {
        self.state.chain.genesis_block()
    }

    fn head(&self) -> u64 {
        self.state.chain.head().number
    }

    fn knows(&self, hash: B256) -> bool {
        self.state.chain.is_usable(hash)
    }

    fn is_final(&self, hash: B256) -> bool {
        matches!(self.state.chain.number_of(hash), Ok(Some(_)))
    }

    fn room_for(&self, block: &Block, last_final: u64) -> Room {
        if block.transactions.is_empty() {
            return Room::Enough;
        }
        self.state.chain.room_to_vote(block.header.parent_hash, last_final)
    }

    fn has_work(&self, parent: B256) -> bool {
        // Transactions behind a gap, with too low a price, or in the parent already are not work: they would keep empty blocks
        // coming for free. Nor is anything while the block would have to be empty.
        if !self.state.chain.has_room_above(parent) {
            return false;
        }
        let Ok(ancestors) = self.ancestors(parent) else { return false };
        self.state.pool().has_work(ancestors.base_fee, |hash| ancestors.pending.contains(&hash))
    }

    fn work_arrived(&self) -> impl Future<Output = ()> + Send {
        let mut pending = self.state.pending.subscribe();
        async move {
            // Lagging means that more than enough arrived.
            let _ = pending.recv().await;
        }
    }

    fn doubts_clock(&self, now_ms: u64) -> bool {
        let doubt = self.state.facts().clock_doubt(now_ms);
        match (doubt, self.in_doubt.swap(doubt.is_some(), Ordering::Relaxed)) {
            (Some(doubt), false) => error!(
                "{doubt}: it neither proposes nor votes until the clock is right. Look at the machine's time service"
            ),
            (None, true) => info!("the clock is right again: it proposes and votes"),
            _ => {}
        }
        doubt.is_some()
    }

    fn build(&self, parent: B256, now_ms: u64, beneficiary: Address, stop: &Stop) -> Result<Block, String> {
        self.build_by((parent, now_ms, beneficiary), stop, |offers| {
            self.state.chain.propose_offered(parent, now_ms, beneficiary, offers, stop)
        })
    }

    fn check(&self, block: &Block, now_ms: u64, stop: &Stop) -> Verdict {
        let begun = Instant::now();
        let verified = self.state.chain.verify(block, now_ms, stop);
        self.state.counters.checked.took(begun.elapsed());
        match verified {
            Ok(()) => {
                self.timing.in_time();
                Verdict::Valid
            }
            Err(BlockError::Stopped) => {
                self.timing.too_slow();
                Verdict::Unknown(BlockError::Stopped.to_string())
            }
            Err(BlockError::Future { got, .. }) => {
                Verdict::NotYet { until_ms: got.saturating_mul(1000).saturating_sub(MAX_CLOCK_DRIFT_MS) }
            }
            Err(error @ (BlockError::Store(_) | BlockError::UnknownParent { .. })) => {
                Verdict::Unknown(error.to_string())
            }
            Err(error) => Verdict::Invalid(error.to_string()),
        }
    }

    fn note(&self, event: RoundEvent) {
        self.state.counters.note(event);
    }

    fn commit(&self, block: &Block, certificate: Option<&[u8]>, now_ms: u64) -> Result<(), String> {
        commit(&self.state, block, certificate, now_ms)
    }
}
