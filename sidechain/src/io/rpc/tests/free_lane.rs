//! Members' transactions, which are charged nothing.

use alloy_consensus::TxEip1559;
use alloy_eips::Encodable2718 as _;
use alloy_primitives::{Address, B256, Bytes, U64, hex};
use contracts::address::{LIGHT_CLIENT, SIGNING_BOARD};
use contracts::alloy_sol_types::{SolCall, SolEvent};
use contracts::{BitcoinLightClient, SigningBoard};
use serde_json::{Value, json};

use super::peg;
use super::world::{CHAIN, NOBODY, World};
use crate::testing::{self, Key, member};

#[tokio::test(flavor = "multi_thread")]
async fn the_free_lane_takes_members_calls_that_succeed() {
    let world = World::new().await;
    let post = |size: usize| testing::post(1, vec![1; size]);
    let posted = world.receipt(&member(1).free(CHAIN, 0, 3_000_000, SIGNING_BOARD, post(100))).await;
    assert_eq!(posted["status"], "0x1");
    assert_eq!(posted["effectiveGasPrice"], "0x0");
    assert_eq!(posted["logs"][0]["topics"][0], json!(SigningBoard::Posted::SIGNATURE_HASH));

    // One that would fail is refused with the contract's reason, and takes no nonce.
    let error = world.send(&member(1).free(CHAIN, 1, 16_000_000, SIGNING_BOARD, post(16_385))).await.unwrap_err();
    assert_eq!(error.code(), 3);
    assert!(error.message().contains("PayloadTooLong") || error.message().contains("reverted"), "{error}");
    assert!(error.data().is_some());
    assert_eq!(world.get("eth_getTransactionCount", json!([member(1).address, "pending"])).await, "0x1");

    for outsider in [
        Key::new(1).free(CHAIN, 0, 3_000_000, SIGNING_BOARD, post(100)),
        member(2).free(CHAIN, 0, 100_000, NOBODY, Bytes::new()),
    ] {
        let error = world.send(&outsider).await.unwrap_err();
        assert_eq!(error.code(), -32000);
        assert!(error.message().contains("is only for members of the federation"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_free_call_is_an_ordinary_transaction_to_clients_and_its_price_is_zero() {
    let world = World::halted(|_| ()).await;
    let sent = member(1).free(CHAIN, 0, 3_000_000, SIGNING_BOARD, testing::post(1, vec![1; 100]));
    // Whoever has no coins may ask what it will use.
    let offered = json!({
        "from": member(1).address, "to": SIGNING_BOARD, "input": testing::post(1, vec![1; 100]),
        "maxFeePerGas": "0xffffffffffffffff", "maxPriorityFeePerGas": "0x0",
    });
    let estimate: U64 = serde_json::from_value(world.get("eth_estimateGas", json!([offered])).await).unwrap();
    assert!(estimate > U64::from(21_000));
    world.send(&sent).await.unwrap();
    let hash = json!(sent.tx_hash());
    let price = |shown: &Value| {
        assert_eq!([&shown["type"], &shown["accessList"]], [&json!("0x2"), &json!([])]);
        assert_eq!(shown["maxFeePerGas"], "0xffffffffffffffff");
        assert_eq!(shown["maxPriorityFeePerGas"], "0x0");
        shown["gasPrice"].clone()
    };
    // While it waits: alone, in the pool's content and in the block that is not made yet.
    assert_eq!(price(&world.get("eth_getTransactionByHash", json!([hash])).await), "0x0");
    let sender = member(1).address.to_string();
    let content = world.get("txpool_content", json!([])).await;
    assert_eq!(price(&content["pending"][&sender]["0"]), "0x0");
    let told = world.get("txpool_inspect", json!([])).await;
    assert!(told["pending"][&sender]["0"].as_str().unwrap().ends_with("3000000 gas × 0 wei"), "{told}");
    assert_eq!(price(&world.get("eth_getBlockByNumber", json!(["pending", true])).await["transactions"][0]), "0x0");
    world.mine();
    let block = world.get("eth_getBlockByNumber", json!(["latest", true])).await;
    assert_eq!(price(&block["transactions"][0]), "0x0");
    assert_eq!(world.get("eth_getTransactionByHash", json!([hash])).await, block["transactions"][0]);
    let receipts = world.get("eth_getBlockReceipts", json!(["latest"])).await;
    assert_eq!([&receipts[0]["type"], &receipts[0]["effectiveGasPrice"]], [&json!("0x2"), &json!("0x0")]);
    let raw: Bytes = sent.inner().encoded_2718().into();
    assert_eq!(world.get("debug_getRawTransaction", json!([hash])).await, json!(raw));
    // It changes no balance, and is no part of what others are told to pay.
    let tracer = json!({ "tracer": "prestateTracer", "tracerConfig": { "diffMode": true } });
    let changed = world.get("debug_traceTransaction", json!([hash, tracer])).await;
    assert!(changed["post"].as_object().unwrap().values().all(|account| account.get("balance").is_none()), "{changed}");
    let history = world.get("eth_feeHistory", json!(["0x1", "latest", [50]])).await;
    assert_eq!(history["reward"], json!([["0x0"]]));
    assert!(block["baseFeePerGas"] != "0x0" && history["baseFeePerGas"][0] == block["baseFeePerGas"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gas_price_of_zero_is_refused_with_what_to_send_instead() {
    let world = World::halted(|_| ()).await;
    let free = testing::free_call(CHAIN, 0, 3_000_000, SIGNING_BOARD, testing::post(1, vec![1; 100]));
    let old = member(1).sign(TxEip1559 { max_fee_per_gas: 0, ..free });
    let error = world.send(&old).await.unwrap_err();
    assert_eq!(error.code(), -32000);
    let words = "a member's free call has type 2, maxFeePerGas 0xffffffffffffffff and maxPriorityFeePerGas 0x0";
    assert!(error.message().starts_with("transaction underpriced") && error.message().ends_with(words), "{error}");
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

// In a block it costs nothing; what asks for that and may not is in no block.
#[tokio::test(flavor = "multi_thread")]
async fn a_simulated_free_call_is_charged_nothing_as_in_a_block() {
    let world = World::halted(|_| ()).await;
    let free = |from: Address, to: Address, input: Bytes| {
        json!({
            "from": from, "to": to, "input": input, "gas": "0x2dc6c0",
            "maxFeePerGas": "0xffffffffffffffff", "maxPriorityFeePerGas": "0x0",
        })
    };
    let post = testing::post(1, vec![1; 100]);
    let payload = |call: Value, validation: bool| json!([{ "validation": validation, "returnFullTransactions": true, "blockStateCalls": [{ "calls": [call] }] }, "latest"]);
    let member = member(1).address;
    for validation in [true, false] {
        let call = free(member, SIGNING_BOARD, post.clone());
        let block = &world.get("eth_simulateV1", payload(call, validation)).await[0];
        let called = &block["calls"][0];
        assert_eq!(called["status"], "0x1", "{called}");
        assert_eq!(called["logs"][0]["topics"][0], json!(SigningBoard::Posted::SIGNATURE_HASH));
        assert_eq!(block["transactions"][0]["gasPrice"], "0x0");
    }
    // Nobody is paid for it: who makes the block has as much as before.
    let maker = Address::repeat_byte(0x99);
    let balance = Bytes::from([&hex!("73")[..], maker.as_slice(), &hex!("315f5260205ff3")].concat());
    let told = world
        .get(
            "eth_simulateV1",
            json!([{ "validation": true, "blockStateCalls": [{
                "blockOverrides": { "feeRecipient": maker },
                "stateOverrides": { NOBODY.to_string(): { "code": balance } },
                "calls": [free(member, SIGNING_BOARD, post.clone())],
            }, { "stateOverrides": { member.to_string(): { "balance": "0xffffffffffffffffffff" } },
                "calls": [{ "from": member, "to": NOBODY, "gas": "0x186a0", "maxFeePerGas": "0x989680" }] }] }, "latest"]),
        )
        .await;
    assert_eq!(told[1]["calls"][0]["returnData"], json!(B256::ZERO), "{told}");
    for (from, to, input) in [(NOBODY, SIGNING_BOARD, post.clone()), (member, NOBODY, Bytes::new())] {
        let (_, message) = world.refusal("eth_simulateV1", payload(free(from, to, input.clone()), true)).await;
        assert!(message.contains("is only for members of the federation"), "{message}");
        let (code, message) = world.refusal("eth_simulateV1", payload(free(from, to, input), false)).await;
        assert!(code == -38014 && message.starts_with("insufficient funds"), "{code} {message}");
    }
}
