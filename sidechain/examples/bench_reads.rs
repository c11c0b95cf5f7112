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

/// As many as indexers ask for at once, and as geth's and other providers' users are used to.
const BLOCKS: u64 = 10_000;
const TRANSFERS: u64 = 100;
/// One transfer of this many is the rare token's.
const RARE: u64 = 25_000;
/// Tokens that share all other transfers.
const TOKENS: u64 = 20;
/// Blocks that are decoded for comparison.
const DECODED: u64 = 1_000;
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
    let topics = vec![transfers(), account(number % 10_007), account(number % 9_973)];
    Log::new_unchecked(token(number), topics, U256::from(number).to_be_bytes::<32>().into())
}

fn token(number: u64) -> Address {
    match number {
        _ if number.is_multiple_of(RARE) => RARE_TOKEN,
        // The last of a block.
        _ if number % TRANSFERS == TRANSFERS - 1 => STEADY_TOKEN,
        _ => Address::with_last_byte((number % TOKENS) as u8),
    }
}

fn transfers() -> B256 {
    keccak256("Transfer(address,address,uint256)")
}

fn account(number: u64) -> B256 {
    B256::left_padding_from(&keccak256(number.to_be_bytes())[..20])
}

const RARE_TOKEN: Address = Address::repeat_byte(0xaa);
/// Transferred once in each block.
const STEADY_TOKEN: Address = Address::repeat_byte(0xbb);

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

/// `eth_getLogs` over all blocks, by filters from sparse to dense.
fn logs(chain: &Node) {
    let filter = LogFilter { from: 1, to: BLOCKS, ..LogFilter::default() };
    let of = |address: Address| LogFilter { addresses: [address].into(), ..filter.clone() };
    let topics = |place: usize, value: B256| {
        let mut topics: [_; 4] = Default::default();
        topics[0] = [transfers()].into();
        topics[place] = [value].into();
        topics
    };
    let rare = of(RARE_TOKEN);
    decoding_logs(chain, &LogFilter { to: DECODED, ..rare.clone() });
    println!("eth_getLogs over {BLOCKS} blocks with {} logs:", BLOCKS * TRANSFERS);
    search(chain, "an address that never logged", &of(Address::repeat_byte(0xcc)));
    search(chain, "a rare token", &rare);
    search(chain, "what an account got, of any token", &LogFilter { topics: topics(2, account(7)), ..filter.clone() });
    let one = LogFilter { topics: topics(1, account(7)), ..of(Address::with_last_byte(7)) };
    search(chain, "what an account sent, of one token", &one);
    search(chain, "a token with a transfer in each block", &of(STEADY_TOKEN));
    search(chain, "a token with five transfers in each block", &of(Address::with_last_byte(5)));
    search(chain, "all", &filter);
}

/// By the blooms of the headers, and the blocks that they do not exclude; and by the index.
fn decoding_logs(chain: &Node, filter: &LogFilter) {
    let (by_bloom, decoding) = timed(|| {
        let headers = (1..=filter.to).filter_map(|number| chain.header(number).ok().flatten());
        let blocks = headers.filter(|header| filter.may_match(&header.logs_bloom));
        let blocks = blocks.map(|header| chain.decode_anew(header.number).expect("the disk works"));
        blocks.map(|block| block.logs(|_, _, log| filter.matches(log)).count()).sum::<usize>()
    });
    let (by_index, reading) = timed(|| chain.logs(filter, &LogLimits::default(), &Stop::never()).expect("few").len());
    assert_eq!(by_index, by_bloom);
    compare(&format!("{by_index} logs of an address in {DECODED} blocks (eth_getLogs)"), decoding, reading);
}

/// The first time, with nothing of it in memory but what the system keeps of files, and again.
fn search(chain: &Node, what: &str, filter: &LogFilter) {
    let ask = || timed(|| chain.logs(filter, &LogLimits::default(), &Stop::never()));
    let ((_, first), (found, again)) = (ask(), ask());
    let found = match found {
        Ok(logs) => format!("{} logs", logs.len()),
        Err(error) => error.to_string(),
    };
    println!("  {what:<44} {:>8} us, again {:>8} us: {found}", first.as_micros(), again.as_micros());
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
