//! Transactions that users send.

use std::sync::Arc;

use alloy_primitives::{B256, Bytes};
use serde_json::json;

use super::super::context::Context;
use super::super::error;
use super::super::method::{Methods, Registered, asynchronous};
use crate::access::Client;
use crate::io::node_state::{Admitted, Gossip, Source};

pub fn register(methods: &mut Methods) -> Registered {
    asynchronous(methods, "eth_sendRawTransaction", |context, mut arguments| async move {
        let raw: Bytes = arguments.next("transaction")?;
        send_raw(context, arguments.caller.client, raw).await
    })
}

/// Puts a transaction into the pool and passes it on: to the other validators, or to the node this one follows.
async fn send_raw(context: Arc<Context>, client: Client, raw: Bytes) -> error::Result<B256> {
    if let Some(upstream) = &context.state.upstream {
        upstream.request("eth_sendRawTransaction", vec![json!(raw)]).await.map_err(error::upstream)?;
    }
    let Admitted { hash, pass_on } = match context.state.submit(Source::Client(client.source), raw.clone()).await {
        // The followed node has taken it: whether this node knows it already, or is behind, does not matter to the user.
        Err(_) if context.state.upstream.is_some() => return Ok(alloy_primitives::keccak256(&raw)),
        admitted => admitted.map_err(error::admit)?,
    };
    let passes_on = pass_on && context.state.upstream.is_none();
    if passes_on && context.state.gossip.try_send(Gossip::Transaction(raw)).is_err() {
        tracing::warn!(%hash, "gossip is full: the transaction waits for a block of this validator");
    }
    Ok(hash)
}
