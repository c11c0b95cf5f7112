//! From signatures to the ledger: what is handed to Bitcoin, and what is shown of it.
//!
//! ```text
//!   bound, signed, and bitcoind does not have it                        Broadcast   the dearest of its versions, parents first
//!   bound, in a block of the light client's best chain                  Settle      parents first
//!   settled in a block that left, and another holds it                  Settle again
//!   settled in a block that left, nothing settled spends its output     Unsettle    children first
//! ```
//! A transaction that the mempool lost is nowhere, so it is broadcast again. One of several versions is never broadcast below another that is
//! there: no node takes a cheaper replacement.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::{BlockHash, OutPoint};

use super::action::{Action, offer};
use super::duty::{Duty, Offer, Task};
use super::facts::BitcoinView;
use super::places::Place;
use super::view::{Entry, LedgerView};
use crate::peg::VaultStatus;

/// Refusals by bitcoind in a row after which a cheaper version is tried instead.
const TRIES_OF_THE_DEAREST: u32 = 4;

/// What is owed for the vault transactions that are bound.
#[must_use]
pub fn offers(ledger: &LedgerView, bitcoin: Option<&BitcoinView>, duty: &Duty) -> Vec<Offer<Action>> {
    let rivals = Rivals::new(ledger);
    let of_one = |(number, entry): (&u32, &Entry)| {
        let place = bitcoin.and_then(|bitcoin| bitcoin.places.get(number)).copied();
        if let Some(bitcoin) = bitcoin
            && let Some(block) = provable_block(ledger, bitcoin, entry, place)
        {
            return Some(offer(Task::Settle(*number), Action::Settle { number: *number, block }));
        }
        if is_dropped(ledger, entry) {
            return Some(offer(Task::Unsettle(*number), Action::Unsettle { number: *number }));
        }
        let wants_broadcast = place == Some(Place::Nowhere) && ledger.signed.contains_key(number);
        let bitcoin = bitcoin.filter(|_| wants_broadcast && ledger.may_confirm(entry))?;
        let is_first = parents_are_there(ledger, bitcoin, entry) && !rivals.outbid(*number, ledger, bitcoin, duty);
        is_first.then(|| offer(Task::Broadcast(*number), Action::Broadcast { number: *number }))
    };
    ledger.entries.iter().filter_map(of_one).collect()
}

/// The vault transactions whose place on Bitcoin matters.
#[must_use]
pub fn wants_place(ledger: &LedgerView, entry: &Entry) -> bool {
    ledger.may_confirm(entry) || ledger.settled_confirmations(entry) == Some(0)
}

/// The block to prove to the ledger.
fn provable_block(
    ledger: &LedgerView,
    bitcoin: &BitcoinView,
    entry: &Entry,
    place: Option<Place>,
) -> Option<BlockHash> {
    let Some(Place::Block(block)) = place else { return None };
    if bitcoin.depths(ledger).confirmations_at(block.height) == 0 {
        return None;
    }
    let wants = match entry.status {
        VaultStatus::Settled => ledger.settled_confirmations(entry) == Some(0),
        VaultStatus::Bound | VaultStatus::Void => inputs_are_live(ledger, entry),
    };
    wants.then_some(block.hash)
}

// docs/ledger.md, "settle": vault inputs Live, deposits not swept by another.
fn inputs_are_live(ledger: &LedgerView, entry: &Entry) -> bool {
    let is_sweepable = |outpoint: &OutPoint| ledger.deposits.get(outpoint).is_none_or(|deposit| deposit.is_sweepable());
    entry.content.outputs.iter().all(|output| ledger.outputs.contains_key(output))
        && entry.content.deposits.iter().all(is_sweepable)
}

/// Whether the best chain no longer holds a settled one, and nothing settled spends its output.
fn is_dropped(ledger: &LedgerView, entry: &Entry) -> bool {
    ledger.settled_confirmations(entry) == Some(0) && entry.spent_by.is_none()
}

/// Whether what it spends is in the chain, or in the mempool.
fn parents_are_there(ledger: &LedgerView, bitcoin: &BitcoinView, entry: &Entry) -> bool {
    let is_there = |output: &u32| {
        ledger.outputs.contains_key(output) || bitcoin.places.get(output).is_some_and(|place| *place != Place::Nowhere)
    };
    entry.content.outputs.iter().all(is_there)
}

/// Vault transactions that spend the same output: one of them confirms.
#[derive(Clone, Debug)]
pub struct Rivals(BTreeMap<OutPoint, BTreeSet<u32>>);

impl Rivals {
    #[must_use]
    pub fn new(ledger: &LedgerView) -> Self {
        let mut by_input: BTreeMap<OutPoint, BTreeSet<u32>> = BTreeMap::new();
        for (number, entry) in ledger.entries.iter().filter(|(_, entry)| ledger.may_confirm(entry)) {
            for outpoint in entry.outpoints() {
                by_input.entry(outpoint).or_default().insert(*number);
            }
        }
        Self(by_input)
    }

    /// Those that share an input with it, without itself.
    #[must_use]
    pub fn of(&self, entry: &Entry, number: u32) -> BTreeSet<u32> {
        let mut rivals: BTreeSet<u32> =
            entry.outpoints().filter_map(|input| self.0.get(&input)).flatten().copied().collect();
        rivals.remove(&number);
        rivals
    }

    /// Whether one that is as dear is there already, or a dearer one is to be broadcast instead.
    fn outbid(&self, number: u32, ledger: &LedgerView, bitcoin: &BitcoinView, duty: &Duty) -> bool {
        let entry = &ledger.entries[&number];
        self.of(entry, number).into_iter().any(|rival| {
            let rate = ledger.entries[&rival].content.rate;
            let is_there = bitcoin.places.get(&rival).is_some_and(|place| *place != Place::Nowhere);
            let comes_first = ledger.signed.contains_key(&rival)
                && (rate, rival) > (entry.content.rate, number)
                && duty.times_failed(Task::Broadcast(rival)) < TRIES_OF_THE_DEAREST;
            (is_there && rate >= entry.content.rate) || comes_first
        })
    }
}
