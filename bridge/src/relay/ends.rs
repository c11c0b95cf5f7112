//! What can never be any more: vault transactions whose input has ended, deposits and vault outputs that something else spent.
//!
//! ```text
//!   an input is gone, finally spent by another, or the output of a void one            Void
//!   a block spends a vault output by what is not bound    alarm_blocks deep            Alarm
//!                                                         final_blocks deep            Gone
//!   ... a deposit, or what its funding, or an ancestor    final_blocks deep            Gone
//!   of that, spent in a block that was left
//! ```

use std::collections::BTreeSet;

use bitcoin::OutPoint;

use super::action::{Action, Killed, offer};
use super::duty::{Offer, Task};
use super::facts::BitcoinView;
use super::spends::Spend;
use super::view::{Deposit, Entry, LedgerView, Output};
use crate::peg::{DepositStatus, OutputStatus, VaultStatus};

/// The ends to show.
#[must_use]
pub fn offers(ledger: &LedgerView, bitcoin: Option<&BitcoinView>) -> Vec<Offer<Action>> {
    let bound = ledger.entries.iter().filter(|(_, entry)| entry.status == VaultStatus::Bound);
    let voids = bound.filter_map(|(number, entry)| {
        let (number, input) = (*number, dead_input(ledger, *number, entry)?);
        Some(offer(Task::Void(number), Action::Void { number, input }))
    });
    let mut offers: Vec<Offer<Action>> = voids.collect();
    if let Some(bitcoin) = bitcoin {
        offers.extend(ledger.outputs.iter().filter_map(|(number, output)| stolen(ledger, bitcoin, *number, output)));
        let deposits = ledger.deposits.iter().filter(|(_, deposit)| deposit.is_sweepable());
        offers.extend(deposits.filter_map(|(outpoint, deposit)| killed(ledger, bitcoin, outpoint, deposit)));
    }
    offers
}

/// The outputs whose spending matters: of the vault, of deposits, and what deposits were made of whose block has left.
#[must_use]
pub fn watched(ledger: &LedgerView, fundings: &super::fundings::Fundings) -> BTreeSet<OutPoint> {
    let outputs = ledger.outputs.values().map(|output| OutPoint { txid: output.txid, vout: 0 });
    let deposits = ledger.deposits.iter().filter(|(_, deposit)| deposit.is_sweepable()).map(|(outpoint, _)| *outpoint);
    outputs.chain(deposits).chain(fundings.inputs()).collect()
}

/// The place of an input that has ended for good.
fn dead_input(ledger: &LedgerView, number: u32, entry: &Entry) -> Option<u32> {
    let is_final = |settled: u32| settled != number && ledger.entries.get(&settled).is_some_and(|entry| entry.is_final);
    let output_ended = |output: &u32| {
        ledger.entries.get(output).is_some_and(|parent| {
            matches!(parent.output, OutputStatus::Gone | OutputStatus::Void) || parent.spent_by.is_some_and(is_final)
        })
    };
    // What is over and forgotten was final: what is neither live nor open is spent for good.
    let is_spent_of_late = |output: &u32| {
        let spends = |entry: &Entry| entry.status == VaultStatus::Settled && entry.content.outputs.contains(output);
        ledger.entries.values().any(|entry| spends(entry) && !entry.is_final)
    };
    let is_forgotten = |output: &u32| {
        !ledger.entries.contains_key(output) && !ledger.outputs.contains_key(output) && !is_spent_of_late(output)
    };
    let deposit_ended = |outpoint: &OutPoint| {
        ledger
            .deposits
            .get(outpoint)
            .is_some_and(|deposit| deposit.status == DepositStatus::Gone || deposit.swept_by.is_some_and(is_final))
    };
    let outputs = entry.content.outputs.iter().position(|output| output_ended(output) || is_forgotten(output));
    let place = outputs.or_else(|| entry.content.deposits.iter().position(deposit_ended))?;
    u32::try_from(place).ok()
}

fn stolen(ledger: &LedgerView, bitcoin: &BitcoinView, number: u32, output: &Output) -> Option<Offer<Action>> {
    let spend = foreign_spend(ledger, bitcoin, &OutPoint { txid: output.txid, vout: 0 })?;
    let depth = bitcoin.depths(ledger).confirmations_at(spend.block.height);
    let parameters = &ledger.info.parameters;
    if depth >= parameters.final_blocks {
        return Some(offer(Task::OutputGone(number), Action::OutputGone { number, spend }));
    }
    let is_told = ledger.limits.as_ref().is_some_and(|limits| limits.alarmed);
    (depth >= parameters.alarm_blocks && !is_told).then(|| offer(Task::Alarm(number), Action::Alarm { number, spend }))
}

fn killed(ledger: &LedgerView, bitcoin: &BitcoinView, outpoint: &OutPoint, deposit: &Deposit) -> Option<Offer<Action>> {
    let spent = foreign_spend(ledger, bitcoin, outpoint).map(Killed::Spent);
    let killed = spent.or_else(|| ancestor_killed(ledger, bitcoin, outpoint, deposit))?;
    let height = match killed {
        Killed::Spent(spend) | Killed::Ancestor { spend, .. } => spend.block.height,
    };
    let is_final = bitcoin.depths(ledger).confirmations_at(height) >= ledger.info.parameters.final_blocks;
    let action = Action::DepositGone { outpoint: *outpoint, killed };
    is_final.then(|| offer(Task::DepositGone(*outpoint), action))
}

fn ancestor_killed(
    ledger: &LedgerView,
    bitcoin: &BitcoinView,
    outpoint: &OutPoint,
    deposit: &Deposit,
) -> Option<Killed> {
    if ledger.confirmations(deposit.block) != Some(0) {
        return None;
    }
    bitcoin.fundings.inputs_of(outpoint).find_map(|(ancestor, input, spent)| {
        // An ancestor that is back spends the same.
        let spend = bitcoin.spends.get(&spent).filter(|spend| !bitcoin.fundings.is_of(outpoint, spend.by))?;
        Some(Killed::Ancestor { ancestor, input, spend: *spend })
    })
}

/// What spends an output in the best chain, if no vault transaction that is bound.
fn foreign_spend(ledger: &LedgerView, bitcoin: &BitcoinView, outpoint: &OutPoint) -> Option<Spend> {
    let spend = bitcoin.spends.get(outpoint)?;
    let is_bound = ledger.entries.values().any(|entry| entry.txid == spend.by);
    (!is_bound).then_some(*spend)
}
