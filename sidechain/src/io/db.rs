//! The chain's tables in rocksdb.

use std::path::Path;

use crate::{
    app::OpenError,
    store::{Batch, Entry, Store, StoreError, Table},
};

/// A [`Store`] in a directory.
pub struct Database {}

impl Database {
    /// Opens or creates the directory.
    ///
    /// # Errors
    ///
    /// `Locked` when another process has it; `Store` when the disk fails or is full.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let _ = path;
        todo!()
    }
}

impl Store for Database {
    fn get(&self, _table: Table, _key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        todo!()
    }

    fn seek(&self, _table: Table, _key: &[u8]) -> Result<Option<Entry>, StoreError> {
        todo!()
    }

    fn scan(&self, _table: Table, _from: &[u8], _limit: usize) -> Result<Vec<Entry>, StoreError> {
        todo!()
    }

    fn write(&self, _batch: Batch) -> Result<(), StoreError> {
        todo!()
    }
}
