//! The chain's tables in rocksdb: a column family each, one synced write batch a block.

mod open_files;

use std::{
    io::ErrorKind as IoErrorKind,
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel},
    },
    thread::JoinHandle,
};

use alloy_primitives::{B256, keccak256};
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, BoundColumnFamily, Cache, ColumnFamilyDescriptor, DB, DBCompressionType,
    Direction, Error, ErrorKind, IteratorMode, Options, ReadOptions, SliceTransform, SnapshotWithThreadMode,
    WriteBatch, WriteOptions,
};

use crate::{
    chain::{OpenError, snapshot::FrozenRows},
    state::{
        StateReader,
        store::{Batch, Entry, Store, StoreError, Table},
        undo,
    },
};

/// Memory for blocks, indexes and filters of all tables together, unless the operator says otherwise.
pub const DEFAULT_CACHE_BYTES: usize = 64 << 20;

/// Memtables of all tables together. Beyond it the oldest are written out, so that start-up replays little.
const MEMTABLE_BYTES: usize = 48 << 20;

/// A memtable takes memory in blocks of this size. Most tables get few rows a block of the chain: at rocksdb's own size, one mebibyte,
/// what they do not use of theirs is a third of [`MEMTABLE_BYTES`].
const MEMTABLE_BLOCK_BYTES: usize = 128 << 10;

/// Log files of rocksdb itself that are kept (its `LOG`, not data).
const KEPT_LOGS: usize = 4;

/// A [`Store`] in a directory.
pub struct Database {
    db: Arc<DB>,
}

impl Database {
    /// Opens or creates the directory, with a cache of the default size.
    ///
    /// # Errors
    ///
    /// `Locked` when another process has it; `Store` when the disk fails or is full.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_with(path, DEFAULT_CACHE_BYTES)
    }

    /// The same with a cache of `cache_bytes`.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_with(path: &Path, cache_bytes: usize) -> Result<Self, OpenError> {
        let create = |error: std::io::Error| match error.kind() {
            IoErrorKind::StorageFull => StoreError::Full { detail: format!("{}: {error}", path.display()) },
            _ => StoreError::Io { action: "create the data directory", detail: format!("{}: {error}", path.display()) },
        };
        std::fs::create_dir_all(path).map_err(create)?;
        let cache = Cache::new_lru_cache(cache_bytes);
        let families = Table::ALL.map(|table| ColumnFamilyDescriptor::new(table.name(), table_options(table, &cache)));
        let options = options(open_files::raise());
        let db = DB::open_cf_descriptors(&options, path, families).map_err(|error| open_error(path, &error))?;
        Ok(Self { db: Arc::new(db) })
    }

    /// The tables as they are now, for reading while the database goes on. They cost the disk what changes meanwhile.
    ///
    /// # Errors
    ///
    /// `Io` when the operating system gives no thread.
    pub fn freeze(&self) -> Result<Frozen, StoreError> {
        let (jobs, queue) = sync_channel(WAITING);
        let (taken, is_taken) = channel();
        let db = self.db.clone();
        let serve = move || {
            let snapshot = db.snapshot();
            // Whoever waits for it hears of an end, too.
            let _ = taken.send(());
            serve(&FrozenTables { db: &db, snapshot }, &queue);
        };
        let io = |detail: String| StoreError::Io { action: "freeze the state", detail };
        let thread = std::thread::Builder::new().name("snapshot".to_owned()).spawn(serve);
        let thread = thread.map_err(|error| io(error.to_string()))?;
        is_taken.recv().map_err(|error| io(error.to_string()))?;
        Ok(Frozen { jobs: Some(jobs), thread: Some(thread) })
    }

    fn family(&self, table: Table) -> Arc<BoundColumnFamily<'_>> {
        family(&self.db, table)
    }
}

fn options(open_files: u64) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_keep_log_file_num(KEPT_LOGS);
    options.set_max_open_files(i32::try_from(open_files).unwrap_or(i32::MAX));
    options.set_db_write_buffer_size(MEMTABLE_BYTES);
    options.set_max_total_wal_size(256 << 20);
    options.set_max_background_jobs(2);
    options
}

/// How a table is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// Single keys that may be missing, scattered: a filter saves the look into files that do not have them.
    Scattered,
    /// Single keys or rows in order; what is asked for is nearly always there.
    Present,
    /// From a key on, never beyond its prefix: a filter of prefixes.
    Prefix,
}

const fn reads(table: Table) -> Reads {
    match table {
        Table::StateIndex | Table::NodeIndex => Reads::Prefix,
        Table::StateUndo
        | Table::NodeUndo
        | Table::Header
        | Table::Body
        | Table::Receipts
        | Table::LogIndex
        | Table::Fees
        | Table::Finality
        | Table::Ahead => Reads::Present,
        _ => Reads::Scattered,
    }
}

fn table_options(table: Table, cache: &Cache) -> Options {
    let mut block = BlockBasedOptions::default();
    block.set_block_cache(cache);
    // Indexes and filters grow with the data: they are in the cache, in parts, so that memory has a bound. Of each file only the
    // small index of the parts stays.
    block.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    block.set_cache_index_and_filter_blocks(true);
    block.set_cache_index_and_filter_blocks_with_high_priority(true);
    block.set_pin_l0_filter_and_index_blocks_in_cache(true);
    block.set_pin_top_level_index_and_filter(true);
    let mut options = Options::default();
    if reads(table) != Reads::Present {
        // Ten bits a key, one false hit of a hundred; the lower levels, which have nearly all keys, in a third less space.
        block.set_hybrid_ribbon_filter(10.0, 1);
        block.set_partition_filters(true);
    }
    if reads(table) == Reads::Scattered {
        // Most of what is asked for was not written lately: a filter answers that faster than the list does.
        options.set_memtable_whole_key_filtering(true);
        options.set_memtable_prefix_bloom_ratio(0.02);
    }
    if reads(table) == Reads::Prefix {
        block.set_whole_key_filtering(false);
        options.set_prefix_extractor(SliceTransform::create("index prefix", undo::prefix_of_index, None));
        options.set_memtable_prefix_bloom_ratio(0.1);
    }
    options.set_block_based_table_factory(&block);
    options.set_write_buffer_size(16 << 20);
    options.set_arena_block_size(MEMTABLE_BLOCK_BYTES);
    options.set_level_compaction_dynamic_level_bytes(true);
    // Rows of hashes do not compress.
    let compression = match table {
        Table::BlockNumber
        | Table::TransactionHash
        | Table::Account
        | Table::StateIndex
        | Table::NodeIndex
        | Table::LogIndex => DBCompressionType::None,
        _ => DBCompressionType::Lz4,
    };
    options.set_compression_type(compression);
    options
}

fn read_options(table: Table) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_prefix_same_as_start(reads(table) == Reads::Prefix);
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
        let mode = IteratorMode::From(from, Direction::Forward);
        entries(self.db.iterator_cf_opt(&family, read_options(table), mode), limit)
    }

    fn scan_back(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        let family = self.family(table);
        let mode = IteratorMode::From(from, Direction::Reverse);
        entries(self.db.iterator_cf_opt(&family, read_options(table), mode), limit)
    }

    fn write(&self, mut batch: Batch) -> Result<(), StoreError> {
        // Neighbours are inserted behind one another, and the list is not searched from its start for each. Of two writes to one key the
        // later still wins: the order of equals is kept.
        batch.writes.sort_by(|(table, key, _), (other, other_key, _)| (table, key).cmp(&(other, other_key)));
        let mut rows = WriteBatch::default();
        for some in batch.writes.chunk_by(|(table, ..), (next, ..)| table == next) {
            let family = self.family(some[0].0);
            for (_, key, value) in some {
                match value {
                    Some(value) => rows.put_cf(&family, key, value),
                    None => rows.delete_cf(&family, key),
                }
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(true);
        self.db.write_opt(rows, &options).map_err(|error| store_error("write", &error))
    }
}

/// Readers that may wait for one snapshot.
const WAITING: usize = 8;

type Job = Box<dyn FnOnce(&FrozenTables<'_>) + Send>;

/// The tables as they were at one moment. One thread reads them, for one reader after another: copying a state must not take
/// more of a machine than that.
#[derive(Debug)]
pub struct Frozen {
    /// None once it is dropped.
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Frozen {
    /// Reads, when those who came before are done. `None` when too many wait already. Blocks.
    pub fn read<T: Send + 'static>(&self, work: impl FnOnce(&FrozenTables<'_>) -> T + Send + 'static) -> Option<T> {
        let (answer, answered) = channel();
        let job: Job = Box::new(move |tables| {
            // The reader may have gone.
            let _ = answer.send(work(tables));
        });
        match self.jobs.as_ref()?.try_send(job) {
            Ok(()) => answered.recv().ok(),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => None,
        }
    }
}

impl Drop for Frozen {
    /// Waits for the thread, which holds the database open.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("a reader of a snapshot panicked");
        }
    }
}

fn serve(tables: &FrozenTables<'_>, queue: &Receiver<Job>) {
    while let Ok(job) = queue.recv() {
        job(tables);
    }
}

/// What a reader of [`Frozen`] sees.
pub struct FrozenTables<'a> {
    db: &'a DB,
    snapshot: SnapshotWithThreadMode<'a, DB>,
}

impl StateReader for FrozenTables<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.snapshot.get_cf(&family(self.db, table), key).map_err(|error| store_error("read", &error))
    }

    fn block_hash(&self, number: u64) -> Result<Option<B256>, StoreError> {
        Ok(self.get(Table::Header, &number.to_be_bytes())?.map(keccak256))
    }
}

impl FrozenRows for FrozenTables<'_> {
    fn scan(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError> {
        let mode = IteratorMode::From(from, Direction::Forward);
        entries(self.snapshot.iterator_cf_opt(&family(self.db, table), read_options(table), mode), limit)
    }
}

fn family(db: &DB, table: Table) -> Arc<BoundColumnFamily<'_>> {
    db.cf_handle(table.name()).expect("all tables are opened")
}

/// An entry as rocksdb gives it.
type RawEntry = Result<(Box<[u8]>, Box<[u8]>), Error>;

fn entries(iterator: impl Iterator<Item = RawEntry>, limit: usize) -> Result<Vec<Entry>, StoreError> {
    let entry = |entry: RawEntry| match entry {
        Ok((key, value)) => Ok((key.into_vec(), value.into_vec())),
        Err(error) => Err(store_error("read", &error)),
    };
    iterator.take(limit).map(entry).collect()
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
