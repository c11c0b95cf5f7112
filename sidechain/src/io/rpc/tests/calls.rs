//! Calls that are tried: where they run, with what in the place of what is there, what they touch, and in which words they fail.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex};
use serde_json::{Value, json};

use super::world::{CHAIN, NOBODY, World, call, create, transfer};
use crate::testing::Key;

/// Sets the slot of the block's number to 1.
const BY_BLOCKS: [u8; 14] = hex!("60058060095f395ff3" "6001435500");
/// Returns the block's number.
const NUMBER: [u8; 7] = hex!("435f5260205ff3");
/// Returns slot 1.
const SLOT: [u8; 9] = hex!("6001545f5260205ff3");
/// Returns the balance of whoever runs it.
const BALANCE: [u8; 7] = hex!("475f5260205ff3");
/// An account without code.
const SOMEWHERE: Address = Address::repeat_byte(0x55);

fn word(number: u64) -> Value {
    json!(B256::from(U256::from(number)))
}

async fn with_code(world: &World, code: &[u8], account: Value, block: Value) -> Value {
    let mut account = account;
    account["code"] = json!(Bytes::copy_from_slice(code));
    world.get("eth_call", json!([{ "to": SOMEWHERE }, "latest", { SOMEWHERE.to_string(): account }, block])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_estimate_is_of_the_block_in_which_a_transaction_that_is_sent_now_runs() {
    let world = World::halted(|_| ()).await;
    let key = Key::new(1);
    let code = Bytes::from_static(&BY_BLOCKS);
    world.send(&key.send(CHAIN, 0, 200_000, TxKind::Create, U256::ZERO, code)).await.unwrap();
    let contract = key.address.create(0);
    world.mine();
    world.send(&call(&key, 1, contract, U256::ZERO, [])).await.unwrap();
    world.mine();
    // In the block that is there already it would find its own mark, and pay for nothing.
    let request = json!({ "from": key.address, "to": contract });
    let listed = world.get("eth_createAccessList", json!([request])).await;
    assert_eq!(listed["accessList"], json!([{ "address": contract, "storageKeys": [word(3)] }]));
    for parameters in [json!([request]), json!([request, "latest"]), json!([request, "pending"])] {
        let estimate = world.get("eth_estimateGas", parameters).await;
        let gas: U256 = serde_json::from_value(estimate).unwrap();
        assert!(gas > U256::from(40_000), "{gas}");
    }
    world.mine();
    let old: U256 = serde_json::from_value(world.get("eth_estimateGas", json!([request, "0x2"])).await).unwrap();
    assert!(old < U256::from(30_000), "an old block's is of that block, which has its mark: {old}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_sees_the_block_it_is_asked_for_and_pending_is_the_next_one() {
    let world = World::halted(|_| ()).await;
    world.mine();
    world.mine();
    let request = json!({ "to": SOMEWHERE });
    let overrides = json!({ SOMEWHERE.to_string(): { "code": Bytes::from_static(&NUMBER) } });
    for (block, number) in [("latest", 2), ("pending", 3), ("0x1", 1), ("earliest", 0)] {
        assert_eq!(world.get("eth_call", json!([request, block, overrides])).await, word(number), "{block}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_tried_with_other_accounts_and_in_another_block() {
    let world = World::new().await;
    let own = json!({ B256::with_last_byte(1).to_string(): word(7) });
    assert_eq!(with_code(&world, &SLOT, json!({ "stateDiff": own }), json!({})).await, word(7));
    assert_eq!(with_code(&world, &SLOT, json!({ "state": own }), json!({})).await, word(7));
    assert_eq!(with_code(&world, &BALANCE, json!({ "balance": "0x9" }), json!({})).await, word(9));
    for (field, code, value) in [("number", "43", 77u64), ("time", "42", 78), ("gasLimit", "45", 50_000_000)] {
        let code = hex::decode(format!("{code}5f5260205ff3")).unwrap();
        let block = json!({ field: U256::from(value) });
        assert_eq!(with_code(&world, &code, json!({}), block).await, word(value), "{field}");
    }
    // The counter without its storage counts from the start, with another slot from there.
    let key = Key::new(1);
    let counter = world.deploy_counter(&key, 0).await;
    let counter: Address = serde_json::from_value(counter).unwrap();
    world.receipt(&call(&key, 1, counter, U256::ZERO, [])).await;
    let read = Bytes::from_static(&hex!("5f545f5260205ff3"));
    let first = B256::ZERO.to_string();
    for (account, value) in [
        (json!({ "code": read }), 1),
        (json!({ "code": read, "state": {} }), 0),
        (json!({ "code": read, "state": { B256::with_last_byte(9).to_string(): word(5) } }), 0),
        (json!({ "code": read, "stateDiff": { first: word(41) } }), 41),
    ] {
        let asked = json!([{ "to": counter }, "latest", { counter.to_string(): account }]);
        assert_eq!(world.get("eth_call", asked).await, word(value), "{account}");
    }
    let estimate = json!([{ "from": NOBODY, "to": counter, "value": "0x1" }, "latest", { NOBODY.to_string(): { "balance": "0xffffffffffffffff" } }]);
    assert!(world.get("eth_estimateGas", estimate).await.is_string(), "who has nothing sends something");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_pretended_is_refused_by_name() {
    let world = World::halted(|_| ()).await;
    let asked = |account: Value, block: Value| json!([{ "to": SOMEWHERE }, "latest", { SOMEWHERE.to_string(): account }, block]);
    let both = asked(json!({ "state": {}, "stateDiff": {} }), json!({}));
    let (code, message) = world.refusal("eth_call", both).await;
    assert!(code == -32602 && message.ends_with("has both 'state' and 'stateDiff'"), "{code} {message}");
    for block in [json!({ "difficulty": "0x1" }), json!({ "number": format!("0x1{}", "0".repeat(16)) })] {
        assert_eq!(world.refusal("eth_call", asked(json!({}), block.clone())).await.0, -32602, "{block}");
    }
    for (block, name) in [(json!({ "foo": "0x1" }), "foo"), (json!({ "withdrawals": [] }), "withdrawals")] {
        let words = format!("block override {name} is not supported");
        assert_eq!(world.refusal("eth_call", asked(json!({}), block.clone())).await, (-32602, words.clone()));
        let traced = json!([{ "to": SOMEWHERE }, "latest", { "blockOverrides": block }]);
        assert_eq!(world.refusal("debug_traceCall", traced).await, (-32602, words));
    }
    let simulated = json!([{ "blockStateCalls": [{ "blockOverrides": { "foo": "0x1" } }] }, "latest"]);
    assert_eq!(world.refusal("eth_simulateV1", simulated).await.0, -32602);
    let empty = json!([{ "blockStateCalls": [{ "blockOverrides": { "withdrawals": [] } }] }, "latest"]);
    assert!(world.get("eth_simulateV1", empty).await.is_array(), "no withdrawals are what every block has");
    // Code that no account may have (EIP-3541) runs as any other, and halts.
    let odd = json!([{ "to": SOMEWHERE }, "latest", { SOMEWHERE.to_string(): { "code": "0xef0100" } }]);
    assert_eq!(world.refusal("eth_call", odd).await, (-32000, "invalid opcode".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_for_another_chain_is_refused_with_both_numbers() {
    let world = World::halted(|_| ()).await;
    let there = json!([{ "to": SOMEWHERE, "chainId": "0x1" }, "latest"]);
    for method in ["eth_call", "eth_estimateGas", "eth_createAccessList", "debug_traceCall"] {
        let words = "chainId does not match node's (have=1, want=51717)".to_owned();
        assert_eq!(world.refusal(method, there.clone()).await, (-32000, words), "{method}");
    }
    assert_eq!(world.get("eth_call", json!([{ "to": SOMEWHERE, "chainId": "0xca05" }, "latest"])).await, "0x");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_list_has_what_is_touched_but_what_is_warm_anyway() {
    let world = World::new().await;
    let key = Key::new(1);
    let counter = world.deploy_counter(&key, 0).await;
    let listed = world.get("eth_createAccessList", json!([{ "from": key.address, "to": counter }])).await;
    assert_eq!(listed["accessList"], json!([{ "address": counter, "storageKeys": [B256::ZERO] }]));
    let plain = world.get("eth_createAccessList", json!([{ "from": key.address, "to": NOBODY, "value": "0x1" }])).await;
    assert_eq!(plain, json!({ "accessList": [], "gasUsed": "0x5208" }));
    // BALANCE of an account that nobody names.
    let code = Bytes::from([&hex!("73")[..], SOMEWHERE.as_slice(), &hex!("3100")].concat());
    let asked = json!([{ "from": key.address, "to": NOBODY }, "latest", { NOBODY.to_string(): { "code": code } }]);
    let listed = world.get("eth_createAccessList", asked).await;
    assert_eq!(listed["accessList"], json!([{ "address": SOMEWHERE, "storageKeys": [] }]));
    let fails = json!([{ "from": key.address, "to": NOBODY }, "latest", { NOBODY.to_string(): { "code": "0xfe" } }]);
    assert_eq!(world.get("eth_createAccessList", fails).await["error"], "invalid opcode: INVALID");
}

// EIP-7702: 25,000 for each authorization, a valid one or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_plain_transfer_with_an_authorization_is_estimated_with_its_price() {
    let world = World::halted(|_| ()).await;
    let authorization =
        json!({ "chainId": "0x0", "address": NOBODY, "nonce": "0x0", "yParity": "0x0", "r": "0x1", "s": "0x1" });
    let request = json!([{ "from": Key::new(1).address, "to": NOBODY, "authorizationList": [authorization] }]);
    let gas: u64 = serde_json::from_value::<U256>(world.get("eth_estimateGas", request).await).unwrap().to();
    // An estimate is at most 1.5 % above.
    assert!((46_000..=46_690).contains(&gas), "{gas}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_started_says_so_in_the_words_that_clients_look_for() {
    let world = World::halted(|_| ()).await;
    let poor = Address::repeat_byte(0x77);
    let coin = "0xde0b6b3a7640000";
    let endless = json!({ SOMEWHERE.to_string(): { "code": "0x5b5f56" } });
    let call = json!({ "from": poor, "to": NOBODY });
    let with = |more: Value| {
        let mut call = call.clone();
        call.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        call
    };
    let run = |more: Value| json!([with(more), "latest", endless]);
    // What viem and ethers look for in a message: insufficient funds, less than block base fee, intrinsic gas too low, gas required exceeds.
    let lacks = "insufficient funds for gas * price + value: have 0 want 1000000000000000000";
    for (method, request, words) in [
        ("eth_call", json!([with(json!({ "value": coin }))]), lacks),
        ("eth_estimateGas", json!([with(json!({ "value": coin }))]), lacks),
        (
            "eth_estimateGas",
            run(json!({ "to": SOMEWHERE, "value": coin, "gasPrice": "0x3b9aca00" })),
            "insufficient funds for transfer",
        ),
        (
            "eth_estimateGas",
            run(json!({ "to": SOMEWHERE, "gasPrice": "0x3b9aca00" })),
            "gas required exceeds allowance (0)",
        ),
        (
            "eth_estimateGas",
            run(json!({ "to": SOMEWHERE, "gas": "0x186a0" })),
            "gas required exceeds allowance (100000)",
        ),
        (
            "eth_call",
            json!([with(json!({ "maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x1" }))]),
            "max fee per gas less than block base fee",
        ),
        ("eth_call", json!([with(json!({ "gas": "0x5207" }))]), "intrinsic gas too low: have 20999, want 21000"),
    ] {
        assert_eq!(world.refusal(method, request.clone()).await, (-32000, words.to_owned()), "{method} {request}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_fail_in_the_words_that_clients_look_for() {
    let world = World::halted(|_| ()).await;
    let run = async |code: &[u8]| {
        let overrides = json!({ SOMEWHERE.to_string(): { "code": Bytes::copy_from_slice(code) } });
        world.refusal("eth_call", json!([{ "to": SOMEWHERE, "gas": "0x186a0" }, "latest", overrides])).await
    };
    assert_eq!(run(&hex!("5f56")).await, (-32000, "invalid jump destination".to_owned()));
    assert_eq!(run(&hex!("50")).await, (-32000, "stack underflow".to_owned()));
    assert_eq!(run(&hex!("5b5f56")).await, (-32000, "out of gas".to_owned()));
    // Panic(uint256) of 1, as Solidity's assert.
    let assert = hex!("634e487b7160e01b5f526001600452" "60245ffd");
    assert_eq!(run(&assert).await, (3, "execution reverted: assert(false)".to_owned()));
    assert_eq!(run(&hex!("5f5ffd")).await, (3, "execution reverted".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn quantities_and_keys_are_as_strict_as_the_specification() {
    let world = World::halted(|_| ()).await;
    let long = format!("0x0{}", "1".repeat(64));
    for (method, parameters) in [
        ("eth_getBlockByNumber", json!(["0x00", false])),
        ("eth_getBalance", json!([NOBODY, "0x01"])),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["0x0", "0x00"])),
        ("eth_getStorageAt", json!([NOBODY, long, "latest"])),
        ("eth_getProof", json!([NOBODY, [long], "latest"])),
        // get-invalid-hash of ethereum/execution-apis.
        ("debug_getRawTransaction", json!(["10".repeat(32)])),
        ("eth_getBlockByHash", json!(["10".repeat(32), false])),
        ("eth_getBalance", json!(["77".repeat(20), "latest"])),
        ("eth_sendRawTransaction", json!(["02"])),
    ] {
        assert_eq!(world.refusal(method, parameters.clone()).await.0, -32602, "{method} {parameters}");
    }
    for call in [
        json!({ "gas": "0x0ffff" }),
        json!({ "value": "0x00" }),
        json!({ "value": "1" }),
        json!({ "value": 1 }),
        json!({ "nonce": "0x00" }),
        json!({ "type": "0x02" }),
        json!({ "chainId": "0x0ca05" }),
    ] {
        for method in ["eth_call", "eth_estimateGas", "eth_createAccessList", "eth_fillTransaction", "debug_traceCall"]
        {
            assert_eq!(world.refusal(method, json!([call])).await.0, -32602, "{method} {call}");
        }
        let simulated = json!([{ "blockStateCalls": [{ "calls": [call] }] }, "latest"]);
        assert_eq!(world.refusal("eth_simulateV1", simulated).await.0, -32602, "{call}");
    }
    for (method, parameters) in [
        ("eth_getLogs", json!([{ "fromBlock": "0x00" }])),
        ("eth_newFilter", json!([{ "toBlock": "0x01" }])),
        ("eth_getBalance", json!([NOBODY, { "blockNumber": "0x00" }])),
        ("eth_call", json!([{ "to": SOMEWHERE }, "latest", { NOBODY.to_string(): { "balance": "0x01" } }])),
        ("eth_call", json!([{ "to": SOMEWHERE }, "latest", {}, { "time": "0x0ffffffff" }])),
    ] {
        assert_eq!(world.refusal(method, parameters.clone()).await.0, -32602, "{method} {parameters}");
    }
    let padded = format!("0x{}1", "0".repeat(63));
    for slot in ["0x1", "0x01", padded.as_str()] {
        assert_eq!(world.get("eth_getStorageAt", json!([NOBODY, slot, "latest"])).await, word(0), "{slot}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_slots_a_raw_transaction_of_a_block_and_the_next_base_fee_are_answered() {
    let world = World::new().await;
    let key = Key::new(1);
    let counter = world.deploy_counter(&key, 0).await;
    let counter: Address = serde_json::from_value(counter).unwrap();
    let receipt = world.receipt(&call(&key, 1, counter, U256::ZERO, [])).await;
    let asked = json!([{ counter.to_string(): ["0x0", "0x1"], NOBODY.to_string(): [] }, "latest"]);
    let values = world.get("eth_getStorageValues", asked).await;
    let of = |address: Address| values[format!("{address:#x}")].clone();
    assert_eq!((of(counter), of(NOBODY)), (json!([word(1), word(0)]), json!([])));
    // get-storage-values-empty-request of ethereum/execution-apis.
    let nothing = world.refusal("eth_getStorageValues", json!([{}, "latest"])).await;
    assert_eq!(nothing, (-32602, "empty request".to_owned()));
    let many = json!([{ counter.to_string(): vec!["0x0"; 1_025] }, "latest"]);
    assert_eq!(world.refusal("eth_getStorageValues", many).await.0, -32005);
    let by_hash = world.get("eth_getRawTransactionByHash", json!([receipt["transactionHash"]])).await;
    let at = json!([receipt["blockNumber"], receipt["transactionIndex"]]);
    assert_eq!(world.get("eth_getRawTransactionByBlockNumberAndIndex", at).await, by_hash);
    let at = json!([receipt["blockHash"], "0x9"]);
    assert_eq!(world.get("eth_getRawTransactionByBlockHashAndIndex", at).await, Value::Null);
    let pending = world.get("eth_feeHistory", json!(["0x1", "latest", []])).await["baseFeePerGas"][1].clone();
    assert_eq!(world.get("eth_baseFee", json!([])).await, pending);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_transaction_has_a_gas_price() {
    let world = World::halted(|_| ()).await;
    let sent = transfer(&Key::new(1), 0);
    let hash = world.send(&sent).await.unwrap();
    let waiting = world.get("eth_getTransactionByHash", json!([hash])).await;
    assert_eq!((&waiting["type"], &waiting["gasPrice"]), (&json!("0x2"), &waiting["maxFeePerGas"]));
    let sender = Key::new(1).address;
    let content = world.get("txpool_contentFrom", json!([sender])).await;
    assert_eq!(content["pending"]["0"]["gasPrice"], waiting["maxFeePerGas"]);
    let create = create(&Key::new(2), 0);
    assert!(world.send(&create).await.is_ok());
}

// geth runs a call that offers nothing as if there were no base fee, and charges every other
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_offers_something_needs_the_funds_and_prices_that_contradict_themselves_are_refused() {
    let world = World::new().await;
    let (stranger, member) = (Key::new(900).address, crate::testing::member(1).address);
    let call = |from, price: Value| {
        let mut call = json!({ "from": from, "to": NOBODY });
        call.as_object_mut().unwrap().extend(price.as_object().unwrap().clone());
        json!([call, "latest"])
    };
    let free = json!({ "maxFeePerGas": "0xffffffffffffffff", "maxPriorityFeePerGas": "0x0" });
    let nothing = json!({ "gasPrice": "0x0" });
    for (from, price) in [(stranger, nothing.clone()), (stranger, json!({})), (member, nothing), (member, free.clone())]
    {
        assert_eq!(world.get("eth_call", call(from, price)).await, "0x");
    }
    for price in [free, json!({ "gasPrice": "0xf4240" }), json!({ "maxFeePerGas": "0xf4240" })] {
        for method in ["eth_call", "eth_createAccessList", "debug_traceCall"] {
            let (code, message) = world.refusal(method, call(stranger, price.clone())).await;
            assert!(
                code == -32000 && message.contains("insufficient funds for gas * price + value"),
                "{method}: {message}"
            );
        }
    }
    let both = json!({ "gasPrice": "0x1", "maxFeePerGas": "0x1" });
    let (code, message) = world.refusal("eth_call", call(stranger, both)).await;
    assert_eq!(
        (code, message.as_str()),
        (-32000, "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified")
    );
    let upside_down = json!({ "maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x2" });
    let (code, message) = world.refusal("eth_call", call(stranger, upside_down)).await;
    let said = "max priority fee per gas higher than max fee per gas: address";
    assert!(code == -32000 && message.starts_with(said), "{message}");
}
