//! What the chain costs on disk, and how fast it is read when it is much larger than memory:
//! `cargo run -p causeway-sidechain --features testing --example bench_disk -- blocks 16` (full blocks of transfers, blocks of one, and empty ones),
//! `... -- copy 1000000` (accounts of a state that is copied), and `... -- reads 48 768` (MiB of rows). Prints tables; asserts nothing about
//! time.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, keccak256};
use light::finality::certify;
use rocksdb::{BlockBasedOptions, Cache, DB, DBCompressionType, Options, WriteBatch};
use sidechain::{
    block::Transaction,
    chain::{
        Chain, Retention,
        snapshot::{PART_BYTES, Restore, Want, answer},
    },
    execution::Stop,
    io::db::Database,
    state::store::{Batch, Store, Table},
    testing::{Key, genesis, stranger, validator},
};

/// Transfers that fill a block of 60 M gas.
const TRANSFERS: u64 = 60_000_000 / 21_000;

/// Accounts before the first transfer. Transfers go from some of them to others.
const ACCOUNTS: u64 = 100_000;

/// Accounts that send.
const SENDERS: u64 = 2_000;

/// Empty blocks, as they come while nobody sends anything; and as many of one transfer each, as they come up to ten times a second while somebody sends one after the other.
const EMPTY: u64 = 1_000;

/// Tables with what makes old state readable, and what proves it.
const STATE: [&str; 2] = ["state_undo", "state_index"];
const PROOFS: [&str; 2] = ["node_undo", "node_index"];

/// Bytes of a row in the part about reads.
const ROW_BYTES: usize = 160;

/// Memory for what is read there: far below the data.
const SMALL_CACHE: usize = 8 << 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers = |arguments: &[String]| arguments.iter().map(|n| n.parse().expect("a number")).collect::<Vec<u64>>();
    match arguments.split_first() {
        Some((part, counts)) if part == "blocks" => blocks(*numbers(counts).first().unwrap_or(&16)),
        Some((part, accounts)) if part == "copy" => copy(*numbers(accounts).first().unwrap_or(&200_000)),
        Some((part, sizes)) if part == "reads" => reads(&numbers(sizes)),
        _ => println!("blocks [COUNT], copy [ACCOUNTS], or reads [MIB...]"),
    }
}

/// Bytes on disk that full blocks of transfers add, blocks of one, and empty ones, table by table, after everything was merged.
fn blocks(count: u64) {
    let full = Growth::measure(count, |keys, nonces, block, chain_id| {
        let transfer = |index: u64| {
            let sender = usize::try_from((block * TRANSFERS + index) % SENDERS).expect("small");
            nonces[sender] += 1;
            keys[sender].transfer(chain_id, nonces[sender] - 1, stranger(receiver(block, index)), 1)
        };
        (0..TRANSFERS).map(transfer).collect()
    });
    let single = Growth::measure(EMPTY, |keys, nonces, block, chain_id| {
        let sender = usize::try_from(block % SENDERS).expect("small");
        nonces[sender] += 1;
        vec![keys[sender].transfer(chain_id, nonces[sender] - 1, stranger(receiver(block, 0)), 1)]
    });
    let empty = Growth::measure(EMPTY, |_, _, _, _| Vec::new());
    println!(
        "bytes a block on disk: {count} blocks of {TRANSFERS} transfers among {ACCOUNTS} accounts, {EMPTY} of one, and {EMPTY} empty ones"
    );
    let kinds = [&full, &single, &empty];
    let row = |name: &str, cells: [String; 3]| {
        let [full, single, empty] = cells;
        println!("{name:<34} {full:>12} {single:>12} {empty:>12}");
    };
    row("table", ["full", "one transfer", "empty"].map(str::to_owned));
    for (name, _) in full.tables.iter().filter(|(_, bytes)| *bytes > 0) {
        row(name, kinds.map(|kind| kind.of(&[name.as_str()]).to_string()));
    }
    row("all, for ever in an archive", kinds.map(|kind| kind.all().to_string()));
    row("beside old state and proofs", kinds.map(|kind| (kind.all() - kind.of(&STATE) - kind.of(&PROOFS)).to_string()));
    for (what, kept, tables) in [("state", state_blocks(), STATE), ("proofs", proof_blocks(), PROOFS)] {
        for blocks in [kept, 10_000, 1_000] {
            let mib = |bytes: u64| format!("{} MiB", (bytes * blocks) >> 20);
            row(&format!("{what} of {blocks} blocks"), kinds.map(|kind| mib(kind.of(&tables))));
        }
    }
    println!(
        "finalize {} ms a full block, {} us an empty one; proof at {} blocks before the head {} us",
        full.finalize.as_millis() / u128::from(count),
        empty.finalize.as_micros() / u128::from(EMPTY),
        count - 1,
        full.proof.as_micros()
    );
}

/// By default.
fn state_blocks() -> u64 {
    Retention::default().state_blocks.expect("it is pruned")
}

fn proof_blocks() -> u64 {
    Retention::default().proof_blocks.expect("it is pruned")
}

/// What blocks of one kind add.
struct Growth {
    /// Bytes a block.
    tables: Vec<(String, u64)>,
    finalize: Duration,
    /// Of one account, at the first block.
    proof: Duration,
}

impl Growth {
    /// `made` gives the transactions of a block by keys, their nonces, the block's number from 0, and the chain's id.
    fn measure(count: u64, mut made: impl FnMut(&[Key], &mut [u64], u64, u64) -> Vec<Transaction>) -> Self {
        let directory = tempfile::tempdir().expect("a place for files");
        let path = directory.path().join("chain");
        let keys: Vec<Key> = (0..SENDERS).map(Key::new).collect();
        let senders = keys.iter().map(|key| (key.address, 1_000_000));
        let allocation: Vec<_> = senders.chain((0..ACCOUNTS).map(|number| (stranger(number), 1))).collect();
        let mut genesis = genesis();
        genesis.block.gas_limit = 60_000_000;
        let open = || {
            let database = Database::open(&path).expect("free");
            Chain::open_with(genesis.clone(), database, Retention::default(), &allocation).expect("right")
        };
        drop(open());
        let before = tables(&path);
        let chain = open();
        let validators: Vec<_> = (1..=4).map(validator).collect();
        let (mut nonces, mut finalize) = (vec![0; keys.len()], Duration::ZERO);
        for block in 0..count {
            let transactions = made(&keys, &mut nonces, block, genesis.chain_id);
            let wanted = transactions.len();
            let now_ms = 1_700_000_100_000 + block * 1000;
            let proposed = chain
                .propose(chain.head_hash(), now_ms, Address::ZERO, transactions.into_iter(), &Stop::never())
                .expect("proposed");
            assert_eq!(proposed.transactions.len(), wanted);
            let certificate =
                certify(genesis.network_id(), &validators, &[0, 1, 2], proposed.number() + 1, proposed.hash());
            let start = Instant::now();
            chain.finalize_certified(&proposed, Some(&certificate)).expect("stored").expect("new");
            finalize += start.elapsed();
        }
        let start = Instant::now();
        let old = chain.state_at(1).expect("kept");
        for index in 0..200 {
            old.proof(stranger(receiver(1, index)), &[]).expect("in the window");
        }
        let proof = start.elapsed() / 200;
        drop(chain);
        let before = |name: &String| before.iter().find(|(known, _)| known == name).map_or(0, |(_, bytes)| *bytes);
        let added = |(name, bytes): (String, u64)| {
            let bytes = bytes.saturating_sub(before(&name)) / count;
            (name, bytes)
        };
        Self { tables: tables(&path).into_iter().map(added).collect(), finalize, proof }
    }

    fn all(&self) -> u64 {
        self.tables.iter().map(|(_, bytes)| bytes).sum()
    }

    fn of(&self, names: &[&str]) -> u64 {
        self.tables.iter().filter(|(name, _)| names.contains(&name.as_str())).map(|(_, bytes)| bytes).sum()
    }
}

/// The account that a transfer goes to: scattered over all of them.
fn receiver(block: u64, index: u64) -> u64 {
    (block * TRANSFERS + index).wrapping_mul(2_654_435_761) % ACCOUNTS
}

/// Bytes of each table when all is merged. Opened without the node's options, so that every version of the layout is measured alike.
fn tables(path: &Path) -> Vec<(String, u64)> {
    let mut options = Options::default();
    options.set_compression_type(DBCompressionType::Lz4);
    let names = DB::list_cf(&options, path).expect("a database");
    let families: Vec<_> = names.iter().map(|name| (name.as_str(), options.clone())).collect();
    let db = DB::open_cf_with_opts(&options, path, families).expect("free");
    let size = |name: &String| {
        let family = db.cf_handle(name).expect("opened");
        db.flush_cf(&family).expect("room");
        db.compact_range_cf(&family, None::<&[u8]>, None::<&[u8]>);
        let bytes = db.property_int_value_cf(&family, "rocksdb.live-sst-files-size").expect("a property");
        (name.clone(), bytes.unwrap_or_default())
    };
    names.iter().map(size).collect()
}

/// What a node that is far behind does with a snapshot: each part is asked for, checked against the certified state root, and written, one after the
/// other, in one process. Between two nodes come the network, and the 16 MiB a second that one gives to all who copy.
fn copy(accounts: u64) {
    let directory = tempfile::tempdir().expect("a place for files");
    let open = |name: &str| Database::open(&directory.path().join(name)).expect("free");
    let genesis = genesis();
    let allocation: Vec<_> = (0..accounts).map(|number| (stranger(number), 1)).collect();
    let chain = Chain::open_with(genesis.clone(), open("source"), Retention::default(), &allocation).expect("right");
    let proposed = chain.propose(chain.head_hash(), 1_700_000_100_000, Address::ZERO, [].into_iter(), &Stop::never());
    chain.finalize(&proposed.expect("its own head")).expect("stored").expect("new");
    let (head, source) = (chain.head(), chain.store().freeze().expect("the system has threads"));
    let (number, first) = (head.number, chain.genesis().build_with_allocation(&allocation).expect("right"));

    let start = Instant::now();
    let target = open("target");
    let (mut restore, begun) = Restore::begin(head, &[7; 100]);
    target.write(begun).expect("room");
    let (mut parts, mut bytes) = (0, 0);
    while let Want::Part(part) = restore.next(&target).expect("readable") {
        let asked = part.clone();
        let answered = source.read(move |tables| answer(tables, number, &asked, PART_BYTES));
        let answered = answered.expect("it serves").expect("readable").expect("it is there");
        (parts, bytes) = (parts + 1, bytes + answered.len());
        target.write(restore.take(&target, genesis.chain_id, &part, &answered).expect("the truth")).expect("room");
    }
    target.write(restore.finish(&target, &first).expect("whole")).expect("room");
    println!(
        "a state of {accounts} accounts is copied and checked in {} ms: {parts} parts, {} KiB",
        start.elapsed().as_millis(),
        bytes >> 10
    );
}

/// Scattered reads of single rows, of a small and a large table, by the node's options and by those of a database that keeps few files
/// open and its indexes outside of the cache. The latter is scaled down by 256: 64 MiB stand for 16 GiB.
fn reads(sizes: &[u64]) {
    println!("{:<10} {:>22} {:>22}", "MiB", "node's options, /s", "few files, /s");
    for size in sizes {
        let rows = (size << 20) / ROW_BYTES as u64;
        let node = scattered(rows, |path| {
            let database = Database::open_with(path, SMALL_CACHE).expect("free");
            fill(rows, |batch| database.write(batch).expect("room"));
            Box::new(move |key: &[u8]| database.get(Table::Slot, key).expect("readable").is_some())
        });
        let few = scattered(rows, |path| {
            let db = DB::open(&few_files(), path).expect("free");
            fill(rows, |batch| {
                let mut plain = WriteBatch::default();
                batch.writes.into_iter().for_each(|(_, key, value)| plain.put(key, value.expect("a row")));
                db.write(plain).expect("room");
            });
            Box::new(move |key: &[u8]| db.get(key).expect("readable").is_some())
        });
        println!("{size:<10} {node:>22} {few:>22}");
    }
}

/// 256 open files of 64 MiB, as 16 of 4 MiB.
fn few_files() -> Options {
    let mut block = BlockBasedOptions::default();
    block.set_block_cache(&Cache::new_lru_cache(SMALL_CACHE));
    block.set_bloom_filter(10.0, false);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_block_based_table_factory(&block);
    options.set_max_open_files(16);
    options.set_target_file_size_base(4 << 20);
    options.set_max_bytes_for_level_base(16 << 20);
    options
}

fn row_key(number: u64) -> [u8; 64] {
    let mut key = [0; 64];
    key[..32].copy_from_slice(keccak256(number.to_le_bytes()).as_slice());
    key
}

/// Writes rows in batches, in scattered order.
fn fill(rows: u64, write: impl Fn(Batch)) {
    const STEP: u64 = 20_000;
    for start in (0..rows).step_by(usize::try_from(STEP).expect("small")) {
        let mut batch = Batch::default();
        for number in start..rows.min(start + STEP) {
            let hash = keccak256(number.to_be_bytes());
            batch.put(Table::Slot, row_key(number), [hash.as_slice(); 3].concat());
        }
        write(batch);
    }
}

type Read = Box<dyn Fn(&[u8]) -> bool>;

/// Reads a second.
fn scattered(rows: u64, open: impl FnOnce(&Path) -> Read) -> u64 {
    const READS: u64 = 40_000;
    let directory = tempfile::tempdir().expect("a place for files");
    let read = open(directory.path());
    let key = |index: u64| row_key(index.wrapping_mul(0x9E37_79B9_7F4A_7C15) % (2 * rows));
    let start = Instant::now();
    // Half of them are not there.
    let found = (0..READS).filter(|index| read(&key(*index))).count();
    assert!(found > 0);
    READS * 1_000_000 / u64::try_from(start.elapsed().as_micros()).expect("less than an age").max(1)
}
