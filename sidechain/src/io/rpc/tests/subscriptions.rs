//! Subscriptions over WebSocket.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::{B256, Log, LogData, U256};
use jsonrpsee::core::client::{Error as ClientError, Subscription, SubscriptionClientT};
use jsonrpsee::core::params::ArrayParams;
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use serde_json::{Value, json};

use super::super::convert;
use super::world::{NOBODY, World, call, create, hash};
use crate::chain::{Chain, LogFilter, fabricated};
use crate::state::store::Memory;
use crate::testing::{Key, genesis};

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

// three blocks with a log each; subscribers to all, to the second one's, and to those from the second one on
#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_hears_of_logs_within_the_blocks_it_names() {
    let world = World::halted(|_| ()).await;
    let key = Key::new(1);
    let counter = key.address.create(0);
    let wanted = |blocks: Value| vec![json!("logs"), blocks];
    let (_a, mut second) = subscribe(&world, wanted(json!({ "fromBlock": "0x2", "toBlock": "0x2" }))).await;
    let (_b, mut later) = subscribe(&world, wanted(json!({ "fromBlock": "0x2", "toBlock": "latest" }))).await;
    let (_c, mut all) = subscribe(&world, wanted(json!({ "fromBlock": "latest" }))).await;
    world.send(&create(&key, 0)).await.unwrap();
    for nonce in 1..4 {
        world.send(&call(&key, nonce, counter, U256::ZERO, [])).await.unwrap();
        world.mine();
    }
    for (subscription, blocks) in [(&mut all, vec!["0x1", "0x2", "0x3"]), (&mut later, vec!["0x2", "0x3"])] {
        for block in blocks {
            assert_eq!(next(subscription).await["blockNumber"], block);
        }
    }
    assert_eq!(next(&mut second).await["blockNumber"], "0x2");
    let more = tokio::time::timeout(Duration::from_millis(300), second.next()).await;
    assert!(more.is_err(), "nothing after its last block: {more:?}");
    let client = WsClientBuilder::default().build(format!("ws://{}", world.server.address)).await.unwrap();
    for refused in [json!({ "blockHash": B256::ZERO }), json!({ "fromBlock": "0x3", "toBlock": "0x2" })] {
        let mut list = ArrayParams::new();
        list.insert("logs").unwrap();
        list.insert(refused.clone()).unwrap();
        let answer: Result<Subscription<Value>, _> = client.subscribe("eth_subscribe", list, "eth_unsubscribe").await;
        assert!(matches!(answer, Err(ClientError::Call(error)) if error.code() == -32602), "{refused}");
    }
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

// one block with 30,000 logs, every third of them by one contract
#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_gets_the_logs_that_match_in_order_and_each_is_built_when_it_is_sent() {
    let world = World::halted(|_| ()).await;
    let emitter = |number: u64| if number.is_multiple_of(3) { NOBODY } else { Key::new(9).address };
    let log = |number: u64| Log {
        address: emitter(number),
        data: LogData::new_unchecked(vec![B256::from(U256::from(number))], vec![7; 100].into()),
    };
    let store = Arc::new(Memory::default());
    let chain = Chain::open(genesis(), store.clone()).unwrap();
    fabricated::write(&store, &fabricated::block(1, vec![(0..30_000).map(log).collect()])).unwrap();
    let block = Arc::new(chain.decode_anew(1).unwrap());

    let (_all, mut all) = subscribe(&world, vec![json!("logs")]).await;
    let (_some, mut some) = subscribe(&world, vec![json!("logs"), json!({ "address": NOBODY })]).await;
    world.state.finalized.send(block.clone()).unwrap();
    for number in 0..200_u64 {
        assert_eq!(next(&mut all).await["logIndex"], json!(format!("{number:#x}")));
        let log = next(&mut some).await;
        assert_eq!(
            (log["logIndex"].clone(), log["address"].clone()),
            (json!(format!("{:#x}", 3 * number)), json!(NOBODY))
        );
    }

    let everything = LogFilter::default();
    let timed = |count: usize| {
        let begun = Instant::now();
        assert_eq!(convert::logs(&block, &everything).take(count).count(), count);
        begun.elapsed()
    };
    let (first, whole) = (timed(1), timed(30_000));
    println!("the first log takes {first:?}, all {whole:?}");
    assert!(first * 20 < whole, "the first log takes {first:?}, all {whole:?}");
}
