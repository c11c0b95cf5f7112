//! How long a holder waits for coins once Bitcoin has done its part: sidechain blocks, and milliseconds, from the Bitcoin
//! block that brings the vault transaction to the required depth until the block that mints. On a whole network of real
//! processes, three deposits one after the other; the median counts. Prints one line each: `name <tab> value`.

use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, address};
use bridge::io::sidechain::Client;
use bridge::peg::{DepositStatus, Terms};
use tests::network::{Network, Options};

const RECIPIENT: Address = address!("000000000000000000000000000000000000b0b0");
/// 0.01 BTC.
const DEPOSIT_SAT: u64 = 1_000_000;
const MAX_FEE_SAT: u64 = 100_000;
const ROUNDS: u8 = 3;
const POLL: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(120);

/// What a holder waited.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Wait {
    blocks: u64,
    time: Duration,
}

#[tokio::main]
async fn main() {
    let network = Network::start(Options::default());
    let node = Client::new(&network.rpc(1)).expect("the network's own URL");
    let mut waits = Vec::new();
    for round in 1..=ROUNDS {
        waits.push(peg_in(&network, &node, round).await);
    }
    waits.sort_unstable();
    let median = waits[waits.len() / 2];
    println!("peg-in: sidechain blocks from the required depth to coins\t{}", median.blocks);
    println!("peg-in: milliseconds from the required depth to coins\t{}", median.time.as_millis());
}

async fn peg_in(network: &Network, node: &Client, round: u8) -> Wait {
    let info = node.info().await.expect("the node answers");
    let terms = Terms {
        recipient: RECIPIENT,
        // The x coordinates 1 to 3 are on the curve; nobody reclaims these deposits.
        reclaim_key: B256::with_last_byte(round),
        max_fee_sat: MAX_FEE_SAT,
        epoch: info.epoch,
    };
    let deposit = node.register_deposit(&terms).await.expect("the terms are good").address;
    network.pay(&deposit, DEPOSIT_SAT);
    network.mine(1);
    let number = until("the deposit is swept", || async {
        let report = node.deposit(&deposit).await.ok()?;
        report.deposits.first().map(|deposit| deposit.number)
    })
    .await;
    let vault = node.vault_transaction(number).await.expect("the node answers").expect("it sweeps");
    // All but the last block, so that the clock starts with the one that decides.
    let broadcast = Instant::now();
    while broadcast.elapsed() < PATIENCE && !in_mempool(network, &vault.txid.to_string()).await {
        tokio::time::sleep(POLL).await;
    }
    network.mine(vault.required_confirmations - 1);
    tokio::time::sleep(Duration::from_secs(2)).await;

    let head = node.head().await.expect("the node answers").number;
    let start = Instant::now();
    network.mine(1);
    let minted = until("the deposit is minted", || async {
        let report = node.deposit(&deposit).await.ok()?;
        let minted = report.deposits.first()?.status == DepositStatus::Minted;
        let head = node.head().await.ok()?.number;
        minted.then_some(head)
    })
    .await;
    Wait { blocks: minted - head, time: start.elapsed() }
}

async fn in_mempool(network: &Network, txid: &str) -> bool {
    let (url, cookie) = network.bitcoin();
    let bitcoin =
        mainchain::io::rpc::BitcoinRpc::new(url, mainchain::io::rpc::Auth::Cookie(cookie), mainchain::Network::Regtest);
    let txid = txid.parse().expect("a txid of the node");
    matches!(bitcoin.mempool_entry(txid).await, Ok(Some(_)))
}

async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "waited {} s until {what}", PATIENCE.as_secs());
        tokio::time::sleep(POLL).await;
    }
}
