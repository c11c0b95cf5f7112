//! What waits in the pools of a network of real processes: kill -9 and stops lose none of it.

use std::time::Duration;

use alloy_primitives::B256;
use bridge::io::sidechain::Client;
use serde_json::{Value, json};
use tests::known::{DEVELOPER_0, RECIPIENT};
use tests::network::{Network, Options};

/// Both validators, from 1.
const ALL: [usize; 2] = [1, 2];

struct World {
    network: Network,
    runtime: tokio::runtime::Runtime,
}

impl World {
    /// The answer; null while the node does not.
    fn ask(&self, node: usize, method: &'static str, parameters: Value) -> Value {
        let client = Client::new(&self.network.rpc(node)).expect("a good URL");
        let parameters = parameters.as_array().expect("a list").clone();
        self.runtime.block_on(client.request(method, parameters)).unwrap_or_default()
    }

    fn number(&self, method: &'static str, parameters: Value) -> u64 {
        let answer = self.ask(1, method, parameters);
        let digits = answer.as_str().and_then(|text| text.strip_prefix("0x")).expect("a number");
        u64::from_str_radix(digits, 16).expect("a small number")
    }

    /// A payment of a developer account, signed by the node.
    fn send(&self, node: usize, nonce: u64) -> B256 {
        let transaction = json!({
            "from": DEVELOPER_0, "to": RECIPIENT, "value": "0x1", "nonce": format!("{nonce:#x}"), "gas": "0x5208",
            "maxFeePerGas": "0x3b9aca00", "maxPriorityFeePerGas": "0xf4240",
        });
        let hash = self.ask(node, "eth_sendTransaction", json!([transaction]));
        hash.as_str().and_then(|hash| hash.parse().ok()).expect("it is taken")
    }

    /// Nonces that wait for an earlier one.
    fn queued(&self, node: usize) -> Vec<u64> {
        let content = self.ask(node, "txpool_contentFrom", json!([DEVELOPER_0]));
        let nonces = content["queued"].as_object().into_iter().flat_map(|queued| queued.keys());
        nonces.filter_map(|nonce| nonce.parse().ok()).collect()
    }

    fn wait_for_queued(&self, wanted: &[u64]) {
        for node in ALL {
            self.network.until(&format!("{wanted:?} wait in the pool of node {node}"), || {
                (self.queued(node) == wanted).then_some(())
            });
        }
    }

    /// In wei.
    fn received(&self) -> u64 {
        self.number("eth_getBalance", json!([RECIPIENT, "latest"]))
    }
}

// nonce n is missing: n + 1 and n + 2 wait in all pools, and no block takes them.
#[test]
fn what_waits_outlives_kill_9_of_every_validator_and_a_stop_and_is_paid_once_the_gap_is_filled() {
    let network = Network::start(Options { operators: 2, threshold: 2, fund: true, ..Options::default() });
    let mut world = World { network, runtime: tokio::runtime::Runtime::new().expect("threads") };
    let nonce = world.number("eth_getTransactionCount", json!([DEVELOPER_0, "latest"]));
    let sent = [world.send(1, nonce + 1), world.send(2, nonce + 2)];
    world.wait_for_queued(&[nonce + 1, nonce + 2]);

    ["validator-1", "validator-2"].into_iter().for_each(|name| world.network.kill(name));
    ["validator-1", "validator-2"].into_iter().for_each(|name| world.network.restart(name));
    world.wait_for_queued(&[nonce + 1, nonce + 2]);

    // A third comes while one is away, which hears of it when it is back; and the whole network ends at once; then it ends in order.
    world.network.kill("validator-2");
    let sent = [sent[0], sent[1], world.send(1, nonce + 3)];
    world.network.restart("validator-2");
    world.wait_for_queued(&[nonce + 1, nonce + 2, nonce + 3]);
    world.network.kill_all();
    world.network.resume();
    world.wait_for_queued(&[nonce + 1, nonce + 2, nonce + 3]);
    world.network.stop();
    world.network.resume();
    world.wait_for_queued(&[nonce + 1, nonce + 2, nonce + 3]);

    let before = world.received();
    let first = world.send(2, nonce);
    for hash in sent.into_iter().chain([first]) {
        world.network.until(&format!("{hash} is final"), || {
            let receipt = world.ask(1, "eth_getTransactionReceipt", json!([hash]));
            (receipt["status"] == "0x1").then_some(())
        });
    }
    assert_eq!(world.received() - before, 4);
    world.wait_for_queued(&[]);
    // What is final does not come back.
    std::thread::sleep(Duration::from_secs(1));
    world.network.kill("validator-1");
    world.network.restart("validator-1");
    world.wait_for_queued(&[]);
}
