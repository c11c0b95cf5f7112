//! What the pool offers for one block.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use alloy_primitives::B256;

use super::state::NodeState;
use crate::{
    block::Transaction,
    execution::Rules,
    limits::{MAX_FREE_BYTES, MAX_MEMBER_BYTES, MAX_MEMBER_TRANSACTIONS},
    mempool::{FreeBudget, Order},
};

/// Transactions taken from the pool under one lock, while the block is made.
const AT_ONCE: usize = 256;

/// What a proposer has to know of the blocks that its own will stand on.
#[derive(Clone, Debug)]
pub(in crate::io) struct Ancestors {
    /// Of the block after them, in wei per gas.
    pub(in crate::io) base_fee: u64,
    /// Transactions in those that are not final yet.
    pub(in crate::io) pending: BTreeSet<B256>,
}

/// The pool's transactions in their order, as long as somebody asks.
pub(in crate::io) struct Offered<'a> {
    state: &'a NodeState,
    ancestors: Arc<Ancestors>,
    order: Order,
    ready: VecDeque<Transaction>,
}

impl<'a> Offered<'a> {
    pub(in crate::io) fn new(state: &'a NodeState, ancestors: Arc<Ancestors>) -> Self {
        let order = state.pool().order(ancestors.base_fee, budget(state.chain.rules()));
        Self { state, ancestors, order, ready: VecDeque::new() }
    }

    fn fetch(&mut self) {
        let pool = self.state.pool();
        let Self { ancestors, order, .. } = self;
        let in_block = |hash: B256| ancestors.pending.contains(&hash);
        self.ready.extend(std::iter::from_fn(|| order.next(&pool, in_block)).take(AT_ONCE));
    }
}

impl Iterator for Offered<'_> {
    type Item = Transaction;

    fn next(&mut self) -> Option<Transaction> {
        if self.ready.is_empty() {
            self.fetch();
        }
        self.ready.pop_front()
    }
}

/// As much as a block may hold: what fails in spite of its trial takes no more of the proposer's time than what succeeds.
fn budget(rules: &Rules) -> FreeBudget {
    FreeBudget {
        gas: rules.free_gas(),
        member_gas: rules.member_gas(),
        bytes: MAX_FREE_BYTES,
        member_bytes: MAX_MEMBER_BYTES,
        member_count: MAX_MEMBER_TRANSACTIONS,
    }
}
