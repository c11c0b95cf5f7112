//! Polled filters.

use std::time::Duration;

use alloy_primitives::{B256, Bytes, U256};
use serde_json::json;

use super::world::{World, call, create};
use crate::chain::{LOG_BYTES, LogLimits};
use crate::testing::Key;

#[tokio::test(flavor = "multi_thread")]
async fn polled_filters_report_each_thing_once() {
    let world = World::halted(|settings| settings.rules.by_address.filters = 3).await;
    let key = Key::new(1);
    let counter = key.address.create(0);
    let blocks = world.get("eth_newBlockFilter", json!([])).await;
    let pending = world.get("eth_newPendingTransactionFilter", json!([])).await;
    let logs = world.get("eth_newFilter", json!([{ "address": counter }])).await;
    let (code, message) = world.refusal("eth_newBlockFilter", json!([])).await;
    assert_eq!(code, -32005, "{message}");
    world.send(&create(&key, 0)).await.unwrap();
    world.send(&call(&key, 1, counter, U256::ZERO, [])).await.unwrap();
    assert_eq!(world.get("eth_getFilterChanges", json!([logs])).await, json!([]));
    world.mine();
    world.mine();
    let head = world.get("eth_getBlockByNumber", json!(["latest", false])).await;
    let hashes = world.get("eth_getFilterChanges", json!([blocks])).await;
    assert_eq!(hashes.as_array().unwrap().len(), 2);
    assert_eq!(hashes[1], head["hash"]);
    assert_eq!(world.get("eth_getFilterChanges", json!([blocks])).await, json!([]));
    assert_eq!(world.get("eth_getFilterChanges", json!([pending])).await.as_array().unwrap().len(), 2);
    assert_eq!(world.get("eth_getFilterChanges", json!([logs])).await.as_array().unwrap().len(), 1);
    assert_eq!(world.get("eth_getFilterChanges", json!([logs])).await, json!([]));
    assert_eq!(world.get("eth_uninstallFilter", json!([logs])).await, true);
    assert_eq!(world.get("eth_uninstallFilter", json!([logs])).await, false);
    let (_, message) = world.refusal("eth_getFilterChanges", json!([logs])).await;
    assert_eq!(message, "filter not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_nobody_polls_expires() {
    let world = World::halted(|settings| settings.filter_lifetime = Duration::from_millis(20)).await;
    let filter = world.get("eth_newBlockFilter", json!([])).await;
    tokio::time::sleep(Duration::from_millis(40)).await;
    assert_eq!(world.refusal("eth_getFilterChanges", json!([filter])).await.1, "filter not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_was_not_polled_for_long_is_answered_in_pages_without_loss() {
    // A log of the counter has a topic and a word.
    let three_logs = 3 * (LOG_BYTES + 32 + 32);
    let limits = LogLimits { logs: 4, answer_bytes: three_logs, rows: 100, ..LogLimits::default() };
    let world = World::halted(|settings| settings.log_limits = limits).await;
    let key = Key::new(1);
    let counter = key.address.create(0);
    let filter = world.get("eth_newFilter", json!([{ "address": counter }])).await;
    world.send(&create(&key, 0)).await.unwrap();
    world.mine();
    // From none to five logs a block: more than one answer holds.
    let mut nonce = 1;
    for logs in [1, 0, 5, 2, 0, 3, 1] {
        for _ in 0..logs {
            world.send(&call(&key, nonce, counter, U256::ZERO, [])).await.unwrap();
            nonce += 1;
        }
        world.mine();
    }
    let mut polled = Vec::new();
    loop {
        let page = world.get("eth_getFilterChanges", json!([filter])).await;
        let page = page.as_array().unwrap();
        assert!(page.len() <= 3, "{}", page.len());
        polled.extend(page.iter().map(|log| log["data"].clone()));
        if page.is_empty() {
            break;
        }
    }
    let counted: Vec<_> = (1..nonce).map(|count| json!(B256::from(U256::from(count)))).collect();
    assert_eq!(polled, counted, "each log once, in order");
    // A question without a place to go on from is told what to do.
    let (code, message) = world.refusal("eth_getLogs", json!([{ "fromBlock": "0x4", "toBlock": "0x4" }])).await;
    assert!(code == -32005 && message.contains("the logs of block 4 alone do not fit in an answer"), "{message}");
    let (_, message) = world.refusal("eth_getLogs", json!([{ "fromBlock": "0x0" }])).await;
    assert!(message.ends_with("Try with this block range [0x0, 0x3]."), "{message}");
}

// the counter logs one topic; geth: a log with fewer topics than a filter names does not match, whatever they are
#[tokio::test(flavor = "multi_thread")]
async fn a_log_has_as_many_topics_as_a_filter_names() {
    let world = World::new().await;
    let key = Key::new(1);
    let counter = world.deploy_counter(&key, 0).await;
    world.receipt(&call(&key, 1, serde_json::from_value(counter.clone()).unwrap(), U256::ZERO, Bytes::new())).await;
    for (topics, found) in
        [(json!([]), 1), (json!([null]), 1), (json!([null, null]), 0), (json!([null, null, null]), 0)]
    {
        let filter = json!({ "fromBlock": "0x0", "address": counter, "topics": topics });
        let logs = world.get("eth_getLogs", json!([filter])).await;
        assert_eq!(logs.as_array().unwrap().len(), found, "{topics}");
        let id = world.get("eth_newFilter", json!([filter])).await;
        let logs = world.get("eth_getFilterLogs", json!([id])).await;
        assert_eq!(logs.as_array().unwrap().len(), found, "{topics}");
    }
}
