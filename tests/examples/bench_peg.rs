//! How long a user waits, on a whole network of real processes: for a sweep once a deposit is deep enough, for coins once Bitcoin has
//! done its part (sidechain blocks, and milliseconds, from the Bitcoin block with the sweep until the block that mints), and
//! for a payout from the request until it is in bitcoind's mempool; and for signatures, from the sidechain block that bound a vault
//! transaction to the one with the last share that it takes (1 at least: a share is a transaction). Three of each, one after the other; the median counts, of
//! signatures all do.
//! Prints one line each: `name <tab> value`.

use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256};
use alloy_rpc_types_eth::{Filter, Log};
use bitcoin::{ScriptBuf, Transaction};
use bridge::board;
use bridge::io::sidechain::{Account, Call, Client};
use bridge::peg::{DepositStatus, Terms};
use contracts::alloy_sol_types::SolEvent as _;
use contracts::coin::wei;
use contracts::{Bridge, SigningBoard, Vault, address};
use mainchain::io::rpc::{Auth, BitcoinRpc};
use tests::network::{Network, Options};
use tests::waiting::Patience;

/// 0.01 BTC, of which a part is paid out again.
const DEPOSIT_SAT: u64 = 1_000_000;
const WITHDRAWAL_SAT: u64 = 200_000;
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
    /// Before the sweep was sent.
    sweep: Duration,
}

/// The network under measurement, with what asks it.
struct Bench {
    user: Account,
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
    let median_sweep = median(waits.iter().map(|wait| wait.sweep));
    println!("peg-in: milliseconds from deep enough to its sweep's broadcast\t{}", median_sweep.as_millis());
    let median = median(waits.into_iter());
    println!("peg-in: sidechain blocks from the sweep's confirmation to coins\t{}", median.blocks);
    println!("peg-in: milliseconds from the sweep's confirmation to coins\t{}", median.time.as_millis());
    bench.print_payouts().await;
    bench.print_signing().await;
}

fn median<T: Ord>(all: impl Iterator<Item = T>) -> T {
    let mut all: Vec<T> = all.collect();
    all.sort_unstable();
    all.swap_remove(all.len() / 2)
}

impl Bench {
    fn start() -> Self {
        let network = Network::start(Options::default());
        let node = Client::new(&network.rpc(1)).expect("the network's own URL");
        let (url, cookie) = network.bitcoin();
        let bitcoin = BitcoinRpc::new(url, Auth::Cookie(cookie), mainchain::Network::Regtest);
        Self { user: Account::random(), network, node, bitcoin }
    }

    /// One deposit, measured.
    async fn peg_in(&self, round: u8) -> Wait {
        let before = self.vault_transactions().await;
        let deposit = self.pay_deposit(round).await;
        let paid = Instant::now();
        self.sweep_is_sent(before + 1).await;
        let sweep = paid.elapsed();
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
        Wait { blocks: minted - head, time: start.elapsed(), sweep }
    }

    /// Pays a deposit address, which it returns, in the next block.
    async fn pay_deposit(&self, round: u8) -> String {
        let info = self.node.info().await.expect("the node answers");
        let terms = Terms {
            recipient: self.user.address(),
            claimant: self.user.address(),
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
    /// One after the other, each from an output that is final.
    async fn print_payouts(&self) {
        let final_blocks = self.node.info().await.expect("the node answers").parameters.final_blocks;
        let mut waits = Vec::new();
        for round in 1..=ROUNDS {
            self.network.mine(final_blocks);
            tokio::time::sleep(REST).await;
            waits.push(self.peg_out(round).await);
        }
        println!("peg-out: milliseconds from request to broadcast\t{}", median(waits.into_iter()).as_millis());
    }

    /// Of all vault transactions so far.
    async fn print_signing(&self) {
        let info = self.node.info().await.expect("the node answers");
        let bound = self.logs(address::VAULT, Vault::Bound::SIGNATURE_HASH, None).await;
        let mut waits = Vec::new();
        for log in bound {
            let number = Vault::Bound::decode_log(&log.inner).expect("it is one").number;
            let session = board::signing_session(info.network_id, number, 1);
            let posts = self.logs(address::SIGNING_BOARD, SigningBoard::Posted::SIGNATURE_HASH, Some(session)).await;
            let last = posts.get(usize::from(info.threshold) - 1).expect("it was signed at the first attempt");
            waits.push(last.block_number.expect("final") - log.block_number.expect("final"));
        }
        let longest = waits.iter().max().copied().unwrap_or_default();
        println!(
            "signing: sidechain blocks from bound to signed, median of {}\t{}",
            waits.len(),
            median(waits.into_iter())
        );
        println!("signing: the same, the most\t{longest}");
    }

    async fn logs(&self, emitter: Address, event: B256, session: Option<B256>) -> Vec<Log> {
        let filter = Filter::new().address(emitter).event_signature(event);
        let filter = session.into_iter().fold(filter, Filter::topic1);
        let head = self.node.block_number().await.expect("the node answers");
        self.node.logs(&filter, 1, head).await.expect("the node answers")
    }

    /// One withdrawal, until its payout is in the mempool.
    async fn peg_out(&self, round: u8) -> Duration {
        let script = [&[0x00, 20][..], &[round; 20]].concat();
        let call = Bridge::withdrawCall { script: script.clone().into(), maxFeeSat: MAX_FEE_SAT };
        let call = Call::new(address::BRIDGE, &call).with_value(wei(WITHDRAWAL_SAT));
        let start = Instant::now();
        self.user.send(&self.node, &call).await.expect("the node takes it");
        self.payout_is_sent(&ScriptBuf::from_bytes(script)).await;
        start.elapsed()
    }

    /// Waits until something in the mempool pays a script.
    async fn payout_is_sent(&self, script: &ScriptBuf) {
        let pays = |transaction: &Transaction| transaction.output.iter().any(|output| output.script_pubkey == *script);
        PATIENCE
            .until_async("the payout is in the mempool", async || {
                let waiting = self.bitcoin.mempool().await.ok()?;
                let transactions = self.bitcoin.mempool_transactions(&waiting).await.ok()?;
                transactions.iter().any(pays).then_some(())
            })
            .await;
    }
}
