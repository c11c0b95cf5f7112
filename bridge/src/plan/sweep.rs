//! Which deposits are swept next.

use std::collections::BTreeMap;

use bitcoin::OutPoint;

use super::conditions::Conditions;
use super::proposal::propose;
use crate::peg::Content;
use crate::vault_tx::draft::deposit_order;
use crate::vault_tx::facts::{Deposit, LedgerFacts, Rules};
use crate::vault_tx::layout::{ANCHOR_SCRIPT, VAULT_SCRIPT_LEN, vsize};

/// Gas of settling a sweep that is minted at once, in any case and for each deposit (docs/ledger.md, "Gas").
const GAS: u64 = 200_000;
const GAS_EACH: u64 = 90_000;

type Ready<'a> = Vec<(&'a OutPoint, &'a Deposit)>;

/// The next sweep: as many deposits of one epoch as fit, the oldest first, none that cannot pay; or none.
#[must_use]
pub fn sweep(ledger: &LedgerFacts, on: &Conditions) -> Option<Content> {
    let rate = on.rate(&ledger.rules);
    let most = most(ledger, on);
    ready(ledger, on).iter().find_map(|((epoch, _), ready)| {
        let paying: Ready<'_> = ready.iter().copied().filter(|(_, deposit)| pays(deposit, rate, ledger)).collect();
        // What was bound at a lower rate pays its maximum alone: where the reserve cannot add the rest it waits, and not the others. Of deposits that are all for the reserve
        // nothing is asked.
        [ready, &paying, &for_the_reserve(ready)].into_iter().find_map(|ready| {
            let deposits = within_cap(ready, ledger, most);
            let content = Content { epoch: *epoch, rate, deposits, ..Content::default() };
            Some(propose(content, ledger)?.content)
        })
    })
}

/// Whether a deposit is past half of its reclaim delay, and so many blocks: its owner may take it back before a sweep confirms, which would end that sweep. So such
/// deposits are swept apart from others.
#[must_use]
pub fn is_near_reclaim(deposit: &Deposit, rules: &Rules, tip: u32, blocks: u32) -> bool {
    tip.saturating_sub(deposit.height) > (rules.reclaim_delay / 2).saturating_add(blocks)
}

/// Those that nothing sweeps and that may be bound at this rate, by epoch and whether their reclaim is near, each the oldest first.
fn ready<'a>(ledger: &'a LedgerFacts, on: &Conditions) -> BTreeMap<(u32, bool), Ready<'a>> {
    let (rate, rules) = (on.rate(&ledger.rules), &ledger.rules);
    let mut ready: BTreeMap<(u32, bool), Ready<'_>> = BTreeMap::new();
    let may = |deposit: &Deposit| {
        !deposit.in_use && (deposit.was_bound || deposit.minted.is_some() || deposit.pays_whole(rate, rules))
    };
    for (outpoint, deposit) in ledger.deposits.iter().filter(|(_, deposit)| may(deposit)) {
        let key = (deposit.epoch, is_near_reclaim(deposit, rules, on.tip, 0));
        ready.entry(key).or_default().push((outpoint, deposit));
    }
    let age = |(outpoint, deposit): &(&OutPoint, &Deposit)| (deposit.height, **outpoint);
    ready.values_mut().for_each(|ready| ready.sort_by_key(age));
    ready
}

fn for_the_reserve<'a>(ready: &Ready<'a>) -> Ready<'a> {
    ready.iter().copied().filter(|(_, deposit)| deposit.for_reserve).collect()
}

/// Whether it costs the reserve nothing but its part of what all share, or is not asked about that.
pub(super) fn pays(deposit: &Deposit, rate: u64, ledger: &LedgerFacts) -> bool {
    deposit.for_reserve || deposit.minted.is_some() || deposit.pays_whole(rate, &ledger.rules)
}

/// The first that fit the cap, in the order of a content.
fn within_cap(ready: &Ready<'_>, ledger: &LedgerFacts, most: usize) -> Vec<OutPoint> {
    let mut room = ledger.cap_left;
    let mut fits = |deposit: &Deposit| {
        if deposit.was_bound || deposit.minted.is_some() {
            return true;
        }
        let left = room.checked_sub(deposit.amount);
        room = left.unwrap_or(room);
        left.is_some()
    };
    let chosen = ready.iter().filter(|(_, deposit)| fits(deposit)).take(most);
    let mut deposits: Vec<OutPoint> = chosen.map(|(outpoint, _)| **outpoint).collect();
    deposits.sort_by_key(deposit_order);
    deposits
}

/// Inputs that fit one sweep.
fn most(ledger: &LedgerFacts, on: &Conditions) -> usize {
    let most = on.most_inputs(&ledger.rules).min(on.by_gas(GAS, GAS_EACH));
    let outputs = [VAULT_SCRIPT_LEN, ANCHOR_SCRIPT.len()];
    let fits = |inputs: &usize| vsize(*inputs, outputs.into_iter()) <= on.budget.vsize;
    (1..=most).take_while(fits).last().unwrap_or(0)
}
