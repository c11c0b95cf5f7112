//! `eth_simulateV1`, by the cases and defaults of ethereum/execution-apis (tests/eth_simulateV1, and the notes on eth_simulate).

use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, Bytes, U256, address, b256, hex};
use serde_json::{Value, json};

use super::world::{COUNTER, NOBODY, World, call, transfer};
use crate::testing::Key;

const RICH: Address = address!("c000000000000000000000000000000000000000");
const FIRST: Address = address!("c100000000000000000000000000000000000000");
const SECOND: Address = address!("c200000000000000000000000000000000000000");
const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");

fn word(number: u64) -> Value {
    json!(B256::from(U256::from(number)))
}

fn code(code: &[u8]) -> Value {
    json!({ "code": Bytes::copy_from_slice(code) })
}

fn funded() -> Value {
    json!({ RICH.to_string(): { "balance": "0x7d0" } })
}

async fn simulate(world: &World, payload: Value) -> Vec<Value> {
    world.get("eth_simulateV1", json!([payload, "latest"])).await.as_array().unwrap().clone()
}

async fn refused(world: &World, payload: Value) -> (i32, String) {
    world.refusal("eth_simulateV1", json!([payload, "latest"])).await
}

fn pay(from: Address, to: Address) -> Value {
    json!({ "from": from, "to": to, "value": "0x3e8" })
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_build_on_each_other_in_blocks_that_follow_the_head() {
    let world = World::halted(|_| ()).await;
    world.mine();
    let head = world.get("eth_getBlockByNumber", json!(["latest", false])).await;
    let blocks = simulate(
        &world,
        json!({ "blockStateCalls": [
            { "stateOverrides": funded(), "calls": [pay(RICH, FIRST), pay(FIRST, SECOND)] },
            { "calls": [pay(SECOND, NOBODY)] },
        ]}),
    )
    .await;
    let (first, second) = (&blocks[0], &blocks[1]);
    assert_eq!((&first["number"], &first["parentHash"]), (&json!("0x2"), &head["hash"]));
    assert_eq!((&second["number"], &second["parentHash"]), (&json!("0x3"), &first["hash"]));
    assert_eq!((&first["baseFeePerGas"], &first["gasLimit"]), (&json!("0x0"), &head["gasLimit"]));
    assert_eq!((&first["miner"], &first["mixHash"]), (&json!(Address::ZERO), &json!(B256::ZERO)));
    assert_eq!((&first["gasUsed"], first["transactions"].as_array().unwrap().len()), (&json!("0xa410"), 2));
    assert!(first["stateRoot"] != head["stateRoot"] && second["stateRoot"] != first["stateRoot"]);
    let done = json!({ "returnData": "0x", "logs": [], "gasUsed": "0x5208", "maxUsedGas": "0x5208", "status": "0x1" });
    assert_eq!((&first["calls"], &second["calls"]), (&json!([done, done]), &json!([done])));
    // Nothing of it is there.
    assert_eq!(world.get("eth_getBalance", json!([NOBODY])).await, "0x0");
    let full = simulate(
        &world,
        json!({ "returnFullTransactions": true, "blockStateCalls": [
        { "stateOverrides": funded(), "calls": [pay(RICH, FIRST), pay(RICH, FIRST)] } ]}),
    )
    .await;
    let sent = &full[0]["transactions"][1];
    assert_eq!((&sent["from"], &sent["nonce"], &sent["type"]), (&json!(RICH), &json!("0x1"), &json!("0x2")));
    assert_eq!(sent["blockHash"], full[0]["hash"]);
}

// A gap of numbers is empty blocks; each has its own header, and the hashes of those before it.
#[tokio::test(flavor = "multi_thread")]
async fn blocks_have_the_numbers_times_and_hashes_that_are_asked_for() {
    let world = World::halted(|_| ()).await;
    let what = code(&hex!("435f5260205ff3"));
    let read = json!({ "to": FIRST });
    // BLOCKHASH of the block before.
    let hash = code(&hex!("60014303405f5260205ff3"));
    let blocks = simulate(&world, json!({ "blockStateCalls": [
        { "stateOverrides": { FIRST.to_string(): what, SECOND.to_string(): hash }, "calls": [read],
          "blockOverrides": { "number": "0x5", "time": "0x7fffffff", "feeRecipient": NOBODY, "baseFeePerGas": "0x9", "gasLimit": "0x989680" } },
        { "calls": [read, { "to": SECOND }] },
    ]}))
    .await;
    let numbers: Vec<_> = blocks.iter().map(|block| block["number"].clone()).collect();
    assert_eq!(json!(numbers), json!(["0x1", "0x2", "0x3", "0x4", "0x5", "0x6"]));
    let (fifth, sixth) = (&blocks[4], &blocks[5]);
    assert_eq!((&fifth["timestamp"], &sixth["timestamp"]), (&json!("0x7fffffff"), &json!("0x80000000")));
    assert_eq!(
        (&fifth["miner"], &fifth["baseFeePerGas"], &fifth["gasLimit"]),
        (&json!(NOBODY), &json!("0x9"), &json!("0x989680"))
    );
    assert_eq!((&fifth["calls"][0]["returnData"], &sixth["calls"][0]["returnData"]), (&word(5), &word(6)));
    assert_eq!(sixth["calls"][1]["returnData"], fifth["hash"]);
    for (overrides, code) in [
        (json!([{ "number": "0x5" }, { "number": "0x5" }]), -38020),
        (json!([{ "number": "0x0" }]), -38020),
        (json!([{ "time": "0x7fffffff" }, { "time": "0x7ffffffe" }]), -38021),
        (json!([{ "number": "0x101" }]), -38026),
    ] {
        let blocks: Vec<_> = overrides.as_array().unwrap().iter().map(|one| json!({ "blockOverrides": one })).collect();
        assert_eq!(refused(&world, json!({ "blockStateCalls": blocks })).await.0, code, "{overrides}");
    }
    let withdrawals =
        json!({ "withdrawals": [{ "index": "0x0", "validatorIndex": "0x0", "address": NOBODY, "amount": "0x1" }] });
    assert_eq!(refused(&world, json!({ "blockStateCalls": [{ "blockOverrides": withdrawals }] })).await.0, -32602);
    assert_eq!(refused(&world, json!({ "blockStateCalls": 7 })).await.0, -32602);
    let many = vec![json!({}); 257];
    assert_eq!(refused(&world, json!({ "blockStateCalls": many })).await.0, -38026);
    assert_eq!(refused(&world, json!({ "blockStateCalls": [] })).await.0, -32602);
    assert_eq!(simulate(&world, json!({ "blockStateCalls": many[1..] })).await.len(), 256);
}

#[tokio::test(flavor = "multi_thread")]
async fn state_lasts_from_block_to_block_and_each_may_change_it_again() {
    let world = World::new().await;
    let key = Key::new(1);
    let counter: Address = serde_json::from_value(world.deploy_counter(&key, 0).await).unwrap();
    world.receipt(&call(&key, 1, counter, U256::ZERO, [])).await;
    let count = json!({ "to": counter });
    let read = code(&hex!("5f545f5260205ff3"));
    let with = |slots: Value| {
        let mut account = read.clone();
        account.as_object_mut().unwrap().extend(slots.as_object().unwrap().clone());
        json!({ "stateOverrides": { counter.to_string(): account }, "calls": [count] })
    };
    let slot = B256::ZERO.to_string();
    let payload = json!({ "blockStateCalls": [
        { "calls": [count, count] },
        with(json!({})),
        with(json!({ "stateDiff": { slot.clone(): word(40) } })),
        with(json!({})),
        with(json!({ "state": {} })),
        with(json!({})),
        { "stateOverrides": { counter.to_string(): code(&COUNTER[9..]) }, "calls": [count] },
        with(json!({})),
    ]});
    let blocks = simulate(&world, payload).await;
    let read: Vec<_> =
        [1, 2, 3, 4, 5, 7].iter().map(|block| blocks[*block]["calls"][0]["returnData"].clone()).collect();
    assert_eq!(json!(read), json!([word(3), word(40), word(40), word(0), word(0), word(1)]));
    // Its two logs, by their places in the block.
    let logs: Vec<_> = (0..2).map(|call| blocks[0]["calls"][call]["logs"][0].clone()).collect();
    for (index, log) in logs.iter().enumerate() {
        assert_eq!((&log["address"], &log["blockHash"]), (&json!(counter), &blocks[0]["hash"]));
        let places = (&log["logIndex"], &log["transactionIndex"], &log["transactionHash"]);
        assert_eq!(
            places,
            (&json!(format!("{index:#x}")), &json!(format!("{index:#x}")), &blocks[0]["transactions"][index])
        );
    }
    // At pending they follow what waits; at an old block what was there.
    let halted = World::halted(|_| ()).await;
    halted.send(&transfer(&key, 0)).await.unwrap();
    let asked = json!({ "blockStateCalls": [{ "calls": [{ "from": NOBODY, "to": FIRST, "value": "0x5" }] }] });
    let after = halted.get("eth_simulateV1", json!([asked, "pending"])).await;
    assert_eq!((&after[0]["number"], &after[0]["calls"][0]["status"]), (&json!("0x2"), &json!("0x1")));
    assert_eq!(halted.refusal("eth_simulateV1", json!([asked, "latest"])).await.0, -38014);
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_of_coins_are_shown_as_logs_that_no_receipt_has() {
    let world = World::halted(|_| ()).await;
    // Passes on what it gets, then reverts if it is told to: PUSH the receiver of the coins.
    let forward = [&hex!("5f5f5f5f3473")[..], SECOND.as_slice(), &hex!("5af1")].concat();
    let destroy = [&hex!("73")[..], NOBODY.as_slice(), &hex!("ff")].concat();
    let reverts = [&forward[..], &hex!("5f5ffd")].concat();
    let contracts: [(Address, &[u8]); 3] = [
        (address!("00000000000000000000000000000000000f0001"), &forward),
        (address!("00000000000000000000000000000000000f0002"), &destroy),
        (address!("00000000000000000000000000000000000f0003"), &reverts),
    ];
    let mut accounts = funded();
    accounts[RICH.to_string()]["balance"] = json!("0xffff");
    for (address, run) in contracts {
        accounts[address.to_string()] = code(run);
    }
    let calls: Vec<_> = contracts.iter().map(|(address, _)| pay(RICH, *address)).collect();
    let payload = |traced: bool| json!({ "traceTransfers": traced, "blockStateCalls": [{ "stateOverrides": accounts, "calls": calls }] });
    let plain = &simulate(&world, payload(false)).await[0];
    let traced = &simulate(&world, payload(true)).await[0];
    let moves = |call: usize| {
        let logs = traced["calls"][call]["logs"].as_array().unwrap().clone();
        logs.into_iter()
            .map(|log| {
                assert_eq!(
                    (&log["address"], &log["topics"][0], &log["data"]),
                    (&json!("0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"), &json!(TRANSFER), &word(1_000))
                );
                (log["topics"][1].clone(), log["topics"][2].clone())
            })
            .collect::<Vec<_>>()
    };
    let topic = |address: Address| json!(address.into_word());
    let [(first, _), (second, _), _] = contracts;
    assert_eq!(moves(0), [(topic(RICH), topic(first)), (topic(first), topic(SECOND))]);
    assert_eq!(moves(1), [(topic(RICH), topic(second)), (topic(second), topic(NOBODY))]);
    assert_eq!(moves(2), [], "what reverts moves nothing");
    assert_eq!(traced["calls"][2]["error"], json!({ "code": 3, "message": "execution reverted", "data": "0x" }));
    assert_eq!(
        (&plain["calls"][0]["logs"], &plain["hash"]),
        (&json!([]), &traced["hash"]),
        "nothing but the logs differs"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_block_could_hold_is_refused_by_the_numbers_of_the_specification() {
    let world = World::new().await;
    let key = Key::new(1);
    world.receipt(&transfer(&key, 0)).await;
    let one =
        |call: Value, validation: bool| json!({ "validation": validation, "blockStateCalls": [{ "calls": [call] }] });
    let from = key.address;
    let base = json!({ "from": from, "to": NOBODY, "maxFeePerGas": "0x989680" });
    let with = |field: &str, value: Value| {
        let mut call = base.clone();
        call[field] = value;
        call
    };
    for (call, code) in [
        (with("nonce", json!("0x0")), -38010),
        (with("nonce", json!("0x2")), -38011),
        (with("maxFeePerGas", json!("0x1")), -38012),
        (with("gas", json!("0x5207")), -38013),
        (with("value", json!("0xffffffffffffffffffff")), -38014),
        (with("gas", json!("0xffffffffff")), -38015),
    ] {
        assert_eq!(refused(&world, one(call.clone(), true)).await.0, code, "{call}");
    }
    let long =
        json!({ "from": from, "data": Bytes::from(vec![0; 49_153]), "maxFeePerGas": "0x989680", "gas": "0xffffff" });
    assert_eq!(refused(&world, one(long, true)).await.0, -38025);
    // Without validation neither nonce nor fee matters, and with it the block has its fee, and pays it.
    for field in ["nonce", "maxFeePerGas"] {
        assert_eq!(simulate(&world, one(with(field, json!("0x0")), false)).await[0]["calls"][0]["status"], "0x1");
    }
    let paid = &simulate(&world, one(base.clone(), true)).await[0];
    assert_eq!((&paid["baseFeePerGas"], &paid["calls"][0]["gasUsed"]), (&json!("0xf4240"), &json!("0x5208")));
    // A contract may send, as long as it has the nonce.
    let contract = json!({ "validation": true, "blockStateCalls": [{
        "stateOverrides": { FIRST.to_string(): { "code": "0x00", "balance": "0xffffffffffffffff" } },
        "calls": [{ "from": FIRST, "to": NOBODY, "maxFeePerGas": "0x989680" }] }] });
    assert_eq!(simulate(&world, contract).await[0]["calls"][0]["status"], "0x1");
}

/// The identity, SHA-256, and where no precompile is.
const IDENTITY: Address = Address::with_last_byte(4);
const SHA256: Address = Address::with_last_byte(2);
const ELSEWHERE: Address = address!("0000000000000000000000000000000000123456");

// ethSimulate-override-identity, -move-ecrecover-twice-and-call, -override-precompile-code-without-move.
#[tokio::test(flavor = "multi_thread")]
async fn a_precompile_answers_where_it_was_moved_to_and_nowhere_else() {
    let world = World::halted(|_| ()).await;
    let ask = |to: Address| json!({ "from": RICH, "to": to, "input": "0x1234" });
    let moved = |to: Address| json!({ IDENTITY.to_string(): { "movePrecompileToAddress": to } });
    let answers = json!({ "code": "0x602a60005260206000f3" });
    let blocks = simulate(
        &world,
        json!({ "blockStateCalls": [
            { "stateOverrides": moved(ELSEWHERE), "calls": [ask(ELSEWHERE), ask(IDENTITY)] },
            { "calls": [ask(ELSEWHERE), ask(IDENTITY)] },
            { "stateOverrides": { IDENTITY.to_string(): answers }, "calls": [ask(IDENTITY)] },
        ]}),
    )
    .await;
    let said = |block: usize, call: usize| blocks[block]["calls"][call]["returnData"].clone();
    assert_eq!((said(0, 0), said(0, 1)), (json!("0x1234"), json!("0x")));
    assert_eq!((said(1, 0), said(1, 1)), (json!("0x"), json!("0x1234")), "it was moved for one block");
    assert_eq!((said(2, 0), &blocks[2]["calls"][0]["gasUsed"]), (word(42), &json!("0x5258")), "code comes first");
    // Calls and traces see the same.
    let overrides = moved(ELSEWHERE);
    assert_eq!(world.get("eth_call", json!([ask(ELSEWHERE), "latest", overrides])).await, "0x1234");
    assert_eq!(world.get("eth_call", json!([ask(IDENTITY), "latest", overrides])).await, "0x");
    let traced = json!([ask(ELSEWHERE), "latest", { "tracer": "callTracer", "stateOverrides": overrides }]);
    assert_eq!(world.get("debug_traceCall", traced).await["output"], "0x1234");
    let estimate = world.get("eth_estimateGas", json!([ask(ELSEWHERE), "latest", overrides])).await;
    let plain = world.get("eth_estimateGas", json!([ask(IDENTITY)])).await;
    assert_eq!(estimate, plain);
}

// ethSimulate-move-to-address-itself-reference-38022, -try-to-move-non-precompile, -move-two-accounts-to-same-38023.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_precompile_is_moved_and_only_where_nothing_else_was_put() {
    let world = World::halted(|_| ()).await;
    let with = |accounts: Value| json!({ "blockStateCalls": [{ "stateOverrides": accounts, "calls": [{ "to": ELSEWHERE, "input": "0x12" }] }] });
    let to = |to: Address| json!({ "movePrecompileToAddress": to });
    for (accounts, refusal) in [
        (json!({ FIRST.to_string(): to(FIRST) }), (-32000, format!("account {FIRST} is not a precompile"))),
        (json!({ IDENTITY.to_string(): to(IDENTITY) }), (-38022, format!("precompile {IDENTITY} is moved to itself"))),
        (
            json!({ IDENTITY.to_string(): to(ELSEWHERE), ELSEWHERE.to_string(): { "balance": "0x1" } }),
            (-32000, format!("account {ELSEWHERE} is already overridden")),
        ),
    ] {
        assert_eq!(refused(&world, with(accounts)).await, refusal);
    }
    let both = json!({ SHA256.to_string(): to(ELSEWHERE), IDENTITY.to_string(): to(ELSEWHERE) });
    assert_eq!(simulate(&world, with(both)).await[0]["calls"][0]["returnData"], "0x12", "the last one counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulation_ends_with_its_gas_and_its_time() {
    let world = World::halted(|_| ()).await;
    let endless = code(&hex!("5b5f56"));
    let calls = |count: usize, call: Value| json!({ "blockStateCalls": [{ "stateOverrides": { FIRST.to_string(): endless }, "calls": vec![call; count] }] });
    let spent = &simulate(&world, calls(1, json!({ "to": FIRST }))).await[0]["calls"][0];
    assert_eq!((&spent["status"], &spent["gasUsed"]), (&json!("0x0"), &json!("0x3938700")), "60 million");
    assert_eq!((&spent["error"]["code"], &spent["error"]["message"]), (&json!(-32015), &json!("out of gas")));
    let (code, message) = refused(&world, calls(2, json!({ "to": FIRST }))).await;
    assert_eq!((code, message.as_str()), (-38026, "too much gas: all calls of a simulation together get 60000000"));
    // As many as the gas is enough for: 60 million for 21,000 each.
    let many = simulate(&world, calls(2_857, json!({ "to": NOBODY, "gas": "0x5208" }))).await;
    assert_eq!(many[0]["calls"].as_array().map(Vec::len), Some(2_857));
    assert_eq!(refused(&world, calls(2_858, json!({ "to": NOBODY, "gas": "0x5208" }))).await.0, -38026);
    let hurried = World::halted(|settings| {
        settings.max_call_gas = u64::MAX;
        settings.deadline = Duration::from_millis(300);
    })
    .await;
    let begun = Instant::now();
    assert_eq!(refused(&hurried, calls(100, json!({ "to": FIRST, "gas": "0x1e8480" }))).await.0, -32005);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_end_of_time_there_is_no_block() {
    let world = World::halted(|_| ()).await;
    let last = json!({ "blockOverrides": { "time": "0xffffffffffffffff" } });
    let asked = |blocks: Value| json!([{ "blockStateCalls": blocks }, "latest"]);
    let blocks = world.get("eth_simulateV1", asked(json!([last]))).await;
    assert_eq!(blocks[0]["timestamp"], "0xffffffffffffffff");
    for blocks in [json!([last, {}]), json!([last, { "blockOverrides": { "number": "0x9" } }])] {
        let (code, message) = world.refusal("eth_simulateV1", asked(blocks)).await;
        assert_eq!(
            (code, message.as_str()),
            (-38021, "block timestamps must be in order: none is after 18446744073709551615")
        );
    }
    let later = json!([{ "blockOverrides": { "time": "0x10000000000000000" } }]);
    assert_eq!(world.refusal("eth_simulateV1", asked(later)).await.0, -32602);
}
