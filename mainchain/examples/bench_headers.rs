//! How fast headers are checked, on one core: `cargo run -p causeway-mainchain --example bench_headers`.
//!
//! The same code as `causeway headers verify`, from memory: real headers of mainnet if they lie beside the repository, and a
//! synthetic chain of ten difficulty periods. Each is read again and again for half a second, five times; the median
//! counts. Seconds are those of the processor where the system tells them (Linux), so a busy machine measures the same.
//! Prints one line a case: `name <tab> headers a second`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bitcoin::block::{Header, Version};
use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, TxMerkleNode};
use mainchain::header::{Tip, hash_bytes, to_bytes};
use mainchain::params::PERIOD;
use mainchain::verify::{Start, Verifier};
use mainchain::{Network, Params};

const REAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/mainnet-headers-40000-49999.bin");

/// A clock after all headers.
const NOW: u32 = u32::MAX - 10_000;

fn main() {
    match std::fs::read(REAL) {
        Ok(file) => {
            let start = Start::Anchor { height: 40_320, period_time: None };
            report("real headers of mainnet, 40320 to 49999", Network::Mainnet.params(), start, &file[320 * 80..]);
        }
        Err(error) => eprintln!("no real headers at {REAL}: {error}"),
    }
    let params = Params { pow_limit_bits: 0x207f_ffff, versions: &[], ..Network::Mainnet.params() };
    let start = Start::Anchor { height: 0, period_time: None };
    let file = synthetic(&params, 10 * PERIOD);
    report("synthetic chain of ten retargets", params, start, &file);
}

fn report(name: &str, params: Params, start: Start, file: &[u8]) {
    let headers = file.len() as u64 / 80;
    let mut rates: Vec<u64> = (0..5).map(|_| headers_a_second(&params, start, file, headers)).collect();
    rates.sort_unstable();
    println!("{name}\t{}", rates[rates.len() / 2]);
}

fn headers_a_second(params: &Params, start: Start, file: &[u8], headers: u64) -> u64 {
    let (begin, mut checked) = (Clock::start(), 0);
    while begin.elapsed() < Duration::from_millis(500) {
        let mut verifier = Verifier::with_params(Network::Mainnet, params.clone(), start, NOW);
        verifier.feed(black_box(file)).expect("the file is good");
        checked += black_box(verifier.finish()).expect("the file is good").headers;
    }
    assert_eq!(checked % headers, 0, "each pass checks the whole file");
    u64::try_from(u128::from(checked) * 1_000_000_000 / begin.elapsed().as_nanos()).expect("fits")
}

/// Time of this thread on a processor; on systems that do not tell it, time as it passes.
enum Clock {
    Processor(Duration),
    Wall(Instant),
}

impl Clock {
    fn start() -> Self {
        on_processor().map_or_else(|| Self::Wall(Instant::now()), Self::Processor)
    }

    fn elapsed(&self) -> Duration {
        match self {
            Self::Processor(start) => on_processor().expect("told before").saturating_sub(*start),
            Self::Wall(start) => start.elapsed(),
        }
    }
}

/// The first number of schedstat, in nanoseconds (Linux, `Documentation/scheduler/sched-stats.rst`).
fn on_processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

/// Blocks that come faster and slower than every ten minutes in turn, so that each period has another target.
fn synthetic(params: &Params, length: u32) -> Vec<u8> {
    let first = mine(BlockHash::all_zeros(), 1_231_006_505, params.pow_limit());
    let mut tip = Tip::start(params, &first, 0, first.work(), None).expect("meets its target");
    let mut file = to_bytes(&first).to_vec();
    for height in 1..=length {
        let seconds = if (height / PERIOD).is_multiple_of(2) { 300 } else { 1100 };
        let time = tip.time() + seconds;
        let header = mine(tip.hash(), time, tip.next_bits(params, time).expect("known from the first block on"));
        let bytes = to_bytes(&header);
        tip = tip.next(params, &header, hash_bytes(&bytes), NOW).expect("keeps the rules");
        file.extend(bytes);
    }
    file
}

fn mine(previous: BlockHash, time: u32, bits: bitcoin::CompactTarget) -> Header {
    let mut header = Header {
        version: Version::NO_SOFT_FORK_SIGNALLING,
        prev_blockhash: previous,
        merkle_root: TxMerkleNode::all_zeros(),
        time,
        bits,
        nonce: 0,
    };
    while !header.target().is_met_by(hash_bytes(&to_bytes(&header))) {
        header.nonce += 1;
    }
    header
}
