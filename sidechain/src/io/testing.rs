//! Blocks without consensus, for tests of a node that is alone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_primitives::Address;
use light::finality::certify;

use super::{NodeStore, clock::now_ms, node_state::NodeState};
use crate::{
    block::{Block, next_base_fee},
    chain::Chain,
    execution::Stop,
    testing::validator,
};

/// Makes a block of the transactions in the pool, at most 1,000, and makes it final.
///
/// # Panics
///
/// When the store fails.
pub fn make_block(state: &NodeState) {
    finalize(state, &propose(state), None);
}

/// The same with a certificate of three of the four validators of [`crate::testing::genesis`], whose chain it is.
///
/// # Panics
///
/// When the store fails.
pub fn make_certified_block(state: &NodeState) {
    let block = propose(state);
    let secrets: Vec<_> = (1..=4).map(validator).collect();
    let network = state.chain.genesis().network_id();
    let certificate = certify(network, &secrets, &[0, 1, 2], block.number() + 1, block.hash());
    finalize(state, &block, Some(&certificate));
}

fn propose(state: &NodeState) -> Block {
    let chain = &state.chain;
    let base_fee = next_base_fee(&chain.head());
    let candidates: Vec<_> = state.pool().candidates(base_fee).take(1_000).collect();
    let proposer = Address::repeat_byte(0xbe);
    chain
        .propose(chain.head_hash(), now_ms(), proposer, candidates.into_iter(), &Stop::never())
        .expect("the head is known")
}

fn finalize(state: &NodeState, block: &Block, certificate: Option<&[u8]>) {
    if let Some(finalized) = state.chain.finalize_certified(block, certificate).expect("our own block") {
        state.on_finalized(finalized, now_ms()).expect("the store works");
        state.try_free_heads_again(now_ms());
    }
}

/// The last user of a chain. Dropped, it waits until nobody else uses it, and closes its database: a thread that still reads while the process ends
/// would abort it.
pub struct LastUser(Arc<Chain<NodeStore>>);

impl LastUser {
    #[must_use]
    pub fn of(chain: Arc<Chain<NodeStore>>) -> Self {
        Self(chain)
    }
}

impl Drop for LastUser {
    fn drop(&mut self) {
        let begun = Instant::now();
        while Arc::strong_count(&self.0) > 1 && begun.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
