//! A waiting transaction, and what waits of one sender.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, U256};

use crate::block::Transaction;

/// Who pays for a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    Paid,
    /// A federation member's call of a peg contract, which is charged nothing whatever price it names.
    Free,
}

/// The code of an account that sends transactions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Code {
    #[default]
    Nothing,
    /// EIP-7702: the account runs a contract's code, so whoever calls it may make it spend its balance.
    Delegation,
    /// EIP-3607: such an account cannot send.
    Contract,
}

/// An account at the head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    pub nonce: u64,
    pub balance: U256,
    pub code: Code,
}

/// A transaction that wants into the pool, with what its caller found out about it.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub transaction: Arc<Transaction>,
    pub lane: Lane,
    /// Its sender's, at the head.
    pub account: Account,
    /// Accounts that it can delegate (EIP-7702): signers of authorizations that are valid for this chain and not used yet.
    pub authorities: Vec<Address>,
}

/// Where a transaction waits: its sender and nonce.
pub(super) type Slot = (Address, u64);

#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Shared with those who show it, so that they hold the pool no longer than it takes to count one more.
    pub(super) transaction: Arc<Transaction>,
    pub(super) lane: Lane,
    pub(super) authorities: Vec<Address>,
    pub(super) size: usize,
    pub(super) arrival: u64,
    pub(super) arrived_ms: u64,
    /// What it is worth while it waits in the pool, as the index of paid ones has it.
    pub(super) worth: Worth,
    pub(super) retry: Retry,
    /// Blocks on a parent that is not final in which it could not be included.
    pub(super) failures: u32,
    /// Blocks in which it had its share of the time and was not done, while the machine was busy.
    pub(super) stops: u32,
}

impl Entry {
    /// What it can cost its sender at most.
    pub(super) fn cost(&self) -> U256 {
        match self.lane {
            Lane::Paid => U256::from(self.transaction.gas_limit())
                .saturating_mul(U256::from(self.transaction.max_fee_per_gas()))
                .saturating_add(self.transaction.value()),
            Lane::Free => self.transaction.value(),
        }
    }

    /// What a block's producer earns by it, in wei per gas, at a base fee; less when it cannot even pay that.
    fn own_price(&self, base_fee: u64) -> u128 {
        let (max_fee, tip) = (self.transaction.max_fee_per_gas(), self.transaction.priority_fee_or_price());
        max_fee.min(tip.saturating_add(u128::from(base_fee)))
    }
}

/// When a transaction that is sent again by its user is passed on again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retry {
    pub(super) not_before_ms: u64,
    pub(super) wait_ms: u64,
}

/// One sender's waiting transactions by nonce.
#[derive(Clone, Debug, Default)]
pub(super) struct SenderQueue {
    pub(super) account: Account,
    /// First nonce that is missing: below it everything is executable.
    pub(super) gap: u64,
    /// Entries below `gap`, as they are counted in the pool.
    pub(super) executable: usize,
    pub(super) entries: BTreeMap<u64, Entry>,
    pub(super) cost: U256,
    pub(super) paid: Usage,
    pub(super) free: Usage,
    /// Maximum fee of the next transaction if it is there and paid, as the index of heads has it.
    pub(super) head: Option<u128>,
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

    /// What a transaction at `nonce` is worth here. One that follows others cannot be mined before them, so it is worth no
    /// more than the cheapest of them: else a dear one behind one that no block takes would displace what could be mined.
    pub(super) fn weigh(&self, nonce: u64, entry: &Entry, base_fee: u64) -> Worth {
        let executable = nonce <= self.gap;
        let own = match entry.lane {
            Lane::Paid => entry.own_price(base_fee),
            Lane::Free => u128::MAX,
        };
        let before = nonce.checked_sub(1).and_then(|before| self.entries.get(&before));
        let limit =
            before.filter(|before| executable && before.worth.executable).map_or(u128::MAX, |it| it.worth.price);
        Worth { executable, price: own.min(limit), seniority: Reverse(entry.arrival) }
    }
}

/// The least worthy first: queued before executable, then the cheaper, then the younger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Worth {
    pub(super) executable: bool,
    pub(super) price: u128,
    pub(super) seniority: Reverse<u64>,
}

pub(super) fn hash(transaction: &Transaction) -> B256 {
    *transaction.tx_hash()
}
