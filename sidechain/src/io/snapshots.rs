//! The snapshots that this node keeps for others, and how much of its work they get.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::snapshot::{Offer, Part};
use tracing::info;

use super::{FrozenStore, NodeStore};
use crate::{
    chain::snapshot::{PART_BYTES, Shelf, answer, certified_head},
    state::store::StoreError,
};

/// Bytes given out in a second, to all who copy together: a home's line, and little of a server's.
const BYTES_PER_SECOND: u64 = 16 << 20;

/// Bytes that may be given out at once after a pause.
const BURST_BYTES: u64 = 2 * BYTES_PER_SECOND;

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
    spent: Mutex<Spent>,
}

/// What was given out lately.
#[derive(Debug, Default)]
struct Spent {
    bytes: u64,
    at_ms: u64,
}

impl Snapshots {
    /// Blocks between two snapshots, by default: minutes, or at most an hour of an idle chain.
    pub const EVERY: u64 = 1024;

    /// Keeps none yet.
    #[must_use]
    pub fn new(every: u64) -> Self {
        Self { every, shelf: Mutex::default(), spent: Mutex::default() }
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
        if !self.spent().allows(now_ms) {
            return Err(PartError::Busy);
        }
        let answered = frozen.read(move |tables| answer(tables, number, &part, PART_BYTES));
        let bytes = answered.ok_or(PartError::Busy)??.ok_or(PartError::NoSuchPart)?;
        self.spent().add(bytes.len() as u64);
        Ok(bytes)
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

    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spent {
    fn allows(&mut self, now_ms: u64) -> bool {
        let passed_ms = now_ms.saturating_sub(self.at_ms);
        self.at_ms = now_ms.max(self.at_ms);
        self.bytes = self.bytes.saturating_sub(passed_ms.saturating_mul(BYTES_PER_SECOND) / 1000);
        self.bytes < BURST_BYTES
    }

    const fn add(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_who_copy_get_together_is_bounded() {
        let mut spent = Spent::default();
        assert!(spent.allows(1_000));
        spent.add(BURST_BYTES);
        assert!(!spent.allows(1_000));
        assert!(spent.allows(1_001), "a millisecond gives some");
        spent.add(BYTES_PER_SECOND);
        assert!(!spent.allows(1_900));
        assert!(spent.allows(2_001));
    }
}
