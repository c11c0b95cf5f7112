//! A waiting transaction, and what waits of one sender.

use std::collections::BTreeMap;

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, U256};

use crate::block::Transaction;

/// Who pays for a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Paid,
    /// Gas price zero: a federation member's call of a peg contract.
    Free,
}

/// An account at the head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    pub nonce: u64,
    pub balance: U256,
}

/// Where a transaction waits: its sender and nonce.
pub(super) type Slot = (Address, u64);

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) transaction: Transaction,
    pub(super) lane: Lane,
    pub(super) size: usize,
    pub(super) arrival: u64,
    pub(super) arrived_ms: u64,
}

impl Entry {
    pub(super) fn cost(&self) -> U256 {
        cost(&self.transaction)
    }
}

/// One sender's waiting transactions by nonce.
#[derive(Clone, Debug, Default)]
pub(super) struct SenderQueue {
    pub(super) account: Account,
    /// First nonce that is missing: below it everything is executable.
    pub(super) gap: u64,
    pub(super) entries: BTreeMap<u64, Entry>,
    pub(super) cost: U256,
    pub(super) paid: Usage,
    pub(super) free: Usage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) count: usize,
    pub(super) bytes: usize,
}

impl Usage {
    pub(super) fn add(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes;
    }

    pub(super) fn remove(&mut self, bytes: usize) {
        self.count -= 1;
        self.bytes -= bytes;
    }
}

impl SenderQueue {
    pub(super) fn usage(&mut self, lane: Lane) -> &mut Usage {
        match lane {
            Lane::Paid => &mut self.paid,
            Lane::Free => &mut self.free,
        }
    }
}

/// The least worthy first: queued before executable, then the cheaper, then the younger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Worth {
    pub(super) executable: bool,
    pub(super) max_fee: u128,
    pub(super) seniority: std::cmp::Reverse<u64>,
}

pub(super) fn worth(entry: &Entry, executable: bool) -> Worth {
    Worth { executable, max_fee: entry.transaction.max_fee_per_gas(), seniority: std::cmp::Reverse(entry.arrival) }
}

/// What a transaction can cost its sender at most.
pub(super) fn cost(transaction: &Transaction) -> U256 {
    U256::from(transaction.gas_limit())
        .saturating_mul(U256::from(transaction.max_fee_per_gas()))
        .saturating_add(transaction.value())
}

pub(super) fn hash(transaction: &Transaction) -> B256 {
    *transaction.tx_hash()
}
