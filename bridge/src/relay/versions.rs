//! When a bound vault transaction is replaced by another version over the same outputs (BIP125), and which. The policy in words is in
//! docs/runbook.md.
//!
//! ```text
//!   signed, waits for TARGET_BLOCKS or more, and blocks are dearer now     a version at the present rate
//!   signed, bitcoind refuses it, and blocks are dearer now                 the same, at once
//!   bound, and not signed for SIGNED_WITHIN_BLOCKS                         the same, at whatever rate
//! ```
//! The newest of several versions counts: it has just been made because the older ones got nowhere. But a member that makes one a little dearer at each block shall not
//! hold them all far below the rate of the day:
//! ```text
//!   the oldest waits for TARGET_BLOCKS, blocks are dearer by a quarter     a version at the present rate
//!   the oldest waits for twice as long, and blocks are dearer now          the same
//! ```
//! And by the same times a member approves another's version, one block earlier ([`Before`]).
//!
//! What somebody pays by a child in the mempool counts as its own. A sweep's version leaves out deposits that something else spends in the mempool.
//!
//! The oldest first: what spends outputs that are not in the chain waits for those. Never below what was broadcast: no node takes a cheaper
//! replacement. If the reserve cannot pay, it waits: anybody may pay by the anchor (`causeway bump`).

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::{Amount, OutPoint};
use mainchain::header::Height;

use super::action::{Action, offer};
use super::drafting::by_bound;
use super::duty::{Duty, Kind, Offer, Task};
use super::facts::{BitcoinView, Package};
use super::places::Place;
use super::settlement::Rivals;
use super::view::{Entry, LedgerView};
use crate::peg::Content;
use crate::plan::{self, Before, Conditions, Replaced, TARGET_BLOCKS, is_far};
use crate::vault_tx::facts::LedgerFacts;
use crate::vault_tx::layout::vsize;

/// Blocks within which a bound vault transaction should be signed.
pub const SIGNED_WITHIN_BLOCKS: u32 = 3;
/// Refusals by bitcoind in a row after which a vault transaction counts as evicted.
const EVICTED_AFTER: u32 = 2;

/// Since which height of the best chain vault transactions wait for their block.
#[derive(Clone, Debug, Default)]
pub struct Waiting(BTreeMap<u32, Height>);

impl Waiting {
    /// Takes in which wait now.
    pub fn look(&mut self, ledger: &LedgerView, bitcoin: &BitcoinView) {
        let tip = ledger.light().height;
        let waits = |(number, entry): &(&u32, &Entry)| {
            let is_in_block = matches!(bitcoin.places.get(number), Some(Place::Block(_)));
            ledger.may_confirm(entry) && !is_in_block
        };
        let waiting: BTreeSet<u32> = ledger.entries.iter().filter(waits).map(|(number, _)| *number).collect();
        self.0.retain(|number, _| waiting.contains(number));
        for number in waiting {
            self.0.entry(number).or_insert(tip);
        }
    }

    fn blocks(&self, number: u32, tip: Height) -> u32 {
        self.0.get(&number).map_or(0, |since| tip.saturating_sub(*since))
    }

    /// For how long the one of them waits that waits longest.
    fn longest(&self, group: &BTreeSet<u32>, tip: Height) -> u32 {
        group.iter().map(|number| self.blocks(*number, tip)).max().unwrap_or(0)
    }

    /// What a content would be another version of; none if it is the first over what it spends.
    #[must_use]
    pub fn before(&self, content: &Content, ledger: &LedgerView, bitcoin: &BitcoinView) -> Option<Before> {
        let tip = ledger.light().height;
        let group: BTreeSet<u32> = by_bound(ledger, Some(bitcoin))
            .filter(|(_, entry)| overlap(&entry.content, content))
            .map(|(number, _)| *number)
            .collect();
        let waits_for = self.blocks(*group.last()?, tip);
        let is_seen = |number: &u32| bitcoin.places.get(number).is_some_and(|place| *place != Place::Nowhere);
        Some(Before {
            rate: group.iter().map(|number| ledger.entries[number].content.rate).max().unwrap_or(0),
            newest_waits_for: waits_for,
            oldest_waits_for: self.longest(&group, tip),
            is_seen: group.iter().any(is_seen),
        })
    }
}

fn overlap(one: &Content, other: &Content) -> bool {
    one.deposits.iter().any(|outpoint| other.deposits.contains(outpoint))
        || one.outputs.iter().any(|output| other.outputs.contains(output))
}

/// The versions to propose, the oldest first. `facts` are of everything that can be had, whatever is in use.
#[must_use]
pub fn offers(
    ledger: &LedgerView,
    bitcoin: &BitcoinView,
    waiting: &Waiting,
    duty: &Duty,
    (facts, on): (&LedgerFacts, &Conditions),
) -> Vec<Offer<Action>> {
    let rivals = Rivals::new(ledger);
    let mut seen = BTreeSet::new();
    let mut offers = Vec::new();
    for (number, entry) in ledger.entries.iter().filter(|(_, entry)| ledger.may_confirm(entry)) {
        let mut group = rivals.of(entry, *number);
        group.insert(*number);
        // One version for all that exclude each other.
        if group.iter().any(|rival| !seen.insert(*rival)) {
            continue;
        }
        if is_stuck(ledger, bitcoin, waiting, duty, on.rate, &group)
            && let Some(content) = version(ledger, bitcoin, &group, facts, on)
        {
            let work = Action::Propose { kind: Kind::Version, content };
            offers.push(offer(Task::Propose(Kind::Version, *number), work));
        }
    }
    offers
}

/// Whether none of the versions gets anywhere as it is.
fn is_stuck(
    ledger: &LedgerView,
    bitcoin: &BitcoinView,
    waiting: &Waiting,
    duty: &Duty,
    rate: u64,
    group: &BTreeSet<u32>,
) -> bool {
    let tip = ledger.light().height;
    let place = |number: &u32| bitcoin.places.get(number).copied();
    if group.iter().any(|number| matches!(place(number), Some(Place::Block(_)) | None)) {
        return false;
    }
    let Some(newest) = group.last() else { return false };
    let (waited, longest) = (waiting.blocks(*newest, tip), waiting.longest(group, tip));
    let is_signed = ledger.signed.contains_key(newest) || place(newest) != Some(Place::Nowhere);
    if !is_signed && waited >= SIGNED_WITHIN_BLOCKS {
        return true;
    }
    let paid = |number: &u32| bitcoin.packages.get(number).map_or(0, Package::rate);
    let dearest = group.iter().map(|number| ledger.entries[number].content.rate.max(paid(number))).max().unwrap_or(0);
    let is_evicted = group.iter().all(|number| place(number) == Some(Place::Nowhere))
        && duty.times_failed(Task::Broadcast(*newest)) >= EVICTED_AFTER;
    let is_in_vain = (longest >= TARGET_BLOCKS && is_far(rate, dearest)) || (longest >= 2 * TARGET_BLOCKS && is_signed);
    rate > dearest && (is_evicted || waited >= TARGET_BLOCKS || is_in_vain)
}

/// Another version of the dearest that may have been broadcast.
fn version(
    ledger: &LedgerView,
    bitcoin: &BitcoinView,
    group: &BTreeSet<u32>,
    facts: &LedgerFacts,
    on: &Conditions,
) -> Option<Content> {
    let signed = group.iter().filter(|number| ledger.signed.contains_key(number));
    let dearest = signed.max_by_key(|number| (ledger.entries[number].content.rate, **number));
    let entry = &ledger.entries[dearest.or(group.last())?];
    let packages = group.iter().filter_map(|number| bitcoin.packages.get(number));
    let with_children = packages.map(|package| package.with_children).max().unwrap_or(Amount::ZERO);
    let (fee, vsize) = (if dearest.is_some() { fee(entry) } else { Amount::ZERO }, size(entry));
    let bound_rate = group.iter().map(|number| ledger.entries[number].content.rate).max().unwrap_or(0);
    let content = without_contested(&entry.content, ledger, bitcoin);
    plan::version(&Replaced { content: &content, fee: fee.max(with_children), vsize, bound_rate }, facts, on)
}

/// Without deposits that something else spends in the mempool, if there are others.
fn without_contested(content: &Content, ledger: &LedgerView, bitcoin: &BitcoinView) -> Content {
    let is_free = |outpoint: &OutPoint| !bitcoin.contests(ledger, outpoint);
    let deposits: Vec<OutPoint> = content.deposits.iter().copied().filter(is_free).collect();
    if deposits.is_empty() { content.clone() } else { Content { deposits, ..content.clone() } }
}

/// The miners' part.
fn fee(entry: &Entry) -> Amount {
    let inputs: u64 = entry.amounts_sat.iter().fold(0, |sum, sat| sum.saturating_add(*sat));
    let outputs = entry.unsigned.output.iter().fold(0u64, |sum, output| sum.saturating_add(output.value.to_sat()));
    Amount::from_sat(inputs.saturating_sub(outputs))
}

fn size(entry: &Entry) -> u64 {
    vsize(entry.unsigned.input.len(), entry.unsigned.output.iter().map(|output| output.script_pubkey.len()))
}
