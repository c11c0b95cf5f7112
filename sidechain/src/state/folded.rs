//! What several blocks in a row change in the state, taken together: only how each row is after the last of them.

use std::collections::HashMap;

use alloy_primitives::{B256, Bytes};

use super::{
    overlay::{Overlay, VERSIONED},
    store::Table,
};

/// The rows that a chain of blocks changed, as they are at its end. It is read like an [`Overlay`], and cannot be written to
/// the store: what a single block changed is not in it.
#[derive(Clone, Debug, Default)]
pub struct Folded {
    /// In the order of [`VERSIONED`].
    tables: [HashMap<Vec<u8>, Option<Vec<u8>>>; 4],
    codes: HashMap<B256, Bytes>,
}

impl Folded {
    /// Adds the block after those that are in it.
    pub fn add(&mut self, next: &Overlay) {
        for (table, key, change) in next.changes() {
            let rows = VERSIONED.iter().zip(&mut self.tables).find(|(versioned, _)| **versioned == table);
            if let Some((_, rows)) = rows {
                rows.insert(key.clone(), change.after.clone());
            }
        }
        self.codes.extend(next.codes.iter().map(|(hash, code)| (*hash, code.clone())));
    }

    /// Forgets all storage of an account (by the hash of its address), whose rows and nodes begin with it.
    pub fn empty_storage(&mut self, account: B256) {
        for (table, rows) in VERSIONED.iter().zip(&mut self.tables) {
            if matches!(table, Table::Slot | Table::StorageNode) {
                rows.retain(|key, _| !key.starts_with(account.as_slice()));
            }
        }
    }

    /// The row, if one of the blocks changed it.
    pub fn get(&self, table: Table, key: &[u8]) -> Option<Option<Vec<u8>>> {
        if table == Table::Code {
            let code = self.codes.get(&B256::try_from(key).ok()?)?;
            return Some(Some(code.to_vec()));
        }
        let position = VERSIONED.iter().position(|versioned| *versioned == table)?;
        self.tables[position].get(key).cloned()
    }
}
