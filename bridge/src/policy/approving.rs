//! Whether to approve a proposal: nothing is bound yet, so all that matters is looked at, and can be refused.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::{OutPoint, TxOut, XOnlyPublicKey};

use super::outputs;
use super::refusal::{FeeBounds, Refusal};
use super::signed::Signed;
use crate::peg::Content;
use crate::plan::{Before, Conditions, fair_reserve, is_near_reclaim, is_poor, is_wanted, may_join};
use crate::vault_tx::draft::{Built, build};
use crate::vault_tx::facts::LedgerFacts;
use crate::vault_tx::{SpentOutput, check_keys};

/// Blocks by which the tips of two members differ at most, mostly.
const TIPS_APART: u32 = 6;

/// A proposal, and what this member knows itself; everything from its own node and its own bitcoind.
#[derive(Clone, Copy, Debug)]
pub struct Proposed<'a> {
    pub content: &'a Content,
    /// Whether its block is final.
    pub is_final: bool,
    /// Outputs are in use where a bound vault transaction that may still confirm spends them; what is proposed does not count.
    pub ledger: &'a LedgerFacts,
    /// The highest rate of what is bound, may still confirm, and spends a vault output; by its number.
    pub bound_rates: &'a BTreeMap<u32, u64>,
    /// What it would be another version of; none if nothing bound that may still confirm spends the same.
    pub before: Option<Before>,
    /// What the content names as inputs, in its order, as the ledger knows them.
    pub inputs: &'a [SpentOutput],
    /// Group keys by epoch, as the Federation contract and its own shares have them.
    pub group_keys: &'a BTreeMap<u32, XOnlyPublicKey>,
    /// For each of the inputs, the output as its own bitcoind has it unspent; none if it does not.
    pub own_outputs: &'a [Option<TxOut>],
    pub fee_bounds: FeeBounds,
    /// Under which it would propose itself.
    pub conditions: &'a Conditions,
    /// Vault outputs that it has seen finally ended.
    pub ended: &'a BTreeSet<OutPoint>,
}

/// Whether to approve.
///
/// # Errors
///
/// The first reason not to; [`Refusal::may_pass`] says whether to ask again.
pub fn approve(proposed: &Proposed<'_>, signed: &Signed) -> Result<(), Refusal> {
    if !proposed.is_final {
        return Err(Refusal::NotFinal);
    }
    check_keys(proposed.inputs, proposed.group_keys)?;
    let built = build(proposed.content, proposed.ledger)?;
    require_that_ties_hold(&built, proposed)?;
    require_in_time(proposed)?;
    require_apart(&built, proposed)?;
    require_fair(proposed)?;
    signed.check(&built.content.withdrawals, &built.transaction, proposed.ended)?;
    require_inputs(proposed, &built)?;
    outputs::check(proposed.inputs, proposed.own_outputs)?;
    proposed.fee_bounds.check(proposed.content.rate)
}

/// Whoever is tied to an output waits for what spends it, and if that does not pay him until that is final. So what is tied to an output is in whatever spends it, but for those who
/// pay too little at its rate: they would hold up all others. And nobody is tied for the first time to what a bound transaction spends, but where that is stuck because of
/// such: it pays less than half, and blocks are dearer now.
fn require_that_ties_hold(built: &Built, proposed: &Proposed<'_>) -> Result<(), Refusal> {
    let (ledger, rate) = (proposed.ledger, built.content.rate);
    let outputs = &built.content.outputs;
    let paid: BTreeSet<u64> = built.content.withdrawals.iter().copied().collect();
    let tied = || ledger.withdrawals.iter().filter(|(_, one)| one.tie.is_some_and(|tie| outputs.contains(&tie)));
    if let Some((id, one)) = tied().find(|(id, one)| !paid.contains(id) && !is_poor(one, rate, ledger)) {
        return Err(Refusal::LeavesOut { output: one.tie.unwrap_or_default(), withdrawal: *id });
    }
    let is_first = |id: &u64| ledger.withdrawals.get(id).is_some_and(|withdrawal| withdrawal.tie.is_none());
    let in_use = |number: &&u32| ledger.outputs.get(number).is_some_and(|output| output.in_use);
    let Some(first) = outputs.first().filter(in_use).filter(|_| paid.iter().any(is_first)) else { return Ok(()) };
    let bound_rate = proposed.bound_rates.get(first).copied().unwrap_or(u64::MAX);
    let is_stuck = proposed.conditions.rate > bound_rate && may_join(rate, bound_rate);
    let because_of_the_poor = tied().any(|(_, one)| is_poor(one, rate, ledger));
    if is_stuck && because_of_the_poor { Ok(()) } else { Err(Refusal::InUse(*first)) }
}

/// One member's versions, each a little dearer than the last, hold nobody below the rate of the day, and are not signed for without end.
fn require_in_time(proposed: &Proposed<'_>) -> Result<(), Refusal> {
    let rate = proposed.content.rate;
    match proposed.before {
        Some(before) if !before.may_be_replaced(rate) => Err(Refusal::TooSoon { rate, bound: before.rate }),
        _ => Ok(()),
    }
}

/// Deposits whose reclaim is near are in no sweep with others.
fn require_apart(built: &Built, proposed: &Proposed<'_>) -> Result<(), Refusal> {
    let (ledger, tip) = (proposed.ledger, proposed.conditions.tip);
    let is_near = |outpoint: &&OutPoint, blocks: u32| {
        let deposit = ledger.deposits.get(*outpoint);
        deposit.is_some_and(|deposit| is_near_reclaim(deposit, &ledger.rules, tip, blocks))
    };
    // Who proposed it may have seen an older tip.
    let mut near = built.content.deposits.iter().filter(|outpoint| is_near(outpoint, TIPS_APART));
    let mut others = built.content.deposits.iter().filter(|outpoint| !is_near(outpoint, 0));
    match (near.next(), others.next()) {
        (Some(near), Some(_)) => Err(Refusal::NearReclaim(*near)),
        _ => Ok(()),
    }
}

/// Twice what it would name itself, since another member sees the queue at another moment; and a reason, where the reserve alone pays.
fn require_fair(proposed: &Proposed<'_>) -> Result<(), Refusal> {
    let content = proposed.content;
    let fair = fair_reserve(content, proposed.ledger).unwrap_or_default();
    if content.reserve_sat > fair.to_sat().saturating_mul(2) {
        return Err(Refusal::Reserve { named_sat: content.reserve_sat, fair });
    }
    let moves = content.deposits.is_empty() && content.withdrawals.is_empty();
    let wanted = !moves || is_wanted(content, proposed.ledger, proposed.conditions);
    wanted.then_some(()).ok_or(Refusal::NoReason)
}

/// The inputs that were looked at are those that the ledger would spend.
fn require_inputs(proposed: &Proposed<'_>, built: &Built) -> Result<(), Refusal> {
    let known: BTreeSet<OutPoint> = proposed.inputs.iter().map(|input| input.outpoint).collect();
    let spent = built.transaction.input.iter().map(|input| input.previous_output).enumerate();
    let mut unknown = spent.filter(|(_, outpoint)| !known.contains(outpoint));
    match unknown.next() {
        Some((input, outpoint)) => Err(Refusal::UnknownOutput { input, outpoint }),
        None => Ok(()),
    }
}
