//! Transfers a second through the JSON-RPC of a whole network, beside anvil on the same machine: `make bench`, or
//! `cargo run --release -p causeway-tests --example bench_rpc -- TRANSACTIONS [VALIDATORS ...]`.
//!
//! Each chain gets the same transfers, signed and made into requests before the clock starts, over ten connections that stay open:
//! first a request for each, then fifty in a request. The clock stops when the last is in a block: final here, mined by anvil, which
//! keeps one copy in memory and makes a block each half second. Then a tenth of that load, for the time from a transaction's request to
//! its receipt. Asserts nothing about time.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use serde_json::{Value, json};
use tests::{
    network::{Network, Options},
    port,
    presigned::{self, Connection, Presigned},
    proc,
    process::Process,
};

/// Of both loads together, where the command line names no number.
const TRANSACTIONS: u64 = 200_000;

/// How long latency is measured.
const CALM: Duration = Duration::from_secs(10);

/// Base fee and gas of blocks, as they are here.
const ANVIL: [&str; 8] =
    ["--base-fee", "1000000", "--gas-limit", "200000000", "--block-time", "0.5", "--silent", "--host"];

fn main() {
    let arguments: Vec<u64> = std::env::args().skip(1).map(|text| text.parse().expect("a number")).collect();
    let transactions = arguments.first().copied().unwrap_or(TRANSACTIONS);
    let validators = if arguments.len() > 1 { arguments[1..].to_vec() } else { vec![4, 1] };
    println!(
        "{transactions} transfers, half of them a request each, half of them 50 in a request; then a tenth of that load for {} s",
        CALM.as_secs()
    );
    println!("chain                   transfers/s   in batches   median   99th   memory of a node");
    let each = transactions / 20;
    let anvil = anvil_program().map(|program| measure_anvil(&program, each));
    for validators in validators {
        let measured = measure_network(u16::try_from(validators).expect("few"), each);
        if let Some(anvil) = &anvil {
            let [one, many] = [hundredths(measured.one, anvil.one), hundredths(measured.many, anvil.many)];
            println!("  of anvil              {one:>11} {many:>12}");
        }
    }
}

/// What one chain managed: transfers a second.
struct Measured {
    one: u64,
    many: u64,
}

/// A ratio with two decimals.
fn hundredths(part: u64, of: u64) -> String {
    let hundredths = 100 * part / of.max(1);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// As `npm` installed it; none is no reason not to measure ourselves.
fn anvil_program() -> Option<PathBuf> {
    let program =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil");
    if !program.is_file() {
        println!("no anvil at {}: npm ci --prefix tests/clients", program.display());
    }
    program.is_file().then_some(program)
}

fn measure_anvil(program: &Path, each: u64) -> Measured {
    let (port, chain_id) = (port::free().to_string(), sidechain::genesis::DEV_CHAIN_ID.to_string());
    let mut command = Command::new(program);
    command.args(ANVIL).args(["127.0.0.1", "--port", &port, "--chain-id", &chain_id]).stdout(Stdio::null());
    let process = Process::start(&mut command);
    let node: SocketAddr = format!("127.0.0.1:{port}").parse().expect("an address");
    while std::net::TcpStream::connect(node).is_err() {
        std::thread::sleep(Duration::from_millis(50));
    }
    measure("anvil", &[node], &[process.id()], each)
}

fn measure_network(validators: u16, each: u64) -> Measured {
    let network = Network::start(Options { validators: Some(validators), fund: true, ..Options::default() });
    let address = |index: usize| network.rpc(index).trim_start_matches("http://").parse().expect("an address");
    let nodes: Vec<SocketAddr> = (1..=usize::from(validators)).map(address).collect();
    let name = if validators == 1 { "1 validator".to_owned() } else { format!("{validators} validators") };
    measure(&name, &nodes, &proc::of_command("node", &network.folder()), each)
}

fn measure(name: &str, nodes: &[SocketAddr], processes: &[u32], each: u64) -> Measured {
    let chain_id = Connection::open(nodes[0]).ask("eth_chainId", &json!([]));
    let chain_id = u64::from_str_radix(chain_id.as_str().expect("hex").trim_start_matches("0x"), 16).expect("hex");
    let calm = (each / 10).max(200);
    let accounts = presigned::sign(chain_id, 2 * each + calm);
    let rate = |nonces: std::ops::Range<u64>, batch| {
        let count = accounts.len() as u64 * (nonces.end - nonces.start);
        let took = presigned::send(&accounts, nodes, &nonces, batch);
        1000 * count / u64::try_from(took.as_millis()).expect("minutes").max(1)
    };
    let measured = Measured { one: rate(0..each, 1), many: rate(each..2 * each, 50) };
    let memory = processes.iter().map(|process| proc::memory(*process)).sum::<u64>() / processes.len() as u64;
    let [median, worst] = latency(&accounts, nodes, 2 * each..2 * each + calm, (measured.one / 10).max(1));
    println!(
        "{name:<23} {:>11} {:>12} {:>5} ms {:>3} ms {:>15} MB",
        measured.one,
        measured.many,
        median.as_millis(),
        worst.as_millis(),
        memory / 1_000_000
    );
    measured
}

/// Median and 99th percentile of the time from a request to its receipt, at so many transfers a second.
fn latency(accounts: &[Presigned], nodes: &[SocketAddr], nonces: std::ops::Range<u64>, rate: u64) -> [Duration; 2] {
    let count = usize::try_from(rate * CALM.as_secs()).expect("thousands");
    let order = nonces.flat_map(|nonce| (0..accounts.len()).map(move |account| (account, nonce))).take(count);
    let pause = Duration::from_secs(1) / u32::try_from(rate).expect("thousands");
    let mut connections: Vec<_> =
        (0..accounts.len()).map(|index| Connection::open(nodes[index % nodes.len()])).collect();
    let mut watch = Watch::new(nodes[0]);
    let mut sent = HashMap::new();
    let started = Instant::now();
    for (index, (account, nonce)) in (0..).zip(order) {
        let due = started + pause * index;
        while Instant::now() < due {
            watch.look();
            std::thread::sleep(Duration::from_millis(2).min(due.saturating_duration_since(Instant::now())));
        }
        let (hash, request) = accounts[account].single(nonce);
        sent.insert(hash, Instant::now());
        connections[account].write(&request);
        let answer = connections[account].answer();
        assert!(!answer.contains("\"error\""), "refused: {answer}");
    }
    while sent.keys().any(|hash| !watch.seen.contains_key(hash)) {
        watch.look();
        std::thread::sleep(Duration::from_millis(2));
    }
    let mut times: Vec<Duration> =
        sent.iter().map(|(hash, sent)| watch.seen[hash].saturating_duration_since(*sent)).collect();
    times.sort_unstable();
    [times[times.len() / 2], times[times.len() * 99 / 100]]
}

/// When which transaction was in a block of the first node.
struct Watch {
    connection: Connection,
    head: Value,
    seen: HashMap<B256, Instant>,
    looked: Instant,
}

impl Watch {
    fn new(node: SocketAddr) -> Self {
        let mut connection = Connection::open(node);
        let head = connection.ask("eth_blockNumber", &json!([]));
        Self { connection, head, seen: HashMap::new(), looked: Instant::now() }
    }

    /// Looks at what is new, at most each five milliseconds.
    fn look(&mut self) {
        if self.looked.elapsed() < Duration::from_millis(5) {
            return;
        }
        self.looked = Instant::now();
        let head = self.connection.ask("eth_blockNumber", &json!([]));
        if head == self.head {
            return;
        }
        let (first, last) = (number(&self.head) + 1, number(&head));
        self.head = head;
        for block in first..=last {
            let block = self.connection.ask("eth_getBlockByNumber", &json!([format!("{block:#x}"), false]));
            let hashes: Vec<B256> = serde_json::from_value(block["transactions"].clone()).expect("hashes");
            self.seen.extend(hashes.into_iter().map(|hash| (hash, Instant::now())));
        }
    }
}

fn number(value: &Value) -> u64 {
    u64::from_str_radix(value.as_str().expect("hex").trim_start_matches("0x"), 16).expect("hex")
}
