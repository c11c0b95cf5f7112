//! A whole network of real processes under load for a long time: `make bench`, or
//! `cargo run --release -p causeway-tests --example bench_load -- SECONDS`.
//!
//! Ten accounts send transfers through the JSON-RPC of four validators as fast as these take them, each to an account that is new.
//! A line a minute says how many became final, what a validator's process needs for each, its memory, and its disk. Then a node that is
//! new follows the chain, by a snapshot and by executing everything. Asserts nothing about time.

use std::{
    fs,
    time::{Duration, Instant},
};

use alloy_primitives::U64;
use bridge::io::sidechain::Client;
use serde_json::json;
use tests::disk::bytes_below;
use tests::load::Load;
use tests::network::{Network, Options};
use tests::process::Process;
use tests::{binary, port, proc};

/// Time of one run in seconds, where the command line has none.
const SECONDS: u64 = 600;

const OPERATORS: usize = 4;

#[tokio::main]
async fn main() {
    let seconds = std::env::args().nth(1).map_or(SECONDS, |text| text.parse().expect("seconds"));
    let network = Network::start(Options { fund: true, ..Options::default() });
    let load = Load::start(&network);
    println!("{OPERATORS} validators under load for {seconds} s");
    println!("minute   blocks   transactions   transactions/s   us/transaction of a validator   memory   disk");
    watch(&network, Duration::from_secs(seconds)).await;
    load.stop().await;
    println!("\na node that is new                seconds   blocks   blocks executed   MB");
    for (how, sync) in [("copies a snapshot", "behind = 5"), ("executes every block", "mode = \"full\"")] {
        follow(&network, how, sync).await;
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
            bytes_below(&network.folder().join("operators").join("1")) / 1_000_000,
        );
        (head, busy) = (now_head, now_busy);
    }
}

/// Starts a follower in an empty folder, and prints how long it takes to have the head that the network has now.
async fn follow(network: &Network, how: &str, sync: &str) {
    let (folder, port) = (network.home().join(how), port::free());
    fs::create_dir(&folder).expect("a place for files");
    let (genesis, data, upstream) = (network.folder().join("genesis.json"), folder.join("data"), network.rpc(1));
    let configuration = format!(
        "genesis = {genesis:?}\ndata_dir = {data:?}\nrpc_listen = \"127.0.0.1:{port}\"\nfollow = {upstream:?}\n[sync]\n{sync}\n"
    );
    let path = folder.join("node.toml");
    fs::write(&path, configuration).expect("writable");
    let log = fs::File::create(folder.join("log")).expect("writable");
    let want = Client::new(&upstream).expect("a good URL").block_number().await.expect("the node answers");
    let started = Instant::now();
    let mut command = binary::command(&folder, &["node".into(), "--config".into(), path.into_os_string()]);
    let mut follower = Process::start(command.stdout(log.try_clone().expect("a file can be shared")).stderr(log));
    let client = Client::new(&format!("http://127.0.0.1:{port}")).expect("a good URL");
    while client.block_number().await.unwrap_or_default() < want {
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(follower.ended().is_none(), "it ended: {log}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let seconds = started.elapsed().as_secs_f64();
    let executed = fs::read_to_string(folder.join("log")).unwrap_or_default().matches("block final").count();
    println!("{how:<32} {seconds:>8.1} {want:>8} {executed:>17} {:>4}", bytes_below(&data) / 1_000_000);
    follower.kill();
}

async fn transactions_of(client: &Client, number: u64) -> usize {
    let asked = client.request::<U64>("eth_getBlockTransactionCountByNumber", vec![json!(format!("{number:#x}"))]);
    asked.await.expect("the node answers").to()
}

/// Processor time of all validators so far.
fn busy(network: &Network) -> Duration {
    proc::of_command("node", &network.folder()).into_iter().map(proc::busy).sum()
}

/// Bytes of memory of one validator, on average.
fn memory(network: &Network) -> u64 {
    let validators = proc::of_command("node", &network.folder());
    validators.iter().map(|validator| proc::memory(*validator)).sum::<u64>() / validators.len().max(1) as u64
}
