//! Polled filters.

use std::time::Duration;

use alloy_primitives::U256;
use serde_json::json;

use super::world::{World, call, create};
use crate::testing::Key;

#[tokio::test(flavor = "multi_thread")]
async fn polled_filters_report_each_thing_once() {
    let world = World::halted(|settings| settings.max_filters = 3).await;
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
