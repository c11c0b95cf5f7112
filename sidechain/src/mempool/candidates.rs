//! The order in which a proposer tries transactions: free ones first, then by tip, each sender's in the order of nonces.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use alloy_consensus::Transaction as _;
use alloy_primitives::Address;

use super::{entry::Lane, pool::Mempool};
use crate::block::Transaction;

/// How early a sender's next transaction is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    free: bool,
    /// Per gas, after the base fee: what the proposer earns.
    tip: u128,
    seniority: Reverse<u64>,
}

/// Iterates over executable transactions that can pay `base_fee`. A sender's queue ends at its first that cannot.
///
/// Borrows the pool, so that a proposer takes under the lock what fits and executes after it.
#[derive(Debug)]
pub struct Candidates<'a> {
    pool: &'a Mempool,
    base_fee: u64,
    heads: BinaryHeap<(Rank, Address, u64)>,
}

impl Mempool {
    /// Executable transactions in the order a proposer should try them, at a base fee in wei per gas.
    #[must_use]
    pub fn candidates(&self, base_fee: u64) -> Candidates<'_> {
        Candidates::new(self, base_fee)
    }
}

impl<'a> Candidates<'a> {
    fn new(pool: &'a Mempool, base_fee: u64) -> Self {
        let heads = BinaryHeap::with_capacity(pool.queues.len());
        let mut candidates = Self { pool, base_fee, heads };
        for (sender, queue) in &pool.queues {
            candidates.push(*sender, queue.account.nonce);
        }
        candidates
    }

    fn push(&mut self, sender: Address, nonce: u64) {
        let Some(entry) = self.pool.queues.get(&sender).and_then(|queue| queue.entries.get(&nonce)) else {
            return;
        };
        let tip = match entry.lane {
            Lane::Free => Some(0),
            Lane::Paid => entry.transaction.effective_tip_per_gas(self.base_fee),
        };
        if let Some(tip) = tip {
            let rank = Rank { free: entry.lane == Lane::Free, tip, seniority: Reverse(entry.arrival) };
            self.heads.push((rank, sender, nonce));
        }
    }
}

impl Iterator for Candidates<'_> {
    type Item = Transaction;

    fn next(&mut self) -> Option<Transaction> {
        let (_, sender, nonce) = self.heads.pop()?;
        self.push(sender, nonce + 1);
        Some(self.pool.queues[&sender].entries[&nonce].transaction.clone())
    }
}
