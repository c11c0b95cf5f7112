//! What a store of the chain must offer: ordered tables of bytes and atomic, durable batches. Which key and value stands
//! where is decided in [`crate::state`] and [`crate::chain`], once for every store: rocksdb (`io::db`) and [`Memory`].

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

/// A table of ordered bytes; in rocksdb a column family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// keccak(address) -> account ([`encode_account`](crate::state::encode_account)), at the head.
    Account,
    /// keccak(address) ++ keccak(slot) -> value (minimal big-endian), at the head.
    Slot,
    /// code hash -> code.
    Code,
    /// path, end -> node of the account trie, at the head; of a leaf the rest of its key alone.
    AccountNode,
    /// keccak(address) ++ path, end -> node of a storage trie, at the head; of a leaf the rest of its key alone.
    StorageNode,
    /// block ++ kind ++ last key of the page -> page of the rows that the block changed, as they were before: accounts and slots.
    StateUndo,
    /// kind ++ beginning of the key ++ block -> nothing: which records have a row of this key. Read by prefix alone.
    StateIndex,
    /// The same as `StateUndo` for trie nodes.
    NodeUndo,
    /// The same as `StateIndex` for trie nodes.
    NodeIndex,
    /// block -> header.
    Header,
    /// block -> transactions and senders.
    Body,
    /// block ++ index of the last of some transactions -> their receipts.
    Receipts,
    /// what a log is about ++ block -> transactions that logged it.
    LogIndex,
    /// block -> what its transactions paid.
    Fees,
    /// block hash -> block.
    BlockNumber,
    /// transaction hash -> block ++ index.
    TransactionHash,
    /// block -> finality certificate.
    Finality,
    /// block ++ part -> a block that is final but not executed here yet, or its certificate. Moves to the tables above.
    Ahead,
    /// cursor -> deposit registration.
    Registration,
    /// output key -> cursor.
    RegistrationKey,
    /// origin ++ cursor -> nothing.
    RegistrationAge,
    /// name -> value.
    Meta,
}

impl Table {
    /// Every table, in a fixed order.
    pub const ALL: [Self; 22] = [
        Self::Account,
        Self::Slot,
        Self::Code,
        Self::AccountNode,
        Self::StorageNode,
        Self::StateUndo,
        Self::StateIndex,
        Self::NodeUndo,
        Self::NodeIndex,
        Self::Header,
        Self::Body,
        Self::Receipts,
        Self::LogIndex,
        Self::Fees,
        Self::BlockNumber,
        Self::TransactionHash,
        Self::Finality,
        Self::Ahead,
        Self::Registration,
        Self::RegistrationKey,
        Self::RegistrationAge,
        Self::Meta,
    ];

    /// Name of the column family.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "acct",
            Self::Slot => "slot",
            Self::Code => "code",
            Self::AccountNode => "anode",
            Self::StorageNode => "snode",
            Self::StateUndo => "state_undo",
            Self::StateIndex => "state_index",
            Self::NodeUndo => "node_undo",
            Self::NodeIndex => "node_index",
            Self::Header => "header",
            Self::Body => "body",
            Self::Receipts => "receipts",
            Self::LogIndex => "log_index",
            Self::Fees => "fees",
            Self::BlockNumber => "number",
            Self::TransactionHash => "txhash",
            Self::Finality => "finality",
            Self::Ahead => "ahead",
            Self::Registration => "registration",
            Self::RegistrationKey => "registration_key",
            Self::RegistrationAge => "registration_age",
            Self::Meta => "meta",
        }
    }
}

/// Writes that become visible and durable together.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// In order; a later write to the same key wins. `None` deletes.
    pub writes: Vec<(Table, Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// Sets a value.
    pub fn put(&mut self, table: Table, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.writes.push((table, key.into(), Some(value.into())));
    }

    /// Removes a value, if there is one.
    pub fn delete(&mut self, table: Table, key: impl Into<Vec<u8>>) {
        self.writes.push((table, key.into(), None));
    }
}

/// A key and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Ordered tables of bytes with atomic batches.
pub trait Store: Send + Sync + 'static {
    /// The value of a key.
    ///
    /// # Errors
    ///
    /// `StoreError::Io` when the disk fails.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The first entry at or after a key.
    ///
    /// # Errors
    ///
    /// `StoreError::Io` when the disk fails.
    fn seek(&self, table: Table, key: &[u8]) -> Result<Option<Entry>, StoreError>;

    /// At most `limit` entries from a key on, in order.
    ///
    /// # Errors
    ///
    /// `StoreError::Io` when the disk fails.
    fn scan(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// At most `limit` entries from a key on downwards, the greatest first. Not of tables that are read by prefix.
    ///
    /// # Errors
    ///
    /// `StoreError::Io` when the disk fails.
    fn scan_back(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError>;

    /// Applies all writes or none. On return they are on disk.
    ///
    /// # Errors
    ///
    /// `StoreError::Io`, `StoreError::Full`: nothing was written.
    fn write(&self, batch: Batch) -> Result<(), StoreError>;
}

/// Why the store did not do as asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or the store's files failed. Fatal: stop, look at the disk, start again.
    #[error("cannot {action}: {detail}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// What the operating system or rocksdb said.
        detail: String,
    },
    /// No space left. Fatal, but nothing is lost: free some space and start again.
    #[error("disk full: {detail}; nothing was lost, free some space and start the node again")]
    Full {
        /// What the operating system or rocksdb said.
        detail: String,
    },
    /// What was asked for is older than what this node keeps. Not fatal: ask a node that keeps more.
    #[error("{}", gone(what, *number, *oldest, *began))]
    Pruned {
        what: &'static str,
        number: u64,
        /// Number of the oldest block for which it is there.
        oldest: u64,
        /// The block of which this node copied the state, 0 for genesis: it never had what was before.
        began: u64,
    },
    /// A value does not decode. Fatal: the data directory is damaged.
    #[error("damaged data in table {table}: {detail}")]
    Corrupt {
        table: &'static str,
        /// What does not decode.
        detail: String,
    },
    /// A panic of ours while the store was used. Says nothing of the disk and of what is on it.
    #[error("a bug while {action}: {detail}")]
    Bug {
        /// What was tried.
        action: &'static str,
        /// The text of the panic.
        detail: String,
    },
}

/// Why something is not there, and from where on it is.
fn gone(what: &str, number: u64, oldest: u64, began: u64) -> String {
    if number < began {
        return format!(
            "{what} of block {number} was never here: this node began with a copy of the state of block {began}, and the oldest kept is of block {oldest}"
        );
    }
    format!("{what} of block {number} was pruned, the oldest kept is of block {oldest}")
}

/// The rows of one table.
type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// A store in memory, for tests and simulation. Loses everything when dropped; clone the `Arc` around it to "restart".
#[derive(Debug, Default)]
pub struct Memory {
    tables: RwLock<BTreeMap<Table, Rows>>,
}

impl Store for Memory {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        Ok(tables.get(&table).and_then(|table| table.get(key)).cloned())
    }

    fn seek(&self, table: Table, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        Ok(self.scan(table, key, 1)?.pop())
    }

    fn scan(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let Some(table) = tables.get(&table) else {
            return Ok(Vec::new());
        };
        Ok(table.range(from.to_vec()..).take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn scan_back(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let Some(table) = tables.get(&table) else {
            return Ok(Vec::new());
        };
        let back = table.range(..=from.to_vec()).rev().take(limit);
        Ok(back.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        for (table, key, value) in batch.writes {
            let table = tables.entry(table).or_default();
            match value {
                Some(value) => table.insert(key, value),
                None => table.remove(&key),
            };
        }
        Ok(())
    }
}

impl<S: Store> Store for std::sync::Arc<S> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.as_ref().get(table, key)
    }

    fn seek(&self, table: Table, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.as_ref().seek(table, key)
    }

    fn scan(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.as_ref().scan(table, from, limit)
    }

    fn scan_back(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.as_ref().scan_back(table, from, limit)
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        self.as_ref().write(batch)
    }
}
