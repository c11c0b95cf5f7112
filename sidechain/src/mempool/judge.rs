//! The checks of a transaction that wants in: bounds, nonce, replacement, funds, and what must leave for it.

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, U256};

use super::{
    entry::{Code, Entry, Lane, SenderQueue, Slot, hash},
    error::Refused,
    pool::Mempool,
};
use crate::limits::{MAX_TRANSACTION_BYTES, MIN_BASE_FEE};

impl Mempool {
    /// All checks of `add`; returns what must be evicted.
    pub(super) fn judge(&self, sender: Address, nonce: u64, new: &Entry, now_ms: u64) -> Result<Vec<Slot>, Refused> {
        let queue = &self.queues[&sender];
        if self.contains(hash(&new.transaction)) {
            return Err(Refused::AlreadyKnown);
        }
        if new.size > MAX_TRANSACTION_BYTES {
            return Err(Refused::TooLarge { got: new.size });
        }
        let max_fee = new.transaction.max_fee_per_gas();
        if new.lane == Lane::Paid && max_fee < u128::from(MIN_BASE_FEE) {
            return Err(Refused::Underpriced { max_fee });
        }
        if queue.account.code == Code::Contract {
            return Err(Refused::SenderIsContract { sender });
        }
        let old = queue.entries.get(&nonce);
        self.judge_nonce(queue.account.nonce, nonce, new.lane)?;
        self.judge_delegation(sender, nonce, new)?;
        if let Some(old) = old {
            self.judge_replacement(old, new, now_ms)?;
        }
        judge_funds(queue, old, new)?;
        self.judge_sender(sender, queue, old, new)?;
        match new.lane {
            Lane::Free => Ok(Vec::new()),
            Lane::Paid => self.room_for(sender, nonce, old, new),
        }
    }

    fn judge_nonce(&self, next: u64, got: u64, lane: Lane) -> Result<(), Refused> {
        let limit = match lane {
            Lane::Paid => self.limits.sender_count,
            Lane::Free => self.limits.free_count,
        };
        if got < next {
            return Err(Refused::NonceTooLow { next, got });
        }
        // What lies further ahead than a sender may hold could never become executable.
        if got - next >= limit as u64 {
            return Err(Refused::NonceTooHigh { next, got, limit });
        }
        Ok(())
    }

    /// A delegated account can lose its balance by whoever calls it, so only its next transaction may wait: else thousands
    /// could become unpayable at once, at the cost of one call. The same for an account that a waiting transaction delegates.
    fn judge_delegation(&self, sender: Address, nonce: u64, new: &Entry) -> Result<(), Refused> {
        let queue = &self.queues[&sender];
        let others = |queue: &SenderQueue| queue.entries.keys().filter(|other| **other != nonce).count();
        let named = self.authorities.get(&sender).copied().unwrap_or_default();
        let by_replaced = queue.entries.get(&nonce).map_or(0, |old| times(&old.authorities, sender));
        if queue.account.code == Code::Delegation || named > by_replaced {
            if others(queue) > 0 {
                return Err(Refused::DelegatedFull { sender });
            }
            if nonce != queue.account.nonce {
                return Err(Refused::DelegatedGap { next: queue.account.nonce, got: nonce });
            }
        }
        let waiting = |authority: &Address| match *authority == sender {
            true => others(queue) + 1,
            false => self.queues.get(authority).map_or(0, |queue| queue.entries.len()),
        };
        match new.authorities.iter().find(|authority| waiting(authority) > 1) {
            Some(authority) => Err(Refused::AuthorityReserved { authority: *authority }),
            None => Ok(()),
        }
    }

    fn judge_replacement(&self, old: &Entry, new: &Entry, now_ms: u64) -> Result<(), Refused> {
        let underpriced = Refused::ReplacementUnderpriced {
            max_fee: old.transaction.max_fee_per_gas(),
            tip: old.transaction.priority_fee_or_price(),
        };
        match (old.lane, new.lane) {
            (Lane::Free, Lane::Free) => {
                let (age_ms, wanted_ms) = (now_ms.saturating_sub(old.arrived_ms), self.limits.free_replace_after_ms);
                if age_ms < wanted_ms { Err(Refused::ReplacementTooEarly { age_ms, wanted_ms }) } else { Ok(()) }
            }
            (Lane::Free, Lane::Paid) => Ok(()),
            (Lane::Paid, Lane::Free) => Err(underpriced),
            (Lane::Paid, Lane::Paid) => {
                let (old, new) = (&old.transaction, &new.transaction);
                let better = bumps(old.max_fee_per_gas(), new.max_fee_per_gas())
                    && bumps(old.priority_fee_or_price(), new.priority_fee_or_price());
                if better { Ok(()) } else { Err(underpriced) }
            }
        }
    }

    fn judge_sender(
        &self,
        sender: Address,
        queue: &SenderQueue,
        old: Option<&Entry>,
        new: &Entry,
    ) -> Result<(), Refused> {
        let (mut usage, count, bytes) = match new.lane {
            Lane::Paid => (queue.paid, self.limits.sender_count, self.limits.sender_bytes),
            Lane::Free => (queue.free, self.limits.free_count, self.limits.free_bytes),
        };
        if let Some(old) = old.filter(|old| old.lane == new.lane) {
            usage.remove(old.size);
        }
        usage.add(new.size);
        if usage.count > count || usage.bytes > bytes {
            return Err(Refused::SenderFull { sender, count, bytes });
        }
        Ok(())
    }

    /// What must leave so that `new` fits: only what is worth less, and nothing of the same sender, which would only open a gap before it.
    fn room_for(&self, sender: Address, nonce: u64, old: Option<&Entry>, new: &Entry) -> Result<Vec<Slot>, Refused> {
        let mut usage = self.paid;
        if let Some(old) = old.filter(|old| old.lane == Lane::Paid) {
            usage.remove(old.size);
        }
        usage.add(new.size);
        let queue = &self.queues[&sender];
        let worth = queue.weigh(nonce, new, self.base_fee);
        let mut evicted = Vec::new();
        let mut rivals = self.by_worth.iter().filter(|(_, slot)| slot.0 != sender);
        while usage.count > self.limits.count || usage.bytes > self.limits.bytes {
            let (rival, slot) = rivals.next().ok_or(Refused::Full { cheapest: worth.price })?;
            if *rival > worth {
                return Err(Refused::Full { cheapest: rival.price });
            }
            usage.remove(self.queues[&slot.0].entries[&slot.1].size);
            evicted.push(*slot);
        }
        Ok(evicted)
    }
}

fn times(authorities: &[Address], sender: Address) -> usize {
    authorities.iter().filter(|authority| **authority == sender).count()
}

fn judge_funds(queue: &SenderQueue, old: Option<&Entry>, new: &Entry) -> Result<(), Refused> {
    let queued = queue.cost - old.map_or(U256::ZERO, Entry::cost);
    let (balance, cost) = (queue.account.balance, new.cost());
    if queued.checked_add(cost).is_none_or(|total| total > balance) {
        return Err(Refused::InsufficientFunds { balance, queued, cost });
    }
    Ok(())
}

/// Whether a price rose by the tenth that a replacement must pay, so that replacing costs something each time. A fraction of a wei is not asked
/// for, as in geth: tools count `price * 110 / 100` in integers.
const fn bumps(old: u128, new: u128) -> bool {
    new > old && new >= old.saturating_add(old / 10)
}
