//! Deposits whose block has left the best chain: their funding is handed to Bitcoin again where the mempool lost it, and where the cap is short they give up their place in it.

use bitcoin::OutPoint;

use super::action::{Action, offer};
use super::duty::{Offer, Task};
use super::facts::BitcoinView;
use super::view::{Deposit, LedgerView};
use crate::peg::DepositStatus;

/// What is owed for them.
#[must_use]
pub fn offers(ledger: &LedgerView, bitcoin: &BitcoinView) -> Vec<Offer<Action>> {
    // What is spent otherwise cannot come back.
    let is_free = |outpoint: &&OutPoint| {
        let spent = |input: OutPoint| {
            let spend = bitcoin.spends.get(&input);
            spend.is_some_and(|spend| !bitcoin.fundings.is_of(outpoint, spend.by))
        };
        !spent(**outpoint) && !bitcoin.fundings.inputs_of(outpoint).any(|(.., input)| spent(input))
    };
    let lost = bitcoin.lost.iter().filter(is_free);
    let again = lost.map(|outpoint| offer(Task::Resubmit(*outpoint), Action::Resubmit { outpoint: *outpoint }));
    let mut offers: Vec<Offer<Action>> = again.collect();
    if is_cap_short(ledger) {
        let left = ledger.deposits.iter().filter(|(_, deposit)| is_counted(deposit) && has_left(ledger, deposit));
        offers.extend(left.map(|(outpoint, _)| offer(Task::Left(*outpoint), Action::Left { outpoint: *outpoint })));
    }
    offers
}

fn has_left(ledger: &LedgerView, deposit: &Deposit) -> bool {
    ledger.confirmations(deposit.block) == Some(0)
}

// docs/ledger.md, "left": bound, not swept, not minted.
fn is_counted(deposit: &Deposit) -> bool {
    deposit.bound && !deposit.minted && deposit.swept_by.is_none() && deposit.status != DepositStatus::Gone
}

/// Whether a deposit waits for room.
fn is_cap_short(ledger: &LedgerView) -> bool {
    let Some(limits) = &ledger.limits else { return false };
    let room = limits.cap_sat.saturating_sub(limits.cap_used_sat);
    let waits = |deposit: &Deposit| !deposit.bound && !deposit.minted && deposit.is_sweepable();
    ledger.deposits.values().any(|deposit| waits(deposit) && deposit.amount_sat > room)
}
