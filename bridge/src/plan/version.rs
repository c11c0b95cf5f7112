//! Another version of a bound vault transaction: over the same outputs or deposits, at a higher rate, so that it replaces what waits (BIP125).

use std::collections::BTreeSet;

use bitcoin::{Amount, OutPoint};

use super::conditions::Conditions;
use super::left_out::without_the_poor;
use super::more_outputs::with_more_outputs;
use super::proposal::propose;
use super::sweep;
use crate::peg::Content;
use crate::vault_tx::draft::Built;
use crate::vault_tx::facts::LedgerFacts;

/// What a node wants for relaying a replacement, in satoshis per 1,000 vB (Bitcoin Core, `DEFAULT_INCREMENTAL_RELAY_FEE` before version 30, and the larger of the two).
const RELAY_RATE: u64 = 1_000;

/// A bound vault transaction that another version is to replace.
#[derive(Clone, Copy, Debug)]
pub struct Replaced<'a> {
    /// As it was bound.
    pub content: &'a Content,
    /// Of the dearest version that was broadcast, with what was spent on its child.
    pub fee: Amount,
    pub vsize: u64,
    /// The highest rate of all that is bound over its inputs, and may confirm.
    pub bound_rate: u64,
}

/// A version that pays more than what it replaces; none if that is not to be had, most of all because the reserve cannot pay: then it waits. All that is tied is in
/// it, or else all but those who pay too little.
#[must_use]
pub fn version(replaced: &Replaced<'_>, ledger: &LedgerFacts, on: &Conditions) -> Option<Content> {
    let content = still_there(replaced.content, ledger, on)?;
    let whole = |content: &Content| made(content, ledger, on);
    let paying = |content: &Content| without_who_cannot_pay(content, replaced.bound_rate, ledger, on);
    replaced.by(&content, ledger, whole).or_else(|| replaced.by(&content, ledger, paying))
}

impl Replaced<'_> {
    /// What is made of a content, at its rate or else at the one that it takes.
    fn by(&self, content: &Content, ledger: &LedgerFacts, made: impl Fn(&Content) -> Option<Built>) -> Option<Content> {
        let first = made(content);
        let vsize = first.as_ref().map_or(self.vsize, |first| first.vsize);
        let rate = self.least_rate(vsize).min(ledger.rules.max_rate);
        match first {
            Some(first) if self.is_replaced_by(&first) => return Some(first.content),
            // At the rate of what is bound it may be the same bytes, which the ledger binds once.
            None if rate <= content.rate => return None,
            _ => {}
        }
        let second = made(&Content { rate, ..content.clone() })?;
        self.is_replaced_by(&second).then_some(second.content)
    }

    // BIP125, rules 3, 4 and the one about rates that Bitcoin Core added.
    fn is_replaced_by(&self, built: &Built) -> bool {
        let relay_sat = built.vsize.saturating_mul(RELAY_RATE).div_ceil(1_000);
        let pays_more = built.fee.to_sat() >= self.fee.to_sat().saturating_add(relay_sat);
        let rate = |fee: Amount, other: u64| u128::from(fee.to_sat()) * u128::from(other);
        pays_more && rate(built.fee, self.vsize) > rate(self.fee, built.vsize)
    }

    /// The least rate at which a transaction of this size replaces it.
    fn least_rate(&self, vsize: u64) -> u64 {
        let vsize = vsize.max(1);
        let relay_sat = vsize.saturating_mul(RELAY_RATE).div_ceil(1_000);
        let by_fee = u128::from(self.fee.to_sat().saturating_add(relay_sat)) * 1_000 / u128::from(vsize) + 1;
        let by_rate = u128::from(self.fee.to_sat()) * 1_000 / u128::from(self.vsize.max(1)) + 1;
        u64::try_from(by_fee.max(by_rate)).unwrap_or(u64::MAX)
    }
}

/// What is left of it, and whatever else is tied to its outputs; never at a lower rate.
fn still_there(content: &Content, ledger: &LedgerFacts, on: &Conditions) -> Option<Content> {
    let rate = on.rate(&ledger.rules).max(content.rate);
    let is_live = |number: &u32| ledger.outputs.get(number).is_some_and(|output| output.epoch == content.epoch);
    let outputs: Vec<u32> = content.outputs.iter().copied().filter(is_live).collect();
    // Ties are to the first.
    if outputs.first() != content.outputs.first() {
        return None;
    }
    let deposits = content.deposits.iter().copied().filter(|outpoint| ledger.deposits.contains_key(outpoint)).collect();
    let most = ledger.rules.max_payouts.min(on.budget.payouts);
    let withdrawals = tied_to(&outputs, content, ledger, most);
    if withdrawals.is_empty() != content.withdrawals.is_empty() {
        return None;
    }
    Some(Content { epoch: content.epoch, rate, reserve_sat: 0, deposits, outputs, withdrawals })
}

/// Those that it paid come first, where not all fit.
fn tied_to(outputs: &[u32], content: &Content, ledger: &LedgerFacts, most: usize) -> Vec<u64> {
    let is_tied = |id: &u64| {
        let tie = ledger.withdrawals.get(id).and_then(|withdrawal| withdrawal.tie);
        tie.is_some_and(|tie| outputs.contains(&tie))
    };
    let named: BTreeSet<u64> = content.withdrawals.iter().copied().collect();
    let paid = named.iter().copied().filter(is_tied);
    let others = ledger.withdrawals.keys().copied().filter(|id| !named.contains(id) && is_tied(id));
    let mut ids: Vec<u64> = paid.chain(others).take(most).collect();
    ids.sort_unstable();
    ids
}

fn made(content: &Content, ledger: &LedgerFacts, on: &Conditions) -> Option<Built> {
    if content.outputs.is_empty() { propose(content.clone(), ledger) } else { with_more_outputs(content, ledger, on) }
}

/// The same without who cannot pay the whole charge, where the reserve does not pay the rest.
fn without_who_cannot_pay(content: &Content, bound_rate: u64, ledger: &LedgerFacts, on: &Conditions) -> Option<Built> {
    if !content.outputs.is_empty() {
        return without_the_poor(content, bound_rate, ledger, on);
    }
    let pays = |outpoint: &OutPoint| {
        let deposit = ledger.deposits.get(outpoint);
        deposit.is_some_and(|deposit| sweep::pays(deposit, content.rate, ledger))
    };
    let deposits: Vec<OutPoint> = content.deposits.iter().copied().filter(pays).collect();
    // Nothing is tied to a deposit: the others are swept apart, whenever they can be.
    if deposits.is_empty() { None } else { propose(Content { deposits, ..content.clone() }, ledger) }
}
