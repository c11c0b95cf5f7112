//! Transfers as fast as a network of real processes takes them, each to an account that is new.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alloy_primitives::{Address, Bytes, U256, keccak256};
use bridge::io::sidechain::{Account, Call, Client, Fees};
use jsonrpsee::{
    core::{client::ClientT as _, params::BatchRequestBuilder},
    http_client::{HttpClient, HttpClientBuilder},
    rpc_params,
};
use tokio::task::JoinHandle;

use crate::network::Network;

/// Secrets of the developer accounts, of the mnemonic `test test … junk`: everybody knows them.
pub const SECRETS: [&str; 10] = [
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
pub(crate) const FEES: Fees = Fees { max_fee: 1_000_000_000, priority_fee: 1_000 };

/// The developer accounts of a network, sending.
#[derive(Debug)]
pub struct Load {
    over: Arc<AtomicBool>,
    senders: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts sending through the JSON-RPC of all validators. The network has funded its developer accounts.
    ///
    /// # Panics
    ///
    /// When called outside of a runtime.
    #[must_use]
    pub fn start(network: &Network) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let senders = (0..SECRETS.len()).map(|index| Sender::new(index, network, over.clone()));
        let senders = senders.map(|sender| tokio::spawn(sender.send())).collect();
        Self { over, senders }
    }

    /// Ends it.
    ///
    /// # Panics
    ///
    /// When a transfer was refused.
    pub async fn stop(self) {
        self.over.store(true, Ordering::Relaxed);
        for sender in self.senders {
            sender.await.expect("it sends until the end");
        }
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
        let url = network.rpc(index % network.operators() + 1);
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
