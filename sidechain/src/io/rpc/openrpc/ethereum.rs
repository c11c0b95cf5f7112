//! Shapes of Ethereum's JSON-RPC: the schemas of ethereum/execution-apis, `src/schemas`, as far as a chain without blobs and uncles has them.

use serde_json::{Value, json};

use super::schema::{Schemas, any, array, link, map, nullable, object, text};
use crate::chain::MAX_SIMULATED_BLOCKS;

/// The shapes by their names there.
pub fn schemas() -> Schemas {
    [basic(), blocks(), transactions(), calls(), simulation(), others()].concat()
}

fn basic() -> Schemas {
    vec![
        ("address", text("^0x[0-9a-fA-F]{40}$")),
        ("bytes", text("^0x([0-9a-f]{2})*$")),
        ("bytes8", text("^0x[0-9a-f]{16}$")),
        ("bytes256", text("^0x[0-9a-f]{512}$")),
        ("hash32", text("^0x[0-9a-f]{64}$")),
        ("uint", text("^0x(0|[1-9a-f][0-9a-f]*)$")),
        ("byte", text("^0x([0-9a-f]|[1-9a-f][0-9a-f])$")),
        ("blockTag", json!({ "type": "string", "enum": ["earliest", "finalized", "safe", "latest", "pending"] })),
        ("blockNumberOrTag", any(&[link("uint"), link("blockTag")])),
        ("blockNumberOrTagOrHash", any(&[link("uint"), link("blockTag"), link("hash32"), by_number(), by_hash()])),
        ("subscriptionId", text("^0x[0-9a-f]{32}$")),
        ("slot", any(&[text("^0x(0|[1-9a-fA-F][0-9a-fA-F]{0,63})$"), text("^0x[0-9a-fA-F]{64}$")])),
        ("slots", array(link("slot"))),
        ("boolean", json!({ "type": "boolean" })),
        ("string", json!({ "type": "string" })),
        ("integer", json!({ "type": "integer", "minimum": 0 })),
    ]
}

/// EIP-1898.
fn by_number() -> Value {
    object(&[("blockNumber", link("uint"))], &[])
}

fn by_hash() -> Value {
    object(&[("blockHash", link("hash32"))], &[("requireCanonical", json!({ "type": "boolean" }))])
}

/// What every header has.
pub fn header() -> Schemas {
    let hashes = ["hash", "parentHash", "sha3Uncles", "transactionsRoot", "stateRoot", "receiptsRoot", "mixHash"];
    let numbers = ["difficulty", "number", "gasLimit", "gasUsed", "timestamp", "baseFeePerGas"];
    let others = [("miner", "address"), ("logsBloom", "bytes256"), ("extraData", "bytes"), ("nonce", "bytes8")];
    let hashes = hashes.map(|name| (name, link("hash32")));
    let numbers = numbers.map(|name| (name, link("uint")));
    let others = others.map(|(name, shape)| (name, link(shape)));
    hashes.into_iter().chain(numbers).chain(others).collect()
}

/// What a header has by some of Ethereum's forks.
pub fn header_of_forks() -> Schemas {
    let hashes = ["withdrawalsRoot", "parentBeaconBlockRoot", "requestsHash", "blockAccessListHash"];
    let numbers = ["blobGasUsed", "excessBlobGas", "slotNumber"];
    let hashes = hashes.map(|name| (name, link("hash32")));
    hashes.into_iter().chain(numbers.map(|name| (name, link("uint")))).collect()
}

fn blocks() -> Schemas {
    let optional = header_of_forks();
    let transactions = any(&[array(link("hash32")), array(link("transactionInfo"))]);
    let body = [("size", link("uint")), ("transactions", transactions), ("uncles", array(link("hash32")))];
    let withdrawals = [("withdrawals", json!({ "type": "array", "maxItems": 0 }))];
    let with_body: Vec<_> = header().into_iter().chain(body).collect();
    let with_withdrawals: Vec<_> = optional.iter().cloned().chain(withdrawals).collect();
    let simulated: Vec<_> = with_body.iter().cloned().chain([("calls", array(link("simulatedCall")))]).collect();
    vec![
        ("blockHeader", object(&header(), &optional)),
        ("pendingHeader", object(&without_identity(header()), &optional)),
        ("block", object(&with_body, &with_withdrawals)),
        ("pendingBlock", object(&without_identity(with_body), &with_withdrawals)),
        ("simulatedBlock", object(&simulated, &with_withdrawals)),
    ]
}

/// Of a block that is nobody's yet.
fn without_identity(fields: Schemas) -> Schemas {
    let unknown = |name| ["hash", "nonce", "miner"].contains(&name);
    let shape = |(name, shape)| (name, if unknown(name) { json!({ "type": "null" }) } else { shape });
    fields.into_iter().map(shape).collect()
}

fn transactions() -> Schemas {
    let signed = [
        ("type", link("byte")),
        ("nonce", link("uint")),
        ("gas", link("uint")),
        ("gasPrice", link("uint")),
        ("value", link("uint")),
        ("input", link("bytes")),
        ("to", nullable(link("address"))),
        ("from", link("address")),
        ("hash", link("hash32")),
        ("r", link("uint")),
        ("s", link("uint")),
    ];
    let of_some_types = [
        ("v", link("uint")),
        ("yParity", link("uint")),
        ("chainId", link("uint")),
        ("maxFeePerGas", link("uint")),
        ("maxPriorityFeePerGas", link("uint")),
        ("accessList", link("accessList")),
        ("authorizationList", array(link("authorization"))),
    ];
    let place = [
        ("blockHash", nullable(link("hash32"))),
        ("blockNumber", nullable(link("uint"))),
        ("transactionIndex", nullable(link("uint"))),
        ("blockTimestamp", nullable(link("uint"))),
    ];
    let optional: Vec<_> = of_some_types.iter().chain(&place).cloned().collect();
    vec![
        ("transactionInfo", object(&signed, &optional)),
        (
            "authorization",
            object(
                &[
                    ("chainId", link("uint")),
                    ("address", link("address")),
                    ("nonce", link("uint")),
                    ("yParity", link("uint")),
                    ("r", link("uint")),
                    ("s", link("uint")),
                ],
                &[],
            ),
        ),
        ("accessList", array(object(&[("address", link("address")), ("storageKeys", array(link("hash32")))], &[]))),
        ("receipt", object(&receipt(), &[])),
        ("log", log()),
    ]
}

/// What every receipt has.
pub fn receipt() -> Schemas {
    vec![
        ("type", link("byte")),
        ("status", link("uint")),
        ("transactionHash", link("hash32")),
        ("transactionIndex", link("uint")),
        ("blockHash", link("hash32")),
        ("blockNumber", link("uint")),
        ("from", link("address")),
        ("to", nullable(link("address"))),
        ("cumulativeGasUsed", link("uint")),
        ("gasUsed", link("uint")),
        ("contractAddress", nullable(link("address"))),
        ("logs", array(link("log"))),
        ("logsBloom", link("bytes256")),
        ("effectiveGasPrice", link("uint")),
    ]
}

fn log() -> Value {
    let required = [
        ("address", link("address")),
        ("topics", json!({ "type": "array", "items": link("hash32"), "maxItems": 4 })),
        ("data", link("bytes")),
        ("blockHash", link("hash32")),
        ("blockNumber", link("uint")),
        ("blockTimestamp", link("uint")),
        ("transactionHash", link("hash32")),
        ("transactionIndex", link("uint")),
        ("logIndex", link("uint")),
        ("removed", json!({ "type": "boolean" })),
    ];
    object(&required, &[])
}

fn calls() -> Schemas {
    let call = [
        ("type", link("byte")),
        ("nonce", link("uint")),
        ("to", nullable(link("address"))),
        ("from", link("address")),
        ("gas", link("uint")),
        ("value", link("uint")),
        ("input", link("bytes")),
        ("data", link("bytes")),
        ("gasPrice", link("uint")),
        ("maxFeePerGas", link("uint")),
        ("maxPriorityFeePerGas", link("uint")),
        ("accessList", link("accessList")),
        ("authorizationList", array(link("authorization"))),
        ("chainId", link("uint")),
    ];
    let account = [
        ("balance", link("uint")),
        ("nonce", link("uint")),
        ("code", link("bytes")),
        ("state", map(link("hash32"))),
        ("stateDiff", map(link("hash32"))),
        ("movePrecompileToAddress", link("address")),
    ];
    let block = [
        ("number", link("uint")),
        ("time", link("uint")),
        ("gasLimit", link("uint")),
        ("feeRecipient", link("address")),
        ("prevRandao", link("hash32")),
        ("baseFeePerGas", link("uint")),
    ];
    let one_or_several = |shape: &str| any(&[link(shape), array(link(shape)), json!({ "type": "null" })]);
    let filter = [
        ("fromBlock", link("blockNumberOrTag")),
        ("toBlock", link("blockNumberOrTag")),
        ("blockHash", link("hash32")),
        ("address", one_or_several("address")),
        ("topics", json!({ "type": "array", "items": one_or_several("hash32"), "maxItems": 4 })),
    ];
    vec![
        ("transactionCall", object(&[], &call)),
        ("stateOverride", map(object(&[], &account))),
        ("blockOverride", object(&[], &block)),
        ("filter", object(&[], &filter)),
    ]
}

/// `eth_simulateV1`.
fn simulation() -> Schemas {
    let block = [
        ("blockOverrides", link("blockOverride")),
        ("stateOverrides", link("stateOverride")),
        ("calls", array(link("transactionCall"))),
    ];
    let blocks = json!({ "type": "array", "items": object(&[], &block), "maxItems": MAX_SIMULATED_BLOCKS });
    let switches = ["validation", "traceTransfers", "returnFullTransactions"].map(|name| (name, link("boolean")));
    let error =
        object(&[("code", json!({ "type": "integer" })), ("message", link("string"))], &[("data", link("bytes"))]);
    let call = [
        ("returnData", link("bytes")),
        ("logs", array(link("log"))),
        ("gasUsed", link("uint")),
        ("maxUsedGas", link("uint")),
        ("status", link("uint")),
    ];
    vec![
        ("simulationPayload", object(&[("blockStateCalls", blocks)], &switches)),
        ("simulatedCall", object(&call, &[("error", error)])),
    ]
}

fn others() -> Schemas {
    let numbers = |names: &[&'static str]| names.iter().map(|name| (*name, link("uint"))).collect::<Vec<_>>();
    let slot = object(&[("key", link("bytes")), ("value", link("uint")), ("proof", array(link("bytes")))], &[]);
    let account = [
        ("address", link("address")),
        ("balance", link("uint")),
        ("codeHash", link("hash32")),
        ("nonce", link("uint")),
        ("storageHash", link("hash32")),
        ("accountProof", array(link("bytes"))),
        ("storageProof", array(slot)),
    ];
    let ratios = json!({ "type": "array", "items": { "type": "number", "minimum": 0 } });
    let history = [("oldestBlock", link("uint")), ("gasUsedRatio", ratios)];
    // Without blocks there are none.
    let blobs = [
        ("baseFeePerGas", array(link("uint"))),
        ("baseFeePerBlobGas", array(link("uint"))),
        ("blobGasUsedRatio", json!({ "type": "array", "items": { "type": "number", "minimum": 0 } })),
        ("reward", array(array(link("uint")))),
    ];
    let syncing = object(&numbers(&["startingBlock", "currentBlock", "highestBlock"]), &[]);
    let listed = object(
        &[("accessList", link("accessList")), ("gasUsed", link("uint"))],
        &[("error", json!({ "type": "string" }))],
    );
    let changes = any(&[array(link("log")), array(link("hash32"))]);
    vec![
        ("accountProof", object(&account, &[])),
        ("feeHistory", object(&history, &blobs)),
        ("syncing", any(&[json!({ "type": "boolean", "enum": [false] }), syncing])),
        ("accessListResult", listed),
        ("filterChanges", changes),
        ("storageValues", map(array(link("hash32")))),
        ("poolStatus", object(&numbers(&["pending", "queued"]), &[])),
        ("poolOfAccount", pool(map(link("transactionInfo")))),
        ("poolContent", pool(map(map(link("transactionInfo"))))),
        ("poolLines", pool(map(map(json!({ "type": "string" }))))),
    ]
}

/// By what could be in the next block and what could not.
fn pool(part: Value) -> Value {
    object(&[("pending", part.clone()), ("queued", part)], &[])
}
