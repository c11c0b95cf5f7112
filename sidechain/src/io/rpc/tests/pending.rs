//! The block at `pending`: what waits, applied in the order of a proposal; shared by all who ask.

use std::time::{Duration, Instant};

use alloy_primitives::{B256, Bytes, TxKind, U256, hex};
use futures::future::join_all;
use serde_json::{Value, json};

use super::world::{CHAIN, COUNTER, NOBODY, World, call, create, hash, repriced, transfer};
use crate::block::Transaction;
use crate::testing::Key;

/// Creation code that runs until its gas is used up: JUMPDEST, PUSH0, JUMP.
const LOOP: [u8; 3] = hex!("5b5f56");

fn burn(key: &Key, nonce: u64) -> Transaction {
    key.send(CHAIN, nonce, 1 << 24, TxKind::Create, U256::ZERO, Bytes::from_static(&LOOP))
}

fn number(value: &Value) -> U256 {
    serde_json::from_value(value.clone()).expect("a quantity")
}

// final: 0     pending: 1 = [bob's transfer (pays more), alice's creation, alice's call of it]
#[tokio::test(flavor = "multi_thread")]
async fn pending_is_the_next_block_of_what_waits_as_a_proposer_orders_it() {
    let world = World::halted(|_| ()).await;
    let (alice, bob) = (Key::new(1), Key::new(2));
    let counter = alice.address.create(0);
    let sent = [
        repriced(&bob, &transfer(&bob, 0), 20_000_000),
        create(&alice, 0),
        call(&alice, 1, counter, U256::ZERO, []),
        // Behind a gap: it has no place yet.
        transfer(&Key::new(3), 1),
    ];
    for transaction in &sent {
        world.send(transaction).await.unwrap();
    }
    let hashes: Vec<B256> = sent[..3].iter().map(hash).collect();
    let head = world.get("eth_getBlockByNumber", json!(["latest", false])).await;
    let block = world.get("eth_getBlockByNumber", json!(["pending", false])).await;
    assert_eq!((&block["number"], &block["parentHash"]), (&json!("0x1"), &head["hash"]));
    assert_eq!(block["transactions"], json!(hashes));
    for name in ["hash", "nonce", "miner"] {
        assert_eq!(block.get(name), Some(&Value::Null), "{name}, as geth");
    }
    assert!(number(&block["gasUsed"]) > U256::from(100_000) && block["stateRoot"] != head["stateRoot"]);
    let full = world.get("eth_getBlockByNumber", json!(["pending", true])).await;
    assert_eq!(
        (&full["transactions"][2]["hash"], &full["transactions"][2]["blockHash"]),
        (&json!(hashes[2]), &Value::Null)
    );
    assert_eq!(world.get("eth_getBlockTransactionCountByNumber", json!(["pending"])).await, "0x3");
    let second = world.get("eth_getTransactionByBlockNumberAndIndex", json!(["pending", "0x1"])).await;
    assert_eq!(
        (&second["hash"], &second["blockHash"], &second["blockNumber"]),
        (&json!(hashes[1]), &Value::Null, &json!("0x1"))
    );
    let raw = world.get("eth_getRawTransactionByBlockNumberAndIndex", json!(["pending", "0x1"])).await;
    assert_eq!(raw, json!(super::world::raw(&sent[1])));
    assert_eq!(world.get("eth_getHeaderByNumber", json!(["pending"])).await["hash"], Value::Null);
    assert_eq!(world.get("eth_getBlockReceipts", json!(["pending"])).await.as_array().map(Vec::len), Some(3));

    // State after it.
    let at = async |method: &str, parameters: Value| {
        let mut parameters = parameters.as_array().unwrap().clone();
        parameters.push(json!("pending"));
        world.get(method, Value::Array(parameters)).await
    };
    assert_eq!(at("eth_getBalance", json!([NOBODY])).await, "0x5");
    assert_eq!(at("eth_getTransactionCount", json!([alice.address])).await, "0x2");
    assert_eq!(at("eth_getCode", json!([counter])).await, json!(Bytes::copy_from_slice(&COUNTER[9..])));
    assert_eq!(at("eth_getStorageAt", json!([counter, "0x0"])).await, json!(B256::with_last_byte(1)));
    let slots = at("eth_getStorageValues", json!([{ counter.to_string(): ["0x0"] }])).await;
    assert_eq!(slots[format!("{counter:#x}")], json!([B256::with_last_byte(1)]));
    // The number of the block, and the counter's slot.
    let asked = json!({ "to": counter });
    let code = |code: &[u8]| json!({ counter.to_string(): { "code": Bytes::copy_from_slice(code) } });
    let seen = world.get("eth_call", json!([asked, "pending", code(&hex!("435f5260205ff3"))])).await;
    assert_eq!(seen, json!(B256::with_last_byte(1)));
    let seen =
        world.get("eth_call", json!([asked, { "blockNumber": "pending" }, code(&hex!("5f545f5260205ff3"))])).await;
    assert_eq!(seen, json!(B256::with_last_byte(1)));
    assert!(number(&at("eth_estimateGas", json!([{ "from": bob.address, "to": counter }])).await) > U256::from(21_000));
    let listed = at("eth_createAccessList", json!([{ "from": bob.address, "to": counter }])).await;
    assert_eq!(listed["accessList"][0]["address"], json!(counter));
    // Nothing of it is there yet.
    assert_eq!(world.get("eth_getBalance", json!([NOBODY, "latest"])).await, "0x0");
    assert_eq!(world.get("eth_getCode", json!([counter, "latest"])).await, "0x");
    assert_eq!(world.get("eth_getBlockByNumber", json!(["latest", false])).await["number"], "0x0");
    world.mine();
    let made = world.get("eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!((&made["transactions"], &made["gasUsed"]), (&block["transactions"], &block["gasUsed"]));
    let next = world.get("eth_getBlockByNumber", json!(["pending", false])).await;
    assert_eq!((&next["number"], &next["transactions"]), (&json!("0x2"), &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_sent_sees_it_at_pending_at_once() {
    let world = World::halted(|_| ()).await;
    let key = Key::new(1);
    for nonce in 0..50u64 {
        world.send(&transfer(&key, nonce)).await.unwrap();
        let balance = world.get("eth_getBalance", json!([NOBODY, "pending"])).await;
        assert_eq!(number(&balance), U256::from(5 * (nonce + 1)));
    }
}

// The attack: what waits takes long to run, and hundreds ask for the block of it, while the pool changes.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_requests_at_pending_is_one_execution_for_each_change_and_takes_half_of_a_thread() {
    let world = World::halted(|settings| settings.access.unlimited.push("127.0.0.0/8".parse().unwrap())).await;
    for transaction in (1..=4).flat_map(|key| (0..3).map(move |nonce| burn(&Key::new(key), nonce))) {
        world.send(&transaction).await.unwrap();
    }
    let ask = async || {
        let asks = (0..100).flat_map(|_| {
            [
                ("eth_getBalance", json!([NOBODY, "pending"])),
                ("eth_call", json!([{ "to": NOBODY }, "pending"])),
                ("eth_getBlockByNumber", json!(["pending", false])),
            ]
        });
        join_all(asks.map(|(method, parameters)| world.get(method, parameters))).await
    };
    let context = world.server.context();
    ask().await;
    assert_eq!(context.pending.made_until_now().0, 1, "one for all, as long as nothing changes");
    ask().await;
    assert_eq!(context.pending.made_until_now().0, 1);
    // Every tenth of a second something new waits.
    let begun = Instant::now();
    let (_, before) = context.pending.made_until_now();
    let change = async {
        for nonce in 0..20 {
            world.send(&transfer(&Key::new(5), nonce)).await.unwrap();
            // Nobody else notices.
            let asked = Instant::now();
            world.get("eth_getBalance", json!([NOBODY, "latest"])).await;
            assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let flood = async {
        for _ in 0..5 {
            ask().await;
        }
    };
    futures::join!(change, flood);
    let (count, spent) = context.pending.made_until_now();
    assert!(count <= 1 + 20, "{count}");
    assert!(2 * (spent - before) <= begun.elapsed() + 2 * before, "{:?} of {:?}", spent - before, begun.elapsed());
}

// The pool's best takes longer than a block has time for: it is left out, and the block is there nevertheless.
#[tokio::test(flavor = "multi_thread")]
async fn the_pending_block_ends_with_its_time_and_its_gas() {
    let world = World::halted(|_| ()).await;
    for transaction in (1..=5).flat_map(|key| (0..6).map(move |nonce| burn(&Key::new(key), nonce))) {
        world.send(&transaction).await.unwrap();
    }
    let begun = Instant::now();
    let block = world.get("eth_getBlockByNumber", json!(["pending", false])).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(number(&block["gasUsed"]) <= number(&block["gasLimit"]));
    assert!(block["transactions"].as_array().map(Vec::len) <= Some(11), "200 million gas hold no more of 2^24");
}
