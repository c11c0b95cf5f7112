//! Which payments are shown to the ledger: paid to a registered address, in the best chain, and of use there. One in each call, so that whatever
//! is wrong with one is its own affair.

use alloy_primitives::Address;
use bitcoin::{Amount, OutPoint};

use super::action::{Action, offer};
use super::deposit_tracker::TrackedDeposit;
use super::duty::{Offer, Task};
use super::facts::BitcoinView;
use super::view::LedgerView;
use crate::charges;

/// The payments to show, oldest first.
#[must_use]
pub fn offers(ledger: &LedgerView, bitcoin: &BitcoinView) -> Vec<Offer<Action>> {
    let depths = bitcoin.depths(ledger);
    let delay = ledger.info.parameters.reclaim_delay;
    let wants = |(outpoint, deposit): &(&OutPoint, &TrackedDeposit)| {
        let is_news = ledger.strangers.contains(*outpoint) && depths.may_sweep(deposit, delay);
        let has_moved = has_moved(ledger, outpoint) && depths.confirmations_at(deposit.height) > 0;
        has_moved || (is_news && is_worth_it(ledger, deposit))
    };
    let mut wanted: Vec<(u32, OutPoint)> =
        bitcoin.tracked.iter().filter(wants).map(|(outpoint, deposit)| (deposit.height, *outpoint)).collect();
    wanted.sort_unstable();
    wanted.into_iter().map(|(_, outpoint)| offer(Task::Prove(outpoint), Action::Prove { outpoint })).collect()
}

/// It was shown in a block that has left the best chain, and another holds it.
fn has_moved(ledger: &LedgerView, outpoint: &OutPoint) -> bool {
    let known = ledger.deposits.get(outpoint);
    known.is_some_and(|known| known.is_sweepable() && ledger.confirmations(known.block) == Some(0))
}

/// The ledger would take it, and it can pay for its sweep at the lowest rate.
fn is_worth_it(ledger: &LedgerView, deposit: &TrackedDeposit) -> bool {
    let parameters = &ledger.info.parameters;
    let contracts = &ledger.info.contracts;
    let recipient = Address::from(deposit.terms.recipient);
    let is_bad = recipient == Address::ZERO || recipient == contracts.vault || recipient == contracts.deposits;
    let least = charges::deposit_charge(parameters.min_rate, Amount::from_sat(parameters.peg_in_fee_sat));
    !is_bad
        && deposit.amount >= Amount::from_sat(parameters.min_deposit_sat)
        && deposit.terms.max_fee >= least
        && deposit.amount > least
}
