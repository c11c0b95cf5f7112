//! Whole nodes in one process: real sockets, real disks, real contracts; only the process boundary is missing, which the
//! end-to-end tests of the `tests` crate add.

mod lanes;
mod maker;
mod slow_transactions;

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use alloy_consensus::Transaction as _;
use alloy_eips::Encodable2718 as _;
use alloy_primitives::{Address, B256, Bytes, U64, U256, hex};
use alloy_sol_types::SolCall as _;
use api::peg::Terms;
use contracts::signing_board::SigningBoard;
use files::{DirectoryLock, LockError};
use jsonrpsee::{
    core::client::ClientT as _,
    http_client::{HttpClient, HttpClientBuilder},
    rpc_params,
};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::{NodeConfig, NodeError, run};
use crate::{
    chain::Registration,
    genesis::Genesis,
    io::{clock::now_ms, gossip, keys::ValidatorKeys, node_state::NodeState},
    limits::MAX_TRANSACTION_GAS,
    mempool::{Limits, Mempool},
    testing,
};

/// Longer than anything takes, even when the machine is busy.
const PATIENCE: Duration = Duration::from_secs(90);

/// The sender that stops a node, and the node's thread.
type Running = (oneshot::Sender<()>, JoinHandle<Result<(), NodeError>>);

struct Node {
    config: NodeConfig,
    keys: Option<ValidatorKeys>,
    running: Option<Running>,
    client: HttpClient,
}

impl Node {
    fn new(dir: &Path, p2p_listen: SocketAddr, keys: Option<ValidatorKeys>, follow: Option<String>) -> Self {
        let rpc_listen = free_address();
        let config = NodeConfig { rpc_listen, p2p_listen, follow, ..NodeConfig::new(dir) };
        let client = HttpClientBuilder::default()
            .request_timeout(Duration::from_secs(5))
            .build(format!("http://{rpc_listen}"))
            .expect("a valid url");
        Self { config, keys, running: None, client }
    }

    fn start(&mut self, genesis: &Genesis) {
        let (stop, stopped) = oneshot::channel();
        let (config, genesis, keys) = (self.config.clone(), genesis.clone(), self.keys.clone());
        let thread = std::thread::spawn(move || run(config, genesis, keys, None, async move { drop(stopped.await) }));
        self.running = Some((stop, thread));
    }

    fn stop(&mut self) {
        let (stop, thread) = self.running.take().expect("it runs");
        let _ = stop.send(());
        thread.join().expect("no panic").expect("a clean stop");
    }

    async fn head(&self) -> u64 {
        let answer: Result<U64, _> = self.client.request("eth_blockNumber", rpc_params![]).await;
        answer.map_or(0, |number| number.to())
    }

    async fn receipt(&self, hash: B256) -> Option<Value> {
        let answer: Value = self.client.request("eth_getTransactionReceipt", rpc_params![hash]).await.ok()?;
        (!answer.is_null()).then_some(answer)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("loopback has free ports")
}

/// Four validators that are not started yet, and their genesis.
fn network(dir: &Path) -> (Genesis, Vec<Node>) {
    let mut genesis = testing::genesis();
    genesis.timestamp = now_ms() / 1000;
    let mut nodes = Vec::new();
    for (index, member) in genesis.federation.members.iter_mut().enumerate() {
        let keys = ValidatorKeys::generate();
        let public = keys.public();
        let address = free_address();
        member.validator_key = Bytes::copy_from_slice(&public.validator_key);
        member.validator_proof = Bytes::copy_from_slice(&public.validator_proof);
        member.p2p_key = public.p2p_key.into();
        member.p2p_address = address.to_string();
        nodes.push(Node::new(&dir.join(format!("validator-{index}")), address, Some(keys), None));
    }
    (genesis, nodes)
}

async fn wait_for(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !done().await {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A member's message on the signing board: free of gas, so that it works before there are coins.
fn post(genesis: &Genesis, member: u16, nonce: u64) -> (B256, Bytes) {
    post_with(genesis, member, nonce, 200_000)
}

fn post_with(genesis: &Genesis, member: u16, nonce: u64, gas: u64) -> (B256, Bytes) {
    let call = SigningBoard::postKeygenCall {
        network: genesis.network_id(),
        epoch: 1,
        attempt: 1,
        kind: 1,
        payload: Bytes::from(vec![7; 100]),
    };
    let transaction = testing::member(member).free(
        genesis.chain_id,
        nonce,
        gas,
        contracts::address::SIGNING_BOARD,
        call.abi_encode().into(),
    );
    assert_eq!(transaction.nonce(), nonce);
    (*transaction.tx_hash(), transaction.inner().encoded_2718().into())
}

async fn send(node: &Node, raw: &Bytes) {
    let answer: Result<B256, _> = node.client.request("eth_sendRawTransaction", rpc_params![raw]).await;
    answer.unwrap_or_else(|error| panic!("{} is taken: {error}", hex::encode(raw)));
}

#[tokio::test(flavor = "multi_thread")]
async fn four_validators_and_a_follower_agree() {
    let dir = tempfile::tempdir().expect("a directory");
    let (genesis, mut nodes) = network(dir.path());
    nodes.iter_mut().for_each(|node| node.start(&genesis));
    wait_for("there are blocks", async || nodes[0].head().await >= 2).await;

    // Sent to one, gossiped to all, final at all.
    let (hash, raw) = post(&genesis, 1, 0);
    let sent = Instant::now();
    send(&nodes[1], &raw).await;
    for node in &nodes {
        wait_for("the transaction is final", async || node.receipt(hash).await.is_some()).await;
    }
    println!("final at all after {:?}", sent.elapsed());
    let receipts: Vec<_> = futures::future::join_all(nodes.iter().map(|node| node.receipt(hash))).await;
    assert!(receipts.iter().all(|receipt| *receipt == receipts[0]));
    assert_eq!(receipts[0].as_ref().expect("final")["status"], "0x1");

    // One stops; the others go on; it returns and catches up.
    nodes[3].stop();
    let (hash, raw) = post(&genesis, 2, 0);
    send(&nodes[0], &raw).await;
    wait_for("three go on", async || nodes[2].receipt(hash).await.is_some()).await;
    nodes[3].start(&genesis);
    wait_for("it caught up", async || nodes[3].receipt(hash).await.is_some()).await;

    // A follower knows nothing but the genesis file and one address.
    let url = format!("http://{}", nodes[0].config.rpc_listen);
    let mut follower = Node::new(&dir.path().join("follower"), free_address(), None, Some(url));
    follower.start(&genesis);
    wait_for("the follower has it", async || follower.receipt(hash).await.is_some()).await;
    let (hash, raw) = post(&genesis, 3, 0);
    send(&follower, &raw).await;
    wait_for("sent through the follower", async || follower.receipt(hash).await.is_some()).await;

    // The followed node restarts under the follower.
    nodes[0].stop();
    tokio::time::sleep(Duration::from_secs(1)).await;
    nodes[0].start(&genesis);
    wait_for("the followed node is back", async || nodes[0].receipt(hash).await.is_some()).await;
    let head = follower.head().await;
    wait_for("the follower goes on", async || follower.head().await > head).await;
    tokio::task::block_in_place(|| {
        follower.stop();
        nodes.iter_mut().for_each(Node::stop);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_fills_the_free_lane_of_a_network_delays_no_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let (genesis, mut nodes) = network(dir.path());
    nodes.iter_mut().for_each(|node| node.start(&genesis));
    wait_for("there are blocks", async || nodes[0].head().await >= 1).await;
    // Member 1 fills its quota of the pool; each transaction asks for all the gas that one may ask for.
    let hostile: Vec<_> = (0..64).map(|nonce| post_with(&genesis, 1, nonce, MAX_TRANSACTION_GAS)).collect();
    let before = nodes[0].head().await;
    for (_, raw) in &hostile {
        send(&nodes[0], raw).await;
    }
    let (hash, raw) = post(&genesis, 2, 0);
    send(&nodes[1], &raw).await;
    wait_for("the other member's is final", async || nodes[0].receipt(hash).await.is_some()).await;
    assert!(nodes[0].receipt(hostile[63].0).await.is_none(), "it did not wait for all of the hostile member's");
    let number: U64 =
        serde_json::from_value(nodes[0].receipt(hash).await.expect("final")["blockNumber"].clone()).expect("a number");
    println!("in block {number}, sent after block {before}");
    tokio::task::block_in_place(|| nodes.iter_mut().for_each(Node::stop));
}

#[test]
fn a_data_directory_has_one_process() {
    let dir = tempfile::tempdir().expect("a directory");
    let (genesis, nodes) = network(dir.path());
    let config = nodes[0].config.clone();
    let _held = DirectoryLock::acquire(&config.data_dir).expect("free");
    let error =
        run(config.clone(), genesis, nodes[0].keys.clone(), None, std::future::pending()).expect_err("it is held");
    assert!(matches!(&error, NodeError::Lock(LockError::InUse(path)) if *path == config.data_dir), "{error}");
}

#[test]
fn a_network_that_begins_in_the_future_is_not_started() {
    let dir = tempfile::tempdir().expect("a directory");
    let (mut genesis, nodes) = network(dir.path());
    genesis.timestamp = now_ms() / 1000 + 3_600;
    let error = run(nodes[0].config.clone(), genesis, nodes[0].keys.clone(), None, std::future::pending());
    let error = error.expect_err("an hour ahead").to_string();
    assert!(error.contains("s ahead of this machine's clock"), "{error}");
}

#[test]
fn what_cannot_work_is_said_at_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let (genesis, nodes) = network(dir.path());
    let start = |config: &NodeConfig, keys: Option<ValidatorKeys>| {
        run(config.clone(), genesis.clone(), keys, None, std::future::pending())
            .expect_err("it cannot work")
            .to_string()
    };
    let config = nodes[0].config.clone();
    assert!(start(&config, None).contains("either validator keys or"));
    assert!(start(&config, Some(ValidatorKeys::generate())).contains("not those of a validator"));
    let mut unknown = config.clone();
    unknown.peers.insert("nobody".into(), "127.0.0.1:1".into());
    assert!(start(&unknown, nodes[0].keys.clone()).contains("\"nobody\""));
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut busy = config;
    busy.p2p_listen = taken.local_addr().expect("bound");
    assert!(start(&busy, nodes[0].keys.clone()).contains("cannot listen on"));
}

#[test]
fn a_validator_that_was_away_is_told_the_registrations() {
    let dir = tempfile::tempdir().expect("a directory");
    let (genesis, nodes) = network(dir.path());
    let chain = super::services::open_chain(&nodes[0].config, genesis).expect("a new chain");
    let registrations: Vec<_> = (0..2_000u64)
        .map(|number| {
            let output_key = B256::from(U256::from(number));
            let recipient = Address::from_word(output_key);
            let terms = Terms {
                recipient,
                claimant: recipient,
                data_hash: B256::ZERO,
                reclaim_key: B256::repeat_byte(2),
                max_fee_sat: number,
                epoch: 1,
            };
            Registration { terms, output_key }
        })
        .collect();
    for registration in &registrations {
        chain.register_deposit(registration).expect("there is room");
    }
    let state = NodeState::new(chain, Mempool::new(Limits::default()), mpsc::channel(1).0, None);
    assert_eq!(gossip::decoded_registrations(&state), registrations);
}

#[test]
fn a_node_signs_with_keys_that_everybody_knows_on_regtest_alone() {
    let directory = tempfile::tempdir().expect("a directory for tests");
    let config = NodeConfig {
        rpc_listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        developer_accounts: true,
        ..NodeConfig::new(directory.path())
    };
    let signet = maker::Maker::new(testing::genesis_on(mainchain::Network::Signet), &[]);
    assert!(matches!(super::services::serve(&config, &signet.state), Err(NodeError::DeveloperAccounts)));
}
