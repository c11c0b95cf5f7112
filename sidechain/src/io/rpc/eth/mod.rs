//! The `eth` namespace: what is sent here; what is read is in the files of this folder.

mod blocks;
mod calls;
mod fees;

pub use blocks::{log_filter, logs, number};

use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use jsonrpsee::RpcModule;
use serde_json::json;

use super::method::{Arguments, Registered, on_worker, worker};
use super::{Node, error};
use crate::io::{clock::now_ms, node_state::Gossip};

pub fn register(module: &mut RpcModule<Node>) -> Registered {
    worker(module, "eth_chainId", |node, _| Ok(U64::from(node.chain().genesis().chain_id)))?;
    worker(module, "eth_accounts", |_, _| Ok(Vec::<Address>::new()))?;
    // What this node shows is final. A follower that lags behind shows the blocks it has.
    worker(module, "eth_syncing", |_, _| Ok(false))?;
    worker(module, "eth_mining", |_, _| Ok(false))?;
    worker(module, "eth_hashrate", |_, _| Ok(U256::ZERO))?;
    module.register_async_method("eth_sendRawTransaction", |params, node, _| async move {
        let raw: Bytes = Arguments::new(&params)?.next("transaction")?;
        send_raw(node, raw).await
    })?;
    blocks::register(module)?;
    calls::register(module)?;
    fees::register(module)
}

/// Puts a transaction into the pool and passes it on: to the other validators, or to the node this one follows.
async fn send_raw(node: Arc<Node>, raw: Bytes) -> error::Result<B256> {
    if let Some(upstream) = &node.state.upstream {
        upstream.request("eth_sendRawTransaction", vec![json!(raw)]).await.map_err(error::upstream)?;
    }
    let bytes = raw.clone();
    let hash = on_worker(node.clone(), move |node| node.state.admit(&bytes, now_ms()).map_err(error::admit));
    let hash = match hash.await {
        // The followed node has it: that ours knows it too, or is behind, is no failure for the user.
        Err(_) if node.state.upstream.is_some() => return Ok(alloy_primitives::keccak256(&raw)),
        hash => hash?,
    };
    if node.state.upstream.is_none() && node.state.gossip.try_send(Gossip::Transaction(raw)).is_err() {
        tracing::warn!(%hash, "gossip is full: the transaction waits for a block of this validator");
    }
    Ok(hash)
}
