//! What reads of final blocks cost on this machine, beside the same by decoding whole blocks:
//! `cargo run -p causeway-sidechain --features testing --example bench_reads`. Prints a table; asserts nothing about time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, Log, U256, keccak256};
use sidechain::{
    chain::{Chain, LogFilter, LogLimits, fabricated},
    execution::Stop,
    io::db::Database,
    state::store::{Store, Table},
    testing::genesis,
};

const BLOCKS: u64 = 1_500;
const TRANSFERS: u64 = 200;
/// One transfer of this many is the rare token's.
const RARE: u64 = 25_000;
/// Blocks of one `eth_feeHistory`.
const HISTORY: u64 = 1_024;

type Node = Chain<Arc<Database>>;

fn main() {
    let directory = tempfile::tempdir().expect("a place for files");
    let store = Arc::new(Database::open(&directory.path().join("chain")).expect("free"));
    drop(Chain::open(genesis(), store.clone()).expect("a new chain"));
    println!("{BLOCKS} blocks of {TRANSFERS} token transfers (3 topics); with all of it on disk and nothing decoded");
    (1..=BLOCKS).for_each(|number| write(&store, number));
    // Nothing of it is in memory.
    let open = || Chain::open(genesis(), store.clone()).expect("the same chain");
    fee_history(&open());
    receipts(&open());
    logs(&open());
    index_bytes(&store);
}

fn write(store: &Database, number: u64) {
    let logs = (0..TRANSFERS).map(|index| vec![transfer(number * TRANSFERS + index)]);
    fabricated::write(store, &fabricated::block(number, logs.collect())).expect("room on the disk");
}

fn transfer(number: u64) -> Log {
    let account = |number: u64| B256::left_padding_from(&keccak256(number.to_be_bytes())[..20]);
    let token = if number.is_multiple_of(RARE) { rare() } else { Address::with_last_byte((number % 20) as u8) };
    let topics =
        vec![keccak256("Transfer(address,address,uint256)"), account(number % 10_007), account(number % 9_973)];
    Log::new_unchecked(token, topics, U256::from(number).to_be_bytes::<32>().into())
}

const fn rare() -> Address {
    Address::repeat_byte(0xaa)
}

fn fee_history(chain: &Node) {
    let (blocks, decoding) = timed(|| (1..=HISTORY).filter_map(|number| chain.decode_anew(number).ok()).count());
    let (fees, reading) = timed(|| chain.fees(1, 1_024).expect("the disk works").len());
    assert_eq!(fees, blocks);
    compare("fees of 1,024 blocks (eth_feeHistory)", decoding, reading);
}

fn receipts(chain: &Node) {
    let hashes: Vec<_> = (1..=20)
        .map(|number| chain.decode_anew(number * 50).expect("the disk works").block.clone())
        .map(|block| block.transactions.iter().map(|transaction| *transaction.tx_hash()).collect::<Vec<_>>())
        .collect();
    let receipt = |hash: &B256| {
        let located = chain.transaction(*hash).expect("the disk works").expect("final");
        let finalized = chain.finalized(located.stored.block.number()).expect("the disk works").expect("final");
        finalized.receipts[located.index].logs().len()
    };
    let (_, decoding) = timed(|| (1..=20).map(|block| chain.decode_anew(block * 50 + 1).map(drop)).collect::<Vec<_>>());
    let (_, first) = timed(|| hashes.iter().map(|block| receipt(&block[0])).sum::<usize>());
    let (_, others) = timed(|| hashes.iter().flat_map(|block| &block[1..]).map(receipt).sum::<usize>());
    compare("a block's first receipt (eth_getTransactionReceipt)", decoding / 20, first / 20);
    compare("each other receipt of it", decoding / 20, others / (20 * (TRANSFERS as u32 - 1)));
}

fn logs(chain: &Node) {
    let filter = LogFilter { from: 1, to: BLOCKS, addresses: [rare()].into(), ..LogFilter::default() };
    // By the blooms of the headers, and the blocks that they do not exclude.
    let (by_bloom, decoding) = timed(|| {
        let headers = (1..=BLOCKS).filter_map(|number| chain.header(number).ok().flatten());
        let blocks = headers.filter(|header| filter.may_match(&header.logs_bloom));
        let blocks = blocks.map(|header| chain.decode_anew(header.number).expect("the disk works"));
        blocks.map(|block| block.logs(|_, _, log| filter.matches(log)).count()).sum::<usize>()
    });
    let (by_index, reading) = timed(|| chain.logs(&filter, &LogLimits::default(), &Stop::never()).expect("few").len());
    assert_eq!(by_index, by_bloom);
    compare(&format!("{by_index} logs of an address among {} (eth_getLogs)", BLOCKS * TRANSFERS), decoding, reading);
}

fn index_bytes(store: &Database) {
    let (mut rows, mut bytes, mut from) = (0, 0, Vec::new());
    loop {
        let page = store.scan(Table::LogIndex, &from, 4_096).expect("the disk works");
        let Some((last, _)) = page.last() else { break };
        from = [&last[..], &[0]].concat();
        rows += page.len() as u64;
        bytes += page.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum::<u64>();
    }
    let logs = BLOCKS * TRANSFERS;
    println!("index of logs: {} bytes a log, in {} rows a thousand logs", bytes / logs, 1_000 * rows / logs);
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

fn compare(what: &str, decoding: Duration, reading: Duration) {
    let ratio = decoding.as_nanos() / reading.as_nanos().max(1);
    println!(
        "{what:<64} {:>9} us {:>9} us by decoding blocks: {ratio:>5} times",
        reading.as_micros(),
        decoding.as_micros()
    );
}
