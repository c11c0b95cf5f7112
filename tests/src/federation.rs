//! Four whole relayers in this process, in real time: each with a real bitcoind, or somebody in front of it, around a simulated
//! sidechain that makes a block when they need one.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use alloy_primitives::{Address, B256};
use bitcoin::secp256k1::SecretKey;
use bitcoin::{ScriptBuf, XOnlyPublicKey};
use bridge::io::clock::Clock;
use bridge::io::config::{Bitcoind, Config, Duty};
use bridge::io::relayer::{FatalError, Surroundings, TestHooks, run_within};
use bridge::keystore::OperatorKeys;
use contracts::address::BRIDGE;
use mainchain::Network;
use mainchain::deposit::{DepositTerms, Peg};
use mainchain::io::rpc::{Auth, BitcoinRpc};
use rand::rngs::OsRng;
use serde_json::Value;
use sidechain::chain::Registration;
use sidechain::testing::genesis;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use crate::port;
use crate::simulated::faults::Faults;
use crate::simulated::node::{Sidechain, SimulatedNode};
use crate::waiting::Patience;

/// Time between two blocks of the sidechain.
const BLOCK_INTERVAL: Duration = Duration::from_millis(250);
/// Blocks of Bitcoin after which the recovery keys can take a vault output: more than any test has.
const RECOVERY_DELAY: u16 = 4_000;
/// The longest that anything may take, on a machine that does much else.
const PATIENCE: Patience = Patience::new(Duration::from_secs(240), Duration::from_millis(200));

/// The members' relayers. They end when this is dropped.
pub struct Federation {
    pub sidechain: Sidechain,
    /// The faults of each operator's own node.
    pub nodes: Vec<Faults>,
    /// What stands for an estimate in the configuration of relayers that are started from now on, in sat/vB.
    pub fee_rate: Option<u32>,
    operators: Vec<Operator>,
    directory: TempDir,
    blocks: JoinHandle<()>,
}

struct Operator {
    keys: (SecretKey, SecretKey),
    health: SocketAddr,
    /// Where its bitcoind is, and how to log in.
    bitcoind: (String, Auth),
    relayer: Option<JoinHandle<Result<(), FatalError>>>,
}

impl Drop for Federation {
    fn drop(&mut self) {
        self.blocks.abort();
        self.operators.iter().filter_map(|operator| operator.relayer.as_ref()).for_each(JoinHandle::abort);
    }
}

impl Federation {
    /// Operators with these bitcoinds. Their relayers are started by [`Federation::start`].
    ///
    /// # Panics
    ///
    /// When the machine has no room or no ports.
    #[must_use]
    pub fn new(bitcoinds: [(String, Auth); 4]) -> Self {
        let mut genesis = genesis();
        let mut operators = Vec::new();
        for (member, bitcoind) in genesis.federation.members.iter_mut().zip(bitcoinds) {
            let keys = OperatorKeys::generate(&mut OsRng);
            member.account = keys.address();
            member.encryption_key = keys.encryption_key().serialize().into();
            let health = SocketAddr::from(([127, 0, 0, 1], port::free()));
            operators.push(Operator { keys: (*keys.account(), *keys.encryption()), health, bitcoind, relayer: None });
        }
        let sidechain = Sidechain::new(genesis, Clock::system());
        let making = sidechain.clone();
        let blocks = tokio::spawn(async move {
            loop {
                tokio::time::sleep(BLOCK_INTERVAL).await;
                making.make_block();
            }
        });
        let nodes = operators.iter().map(|_| Faults::default()).collect();
        let directory = tempfile::tempdir().expect("a directory for tests");
        Self { sidechain, nodes, fee_rate: Some(2), operators, directory, blocks }
    }

    /// The same, with all relayers started.
    #[must_use]
    pub fn started(bitcoinds: [(String, Auth); 4]) -> Self {
        let mut federation = Self::new(bitcoinds);
        (0..4).for_each(|operator| federation.start(operator));
        federation
    }

    /// Starts an operator's relayer, with what it kept before. Operators count from 0, members from 1.
    pub fn start(&mut self, operator: usize) {
        let config = self.config(operator);
        let (node, work) = (self.node(operator), self.sidechain.work(RECOVERY_DELAY));
        let operator = &mut self.operators[operator];
        let keys = OperatorKeys::new(operator.keys.0, operator.keys.1);
        let (url, auth) = operator.bitcoind.clone();
        let connect = move |network: Network| Ok(BitcoinRpc::new(url.clone(), auth.clone(), network));
        let surroundings = Surroundings { node, connect, clock: Clock::system(), random: Box::new(OsRng) };
        operator.relayer = Some(tokio::spawn(async move {
            run_within(surroundings, &config, work, &keys, TestHooks::default(), std::future::pending()).await
        }));
    }

    /// Kills an operator's relayer, wherever it is.
    pub async fn kill(&mut self, operator: usize) {
        if let Some(relayer) = self.operators[operator].relayer.take() {
            relayer.abort();
            assert!(relayer.await.is_err_and(|error| error.is_cancelled()), "it had stopped by itself");
        }
    }

    fn node(&self, operator: usize) -> SimulatedNode {
        SimulatedNode { sidechain: self.sidechain.clone(), faults: self.nodes[operator].clone() }
    }

    fn config(&self, operator: usize) -> Config {
        let unused = Bitcoind { url: String::new(), cookie_file: None, user: None, password_file: None };
        Config {
            genesis: Default::default(),
            node: String::new(),
            bitcoind: unused,
            data_dir: self.directory.path().join(operator.to_string()),
            keystore: Default::default(),
            duty: Duty { window_s: 5, takeover_ms: 2_000 },
            poll_ms: 200,
            batch_ms: 300,
            fee_rate: self.fee_rate,
            low_fee_rate: 2,
            limit: None,
            health_listen: Some(self.operators[operator].health),
            log: None,
        }
    }

    /// Registers a fresh deposit address for `recipient`; the script to pay.
    ///
    /// # Panics
    ///
    /// When there is no key yet.
    #[must_use]
    pub fn register(&self, recipient: Address) -> ScriptBuf {
        let (registration, script) = self.deposit_address(recipient);
        self.sidechain.register(&registration);
        script
    }

    /// A deposit address that is not registered yet.
    ///
    /// # Panics
    ///
    /// When there is no key yet.
    #[must_use]
    pub fn deposit_address(&self, recipient: Address) -> (Registration, ScriptBuf) {
        let info = self.sidechain.info();
        let key =
            XOnlyPublicKey::from_slice(info.group_key.expect("a key").as_slice()).expect("the contract checked it");
        let reclaim_key = crate::known::RECLAIM_KEY.parse().expect("a point");
        let max_fee = bitcoin::Amount::from_sat(20_000);
        let recipient = recipient.into_array();
        let terms = DepositTerms {
            recipient,
            claimant: recipient,
            reclaim_key,
            max_fee,
            data_hash: [0; 32],
            epoch: info.epoch,
        };
        let delay = info.parameters.reclaim_delay.try_into().expect("not zero");
        let output = terms.output(&Peg { network_id: info.network_id.0, bridge: BRIDGE.into_array(), delay }, key);
        let output_key = B256::from(output.output_key().serialize());
        (Registration { terms: (&terms).into(), output_key }, output.script_pubkey())
    }

    /// Waits for the federation's key.
    pub async fn until_key(&self) {
        self.until("the key is in force", async || self.sidechain.info().group_key).await;
    }

    /// Mines now and then until the reserve is filled.
    pub async fn until_reserve<F: Future<Output = ()>>(&self, mine: impl Fn() -> F) {
        let mut looks = 0u32;
        self.until("the reserve is filled", async || {
            looks += 1;
            if looks.is_multiple_of(6) {
                mine().await;
            }
            (self.sidechain.books().reserve_sat > 0).then_some(())
        })
        .await;
    }

    /// Mines now and then until coins have reached an account.
    pub async fn until_minted<F: Future<Output = ()>>(&self, account: Address, mine: impl Fn() -> F) {
        let mut looks = 0u32;
        self.until("the coins are minted", async || {
            looks += 1;
            if looks.is_multiple_of(6) {
                mine().await;
            }
            (!self.sidechain.balance(account).is_zero()).then_some(())
        })
        .await;
    }

    /// Waits until there is an answer.
    ///
    /// # Panics
    ///
    /// When there is none for too long.
    pub async fn until<T>(&self, what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
        PATIENCE.until_async(what, ask).await
    }

    /// Waits until an operator's `GET /health` is as wanted; it.
    pub async fn until_health(&self, operator: usize, what: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        self.until(what, async || self.health(operator).await.filter(&is_wanted)).await
    }

    /// What an operator's `GET /health` tells; none while it does not listen.
    pub async fn health(&self, operator: usize) -> Option<Value> {
        let mut stream = tokio::net::TcpStream::connect(self.operators[operator].health).await.ok()?;
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        serde_json::from_str(answer.split("\r\n\r\n").nth(1)?).ok()
    }
}
