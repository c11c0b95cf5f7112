//! Traces: what ran, as geth's tracers show it, of every kind of transaction, within bounds; and what is stored, as bytes.

use std::time::{Duration, Instant};

use alloy_consensus::{TxEip2930, TxEip7702, TxLegacy};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex, keccak256};
use contracts::address::SIGNING_BOARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::world::{CHAIN, NOBODY, World, call, create, hash, raw, transfer};
use crate::block::{Transaction, TxEnvelope};
use crate::testing::{self, Key, member};

/// An account without code.
const SOMEWHERE: Address = Address::repeat_byte(0x55);

/// Logs, and returns 9.
pub const LOGS: [u8; 11] = hex!("5f5fa0" "60095f5260205ff3");
/// Reverts with `Error("no")`.
pub const REVERTS: [u8; 33] = hex!("6308c379a060e01b5f52" "6020600452" "6002602452" "616e6f60f01b604452" "60645ffd");
/// With two addresses as its input: calls the first with 1 wei and a selector, delegates to it, calls the second without state changes, creates a
/// contract with 2 wei that destroys itself, creates another by CREATE2, sets slot 1 to 7, and returns 42.
pub const NESTS: [u8; 76] = hex!(
    "631122334460e01b5f52" "5f5f60045f60015f355af150" "5f5f5f5f5f355af450" "5f5f5f5f6020355afa50"
    "6133ff60f01b5f52" "60025f6002f050" "60055f5f5ff550" "6007600155" "602a5f5260205ff3"
);
/// The gas price that type 0 and 1 pay.
const PRICE: u128 = 10_000_000;

/// What creates a contract with this code.
fn creation(code: &[u8]) -> Bytes {
    let length = u8::try_from(code.len()).expect("short code");
    [&[0x60, length, 0x80, 0x60, 0x09, 0x5f, 0x39, 0x5f, 0xf3], code].concat().into()
}

/// Creates a contract with this code; returns the transaction and where the contract will be.
pub fn deploy(key: &Key, nonce: u64, code: &[u8]) -> (Transaction, Address) {
    let sent = key.send(CHAIN, nonce, 1_000_000, TxKind::Create, U256::ZERO, creation(code));
    (sent, key.address.create(nonce))
}

fn legacy(key: &Key, nonce: u64, to: Address, value: u64) -> Transaction {
    let (to, value) = (to.into(), U256::from(value));
    let (chain_id, gas_limit) = (Some(CHAIN), 100_000);
    key.sign(TxLegacy { chain_id, nonce, gas_price: PRICE, gas_limit, to, value, input: Bytes::new() })
}

pub fn two_words(first: Address, second: Address) -> Bytes {
    [first.into_word(), second.into_word()].concat().into()
}

async fn calls(world: &World, hash: impl serde::Serialize) -> Value {
    world.get("debug_traceTransaction", json!([hash, { "tracer": "callTracer" }])).await
}

/// A world in whose second block one key called [`NESTS`]: the transaction, and the contracts.
async fn nested() -> (World, Transaction, [Address; 3]) {
    let world = World::halted(|_| ()).await;
    let key = Key::new(1);
    let deployed = [&LOGS[..], &REVERTS, &NESTS].into_iter().zip(0..).map(|(code, nonce)| deploy(&key, nonce, code));
    let mut contracts = [Address::ZERO; 3];
    for (contract, (sent, address)) in contracts.iter_mut().zip(deployed) {
        world.send(&sent).await.unwrap();
        *contract = address;
    }
    world.mine();
    let [logs, reverts, nests] = contracts;
    let sent = call(&key, 3, nests, U256::from(10), two_words(logs, reverts));
    world.send(&sent).await.unwrap();
    world.mine();
    let receipt = world.get("eth_getTransactionReceipt", json!([hash(&sent)])).await;
    assert_eq!((&receipt["status"], &receipt["blockNumber"]), (&json!("0x1"), &json!("0x2")));
    (world, sent, contracts)
}

fn short(address: Address) -> Value {
    json!(format!("{address:#x}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_call_tracer_shows_calls_within_calls() {
    let (world, sent, [logs, reverts, nests]) = nested().await;
    let root = calls(&world, hash(&sent)).await;
    assert_eq!(root["type"], "CALL");
    assert_eq!((&root["from"], &root["to"]), (&short(Key::new(1).address), &short(nests)));
    assert_eq!((&root["value"], &root["gas"]), (&json!("0xa"), &json!("0x7a120")));
    assert_eq!((&root["input"], &root["output"]), (&json!(two_words(logs, reverts)), &json!(B256::with_last_byte(42))));
    assert!(root.get("error").is_none() && root.get("logs").is_none());
    let kinds: Vec<_> = root["calls"].as_array().unwrap().iter().map(|call| call["type"].clone()).collect();
    assert_eq!(kinds, ["CALL", "DELEGATECALL", "STATICCALL", "CREATE", "CREATE2"]);
    let [called, delegated, refused, created, salted] = std::array::from_fn(|index| root["calls"][index].clone());
    assert_eq!((&called["from"], &called["to"]), (&short(nests), &short(logs)));
    assert_eq!((&called["input"], &called["value"]), (&json!("0x11223344"), &json!("0x1")));
    assert_eq!((&delegated["to"], &delegated["output"]), (&short(logs), &json!(B256::with_last_byte(9))));
    assert_eq!((&refused["to"], &refused["error"]), (&short(reverts), &json!("execution reverted")));
    assert_eq!(refused["revertReason"], "no");
    assert!(refused["output"].as_str().unwrap().starts_with("0x08c379a0"));
    let first = nests.create(1);
    assert_eq!((&created["to"], &created["value"]), (&short(first), &json!("0x2")));
    let ended = &created["calls"][0];
    assert_eq!((&ended["type"], &ended["from"], &ended["to"]), (&json!("SELFDESTRUCT"), &short(first), &short(nests)));
    assert_eq!(ended["value"], "0x2");
    assert_eq!(salted["to"], short(nests.create2(B256::with_last_byte(5), keccak256([]))));

    let options = json!({ "tracer": "callTracer", "tracerConfig": { "withLog": true } });
    let with_log = world.get("debug_traceTransaction", json!([hash(&sent), options])).await;
    let log = &with_log["calls"][0]["logs"][0];
    assert_eq!((&log["address"], &log["topics"], &log["data"]), (&short(logs), &json!([]), &json!("0x")));
    let options = json!({ "tracer": "callTracer", "tracerConfig": { "onlyTopCall": true } });
    let top = world.get("debug_traceTransaction", json!([hash(&sent), options])).await;
    assert_eq!((&top["gasUsed"], top.get("calls")), (&root["gasUsed"], None));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_tracers_show_selectors_accounts_and_nothing() {
    let (world, sent, [_, _, nests]) = nested().await;
    let traced = async |options: Value| world.get("debug_traceTransaction", json!([hash(&sent), options])).await;
    let selectors = traced(json!({ "tracer": "4byteTracer" })).await;
    assert_eq!(selectors, json!({ "0x00000000-60": 1, "0x11223344-0": 1 }));
    assert_eq!(traced(json!({ "tracer": "noopTracer" })).await, json!({}));

    let before = traced(json!({ "tracer": "prestateTracer" })).await;
    let account = &before[format!("{nests:#x}")];
    assert_eq!((&account["nonce"], &account["code"]), (&json!(1), &json!(Bytes::from_static(&NESTS))));
    assert_eq!(account["storage"][B256::with_last_byte(1).to_string()], json!(B256::ZERO));
    let changed = traced(json!({ "tracer": "prestateTracer", "tracerConfig": { "diffMode": true } })).await;
    let name = format!("{nests:#x}");
    assert_eq!(changed["post"][&name]["nonce"], 3, "it created two contracts");
    assert_eq!(
        changed["post"][&name]["storage"],
        json!({ B256::with_last_byte(1).to_string(): B256::with_last_byte(7) })
    );
    let sender = format!("{:#x}", Key::new(1).address);
    assert_eq!((&changed["pre"][&sender]["nonce"], &changed["post"][&sender]["nonce"]), (&json!(3), &json!(4)));

    // As geth: any tracer's configuration may be empty, null, or of options that it has not.
    for empty in [json!({}), json!(null), json!({ "more": 1 })] {
        let names = ["callTracer", "4byteTracer", "noopTracer", "prestateTracer", "flatCallTracer"];
        let config: serde_json::Map<_, _> = names.into_iter().map(|name| (name.to_owned(), empty.clone())).collect();
        let all = traced(json!({ "tracer": "muxTracer", "tracerConfig": config })).await;
        assert_eq!((&all["callTracer"], &all["4byteTracer"]), (&calls(&world, hash(&sent)).await, &selectors));
        assert_eq!((&all["noopTracer"], &all["prestateTracer"]), (&json!({}), &before), "{empty}");
        assert_eq!(all["flatCallTracer"].as_array().unwrap().len(), 7);
    }
    for nothing in [json!({}), json!(null)] {
        assert_eq!(traced(json!({ "tracer": "muxTracer", "tracerConfig": nothing })).await, json!({}));
    }
}

// go-ethereum, eth/tracers/native/call_flat.go
#[tokio::test(flavor = "multi_thread")]
async fn the_flat_call_tracer_lists_the_calls_with_their_places_and_geths_words() {
    let (world, sent, [_, reverts, nests]) = nested().await;
    let traced = async |config: Value| {
        let options = json!({ "tracer": "flatCallTracer", "tracerConfig": config });
        world.get("debug_traceTransaction", json!([hash(&sent), options])).await.as_array().unwrap().clone()
    };
    let receipt = world.get("eth_getTransactionReceipt", json!([hash(&sent)])).await;
    let root = calls(&world, hash(&sent)).await;
    let flat = traced(json!({})).await;
    let paths: Vec<_> = flat.iter().map(|entry| entry["traceAddress"].clone()).collect();
    assert_eq!(json!(paths), json!([[], [0], [1], [2], [3], [3, 0], [4]]));
    let kinds: Vec<_> = flat.iter().map(|entry| entry["type"].clone()).collect();
    assert_eq!(kinds, ["call", "call", "call", "call", "create", "suicide", "create"]);
    for entry in &flat {
        assert_eq!((&entry["blockHash"], &entry["blockNumber"]), (&receipt["blockHash"], &json!(2)));
        assert_eq!((&entry["transactionHash"], &entry["transactionPosition"]), (&json!(hash(&sent)), &json!(0)));
    }
    assert_eq!(flat[0]["subtraces"], 5);
    assert_eq!(flat[0]["action"]["gas"], "0x7a120", "as the transaction says");
    assert_eq!(flat[0]["result"]["gasUsed"], receipt["gasUsed"]);
    let refused = &flat[3];
    assert_eq!((&refused["action"]["to"], &refused["error"]), (&short(reverts), &json!("execution reverted")));
    assert_eq!(refused["result"]["output"], root["calls"][2]["output"], "the reason is kept");
    assert_eq!(flat[4]["result"]["address"], short(nests.create(1)));
    let ended = &flat[5];
    assert_eq!((&ended["action"]["refundAddress"], ended.get("result")), (&short(nests), None));
    assert_eq!(traced(json!({ "convertParityErrors": true })).await[3]["error"], "Reverted");

    // What fails otherwise returns nothing, and says at which opcode.
    let failing =
        json!({ "stateOverrides": { SOMEWHERE.to_string(): { "code": "0x0c" } }, "tracer": "flatCallTracer" });
    let tried = world.get("debug_traceCall", json!([{ "to": SOMEWHERE }, "latest", failing])).await;
    assert_eq!((&tried[0]["error"], tried[0].get("result")), (&json!("invalid opcode: opcode 0xc not defined"), None));
    assert_eq!((&tried[0]["blockHash"], &tried[0]["transactionPosition"]), (&json!(null), &json!(null)));
    let nested = json!([hash(&sent), { "tracer": "muxTracer", "tracerConfig": { "muxTracer": {} } }]);
    let (code, message) = world.refusal("debug_traceTransaction", nested).await;
    assert!(code == -32602 && message.contains("muxTracer within muxTracer"), "{message}");
}

// go-ethereum, eth/tracers/native/prestate.go: accounts that were empty before are shown if `includeEmpty` asks for them, and not by diffMode.
#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_were_empty_before_are_shown_to_who_asks_for_them() {
    const NEW: Address = Address::repeat_byte(0x77);
    let world = World::new().await;
    let sent = legacy(&Key::new(1), 0, NEW, 5);
    world.send(&sent).await.unwrap();
    world.mine();
    let traced = async |tracer: &str, config: Value| {
        let options = json!({ "tracer": tracer, "tracerConfig": config });
        world.get("debug_traceTransaction", json!([hash(&sent), options])).await
    };
    let (new, sender) = (format!("{NEW:#x}"), format!("{:#x}", Key::new(1).address));
    for config in [json!({}), json!({ "includeEmpty": false })] {
        let usual = traced("prestateTracer", config).await;
        assert!(usual.get(&new).is_none() && usual.get(&sender).is_some(), "{usual}");
    }
    let empty = json!({ "balance": "0x0" });
    assert_eq!(traced("prestateTracer", json!({ "includeEmpty": true })).await[&new], empty);
    let within = traced("muxTracer", json!({ "prestateTracer": { "includeEmpty": true } })).await;
    assert_eq!(within["prestateTracer"][&new], empty);
    let changed = traced("prestateTracer", json!({ "diffMode": true })).await;
    assert_eq!((changed["pre"].get(&new), &changed["post"][&new]), (None, &json!({ "balance": "0x5" })));
    assert!(changed["pre"].get(&sender).is_some(), "{changed}");
    let both = json!({ "tracer": "prestateTracer", "tracerConfig": { "diffMode": true, "includeEmpty": true } });
    let (code, message) = world.refusal("debug_traceTransaction", json!([hash(&sent), both])).await;
    assert!(code == -32602 && message.contains("cannot use diffMode with includeEmpty"), "{message}");
}

// go-ethereum, core/vm/errors.go and opcodes.go
#[tokio::test(flavor = "multi_thread")]
async fn an_opcode_that_there_is_not_is_named_where_it_ended_a_call() {
    let world = World::halted(|_| ()).await;
    let inner = Address::repeat_byte(0x66);
    // Calls the inner one, which ends at 0x0c, and ends at 0xef itself: PUSH0 four times, PUSH0, PUSH20 inner, GAS, CALL.
    let outer = [&hex!("5f5f5f5f5f73")[..], inner.as_slice(), &hex!("5af1ef")].concat();
    let accounts = json!({
        SOMEWHERE.to_string(): { "code": Bytes::from(outer) },
        inner.to_string(): { "code": Bytes::from_static(&hex!("5f0c")) },
    });
    let call = json!({ "to": SOMEWHERE, "gas": "0xf4240" });
    for method in ["eth_call", "eth_estimateGas"] {
        let refused = world.refusal(method, json!([call, "latest", accounts])).await;
        assert_eq!(refused, (-32000, "invalid opcode: opcode 0xef not defined".to_owned()), "{method}");
    }
    let traced = async |options: Value| {
        let mut options = options;
        options["stateOverrides"] = accounts.clone();
        world.get("debug_traceCall", json!([call, "latest", options])).await
    };
    for trace in [
        traced(json!({ "tracer": "callTracer" })).await,
        traced(json!({ "tracer": "muxTracer", "tracerConfig": { "callTracer": {} } })).await["callTracer"].clone(),
    ] {
        assert_eq!(trace["error"], "invalid opcode: opcode 0xef not defined", "{trace}");
        assert_eq!(trace["calls"][0]["error"], "invalid opcode: opcode 0xc not defined", "{trace}");
    }
    let top = traced(json!({ "tracer": "callTracer", "tracerConfig": { "onlyTopCall": true } })).await;
    assert_eq!((&top["error"], top.get("calls")), (&json!("invalid opcode: opcode 0xef not defined"), None));
    let steps = traced(json!({})).await;
    let errors = steps["structLogs"].as_array().unwrap().iter().filter_map(|step| step["error"].as_str());
    let wanted = ["invalid opcode: opcode 0xc not defined", "invalid opcode: opcode 0xef not defined"];
    assert!(errors.eq(wanted), "{steps}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_struct_logger_shows_every_step() {
    let world = World::halted(|_| ()).await;
    // PUSH1 42, PUSH0, SSTORE; PUSH0, SLOAD, PUSH0, MSTORE; PUSH0, PUSH0, SSTORE; PUSH1 32, PUSH0, RETURN.
    let code = Bytes::from_static(&hex!("602a5f55" "5f545f52" "5f5f55" "60205ff3"));
    let run = async |options: Value| {
        let mut options = options;
        options["stateOverrides"] = json!({ SOMEWHERE.to_string(): { "code": code } });
        world.get("debug_traceCall", json!([{ "to": SOMEWHERE, "gas": "0xf4240" }, "latest", options])).await
    };
    let answer = run(json!({})).await;
    assert_eq!((&answer["failed"], &answer["returnValue"]), (&json!(false), &json!(B256::with_last_byte(42))));
    let steps = answer["structLogs"].as_array().unwrap();
    let names: Vec<_> = steps.iter().map(|step| step["op"].as_str().unwrap()).collect();
    let wanted = [
        "PUSH1", "PUSH0", "SSTORE", "PUSH0", "SLOAD", "PUSH0", "MSTORE", "PUSH0", "PUSH0", "SSTORE", "PUSH1", "PUSH0",
        "RETURN",
    ];
    assert_eq!(names, wanted);
    let gas = 1_000_000 - 21_000;
    assert_eq!(steps[0], json!({ "pc": 0, "op": "PUSH1", "gas": gas, "gasCost": 3, "depth": 1, "stack": [] }));
    let stored = json!({ B256::ZERO.to_string(): B256::with_last_byte(42) });
    let wanted = json!({ "pc": 3, "op": "SSTORE", "gas": gas - 5, "gasCost": 22_100, "depth": 1, "stack": ["0x2a", "0x0"], "storage": stored });
    assert_eq!(steps[2], wanted);
    assert_eq!((&steps[4]["storage"], &steps[4]["gasCost"]), (&stored, &json!(100)));
    assert_eq!(steps[9]["storage"], json!({ B256::ZERO.to_string(): B256::ZERO }));
    // EIP-3529: a slot that is set and cleared in one transaction gives back 19,900.
    assert_eq!((steps[9].get("refund"), &steps[10]["refund"]), (None, &json!(19_900)));

    let more =
        run(json!({ "enableMemory": true, "enableReturnData": true, "disableStorage": true, "disableStack": true }))
            .await;
    let last = &more["structLogs"][12];
    assert_eq!((&last["memory"], last.get("stack")), (&json!([B256::with_last_byte(42)]), None));
    assert!(more["structLogs"].as_array().unwrap().iter().all(|step| step.get("storage").is_none()));
    let few = run(json!({ "limit": 2 })).await;
    assert_eq!((few["structLogs"].as_array().unwrap().len(), &few["gas"]), (2, &answer["gas"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_within_calls_have_their_depth_what_was_returned_and_why_they_failed() {
    let (world, sent, [logs, ..]) = nested().await;
    let answer = world.get("debug_traceTransaction", json!([hash(&sent), { "enableReturnData": true }])).await;
    let steps = answer["structLogs"].as_array().unwrap();
    let called = steps.iter().position(|step| step["op"] == "CALL").unwrap();
    assert_eq!((&steps[called]["depth"], &steps[called + 1]["depth"]), (&json!(1), &json!(2)));
    let back = steps[called + 1..].iter().find(|step| step["depth"] == 1).unwrap();
    assert_eq!((&back["op"], &back["returnData"]), (&json!("POP"), &json!(B256::with_last_byte(9))));
    let cost = steps[called]["gasCost"].as_u64().unwrap();
    let given = steps[called + 1]["gas"].as_u64().unwrap();
    assert!(cost + 2_300 > given, "what is given on is part of the price: {cost} {given}");
    assert!(steps.iter().all(|step| step.get("error").is_none()), "a revert is no failed step");
    // LOG0 in a call that changes nothing.
    let code = Bytes::from([&hex!("5f5f5f5f73")[..], logs.as_slice(), &hex!("5afa00")].concat());
    let options = json!({ "stateOverrides": { SOMEWHERE.to_string(): { "code": code } } });
    let answer = world.get("debug_traceCall", json!([{ "to": SOMEWHERE, "gas": "0x186a0" }, "latest", options])).await;
    let steps = answer["structLogs"].as_array().unwrap();
    let failed: Vec<_> =
        steps.iter().filter_map(|step| Some((step["op"].as_str()?, step.get("error")?.as_str()?))).collect();
    assert_eq!(failed, [("LOG0", "write protection")]);
}

/// Transactions of each kind, which all fit into one block.
fn every_kind(counter: Address) -> Vec<(&'static str, Transaction)> {
    let chain_id = CHAIN;
    let [first, second, third] = [2, 3, 4].map(Key::new);
    let access_list = json!([{ "address": counter, "storageKeys": [B256::ZERO] }]);
    let access_list = serde_json::from_value(access_list).expect("a list");
    let listed = first.sign(TxEip2930 {
        chain_id,
        nonce: 1,
        gas_price: PRICE,
        gas_limit: 200_000,
        to: counter.into(),
        value: U256::ZERO,
        access_list,
        input: Bytes::new(),
    });
    let delegated = second.sign(TxEip7702 {
        chain_id,
        nonce: 0,
        gas_limit: 300_000,
        max_fee_per_gas: PRICE,
        max_priority_fee_per_gas: 1_000,
        to: third.address,
        value: U256::ZERO,
        access_list: Default::default(),
        authorization_list: vec![third.authorize(CHAIN, 0, counter)],
        input: Bytes::new(),
    });
    vec![
        ("free", member(1).free(CHAIN, 0, 3_000_000, SIGNING_BOARD, testing::post(1, vec![1; 100]))),
        ("type 0", legacy(&first, 0, counter, 0)),
        ("type 1", listed),
        ("type 2", call(&first, 2, counter, U256::ZERO, [])),
        ("type 4", delegated),
        ("a transfer", transfer(&first, 3)),
        ("a creation", create(&first, 4)),
        ("a revert", first.send(CHAIN, 5, 100_000, TxKind::Create, U256::ZERO, hex!("5f5ffd").into())),
        ("out of gas", first.send(CHAIN, 6, 60_000, TxKind::Create, U256::ZERO, hex!("5b5f56").into())),
        ("free again", member(1).free(CHAIN, 1, 3_000_000, SIGNING_BOARD, testing::post(1, vec![2; 100]))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_traced_transaction_of_every_kind_uses_the_gas_of_its_receipt() {
    let world = World::halted(|_| ()).await;
    let key = Key::new(1);
    world.send(&create(&key, 0)).await.unwrap();
    world.mine();
    let kinds = every_kind(key.address.create(0));
    for (kind, sent) in &kinds {
        world.send(sent).await.unwrap_or_else(|error| panic!("{kind}: {error}"));
    }
    world.mine();
    world.mine();
    for (kind, sent) in &kinds {
        let receipt = world.get("eth_getTransactionReceipt", json!([hash(sent)])).await;
        assert_eq!(receipt["blockNumber"], "0x2", "{kind}");
        let root = calls(&world, hash(sent)).await;
        assert_eq!(root["gasUsed"], receipt["gasUsed"], "{kind}");
        assert_eq!(root.get("error").is_none(), receipt["status"] == "0x1", "{kind}");
        assert_eq!(root["from"], receipt["from"], "{kind}");
        let steps = world.get("debug_traceTransaction", json!([hash(sent)])).await;
        let gas = format!("{:#x}", steps["gas"].as_u64().unwrap());
        assert_eq!(
            (json!(gas), &steps["failed"]),
            (receipt["gasUsed"].clone(), &json!(receipt["status"] == "0x0")),
            "{kind}"
        );
        let output = root.get("output").cloned().unwrap_or(json!("0x"));
        assert!(root.get("error").is_some() || steps["returnValue"] == output, "{kind}");
        let logs = world
            .get(
                "debug_traceTransaction",
                json!([hash(sent), { "tracer": "callTracer", "tracerConfig": { "withLog": true } }]),
            )
            .await;
        assert_eq!(count_logs(&logs), receipt["logs"].as_array().unwrap().len(), "{kind}");
    }
    // The counter counted in the order of the block, so those before each one were run first.
    let all = world.get("debug_traceBlockByNumber", json!(["0x2", { "tracer": "callTracer" }])).await;
    let block = world.get("eth_getBlockByNumber", json!(["0x2", false])).await;
    let traced: Vec<_> = all.as_array().unwrap().iter().map(|one| one["txHash"].clone()).collect();
    assert_eq!(json!(traced), block["transactions"]);
    for one in all.as_array().unwrap() {
        assert_eq!(one["result"], calls(&world, &one["txHash"]).await);
    }
    let by_hash = world.get("debug_traceBlockByHash", json!([block["hash"], { "tracer": "callTracer" }])).await;
    assert_eq!(by_hash, all);
}

fn count_logs(call: &Value) -> usize {
    let list = |name: &str| call[name].as_array().cloned().unwrap_or_default();
    list("logs").len() + list("calls").iter().map(count_logs).sum::<usize>()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_traced_after_a_block_within_it_or_in_the_next_one() {
    let world = World::halted(|_| ()).await;
    let key = Key::new(1);
    world.send(&create(&key, 0)).await.unwrap();
    world.mine();
    let counter = key.address.create(0);
    for nonce in 1..=2 {
        world.send(&call(&key, nonce, counter, U256::ZERO, [])).await.unwrap();
    }
    world.mine();
    world.mine();
    // Returns slot 0, or the block's number.
    let (slot, height) = (Bytes::from_static(&hex!("5f545f5260205ff3")), Bytes::from_static(&hex!("435f5260205ff3")));
    let run = async |code: &Bytes, block: Value, options: Value| {
        let mut options = options;
        options["stateOverrides"] = json!({ counter.to_string(): { "code": code } });
        options["tracer"] = json!("callTracer");
        world.get("debug_traceCall", json!([{ "to": counter }, block, options])).await["output"].clone()
    };
    let word = |number: u8| json!(B256::with_last_byte(number));
    for (block, options, counted) in [
        (json!("0x1"), json!({}), 0),
        (json!("latest"), json!({}), 2),
        (json!("0x2"), json!({ "txIndex": "0x0" }), 0),
        (json!("0x2"), json!({ "txIndex": "0x1" }), 1),
    ] {
        assert_eq!(run(&slot, block.clone(), options.clone()).await, word(counted), "{block} {options}");
    }
    assert_eq!(run(&height, json!("0x2"), json!({})).await, word(2));
    assert_eq!(run(&height, json!("pending"), json!({})).await, word(4));
    assert_eq!(run(&height, json!("0x2"), json!({ "blockOverrides": { "number": "0x63" } })).await, word(99));
    let beyond = json!([{ "to": counter }, "0x2", { "txIndex": "0x2" }]);
    let (code, message) = world.refusal("debug_traceCall", beyond).await;
    assert_eq!((code, message.as_str()), (-32000, "transaction index 2 out of range: block 2 has 2 transactions"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_traced_is_refused_by_name() {
    let world = World::halted(|_| ()).await;
    let waiting = transfer(&Key::new(1), 0);
    world.send(&waiting).await.unwrap();
    for unknown in [hash(&waiting), B256::repeat_byte(7)] {
        let (code, message) = world.refusal("debug_traceTransaction", json!([unknown])).await;
        assert_eq!((code, message), (-32000, format!("transaction not found: {unknown}")));
    }
    assert_eq!(
        world.refusal("debug_traceBlockByNumber", json!(["0x0"])).await,
        (-32000, "genesis is not traceable".to_owned())
    );
    assert_eq!(world.refusal("debug_traceBlockByNumber", json!(["0x9"])).await.0, -32000);
    assert_eq!(world.refusal("debug_traceBlockByHash", json!([B256::ZERO])).await.0, -32000);
    for tracer in ["erc7562Tracer", "stateGasTracer", "{ result: function() {} }"] {
        let (code, message) = world.refusal("debug_traceCall", json!([{}, "latest", { "tracer": tracer }])).await;
        assert!(code == -32602 && message.contains("is not supported, expected"), "{code} {message}");
    }
    let odd = json!([{}, "latest", { "tracer": "callTracer", "tracerConfig": { "withLog": 5 } }]);
    assert_eq!(world.refusal("debug_traceCall", odd).await.0, -32602);
}

/// A call of an account with this code, which gets much gas.
fn tried(code: &[u8], options: Value) -> Value {
    let mut options = options;
    options["stateOverrides"] = json!({ SOMEWHERE.to_string(): { "code": Bytes::copy_from_slice(code) } });
    json!([{ "to": SOMEWHERE, "gas": "0x3938700" }, "latest", options])
}

/// A megabyte of memory, then JUMPDEST, PUSH1 6, JUMP for ever.
const WIDE_LOOP: [u8; 10] = hex!("5f6210000052" "5b600656");
/// A megabyte of memory, which is given to the identity precompile for ever.
const COPYING_LOOP: [u8; 23] = hex!("5f6210000052" "5b" "5f5f621000005f5f60045af150" "600656");

/// The most memory that this process ever had, in bytes.
fn most_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loop_that_would_record_gigabytes_ends_at_the_bound() {
    let world = World::halted(|settings| settings.deadline = Duration::from_secs(60)).await;
    let before = most_memory();
    let (code, message) = world.refusal("debug_traceCall", tried(&WIDE_LOOP, json!({ "enableMemory": true }))).await;
    assert!(code == -32005 && message.starts_with("the trace records more than 33554432 bytes"), "{code} {message}");
    // The same without memory: many steps.
    let (code, message) = world.refusal("debug_traceCall", tried(&WIDE_LOOP, json!({}))).await;
    assert!(code == -32005 && message.starts_with("the trace records more than 33554432 bytes"), "{code} {message}");
    for tracer in ["callTracer", "flatCallTracer"] {
        let (code, message) = world.refusal("debug_traceCall", tried(&COPYING_LOOP, json!({ "tracer": tracer }))).await;
        assert!(
            code == -32005 && message.starts_with("the trace records more than 33554432 bytes"),
            "{code} {message}"
        );
    }
    let used = most_memory() - before;
    assert!(used < 200 << 20, "{used} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_that_are_shown_again_and_again_count_too() {
    let world = World::halted(|settings| settings.deadline = Duration::from_secs(60)).await;
    // JUMPDEST, GAS, DUP1, SSTORE, PUSH0, JUMP: another slot each time, and all of them shown each time.
    let code = hex!("5b5a80555f56");
    let (code, message) = world.refusal("debug_traceCall", tried(&code, json!({ "disableStack": true }))).await;
    assert!(code == -32005 && message.starts_with("the trace records more than"), "{code} {message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_have_a_bound_of_their_own() {
    let world = World::halted(|settings| settings.max_trace.steps = 1_000).await;
    for options in
        [json!({ "tracer": "noopTracer" }), json!({ "tracer": "prestateTracer" }), json!({ "disableStack": true })]
    {
        let (code, message) = world.refusal("debug_traceCall", tried(&hex!("5b5f56"), options)).await;
        assert!(code == -32005 && message.starts_with("the trace is longer than 1000 steps"), "{code} {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_ends_at_the_deadline_and_its_thread_is_free_again() {
    let world = World::halted(|settings| settings.deadline = Duration::from_millis(300)).await;
    let begun = Instant::now();
    let (code, message) =
        world.refusal("debug_traceCall", tried(&hex!("5b5f56"), json!({ "tracer": "noopTracer" }))).await;
    assert!(code == -32005, "{code} {message}");
    let context = world.server.context();
    while context.running_now() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(5), "it runs on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The text of an answer, for clients' parsers have bounds of their own.
async fn text(world: &World, method: &str, params: Value) -> String {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let mut stream = tokio::net::TcpStream::connect(world.server.address).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deepest_nest_of_calls_is_shown() {
    let world = World::halted(|settings| settings.deadline = Duration::from_secs(60)).await;
    // Calls itself with all its gas.
    let code = hex!("5f5f5f5f5f305af1");
    for tracer in ["callTracer", "flatCallTracer"] {
        let answer = text(&world, "debug_traceCall", tried(&code, json!({ "tracer": tracer }))).await;
        let depth = answer.matches(r#""gasUsed""#).count();
        assert!(depth > 500, "{tracer}: {depth}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_comes_as_bytes_that_hash_to_what_is_known() {
    let world = World::new().await;
    let key = Key::new(1);
    let sent = create(&key, 0);
    let receipt = world.receipt(&sent).await;
    let number = receipt["blockNumber"].clone();
    let header: Bytes = serde_json::from_value(world.get("debug_getRawHeader", json!([number])).await).unwrap();
    assert_eq!(json!(keccak256(&header)), receipt["blockHash"]);
    let block: Bytes = serde_json::from_value(world.get("debug_getRawBlock", json!([number])).await).unwrap();
    let decoded: alloy_consensus::Block<TxEnvelope> = alloy_rlp::decode_exact(&block).unwrap();
    assert_eq!(json!(decoded.header.hash_slow()), receipt["blockHash"]);
    assert_eq!(decoded.body.transactions.iter().map(|one| *one.tx_hash()).collect::<Vec<_>>(), [hash(&sent)]);
    assert_eq!(decoded.body.withdrawals.map(|all| all.len()), Some(0));
    let receipts: Vec<Bytes> =
        serde_json::from_value(world.get("debug_getRawReceipts", json!([number])).await).unwrap();
    assert_eq!((receipts.len(), receipts[0][0]), (1, 2));
    let transaction = world.get("debug_getRawTransaction", json!([hash(&sent)])).await;
    assert_eq!(transaction, json!(raw(&sent)));
    assert_eq!(world.get("debug_getRawTransaction", json!([B256::ZERO])).await, Value::Null);
    for method in ["debug_getRawHeader", "debug_getRawBlock", "debug_getRawReceipts"] {
        assert_eq!(world.refusal(method, json!(["0xffff"])).await.0, -32000, "{method}");
    }
    assert_eq!(world.get("debug_getBadBlocks", json!([])).await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn otterscan_shows_blocks_and_what_transactions_did_within() {
    let (world, sent, [logs, reverts, nests]) = nested().await;
    let hash = hash(&sent);
    assert_eq!(world.get("ots_getApiLevel", json!([])).await, 8);
    for (address, block, has) in
        [(nests, json!("latest"), true), (NOBODY, json!("latest"), false), (nests, json!(0), false)]
    {
        assert_eq!(world.get("ots_hasCode", json!([address, block])).await, has, "{address} {block}");
    }
    let details = world.get("ots_getBlockDetails", json!([1])).await;
    assert_eq!(details["block"]["transactionCount"], 3);
    let hashed = world.get("ots_getBlockDetailsByHash", json!([details["block"]["hash"]])).await;
    assert_eq!(hashed, details);
    let receipts = world.get("eth_getBlockReceipts", json!(["0x1"])).await;
    let number = |value: &Value| serde_json::from_value::<U256>(value.clone()).unwrap();
    let fees =
        receipts.as_array().unwrap().iter().map(|one| number(&one["gasUsed"]) * number(&one["effectiveGasPrice"]));
    assert_eq!(number(&details["totalFees"]), fees.sum::<U256>());
    assert_eq!(world.get("ots_getBlockDetails", json!([99])).await, Value::Null);

    let page = world.get("ots_getBlockTransactions", json!([1, 0, 2])).await;
    let nonces: Vec<_> =
        page["fullblock"]["transactions"].as_array().unwrap().iter().map(|one| one["nonce"].clone()).collect();
    assert_eq!((nonces, &page["fullblock"]["transactionCount"]), (vec![json!("0x1"), json!("0x2")], &json!(3)));
    assert_eq!(page["fullblock"]["transactions"][0]["input"].as_str().unwrap().len(), 10);
    assert_eq!(
        (&page["receipts"][1]["logs"], &page["receipts"][1]["gasUsed"]),
        (&Value::Null, &receipts[2]["gasUsed"])
    );
    let last = world.get("ots_getBlockTransactions", json!([1, 1, 2])).await;
    assert_eq!(last["fullblock"]["transactions"][0]["nonce"], "0x0");
    assert_eq!(world.refusal("ots_getBlockTransactions", json!([1, 0, 1_001])).await.0, -32005);

    assert_eq!(world.get("ots_getTransactionError", json!([hash])).await, "0x");
    let list = world.get("ots_traceTransaction", json!([hash])).await;
    let shape: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["type"].as_str().unwrap(), one["depth"].as_u64().unwrap()))
        .collect();
    let wanted = [
        ("CALL", 0),
        ("CALL", 1),
        ("DELEGATECALL", 1),
        ("STATICCALL", 1),
        ("CREATE", 1),
        ("SELFDESTRUCT", 2),
        ("CREATE2", 1),
    ];
    assert_eq!(shape, wanted);
    assert_eq!((&list[2]["value"], &list[3]["to"]), (&Value::Null, &short(reverts)));
    let first = nests.create(1);
    let operations = world.get("ots_getInternalOperations", json!([hash])).await;
    let salted = nests.create2(B256::with_last_byte(5), keccak256([]));
    let wanted = json!([
        { "type": 0, "from": short(nests), "to": short(logs), "value": "0x1" },
        { "type": 2, "from": short(nests), "to": short(first), "value": "0x2" },
        { "type": 1, "from": short(first), "to": short(nests), "value": "0x2" },
        { "type": 3, "from": short(nests), "to": short(salted), "value": "0x0" },
    ]);
    assert_eq!(operations, wanted);
    for method in ["ots_getTransactionError", "ots_traceTransaction", "ots_getInternalOperations"] {
        assert_eq!(world.get(method, json!([B256::ZERO])).await, Value::Null, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn otterscan_finds_what_created_a_contract_and_what_an_account_sent() {
    let (world, sent, [logs, ..]) = nested().await;
    let key = Key::new(1);
    // Creates a contract whose code is one STOP.
    let (factory, at) = deploy(&key, 4, &hex!("6360015ff360e01b5f52" "60045f5ff050" "00"));
    world.send(&factory).await.unwrap();
    (0..10).for_each(|_| world.mine());
    let creates = call(&key, 5, at, U256::ZERO, []);
    world.send(&creates).await.unwrap();
    (0..10).for_each(|_| world.mine());
    let creator = world.get("ots_getContractCreator", json!([at.create(1)])).await;
    assert_eq!(creator, json!({ "hash": hash(&creates), "creator": short(at) }));
    let deployed = &world.get("eth_getBlockByNumber", json!(["0x1", false])).await["transactions"];
    let creator = world.get("ots_getContractCreator", json!([logs])).await;
    assert_eq!(creator, json!({ "hash": deployed[0], "creator": short(key.address) }));
    for (address, why) in [(NOBODY, "no code"), (key.address, "no code"), (SIGNING_BOARD, "it is of genesis")] {
        assert_eq!(world.get("ots_getContractCreator", json!([address])).await, Value::Null, "{why}");
    }
    for (nonce, found) in [
        (0, deployed[0].clone()),
        (2, deployed[2].clone()),
        (3, json!(hash(&sent))),
        (5, json!(hash(&creates))),
        (6, Value::Null),
    ] {
        assert_eq!(
            world.get("ots_getTransactionBySenderAndNonce", json!([key.address, nonce])).await,
            found,
            "{nonce}"
        );
        // As `cast tx --from` asks for it.
        let quantity = format!("{nonce:#x}");
        let whole = world.get("eth_getTransactionBySenderAndNonce", json!([key.address, quantity])).await;
        assert_eq!(whole.get("hash").cloned().unwrap_or_default(), found, "{nonce}");
    }
    for method in ["ots_searchTransactionsBefore", "ots_searchTransactionsAfter"] {
        let (code, message) = world.refusal(method, json!([key.address, 0, 25])).await;
        assert!(code == -32000 && message.contains("has no index"), "{code} {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_transaction_reverted_with_is_shown() {
    let world = World::halted(|_| ()).await;
    let key = Key::new(1);
    let fails = key.send(CHAIN, 0, 200_000, TxKind::Create, U256::ZERO, Bytes::from_static(&REVERTS));
    world.send(&fails).await.unwrap();
    let halts = key.send(CHAIN, 1, 200_000, TxKind::Create, U256::ZERO, hex!("fe").into());
    world.send(&halts).await.unwrap();
    world.mine();
    let said = world.get("ots_getTransactionError", json!([hash(&fails)])).await;
    assert!(said.as_str().unwrap().starts_with("0x08c379a0"), "{said}");
    assert_eq!(world.get("ots_getTransactionError", json!([hash(&halts)])).await, "0x");
    let root = calls(&world, hash(&fails)).await;
    assert_eq!((&root["error"], &root["revertReason"]), (&json!("execution reverted"), &json!("no")));
    assert_eq!(calls(&world, hash(&halts)).await["error"], "invalid opcode: INVALID");
}
