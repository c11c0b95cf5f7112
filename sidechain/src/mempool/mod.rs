//! Transactions that wait for a block.
//!
//! The pool owns what was admitted and is not final yet. It promises bounds (in count and bytes, for all and for each
//! sender), an order for proposers, and that nobody's paid transaction is displaced by a cheaper one. It trusts its caller
//! for the sender, the account's state and the lane, and takes time as an argument.
//!
//! ```text
//! account nonce 5     [5] [6] [7]   .   [9]
//!                      executable  gap  queued
//! ```
//! Two lanes share a sender's nonce chain:
//! - paid: ordered by tip, displaced by better paid ones when the pool is full, replaced by +10 %;
//! - free: gas price zero, federation members only (the caller decides that). It has bounds of its own, goes first, and
//!   does not wait long: a free transaction must succeed, so one that does not get into a block is most likely obsolete.

mod admission;
mod candidates;
#[cfg(test)]
mod tests;

pub use admission::{Inadmissible, Rules};
pub use candidates::Candidates;

use std::collections::{BTreeMap, HashMap};

use alloy_consensus::Transaction as _;
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256, U256};

use crate::types::{MAX_TRANSACTION_BYTES, MIN_BASE_FEE, Transaction};

/// Bounds of the pool. Bytes are those of the EIP-2718 encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Paid transactions of all senders.
    pub count: usize,
    pub bytes: usize,
    /// Paid transactions of one sender: one sender cannot fill the pool alone.
    pub sender_count: usize,
    pub sender_bytes: usize,
    /// Free transactions of one member.
    pub free_count: usize,
    pub free_bytes: usize,
    /// A paid transaction that found no block by then is dropped.
    pub lifetime_ms: u64,
    pub free_lifetime_ms: u64,
    /// A free transaction costs nothing to replace, so it must have had time to be proposed.
    pub free_replace_after_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            count: 20_000,
            bytes: 64 << 20,
            sender_count: 4_096,
            sender_bytes: 8 << 20,
            // A relayer posts a few payloads a session and follows some sessions at once.
            free_count: 64,
            free_bytes: 1 << 20,
            lifetime_ms: 3 * 60 * 60 * 1000,
            // A dozen blocks under load: later, the relayer looks at the ledger again and decides anew.
            free_lifetime_ms: 10_000,
            free_replace_after_ms: 1_000,
        }
    }
}

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

/// What happened to a transaction that was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// False when an earlier nonce is missing.
    pub executable: bool,
    pub replaced: Option<B256>,
    /// Cheaper transactions that left to make room.
    pub evicted: Vec<B256>,
}

/// Why the pool did not take a transaction; nothing changed. The wording is geth's where clients look for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("already known")]
    AlreadyKnown,
    #[error("nonce too low: next nonce {next}, tx nonce {got}")]
    NonceTooLow { next: u64, got: u64 },
    #[error("nonce too high: next nonce {next}, tx nonce {got}, at most {limit} ahead")]
    NonceTooHigh { next: u64, got: u64, limit: usize },
    #[error("insufficient funds for gas * price + value: balance {balance}, queued cost {queued}, tx cost {cost}")]
    InsufficientFunds { balance: U256, queued: U256, cost: U256 },
    #[error("replacement transaction underpriced: max fee and tip must rise by 10% from {max_fee} and {tip} wei")]
    ReplacementUnderpriced { max_fee: u128, tip: u128 },
    #[error(
        "replacement transaction too early: the free transaction with this nonce is {age_ms} ms old, wait until it is {wanted_ms}"
    )]
    ReplacementTooEarly { age_ms: u64, wanted_ms: u64 },
    #[error("transaction underpriced: max fee {max_fee} wei per gas, the base fee is never below {MIN_BASE_FEE}")]
    Underpriced { max_fee: u128 },
    #[error("oversized data: transaction size {got}, limit {MAX_TRANSACTION_BYTES}")]
    TooLarge { got: usize },
    #[error("too many pending transactions of {sender}: limit {count} transactions or {bytes} bytes")]
    SenderFull { sender: Address, count: usize, bytes: usize },
    #[error("txpool is full: a higher gas price than {cheapest} wei is needed")]
    Full { cheapest: u128 },
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

#[derive(Clone, Debug)]
struct Entry {
    transaction: Transaction,
    lane: Lane,
    size: usize,
    arrival: u64,
    arrived_ms: u64,
}

impl Entry {
    fn cost(&self) -> U256 {
        cost(&self.transaction)
    }
}

/// One sender's waiting transactions by nonce.
#[derive(Clone, Debug, Default)]
struct Chain {
    account: Account,
    /// First nonce that is missing: below it everything is executable.
    gap: u64,
    entries: BTreeMap<u64, Entry>,
    cost: U256,
    paid: Usage,
    free: Usage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Usage {
    count: usize,
    bytes: usize,
}

impl Usage {
    fn add(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes;
    }

    fn remove(&mut self, bytes: usize) {
        self.count -= 1;
        self.bytes -= bytes;
    }
}

impl Chain {
    fn usage(&mut self, lane: Lane) -> &mut Usage {
        match lane {
            Lane::Paid => &mut self.paid,
            Lane::Free => &mut self.free,
        }
    }
}

/// The least worthy first: queued before executable, then the cheaper, then the younger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Worth {
    executable: bool,
    max_fee: u128,
    seniority: std::cmp::Reverse<u64>,
}

type Slot = (Address, u64);

/// The pool. All operations take O(log n) but for changes of one sender's gap, which visit what they promote or demote.
#[derive(Clone, Debug, Default)]
pub struct Mempool {
    limits: Limits,
    chains: BTreeMap<Address, Chain>,
    by_hash: HashMap<B256, Slot>,
    /// Paid transactions only: free ones never compete for room.
    by_worth: BTreeMap<Worth, Slot>,
    by_arrival: BTreeMap<u64, Slot>,
    free_by_arrival: BTreeMap<u64, Slot>,
    paid: Usage,
    free: Usage,
    arrivals: u64,
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
        let executable = nonce < self.chains[&sender].gap;
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
            if self.chains.contains_key(&address) {
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

    #[must_use]
    pub fn get(&self, hash: B256) -> Option<&Transaction> {
        let (sender, nonce) = self.by_hash.get(&hash)?;
        Some(&self.chains.get(sender)?.entries.get(nonce)?.transaction)
    }

    #[must_use]
    pub fn contains(&self, hash: B256) -> bool {
        self.by_hash.contains_key(&hash)
    }

    /// The nonce a sender should use next: after its executable transactions. `nonce` is the account's at the head.
    #[must_use]
    pub fn pending_nonce(&self, sender: Address, nonce: u64) -> u64 {
        self.chains.get(&sender).map_or(nonce, |chain| chain.gap.max(nonce))
    }

    /// Executable transactions in the order a proposer should try them; see [`Candidates`].
    #[must_use]
    pub fn candidates(&self, base_fee: u64) -> Candidates<'_> {
        Candidates::new(self, base_fee)
    }

    /// Free transactions that are next of their sender, and so must succeed on the head: what a node simulates again after each block.
    pub fn free_heads(&self) -> impl Iterator<Item = &Transaction> {
        self.free_by_arrival.values().filter_map(|(sender, nonce)| {
            let chain = self.chains.get(sender)?;
            (*nonce == chain.account.nonce).then(|| &chain.entries[nonce].transaction)
        })
    }

    /// All transactions by sender and nonce, with whether they are executable.
    pub fn content(&self) -> impl Iterator<Item = (bool, &Transaction)> {
        self.chains.values().flat_map(Self::chain_content)
    }

    /// As `content`, of one sender.
    pub fn content_from(&self, sender: Address) -> impl Iterator<Item = (bool, &Transaction)> {
        self.chains.get(&sender).into_iter().flat_map(Self::chain_content)
    }

    fn chain_content(chain: &Chain) -> impl Iterator<Item = (bool, &Transaction)> {
        chain.entries.iter().map(|(nonce, entry)| (*nonce < chain.gap, &entry.transaction))
    }

    #[must_use]
    pub fn status(&self) -> Status {
        let executable = self.chains.values().map(|chain| chain.entries.range(..chain.gap).count()).sum();
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

    /// All checks of `add`; returns what must be evicted.
    fn judge(&self, sender: Address, nonce: u64, new: &Entry, now_ms: u64) -> Result<Vec<Slot>, Refused> {
        let chain = &self.chains[&sender];
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
        let old = chain.entries.get(&nonce);
        self.judge_nonce(chain.account.nonce, nonce, new.lane)?;
        if let Some(old) = old {
            self.judge_replacement(old, new, now_ms)?;
        }
        judge_funds(chain, old, new)?;
        self.judge_sender(sender, chain, old, new)?;
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

    fn judge_sender(&self, sender: Address, chain: &Chain, old: Option<&Entry>, new: &Entry) -> Result<(), Refused> {
        let (mut usage, count, bytes) = match new.lane {
            Lane::Paid => (chain.paid, self.limits.sender_count, self.limits.sender_bytes),
            Lane::Free => (chain.free, self.limits.free_count, self.limits.free_bytes),
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
        let chain = &self.chains[&sender];
        let worth = worth(new, nonce <= chain.gap);
        let mut evicted = Vec::new();
        let mut rivals = self.by_worth.iter().filter(|(_, slot)| slot.0 != sender);
        while usage.count > self.limits.count || usage.bytes > self.limits.bytes {
            let (rival, slot) = rivals.next().ok_or(Refused::Full { cheapest: worth.max_fee })?;
            if *rival > worth {
                return Err(Refused::Full { cheapest: rival.max_fee });
            }
            usage.remove(self.chains[&slot.0].entries[&slot.1].size);
            evicted.push(*slot);
        }
        Ok(evicted)
    }

    /// Learns an account's state. A pool that is ahead of a slow reader never goes back to a lower nonce.
    fn observe(&mut self, sender: Address, account: Account) {
        let chain = self.chains.entry(sender).or_default();
        if account.nonce < chain.account.nonce {
            return;
        }
        chain.account = account;
        let stale: Vec<u64> = chain.entries.range(..account.nonce).map(|(nonce, _)| *nonce).collect();
        for nonce in stale {
            self.take((sender, nonce));
        }
        let gap = self.chains[&sender].gap.max(account.nonce);
        self.move_gap(sender, gap);
    }

    fn drop_unpayable(&mut self, sender: Address, dropped: &mut Vec<B256>) {
        while let Some(chain) = self.chains.get(&sender)
            && chain.cost > chain.account.balance
            && let Some(last) = chain.entries.keys().next_back()
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
        let entry = &self.chains[&sender].entries[&nonce];
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
        let gap = self.chains[&sender].gap.min(nonce);
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
        let chain = self.chains.entry(sender).or_default();
        chain.usage(entry.lane).add(entry.size);
        // Cannot overflow: `judge_funds` saw that the sum is within a balance.
        chain.cost += entry.cost();
        if entry.lane == Lane::Paid {
            self.by_worth.insert(worth(&entry, nonce < chain.gap), (sender, nonce));
        }
        chain.entries.insert(nonce, entry);
        let gap = chain.gap;
        self.move_gap(sender, gap);
    }

    /// Takes an entry out of all indexes; the caller refreshes the gap.
    fn take(&mut self, (sender, nonce): Slot) -> Option<Entry> {
        let chain = self.chains.get_mut(&sender)?;
        let entry = chain.entries.remove(&nonce)?;
        chain.usage(entry.lane).remove(entry.size);
        chain.cost -= entry.cost();
        self.by_hash.remove(&hash(&entry.transaction));
        match entry.lane {
            Lane::Paid => {
                self.by_worth.remove(&worth(&entry, nonce < chain.gap));
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
        let Some(chain) = self.chains.get_mut(&sender) else {
            return;
        };
        while chain.entries.contains_key(&gap) {
            gap += 1;
        }
        let was = std::mem::replace(&mut chain.gap, gap);
        for (nonce, entry) in chain.entries.range(was.min(gap)..was.max(gap)) {
            if entry.lane == Lane::Paid {
                self.by_worth.remove(&worth(entry, *nonce < was));
                self.by_worth.insert(worth(entry, *nonce < gap), (sender, *nonce));
            }
        }
    }

    fn forget_if_empty(&mut self, sender: Address) {
        if self.chains.get(&sender).is_some_and(|chain| chain.entries.is_empty()) {
            self.chains.remove(&sender);
        }
    }
}

fn judge_funds(chain: &Chain, old: Option<&Entry>, new: &Entry) -> Result<(), Refused> {
    let queued = chain.cost - old.map_or(U256::ZERO, Entry::cost);
    let (balance, cost) = (chain.account.balance, new.cost());
    if queued.checked_add(cost).is_none_or(|total| total > balance) {
        return Err(Refused::InsufficientFunds { balance, queued, cost });
    }
    Ok(())
}

fn worth(entry: &Entry, executable: bool) -> Worth {
    Worth { executable, max_fee: entry.transaction.max_fee_per_gas(), seniority: std::cmp::Reverse(entry.arrival) }
}

/// What a transaction can cost its sender at most.
fn cost(transaction: &Transaction) -> U256 {
    U256::from(transaction.gas_limit())
        .saturating_mul(U256::from(transaction.max_fee_per_gas()))
        .saturating_add(transaction.value())
}

/// Whether a price rose by the tenth that a replacement must pay, so that replacing costs something each time.
fn bumps(old: u128, new: u128) -> bool {
    new > old && new >= old.saturating_add(old.div_ceil(10))
}

fn hash(transaction: &Transaction) -> B256 {
    *transaction.tx_hash()
}
