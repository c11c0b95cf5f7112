//! A store in memory that counts what is read.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use super::*;
use crate::state::store::{Batch, Entry};

/// Counts reads, and stops an execution at one of them.
#[derive(Default)]
pub struct Counting {
    memory: Memory,
    reads: AtomicU64,
    rows: Mutex<BTreeMap<Table, u64>>,
    sought: Mutex<BTreeMap<Table, Vec<u8>>>,
    stop_at: Mutex<Option<(u64, Stop)>>,
}

impl Counting {
    /// Reads until now.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    /// Stops what has `stop` when `reads` more were made.
    pub fn stop_after(&self, reads: u64, stop: &Stop) {
        *self.stop_at.lock().unwrap_or_else(PoisonError::into_inner) = Some((self.reads() + reads, stop.clone()));
    }

    /// Rows read of each table since the last time; a look for a row counts too when there is none.
    pub fn take_rows(&self) -> BTreeMap<Table, u64> {
        std::mem::take(&mut self.rows.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The key from which on a table was last looked through.
    pub fn last_sought(&self, table: Table) -> Option<Vec<u8>> {
        self.sought.lock().unwrap_or_else(PoisonError::into_inner).get(&table).cloned()
    }

    fn count(&self, table: Table, rows: usize) {
        *self.rows.lock().unwrap_or_else(PoisonError::into_inner).entry(table).or_default() += rows.max(1) as u64;
        let reads = self.reads.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some((_, stop)) =
            self.stop_at.lock().unwrap_or_else(PoisonError::into_inner).as_ref().filter(|(at, _)| reads == *at)
        {
            stop.stop();
        }
    }
}

impl Store for Counting {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.count(table, 1);
        self.memory.get(table, key)
    }

    fn seek(&self, table: Table, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.count(table, 1);
        self.sought.lock().unwrap_or_else(PoisonError::into_inner).insert(table, key.to_vec());
        self.memory.seek(table, key)
    }

    fn scan(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        let rows = self.memory.scan(table, from, limit)?;
        self.count(table, rows.len());
        Ok(rows)
    }

    fn scan_back(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        let rows = self.memory.scan_back(table, from, limit)?;
        self.count(table, rows.len());
        Ok(rows)
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.memory.write(batch)
    }
}
