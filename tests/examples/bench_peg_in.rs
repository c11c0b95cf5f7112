//! How long a user waits for coins once Bitcoin has done its part: sidechain blocks, and milliseconds, from the Bitcoin
//! block with the sweep of a deposit that is deep enough by then until the block that mints. On a whole network of real
//! processes, three deposits one after the other; the median counts. Prints one line each: `name <tab> value`.

use std::time::{Duration, Instant};

use alloy_primitives::B256;
use bridge::io::sidechain::Client;
use bridge::peg::{DepositStatus, Terms};
use contracts::{Vault, address};
use mainchain::io::rpc::{Auth, BitcoinRpc};
use tests::known::RECIPIENT;
use tests::network::{Network, Options};
use tests::waiting::Patience;

/// 0.01 BTC.
const DEPOSIT_SAT: u64 = 1_000_000;
const MAX_FEE_SAT: u64 = 100_000;
const ROUNDS: u8 = 3;
const PATIENCE: Patience = Patience::new(Duration::from_secs(120), Duration::from_millis(20));
/// How long the network is left alone before it is measured, so that it has no other work.
const REST: Duration = Duration::from_secs(2);

/// What a user waited.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Wait {
    blocks: u64,
    time: Duration,
}

/// The network under measurement, with what asks it.
struct Bench {
    network: Network,
    node: Client,
    bitcoin: BitcoinRpc,
}

#[tokio::main]
async fn main() {
    let bench = Bench::start();
    let mut waits = Vec::new();
    for round in 1..=ROUNDS {
        waits.push(bench.peg_in(round).await);
    }
    waits.sort_unstable();
    let median = waits[waits.len() / 2];
    println!("peg-in: sidechain blocks from the sweep's confirmation to coins\t{}", median.blocks);
    println!("peg-in: milliseconds from the sweep's confirmation to coins\t{}", median.time.as_millis());
}

impl Bench {
    fn start() -> Self {
        let network = Network::start(Options::default());
        let node = Client::new(&network.rpc(1)).expect("the network's own URL");
        let (url, cookie) = network.bitcoin();
        let bitcoin = BitcoinRpc::new(url, Auth::Cookie(cookie), mainchain::Network::Regtest);
        Self { network, node, bitcoin }
    }

    /// One deposit, measured.
    async fn peg_in(&self, round: u8) -> Wait {
        let before = self.vault_transactions().await;
        let deposit = self.pay_deposit(round).await;
        self.sweep_is_sent(before + 1).await;
        tokio::time::sleep(REST).await;

        let head = self.node.head().await.expect("the node answers").number;
        let start = Instant::now();
        self.network.mine(1);
        let minted = PATIENCE
            .until_async("the deposit is minted", async || {
                let report = self.node.deposit(&deposit).await.ok()?;
                let minted = report.deposits.first()?.status == DepositStatus::Minted;
                let head = self.node.head().await.ok()?.number;
                minted.then_some(head)
            })
            .await;
        Wait { blocks: minted - head, time: start.elapsed() }
    }

    /// Pays a deposit address, which it returns, in the next block.
    async fn pay_deposit(&self, round: u8) -> String {
        let info = self.node.info().await.expect("the node answers");
        let terms = Terms {
            recipient: RECIPIENT,
            claimant: RECIPIENT,
            // The x coordinates 1 to 3 are on the curve; nobody reclaims these deposits.
            reclaim_key: B256::with_last_byte(round),
            max_fee_sat: MAX_FEE_SAT,
            data_hash: B256::ZERO,
            epoch: info.epoch,
        };
        let deposit = self.node.register_deposit(&terms).await.expect("the terms are good").address;
        self.network.pay(&deposit, DEPOSIT_SAT);
        self.network.mine(1);
        deposit
    }

    async fn vault_transactions(&self) -> u32 {
        let count = self.node.call(address::VAULT, &Vault::vaultTransactionCountCall {}).await;
        count.expect("the node answers")
    }

    /// Waits until the vault transaction of this number, which sweeps the deposit, is in the mempool.
    async fn sweep_is_sent(&self, number: u32) {
        PATIENCE
            .until_async("the sweep is in the mempool", async || {
                let vault = self.node.vault_transaction(number).await.ok()??;
                self.bitcoin.mempool_entry(vault.txid).await.ok().flatten()
            })
            .await;
    }
}
