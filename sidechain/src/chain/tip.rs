//! The last final block, what was executed above it, and the state there.

use alloy_primitives::B256;

use super::{
    pending::{Branch, Pending},
    recent::RecentHashes,
};
use crate::{
    block::Header,
    state::{
        StateReader,
        store::{Store, StoreError, Table},
    },
};

/// The last final block and what was executed above it.
pub(super) struct Tip {
    pub(super) head: Header,
    pub(super) hash: B256,
    /// Of final blocks, up to the head.
    pub(super) recent: RecentHashes,
    pub(super) pending: Pending,
}

/// State after a block that may not be final: what its pending ancestors and it changed, then the store.
pub(super) struct View<'a, S> {
    pub(super) store: &'a S,
    /// Of final blocks, up to the one that the branch stands on, or beyond.
    pub(super) recent: RecentHashes,
    pub(super) branch: Branch,
    pub(super) parent: Header,
}

impl<S: Store> StateReader for View<'_, S> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.branch.get(table, key) {
            Some(row) => Ok(row),
            None => self.store.get(table, key),
        }
    }

    fn block_hash(&self, number: u64) -> Result<Option<B256>, StoreError> {
        if number > self.parent.number {
            return Ok(None);
        }
        match self.branch.hash_of(number) {
            Some(hash) => Ok(Some(hash)),
            None => self.recent.hash_of(self.store, number),
        }
    }
}
