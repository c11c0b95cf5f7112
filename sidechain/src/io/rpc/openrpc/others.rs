//! The `net`, `web3`, `txpool` and `rpc` namespaces.

use serde_json::json;

use super::description::{Description, Shape, method, named};
use super::schema::{link, map};

pub fn methods() -> Vec<Description> {
    let chain_id = Shape::Json(json!({ "type": "string", "pattern": "^[1-9][0-9]*$" }));
    let modules = Shape::Json(map(link("string")));
    let document = Shape::Json(json!({
        "type": "object",
        "required": ["openrpc", "info", "methods", "components"],
        "properties": {
            "openrpc": { "type": "string", "pattern": "^1\\.[0-9]+\\.[0-9]+$" },
            "info": { "type": "object", "additionalProperties": true },
            "methods": { "type": "array", "items": { "type": "object", "additionalProperties": true } },
            "components": { "type": "object", "additionalProperties": true },
        },
    }));
    vec![
        method("net_version", "Chain id, as decimal text.", chain_id),
        method("net_listening", "Whether others can reach the node as a peer.", named("boolean")),
        method("net_peerCount", "Connected validators.", named("uint")),
        method("web3_clientVersion", "Name and version of the node.", named("string")),
        method("web3_sha3", "Keccak-256.", named("hash32")).wants("data", named("bytes")),
        method("txpool_status", "How many transactions wait.", named("poolStatus")),
        method("txpool_content", "All that wait, by sender and nonce.", named("poolContent")),
        method("txpool_inspect", "All that wait, a line each.", named("poolLines")),
        method("txpool_contentFrom", "What waits of one sender, by nonce.", named("poolOfAccount"))
            .wants("address", named("address")),
        method("rpc_modules", "The namespaces that this server has, with their versions.", modules),
        method("rpc.discover", "This document.", document),
    ]
}
