//! What is refused before anything is computed: numbers that are none, transactions that this chain has not.

use contracts::address::SIGNING_BOARD;
use serde_json::{Value, json};

use super::world::{NOBODY, World};
use crate::testing::{self, Key, member};

/// What types of numbers take, and Ethereum's JSON-RPC does not.
const NO_NUMBERS: [&str; 9] = ["0x1_0", "0x_1", "0x+1", "0x-1", "0x", "0x01", "0X1", "1", "+0x1"];

/// All methods that try, fill or sign a transaction, with parameters around one.
fn with(request: &Value) -> Vec<(&'static str, Value)> {
    let calls = json!({ "blockStateCalls": [{ "calls": [request] }] });
    let mut all: Vec<_> = ["eth_call", "eth_estimateGas", "eth_createAccessList", "debug_traceCall"]
        .map(|method| (method, json!([request, "latest"])))
        .to_vec();
    all.push(("eth_simulateV1", json!([calls, "latest"])));
    for method in ["eth_fillTransaction", "eth_signTransaction", "eth_sendTransaction"] {
        all.push((method, json!([request])));
    }
    all
}

async fn world() -> World {
    World::halted(|settings| settings.developer_accounts = true).await
}

/// The first account of `causeway dev`.
fn developer() -> Value {
    json!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_number_is_refused_wherever_a_number_stands() {
    let world = world().await;
    let numbers = NO_NUMBERS.map(|text| json!(text)).into_iter().chain([json!(1), json!(true)]);
    for number in numbers {
        for field in ["value", "gas", "nonce", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "chainId", "type"] {
            let mut request = json!({ "from": developer(), "to": NOBODY });
            request[field] = number.clone();
            for (method, parameters) in with(&request) {
                let (code, message) = world.refusal(method, parameters).await;
                assert_eq!(code, -32602, "{method}, {field}: {number}: {message}");
                assert!(
                    message.contains(&format!(": {field}: ")) && !message.contains("at line"),
                    "{method}: {message}"
                );
            }
        }
        let call = json!({ "to": NOBODY });
        let hash = format!("0x{}", "00".repeat(32));
        for (method, parameters) in [
            ("eth_call", json!([call, number])),
            ("eth_call", json!([call, { "blockNumber": number }])),
            ("eth_call", json!([call, "latest", { NOBODY.to_string(): { "balance": number } }])),
            ("eth_call", json!([call, "latest", {}, { "time": number }])),
            ("eth_simulateV1", json!([{ "blockStateCalls": [{ "blockOverrides": { "number": number } }] }])),
            ("eth_getBalance", json!([NOBODY, number])),
            ("eth_getBlockByNumber", json!([number, false])),
            ("eth_getUncleCountByBlockNumber", json!([number])),
            ("eth_getBlockReceipts", json!([number])),
            ("eth_getTransactionByBlockNumberAndIndex", json!(["0x0", number])),
            ("eth_getTransactionByBlockHashAndIndex", json!([hash, number])),
            ("eth_getTransactionBySenderAndNonce", json!([NOBODY, number])),
            ("eth_feeHistory", json!(["0x1", number])),
            ("eth_getLogs", json!([{ "fromBlock": number }])),
            ("eth_newFilter", json!([{ "toBlock": number }])),
            ("debug_getRawHeader", json!([number])),
            ("peg_getFinality", json!([number])),
        ] {
            let (code, message) = world.refusal(method, parameters.clone()).await;
            assert_eq!(code, -32602, "{method}{parameters}: {message}");
            assert!(!message.contains("at line"), "{method}{parameters}: {message}");
        }
    }
    // Where a number of JSON may stand too.
    for number in NO_NUMBERS {
        for (method, parameters) in [
            ("eth_feeHistory", json!([number, "latest"])),
            ("ots_getBlockDetails", json!([number])),
            ("ots_hasCode", json!([NOBODY, number])),
            ("ots_getBlockTransactions", json!([number, 0, 1])),
        ] {
            assert_eq!(world.refusal(method, parameters.clone()).await.0, -32602, "{method}{parameters}");
        }
    }
    world.get("ots_getBlockDetails", json!([0])).await;
    world.get("ots_hasCode", json!([NOBODY, "0x0"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_named_as_they_are_written_and_slots_by_hex_alone() {
    let world = world().await;
    for block in ["LATEST", "Latest", " latest", "newest", ""] {
        for (method, parameters) in [
            ("eth_getBalance", json!([NOBODY, block])),
            ("eth_getBalance", json!([NOBODY, { "blockNumber": block }])),
            ("eth_getBlockByNumber", json!([block, false])),
            ("eth_getLogs", json!([{ "toBlock": block }])),
            ("eth_feeHistory", json!(["0x1", block])),
            ("ots_hasCode", json!([NOBODY, block])),
        ] {
            assert_eq!(world.refusal(method, parameters.clone()).await.0, -32602, "{method}{parameters}");
        }
    }
    // 64 digits are a hash where one may stand, and no number with leading zeros elsewhere.
    let zeros = format!("0x{}", "00".repeat(32));
    assert_eq!(world.refusal("eth_getBlockByNumber", json!([zeros, false])).await.0, -32602);
    assert_eq!(world.refusal("eth_getLogs", json!([{ "fromBlock": zeros }])).await.0, -32602);
    assert_eq!(world.refusal("eth_getBalance", json!([NOBODY, zeros])).await.0, -32000);
    for slot in ["0x1_0", "0x_", "0x+1"] {
        for (method, parameters) in [
            ("eth_getStorageAt", json!([NOBODY, slot, "latest"])),
            ("eth_getProof", json!([NOBODY, [slot], "latest"])),
            ("eth_getStorageValues", json!([{ NOBODY.to_string(): [slot] }, "latest"])),
        ] {
            assert_eq!(world.refusal(method, parameters).await.0, -32602, "{method}: {slot}");
        }
    }
    for id in ["0x1_0", "16", "0x+1"] {
        let refused = world.refusal("eth_getFilterChanges", json!([id])).await;
        assert_eq!(refused, (-32000, "filter not found".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_this_chain_has_not_is_refused_by_every_method() {
    let world = world().await;
    let base = json!({ "from": developer(), "to": NOBODY });
    for (field, value, words) in [
        ("type", json!("0x3"), "blob transactions (type 3)"),
        ("type", json!("0x5"), "transactions of type 5"),
        ("type", json!("0x7f"), "transactions of type 127"),
        ("maxFeePerBlobGas", json!("0x1"), "blob transactions (type 3)"),
        ("blobVersionedHashes", json!([]), "blob transactions (type 3)"),
        ("blobs", json!(["0x00"]), "blob transactions (type 3)"),
    ] {
        let mut request = base.clone();
        request[field] = value;
        for (method, parameters) in with(&request) {
            let (code, message) = world.refusal(method, parameters).await;
            assert!(code == -32602 && message.contains(words), "{method}, {field}: {code} {message}");
        }
    }
}

// go-ethereum, core/state_transition.go, `preCheck`
#[tokio::test(flavor = "multi_thread")]
async fn authorizations_are_some_and_for_a_call_of_somebody() {
    let world = world().await;
    let one = json!({ "chainId": "0x0", "address": NOBODY, "nonce": "0x0", "yParity": "0x0", "r": "0x1", "s": "0x1" });
    for (request, words) in [
        (json!({ "from": developer(), "to": NOBODY, "authorizationList": [] }), "with empty auth list"),
        (
            json!({ "from": developer(), "data": "0x00", "authorizationList": [one] }),
            "cannot be used to create contract",
        ),
    ] {
        for (method, parameters) in with(&request) {
            let (code, message) = world.refusal(method, parameters).await;
            assert_eq!(code, -32000, "{method}: {message}");
            assert!(message.starts_with("EIP-7702 transaction ") && message.contains(words), "{method}: {message}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_free_lanes_price_is_filled_in_for_members_only() {
    let world = world().await;
    let offer = |from: Value| {
        let post = testing::post(1, vec![1; 100]);
        let offered = ("0xffffffffffffffff", "0x0");
        json!([{ "from": from, "to": SIGNING_BOARD, "input": post, "maxFeePerGas": offered.0, "maxPriorityFeePerGas": offered.1 }])
    };
    let filled = world.get("eth_fillTransaction", offer(json!(member(1).address))).await;
    assert_eq!(filled["tx"]["maxFeePerGas"], "0xffffffffffffffff");
    for method in ["eth_fillTransaction", "eth_signTransaction"] {
        let from = if method == "eth_fillTransaction" { json!(Key::new(1).address) } else { developer() };
        let (code, message) = world.refusal(method, offer(from)).await;
        assert!(code == -32000 && message.contains("is only for members of the federation"), "{method}: {message}");
    }
}
