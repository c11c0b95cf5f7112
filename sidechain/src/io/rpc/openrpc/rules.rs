//! Methods of the `eth` namespace that tell by which rules a node runs, and what it has.

use serde_json::json;

use super::description::{Description, method, named};
use super::schema::{Schemas, link, map, object};

pub fn methods() -> Vec<Description> {
    vec![
        method("eth_coinbase", "The account that gets the fees of this node's blocks.", named("address")),
        method("eth_config", "The forks of the chain (EIP-7910): one, and none to come.", named("config")),
        method("eth_capabilities", "From which block on the node has what.", named("capabilities")),
    ]
}

pub fn schemas() -> Schemas {
    let none = || json!({ "type": "null" });
    let blobs = ["baseFeeUpdateFraction", "max", "target"].map(|name| (name, link("integer")));
    let fork = [
        ("activationTime", link("integer")),
        ("blobSchedule", object(&blobs, &[])),
        ("chainId", link("uint")),
        ("forkId", link("bytes")),
        ("precompiles", map(link("address"))),
        ("systemContracts", map(link("address"))),
    ];
    let window = json!({ "type": "string", "enum": ["window"] });
    let strategy = object(&[("type", window), ("retentionBlocks", link("uint"))], &[]);
    let kept = [("disabled", link("boolean")), ("oldestBlock", link("uint"))];
    let parts = ["state", "tx", "logs", "receipts", "blocks", "stateproofs"].map(|name| (name, link("kept")));
    let head = object(&[("number", link("uint")), ("hash", link("hash32"))], &[]);
    let capabilities: Schemas = [("head", head)].into_iter().chain(parts).collect();
    vec![
        ("config", object(&[("current", object(&fork, &[])), ("next", none()), ("last", none())], &[])),
        ("kept", object(&kept, &[("deleteStrategy", strategy)])),
        ("capabilities", object(&capabilities, &[])),
    ]
}
