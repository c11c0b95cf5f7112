//! The pool: what is in it, and what leaves it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256};

use super::{
    entry::{Account, Arrival, Entry, Lane, Retry, SenderQueue, Slot, Usage, Worth, hash},
    error::Refused,
    held::Held,
    limits::Limits,
    members::Members,
};
use crate::block::Transaction;

/// What happened to a transaction that was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// False when an earlier nonce is missing.
    pub executable: bool,
    pub replaced: Option<B256>,
    /// Cheaper transactions that left to make room.
    pub evicted: Vec<B256>,
}

/// Counts of the pool, for `txpool_status` and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub executable: usize,
    pub queued: usize,
    pub free: usize,
    /// Of both lanes.
    pub bytes: usize,
}

/// The pool. All operations take O(log n) except for changes of one sender's gap, which visit what they promote or demote, and
/// of the base fee, which visit everything.
#[derive(Clone, Debug, Default)]
pub struct Mempool {
    pub(super) limits: Limits,
    pub(super) queues: BTreeMap<Address, SenderQueue>,
    pub(super) by_hash: HashMap<B256, Slot>,
    /// Paid transactions only: free ones never compete for room.
    pub(super) by_worth: BTreeMap<Worth, Slot>,
    pub(super) by_arrival: BTreeMap<u64, Slot>,
    pub(super) free_by_arrival: BTreeMap<u64, Slot>,
    /// Paid transactions that are next of their sender, by maximum fee.
    pub(super) heads: BTreeSet<(u128, Address)>,
    /// Senders by keccak256 of their address, by which the state has accounts.
    pub(super) accounts: HashMap<B256, Address>,
    /// How many waiting transactions can delegate an account.
    pub(super) authorities: BTreeMap<Address, usize>,
    pub(super) members: Members,
    /// Of the next block, in wei per gas, as far as this pool was told.
    pub(super) base_fee: u64,
    pub(super) paid: Usage,
    pub(super) free: Usage,
    /// Entries of all senders that are executable.
    pub(super) executable: usize,
    pub(super) arrivals: u64,
    /// Comings and goings so far.
    pub(super) revision: u64,
    held: Held,
}

impl Mempool {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// What may be run for a member, by what blocks may take of it; see [`Limits::for_lane`].
    pub fn fit_to_lane(&mut self, member_gas: u64, interval_ms: u64) {
        self.limits = std::mem::take(&mut self.limits).for_lane(member_gas, interval_ms);
    }

    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Adds a transaction.
    ///
    /// # Errors
    ///
    /// `Refused` says which bound or rule; the pool is then as before, except that it learned the account's state.
    pub fn add(&mut self, arrival: Arrival, now_ms: u64) -> Result<Added, Refused> {
        let (sender, nonce) = (arrival.transaction.signer(), arrival.transaction.nonce());
        self.check_held(sender, now_ms)?;
        self.observe(sender, arrival.account);
        let entry = self.entry(arrival, now_ms);
        let decided = self.judge(sender, nonce, &entry, now_ms);
        let evicted = match decided {
            Ok(evicted) => evicted,
            Err(refused) => {
                self.forget_if_empty(sender);
                return Err(refused);
            }
        };
        let replaced = self.take((sender, nonce)).map(|entry| hash(&entry.transaction));
        let evicted = evicted
            .into_iter()
            .filter_map(|slot| self.remove_slot(slot))
            .map(|entry| hash(&entry.transaction))
            .collect();
        self.arrivals += 1;
        self.put(sender, nonce, entry);
        let executable = nonce < self.queues[&sender].gap;
        Ok(Added { executable, replaced, evicted })
    }

    fn check_held(&self, sender: Address, now_ms: u64) -> Result<(), Refused> {
        match self.held.until(sender, now_ms) {
            Some(until_ms) => Err(Refused::Held { sender, left_ms: until_ms - now_ms }),
            None => Ok(()),
        }
    }

    /// What `add` would say.
    ///
    /// # Errors
    ///
    /// As `add`.
    pub fn check(&mut self, arrival: &Arrival, now_ms: u64) -> Result<(), Refused> {
        let (sender, nonce) = (arrival.transaction.signer(), arrival.transaction.nonce());
        self.check_held(sender, now_ms)?;
        self.observe(sender, arrival.account);
        let entry = self.entry(arrival.clone(), now_ms);
        let judged = self.judge(sender, nonce, &entry, now_ms);
        self.forget_if_empty(sender);
        judged.map(drop)
    }

    fn entry(&self, arrival: Arrival, now_ms: u64) -> Entry {
        let Arrival { transaction, lane, account: _, authorities } = arrival;
        let wait_ms = self.limits.retry_after_ms;
        Entry {
            size: transaction.encode_2718_len(),
            lane,
            authorities,
            arrival: self.arrivals,
            arrived_ms: now_ms,
            // Weighed where it is put.
            worth: Worth { executable: false, price: 0, seniority: std::cmp::Reverse(self.arrivals) },
            retry: Retry { not_before_ms: now_ms.saturating_add(wait_ms), wait_ms },
            failures: 0,
            stops: 0,
            transaction,
        }
    }

    /// All senders.
    pub fn senders(&self) -> impl Iterator<Item = Address> {
        self.queues.keys().copied()
    }

    /// The senders among accounts that a block changed (keccak256 of addresses): whoever calls `on_finalized` reads them again.
    pub fn senders_among<'a>(&self, changed: impl IntoIterator<Item = &'a B256>) -> Vec<Address> {
        changed.into_iter().filter_map(|hash| self.accounts.get(hash)).copied().collect()
    }

    /// Takes in what a final block changed: its successor's base fee, the gas that each free transaction used, and the senders
    /// it changed as they are now. Drops what became stale, unpayable or too old; returns the hashes of what left without being in the
    /// block's nonces.
    pub fn on_finalized(
        &mut self,
        base_fee: u64,
        free: impl IntoIterator<Item = (Address, u64)>,
        changed: impl IntoIterator<Item = (Address, Account)>,
        now_ms: u64,
    ) -> Vec<B256> {
        let mut dropped = Vec::new();
        for (address, account) in changed {
            if self.queues.contains_key(&address) {
                self.observe(address, account);
                self.drop_unpayable(address, &mut dropped);
                self.forget_if_empty(address);
            }
        }
        self.members.on_finalized(free);
        self.set_base_fee(base_fee);
        self.drop_expired(now_ms, &mut dropped);
        dropped
    }

    /// Drops what is too old; returns its hashes. To be called now and then, whether blocks become final or not.
    pub fn expire(&mut self, now_ms: u64) -> Vec<B256> {
        let mut dropped = Vec::new();
        self.drop_expired(now_ms, &mut dropped);
        dropped
    }

    /// Counts gas that is about to be run for a member, to see whether its new free transaction would succeed.
    ///
    /// # Errors
    ///
    /// `TooManyTrials`: how long it has to wait.
    pub fn begin_trial(&mut self, member: Address, gas: u64, now_ms: u64) -> Result<(), Refused> {
        self.members.owe_new(member, gas, &self.limits, now_ms)
    }

    /// A trial succeeded and used less gas than was counted. One that failed is not given back: it could be repeated for ever.
    pub fn end_trial(&mut self, member: Address, unused_gas: u64) {
        self.members.give_back_new(member, unused_gas);
    }

    /// As `begin_trial`, for a transaction that is in the pool already; whether it may be tried again now.
    pub fn begin_repeated_trial(&mut self, member: Address, gas: u64, now_ms: u64) -> bool {
        self.members.owe_again(member, gas, &self.limits, now_ms)
    }

    /// As `end_trial`.
    pub fn end_repeated_trial(&mut self, member: Address, unused_gas: u64) {
        self.members.give_back_again(member, unused_gas);
    }

    /// A proposer could not include a transaction, for a reason that waiting does not mend. Drops it when it `lasts` (it was tried
    /// on a final state), or when it failed some times; returns whether it did.
    pub fn on_failure(&mut self, hash: B256, lasts: bool) -> bool {
        let Some((sender, nonce)) = self.by_hash.get(&hash).copied() else { return false };
        let limit = self.limits.failures;
        let Some(entry) = self.queues.get_mut(&sender).and_then(|queue| queue.entries.get_mut(&nonce)) else {
            return false;
        };
        entry.failures += 1;
        // A free one took time and pays nothing: once is enough. Its relayer decides anew.
        let drops = lasts || entry.lane == Lane::Free || entry.failures >= limit;
        if entry.lane == Lane::Free {
            self.members.failed(sender, entry.transaction.gas_limit());
        }
        drops && self.remove_slot((sender, nonce)).is_some()
    }

    /// Whether a waiting transaction that its user sent again is to be passed on again. Each time after a longer wait, so that
    /// retries are no means to make this node speak.
    pub fn on_retry(&mut self, hash: B256, now_ms: u64) -> bool {
        let Some((sender, nonce)) = self.by_hash.get(&hash) else { return false };
        let Some(entry) = self.queues.get_mut(sender).and_then(|queue| queue.entries.get_mut(nonce)) else {
            return false;
        };
        if now_ms < entry.retry.not_before_ms {
            return false;
        }
        let wait_ms = entry.retry.wait_ms.saturating_mul(2);
        entry.retry = Retry { not_before_ms: now_ms.saturating_add(wait_ms), wait_ms };
        true
    }

    /// Removes one transaction, for example a free one that would fail now. Later nonces of its sender stay, queued.
    pub fn remove(&mut self, hash: B256) -> Option<Arc<Transaction>> {
        let slot = self.by_hash.get(&hash).copied()?;
        self.remove_slot(slot).map(|entry| entry.transaction)
    }

    /// A proposer stopped a transaction at the end of its share, on a machine that was busy. Whether this was once too often, so that it is
    /// to be held against its sender.
    pub fn on_stop(&mut self, hash: B256) -> bool {
        let Some((sender, nonce)) = self.by_hash.get(&hash) else { return false };
        let Some(entry) = self.queues.get_mut(sender).and_then(|queue| queue.entries.get_mut(nonce)) else {
            return false;
        };
        entry.stops += 1;
        entry.stops >= self.limits.stops
    }

    /// Removes a transaction that ran longer than a block has time for, and takes none of its sender's for a while. Returns until
    /// when, in Unix milliseconds.
    pub fn evict_and_hold(&mut self, transaction: &Transaction, now_ms: u64) -> u64 {
        self.remove(*transaction.tx_hash());
        self.held.hold(transaction.signer(), now_ms)
    }

    #[must_use]
    pub fn get(&self, hash: B256) -> Option<&Arc<Transaction>> {
        let (sender, nonce) = self.by_hash.get(&hash)?;
        Some(&self.queues.get(sender)?.entries.get(nonce)?.transaction)
    }

    #[must_use]
    pub fn contains(&self, hash: B256) -> bool {
        self.by_hash.contains_key(&hash)
    }

    /// The nonce a sender should use next: after its executable transactions. `nonce` is the account's at the head.
    #[must_use]
    pub fn pending_nonce(&self, sender: Address, nonce: u64) -> u64 {
        self.queues.get(&sender).map_or(nonce, |queue| queue.gap.max(nonce))
    }

    /// Free transactions that are next of their sender, and so must succeed on the head: what a node simulates again after each block.
    pub fn free_heads(&self) -> impl Iterator<Item = &Arc<Transaction>> {
        self.free_by_arrival.values().filter_map(|(sender, nonce)| {
            let queue = self.queues.get(sender)?;
            (*nonce == queue.account.nonce).then(|| &queue.entries[nonce].transaction)
        })
    }

    /// All transactions by sender and nonce, with whether they are executable.
    pub fn content(&self) -> impl Iterator<Item = (bool, &Arc<Transaction>)> {
        self.queues.values().flat_map(Self::queue_content)
    }

    /// Paid transactions, the first that came first, with when they came in Unix milliseconds: what a restart must not lose. Free ones wait
    /// for seconds only, and their member decides anew.
    pub fn waiting(&self) -> impl Iterator<Item = (&Arc<Transaction>, u64)> {
        self.by_arrival.values().map(|(sender, nonce)| {
            let entry = &self.queues[sender].entries[nonce];
            (&entry.transaction, entry.arrived_ms)
        })
    }

    /// As `content`, of one sender.
    pub fn content_from(&self, sender: Address) -> impl Iterator<Item = (bool, &Arc<Transaction>)> {
        self.queues.get(&sender).into_iter().flat_map(Self::queue_content)
    }

    fn queue_content(queue: &SenderQueue) -> impl Iterator<Item = (bool, &Arc<Transaction>)> {
        queue.entries.iter().map(|(nonce, entry)| (*nonce < queue.gap, &entry.transaction))
    }

    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            executable: self.executable,
            queued: self.by_hash.len() - self.executable,
            free: self.free.count,
            bytes: self.paid.bytes + self.free.bytes,
        }
    }

    /// Another number whenever a transaction came or left.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.by_hash.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }
}
