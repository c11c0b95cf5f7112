//! Makes a block final, in the same way for validators and followers.

use std::time::Instant;

use tracing::{debug, info};

use crate::{block::Block, io::node_state::NodeState};

/// Makes a block final here, with its certificate if it has one of its own, and passes it to the pool and the subscribers.
/// `now_ms` is Unix time. Idempotent.
///
/// # Errors
///
/// A store that failed, in words: the node stops.
pub(super) fn commit(state: &NodeState, block: &Block, certificate: Option<&[u8]>, now_ms: u64) -> Result<(), String> {
    let (chain, begun) = (&state.chain, Instant::now());
    let finalized = chain.finalize_certified(block, certificate).map_err(|error| error.to_string())?;
    let Some(finalized) = finalized else {
        return Ok(());
    };
    if certificate.is_some() {
        state.snapshots.on_final(chain.store(), block.header.number, now_ms).map_err(|error| error.to_string())?;
    }
    state.counters.committed.took(begun.elapsed());
    debug!(
        number = block.header.number,
        hash = %finalized.hash,
        transactions = block.transactions.len(),
        gas = block.header.gas_used,
        "block final"
    );
    if let Some(minute) = state.final_blocks.count(block.transactions.len(), Instant::now()) {
        info!(
            head = block.header.number,
            blocks = minute.blocks,
            transactions = minute.transactions,
            "blocks became final since the last such line"
        );
    }
    state.on_finalized(finalized, now_ms).map_err(|error| error.to_string())
}
