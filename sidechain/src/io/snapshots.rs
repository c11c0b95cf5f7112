//! The snapshots that this node keeps for others, and how much of its work they get.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::snapshot::{Offer, Part};
use tracing::info;

use super::{FrozenStore, NodeStore};
use crate::{
    chain::snapshot::{PART_BYTES, Shelf, answer, certified_head},
    rate::RateLimit,
    state::store::StoreError,
};

/// Bytes given out in a second, to all who copy together: a home's line, and little of a server's.
const BYTES_PER_SECOND: u64 = 16 << 20;

/// Bytes that may be given out at once after a pause.
const BURST_BYTES: u64 = 2 * BYTES_PER_SECOND;

/// What an answer counts as at least.
const LOOK_BYTES: u64 = 4 << 10;

/// Why a part is not given.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// The snapshot was never kept here, or is not any more: ask for the offers again.
    #[error("no snapshot of block {0} is kept here")]
    Gone(u64),
    /// Others copy as much as this node gives: ask again in a second.
    #[error("too many copy snapshots from this node: ask again in a second, or another node")]
    Busy,
    /// The question asks for what is not there, or for too much.
    #[error("the snapshot has no such part")]
    NoSuchPart,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Snapshots of this node, by their blocks.
#[derive(Debug)]
pub struct Snapshots {
    /// One is taken whenever a block with a multiple of this number is final, so that all nodes have those of the same
    /// blocks. 0: never.
    every: u64,
    shelf: Mutex<Shelf<Arc<FrozenStore>>>,
    budget: Mutex<Budget>,
    /// One first snapshot at a time.
    first: Mutex<()>,
}

/// What may still be given out.
#[derive(Debug)]
struct Budget(RateLimit);

impl Snapshots {
    /// Blocks between two snapshots, by default: minutes, or at most an hour of an idle chain.
    pub const EVERY: u64 = 1024;

    /// Keeps none yet.
    #[must_use]
    pub fn new(every: u64) -> Self {
        Self { every, shelf: Mutex::default(), budget: Mutex::default(), first: Mutex::default() }
    }

    /// Takes a snapshot if it is time for one. Call it when block `number` is final by a certificate of its own that is in the
    /// store, and no later one. `now_ms` is Unix time, as everywhere here.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn on_final(&self, store: &NodeStore, number: u64, now_ms: u64) -> Result<(), StoreError> {
        if self.every != 0 && number.is_multiple_of(self.every) {
            self.keep(number, store.freeze()?, now_ms);
        }
        Ok(())
    }

    /// The snapshots that are kept, oldest first. The first question takes one if there is none: after a start.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn offers(&self, store: &NodeStore, now_ms: u64) -> Result<Vec<Offer>, StoreError> {
        let _one = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if self.every != 0 && self.shelf().numbers().next().is_none() {
            let frozen = store.freeze()?;
            let number = frozen.read(|tables| certified_head(tables)).transpose()?;
            if let Some(number) = number.flatten() {
                self.keep(number, frozen, now_ms);
            }
        }
        Ok(self.shelf().numbers().map(|number| Offer { number }).collect())
    }

    /// A part of a snapshot. Blocks.
    ///
    /// # Errors
    ///
    /// See [`PartError`].
    pub fn part(&self, number: u64, part: Part, now_ms: u64) -> Result<Vec<u8>, PartError> {
        let frozen = self.shelf().get(number, now_ms).cloned().ok_or(PartError::Gone(number))?;
        if !self.budget().reserve(now_ms) {
            return Err(PartError::Busy);
        }
        let answered = frozen.read(move |tables| answer(tables, number, &part, PART_BYTES));
        let given = answered.ok_or(PartError::Busy).and_then(|answered| answered?.ok_or(PartError::NoSuchPart));
        self.budget().settle(given.as_ref().map_or(0, Vec::len) as u64, now_ms);
        given
    }

    fn keep(&self, number: u64, frozen: FrozenStore, now_ms: u64) {
        let gone = self.shelf().add(number, Arc::new(frozen), now_ms);
        info!(number, gone = gone.len(), "keeps a snapshot for others to copy");
        // Outside of the lock: it waits for whoever reads.
        drop(gone);
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf<Arc<FrozenStore>>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self(RateLimit::with_burst(60 * BYTES_PER_SECOND, BURST_BYTES))
    }
}

impl Budget {
    /// Whether one more part may be given; it counts as a whole one until it is [settled](Self::settle).
    fn reserve(&mut self, now_ms: u64) -> bool {
        let may = self.0.left(now_ms) > 0;
        if may {
            self.0.spend(PART_BYTES as u64, now_ms);
        }
        may
    }

    /// Counts what was given in the end. Looking costs too.
    fn settle(&mut self, bytes: u64, now_ms: u64) {
        self.0.give_back(PART_BYTES as u64);
        self.0.spend(bytes.max(LOOK_BYTES), now_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_who_copy_get_together_is_bounded() {
        let mut budget = Budget::default();
        assert!(budget.reserve(1_000));
        budget.settle(BURST_BYTES, 1_000);
        assert!(!budget.reserve(1_000));
        assert!(budget.reserve(1_001), "a millisecond gives some");
        budget.settle(BYTES_PER_SECOND, 1_001);
        assert!(!budget.reserve(1_900));
        assert!(budget.reserve(2_001));
        let mut budget = Budget::default();
        let at_once = (0..1_000).filter(|_| budget.reserve(1_000)).count();
        assert_eq!(at_once, BURST_BYTES as usize / PART_BYTES, "what is under way counts");
    }

    #[test]
    fn who_asks_without_end_is_told_to_come_back_and_may_after_a_second() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = NodeStore::open(folder.path()).expect("a database");
        let chain = crate::chain::Chain::open(crate::testing::genesis(), store).expect("the genesis is right");
        let snapshots = Snapshots::new(1);
        snapshots.keep(0, chain.store().freeze().expect("it stands still"), 0);
        let ask = |part, now_ms| snapshots.part(0, part, now_ms);
        let accounts = || Part::Accounts { from: alloy_primitives::B256::ZERO };
        let nothing = || Part::Codes { hashes: Vec::new() };
        let refused = (0..20_000).find_map(|_| ask(accounts(), 1_000).err());
        assert!(matches!(refused, Some(PartError::Busy)), "{refused:?}");
        assert!(ask(accounts(), 2_000).is_ok());
        // Questions without an answer cost, too.
        let refused =
            (0..20_000).map(|_| ask(nothing(), 2_000)).find(|asked| !matches!(asked, Err(PartError::NoSuchPart)));
        assert!(matches!(refused, Some(Err(PartError::Busy))), "{refused:?}");
        assert!(ask(accounts(), 9_000_000_000).is_ok());
        assert!(matches!(snapshots.part(7, accounts(), 0), Err(PartError::Gone(7))));
    }
}
