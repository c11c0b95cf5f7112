//! `eth_sendRawTransactionSync` (EIP-7966): the receipt in one answer, or why there is none yet.

use std::time::{Duration, Instant};

use alloy_primitives::{U256, hex};
use futures::future::join_all;
use serde_json::{Value, json};

use super::world::{NOBODY, World, create, hash, raw, transfer};
use crate::access::{Client, Source};
use crate::io::rpc::shares::Resource;
use crate::testing::Key;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_and_waits_gets_the_receipt_that_others_ask_for() {
    let world = World::new().await;
    let key = Key::new(1);
    let creation = create(&key, 0);
    let receipt = world.get("eth_sendRawTransactionSync", json!([raw(&creation)])).await;
    assert_eq!((&receipt["transactionHash"], &receipt["status"]), (&json!(hash(&creation)), &json!("0x1")));
    assert_eq!(receipt, world.get("eth_getTransactionReceipt", json!([hash(&creation)])).await);
    // Sent again: it is final already. Several at once are each told; both forms of the timeout do.
    assert_eq!(world.get("eth_sendRawTransactionSync", json!([raw(&creation), "0x1f4"])).await, receipt);
    let sent = transfer(&key, 1);
    let both = [json!([raw(&sent), 5_000]), json!([raw(&sent), "0x1388"])];
    let answers = join_all(both.map(|parameters| world.get("eth_sendRawTransactionSync", parameters))).await;
    assert_eq!((&answers[0]["transactionHash"], &answers[0]), (&json!(hash(&sent)), &answers[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_no_block_in_time_or_cannot_be_is_said_with_its_hash() {
    let world = World::halted(|_| ()).await;
    let key = Key::new(1);
    let error = |answer: Result<Value, jsonrpsee::types::ErrorObjectOwned>| {
        let error = answer.unwrap_err();
        let data = error.data().map(|data| serde_json::from_str::<Value>(data.get()).unwrap());
        (error.code(), error.message().to_owned(), data)
    };
    let sent = transfer(&key, 0);
    let begun = Instant::now();
    let (code, message, data) = error(world.ask("eth_sendRawTransactionSync", json!([raw(&sent), "0x64"])).await);
    assert_eq!((code, data), (4, Some(json!(hash(&sent)))));
    assert!(message.ends_with("wasn't processed in 100ms"), "{message}");
    assert!(begun.elapsed() < Duration::from_millis(1_500), "{:?}", begun.elapsed());
    // Out of range, or no number: as if it were not given.
    for timeout in [json!(0), json!(8_001), json!("soon")] {
        let begun = Instant::now();
        let (code, message, _) = error(world.ask("eth_sendRawTransactionSync", json!([raw(&sent), timeout])).await);
        assert_eq!(code, 4);
        assert!(message.ends_with("in 2s") && begun.elapsed() >= Duration::from_secs(2), "{message}");
    }
    let early = transfer(&key, 5);
    let (code, message, data) = error(world.ask("eth_sendRawTransactionSync", json!([raw(&early)])).await);
    assert_eq!((code, data), (5, Some(json!(hash(&early)))));
    assert!(message.ends_with("missing nonce"), "{message}");
    // It waits nevertheless.
    assert_eq!(world.get("txpool_status", json!([])).await, json!({ "pending": "0x1", "queued": "0x1" }));
    let poor = Key::new(99).transfer(super::world::CHAIN, 0, NOBODY, 5);
    let (code, message, _) = error(world.ask("eth_sendRawTransactionSync", json!([raw(&poor)])).await);
    assert_eq!(code, -32000, "as eth_sendRawTransaction");
    assert!(message.starts_with("insufficient funds"), "{message}");
    assert_eq!(world.server.context().awaited.len(), 0, "nobody is remembered who went away");
}

// The attack: as many wait as may, for blocks that do not come. Nothing else does.
#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_hold_no_thread_and_are_bounded_in_number() {
    let world = World::halted(|settings| {
        settings.rules.by_address.subscriptions = 40;
        settings.rules.by_address.connections = 1_000;
        settings.rules.by_address.requests = 1_000;
    })
    .await;
    let sent = raw(&transfer(&Key::new(1), 0));
    let flood = join_all((0..60).map(|_| world.ask("eth_sendRawTransactionSync", json!([sent, 1_500]))));
    let others = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let context = world.server.context();
        assert_eq!((context.awaited.len(), context.running_now()), (40, 0));
        let begun = Instant::now();
        let call = json!([{ "from": Key::new(2).address, "to": NOBODY, "value": "0x1" }, "latest"]);
        for _ in 0..20 {
            world.get("eth_call", call.clone()).await;
        }
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        world.mine();
    };
    let (answers, ()) = futures::join!(flood, others);
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    assert!(refused.clone().all(|error| error.code() == -32005 && error.message().contains("subscriptions")));
    assert_eq!((answers.iter().filter(|answer| answer.is_ok()).count(), refused.count()), (40, 20));
    // All places are free again.
    let client = Client { source: Source::V4(std::net::Ipv4Addr::LOCALHOST), limited: true };
    let context = world.server.context();
    assert!(context.shares.hold(client, Resource::Subscriptions, 40).is_ok());
}

// ethereum/execution-apis, src/schemas/transaction.yaml: FilledTransaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_filled_with_what_its_sender_left_out() {
    let world = World::new().await;
    let key = Key::new(1);
    world.receipt(&transfer(&key, 0)).await;
    let fill = async |request: Value| world.get("eth_fillTransaction", json!([request])).await["tx"].clone();
    let filled = fill(json!({ "from": key.address, "to": NOBODY, "value": "0x5" })).await;
    assert_eq!((&filled["type"], &filled["nonce"], &filled["gas"]), (&json!("0x2"), &json!("0x1"), &json!("0x5208")));
    assert_eq!((&filled["chainId"], &filled["gasPrice"]), (&json!("0xca05"), &filled["maxFeePerGas"]));
    let number = |value: &Value| serde_json::from_value::<U256>(value.clone()).unwrap();
    assert!(
        number(&filled["maxFeePerGas"]) >= U256::from(2_000_000)
            && number(&filled["maxPriorityFeePerGas"]) > U256::ZERO
    );
    let legacy =
        fill(json!({ "from": key.address, "to": NOBODY, "gasPrice": "0x1e8480", "nonce": "0x7", "gas": "0x9999" }))
            .await;
    assert_eq!((&legacy["type"], &legacy["nonce"], &legacy["gas"]), (&json!("0x0"), &json!("0x7"), &json!("0x9999")));
    let creation = fill(json!({ "from": key.address, "data": "0x00" })).await;
    assert!(number(&creation["gas"]) > U256::from(53_000) && creation["input"] == "0x00");
    for (request, words) in [
        (json!({ "to": NOBODY, "chainId": "0x1" }), "chainId does not match node's (have=1, want=51717)"),
        (json!({ "from": NOBODY }), "contract creation without any data provided"),
        (json!({ "to": NOBODY, "gasPrice": "0x1", "maxFeePerGas": "0x1" }), "both gasPrice and (maxFeePerGas"),
        (json!({ "to": NOBODY, "maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x2" }), "maxFeePerGas (1) < max"),
    ] {
        let (code, message) = world.refusal("eth_fillTransaction", json!([request])).await;
        assert_eq!(code, -32000);
        assert!(message.starts_with(words), "{message}");
    }
}

// EIP-7910; ethereum/execution-apis, src/schemas/capabilities.yaml.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_says_by_which_rules_it_runs_and_what_it_has() {
    let world = World::halted(|_| ()).await;
    world.mine();
    let config = world.get("eth_config", json!([])).await;
    assert_eq!((&config["next"], &config["last"]), (&Value::Null, &Value::Null));
    let current = &config["current"];
    assert_eq!((&current["activationTime"], &current["chainId"]), (&json!(0), &json!("0xca05")));
    assert_eq!(current["forkId"].as_str().map(str::len), Some(10));
    let names = current["precompiles"].as_object().unwrap();
    assert_eq!(
        (names.len(), &names["ECREC"]),
        (18, &json!(hex::encode_prefixed(&U256::from(1).to_be_bytes::<32>()[12..])))
    );
    assert_eq!(names["P256VERIFY"], "0x0000000000000000000000000000000000000100");
    assert_eq!(
        current["systemContracts"],
        json!({ "HISTORY_STORAGE_ADDRESS": "0x0000f90827f1c53a10cb7a02335b175320002935" })
    );
    let capabilities = world.get("eth_capabilities", json!([])).await;
    let head = world.get("eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(capabilities["head"], json!({ "number": "0x1", "hash": head["hash"] }));
    let state = json!({ "disabled": false, "oldestBlock": "0x0", "deleteStrategy": { "type": "window", "retentionBlocks": "0xc350" } });
    assert_eq!(
        (&capabilities["state"], &capabilities["blocks"]),
        (&state, &json!({ "disabled": false, "oldestBlock": "0x0" }))
    );
    for part in ["tx", "logs", "receipts", "stateproofs"] {
        assert_eq!(capabilities[part]["disabled"], json!(false), "{part}");
    }
    let modules = json!({ "eth": "1.0", "net": "1.0", "peg": "1.0", "rpc": "1.0", "txpool": "1.0", "web3": "1.0" });
    for (name, version) in modules.as_object().unwrap() {
        assert_eq!(&world.get("rpc_modules", json!([])).await[name], version);
    }
    assert_eq!(world.get("eth_blobBaseFee", json!([])).await, "0x1");
    assert_eq!(world.refusal("eth_coinbase", json!([])).await.0, -32000);
    world.state.facts().proposer = Some(NOBODY);
    assert_eq!(world.get("eth_coinbase", json!([])).await, json!(NOBODY));
}
