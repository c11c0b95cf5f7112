//! Hashes of the last final blocks, in memory.

use std::{collections::VecDeque, sync::Arc};

use alloy_primitives::B256;

use super::rows::{corrupt, stored_hash, stored_header};
use crate::state::store::{Store, StoreError, Table};

/// As far back as the instruction BLOCKHASH sees, from the block that runs.
const WINDOW: usize = 256;

/// Hashes of the last final blocks: all that BLOCKHASH can ask for on any block above them. It costs 20 gas, so it may never
/// reach the disk. A clone is what they were when it was made, and costs nothing.
#[derive(Clone, Debug)]
pub(super) struct RecentHashes {
    /// Number of the last one.
    last: u64,
    /// Oldest first, at most [`WINDOW`] and without gaps.
    hashes: Arc<VecDeque<B256>>,
}

impl RecentHashes {
    /// Those up to the last final block.
    ///
    /// # Errors
    ///
    /// When the store fails, or lacks a header.
    pub(super) fn load<S: Store>(store: &S, last: u64, hash: B256) -> Result<Self, StoreError> {
        let mut hashes = VecDeque::from([hash]);
        // Each header has the hash of the one before.
        for number in (1..=last).rev().take(WINDOW - 1) {
            let header = stored_header(store, number)?;
            let header = header.ok_or_else(|| corrupt(Table::Header, format!("block {number} is missing")))?;
            hashes.push_front(header.parent_hash);
        }
        Ok(Self { last, hashes: Arc::new(hashes) })
    }

    /// Adds the next final block.
    pub(super) fn push(&mut self, hash: B256) {
        let hashes = Arc::make_mut(&mut self.hashes);
        if hashes.len() == WINDOW {
            hashes.pop_front();
        }
        hashes.push_back(hash);
        self.last += 1;
    }

    /// The hash of a final block: of these, or as stored.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub(super) fn hash_of<S: Store>(&self, store: &S, number: u64) -> Result<Option<B256>, StoreError> {
        match self.get(number) {
            Some(hash) => Ok(Some(hash)),
            None => stored_hash(store, number),
        }
    }

    /// The hash of a block; `None` above the last one and before the first that is kept.
    fn get(&self, number: u64) -> Option<B256> {
        let back = usize::try_from(self.last.checked_sub(number)?).ok()?;
        let position = self.hashes.len().checked_sub(back + 1)?;
        self.hashes.get(position).copied()
    }
}
