//! `rpc.discover`: every method is described, and what the node answers is as the description says.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use contracts::Bridge;
use contracts::address::BRIDGE;
use contracts::alloy_sol_types::SolCall;
use contracts::coin::wei;
use jsonrpsee::core::client::ClientT as _;
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use serde_json::{Map, Value, json};

use super::super::{openrpc, server};
use super::ledger::{payout, sweep};
use super::ledger_world::LedgerWorld;
use super::peg::{key_in_force, terms};
use super::traces::{LOGS, NESTS, REVERTS, deploy, two_words};
use super::world::{CHAIN, NOBODY, World, call, create, hash, raw, transfer};
use crate::testing::{Key, genesis, stranger};

#[test]
fn every_method_has_a_description_and_every_description_a_method() {
    let methods = server::methods(&Default::default()).unwrap();
    let served: BTreeSet<&str> = methods.names().collect();
    let described: Vec<&str> = openrpc::descriptions().iter().map(|description| description.name).collect();
    let names: BTreeSet<&str> = described.iter().copied().collect();
    assert_eq!(described.len(), names.len(), "one is described twice");
    assert_eq!(names, served);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_whole() {
    let world = World::halted(|_| ()).await;
    let document = world.get("rpc.discover", json!([])).await;
    assert_eq!(document["openrpc"], "1.3.2");
    assert_eq!(document["methods"].as_array().map(Vec::len), Some(openrpc::descriptions().len()));
    let mut links = Vec::new();
    collect_links(&document, &mut links);
    let broken: Vec<_> = links.iter().filter(|link| resolve(&document, link).is_none()).collect();
    assert!(links.len() > 200 && broken.is_empty(), "{broken:?}");
    for method in document["methods"].as_array().unwrap() {
        let parameters = method["params"].as_array().unwrap();
        let is_sorted = parameters.is_sorted_by_key(|parameter| parameter["required"] == json!(false));
        assert!(is_sorted, "{}: what may be missing is last", method["name"]);
        assert!(method["summary"].as_str().unwrap().ends_with('.'), "{}", method["name"]);
    }
}

fn collect_links<'a>(value: &'a Value, links: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            links.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|field| collect_links(field, links));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_links(item, links)),
        _ => {}
    }
}

fn resolve<'a>(document: &'a Value, link: &str) -> Option<&'a Value> {
    document.pointer(link.strip_prefix('#')?)
}

/// A node with something of everything, and a client that may ask all of it.
pub async fn whole_node() -> (LedgerWorld, WsClient) {
    let unlimited = "127.0.0.0/8".parse().unwrap();
    let world = World::working(|settings| {
        settings.access.unlimited.push(unlimited);
        settings.developer_accounts = true;
    });
    let mut peg = LedgerWorld::on(key_in_force(world.await).await);
    peg.world.state.facts().proposer = Some(NOBODY);
    let paid = peg.pay(&[(BRIDGE, 1_000_000), (stranger(9), 2_000_000)]).await;
    peg.bind(sweep(paid.clone(), 5_000)).await;
    let swept = peg.bind(sweep(paid, 1_000)).await;
    peg.settle(&swept).await;
    for _ in 1..genesis().bridge.final_blocks {
        peg.mine(Vec::new()).await;
    }
    let script: Bytes = [&[0x51, 0x20][..], &Key::new(8).public()[1..]].concat().into();
    for nonce in 0..2 {
        let input = Bridge::withdrawCall { script: script.clone(), maxFeeSat: 2_000 }.abi_encode();
        peg.world.receipt(&call(&Key::new(1), nonce, BRIDGE, wei(50_000), input)).await;
    }
    peg.bind(payout(2, vec![1], 1_000)).await;
    peg.pay(&[(stranger(8), 3_000_000)]).await;
    let client = WsClientBuilder::default().build(format!("ws://{}", peg.world.server.address)).await.unwrap();
    (peg, client)
}

/// Calls of every method but those that are named in the test: in this order.
pub async fn calls(peg: &LedgerWorld) -> Vec<(&'static str, Value)> {
    let world = &peg.world;
    let key = Key::new(2);
    let counter = key.address.create(0);
    let receipt = world.receipt(&create(&key, 0)).await;
    let called = call(&key, 1, counter, U256::ZERO, []);
    world.receipt(&called).await;
    // One waits behind a missing nonce.
    let waiting = transfer(&key, 9);
    world.send(&waiting).await.unwrap();
    let (number, block) = (receipt["blockNumber"].clone(), receipt["blockHash"].clone());
    let head = world.state.chain.head().number;
    world.state.chain.put_finality(head, b"certificate").unwrap();
    let request = json!({ "from": key.address, "to": counter });
    let (_, output) = peg.deposit(stranger(9));
    let address = output.address(mainchain::Network::Regtest).to_string();
    let outpoint = format!("{}:0", "11".repeat(32));
    let topics = json!({ "fromBlock": "earliest", "address": counter, "topics": [null] });
    let reads = [
        ("eth_getBalance", json!([key.address, "latest"])),
        ("eth_getTransactionCount", json!([key.address, { "blockHash": block }])),
        ("eth_getCode", json!([counter, { "blockNumber": number }])),
        ("eth_getStorageAt", json!([counter, "0x0", "latest"])),
        ("eth_getStorageValues", json!([{ counter.to_string(): ["0x0", B256::ZERO] }, "latest"])),
        ("eth_getProof", json!([counter, ["0x0"], "latest"])),
        (
            "eth_call",
            json!([request, "pending", { counter.to_string(): { "balance": "0x5" } }, { "time": "0xffffffff" }]),
        ),
        ("eth_estimateGas", json!([request])),
        ("eth_createAccessList", json!([request])),
    ];
    let history = [
        ("eth_getBlockByNumber", json!([number, true])),
        ("eth_getBlockByNumber", json!(["earliest"])),
        ("eth_getBlockByNumber", json!(["0xffff"])),
        ("eth_getBlockByNumber", json!(["pending", true])),
        ("eth_getBlockByHash", json!([block, false])),
        ("eth_getHeaderByNumber", json!([number])),
        ("eth_getHeaderByNumber", json!(["pending"])),
        ("eth_getHeaderByHash", json!([block])),
        ("eth_getBlockTransactionCountByNumber", json!([number])),
        ("eth_getBlockTransactionCountByHash", json!([block])),
        ("eth_getUncleCountByBlockNumber", json!([number])),
        ("eth_getUncleCountByBlockHash", json!([block])),
        ("eth_getUncleByBlockNumberAndIndex", json!([number, "0x0"])),
        ("eth_getUncleByBlockHashAndIndex", json!([block, "0x0"])),
        ("eth_getBlockReceipts", json!([number])),
        ("eth_getTransactionByHash", json!([hash(&called)])),
        ("eth_getTransactionByHash", json!([hash(&waiting)])),
        ("eth_getTransactionByHash", json!([B256::ZERO])),
        ("eth_getRawTransactionByHash", json!([hash(&called)])),
        ("eth_getTransactionBySenderAndNonce", json!([key.address, "0x1"])),
        ("eth_getTransactionBySenderAndNonce", json!([key.address, "0x9"])),
        ("eth_getTransactionByBlockNumberAndIndex", json!([number, "0x0"])),
        ("eth_getTransactionByBlockHashAndIndex", json!([block, "0x0"])),
        ("eth_getRawTransactionByBlockNumberAndIndex", json!([number, "0x0"])),
        ("eth_getRawTransactionByBlockHashAndIndex", json!([block, "0x0"])),
        ("eth_getTransactionReceipt", json!([hash(&called)])),
        ("eth_sendRawTransaction", json!([raw(&called)])),
        ("eth_getLogs", json!([topics])),
        ("eth_subscribe", json!(["logs", { "address": counter }])),
        ("eth_feeHistory", json!(["0x4", "latest", [25.0, 75.0]])),
    ];
    let bridge = [
        ("peg_quote", json!([34, 5_000])),
        ("peg_registerDeposit", json!([terms(1)])),
        ("peg_getRegisteredDeposits", json!([0, 10])),
        ("peg_getDeposit", json!([address])),
        ("peg_getDeposit", json!([outpoint])),
        ("peg_getDeposits", json!([{ "claimant": stranger(9) }, null, 1])),
        ("peg_getDeposits", json!([{}, { "block": 9_999, "logIndex": 0 }, 1])),
        ("peg_getWithdrawal", json!([1])),
        ("peg_getWithdrawal", json!([99])),
        ("peg_getWithdrawals", json!([{ "open": true }, 99, 1])),
        ("peg_getVaultTransaction", json!([1])),
        ("peg_getVaultTransactions", json!([])),
        ("peg_getFinality", json!([format!("{head:#x}")])),
        ("peg_getBlock", json!([head])),
        ("peg_getBlock", json!([head - 1])),
        ("peg_subscribe", json!(["withdrawal", 1])),
        ("web3_sha3", json!(["0x1234"])),
        ("txpool_contentFrom", json!([key.address])),
    ];
    [&reads[..], &history, &bridge, &accounts(world).await, &simulation(), &traces(world).await].concat()
}

/// Calls of what a developer's node signs, and of what completes transactions.
async fn accounts(world: &World) -> Vec<(&'static str, Value)> {
    let key = Key::new(3);
    let developer: Address = serde_json::from_value(world.get("eth_accounts", json!([])).await[0].clone()).unwrap();
    let payment = key.send(CHAIN, 0, 21_000, developer.into(), U256::from(10).pow(U256::from(16)), Bytes::new());
    world.receipt(&payment).await;
    let request = json!({ "from": developer, "to": NOBODY, "value": "0x5" });
    let legacy = json!({ "from": developer, "to": NOBODY, "gasPrice": "0x989680" });
    let creation = json!({ "from": developer, "data": "0x00" });
    let typed = json!({
        "types": { "EIP712Domain": [{ "name": "chainId", "type": "uint256" }], "Vote": [{ "name": "for", "type": "address" }] },
        "primaryType": "Vote",
        "domain": { "chainId": CHAIN },
        "message": { "for": NOBODY },
    });
    vec![
        ("eth_fillTransaction", json!([request])),
        ("eth_fillTransaction", json!([legacy])),
        ("eth_fillTransaction", json!([creation])),
        ("eth_signTransaction", json!([request])),
        ("eth_signTransaction", json!([legacy])),
        ("eth_sendTransaction", json!([request])),
        ("eth_sign", json!([developer, "0xdeadbeef"])),
        ("eth_signTypedData", json!([developer, typed])),
        ("eth_signTypedData_v4", json!([developer, typed])),
        ("eth_signTypedData_v4", json!([developer, typed.to_string()])),
        ("eth_sendRawTransactionSync", json!([raw(&transfer(&key, 1)), 8_000])),
    ]
}

/// A block with a call that logs, one that reverts and one that halts, and a block of transfers.
fn simulation() -> Vec<(&'static str, Value)> {
    let [logs, reverts, halts] = [1, 2, 3].map(Address::with_last_byte).map(|address| address.to_string());
    let [logs, reverts, halts] = [logs, reverts, halts].map(|address| address.replace("0x00", "0xc0"));
    let code = |code: &[u8]| json!({ "code": Bytes::copy_from_slice(code) });
    let accounts = json!({ logs.clone(): code(&LOGS), reverts.clone(): code(&REVERTS), halts.clone(): code(&[0xfe]) });
    let calls = json!([{ "to": logs }, { "to": reverts }, { "to": halts, "gas": "0xf4240" }]);
    let blocks = json!([
        { "blockOverrides": { "baseFeePerGas": "0x9" }, "stateOverrides": accounts, "calls": calls },
        { "stateOverrides": { NOBODY.to_string(): { "balance": "0x7d0" } },
          "calls": [{ "from": NOBODY, "to": logs, "value": "0x3e8" }] },
    ]);
    let payload = json!({ "blockStateCalls": blocks, "traceTransfers": true });
    let mut full = payload.clone();
    full["returnFullTransactions"] = json!(true);
    vec![("eth_simulateV1", json!([payload])), ("eth_simulateV1", json!([full, "pending"]))]
}

/// Calls of `debug` and `ots` about a transaction with calls of every kind in it, and one that reverts.
async fn traces(world: &World) -> Vec<(&'static str, Value)> {
    let key = Key::new(4);
    let mut contracts = [Address::ZERO; 3];
    for (nonce, code) in [&LOGS[..], &REVERTS, &NESTS].into_iter().enumerate() {
        let (sent, address) = deploy(&key, nonce as u64, code);
        world.receipt(&sent).await;
        contracts[nonce] = address;
    }
    let [logs, reverts, nests] = contracts;
    let nested = call(&key, 3, nests, U256::from(10), two_words(logs, reverts));
    let receipt = world.receipt(&nested).await;
    let failed = call(&key, 4, reverts, U256::ZERO, []);
    world.receipt(&failed).await;
    let (nested, failed) = (hash(&nested), hash(&failed));
    let (number, block) = (receipt["blockNumber"].clone(), receipt["blockHash"].clone());
    let plain = serde_json::from_value::<U64>(number.clone()).unwrap().to::<u64>();
    let with_log = json!({ "tracer": "callTracer", "tracerConfig": { "withLog": true } });
    let difference = json!({ "tracer": "prestateTracer", "tracerConfig": { "diffMode": true } });
    let names = ["callTracer", "prestateTracer", "4byteTracer", "noopTracer", "flatCallTracer"];
    let several = json!({ "callTracer": {}, "prestateTracer": {}, "flatCallTracer": {}, "4byteTracer": null, "noopTracer": null });
    let several = json!({ "tracer": "muxTracer", "tracerConfig": several });
    let tracers = names.map(|name| json!({ "tracer": name }));
    let steps = json!({ "enableMemory": true, "enableReturnData": true, "limit": 1_000 });
    let each = tracers.into_iter().chain([with_log, difference, several, steps, json!({})]);
    let each = each.flat_map(|options| [nested, failed].map(|hash| json!([hash, options.clone()])));
    let mut all: Vec<_> = each.map(|parameters| ("debug_traceTransaction", parameters)).collect();
    let tried = json!({ "stateOverrides": { NOBODY.to_string(): { "code": "0xfe" } }, "blockOverrides": { "time": "0xffffffff" } });
    all.extend([
        ("debug_traceBlockByNumber", json!([number, { "tracer": "callTracer" }])),
        ("debug_traceBlockByHash", json!([block])),
        ("debug_traceCall", json!([{ "to": NOBODY }, "pending", tried])),
        ("debug_traceCall", json!([{ "to": nests }, number, { "txIndex": "0x0", "tracer": "flatCallTracer" }])),
        ("debug_getRawHeader", json!([number])),
        ("debug_getRawBlock", json!([{ "blockHash": block }])),
        ("debug_getRawReceipts", json!([number])),
        ("debug_getRawTransaction", json!([nested])),
        ("debug_getRawTransaction", json!([B256::ZERO])),
        ("ots_hasCode", json!([nests, plain])),
        ("ots_getBlockDetails", json!([plain])),
        ("ots_getBlockDetails", json!([99_999])),
        ("ots_getBlockDetailsByHash", json!([block])),
        ("ots_getBlockTransactions", json!([plain, 0, 25])),
        ("ots_getTransactionError", json!([failed])),
        ("ots_traceTransaction", json!([nested])),
        ("ots_traceTransaction", json!([B256::ZERO])),
        ("ots_getInternalOperations", json!([nested])),
        ("ots_getContractCreator", json!([nests])),
        ("ots_getContractCreator", json!([NOBODY])),
        ("ots_getTransactionBySenderAndNonce", json!([key.address, 3])),
        ("ots_getTransactionBySenderAndNonce", json!([key.address, 99])),
    ]);
    all
}

/// Those that no answer shows here: refused always, or of a state that is copied; and those whose parameter another answers.
const ELSEWHERE: [&str; 8] = [
    "ots_searchTransactionsBefore",
    "ots_searchTransactionsAfter",
    "peg_getSnapshotPart",
    "eth_getFilterChanges",
    "eth_getFilterLogs",
    "eth_uninstallFilter",
    "eth_unsubscribe",
    "peg_unsubscribe",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_the_node_answers_is_as_its_document_says() {
    let (peg, client) = whole_node().await;
    let document = peg.world.get("rpc.discover", json!([])).await;
    let mut calls = calls(&peg).await;
    let mut asked: BTreeSet<&str> = calls.iter().map(|(method, _)| *method).collect();
    let methods = document["methods"].as_array().unwrap();
    // What needs no parameter is asked without any.
    for method in methods.iter().filter(|method| method["params"] == json!([])) {
        let name = method["name"].as_str().unwrap();
        if !ELSEWHERE.contains(&name) {
            calls.push((openrpc::descriptions().iter().find(|known| known.name == name).unwrap().name, json!([])));
        }
    }
    let mut checker = Checker { document: &document, problems: Vec::new() };
    let mut filters = Vec::new();
    for (name, parameters) in calls {
        let answer = checker.ask(&client, name, parameters).await;
        match name {
            "eth_subscribe" => filters.extend([("eth_unsubscribe", answer)]),
            "peg_subscribe" => filters.extend([("peg_unsubscribe", answer)]),
            "eth_newBlockFilter" => {
                filters.extend([("eth_getFilterChanges", answer.clone()), ("eth_uninstallFilter", answer)])
            }
            _ => {}
        }
        asked.insert(name);
    }
    let filter = checker.ask(&client, "eth_newFilter", json!([{ "fromBlock": "earliest" }])).await;
    filters.extend([("eth_getFilterLogs", filter.clone()), ("eth_getFilterChanges", filter)]);
    for (name, id) in filters {
        checker.ask(&client, name, json!([id])).await;
        asked.insert(name);
    }
    let untried = ["peg_getSnapshotPart", "ots_searchTransactionsBefore", "ots_searchTransactionsAfter"];
    asked.extend(untried.into_iter().chain(["eth_newFilter"]));
    assert!(checker.problems.is_empty(), "\n{}", checker.problems.join("\n"));
    let described: BTreeSet<&str> = methods.iter().map(|method| method["name"].as_str().unwrap()).collect();
    assert_eq!(asked, described, "each is asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_method_wants_it_asks_for_by_the_name_and_in_the_place_that_the_document_gives() {
    let (peg, client) = whole_node().await;
    let document = peg.world.get("rpc.discover", json!([])).await;
    let calls = calls(&peg).await;
    for method in document["methods"].as_array().unwrap() {
        let name = method["name"].as_str().unwrap();
        let described = method["params"].as_array().unwrap();
        let wanted: Vec<&Value> =
            described.iter().take_while(|parameter| parameter["required"] == json!(true)).collect();
        let refusal = async |parameters: &[Value]| {
            client
                .request::<Value, _>(name, parameters.to_vec())
                .await
                .map_or_else(|error| error.to_string(), |_| String::new())
        };
        let missing = |position: usize| {
            // What is followed has the name of its kind.
            let called = wanted[position]["name"].as_str().filter(|called| *called != "address, outpoint or id");
            format!("missing value for required argument {position}: {}", called.unwrap_or_default())
        };
        if !wanted.is_empty() {
            let refused = refusal(&[]).await;
            assert!(refused.contains(&missing(0)), "{name}: {refused}");
        }
        let Some((_, sample)) = calls.iter().find(|(called, _)| *called == name) else { continue };
        let sample = sample.as_array().unwrap();
        for given in 1..wanted.len() {
            let refused = refusal(&sample[..given]).await;
            assert!(refused.contains(&missing(given)), "{name}: {refused}");
        }
        let answered = refusal(&sample[..wanted.len()]).await;
        assert!(!answered.contains("missing value"), "{name}: {answered}");
    }
}

struct Checker<'a> {
    document: &'a Value,
    problems: Vec<String>,
}

impl Checker<'_> {
    /// Asks, and compares parameters and answer with the document.
    async fn ask(&mut self, client: &WsClient, name: &str, parameters: Value) -> Value {
        let methods = self.document["methods"].as_array().unwrap();
        let method =
            methods.iter().find(|method| method["name"] == name).unwrap_or_else(|| panic!("{name} is described"));
        let list = parameters.as_array().unwrap();
        let described = method["params"].as_array().unwrap();
        assert!(list.len() <= described.len(), "{name} has fewer parameters");
        for (position, parameter) in described.iter().enumerate() {
            match list.get(position).filter(|value| !value.is_null()) {
                Some(value) => self.check(&parameter["schema"], value, &format!("{name}({})", parameter["name"])),
                None if parameter["required"] == json!(true) => {
                    self.problems.push(format!("{name}: {} is missing", parameter["name"]))
                }
                None => {}
            }
        }
        let answer = client.request::<Value, _>(name, list.clone()).await;
        let answer = answer.unwrap_or_else(|error| {
            self.problems.push(format!("{name}: {error}"));
            Value::Null
        });
        self.check(&method["result"]["schema"], &answer, name);
        answer
    }

    fn check(&mut self, schema: &Value, value: &Value, place: &str) {
        self.problems.extend(problems(self.document, schema, value, place));
    }
}

/// Where a value is not as a schema says: of JSON Schema draft 7 what our documents use, and stricter, for an object has no other fields than
/// those that are named.
pub fn problems(document: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let Some(keywords) = schema.as_object() else { return Vec::new() };
    let mut found = Vec::new();
    let mut wrong = |what: String| found.push(format!("{place}: {what}"));
    let mut deeper = Vec::new();
    for (keyword, wanted) in keywords {
        match keyword.as_str() {
            "$ref" => {
                let named = resolve(document, wanted.as_str().unwrap()).unwrap_or_else(|| panic!("{wanted} is there"));
                deeper.extend(problems(document, named, value, place));
            }
            "type" => {
                let types = wanted.as_array().cloned().unwrap_or_else(|| vec![wanted.clone()]);
                if !types.iter().any(|wanted| is_type(value, wanted.as_str().unwrap())) {
                    wrong(format!("{value} is no {wanted}"));
                }
            }
            "enum" if !wanted.as_array().unwrap().contains(value) => wrong(format!("{value} is none of {wanted}")),
            "const" if wanted != value => wrong(format!("{value} is not {wanted}")),
            "pattern" => {
                let pattern = regex::Regex::new(wanted.as_str().unwrap()).unwrap();
                if value.as_str().is_some_and(|text| !pattern.is_match(text)) {
                    wrong(format!("{value} does not match {wanted}"));
                }
            }
            "minimum" if value.is_number() && value.as_f64() < wanted.as_f64() => {
                wrong(format!("{value} is below {wanted}"))
            }
            "maximum" if value.as_f64() > wanted.as_f64() => wrong(format!("{value} is above {wanted}")),
            "maxItems" if value.as_array().map(|items| items.len() as u64) > wanted.as_u64() => {
                wrong(format!("more than {wanted}"))
            }
            "items" => {
                let items = value.as_array().into_iter().flatten().enumerate();
                deeper.extend(
                    items.flat_map(|(index, item)| problems(document, wanted, item, &format!("{place}[{index}]"))),
                );
            }
            "required" => {
                let missing =
                    wanted.as_array().unwrap().iter().filter(|name| value.get(name.as_str().unwrap()).is_none());
                deeper.extend(missing.map(|name| format!("{place}: {name} is missing")));
            }
            "properties" => deeper.extend(fields(document, keywords, wanted, value, place)),
            "additionalProperties" if !keywords.contains_key("properties") => {
                let all = value.as_object().into_iter().flatten();
                deeper.extend(
                    all.flat_map(|(name, field)| problems(document, wanted, field, &format!("{place}.{name}"))),
                );
            }
            "anyOf" | "oneOf" => {
                let each: Vec<_> =
                    wanted.as_array().unwrap().iter().map(|one| problems(document, one, value, place)).collect();
                if each.iter().all(|problems| !problems.is_empty()) {
                    deeper.extend(each.into_iter().min_by_key(Vec::len).unwrap_or_default());
                }
            }
            "allOf" => {
                deeper.extend(wanted.as_array().unwrap().iter().flat_map(|one| problems(document, one, value, place)));
            }
            "enum"
            | "const"
            | "minimum"
            | "maximum"
            | "maxItems"
            | "additionalProperties"
            | "description"
            | "title"
            | "format"
            | "default" => {}
            other => panic!("{place}: this test does not know {other}"),
        }
    }
    found.extend(deeper);
    found
}

fn fields(document: &Value, keywords: &Map<String, Value>, wanted: &Value, value: &Value, place: &str) -> Vec<String> {
    let others = keywords.get("additionalProperties").filter(|others| others.is_object());
    let all = value.as_object().into_iter().flatten();
    all.flat_map(|(name, field)| match wanted.get(name).or(others) {
        Some(schema) => problems(document, schema, field, &format!("{place}.{name}")),
        None => vec![format!("{place}: {name} is not described: {field}")],
    })
    .collect()
}

fn is_type(value: &Value, wanted: &str) -> bool {
    match wanted {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let document = json!({ "components": { "schemas": {
        "uint": { "type": "string", "pattern": "^0x(0|[1-9a-f][0-9a-f]*)$" },
        "pair": { "type": "object", "required": ["one"], "properties": { "one": { "$ref": "#/components/schemas/uint" }, "two": { "type": ["integer", "null"] } } },
    } } });
    let schema = json!({ "anyOf": [{ "$ref": "#/components/schemas/pair" }, { "type": "null" }] });
    let wrong = |value: Value| !problems(&document, &schema, &value, "").is_empty();
    assert!(!wrong(json!(null)) && !wrong(json!({ "one": "0x1" })) && !wrong(json!({ "one": "0x0", "two": null })));
    for value in [
        json!(1),
        json!({}),
        json!({ "one": "0x01" }),
        json!({ "one": "0x1", "two": "2" }),
        json!({ "one": "0x1", "three": 3 }),
    ] {
        assert!(wrong(value.clone()), "{value}");
    }
}
