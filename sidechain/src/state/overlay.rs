//! What a block changes in the state.

use std::collections::{BTreeMap, HashMap};

use alloy_primitives::{B256, Bytes};

use super::store::Table;

/// A row of a head table that a block changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Row before the block.
    pub before: Option<Vec<u8>>,
    /// Row after the block.
    pub after: Option<Vec<u8>>,
}

/// The tables whose rows have a history.
pub const VERSIONED: [Table; 4] = [Table::Account, Table::Slot, Table::AccountNode, Table::StorageNode];

/// All that a block changes in the state.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    /// In the order of [`VERSIONED`].
    tables: [HashMap<Vec<u8>, Change>; 4],
    /// Code that the block brought.
    pub codes: BTreeMap<B256, Bytes>,
}

impl Overlay {
    /// The row, if this block changed it.
    pub fn get(&self, table: Table, key: &[u8]) -> Option<Option<Vec<u8>>> {
        if table == Table::Code {
            let code = self.codes.get(&B256::try_from(key).ok()?)?;
            return Some(Some(code.to_vec()));
        }
        let position = VERSIONED.iter().position(|versioned| *versioned == table)?;
        self.tables[position].get(key).map(|change| change.after.clone())
    }

    /// The changed rows of each table.
    pub fn tables(&self) -> impl Iterator<Item = (Table, &HashMap<Vec<u8>, Change>)> {
        VERSIONED.into_iter().zip(&self.tables)
    }

    /// The changed rows, table by table.
    pub fn changes(&self) -> impl Iterator<Item = (Table, &Vec<u8>, &Change)> {
        self.tables().flat_map(|(table, rows)| rows.iter().map(move |(key, change)| (table, key, change)))
    }

    pub(super) fn put(&mut self, table: Table, key: Vec<u8>, before: Option<Vec<u8>>, after: Option<Vec<u8>>) {
        let position =
            VERSIONED.iter().position(|versioned| *versioned == table).expect("only versioned tables change");
        self.tables[position].insert(key, Change { before, after });
    }
}
