//! Transactions that users send.

use std::sync::Arc;

use alloy_primitives::{B256, Bytes};
use serde_json::json;

use super::super::context::Context;
use super::super::error;
use super::super::method::{Caller, Methods, Registered, asynchronous, on_worker};
use super::super::workers::Lane;
use crate::io::{clock::now_ms, node_state::Gossip};

pub fn register(methods: &mut Methods) -> Registered {
    asynchronous(methods, "eth_sendRawTransaction", |context, mut arguments| async move {
        let raw: Bytes = arguments.next("transaction")?;
        send_raw(context, &arguments.caller, raw).await
    })
}

/// Puts a transaction into the pool and passes it on: to the other validators, or to the node this one follows.
async fn send_raw(context: Arc<Context>, caller: &Caller, raw: Bytes) -> error::Result<B256> {
    if let Some(upstream) = &context.state.upstream {
        upstream.request("eth_sendRawTransaction", vec![json!(raw)]).await.map_err(error::upstream)?;
    }
    let bytes = raw.clone();
    let admit = move |context: &Context| context.state.admit(&bytes, now_ms()).map_err(error::admit);
    let hash = on_worker(&context, caller, Lane::Short, admit);
    let hash = match hash.await {
        // The followed node has taken it: whether this node knows it already, or is behind, does not matter to the user.
        Err(_) if context.state.upstream.is_some() => return Ok(alloy_primitives::keccak256(&raw)),
        hash => hash?,
    };
    if context.state.upstream.is_none() && context.state.gossip.try_send(Gossip::Transaction(raw)).is_err() {
        tracing::warn!(%hash, "gossip is full: the transaction waits for a block of this validator");
    }
    Ok(hash)
}
