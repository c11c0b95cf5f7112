//! Whether to approve a proposal: nothing is bound yet, so all that matters is looked at, and can be refused.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::{OutPoint, TxOut, XOnlyPublicKey};

use super::outputs;
use super::refusal::{FeeBounds, Refusal};
use super::signed::Signed;
use crate::peg::Content;
use crate::plan::{Conditions, fair_reserve, is_near_reclaim, is_wanted};
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
    /// Whether the ledger still takes approvals for it.
    pub is_open: bool,
    /// Outputs are in use where a bound vault transaction that may still confirm spends them; what is proposed does not count.
    pub ledger: &'a LedgerFacts,
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
    if !proposed.is_open {
        return Err(Refusal::NotOpen);
    }
    check_keys(proposed.inputs, proposed.group_keys)?;
    let built = build(proposed.content, proposed.ledger)?;
    require_that_ties_hold(&built, proposed.ledger)?;
    require_apart(&built, proposed)?;
    require_fair(proposed)?;
    signed.check(&built.content.withdrawals, &built.transaction, proposed.ended)?;
    require_inputs(proposed, &built)?;
    outputs::check(proposed.inputs, proposed.own_outputs)?;
    proposed.fee_bounds.check(proposed.content.rate)
}

/// Whoever is tied to an output waits for what spends it, and if that does not pay him until that is final. So nobody is tied to what a bound transaction spends, and
/// what is tied to an output is in whatever spends it.
fn require_that_ties_hold(built: &Built, ledger: &LedgerFacts) -> Result<(), Refusal> {
    let outputs = &built.content.outputs;
    let paid: BTreeSet<u64> = built.content.withdrawals.iter().copied().collect();
    let left_out = ledger.withdrawals.iter().find_map(|(id, withdrawal)| {
        let output = withdrawal.tie.filter(|tie| outputs.contains(tie) && !paid.contains(id))?;
        Some(Refusal::LeavesOut { output, withdrawal: *id })
    });
    left_out.map_or(Ok(()), Err)?;
    let is_first = |id: &u64| ledger.withdrawals.get(id).is_some_and(|withdrawal| withdrawal.tie.is_none());
    let ties = paid.iter().any(is_first);
    let in_use = |number: &&u32| ledger.outputs.get(number).is_some_and(|output| output.in_use);
    outputs.first().filter(|_| ties).filter(in_use).map_or(Ok(()), |number| Err(Refusal::InUse(*number)))
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
