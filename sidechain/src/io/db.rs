//! The chain's tables in rocksdb: a column family each, one synced write batch a block.

use std::{io::ErrorKind as IoErrorKind, path::Path, sync::Arc};

use rocksdb::{
    BlockBasedOptions, BoundColumnFamily, Cache, ColumnFamilyDescriptor, DB, DBCompressionType, Direction, Error,
    ErrorKind, IteratorMode, Options, WriteBatch, WriteOptions,
};

use crate::{
    chain::OpenError,
    state::store::{Batch, Entry, Store, StoreError, Table},
};

/// Memory for blocks of all tables, with their indexes and filters kept outside of it (inside, a small cache thrashes).
const CACHE_BYTES: usize = 128 << 20;

/// Log files of rocksdb itself that are kept (its `LOG`, not data).
const KEPT_LOGS: usize = 4;

/// Open files: far below the usual limit of 1024 files of a process, with room for connections.
const OPEN_FILES: i32 = 256;

/// A [`Store`] in a directory.
pub struct Database {
    db: DB,
}

impl Database {
    /// Opens or creates the directory.
    ///
    /// # Errors
    ///
    /// `Locked` when another process has it; `Store` when the disk fails or is full.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let create = |error: std::io::Error| match error.kind() {
            IoErrorKind::StorageFull => StoreError::Full { detail: format!("{}: {error}", path.display()) },
            _ => StoreError::Io { action: "create the data directory", detail: format!("{}: {error}", path.display()) },
        };
        std::fs::create_dir_all(path).map_err(create)?;
        let cache = Cache::new_lru_cache(CACHE_BYTES);
        let families = Table::ALL.map(|table| ColumnFamilyDescriptor::new(table.name(), table_options(table, &cache)));
        let db = DB::open_cf_descriptors(&options(), path, families).map_err(|error| open_error(path, &error))?;
        Ok(Self { db })
    }

    fn family(&self, table: Table) -> Arc<BoundColumnFamily<'_>> {
        self.db.cf_handle(table.name()).expect("all tables are opened")
    }
}

fn options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_keep_log_file_num(KEPT_LOGS);
    options.set_max_open_files(OPEN_FILES);
    // All memtables together; beyond it the oldest are written out, so that start-up replays little.
    options.set_db_write_buffer_size(128 << 20);
    options.set_max_total_wal_size(256 << 20);
    options.set_max_background_jobs(2);
    options
}

fn table_options(table: Table, cache: &Cache) -> Options {
    let mut block = BlockBasedOptions::default();
    block.set_block_cache(cache);
    block.set_bloom_filter(10.0, false);
    block.set_cache_index_and_filter_blocks(false);
    let mut options = Options::default();
    options.set_block_based_table_factory(&block);
    options.set_write_buffer_size(16 << 20);
    // Rows of hashes do not compress.
    let compression = match table {
        Table::BlockNumber | Table::TransactionHash | Table::Account => DBCompressionType::None,
        _ => DBCompressionType::Lz4,
    };
    options.set_compression_type(compression);
    options
}

impl Store for Database {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get_cf(&self.family(table), key).map_err(|error| store_error("read", &error))
    }

    fn seek(&self, table: Table, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        Ok(self.scan(table, key, 1)?.pop())
    }

    fn scan(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        let family = self.family(table);
        self.db
            .iterator_cf(&family, IteratorMode::From(from, Direction::Forward))
            .take(limit)
            .map(|entry| match entry {
                Ok((key, value)) => Ok((key.into_vec(), value.into_vec())),
                Err(error) => Err(store_error("read", &error)),
            })
            .collect()
    }

    fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let mut rows = WriteBatch::default();
        for (table, key, value) in batch.writes {
            let family = self.family(table);
            match value {
                Some(value) => rows.put_cf(&family, key, value),
                None => rows.delete_cf(&family, key),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.db.write_opt(rows, &options).map_err(|error| store_error("write", &error))
    }
}

fn open_error(path: &Path, error: &Error) -> OpenError {
    let detail = error.as_ref();
    if error.kind() == ErrorKind::IOError && (detail.contains("lock") || detail.contains("LOCK")) {
        return OpenError::Locked { path: path.display().to_string(), detail: detail.to_owned() };
    }
    store_error("open the data directory", error).into()
}

fn store_error(action: &'static str, error: &Error) -> StoreError {
    let detail: &str = error.as_ref();
    // rocksdb gives the operating system's words for ENOSPC and EDQUOT.
    if detail.contains("No space left") || detail.contains("NoSpace") || detail.contains("quota exceeded") {
        return StoreError::Full { detail: detail.to_owned() };
    }
    match error.kind() {
        ErrorKind::Corruption => StoreError::Corrupt { table: "rocksdb", detail: detail.to_owned() },
        _ => StoreError::Io { action, detail: detail.to_owned() },
    }
}
