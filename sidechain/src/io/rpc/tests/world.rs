//! A node without consensus: a real chain on disk, a pool, the server, and a thread that makes a block of what waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use alloy_consensus::transaction::Recovered;
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::ClientT;
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::block::{Transaction, TxEnvelope};
use crate::chain::{Chain, Retention};
use crate::io::db::Database;
use crate::io::{
    node_state::{Gossip, NodeState},
    rpc::{Running, Settings, serve},
    testing::{LastUser, make_block},
};
use crate::mempool::{Limits, Mempool};
use crate::testing::{Key, genesis};

pub const CHAIN: u64 = 51_717;
pub const COIN_SAT: u64 = 100_000_000;
/// An account without a key.
pub const NOBODY: Address = Address::repeat_byte(0x77);

/// slot 0 += 1; log it with topic 42. In front of it what deploys it.
pub const COUNTER: [u8; 27] = alloy_primitives::hex!("60128060095f395ff3" "5f546001015f555f545f52602a60205fa100");

/// Who has coins.
pub fn allocation() -> Vec<(Address, u64)> {
    (1..=5).map(|number| (Key::new(number).address, COIN_SAT)).collect()
}

pub struct World {
    pub state: NodeState,
    pub gossip: mpsc::Receiver<Gossip>,
    pub server: Running,
    client: HttpClient,
    stop: Arc<AtomicBool>,
    /// Makes blocks.
    maker: Option<JoinHandle<()>>,
    /// Behind all that uses the database, and before its files.
    _last: LastUser,
    directory: TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Not left to work on the database while the process ends. A panic was shown where it happened.
        let _ = self.maker.take().map(JoinHandle::join);
    }
}

impl World {
    /// Blocks come as soon as something waits.
    pub async fn new() -> Self {
        Self::working(|_| ()).await
    }

    /// The same with other settings.
    pub async fn working(adjust: impl FnOnce(&mut Settings)) -> Self {
        let mut world = Self::halted(adjust).await;
        let (state, stop) = (world.state.clone(), world.stop.clone());
        let maker = std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                if !state.pool().is_empty() {
                    make_block(&state);
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        world.maker = Some(maker);
        world
    }

    /// Blocks come only by [`Self::mine`].
    pub async fn halted(adjust: impl FnOnce(&mut Settings)) -> Self {
        Self::prepared(|_| (), adjust).await
    }

    /// The same over a database in which something was written before.
    pub async fn prepared(prepare: impl FnOnce(&Database), adjust: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().expect("a directory for tests");
        let database = Database::open(directory.path()).expect("a fresh directory");
        prepare(&database);
        Self::over(directory, database, Retention::default(), adjust)
    }

    /// The same over a directory that another had, with its own choice of what is kept. Blocks come only by [`Self::mine`].
    pub fn keeping(directory: TempDir, retention: Retention) -> Self {
        let database = Database::open(directory.path()).expect("nobody else has it");
        Self::over(directory, database, retention, |_| ())
    }

    /// Ends, and leaves what is on disk.
    pub async fn end(mut self) -> TempDir {
        self.server.stop().await;
        std::mem::replace(&mut self.directory, tempfile::tempdir().expect("a directory for tests"))
    }

    fn over(directory: TempDir, database: Database, retention: Retention, adjust: impl FnOnce(&mut Settings)) -> Self {
        let chain = Chain::open_with(genesis(), database, retention, &allocation()).expect("the genesis is right");
        let (sender, gossip) = mpsc::channel(64);
        let chain = Arc::new(chain);
        let state = NodeState::new(chain.clone(), Mempool::new(Limits::default()), sender, None);
        let mut settings = Settings::new(([127, 0, 0, 1], 0).into());
        adjust(&mut settings);
        let server = serve(state.clone(), settings).expect("a free port");
        let client = HttpClientBuilder::default().build(format!("http://{}", server.address)).expect("a URL");
        Self { state, gossip, server, client, stop: Arc::default(), maker: None, _last: LastUser::of(chain), directory }
    }

    pub fn mine(&self) {
        make_block(&self.state);
    }

    /// The answer, or the error as the client sees it.
    pub async fn ask(&self, method: &str, params: Value) -> Result<Value, ErrorObjectOwned> {
        let params = params.as_array().expect("parameters are a list").clone();
        self.client.request(method, params).await.map_err(|error| match error {
            ClientError::Call(error) => error,
            other => panic!("{method}: {other}"),
        })
    }

    /// As `ask`, where an answer is wanted.
    pub async fn get(&self, method: &str, params: Value) -> Value {
        self.ask(method, params).await.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// As `ask`, where an error is wanted.
    pub async fn refusal(&self, method: &str, params: Value) -> (i32, String) {
        let error = self.ask(method, params).await.expect_err(method);
        (error.code(), error.message().to_owned())
    }

    pub async fn send(&self, transaction: &Transaction) -> Result<Value, ErrorObjectOwned> {
        self.ask("eth_sendRawTransaction", json!([raw(transaction)])).await
    }

    /// Sends, waits, and returns the receipt.
    pub async fn receipt(&self, transaction: &Transaction) -> Value {
        let hash = self.send(transaction).await.unwrap_or_else(|error| panic!("{error}"));
        for _ in 0..1_000 {
            let receipt = self.get("eth_getTransactionReceipt", json!([hash])).await;
            if !receipt.is_null() {
                return receipt;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{hash} gets no receipt")
    }

    /// Deploys the counter; returns its address.
    pub async fn deploy_counter(&self, key: &Key, nonce: u64) -> Value {
        let receipt = self.receipt(&create(key, nonce)).await;
        assert_eq!(receipt["status"], "0x1");
        receipt["contractAddress"].clone()
    }
}

pub fn raw(transaction: &Transaction) -> Bytes {
    transaction.encoded_2718().into()
}

pub fn hash(transaction: &Transaction) -> B256 {
    *transaction.tx_hash()
}

pub fn create(key: &Key, nonce: u64) -> Transaction {
    key.send(CHAIN, nonce, 200_000, TxKind::Create, U256::ZERO, Bytes::from_static(&COUNTER))
}

pub fn call(key: &Key, nonce: u64, to: Address, value: U256, input: impl Into<Bytes>) -> Transaction {
    key.send(CHAIN, nonce, 500_000, to.into(), value, input.into())
}

/// A transfer of 5 wei.
pub fn transfer(key: &Key, nonce: u64) -> Transaction {
    key.transfer(CHAIN, nonce, NOBODY, 5)
}

/// The same transaction, better paid.
pub fn repriced(key: &Key, transaction: &Transaction, max_fee: u128) -> Transaction {
    let TxEnvelope::Eip1559(signed) = transaction.inner() else { panic!("keys make EIP-1559 transactions") };
    let mut changed = signed.tx().clone();
    changed.max_fee_per_gas = max_fee;
    changed.max_priority_fee_per_gas = max_fee;
    let signed: Recovered<TxEnvelope> = key.sign(changed);
    signed
}
