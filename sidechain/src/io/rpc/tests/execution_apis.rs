//! What the node answers is as ethereum/execution-apis has it: that repository's own schemas (`data/execution-apis.json`, CC0-1.0), not ours.

use std::collections::BTreeSet;

use jsonrpsee::core::client::ClientT as _;
use jsonrpsee::ws_client::WsClient;
use serde_json::{Value, json};

use super::openrpc::{calls, problems, whole_node};

/// Methods of the specification that need no parameter.
const PLAIN: [&str; 20] = [
    "eth_accounts",
    "eth_baseFee",
    "eth_blobBaseFee",
    "eth_blockNumber",
    "eth_capabilities",
    "eth_chainId",
    "eth_coinbase",
    "eth_config",
    "eth_gasPrice",
    "eth_maxPriorityFeePerGas",
    "eth_newBlockFilter",
    "eth_newPendingTransactionFilter",
    "eth_syncing",
    "debug_getBadBlocks",
    "net_version",
    "txpool_content",
    "txpool_inspect",
    "txpool_status",
    "eth_newFilter",
    "eth_getLogs",
];

fn specification() -> Value {
    serde_json::from_str(include_str!("data/execution-apis.json")).expect("a file of JSON")
}

/// The schema of an answer. That of a trace depends on the tracer: the specification leaves the other ones open.
fn schema(specification: &Value, method: &str, parameters: &Value) -> Option<Value> {
    let of_one = |name: &str| json!({ "$ref": format!("#/schemas/{name}") });
    let options = parameters.as_array()?.last().filter(|options| options.is_object());
    let trace = match options.and_then(|options| options["tracer"].as_str()) {
        None => of_one("OpcodeTransactionTrace"),
        Some("callTracer") => of_one("CallFrame"),
        Some(_) => json!({}),
    };
    match method {
        "debug_traceTransaction" | "debug_traceCall" => Some(trace),
        "debug_traceBlockByNumber" | "debug_traceBlockByHash" => Some(json!({ "type": "array", "items": {
            "type": "object", "required": ["txHash", "result"], "properties": { "txHash": of_one("hash32"), "result": trace } } })),
        _ => specification["results"].get(method).cloned(),
    }
}

struct Asked<'a> {
    specification: &'a Value,
    client: &'a WsClient,
    methods: BTreeSet<String>,
    problems: Vec<String>,
}

impl Asked<'_> {
    async fn ask(&mut self, method: &str, parameters: Value) -> Value {
        let Some(schema) = schema(self.specification, method, &parameters) else { return Value::Null };
        let list = parameters.as_array().unwrap().clone();
        let answer =
            self.client.request::<Value, _>(method, list).await.unwrap_or_else(|error| panic!("{method}: {error}"));
        self.problems.extend(problems(self.specification, &schema, &answer, &format!("{method}({parameters})")));
        self.methods.insert(method.to_owned());
        answer
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_node_answers_is_as_the_specification_of_ethereum_says() {
    let (peg, client) = whole_node().await;
    let specification = specification();
    let mut asked =
        Asked { specification: &specification, client: &client, methods: BTreeSet::new(), problems: Vec::new() };
    for (method, parameters) in calls(&peg).await {
        asked.ask(method, parameters).await;
    }
    for method in PLAIN {
        let of_logs = ["eth_newFilter", "eth_getLogs"].contains(&method);
        asked.ask(method, if of_logs { json!([{ "fromBlock": "earliest" }]) } else { json!([]) }).await;
    }
    let filter = asked.ask("eth_newFilter", json!([{ "fromBlock": "earliest" }])).await;
    for method in ["eth_getFilterLogs", "eth_getFilterChanges", "eth_uninstallFilter"] {
        asked.ask(method, json!([filter])).await;
    }
    assert!(asked.problems.is_empty(), "\n{}", asked.problems.join("\n"));
    let all: BTreeSet<String> = specification["results"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(asked.methods, all, "each is asked");
}
