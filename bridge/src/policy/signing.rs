//! Whether to sign what was bound: it counts as signed for ever, whoever approved it, so all that matters is that its bytes are what this member makes of its content.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::{Amount, OutPoint, TxOut, Txid, XOnlyPublicKey};

use super::outputs;
use super::refusal::{FeeBounds, Refusal};
use super::signed::{Signed, Tie};
use crate::peg::Content;
use crate::vault_tx::draft::assemble;
use crate::vault_tx::facts::{Rules, Withdrawal};
use crate::vault_tx::layout::ANCHOR;
use crate::vault_tx::{VaultTransaction, check_keys};
use crate::{charges, vault};

/// A bound vault transaction, and what this member knows itself; everything from its own node and its own bitcoind.
#[derive(Clone, Copy, Debug)]
pub struct Bound<'a> {
    /// What was bound, without what was skipped.
    pub content: &'a Content,
    /// Of the event, with the layout already checked.
    pub transaction: &'a VaultTransaction,
    /// Whether the block of the event is final.
    pub is_final: bool,
    /// The id under which the ledger has it as bound, read apart from the event; none if it is settled or void.
    pub ledger_txid: Option<Txid>,
    /// The open withdrawals of its content, as the ledger has them now.
    pub withdrawals: &'a BTreeMap<u64, Withdrawal>,
    pub rules: &'a Rules,
    /// Of the epoch that was in force when it was bound: made of this member's own group key, and the recovery leaf.
    pub vault_key: XOnlyPublicKey,
    pub group_keys: &'a BTreeMap<u32, XOnlyPublicKey>,
    /// For each input, the output as its own bitcoind has it unspent; none if it does not.
    pub own_outputs: &'a [Option<TxOut>],
    /// None where it approved the proposal itself: then the rate was agreed to.
    pub fee_bounds: Option<FeeBounds>,
    /// Vault outputs that it has seen finally ended.
    pub ended: &'a BTreeSet<OutPoint>,
}

/// Whether to sign.
///
/// # Errors
///
/// The first reason not to; [`Refusal::may_pass`] says whether to ask again.
pub fn sign(bound: &Bound<'_>, signed: &Signed) -> Result<(), Refusal> {
    let txid = bound.transaction.txid();
    if !bound.is_final {
        return Err(Refusal::NotFinal);
    }
    if bound.ledger_txid != Some(txid) {
        return Err(Refusal::NotInLedger { ledger: bound.ledger_txid, txid });
    }
    check_keys(bound.transaction.inputs(), bound.group_keys)?;
    require_bytes(bound)?;
    require_sums(bound)?;
    bound.ties()?;
    signed.check(&bound.content.withdrawals, bound.transaction.unsigned(), bound.ended)?;
    outputs::check(bound.transaction.inputs(), bound.own_outputs)?;
    bound.fee_bounds.map_or(Ok(()), |bounds| bounds.check(bound.content.rate))
}

impl Bound<'_> {
    /// The output that each withdrawal is tied to, in their order.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotTied`]: one is not tied to an output that is spent.
    pub fn ties(&self) -> Result<Vec<Tie>, Refusal> {
        let tie = |id: &u64| {
            let withdrawal = self.withdrawals.get(id)?;
            let place = self.content.outputs.iter().position(|output| Some(*output) == withdrawal.tie)?;
            let spent = self.transaction.inputs().get(place)?;
            Some(Tie { withdrawal: *id, outpoint: spent.outpoint, amount: withdrawal.amount })
        };
        self.content.withdrawals.iter().map(|id| tie(id).ok_or(Refusal::NotTied(*id))).collect()
    }

    /// What each withdrawal gets and pays, by the transaction.
    fn payouts(&self) -> Result<Vec<(TxOut, Amount)>, Refusal> {
        let payouts = self.transaction.payouts();
        if payouts.len() != self.content.withdrawals.len() {
            return Err(other("number of payouts", payouts.len(), self.content.withdrawals.len()));
        }
        let pairs = self.content.withdrawals.iter().zip(payouts);
        pairs.map(|(id, output)| self.payout(*id, output)).collect()
    }

    /// Its script and amount, less at most its charge. The maximum may have been raised since it was bound, so that it may pay less than it would now, and never more.
    fn payout(&self, id: u64, output: &TxOut) -> Result<(TxOut, Amount), Refusal> {
        let withdrawal = self.withdrawals.get(&id).ok_or(Refusal::NotTied(id))?;
        let most = withdrawal.whole_charge(self.content.rate, self.rules).min(withdrawal.max_fee);
        let charge = withdrawal.amount.checked_sub(output.value).filter(|charge| *charge <= most);
        let want = || format!("{} less at most {most}", withdrawal.amount);
        let charge = charge.ok_or_else(|| other("payout", output.value, want()))?;
        Ok((TxOut { value: output.value, script_pubkey: withdrawal.script.clone() }, charge))
    }
}

/// Made anew of the content, it is the same.
fn require_bytes(bound: &Bound<'_>) -> Result<(), Refusal> {
    let transaction = bound.transaction;
    let inputs: Vec<OutPoint> = transaction.inputs().iter().map(|input| input.outpoint).collect();
    let named = if bound.content.outputs.is_empty() { &bound.content.deposits } else { &inputs };
    if *named != inputs || inputs.len() != bound.content.deposits.len() + bound.content.outputs.len() {
        return Err(other("inputs", format!("{inputs:?}"), format!("{named:?}")));
    }
    let payouts: Vec<TxOut> = bound.payouts()?.into_iter().map(|(output, _)| output).collect();
    let to_vault = TxOut { value: transaction.change(), script_pubkey: vault::script(bound.vault_key) };
    let change = (transaction.change() > Amount::ZERO).then_some(to_vault);
    let want = assemble(&inputs, change, &payouts);
    let hex = |transaction| bitcoin::consensus::encode::serialize_hex(transaction);
    if want == *transaction.unsigned() { Ok(()) } else { Err(other("bytes", hex(transaction.unsigned()), hex(&want))) }
}

/// The miners get what the rate says, or the change that is too small to be made; and the reserve adds at most what was named.
fn require_sums(bound: &Bound<'_>) -> Result<(), Refusal> {
    let transaction = bound.transaction;
    let cost = transaction.fee().checked_add(ANCHOR).unwrap_or(Amount::MAX);
    let want = charges::cost(transaction.vsize(), bound.content.rate);
    let has_change = transaction.change() > Amount::ZERO;
    if if has_change { cost != want } else { cost < want } {
        return Err(other("cost", cost, want));
    }
    if bound.content.outputs.is_empty() {
        return Ok(());
    }
    let charges = bound.payouts()?.into_iter().fold(0, |sum: u64, (_, charge)| sum.saturating_add(charge.to_sat()));
    let need_sat = cost.to_sat().saturating_sub(charges);
    let is_named = need_sat <= bound.content.reserve_sat;
    is_named.then_some(()).ok_or_else(|| other("part of the reserve", need_sat, bound.content.reserve_sat))
}

fn other(what: &'static str, got: impl ToString, want: impl ToString) -> Refusal {
    Refusal::OtherBytes { what, got: got.to_string(), want: want.to_string() }
}
