//! The order in which a proposer tries transactions, each sender's by nonce: free ones first, those of the member that used
//! the lane least; then the paid ones by tip.
//!
//! Free transactions are offered only up to a budget, for all and for each member, because one that fails takes time and
//! leaves the block empty. Paid ones are not: one that cannot start costs next to nothing, and any other pays. So whoever pays
//! is always offered, whatever is in the free lane.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256};

use super::{
    entry::{Entry, Lane},
    pool::Mempool,
};
use crate::block::Transaction;

/// What free transactions may ask for together in one block, whether they succeed in it or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeBudget {
    /// Sum of their gas limits: of all, and of one member.
    pub gas: u64,
    pub member_gas: u64,
    /// Bytes of their encodings: of all, and of one member.
    pub bytes: usize,
    pub member_bytes: usize,
    /// Transactions of one member.
    pub member_count: usize,
}

impl FreeBudget {
    /// All that wait.
    pub const UNLIMITED: Self = Self {
        gas: u64::MAX,
        member_gas: u64::MAX,
        bytes: usize::MAX,
        member_bytes: usize::MAX,
        member_count: usize::MAX,
    };
}

/// How early a sender's next transaction is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Per gas, after the base fee: what the proposer earns.
    Paid { tip: u128, seniority: Reverse<u64> },
    /// Gas that its member used lately and was offered already.
    Free { spent: Reverse<u64>, seniority: Reverse<u64> },
}

/// What was offered of one member.
#[derive(Clone, Copy, Debug, Default)]
struct Offered {
    gas: u64,
    bytes: usize,
    count: usize,
}

/// A place in the order; what the pool takes in later is not in it. It owns what it needs, so that the pool need not be locked
/// between two questions.
#[derive(Debug)]
pub struct Order {
    base_fee: u64,
    budget: FreeBudget,
    offered: BTreeMap<Address, Offered>,
    heads: BinaryHeap<(Rank, Address, u64)>,
}

/// Iterates over executable transactions that can pay a base fee. A sender's queue ends at its first that cannot.
#[derive(Debug)]
pub struct Candidates<'a> {
    pool: &'a Mempool,
    order: Order,
}

impl Mempool {
    /// The order for a block with this base fee, in wei per gas.
    #[must_use]
    pub fn order(&self, base_fee: u64, budget: FreeBudget) -> Order {
        let heads = BinaryHeap::with_capacity(self.queues.len());
        let mut order = Order { base_fee, budget, offered: BTreeMap::new(), heads };
        for (sender, queue) in &self.queues {
            order.push(self, *sender, queue.account.nonce);
        }
        order
    }

    /// Executable transactions in the order a proposer should try them, at a base fee in wei per gas.
    #[must_use]
    pub fn candidates(&self, base_fee: u64) -> Candidates<'_> {
        Candidates { pool: self, order: self.order(base_fee, FreeBudget::UNLIMITED) }
    }

    /// Whether anything is executable that can pay `base_fee` and is not in a block already.
    #[must_use]
    pub fn has_work(&self, base_fee: u64, in_block: impl Fn(B256) -> bool) -> bool {
        let mut free = self.free_heads().map(|transaction| transaction.signer());
        let mut paid = self.heads.iter().rev().take_while(|(max_fee, _)| *max_fee >= u128::from(base_fee));
        free.any(|sender| self.has_work_of(sender, base_fee, &in_block))
            || paid.any(|(_, sender)| self.has_work_of(*sender, base_fee, &in_block))
    }

    fn has_work_of(&self, sender: Address, base_fee: u64, in_block: impl Fn(B256) -> bool) -> bool {
        let Some(queue) = self.queues.get(&sender) else { return false };
        let mut following = (queue.account.nonce..).map_while(|nonce| queue.entries.get(&nonce));
        following.find(|entry| !in_block(*entry.transaction.tx_hash())).is_some_and(|next| can_pay(next, base_fee))
    }
}

/// Free ones always can: they are asked for nothing.
fn can_pay(entry: &Entry, base_fee: u64) -> bool {
    entry.lane == Lane::Free || entry.transaction.max_fee_per_gas() >= u128::from(base_fee)
}

impl Order {
    /// The next transaction to try. Those that left the pool meanwhile, or that are in a block before this one, are passed over.
    pub fn next(&mut self, pool: &Mempool, in_block: impl Fn(B256) -> bool) -> Option<Transaction> {
        loop {
            let (_, sender, nonce) = self.heads.pop()?;
            let Some(entry) = pool.queues.get(&sender).and_then(|queue| queue.entries.get(&nonce)) else { continue };
            if in_block(*entry.transaction.tx_hash()) {
                self.push(pool, sender, nonce + 1);
                continue;
            }
            if entry.lane == Lane::Free && !self.take_of_budget(sender, entry) {
                // What follows it could not run before it.
                continue;
            }
            self.push(pool, sender, nonce + 1);
            return Some(Transaction::clone(&entry.transaction));
        }
    }

    fn push(&mut self, pool: &Mempool, sender: Address, nonce: u64) {
        let Some(entry) = pool.queues.get(&sender).and_then(|queue| queue.entries.get(&nonce)) else { return };
        if let Some(rank) = self.rank(pool, sender, entry) {
            self.heads.push((rank, sender, nonce));
        }
    }

    fn rank(&self, pool: &Mempool, sender: Address, entry: &Entry) -> Option<Rank> {
        let seniority = Reverse(entry.arrival);
        match entry.lane {
            Lane::Free => {
                let offered = self.offered.get(&sender).map_or(0, |offered| offered.gas);
                Some(Rank::Free { spent: Reverse(pool.members.spent(sender).saturating_add(offered)), seniority })
            }
            Lane::Paid => {
                let tip = entry.transaction.effective_tip_per_gas(self.base_fee)?;
                Some(Rank::Paid { tip, seniority })
            }
        }
    }

    fn take_of_budget(&mut self, member: Address, entry: &Entry) -> bool {
        let offered = self.offered.entry(member).or_default();
        let gas = offered.gas.saturating_add(entry.transaction.gas_limit());
        let bytes = offered.bytes.saturating_add(entry.size);
        let budget = &mut self.budget;
        if offered.count >= budget.member_count
            || gas > budget.member_gas
            || bytes > budget.member_bytes
            || entry.transaction.gas_limit() > budget.gas
            || entry.size > budget.bytes
        {
            return false;
        }
        *offered = Offered { gas, bytes, count: offered.count + 1 };
        budget.gas -= entry.transaction.gas_limit();
        budget.bytes -= entry.size;
        true
    }
}

impl Iterator for Candidates<'_> {
    type Item = Transaction;

    fn next(&mut self) -> Option<Transaction> {
        self.order.next(self.pool, |_| false)
    }
}
