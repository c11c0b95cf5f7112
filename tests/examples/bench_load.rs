//! A whole network of real processes under load for a long time: `make bench`, or
//! `cargo run --release -p causeway-tests --example bench_load -- SECONDS`.
//!
//! Ten accounts send transfers through the JSON-RPC of four validators as fast as these take them, each to an account that is new.
//! A line a minute says how many became final, what a validator's process needs for each, its memory, and its disk. Asserts nothing
//! about time.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use alloy_primitives::{Address, Bytes, U64, U256, keccak256};
use bridge::io::sidechain::{Account, Call, Client, Fees};
use jsonrpsee::{
    core::{client::ClientT as _, params::BatchRequestBuilder},
    http_client::{HttpClient, HttpClientBuilder},
    rpc_params,
};
use serde_json::json;
use tests::disk::bytes_below;
use tests::network::{Network, Options};

/// Time of one run in seconds, where the command line has none.
const SECONDS: u64 = 600;

const OPERATORS: usize = 4;

/// Secrets of the developer accounts, of the mnemonic `test test … junk`: everybody knows them.
const SECRETS: [&str; 10] = [
    "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
    "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d",
    "5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a",
    "7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6",
    "47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a",
    "8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba",
    "92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e",
    "4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356",
    "dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97",
    "2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6",
];

/// Transactions of one account that are on their way at a time.
const ON_THE_WAY: u64 = 500;

/// Transactions in one request.
const BATCH: u64 = 100;

/// A thousand times the lowest base fee: blocks above their target raise it.
const FEES: Fees = Fees { max_fee: 1_000_000_000, priority_fee: 1_000 };

#[tokio::main]
async fn main() {
    let seconds = std::env::args().nth(1).map_or(SECONDS, |text| text.parse().expect("seconds"));
    let network = Network::start(Options { fund: true, ..Options::default() });
    let over = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..SECRETS.len()).map(|index| Sender::new(index, &network, over.clone())).collect();
    let senders: Vec<_> = senders.into_iter().map(|sender| tokio::spawn(sender.send())).collect();
    println!("{OPERATORS} validators under load for {seconds} s");
    println!("minute   blocks   transactions   transactions/s   us/transaction of a validator   memory   disk");
    watch(&network, Duration::from_secs(seconds)).await;
    over.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.expect("it sends until the end");
    }
}

/// One account that sends through one validator.
struct Sender {
    account: Account,
    client: Client,
    batches: HttpClient,
    over: Arc<AtomicBool>,
}

impl Sender {
    fn new(index: usize, network: &Network, over: Arc<AtomicBool>) -> Self {
        let secret: [u8; 32] = alloy_primitives::hex::FromHex::from_hex(SECRETS[index]).expect("hex");
        let url = network.rpc(index % OPERATORS + 1);
        Self {
            account: Account::from_secret(&secret).expect("a known secret"),
            client: Client::new(&url).expect("the network's own URL"),
            batches: HttpClientBuilder::default().build(&url).expect("the network's own URL"),
            over,
        }
    }

    async fn send(self) {
        let chain_id = self.client.chain_id().await.expect("the node answers");
        let mut next = self.client.nonce(self.account.address()).await.expect("the node answers");
        while !self.over.load(Ordering::Relaxed) {
            let used = self.client.nonce(self.account.address()).await.expect("the node answers");
            if next >= used + ON_THE_WAY {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            self.send_batch(chain_id, next).await;
            next += BATCH;
        }
    }

    async fn send_batch(&self, chain_id: u64, first: u64) {
        let mut batch = BatchRequestBuilder::new();
        for nonce in first..first + BATCH {
            let receiver =
                Address::from_word(keccak256([self.account.address().as_slice(), &nonce.to_be_bytes()].concat()));
            let signed = self.account.sign(chain_id, nonce, 21_000, FEES, &Call::transfer(receiver, U256::ONE));
            batch.insert("eth_sendRawTransaction", rpc_params![signed.raw]).expect("plain parameters");
        }
        let answers = self.batches.batch_request::<Bytes>(batch).await.expect("the node answers");
        if let Some(Err(refused)) = answers.into_iter().find(Result::is_err) {
            panic!("a transfer is refused: {refused}");
        }
    }
}

/// Prints a line for each minute.
async fn watch(network: &Network, time: Duration) {
    let client = Client::new(&network.rpc(1)).expect("the network's own URL");
    let started = Instant::now();
    let (mut head, mut busy) = (client.block_number().await.expect("the node answers"), busy(network));
    for minute in 1.. {
        let length = Duration::from_secs(60).min(time.saturating_sub(started.elapsed()));
        if length.is_zero() {
            return;
        }
        tokio::time::sleep(length).await;
        let (now_head, now_busy) = (client.block_number().await.expect("the node answers"), self::busy(network));
        let mut transactions = 0;
        for number in head + 1..=now_head {
            transactions += transactions_of(&client, number).await;
        }
        let each = (now_busy - busy).as_micros() / (OPERATORS * transactions.max(1)) as u128;
        let rate = transactions as u128 * 1000 / length.as_millis();
        println!(
            "{minute:>6} {:>8} {transactions:>14} {rate:>16} {each:>31} {:>5} MB {:>3} MB",
            now_head - head,
            memory(network) / 1_000_000,
            bytes_below(&network.folder().join("operator-1")) / 1_000_000,
        );
        (head, busy) = (now_head, now_busy);
    }
}

async fn transactions_of(client: &Client, number: u64) -> usize {
    let asked = client.request::<U64>("eth_getBlockTransactionCountByNumber", vec![json!(format!("{number:#x}"))]);
    asked.await.expect("the node answers").to()
}

/// Folders in /proc of the validators' processes.
fn validators(network: &Network) -> Vec<PathBuf> {
    let folder = network.folder().display().to_string();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    processes
        .filter(|process| {
            let command = fs::read_to_string(process.join("cmdline")).unwrap_or_default();
            command.split('\0').nth(1) == Some("node") && command.contains(&folder)
        })
        .collect()
}

/// Processor time of all validators so far.
fn busy(network: &Network) -> Duration {
    let ticks = |process: &PathBuf| {
        let text = fs::read_to_string(process.join("stat")).unwrap_or_default();
        // proc(5): utime and stime are the fields 14 and 15; the second, in brackets, may hold spaces.
        let fields: Vec<u64> = text
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|field| field.parse().unwrap_or(0))
            .collect();
        fields.iter().sum::<u64>()
    };
    // USER_HZ is 100 on every Linux.
    Duration::from_millis(10 * validators(network).iter().map(ticks).sum::<u64>())
}

/// Bytes of memory of one validator, on average.
fn memory(network: &Network) -> u64 {
    let validators = validators(network);
    let pages = |process: &PathBuf| {
        let text = fs::read_to_string(process.join("statm")).unwrap_or_default();
        text.split_whitespace().nth(1).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0)
    };
    4096 * validators.iter().map(pages).sum::<u64>() / validators.len().max(1) as u64
}
