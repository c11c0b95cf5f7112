//! Subscriptions over WebSocket.

use std::time::Duration;

use alloy_primitives::U256;
use jsonrpsee::core::client::{Subscription, SubscriptionClientT};
use jsonrpsee::core::params::ArrayParams;
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use serde_json::{Value, json};

use super::world::{World, call, create, hash};
use crate::testing::Key;

async fn subscribe(world: &World, params: Vec<Value>) -> (WsClient, Subscription<Value>) {
    let client = WsClientBuilder::default().build(format!("ws://{}", world.server.address)).await.unwrap();
    let mut list = ArrayParams::new();
    for param in params {
        list.insert(param).unwrap();
    }
    let subscription = client.subscribe("eth_subscribe", list, "eth_unsubscribe").await.unwrap();
    (client, subscription)
}

async fn next(subscription: &mut Subscription<Value>) -> Value {
    tokio::time::timeout(Duration::from_secs(10), subscription.next()).await.expect("in time").unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_hear_of_heads_logs_and_waiting_transactions() {
    let world = World::halted(|_| ()).await;
    let key = Key::new(1);
    let counter = key.address.create(0);
    let (_a, mut heads) = subscribe(&world, vec![json!("newHeads")]).await;
    let (_b, mut logs) = subscribe(&world, vec![json!("logs"), json!({ "address": counter })]).await;
    let (_c, mut pending) = subscribe(&world, vec![json!("newPendingTransactions")]).await;
    let (_d, mut whole) = subscribe(&world, vec![json!("newPendingTransactions"), json!(true)]).await;
    let sent = [create(&key, 0), call(&key, 1, counter, U256::ZERO, [])];
    for transaction in &sent {
        world.send(transaction).await.unwrap();
        assert_eq!(next(&mut pending).await, json!(hash(transaction)));
        assert_eq!(next(&mut whole).await["hash"], json!(hash(transaction)));
    }
    world.mine();
    world.mine();
    let first = next(&mut heads).await;
    assert_eq!((first["number"].clone(), first["transactions"].clone()), (json!("0x1"), Value::Null));
    assert_eq!(next(&mut heads).await["parentHash"], first["hash"]);
    let log = next(&mut logs).await;
    assert_eq!(log["transactionHash"], json!(hash(&sent[1])));
    assert_eq!(log["logIndex"], "0x0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_subscriber_misses_no_block() {
    let world = World::halted(|_| ()).await;
    let (_client, mut heads) = subscribe(&world, vec![json!("newHeads")]).await;
    // More than are buffered for a subscriber.
    for _ in 0..200 {
        world.mine();
    }
    for number in 1..=200 {
        assert_eq!(next(&mut heads).await["number"], json!(format!("{number:#x}")));
    }
}
