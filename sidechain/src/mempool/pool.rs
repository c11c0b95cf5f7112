//! The pool: what is in it, and what leaves it.

use std::collections::{BTreeMap, HashMap};

use alloy_consensus::Transaction as _;
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256};

use super::{
    entry::{Account, Entry, Lane, SenderQueue, Slot, Usage, Worth, hash, worth},
    error::Refused,
    held::Held,
    limits::Limits,
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

/// The pool. All operations take O(log n) except for changes of one sender's gap, which visit what they promote or demote.
#[derive(Clone, Debug, Default)]
pub struct Mempool {
    pub(super) limits: Limits,
    pub(super) queues: BTreeMap<Address, SenderQueue>,
    pub(super) by_hash: HashMap<B256, Slot>,
    /// Paid transactions only: free ones never compete for room.
    pub(super) by_worth: BTreeMap<Worth, Slot>,
    pub(super) by_arrival: BTreeMap<u64, Slot>,
    pub(super) free_by_arrival: BTreeMap<u64, Slot>,
    pub(super) paid: Usage,
    free: Usage,
    pub(super) arrivals: u64,
    held: Held,
}

impl Mempool {
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Adds a transaction of `lane`; `account` is its sender's at the head.
    ///
    /// # Errors
    ///
    /// `Refused` says which bound or rule; the pool is then as before.
    pub fn add(
        &mut self,
        transaction: Transaction,
        lane: Lane,
        account: Account,
        now_ms: u64,
    ) -> Result<Added, Refused> {
        let (sender, nonce) = (transaction.signer(), transaction.nonce());
        if let Some(until_ms) = self.held.until(sender, now_ms) {
            return Err(Refused::Held { sender, left_ms: until_ms - now_ms });
        }
        self.observe(sender, account);
        let entry = Entry {
            size: transaction.encode_2718_len(),
            lane,
            arrival: self.arrivals,
            arrived_ms: now_ms,
            transaction,
        };
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

    /// Takes in what a final block changed: `touched` accounts (senders and 7702 authorities) are read again by `account`.
    /// Drops what became stale, unpayable or too old; returns the hashes of what left without being in the block's nonces.
    pub fn on_finalized(
        &mut self,
        touched: impl IntoIterator<Item = Address>,
        account: impl Fn(Address) -> Account,
        now_ms: u64,
    ) -> Vec<B256> {
        let mut dropped = Vec::new();
        for address in touched {
            if self.queues.contains_key(&address) {
                self.observe(address, account(address));
                self.drop_unpayable(address, &mut dropped);
                self.forget_if_empty(address);
            }
        }
        self.drop_expired(now_ms, &mut dropped);
        dropped
    }

    /// Removes one transaction, for example a free one that would fail now. Later nonces of its sender stay, queued.
    pub fn remove(&mut self, hash: B256) -> Option<Transaction> {
        let slot = self.by_hash.get(&hash).copied()?;
        self.remove_slot(slot).map(|entry| entry.transaction)
    }

    /// Removes a transaction that ran longer than a block has time for, and takes none of its sender's for a while. Returns until
    /// when, in Unix milliseconds.
    pub fn evict_and_hold(&mut self, transaction: &Transaction, now_ms: u64) -> u64 {
        self.remove(*transaction.tx_hash());
        self.held.hold(transaction.signer(), now_ms)
    }

    #[must_use]
    pub fn get(&self, hash: B256) -> Option<&Transaction> {
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
    pub fn free_heads(&self) -> impl Iterator<Item = &Transaction> {
        self.free_by_arrival.values().filter_map(|(sender, nonce)| {
            let queue = self.queues.get(sender)?;
            (*nonce == queue.account.nonce).then(|| &queue.entries[nonce].transaction)
        })
    }

    /// All transactions by sender and nonce, with whether they are executable.
    pub fn content(&self) -> impl Iterator<Item = (bool, &Transaction)> {
        self.queues.values().flat_map(Self::queue_content)
    }

    /// As `content`, of one sender.
    pub fn content_from(&self, sender: Address) -> impl Iterator<Item = (bool, &Transaction)> {
        self.queues.get(&sender).into_iter().flat_map(Self::queue_content)
    }

    fn queue_content(queue: &SenderQueue) -> impl Iterator<Item = (bool, &Transaction)> {
        queue.entries.iter().map(|(nonce, entry)| (*nonce < queue.gap, &entry.transaction))
    }

    #[must_use]
    pub fn status(&self) -> Status {
        let executable = self.queues.values().map(|queue| queue.entries.range(..queue.gap).count()).sum();
        Status {
            executable,
            queued: self.by_hash.len() - executable,
            free: self.free.count,
            bytes: self.paid.bytes + self.free.bytes,
        }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.by_hash.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_hash.is_empty()
    }

    /// Learns an account's state. A pool that is ahead of a slow reader never goes back to a lower nonce.
    fn observe(&mut self, sender: Address, account: Account) {
        let queue = self.queues.entry(sender).or_default();
        if account.nonce < queue.account.nonce {
            return;
        }
        queue.account = account;
        let stale: Vec<u64> = queue.entries.range(..account.nonce).map(|(nonce, _)| *nonce).collect();
        for nonce in stale {
            self.take((sender, nonce));
        }
        let gap = self.queues[&sender].gap.max(account.nonce);
        self.move_gap(sender, gap);
    }

    fn drop_unpayable(&mut self, sender: Address, dropped: &mut Vec<B256>) {
        while let Some(queue) = self.queues.get(&sender)
            && queue.cost > queue.account.balance
            && let Some(last) = queue.entries.keys().next_back()
        {
            let slot = (sender, *last);
            dropped.extend(self.remove_slot(slot).map(|entry| hash(&entry.transaction)));
        }
    }

    fn drop_expired(&mut self, now_ms: u64, dropped: &mut Vec<B256>) {
        for lane in [Lane::Paid, Lane::Free] {
            while let Some(slot) = self.oldest(lane).filter(|slot| self.is_expired(*slot, now_ms)) {
                dropped.extend(self.remove_slot(slot).map(|entry| hash(&entry.transaction)));
            }
        }
    }

    fn oldest(&self, lane: Lane) -> Option<Slot> {
        self.arrivals_of(lane).values().next().copied()
    }

    fn is_expired(&self, (sender, nonce): Slot, now_ms: u64) -> bool {
        let entry = &self.queues[&sender].entries[&nonce];
        let lifetime_ms = match entry.lane {
            Lane::Paid => self.limits.lifetime_ms,
            Lane::Free => self.limits.free_lifetime_ms,
        };
        now_ms.saturating_sub(entry.arrived_ms) >= lifetime_ms
    }

    fn arrivals_of(&self, lane: Lane) -> &BTreeMap<u64, Slot> {
        match lane {
            Lane::Paid => &self.by_arrival,
            Lane::Free => &self.free_by_arrival,
        }
    }

    fn remove_slot(&mut self, slot: Slot) -> Option<Entry> {
        let (sender, nonce) = slot;
        let entry = self.take(slot)?;
        let gap = self.queues[&sender].gap.min(nonce);
        self.move_gap(sender, gap);
        self.forget_if_empty(sender);
        Some(entry)
    }

    /// Puts an entry in a free slot and promotes what it makes executable.
    fn put(&mut self, sender: Address, nonce: u64, entry: Entry) {
        self.by_hash.insert(hash(&entry.transaction), (sender, nonce));
        match entry.lane {
            Lane::Paid => self.by_arrival.insert(entry.arrival, (sender, nonce)),
            Lane::Free => self.free_by_arrival.insert(entry.arrival, (sender, nonce)),
        };
        self.lane_usage(entry.lane).add(entry.size);
        let queue = self.queues.entry(sender).or_default();
        queue.usage(entry.lane).add(entry.size);
        // Cannot overflow: `judge_funds` saw that the sum is within a balance.
        queue.cost += entry.cost();
        if entry.lane == Lane::Paid {
            self.by_worth.insert(worth(&entry, nonce < queue.gap), (sender, nonce));
        }
        queue.entries.insert(nonce, entry);
        let gap = queue.gap;
        self.move_gap(sender, gap);
    }

    /// Takes an entry out of all indexes; the caller refreshes the gap.
    fn take(&mut self, (sender, nonce): Slot) -> Option<Entry> {
        let queue = self.queues.get_mut(&sender)?;
        let entry = queue.entries.remove(&nonce)?;
        queue.usage(entry.lane).remove(entry.size);
        queue.cost -= entry.cost();
        self.by_hash.remove(&hash(&entry.transaction));
        match entry.lane {
            Lane::Paid => {
                self.by_worth.remove(&worth(&entry, nonce < queue.gap));
                self.by_arrival.remove(&entry.arrival);
            }
            Lane::Free => {
                self.free_by_arrival.remove(&entry.arrival);
            }
        }
        self.lane_usage(entry.lane).remove(entry.size);
        Some(entry)
    }

    fn lane_usage(&mut self, lane: Lane) -> &mut Usage {
        match lane {
            Lane::Paid => &mut self.paid,
            Lane::Free => &mut self.free,
        }
    }

    /// Moves the first missing nonce to `gap` or, where that one is there, to the next missing one; what lies between the old
    /// and the new gap changes its class.
    fn move_gap(&mut self, sender: Address, mut gap: u64) {
        let Some(queue) = self.queues.get_mut(&sender) else {
            return;
        };
        while queue.entries.contains_key(&gap) {
            gap += 1;
        }
        let was = std::mem::replace(&mut queue.gap, gap);
        for (nonce, entry) in queue.entries.range(was.min(gap)..was.max(gap)) {
            if entry.lane == Lane::Paid {
                self.by_worth.remove(&worth(entry, *nonce < was));
                self.by_worth.insert(worth(entry, *nonce < gap), (sender, *nonce));
            }
        }
    }

    fn forget_if_empty(&mut self, sender: Address) {
        if self.queues.get(&sender).is_some_and(|queue| queue.entries.is_empty()) {
            self.queues.remove(&sender);
        }
    }
}
