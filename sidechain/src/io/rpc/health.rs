//! `GET /health`, for load balancers and monitors: 200 only when the node is well, else 503 and why.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::io::{clock::now_ms, node_state::NodeState};
use crate::standing::{Facts, Ill};

/// Whether the node is well, and what is to be said of it.
pub fn judge(state: &NodeState) -> (StatusCode, Value) {
    let (head, heartbeat_ms) = (state.chain.head(), state.chain.genesis().block.heartbeat_ms);
    let ills = Facts::ills(&state.facts(), &head, heartbeat_ms, now_ms());
    let reason = |ill: &Ill| {
        let mut reason = json!(ill);
        reason["message"] = json!(ill.to_string());
        reason
    };
    let (code, status) = match ills.is_empty() {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unwell"),
    };
    let head = json!({ "number": head.number, "timestamp": head.timestamp });
    let reasons: Vec<_> = ills.iter().map(reason).collect();
    (code, json!({ "status": status, "head": head, "reasons": reasons }))
}
