//! The `debug` and `ots` namespaces: shapes of geth's tracers, and of Otterscan (its custom-jsonrpc.md).

use serde_json::{Value, json};

use super::super::ots::MAX_PAGE;
use super::description::{Description, Shape, list, method, named, or_null};
use super::ethereum::{header, header_of_forks, receipt};
use super::schema::{Schemas, any, array, link, map, nullable, object};

pub fn methods() -> Vec<Description> {
    [traces(), stored(), otterscan(), otterscan_finds()].concat()
}

pub fn schemas() -> Schemas {
    [options(), steps(), calls(), frames(), flat_calls(), blocks_of_otterscan(), calls_of_otterscan()].concat()
}

fn traces() -> Vec<Description> {
    vec![
        method("debug_traceTransaction", "What ran in a transaction.", named("trace"))
            .wants("transaction hash", named("hash32"))
            .takes("options", named("traceOptions")),
        method("debug_traceBlockByNumber", "What ran in each transaction of a block.", list("blocksTrace"))
            .wants("block number", named("blockNumberOrTag"))
            .takes("options", named("traceOptions")),
        method("debug_traceBlockByHash", "What ran in each transaction of a block.", list("blocksTrace"))
            .wants("block hash", named("hash32"))
            .takes("options", named("traceOptions")),
        method("debug_traceCall", "What runs in a call that is tried.", named("trace"))
            .wants("transaction", named("transactionCall"))
            .takes("block", named("blockNumberOrTagOrHash"))
            .takes("options", named("traceCallOptions")),
    ]
}

fn stored() -> Vec<Description> {
    let of_block =
        |name, summary, result| method(name, summary, result).wants("block", named("blockNumberOrTagOrHash"));
    let none = Shape::Json(json!({ "type": "array", "maxItems": 0 }));
    vec![
        of_block("debug_getRawHeader", "A block's header as RLP.", named("bytes")),
        of_block("debug_getRawBlock", "A block as RLP, as Ethereum's networks pass it on.", named("bytes")),
        of_block("debug_getRawReceipts", "The bytes of each receipt of a block.", list("bytes")),
        method("debug_getRawTransaction", "The bytes of a transaction, also of the pool.", or_null("bytes"))
            .wants("transaction hash", named("hash32")),
        method("debug_getBadBlocks", "Blocks that failed verification: none is kept.", none),
    ]
}

fn otterscan() -> Vec<Description> {
    let by_number =
        |name, summary, result| method(name, summary, result).wants("block number", named("otsBlockNumber"));
    let by_hash = |name, summary, result| method(name, summary, result).wants("transaction hash", named("hash32"));
    let list_or_null = |name| Shape::Json(nullable(array(link(name))));
    vec![
        method("ots_getApiLevel", "The level of Otterscan's interface.", named("integer")),
        method("ots_hasCode", "Whether an account has code.", named("boolean"))
            .wants("address", named("address"))
            .takes("block", named("otsBlockNumber")),
        by_number("ots_getBlockDetails", "A block without its transactions.", or_null("otsBlockDetails")),
        method("ots_getBlockDetailsByHash", "A block without its transactions.", or_null("otsBlockDetails"))
            .wants("block hash", named("hash32")),
        by_number("ots_getBlockTransactions", "A page of a block's transactions.", or_null("otsPage"))
            .wants("page number", named("integer"))
            .wants("page size", Shape::Json(json!({ "type": "integer", "minimum": 0, "maximum": MAX_PAGE }))),
        by_hash("ots_getTransactionError", "What a transaction reverted with.", or_null("bytes")),
        by_hash("ots_traceTransaction", "The calls of a transaction as a list.", list_or_null("otsCall")),
        by_hash("ots_getInternalOperations", "What contracts moved and created.", list_or_null("otsOperation")),
    ]
}

fn otterscan_finds() -> Vec<Description> {
    // Refused whatever is asked.
    let search = |name| {
        let described = method(name, "Refused: there is no such index.", Shape::Json(json!({ "type": "null" })));
        let described = described.takes("address", named("address")).takes("block number", named("otsBlockNumber"));
        described.takes("page size", named("integer"))
    };
    vec![
        method("ots_getContractCreator", "Who created a contract, and in which transaction.", or_null("otsCreator"))
            .wants("address", named("address")),
        method("ots_getTransactionBySenderAndNonce", "The transaction with a nonce.", or_null("hash32"))
            .wants("sender", named("address"))
            .wants("nonce", named("integer")),
        search("ots_searchTransactionsBefore"),
        search("ots_searchTransactionsAfter"),
    ]
}

/// geth's; `timeout` and `reexec` change nothing here.
fn options() -> Schemas {
    let tracers = ["callTracer", "prestateTracer", "4byteTracer", "noopTracer", "flatCallTracer", "muxTracer"];
    let switches = ["enableMemory", "disableStack", "disableStorage", "enableReturnData"];
    let others = [
        ("limit", link("integer")),
        ("tracer", json!({ "type": "string", "enum": tracers })),
        ("tracerConfig", json!({ "type": "object", "additionalProperties": true })),
        ("timeout", link("string")),
        ("reexec", link("integer")),
    ];
    let options: Schemas = switches.map(|name| (name, link("boolean"))).into_iter().chain(others).collect();
    let of_calls = [
        ("stateOverrides", link("stateOverride")),
        ("blockOverrides", link("blockOverride")),
        ("txIndex", link("uint")),
    ];
    let with_place: Schemas = options.iter().cloned().chain(of_calls).collect();
    vec![("traceOptions", object(&[], &options)), ("traceCallOptions", object(&[], &with_place))]
}

fn steps() -> Schemas {
    let step = [
        ("pc", link("integer")),
        ("op", link("string")),
        ("gas", link("integer")),
        ("gasCost", link("integer")),
        ("depth", link("integer")),
    ];
    let where_asked_for = [
        ("refund", link("integer")),
        ("stack", array(link("uint"))),
        ("memory", array(link("bytes"))),
        ("returnData", link("bytes")),
        ("storage", map(link("hash32"))),
        ("error", link("string")),
    ];
    let all = [
        ("structLogs", array(link("traceStep"))),
        ("gas", link("integer")),
        ("failed", link("boolean")),
        ("returnValue", link("bytes")),
    ];
    vec![("traceStep", object(&step, &where_asked_for)), ("traceSteps", object(&all, &[]))]
}

/// `callTracer`.
fn calls() -> Schemas {
    let call = [
        ("type", link("string")),
        ("from", link("address")),
        ("gas", link("uint")),
        ("gasUsed", link("uint")),
        ("input", link("bytes")),
    ];
    let of_some_calls = [
        ("to", link("address")),
        ("value", link("uint")),
        ("output", link("bytes")),
        ("error", link("string")),
        ("revertReason", link("string")),
        ("calls", array(link("callFrame"))),
        ("logs", array(link("callLog"))),
    ];
    let log = [("address", link("address")), ("topics", array(link("hash32"))), ("data", link("bytes"))];
    let places = [("position", link("uint")), ("index", link("uint"))];
    vec![("callFrame", object(&call, &of_some_calls)), ("callLog", object(&log, &places))]
}

/// What the other tracers with a name answer, and any.
fn frames() -> Schemas {
    let account = [
        ("balance", link("uint")),
        ("nonce", link("integer")),
        ("code", link("bytes")),
        ("storage", map(link("hash32"))),
    ];
    // Of noopTracer it is empty.
    let counts = map(link("integer"));
    let accounts = || map(object(&[], &account));
    let before = any(&[object(&[("pre", accounts()), ("post", accounts())], &[]), accounts()]);
    let flat = array(link("flatCall"));
    let several = [
        ("callTracer", link("callFrame")),
        ("prestateTracer", link("accountsBefore")),
        ("4byteTracer", link("selectorCounts")),
        ("noopTracer", link("selectorCounts")),
        ("flatCallTracer", flat.clone()),
    ];
    let named = ["traceSteps", "callFrame", "accountsBefore", "selectorCounts", "severalTraces"];
    let traces: Vec<Value> = named.into_iter().map(link).chain([flat]).collect();
    vec![
        ("accountsBefore", before),
        ("selectorCounts", counts),
        ("severalTraces", object(&[], &several)),
        ("trace", any(&traces)),
        ("blocksTrace", object(&[("txHash", link("hash32")), ("result", link("trace"))], &[])),
    ]
}

/// `flatCallTracer`: geth's list, and within `muxTracer` Parity's.
fn flat_calls() -> Schemas {
    let kind = |kinds: &[&str]| json!({ "type": "string", "enum": kinds });
    let call = [
        ("from", link("address")),
        ("to", link("address")),
        ("callType", kind(&["call", "callcode", "delegatecall", "staticcall"])),
        ("gas", link("uint")),
        ("input", link("bytes")),
        ("value", link("uint")),
    ];
    let creation = [
        ("from", link("address")),
        ("creationMethod", kind(&["create", "create2"])),
        ("gas", link("uint")),
        ("init", link("bytes")),
        ("value", link("uint")),
    ];
    let end = [("address", link("address")), ("balance", link("uint")), ("refundAddress", link("address"))];
    let called = [("gasUsed", link("uint")), ("output", link("bytes"))];
    let created = [("address", link("address")), ("code", link("bytes")), ("gasUsed", link("uint"))];
    let results = any(&[object(&called, &[]), object(&created, &[]), json!({ "type": "null" })]);
    let entry = [
        ("type", kind(&["call", "create", "suicide"])),
        ("action", any(&[object(&call, &[]), object(&creation, &[]), object(&end, &[])])),
        ("subtraces", link("integer")),
        ("traceAddress", array(link("integer"))),
        ("transactionHash", nullable(link("hash32"))),
        ("transactionPosition", nullable(link("integer"))),
    ];
    let of_some = [
        ("blockHash", nullable(link("hash32"))),
        ("blockNumber", link("integer")),
        ("error", link("string")),
        ("result", results),
    ];
    vec![("flatCall", object(&entry, &of_some))]
}

fn blocks_of_otterscan() -> Schemas {
    let issuance = ["blockReward", "uncleReward", "issuance"].map(|name| (name, link("uint")));
    let details = [("block", link("otsBlock")), ("issuance", object(&issuance, &[])), ("totalFees", link("uint"))];
    let block = header().into_iter().chain([
        ("size", link("uint")),
        ("uncles", array(link("hash32"))),
        ("transactionCount", link("integer")),
    ]);
    let block: Schemas = block.collect();
    let withdrawals = ("withdrawals", json!({ "type": "array", "maxItems": 0 }));
    let of_forks: Schemas = header_of_forks().into_iter().chain([withdrawals]).collect();
    let full: Schemas = block.iter().cloned().chain([("transactions", array(link("transactionInfo")))]).collect();
    // Otterscan does not look at logs here.
    let without_logs = |(name, shape)| match name {
        "logs" | "logsBloom" => (name, json!({ "type": "null" })),
        _ => (name, shape),
    };
    let receipt: Schemas = receipt().into_iter().map(without_logs).chain([("timestamp", link("uint"))]).collect();
    vec![
        ("otsBlock", object(&block, &of_forks)),
        ("otsFullBlock", object(&full, &of_forks)),
        ("otsReceipt", object(&receipt, &[])),
        ("otsBlockNumber", any(&[link("integer"), link("uint"), link("blockTag")])),
        ("otsBlockDetails", object(&details, &[])),
        ("otsPage", object(&[("fullblock", link("otsFullBlock")), ("receipts", array(link("otsReceipt")))], &[])),
    ]
}

fn calls_of_otterscan() -> Schemas {
    let call = [
        ("type", link("string")),
        ("depth", link("integer")),
        ("from", link("address")),
        ("to", link("address")),
        ("value", nullable(link("uint"))),
        ("input", link("bytes")),
        ("output", link("bytes")),
    ];
    let operation = [
        ("type", json!({ "type": "integer", "minimum": 0, "maximum": 3 })),
        ("from", link("address")),
        ("to", link("address")),
        ("value", link("uint")),
    ];
    vec![
        ("otsCall", object(&call, &[])),
        ("otsOperation", object(&operation, &[])),
        ("otsCreator", object(&[("hash", link("hash32")), ("creator", link("address"))], &[])),
    ]
}
