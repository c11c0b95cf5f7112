//! The `eth` namespace.

use serde_json::json;

use super::description::{Description, Shape, either_or_null, list, method, named, or_null};

pub fn methods() -> Vec<Description> {
    [chain(), blocks(), transactions(), state(), vec![simulation()], logs()].concat()
}

fn chain() -> Vec<Description> {
    let percentiles = Shape::Json(
        json!({ "type": "array", "maxItems": 100, "items": { "type": "number", "minimum": 0, "maximum": 100 } }),
    );
    vec![
        method("eth_chainId", "Chain id.", named("uint")),
        method("eth_blockNumber", "Number of the last block.", named("uint")),
        method("eth_syncing", "False, or how far the node is.", named("syncing")),
        method("eth_mining", "Whether the node mines: it does not.", named("boolean")),
        method("eth_hashrate", "Hashes a second: none.", named("uint")),
        method("eth_gasPrice", "Wei per gas that a legacy transaction should offer.", named("uint")),
        method("eth_maxPriorityFeePerGas", "Wei per gas that most would offer beside the base fee.", named("uint")),
        method("eth_baseFee", "Wei per gas: the next block's base fee.", named("uint")),
        method("eth_blobBaseFee", "Wei per blob gas: 1, for there are no blobs.", named("uint")),
        method("eth_feeHistory", "Base fees, tips and how full blocks were.", named("feeHistory"))
            .wants("block count", count())
            .wants("newest block", named("blockNumberOrTag"))
            .takes("reward percentiles", percentiles),
    ]
}

/// A number as a quantity or as it is.
fn count() -> Shape {
    Shape::Json(json!({ "anyOf": [{ "$ref": "#/components/schemas/uint" }, { "type": "integer", "minimum": 0 }] }))
}

fn blocks() -> Vec<Description> {
    let by_number =
        |name, summary, result| method(name, summary, result).wants("block number", named("blockNumberOrTag"));
    let by_hash = |name, summary, result| method(name, summary, result).wants("block hash", named("hash32"));
    let receipts = Shape::Json(
        json!({ "anyOf": [{ "type": "array", "items": { "$ref": "#/components/schemas/receipt" } }, { "type": "null" }] }),
    );
    vec![
        by_number("eth_getBlockByNumber", "A block.", either_or_null(&["block", "pendingBlock"]))
            .takes("full transactions", named("boolean")),
        by_hash("eth_getBlockByHash", "A block.", or_null("block")).takes("full transactions", named("boolean")),
        by_number("eth_getHeaderByNumber", "A block's header.", either_or_null(&["blockHeader", "pendingHeader"])),
        by_hash("eth_getHeaderByHash", "A block's header.", or_null("blockHeader")),
        by_number("eth_getBlockTransactionCountByNumber", "How many transactions a block has.", or_null("uint")),
        by_hash("eth_getBlockTransactionCountByHash", "How many transactions a block has.", or_null("uint")),
        by_number("eth_getUncleCountByBlockNumber", "How many uncles a block has: none.", or_null("uint")),
        by_hash("eth_getUncleCountByBlockHash", "How many uncles a block has: none.", or_null("uint")),
        by_number("eth_getUncleByBlockNumberAndIndex", "An uncle of a block: there is none.", nothing())
            .wants("index", named("uint")),
        by_hash("eth_getUncleByBlockHashAndIndex", "An uncle of a block: there is none.", nothing())
            .wants("index", named("uint")),
        method("eth_getBlockReceipts", "The receipts of a block.", receipts)
            .wants("block", named("blockNumberOrTagOrHash")),
    ]
}

fn nothing() -> Shape {
    Shape::Json(json!({ "type": "null" }))
}

fn transactions() -> Vec<Description> {
    let by_hash = |name, summary, result| method(name, summary, result).wants("transaction hash", named("hash32"));
    let of_number = |name, summary, result| {
        method(name, summary, result).wants("block number", named("blockNumberOrTag")).wants("index", named("uint"))
    };
    let of_hash = |name, summary, result| {
        method(name, summary, result).wants("block hash", named("hash32")).wants("index", named("uint"))
    };
    vec![
        by_hash("eth_getTransactionByHash", "A transaction, also of the pool.", or_null("transactionInfo")),
        by_hash("eth_getRawTransactionByHash", "The bytes of a transaction, also of the pool.", or_null("bytes")),
        method(
            "eth_getTransactionBySenderAndNonce",
            "A sender's transaction with a nonce, also of the pool.",
            or_null("transactionInfo"),
        )
        .wants("sender", named("address"))
        .wants("nonce", named("uint")),
        of_number("eth_getTransactionByBlockNumberAndIndex", "A transaction by its place.", or_null("transactionInfo")),
        of_hash("eth_getTransactionByBlockHashAndIndex", "A transaction by its place.", or_null("transactionInfo")),
        of_number(
            "eth_getRawTransactionByBlockNumberAndIndex",
            "The bytes of a transaction by its place.",
            or_null("bytes"),
        ),
        of_hash(
            "eth_getRawTransactionByBlockHashAndIndex",
            "The bytes of a transaction by its place.",
            or_null("bytes"),
        ),
        by_hash("eth_getTransactionReceipt", "A receipt, once the transaction is in a block.", or_null("receipt")),
        method("eth_sendRawTransaction", "Hands in a transaction; its hash.", named("hash32"))
            .wants("transaction", named("bytes")),
        method("eth_sendRawTransactionSync", "Hands in a transaction and waits; its receipt.", named("receipt"))
            .wants("transaction", named("bytes"))
            .takes("timeout", count())
            .refuses(4, "It waits, and is in no block in time; data is its hash.")
            .refuses(5, "One with an earlier nonce is missing; data is its hash."),
    ]
}

fn state() -> Vec<Description> {
    let of = |name, summary, result| method(name, summary, result).wants("address", named("address"));
    let at = |method: Description| method.takes("block", named("blockNumberOrTagOrHash"));
    let tried = |method: Description| {
        let method = at(method.wants("transaction", named("transactionCall")));
        method.takes("state overrides", named("stateOverride")).takes("block overrides", named("blockOverride"))
    };
    let wanted =
        Shape::Json(json!({ "type": "object", "additionalProperties": { "$ref": "#/components/schemas/slots" } }));
    vec![
        at(of("eth_getBalance", "The balance of an account, in wei.", named("uint"))),
        at(of("eth_getTransactionCount", "The nonce of an account.", named("uint"))),
        at(of("eth_getCode", "The code of an account.", named("bytes"))),
        at(of("eth_getStorageAt", "A slot of an account's storage.", named("hash32")).wants("slot", named("slot"))),
        at(method("eth_getStorageValues", "Slots of several accounts.", named("storageValues"))
            .wants("slots of accounts", wanted)),
        at(of("eth_getProof", "An account and slots of it, with proofs (EIP-1186).", named("accountProof"))
            .wants("slots", named("slots"))),
        tried(method("eth_call", "What a call returns.", named("bytes"))),
        tried(method("eth_estimateGas", "The gas that a transaction needs in the next block.", named("uint"))),
        tried(method("eth_createAccessList", "What a transaction touches (EIP-2930).", named("accessListResult"))),
    ]
}

/// With the errors of ethereum/execution-apis, src/eth/execute.yaml.
fn simulation() -> Description {
    let summary = "Blocks of calls on each other's state.";
    let described = method("eth_simulateV1", summary, list("simulatedBlock"))
        .wants("payload", named("simulationPayload"))
        .takes("block", named("blockNumberOrTagOrHash"));
    let refusals = [
        (-38010, "A nonce is too low."),
        (-38011, "A nonce is too high."),
        (-38012, "A fee is below the base fee."),
        (-38013, "Too little gas to begin."),
        (-38014, "Too few coins."),
        (-38015, "More gas than the block has left."),
        (-38020, "A block's number is not above its parent's."),
        (-38021, "A block's time is before its parent's."),
        (-38025, "Too much creation code."),
        (-38026, "Too many blocks, or too much gas for all calls together."),
    ];
    refusals.into_iter().fold(described, |described, (code, message)| described.refuses(code, message))
}

fn logs() -> Vec<Description> {
    let kind =
        Shape::Json(json!({ "type": "string", "enum": ["newHeads", "logs", "newPendingTransactions", "syncing"] }));
    let more = Shape::Json(json!({ "anyOf": [{ "$ref": "#/components/schemas/filter" }, { "type": "boolean" }] }));
    let of_filter = |name, summary, result| method(name, summary, result).wants("filter id", named("uint"));
    vec![
        method("eth_getLogs", "Matching logs.", list("log")).wants("filter", named("filter")),
        method("eth_newFilter", "Begins to look for logs; the filter's id.", named("uint"))
            .wants("filter", named("filter")),
        method("eth_newBlockFilter", "Begins to look for blocks; the filter's id.", named("uint")),
        method(
            "eth_newPendingTransactionFilter",
            "Begins to look for waiting transactions; the filter's id.",
            named("uint"),
        ),
        of_filter("eth_getFilterChanges", "What came since the last poll.", named("filterChanges")),
        of_filter("eth_getFilterLogs", "All logs of a filter.", list("log")),
        of_filter("eth_uninstallFilter", "Forgets a filter; whether there was one.", named("boolean")),
        method("eth_subscribe", "Over a WebSocket: begins a subscription; its id.", named("subscriptionId"))
            .wants("subscription", kind)
            .takes("filter, or whether transactions are full", more),
        method("eth_unsubscribe", "Ends a subscription; whether there was one.", named("boolean"))
            .wants("subscription id", named("subscriptionId")),
    ]
}
