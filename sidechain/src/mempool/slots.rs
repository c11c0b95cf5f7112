//! How entries come and go: every index of the pool says the same after each of these operations.

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, keccak256};

use super::{
    entry::{Account, Code, Entry, Lane, SenderQueue, Slot, Usage, Worth, hash},
    pool::Mempool,
};

impl Mempool {
    /// Learns an account's state. A pool that is ahead of a slow reader never goes back to a lower nonce.
    pub(super) fn observe(&mut self, sender: Address, account: Account) {
        let queue = self.queues.entry(sender).or_insert_with(|| {
            self.accounts.insert(keccak256(sender), sender);
            SenderQueue::default()
        });
        if account.nonce < queue.account.nonce {
            return;
        }
        queue.account = account;
        let stale: Vec<u64> = queue.entries.range(..account.nonce).map(|(nonce, _)| *nonce).collect();
        for nonce in stale {
            self.take((sender, nonce));
        }
        let gap = self.queues[&sender].gap.max(account.nonce);
        self.settle(sender, account.nonce, gap);
    }

    /// Drops, from the last, what a sender's balance does not cover any more, and what a delegated account may not have.
    pub(super) fn drop_unpayable(&mut self, sender: Address, dropped: &mut Vec<B256>) {
        while let Some(queue) = self.queues.get(&sender)
            && (queue.cost > queue.account.balance || has_too_many(queue))
            && let Some(last) = queue.entries.keys().next_back()
        {
            let slot = (sender, *last);
            dropped.extend(self.remove_slot(slot).map(|entry| hash(&entry.transaction)));
        }
    }

    pub(super) fn drop_expired(&mut self, now_ms: u64, dropped: &mut Vec<B256>) {
        for lane in [Lane::Paid, Lane::Free] {
            while let Some(slot) = self.oldest(lane).filter(|slot| self.is_older(*slot, self.lifetime_ms(lane), now_ms))
            {
                dropped.extend(self.remove_slot(slot).map(|entry| hash(&entry.transaction)));
            }
        }
        for slot in self.queued_too_long(now_ms) {
            dropped.extend(self.remove_slot(slot).map(|entry| hash(&entry.transaction)));
        }
    }

    /// Paid ones behind a missing nonce; free ones do not wait that long anyway.
    fn queued_too_long(&self, now_ms: u64) -> Vec<Slot> {
        let queued = self.by_worth.iter().take_while(|(worth, _)| !worth.executable).map(|(_, slot)| *slot);
        queued.filter(|slot| self.is_older(*slot, self.limits.queued_lifetime_ms, now_ms)).collect()
    }

    fn oldest(&self, lane: Lane) -> Option<Slot> {
        let arrivals = match lane {
            Lane::Paid => &self.by_arrival,
            Lane::Free => &self.free_by_arrival,
        };
        arrivals.values().next().copied()
    }

    const fn lifetime_ms(&self, lane: Lane) -> u64 {
        match lane {
            Lane::Paid => self.limits.lifetime_ms,
            Lane::Free => self.limits.free_lifetime_ms,
        }
    }

    fn is_older(&self, (sender, nonce): Slot, lifetime_ms: u64, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.queues[&sender].entries[&nonce].arrived_ms) >= lifetime_ms
    }

    pub(super) fn remove_slot(&mut self, slot: Slot) -> Option<Entry> {
        let (sender, nonce) = slot;
        let entry = self.take(slot)?;
        let gap = self.queues[&sender].gap.min(nonce);
        self.settle(sender, nonce, gap);
        self.forget_if_empty(sender);
        Some(entry)
    }

    /// Puts an entry in a free slot and promotes what it makes executable.
    pub(super) fn put(&mut self, sender: Address, nonce: u64, mut entry: Entry) {
        self.revision += 1;
        self.by_hash.insert(hash(&entry.transaction), (sender, nonce));
        match entry.lane {
            Lane::Paid => self.by_arrival.insert(entry.arrival, (sender, nonce)),
            Lane::Free => self.free_by_arrival.insert(entry.arrival, (sender, nonce)),
        };
        for authority in &entry.authorities {
            *self.authorities.entry(*authority).or_default() += 1;
        }
        self.lane_usage(entry.lane).add(entry.size);
        let base_fee = self.base_fee;
        let queue = self.queues.entry(sender).or_default();
        queue.usage(entry.lane).add(entry.size);
        // Cannot overflow: `judge_funds` saw that the sum is within a balance.
        queue.cost += entry.cost();
        entry.worth = queue.weigh(nonce, &entry, base_fee);
        if entry.lane == Lane::Paid {
            self.by_worth.insert(entry.worth, (sender, nonce));
        }
        queue.entries.insert(nonce, entry);
        let gap = queue.gap;
        self.settle(sender, nonce, gap);
    }

    /// Takes an entry out of all indexes; the caller settles its sender.
    pub(super) fn take(&mut self, (sender, nonce): Slot) -> Option<Entry> {
        let queue = self.queues.get_mut(&sender)?;
        let entry = queue.entries.remove(&nonce)?;
        self.revision += 1;
        queue.usage(entry.lane).remove(entry.size);
        queue.cost -= entry.cost();
        self.by_hash.remove(&hash(&entry.transaction));
        match entry.lane {
            Lane::Paid => {
                self.by_worth.remove(&entry.worth);
                self.by_arrival.remove(&entry.arrival);
            }
            Lane::Free => {
                self.free_by_arrival.remove(&entry.arrival);
            }
        }
        self.release(&entry.authorities);
        self.lane_usage(entry.lane).remove(entry.size);
        Some(entry)
    }

    fn release(&mut self, authorities: &[Address]) {
        for authority in authorities {
            if let Some(count) = self.authorities.get_mut(authority) {
                *count -= 1;
                if *count == 0 {
                    self.authorities.remove(authority);
                }
            }
        }
    }

    fn lane_usage(&mut self, lane: Lane) -> &mut Usage {
        match lane {
            Lane::Paid => &mut self.paid,
            Lane::Free => &mut self.free,
        }
    }

    /// Moves the first missing nonce to `gap` or, where that one is there, to the next missing one; and weighs again what that
    /// or the change at nonce `from` concerns.
    fn settle(&mut self, sender: Address, from: u64, mut gap: u64) {
        let Some(queue) = self.queues.get_mut(&sender) else { return };
        while queue.entries.contains_key(&gap) {
            gap += 1;
        }
        let was = std::mem::replace(&mut queue.gap, gap);
        // All nonces from the account's to the gap are there.
        let executable = usize::try_from(gap.saturating_sub(queue.account.nonce)).unwrap_or(usize::MAX);
        self.executable -= std::mem::replace(&mut queue.executable, executable);
        self.executable += executable;
        // What stands at `from` may be new and weighed already; what follows it was not.
        self.weigh_from(sender, from, from.saturating_add(1));
        if was != gap {
            self.weigh_from(sender, was.min(gap), was.max(gap));
        }
        self.index_head(sender);
    }

    /// Weighs a sender's entries again: those from `first` to before `until`, and on until one does not change, for then those that
    /// follow it do not either.
    fn weigh_from(&mut self, sender: Address, first: u64, until: u64) {
        let Some(queue) = self.queues.get_mut(&sender) else { return };
        let mut next = queue.entries.range(first..).next().map(|(nonce, _)| *nonce);
        while let Some(nonce) = next {
            let changed = Self::weigh_again(queue, nonce, self.base_fee);
            if changed.is_none() && nonce >= until {
                break;
            }
            if let Some((old, new)) = changed
                && self.by_worth.remove(&old).is_some()
            {
                self.by_worth.insert(new, (sender, nonce));
            }
            next = queue.entries.range(nonce + 1..).next().map(|(nonce, _)| *nonce);
        }
    }

    /// The worth of an entry before and after, if it changed.
    fn weigh_again(queue: &mut SenderQueue, nonce: u64, base_fee: u64) -> Option<(Worth, Worth)> {
        let worth = queue.weigh(nonce, queue.entries.get(&nonce)?, base_fee);
        let entry = queue.entries.get_mut(&nonce)?;
        let was = std::mem::replace(&mut entry.worth, worth);
        (was != worth).then_some((was, worth))
    }

    fn index_head(&mut self, sender: Address) {
        let Some(queue) = self.queues.get_mut(&sender) else { return };
        let next = queue.entries.get(&queue.account.nonce).filter(|entry| entry.lane == Lane::Paid);
        let head = next.map(|entry| entry.transaction.max_fee_per_gas());
        let was = std::mem::replace(&mut queue.head, head);
        if was != head {
            was.map(|max_fee| self.heads.remove(&(max_fee, sender)));
            head.map(|max_fee| self.heads.insert((max_fee, sender)));
        }
    }

    /// Learns the base fee of the next block, in wei per gas, and weighs everything again by it.
    pub fn set_base_fee(&mut self, base_fee: u64) {
        if self.base_fee == base_fee {
            return;
        }
        self.base_fee = base_fee;
        let mut all = Vec::with_capacity(self.by_worth.len());
        for (sender, queue) in &mut self.queues {
            let nonces: Vec<u64> = queue.entries.keys().copied().collect();
            for nonce in nonces {
                Self::weigh_again(queue, nonce, base_fee);
                let entry = &queue.entries[&nonce];
                if entry.lane == Lane::Paid {
                    all.push((entry.worth, (*sender, nonce)));
                }
            }
        }
        self.by_worth = all.into_iter().collect();
    }

    pub(super) fn forget_if_empty(&mut self, sender: Address) {
        if self.queues.get(&sender).is_some_and(|queue| queue.entries.is_empty()) {
            self.executable -= self.queues.remove(&sender).map_or(0, |queue| queue.executable);
            self.accounts.remove(&keccak256(sender));
        }
    }
}

/// Whether an account that was delegated meanwhile has more than its next transaction waiting.
fn has_too_many(queue: &SenderQueue) -> bool {
    queue.account.code == Code::Delegation && queue.entries.keys().any(|nonce| *nonce != queue.account.nonce)
}
