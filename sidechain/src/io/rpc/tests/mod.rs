//! What a client sees of a node: every test asks a real server over HTTP or WebSocket.

mod peg;
mod world;

use std::time::Duration;

use alloy_consensus::{SignableTransaction, TxEip4844, TxLegacy};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, b256, keccak256};
use contracts::address::{LIGHT_CLIENT, MICRO_CHANNEL, SIGNING_BOARD};
use contracts::alloy_sol_types::{SolCall, SolError, SolEvent};
use contracts::{BitcoinLightClient, MicroChannel, SigningBoard};
use jsonrpsee::core::client::{Subscription, SubscriptionClientT};
use jsonrpsee::core::params::ArrayParams;
use jsonrpsee::ws_client::WsClientBuilder;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::testing::{Key, member};
use world::{CHAIN, World, call, create, hash, raw, repriced};

const NOBODY: Address = Address::repeat_byte(0x77);

fn transfer(key: &Key, nonce: u64) -> crate::types::Transaction {
    key.transfer(CHAIN, nonce, NOBODY, 5)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_is_deployed_called_and_its_logs_read() {
    let world = World::new().await;
    let key = Key::new(1);
    let deployed = world.receipt(&create(&key, 0)).await;
    let counter: Address = serde_json::from_value(deployed["contractAddress"].clone()).unwrap();
    assert_eq!(counter, key.address.create(0));
    assert_eq!(deployed["status"], "0x1");
    assert_eq!(deployed["type"], "0x2");
    assert_eq!(deployed["to"], Value::Null);
    assert_eq!(deployed["from"], json!(key.address));
    let code = world.get("eth_getCode", json!([counter, "latest"])).await;
    assert_eq!(code, json!(Bytes::from_static(&world::COUNTER[9..])));

    let first = world.receipt(&call(&key, 1, counter, U256::ZERO, [])).await;
    let second = world.receipt(&call(&key, 2, counter, U256::ZERO, [])).await;
    assert_eq!(world.get("eth_getStorageAt", json!([counter, "0x0", "latest"])).await, json!(B256::with_last_byte(2)));
    let before = first["blockNumber"].clone();
    let slot = json!("0x0000000000000000000000000000000000000000000000000000000000000000");
    assert!(
        world.get("eth_getStorageAt", json!([counter, slot, before])).await.as_str().unwrap().ends_with("01"),
        "an old block keeps its state"
    );
    assert!(
        world
            .get(
                "eth_getStorageAt",
                json!([counter, slot, { "blockHash": first["blockHash"], "requireCanonical": true }])
            )
            .await
            .as_str()
            .unwrap()
            .ends_with("01")
    );

    let filter = json!([{ "address": counter, "topics": [b256!("000000000000000000000000000000000000000000000000000000000000002a")], "fromBlock": "earliest", "toBlock": "latest" }]);
    let logs = world.get("eth_getLogs", filter).await;
    assert_eq!(logs.as_array().unwrap().len(), 2);
    assert_eq!(logs[1]["transactionHash"], second["transactionHash"]);
    assert_eq!(logs[1], second["logs"][0]);
    assert_eq!(logs[0]["removed"], false);
    let at_block = json!([{ "address": [counter], "blockHash": first["blockHash"] }]);
    assert_eq!(world.get("eth_getLogs", at_block).await[0], first["logs"][0]);
    let none = json!([{ "address": counter, "topics": [[slot]], "fromBlock": "0x0" }]);
    assert_eq!(world.get("eth_getLogs", none).await, json!([]));

    // What an estimate says suffices, and what hardly pays for the call's start (21,100) does not.
    let request = json!({ "from": key.address, "to": counter });
    let gas: U256 = serde_json::from_value(world.get("eth_estimateGas", json!([request])).await).unwrap();
    assert!(gas >= U256::from(26_000), "{gas}");
    let enough = json!([{ "from": key.address, "to": counter, "gas": gas }, "latest"]);
    assert_eq!(world.get("eth_call", enough).await, "0x");
    let (code, _) = world.refusal("eth_call", json!([{ "from": key.address, "to": counter, "gas": "0x526c" }])).await;
    assert_eq!(code, -32000);
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_transactions_and_receipts_agree() {
    let world = World::halted(|_| ()).await;
    let (one, two) = (Key::new(1), Key::new(2));
    let sent = [create(&one, 0), transfer(&two, 0), call(&one, 1, one.address.create(0), U256::ZERO, [])];
    for transaction in &sent {
        assert_eq!(world.send(transaction).await.unwrap(), json!(hash(transaction)));
    }
    world.mine();
    assert_eq!(world.get("eth_blockNumber", json!([])).await, "0x1");
    let full = world.get("eth_getBlockByNumber", json!(["latest", true])).await;
    let hashes = world.get("eth_getBlockByNumber", json!(["finalized", false])).await;
    assert_eq!(world.get("eth_getBlockByHash", json!([full["hash"], true])).await, full);
    assert_eq!(hashes["hash"], full["hash"]);
    assert_eq!(full["uncles"], json!([]));
    assert!(full["size"].is_string() && full["baseFeePerGas"].is_string() && full["stateRoot"].is_string());
    let transactions = full["transactions"].as_array().unwrap();
    assert_eq!(transactions.len(), 3);
    let receipts = world.get("eth_getBlockReceipts", json!(["0x1"])).await;
    let mut gas = U256::ZERO;
    for (index, transaction) in transactions.iter().enumerate() {
        let hash = &transaction["hash"];
        assert_eq!(*hash, hashes["transactions"][index]);
        assert_eq!(world.get("eth_getTransactionByHash", json!([hash])).await, *transaction);
        let place = json!([full["hash"], format!("{index:#x}")]);
        assert_eq!(world.get("eth_getTransactionByBlockHashAndIndex", place).await, *transaction);
        let receipt = world.get("eth_getTransactionReceipt", json!([hash])).await;
        assert_eq!(receipt, receipts[index]);
        assert_eq!(receipt["transactionIndex"], json!(format!("{index:#x}")));
        let used: U256 = serde_json::from_value(receipt["gasUsed"].clone()).unwrap();
        gas += used;
        assert_eq!(receipt["cumulativeGasUsed"], json!(gas));
        assert_eq!(receipt["effectiveGasPrice"], transaction["gasPrice"]);
    }
    assert_eq!(full["gasUsed"], json!(gas));
    assert_eq!(world.get("eth_getBlockTransactionCountByNumber", json!(["0x1"])).await, "0x3");
    assert_eq!(world.get("eth_getBlockByNumber", json!(["0x2", false])).await, Value::Null);
    assert_eq!(world.get("eth_getTransactionReceipt", json!([NOBODY.into_word()])).await, Value::Null);
    let (code, message) = world.refusal("eth_getBalance", json!([NOBODY, "0x9"])).await;
    assert_eq!((code, message.as_str()), (-32001, "block 9 not found: the head is 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_tells_its_reason_and_its_data() {
    let world = World::new().await;
    let input: Bytes = MicroChannel::channelCall { id: U256::from(9) }.abi_encode().into();
    let data: Bytes = MicroChannel::NoSuchChannel { id: U256::from(9) }.abi_encode().into();
    let request = json!({ "from": Key::new(1).address, "to": MICRO_CHANNEL, "input": input });
    for method in ["eth_call", "eth_estimateGas"] {
        let error = world.ask(method, json!([request, "latest"])).await.unwrap_err();
        assert_eq!(error.code(), 3, "{method}");
        assert!(error.message().starts_with("execution reverted: NoSuchChannel"), "{}", error.message());
        assert_eq!(error.data().unwrap().get(), json!(data).to_string());
    }
    // A transaction that reverts is in a block all the same.
    let failing =
        call(&Key::new(1), 0, MICRO_CHANNEL, U256::ZERO, MicroChannel::closeCall { id: U256::from(9) }.abi_encode());
    assert_eq!(world.receipt(&failing).await["status"], "0x0");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_transactions_are_refused_in_geths_words() {
    let world = World::halted(|_| ()).await;
    let key = Key::new(1);
    let refusals = [
        (key.transfer(1, 0, NOBODY, 5), "transaction is for chain 1, wanted 51717"),
        (Key::new(99).transfer(CHAIN, 0, NOBODY, 5), "insufficient funds for gas * price + value"),
        (key.send(CHAIN, 0, 20_999, NOBODY.into(), U256::ZERO, Bytes::new()), "intrinsic gas too low"),
        (key.send(CHAIN, 0, (1 << 24) + 1, NOBODY.into(), U256::ZERO, Bytes::new()), "transaction gas limit too high"),
        (
            key.send(CHAIN, 0, 1_000_000, TxKind::Create, U256::ZERO, vec![0; 49_153].into()),
            "max initcode size exceeded",
        ),
        (repriced(&key, &transfer(&key, 0), 999_999), "transaction underpriced"),
    ];
    for (transaction, words) in refusals {
        let error = world.send(&transaction).await.unwrap_err();
        assert_eq!(error.code(), -32000, "{error}");
        assert!(error.message().starts_with(words), "{error}");
    }
    let first = transfer(&key, 0);
    world.send(&first).await.unwrap();
    assert_eq!(world.send(&first).await.unwrap_err().message(), "already known");
    let other = key.transfer(CHAIN, 0, NOBODY, 6);
    assert!(world.send(&other).await.unwrap_err().message().starts_with("replacement transaction underpriced"));
    world.send(&repriced(&key, &other, 20_000_000)).await.unwrap();
    world.mine();
    assert!(world.send(&first).await.unwrap_err().message().starts_with("nonce too low: next nonce 1, tx nonce 0"));
    assert_eq!(world.get("eth_getTransactionByHash", json!([hash(&first)])).await, Value::Null, "it was replaced");
    let (code, message) = world.refusal("eth_sendRawTransaction", json!(["0x1234"])).await;
    assert_eq!(code, -32000);
    assert!(message.starts_with("not a transaction"), "{message}");
    let (code, _) = world.refusal("eth_sendRawTransaction", json!([7])).await;
    assert_eq!(code, -32602);
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_and_unprotected_transactions_are_refused_clearly() {
    let world = World::halted(|_| ()).await;
    let blob = TxEip4844 { chain_id: CHAIN, gas_limit: 21_000, max_fee_per_gas: 1, ..TxEip4844::default() };
    let signed = blob.into_signed(Signature::test_signature());
    let bytes: Bytes = alloy_consensus::TxEnvelope::from(signed).encoded_2718().into();
    let (_, message) = world.refusal("eth_sendRawTransaction", json!([bytes])).await;
    assert_eq!(message, "blob transactions (type 3) are not supported by this chain");
    let unprotected = Key::new(1).sign(TxLegacy {
        chain_id: None,
        gas_limit: 21_000,
        gas_price: 2_000_000,
        to: NOBODY.into(),
        ..TxLegacy::default()
    });
    let error = world.send(&unprotected).await.unwrap_err();
    assert_eq!(error.message(), "transaction is for chain any, wanted 51717");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_waits_and_pending_counts_what_does_not() {
    let world = World::halted(|_| ()).await;
    let key = Key::new(1);
    for nonce in [0, 1, 3] {
        world.send(&transfer(&key, nonce)).await.unwrap();
    }
    assert_eq!(world.get("eth_getTransactionCount", json!([key.address, "latest"])).await, "0x0");
    assert_eq!(world.get("eth_getTransactionCount", json!([key.address, "pending"])).await, "0x2");
    assert_eq!(world.get("txpool_status", json!([])).await, json!({ "pending": "0x2", "queued": "0x1" }));
    let content = world.get("txpool_content", json!([])).await;
    let sender = key.address.to_string();
    assert!(content["pending"][&sender]["1"]["hash"].is_string(), "{content}");
    assert!(content["queued"][&sender]["3"]["blockHash"].is_null());
    let of = world.get("txpool_contentFrom", json!([key.address])).await;
    assert_eq!(of["queued"]["3"], content["queued"][&sender]["3"]);
    let waiting = world.get("eth_getTransactionByHash", json!([hash(&transfer(&key, 3))])).await;
    assert!(waiting["blockNumber"].is_null() && waiting["from"] == json!(key.address));
    world.mine();
    assert_eq!(world.get("eth_getTransactionCount", json!([key.address])).await, "0x2");
    assert_eq!(world.get("txpool_status", json!([])).await, json!({ "pending": "0x0", "queued": "0x1" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_free_lane_takes_members_calls_that_succeed() {
    let world = World::new().await;
    let post = |size: usize| -> Bytes {
        SigningBoard::postCall { session: keccak256("session"), kind: 1, payload: vec![1; size].into() }
            .abi_encode()
            .into()
    };
    let posted = world.receipt(&member(1).free(CHAIN, 0, 3_000_000, SIGNING_BOARD, post(100))).await;
    assert_eq!(posted["status"], "0x1");
    assert_eq!(posted["effectiveGasPrice"], "0x0");
    assert_eq!(posted["logs"][0]["topics"][0], json!(SigningBoard::Posted::SIGNATURE_HASH));

    // One that would fail is refused with the contract's reason, and takes no nonce.
    let error = world.send(&member(1).free(CHAIN, 1, 16_000_000, SIGNING_BOARD, post(16_385))).await.unwrap_err();
    assert_eq!(error.code(), 3);
    assert!(error.message().contains("PayloadTooLarge") || error.message().contains("reverted"), "{error}");
    assert!(error.data().is_some());
    assert_eq!(world.get("eth_getTransactionCount", json!([member(1).address, "pending"])).await, "0x1");

    for outsider in [
        Key::new(1).free(CHAIN, 0, 3_000_000, SIGNING_BOARD, post(100)),
        member(2).free(CHAIN, 0, 100_000, NOBODY, Bytes::new()),
    ] {
        let error = world.send(&outsider).await.unwrap_err();
        assert_eq!(error.code(), -32000);
        assert!(error.message().starts_with("gas price 0 is only for members"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn free_transactions_that_became_obsolete_leave_the_pool() {
    let world = World::halted(|_| ()).await;
    // Both bring the same header: the second cannot succeed once the first is final.
    let input: Bytes = BitcoinLightClient::submitCall { headers: peg::first_header().into() }.abi_encode().into();
    for index in [1, 2] {
        let submit = member(index).free(CHAIN, 0, 1_000_000, LIGHT_CLIENT, input.clone());
        world.send(&submit).await.unwrap();
    }
    world.mine();
    let block = world.get("eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(block["transactions"].as_array().unwrap().len(), 1);
    assert_eq!(world.get("txpool_status", json!([])).await, json!({ "pending": "0x0", "queued": "0x0" }));
    assert_eq!(world.get("peg_getInfo", json!([])).await["bitcoinTip"]["height"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn polled_filters_tell_each_thing_once() {
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
    let told = world.get("eth_getFilterChanges", json!([blocks])).await;
    assert_eq!(told.as_array().unwrap().len(), 2);
    assert_eq!(told[1], head["hash"]);
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

async fn subscribe(world: &World, params: Vec<Value>) -> (jsonrpsee::ws_client::WsClient, Subscription<Value>) {
    let client = WsClientBuilder::default().build(format!("ws://{}", world.server.address)).await.unwrap();
    let mut list = ArrayParams::new();
    for param in params {
        list.insert(param).unwrap();
    }
    let subscription = client.subscribe("eth_subscribe", list, "eth_unsubscribe").await.unwrap();
    (client, subscription)
}

async fn told(subscription: &mut Subscription<Value>) -> Value {
    tokio::time::timeout(Duration::from_secs(10), subscription.next()).await.expect("told in time").unwrap().unwrap()
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
        assert_eq!(told(&mut pending).await, json!(hash(transaction)));
        assert_eq!(told(&mut whole).await["hash"], json!(hash(transaction)));
    }
    world.mine();
    world.mine();
    let first = told(&mut heads).await;
    assert_eq!((first["number"].clone(), first["transactions"].clone()), (json!("0x1"), Value::Null));
    assert_eq!(told(&mut heads).await["parentHash"], first["hash"]);
    let log = told(&mut logs).await;
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
        assert_eq!(told(&mut heads).await["number"], json!(format!("{number:#x}")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_have_bounds() {
    let world = World::halted(|settings| {
        settings.max_logs = 1;
        settings.max_log_blocks = 3;
        settings.max_batch = 2;
        settings.max_request_bytes = 10_000;
    })
    .await;
    let key = Key::new(1);
    let counter = key.address.create(0);
    world.send(&create(&key, 0)).await.unwrap();
    world.send(&call(&key, 1, counter, U256::ZERO, [])).await.unwrap();
    world.send(&call(&key, 2, counter, U256::ZERO, [])).await.unwrap();
    for _ in 0..5 {
        world.mine();
    }
    let (code, message) = world.refusal("eth_getLogs", json!([{ "fromBlock": "0x1", "toBlock": "0x1" }])).await;
    assert_eq!(code, -32005);
    assert!(message.contains("more than 1 logs match"), "{message}");
    let (code, message) = world.refusal("eth_getLogs", json!([{ "fromBlock": "0x1", "toBlock": "0x4" }])).await;
    assert_eq!((code, message.as_str()), (-32005, "query covers 4 blocks, at most 3 are allowed"));
    let (code, _) = world.refusal("eth_getLogs", json!([{ "fromBlock": "0x3", "toBlock": "0x2" }])).await;
    assert_eq!(code, -32602);
    assert_eq!(
        world.get("eth_getLogs", json!([{ "fromBlock": "0x9" }])).await,
        json!([]),
        "the future holds nothing yet"
    );

    let question = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[]}"#;
    assert!(post(&world, &format!("[{question},{question}]")).await.contains("0xca05"));
    assert!(post(&world, &format!("[{question},{question},{question}]")).await.contains("-32010"));
    assert!(post(&world, &"x".repeat(10_001)).await.contains("413"));
    // No parameters at all, null for optional ones, and parameters by name.
    assert!(post(&world, r#"{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber"}"#).await.contains("0x5"));
    assert!(
        post(&world, r#"{"jsonrpc":"2.0","id":1,"method":"eth_getBlockByNumber","params":["0x0",null]}"#)
            .await
            .contains("stateRoot")
    );
    assert!(
        post(&world, r#"{"jsonrpc":"2.0","id":1,"method":"eth_getCode","params":{"a":1}}"#).await.contains("-32602")
    );
    assert!(post(&world, r#"{"jsonrpc":"2.0","id":1,"method":"eth_nothing","params":[]}"#).await.contains("-32601"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_may_ask_from_any_page() {
    let world = World::halted(|_| ()).await;
    let asked = exchange(&world, "OPTIONS / HTTP/1.1\r\nHost: localhost\r\nOrigin: http://page\r\nAccess-Control-Request-Method: POST\r\nConnection: close\r\n\r\n").await;
    assert!(asked.starts_with("HTTP/1.1 200") && asked.contains("access-control-allow-origin: *"), "{asked}");
    assert!(asked.contains("access-control-allow-headers: *"));
    let answered = post(&world, r#"{"jsonrpc":"2.0","id":1,"method":"net_version"}"#).await;
    assert!(answered.contains("access-control-allow-origin: *") && answered.contains("51717"), "{answered}");
    let health = exchange(&world, "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(health.contains("causeway/v"), "{health}");
}

/// The whole HTTP answer to a body.
async fn post(world: &World, body: &str) -> String {
    let length = body.len();
    exchange(world, &format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")).await
}

async fn exchange(world: &World, request: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(world.server.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that refuses a body early may reset the connection after its answer.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_and_identity_are_told_as_clients_expect() {
    let world = World::new().await;
    assert_eq!(world.get("eth_chainId", json!([])).await, "0xca05");
    assert_eq!(world.get("net_version", json!([])).await, "51717");
    assert_eq!(world.get("eth_syncing", json!([])).await, false);
    assert_eq!(world.get("eth_accounts", json!([])).await, json!([]));
    assert_eq!(world.get("web3_sha3", json!(["0x68656c6c6f"])).await, json!(keccak256("hello")));
    world.receipt(&transfer(&Key::new(1), 0)).await;
    world.receipt(&transfer(&Key::new(1), 1)).await;
    let history = world.get("eth_feeHistory", json!(["0x2", "latest", [10.0, 50.0, 99.5]])).await;
    assert_eq!(history["oldestBlock"], "0x1");
    assert_eq!(history["baseFeePerGas"].as_array().unwrap().len(), 3);
    assert_eq!(history["gasUsedRatio"].as_array().unwrap().len(), 2);
    assert_eq!(history["reward"], json!([["0x3e8", "0x3e8", "0x3e8"], ["0x3e8", "0x3e8", "0x3e8"]]));
    assert_eq!(world.get("eth_feeHistory", json!([1, "0x1"])).await["oldestBlock"], "0x1");
    let price: U256 = serde_json::from_value(world.get("eth_gasPrice", json!([])).await).unwrap();
    assert!(price >= U256::from(1_000_000), "{price}");
    let tip: U256 = serde_json::from_value(world.get("eth_maxPriorityFeePerGas", json!([])).await).unwrap();
    assert_eq!(tip, U256::from(100_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_leads_from_the_state_root_to_a_slot() {
    use alloy_trie::{Nibbles, proof::verify_proof};
    let world = World::new().await;
    let key = Key::new(1);
    let counter = world.deploy_counter(&key, 0).await;
    let counter: Address = serde_json::from_value(counter).unwrap();
    let receipt = world.receipt(&call(&key, 1, counter, U256::ZERO, [])).await;
    let block = world.get("eth_getBlockByHash", json!([receipt["blockHash"], false])).await;
    let proof = world.get("eth_getProof", json!([counter, ["0x0"], receipt["blockNumber"]])).await;
    let slot = &proof["storageProof"][0];
    assert_eq!(slot["value"], "0x1");
    let nodes: Vec<Bytes> = serde_json::from_value(slot["proof"].clone()).unwrap();
    let root = serde_json::from_value(proof["storageHash"].clone()).unwrap();
    let path = Nibbles::unpack(keccak256([0; 32]));
    verify_proof(root, path, Some(alloy_rlp::encode(U256::ONE)), &nodes).unwrap();
    let account = crate::state::Account {
        nonce: 1,
        balance: U256::ZERO,
        storage_root: root,
        code_hash: serde_json::from_value(proof["codeHash"].clone()).unwrap(),
    };
    let nodes: Vec<Bytes> = serde_json::from_value(proof["accountProof"].clone()).unwrap();
    let root = serde_json::from_value(block["stateRoot"].clone()).unwrap();
    verify_proof(root, Nibbles::unpack(keccak256(counter)), Some(alloy_rlp::encode(account)), &nodes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_sends_is_gossiped_once_and_taken_by_others() {
    let mut world = World::halted(|_| ()).await;
    let other = World::halted(|_| ()).await;
    let transaction = transfer(&Key::new(1), 0);
    world.send(&transaction).await.unwrap();
    assert!(world.send(&transaction).await.is_err());
    let crate::io::node_state::Gossip::Transaction(bytes) = world.gossip.recv().await.unwrap() else {
        panic!("a transaction was sent")
    };
    assert_eq!(bytes, raw(&transaction));
    assert!(world.gossip.try_recv().is_err());
    assert_eq!(other.state.admit(&bytes, crate::io::clock::now_ms()).unwrap(), hash(&transaction));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_passes_what_users_send_to_the_node_it_follows() {
    let mut validator = World::halted(|_| ()).await;
    let follower = World::halted(|_| ()).await;
    let mut state = follower.state.clone();
    state.upstream = Some(std::sync::Arc::new(
        crate::io::upstream::UpstreamClient::new(&format!("http://{}", validator.server.address)).unwrap(),
    ));
    let server = super::serve(state, super::Settings::new(([127, 0, 0, 1], 0).into())).await.unwrap();
    let client =
        jsonrpsee::http_client::HttpClientBuilder::default().build(format!("http://{}", server.address)).unwrap();
    let transaction = transfer(&Key::new(1), 0);
    let send = |bytes: Bytes| {
        let client = client.clone();
        async move {
            jsonrpsee::core::client::ClientT::request::<Value, _>(&client, "eth_sendRawTransaction", vec![json!(bytes)])
                .await
        }
    };
    assert_eq!(send(raw(&transaction)).await.unwrap(), json!(hash(&transaction)));
    assert!(validator.gossip.try_recv().is_ok());
    assert!(follower.state.pool().contains(hash(&transaction)), "the follower shows it as pending too");
    let refused = send(raw(&Key::new(99).transfer(CHAIN, 0, NOBODY, 1))).await.unwrap_err().to_string();
    assert!(refused.contains("insufficient funds"), "{refused}");
    validator.server.stop().await;
    let refused = send(raw(&transfer(&Key::new(1), 1))).await.unwrap_err().to_string();
    assert!(refused.contains("does not answer"), "{refused}");
}

/// The frozen voucher of the payer library, checked by the contract itself.
#[tokio::test(flavor = "multi_thread")]
async fn the_contract_makes_the_voucher_digest_that_is_frozen() {
    let world = World::halted(|_| ()).await;
    let input: Bytes =
        MicroChannel::voucherDigestCall { id: U256::from(7), total: U256::from(123_456_789) }.abi_encode().into();
    let digest = world.get("eth_call", json!([{ "to": MICRO_CHANNEL, "data": input }, "latest"])).await;
    assert_eq!(digest, json!(b256!("be95d6b8194cfdd9340ab1f76d9aff7e2d9970318782f5d591b76f950c6be57a")));
}
