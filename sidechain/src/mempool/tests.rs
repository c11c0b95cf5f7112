//! The pool's bounds, order and replacements, also against a naive model.

use std::collections::BTreeMap;

use alloy_consensus::{Signed, Transaction as _, TxEip1559, transaction::Recovered};
use alloy_eips::Encodable2718 as _;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256};
use api::free_lane;
use proptest::prelude::*;

use super::*;
use crate::{
    block::{Transaction, TxEnvelope, is_free},
    limits::MIN_BASE_FEE,
};

pub(super) const FEE: u128 = MIN_BASE_FEE as u128;
pub(super) const GAS: u64 = 21_000;
const RICH: U256 = U256::from_limbs([u64::MAX, 0, 0, 0]);

#[derive(Clone, Debug)]
pub(super) struct Sketch {
    pub(super) sender: u8,
    pub(super) nonce: u64,
    pub(super) max_fee: u128,
    pub(super) tip: u128,
    pub(super) value: u64,
    pub(super) input: usize,
}

impl Sketch {
    pub(super) fn new(sender: u8, nonce: u64, max_fee: u128) -> Self {
        Self { sender, nonce, max_fee, tip: max_fee, value: 0, input: 0 }
    }

    pub(super) fn free(sender: u8, nonce: u64) -> Self {
        Self { tip: free_lane::MAX_PRIORITY_FEE_PER_GAS, ..Self::new(sender, nonce, free_lane::MAX_FEE_PER_GAS) }
    }

    fn lane(&self) -> Lane {
        if is_free(self.build().inner()) { Lane::Free } else { Lane::Paid }
    }

    /// What it may take of its sender.
    fn cost(&self) -> U256 {
        let gas = if self.lane() == Lane::Free { U256::ZERO } else { U256::from(GAS) * U256::from(self.max_fee) };
        gas + U256::from(self.value)
    }

    pub(super) fn build(&self) -> Transaction {
        let transaction = TxEip1559 {
            chain_id: 1,
            nonce: self.nonce,
            gas_limit: GAS,
            max_fee_per_gas: self.max_fee,
            max_priority_fee_per_gas: self.tip.min(self.max_fee),
            to: TxKind::Call(address(0xff)),
            value: U256::from(self.value),
            access_list: Default::default(),
            input: Bytes::from(vec![self.sender; self.input]),
        };
        let signature = Signature::new(U256::from(self.sender) + U256::ONE, U256::ONE, false);
        let signed = Signed::new_unhashed(transaction, signature);
        Recovered::new_unchecked(TxEnvelope::Eip1559(signed), address(self.sender))
    }
}

pub(super) fn address(byte: u8) -> Address {
    Address::repeat_byte(byte)
}

pub(super) fn rich(nonce: u64) -> Account {
    Account { nonce, balance: RICH, code: Code::Nothing }
}

pub(super) fn arrival(sketch: &Sketch, account: Account) -> Arrival {
    Arrival { transaction: sketch.build().into(), lane: sketch.lane(), account, authorities: Vec::new() }
}

pub(super) fn add(pool: &mut Mempool, sketch: &Sketch, now_ms: u64) -> Result<Added, Refused> {
    pool.add(arrival(sketch, rich(0)), now_ms)
}

/// A final block that changed `sender`.
pub(super) fn finalize(pool: &mut Mempool, sender: u8, account: Account, now_ms: u64) -> Vec<B256> {
    pool.on_finalized(pool.base_fee, [], [(address(sender), account)], now_ms)
}

pub(super) fn order(pool: &Mempool, base_fee: u64) -> Vec<(Address, u64)> {
    pool.candidates(base_fee).map(|transaction| (transaction.signer(), transaction.nonce())).collect()
}

#[test]
fn a_gap_queues_and_its_filling_promotes() {
    let mut pool = Mempool::new(Limits::default());
    assert!(!add(&mut pool, &Sketch::new(1, 1, FEE), 0).unwrap().executable);
    assert_eq!(pool.pending_nonce(address(1), 0), 0);
    assert!(order(&pool, 0).is_empty());
    assert!(add(&mut pool, &Sketch::new(1, 0, FEE), 0).unwrap().executable);
    assert_eq!(pool.pending_nonce(address(1), 0), 2);
    assert_eq!(order(&pool, 0), [(address(1), 0), (address(1), 1)]);
}

#[test]
fn a_replacement_pays_a_tenth_more_in_both_prices() {
    let mut pool = Mempool::new(Limits::default());
    let old = Sketch::new(1, 0, 10 * FEE);
    add(&mut pool, &old, 0).unwrap();
    for (max_fee, tip) in [(11 * FEE - 1, 11 * FEE), (11 * FEE, 11 * FEE - 1), (10 * FEE, 10 * FEE)] {
        let cheap = Sketch { tip, value: 1, ..Sketch::new(1, 0, max_fee) };
        assert!(matches!(add(&mut pool, &cheap, 0), Err(Refused::ReplacementUnderpriced { .. })), "{cheap:?}");
    }
    let added = add(&mut pool, &Sketch::new(1, 0, 11 * FEE), 0).unwrap();
    assert_eq!(added.replaced, Some(*old.build().tx_hash()));
    assert_eq!(pool.len(), 1);
}

// geth's legacypool, list.Add: old * (100 + 10) / 100 in integers, and more than before in any case.
#[test]
fn a_tenth_is_counted_as_clients_count_it() {
    for (old, least) in [(11, 12), (1_000_001, 1_100_001), (9, 10), (1, 2), (0, 1)] {
        let replace = |new: u128| {
            let mut pool = Mempool::new(Limits::default());
            add(&mut pool, &Sketch { tip: old, ..Sketch::new(1, 0, 10 * FEE) }, 0).unwrap();
            add(&mut pool, &Sketch { tip: new, value: 1, ..Sketch::new(1, 0, 11 * FEE) }, 0)
        };
        assert!(matches!(replace(least - 1), Err(Refused::ReplacementUnderpriced { .. })), "{old} to {}", least - 1);
        replace(least).unwrap_or_else(|refused| panic!("{old} to {least}: {refused}"));
    }
}

// The effective tip (EIP-1559) at the block's base fee, and not what somebody might pay at most.
#[test]
fn who_pays_most_above_the_base_fee_goes_first_and_of_equals_who_came_first() {
    let mut pool = Mempool::new(Limits::default());
    let fees =
        [(1, 20 * FEE, FEE), (2, 3 * FEE, 3 * FEE), (3, 5 * FEE, 2 * FEE), (4, 90 * FEE, 2 * FEE), (5, 2 * FEE, 1)];
    for (sender, max_fee, tip) in fees {
        add(&mut pool, &Sketch { tip, ..Sketch::new(sender, 0, max_fee) }, 0).unwrap();
    }
    let senders = |base_fee| order(&pool, base_fee).into_iter().map(|(sender, _)| sender[0]).collect::<Vec<_>>();
    assert_eq!(senders(0), [2, 3, 4, 1, 5]);
    // The second and the third pay less above a dearer base fee, and some not even that.
    assert_eq!(senders(u64::try_from(2 * FEE).unwrap()), [3, 4, 1, 2, 5]);
    assert_eq!(senders(u64::try_from(4 * FEE).unwrap()), [4, 1, 3]);
}

#[test]
fn free_transactions_go_first_and_do_not_wait_long() {
    let mut pool = Mempool::new(Limits::default());
    add(&mut pool, &Sketch::new(1, 0, 100 * FEE), 0).unwrap();
    add(&mut pool, &Sketch::free(2, 0), 0).unwrap();
    add(&mut pool, &Sketch::free(2, 1), 0).unwrap();
    assert_eq!(order(&pool, MIN_BASE_FEE), [(address(2), 0), (address(2), 1), (address(1), 0)]);
    assert_eq!(pool.free_heads().map(|transaction| transaction.nonce()).collect::<Vec<_>>(), [0]);
    let lifetime_ms = pool.limits().free_lifetime_ms;
    assert_eq!(pool.expire(lifetime_ms).len(), 2);
    assert_eq!(order(&pool, MIN_BASE_FEE), [(address(1), 0)]);
}

#[test]
fn a_free_transaction_is_replaced_only_after_it_had_its_time() {
    let mut pool = Mempool::new(Limits::default());
    add(&mut pool, &Sketch::free(1, 0), 0).unwrap();
    let other = Sketch { input: 1, ..Sketch::free(1, 0) };
    assert!(matches!(add(&mut pool, &other, 999), Err(Refused::ReplacementTooEarly { age_ms: 999, .. })));
    assert!(add(&mut pool, &other, 1_000).unwrap().replaced.is_some());
}

#[test]
fn a_full_pool_lets_only_the_better_paid_in() {
    let mut pool = Mempool::new(Limits { count: 2, ..Limits::default() });
    add(&mut pool, &Sketch::new(1, 0, 3 * FEE), 0).unwrap();
    let cheap = Sketch::new(2, 0, 2 * FEE);
    add(&mut pool, &cheap, 0).unwrap();
    assert_eq!(add(&mut pool, &Sketch::new(3, 0, 2 * FEE), 0), Err(Refused::Full { cheapest: 2 * FEE }));
    // A queued transaction never displaces an executable one, whatever it offers.
    assert!(matches!(add(&mut pool, &Sketch::new(3, 1, 99 * FEE), 0), Err(Refused::Full { .. })));
    let added = add(&mut pool, &Sketch::new(3, 0, 4 * FEE), 0).unwrap();
    assert_eq!(added.evicted, [*cheap.build().tx_hash()]);
    // Free ones do not need the room of paid ones.
    assert!(add(&mut pool, &Sketch::free(9, 0), 0).unwrap().evicted.is_empty());
}

#[test]
fn a_transaction_that_a_busy_machine_stopped_three_times_is_held_against_its_sender() {
    let mut pool = Mempool::new(Limits::default());
    let slow = *Sketch::new(1, 0, FEE).build().tx_hash();
    add(&mut pool, &Sketch::new(1, 0, FEE), 0).unwrap();
    assert!(!pool.on_stop(slow) && !pool.on_stop(slow) && pool.on_stop(slow));
    assert!(!pool.on_stop(B256::ZERO), "who is not there is not counted");
}

#[test]
fn what_a_sender_holds_must_be_payable_together() {
    let mut pool = Mempool::new(Limits::default());
    let account = Account { balance: U256::from(u128::from(GAS) * FEE * 2), ..Account::default() };
    for nonce in 0..2 {
        pool.add(arrival(&Sketch::new(1, nonce, FEE), account), 0).unwrap();
    }
    let third = pool.add(arrival(&Sketch::new(1, 2, FEE), account), 0);
    assert!(matches!(third, Err(Refused::InsufficientFunds { .. })));
    let poorer = Account { balance: U256::from(u128::from(GAS) * FEE), ..Account::default() };
    assert_eq!(finalize(&mut pool, 1, poorer, 0), [*Sketch::new(1, 1, FEE).build().tx_hash()]);
}

#[test]
fn what_is_final_leaves() {
    let mut pool = Mempool::new(Limits::default());
    for nonce in 0..3 {
        add(&mut pool, &Sketch::new(1, nonce, FEE), 0).unwrap();
    }
    finalize(&mut pool, 1, rich(2), 0);
    assert_eq!(order(&pool, 0), [(address(1), 2)]);
    let stale = pool.add(arrival(&Sketch::new(1, 1, FEE), rich(2)), 0);
    assert_eq!(stale, Err(Refused::NonceTooLow { next: 2, got: 1 }));
}

/// The pool as a list: every question is answered by looking at all of it.
#[derive(Clone, Debug, Default)]
struct Model {
    limits: Limits,
    accounts: BTreeMap<u8, Account>,
    entries: Vec<(Sketch, u64, u64)>,
    arrivals: u64,
    base_fee: u64,
}

impl Model {
    fn of(&self, sender: u8) -> impl Iterator<Item = &Sketch> {
        self.entries.iter().map(|(sketch, ..)| sketch).filter(move |sketch| sketch.sender == sender)
    }

    fn is_there(&self, sender: u8, nonce: u64) -> bool {
        self.of(sender).any(|sketch| sketch.nonce == nonce)
    }

    fn gap(&self, sender: u8) -> u64 {
        (self.accounts[&sender].nonce..).find(|nonce| !self.is_there(sender, *nonce)).unwrap()
    }

    fn observe(&mut self, sender: u8, account: Account) {
        let known = self.accounts.get(&sender).filter(|_| self.of(sender).next().is_some());
        if known.is_some_and(|known| account.nonce < known.nonce) {
            return;
        }
        self.accounts.insert(sender, account);
        self.entries.retain(|(sketch, ..)| sketch.sender != sender || sketch.nonce >= account.nonce);
    }

    /// Whether an entry is executable, its price and its seniority. The price is that of the cheapest that has to go first.
    fn key(&self, sketch: &Sketch, arrival: u64) -> (bool, u128, std::cmp::Reverse<u64>) {
        let own = |sketch: &Sketch| match sketch.lane() {
            Lane::Paid => sketch.max_fee.min(sketch.tip.min(sketch.max_fee) + u128::from(self.base_fee)),
            Lane::Free => u128::MAX,
        };
        let executable = sketch.nonce <= self.gap(sketch.sender);
        let before = self.of(sketch.sender).filter(|other| executable && other.nonce < sketch.nonce).map(own).min();
        (executable, own(sketch).min(before.unwrap_or(u128::MAX)), std::cmp::Reverse(arrival))
    }

    fn usage<'a>(sketches: impl Iterator<Item = &'a Sketch>, lane: Lane) -> (usize, usize) {
        sketches
            .filter(|sketch| sketch.lane() == lane)
            .fold((0, 0), |(count, bytes), sketch| (count + 1, bytes + size(sketch)))
    }

    /// Whether it is let in; and what leaves then.
    fn add(&mut self, new: &Sketch, account: Account, now_ms: u64) -> bool {
        self.observe(new.sender, account);
        let account = self.accounts[&new.sender];
        let known = self.entries.iter().any(|(old, ..)| old.build().tx_hash() == new.build().tx_hash());
        let ahead = if new.lane() == Lane::Free { self.limits.free_count } else { self.limits.sender_count };
        if known || new.nonce < account.nonce || new.nonce - account.nonce >= ahead as u64 {
            return false;
        }
        let same = |sketch: &Sketch| sketch.sender == new.sender && sketch.nonce == new.nonce;
        if let Some((old, _, arrived_ms)) = self.entries.iter().find(|(old, ..)| same(old)) {
            let allowed = match (old.lane(), new.lane()) {
                (Lane::Free, Lane::Free) => now_ms - arrived_ms >= self.limits.free_replace_after_ms,
                (Lane::Free, Lane::Paid) => true,
                (Lane::Paid, Lane::Free) => false,
                (Lane::Paid, Lane::Paid) => {
                    let rises = |old: u128, new: u128| new > old && new >= old * 110 / 100;
                    rises(old.max_fee, new.max_fee) && rises(old.tip.min(old.max_fee), new.tip.min(new.max_fee))
                }
            };
            if !allowed {
                return false;
            }
        }
        let others: Vec<_> = self.entries.iter().filter(|(old, ..)| !same(old)).cloned().collect();
        let own = others.iter().map(|(sketch, ..)| sketch).filter(|sketch| sketch.sender == new.sender).chain([new]);
        let total: U256 = own.clone().map(|sketch| sketch.cost()).sum();
        let (count, bytes) = Self::usage(own, new.lane());
        let (count_limit, bytes_limit) = match new.lane() {
            Lane::Paid => (self.limits.sender_count, self.limits.sender_bytes),
            Lane::Free => (self.limits.free_count, self.limits.free_bytes),
        };
        if total > account.balance || count > count_limit || bytes > bytes_limit {
            return false;
        }
        let mut victims = Vec::new();
        if new.lane() == Lane::Paid {
            let new_key = self.key(new, self.arrivals);
            let mut rivals: Vec<_> = others
                .iter()
                .filter(|(rival, ..)| rival.lane() == Lane::Paid && rival.sender != new.sender)
                .map(|(rival, arrival, _)| (self.key(rival, *arrival), rival.clone()))
                .collect();
            rivals.sort_by_key(|(key, _)| std::cmp::Reverse(*key));
            let (mut count, mut bytes) = Self::usage(others.iter().map(|(sketch, ..)| sketch).chain([new]), Lane::Paid);
            while count > self.limits.count || bytes > self.limits.bytes {
                match rivals.pop() {
                    Some((rival_key, rival)) if rival_key < new_key => {
                        (count, bytes) = (count - 1, bytes - size(&rival));
                        victims.push((rival.sender, rival.nonce));
                    }
                    _ => return false,
                }
            }
        }
        self.entries = others;
        self.entries.retain(|(sketch, ..)| !victims.contains(&(sketch.sender, sketch.nonce)));
        self.entries.push((new.clone(), self.arrivals, now_ms));
        self.arrivals += 1;
        true
    }

    fn on_finalized(&mut self, base_fee: u64, sender: u8, account: Account, now_ms: u64) {
        if self.of(sender).next().is_some() {
            self.observe(sender, account);
            let balance = self.accounts[&sender].balance;
            while self.of(sender).map(|sketch| sketch.cost()).sum::<U256>() > balance {
                let last = self.of(sender).map(|sketch| sketch.nonce).max();
                self.entries.retain(|(sketch, ..)| sketch.sender != sender || Some(sketch.nonce) != last);
            }
        }
        self.base_fee = base_fee;
        let limits = self.limits.clone();
        self.entries.retain(|(sketch, _, arrived_ms)| {
            let lifetime_ms = if sketch.lane() == Lane::Free { limits.free_lifetime_ms } else { limits.lifetime_ms };
            now_ms - arrived_ms < lifetime_ms
        });
        let gaps: BTreeMap<u8, u64> = self.accounts.keys().map(|sender| (*sender, self.gap(*sender))).collect();
        self.entries.retain(|(sketch, _, arrived_ms)| {
            let queued = sketch.lane() == Lane::Paid && sketch.nonce > gaps[&sketch.sender];
            !queued || now_ms - arrived_ms < limits.queued_lifetime_ms
        });
    }

    fn candidates(&self, base_fee: u64) -> Vec<(Address, u64)> {
        let mut next: BTreeMap<u8, u64> =
            self.accounts.iter().map(|(sender, account)| (*sender, account.nonce)).collect();
        let (mut order, mut offered) = (Vec::new(), BTreeMap::<u8, u64>::new());
        loop {
            let best = self
                .entries
                .iter()
                .filter(|(sketch, ..)| next[&sketch.sender] == sketch.nonce)
                .filter_map(|(sketch, arrival, _)| {
                    let free = sketch.lane() == Lane::Free;
                    let room = sketch.max_fee.checked_sub(u128::from(base_fee)).or(free.then_some(0))?;
                    // Of the free ones, the member that was offered least is next.
                    let served = if free { offered.get(&sketch.sender).copied().unwrap_or_default() } else { 0 };
                    Some(((free, room.min(sketch.tip), std::cmp::Reverse((served, *arrival))), sketch))
                })
                .max_by_key(|(rank, _)| *rank);
            let Some((_, sketch)) = best else {
                return order;
            };
            order.push((address(sketch.sender), sketch.nonce));
            if sketch.lane() == Lane::Free {
                *offered.entry(sketch.sender).or_default() += GAS;
            }
            *next.get_mut(&sketch.sender).unwrap() += 1;
        }
    }

    fn content(&self) -> Vec<(bool, Address, u64)> {
        let mut content: Vec<_> = self
            .entries
            .iter()
            .map(|(sketch, ..)| (sketch.nonce < self.gap(sketch.sender), address(sketch.sender), sketch.nonce))
            .collect();
        content.sort_by_key(|(_, sender, nonce)| (*sender, *nonce));
        content
    }
}

fn size(sketch: &Sketch) -> usize {
    sketch.build().encode_2718_len()
}

#[derive(Clone, Debug)]
enum Step {
    Add(Sketch, u64),
    Finalize { base_fee: u64, sender: u8, nonce: u64, balance: u64, after_ms: u64 },
    Remove(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let sketch = (0u8..4, 0u64..6, prop_oneof![Just(0u128), 10u128..14], 8u128..14, 0u64..3, 0usize..120).prop_map(
        |(sender, nonce, max_fee, tip, value, input)| match max_fee {
            0 => Sketch { value, input, ..Sketch::free(sender, nonce) },
            _ => Sketch { sender, nonce, max_fee: max_fee * FEE, tip: tip * FEE, value, input },
        },
    );
    prop_oneof![
        8 => (sketch, 0u64..400).prop_map(|(sketch, after_ms)| Step::Add(sketch, after_ms)),
        2 => (0u64..14, 0u8..4, 0u64..4, 0u64..6, 0u64..3_000).prop_map(
            |(base_fee, sender, nonce, balance, after_ms)| Step::Finalize { base_fee, sender, nonce, balance, after_ms }
        ),
        1 => (0usize..20).prop_map(Step::Remove),
    ]
}

proptest! {
    #[test]
    fn the_pool_does_what_a_naive_list_does(steps in prop::collection::vec(step(), 1..80)) {
        let limits = Limits {
            count: 7,
            bytes: 1_400,
            sender_count: 4,
            sender_bytes: 700,
            free_count: 3,
            free_bytes: 400,
            lifetime_ms: 8_000,
            queued_lifetime_ms: 5_000,
            free_lifetime_ms: 4_000,
            free_replace_after_ms: 500,
            ..Limits::default()
        };
        let mut pool = Mempool::new(limits.clone());
        let mut model = Model { limits, ..Model::default() };
        let mut state: BTreeMap<u8, Account> = (0..4).map(|sender| (sender, rich(0))).collect();
        let mut now_ms = 0;
        for step in steps {
            match step {
                Step::Add(sketch, after_ms) => {
                    now_ms += after_ms;
                    let account = state[&sketch.sender];
                    let added = pool.add(arrival(&sketch, account), now_ms);
                    prop_assert_eq!(added.is_ok(), model.add(&sketch, account, now_ms), "{:?}: {:?}", sketch, added);
                }
                Step::Finalize { base_fee, sender, nonce, balance, after_ms } => {
                    now_ms += after_ms;
                    let account = state.get_mut(&sender).unwrap();
                    account.nonce += nonce;
                    // In units of about one transaction's cost.
                    account.balance = U256::from(balance) * U256::from(GAS) * U256::from(12 * FEE);
                    let account = *account;
                    let base_fee = base_fee * MIN_BASE_FEE;
                    pool.on_finalized(base_fee, [], [(address(sender), account)], now_ms);
                    model.on_finalized(base_fee, sender, account, now_ms);
                }
                Step::Remove(index) => {
                    if let Some((sketch, ..)) = model.entries.get(index).cloned() {
                        prop_assert!(pool.remove(*sketch.build().tx_hash()).is_some());
                        model.entries.remove(index);
                    }
                }
            }
            let content: Vec<_> = pool.content().map(|(executable, tx)| (executable, tx.signer(), tx.nonce())).collect();
            prop_assert_eq!(&content, &model.content());
            for base_fee in [0, 11 * MIN_BASE_FEE] {
                prop_assert_eq!(order(&pool, base_fee), model.candidates(base_fee));
                prop_assert_eq!(pool.has_work(base_fee, |_| false), !model.candidates(base_fee).is_empty());
            }
            let worths = |entry: &(Sketch, u64, u64)| (entry.0.lane() == Lane::Paid).then(|| model.key(&entry.0, entry.1));
            let mut worths: Vec<_> = model.entries.iter().filter_map(worths).collect();
            worths.sort_unstable();
            let kept: Vec<_> = pool.by_worth.keys().map(|worth| (worth.executable, worth.price, worth.seniority)).collect();
            prop_assert_eq!(kept, worths);
            let status = pool.status();
            prop_assert_eq!(status.executable, content.iter().filter(|(executable, ..)| *executable).count());
            prop_assert_eq!(status.executable + status.queued, model.entries.len());
            prop_assert_eq!(status.bytes, model.entries.iter().map(|(sketch, ..)| size(sketch)).sum::<usize>());
        }
    }
}
