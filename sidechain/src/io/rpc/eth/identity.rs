//! The chain's id, and methods with the same answer always.

use alloy_primitives::{U64, U256};
use serde_json::{Value, json};

use super::super::context::Context;
use super::super::method::{Methods, Registered, inline};
use crate::standing::Behind;

pub fn register(methods: &mut Methods) -> Registered {
    inline(methods, "eth_chainId", |context, _| Ok(U64::from(context.chain().genesis().chain_id)))?;
    inline(methods, "eth_syncing", |context, _| Ok(syncing(context)))?;
    inline(methods, "eth_mining", |_, _| Ok(false))?;
    inline(methods, "eth_hashrate", |_, _| Ok(U256::ZERO))
}

/// Where the node is on its way to the newest block that it heard of; `false` when it is there.
fn syncing(context: &Context) -> Value {
    let head = context.chain().head().number;
    let behind = context.state.facts().behind(head);
    behind.map_or(Value::Bool(false), |Behind { starting, current, highest }| {
        json!({
            "startingBlock": U64::from(starting),
            "currentBlock": U64::from(current),
            "highestBlock": U64::from(highest),
        })
    })
}
