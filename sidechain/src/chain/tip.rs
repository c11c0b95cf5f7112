//! The last final block, what was executed above it, and the state there.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use alloy_primitives::B256;

use super::rows::stored_hash;
use crate::{
    block::Header,
    execution::Executed,
    state::{
        StateReader,
        store::{Store, StoreError, Table},
    },
};

/// Executed blocks kept above the head. Ordinarily there are two or three; while nothing becomes final every round may bring
/// another. One that was dropped is executed again when it is needed.
pub(super) const MAX_PENDING: usize = 128;

/// The last final block and what was executed above it.
pub(super) struct Tip {
    pub(super) head: Header,
    pub(super) hash: B256,
    pub(super) pending: HashMap<B256, Arc<Executed>>,
    /// Hashes in `pending`, oldest first, and some that are gone.
    pub(super) order: VecDeque<B256>,
}

/// State after a block that may not be final: its overlay, those of its pending ancestors, then the store.
pub(super) struct View<'a, S> {
    pub(super) store: &'a S,
    /// Newest first.
    pub(super) overlays: Vec<Arc<Executed>>,
    pub(super) parent: Header,
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
