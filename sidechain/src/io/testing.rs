//! Blocks without consensus, for tests of a node that is alone.

use alloy_primitives::Address;

use super::{clock::now_ms, node_state::NodeState};
use crate::{block::next_base_fee, execution::Stop};

/// Makes a block of the transactions in the pool, at most 1,000, and makes it final.
///
/// # Panics
///
/// When the store fails.
pub fn make_block(state: &NodeState) {
    let chain = &state.chain;
    let base_fee = next_base_fee(&chain.head());
    let candidates: Vec<_> = state.pool().candidates(base_fee).take(1_000).collect();
    let proposer = Address::repeat_byte(0xbe);
    let block = chain
        .propose(chain.head_hash(), now_ms(), proposer, candidates.into_iter(), &Stop::never())
        .expect("the head is known");
    if let Some(finalized) = chain.finalize(&block).expect("our own block") {
        state.on_finalized(finalized, now_ms()).expect("the store works");
        state.try_free_heads_again(now_ms());
    }
}
