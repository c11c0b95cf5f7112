//! From a content to the bytes to sign, exactly as `Vault.bind` makes them (contracts/src/bridge/Binding.sol).
//!
//! ```text
//!  content ──▶ what is not to be had is skipped ──▶ inputs, payouts ──▶ change: useful, or none, or at least not dust ──▶ bytes
//! ```
//! A planner proposes only what this makes something of, so that `bind` never refuses for a satoshi; a member approves only that.

use bitcoin::hashes::Hash as _;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, absolute, transaction};
use mainchain::P2TR_DUST;

use super::facts::{Deposit, LedgerFacts, Rules, Withdrawal};
use super::layout::{ANCHOR, ANCHOR_SCRIPT, MAX_VSIZE, VAULT_SCRIPT_LEN, output_size, vsize_of};
use crate::peg::Content;
use crate::{charges, vault};

/// What `bind` makes of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// What is left of it.
    pub content: Content,
    pub transaction: Transaction,
    /// Of the inputs, in order.
    pub amounts: Vec<Amount>,
    /// Of the participants, in order.
    pub charges: Vec<Amount>,
    /// Zero: there is no such output.
    pub change: Amount,
    /// The miners' part; the value of the anchor output is not in it.
    pub fee: Amount,
    /// Once it is signed.
    pub vsize: u64,
    /// What the reserve adds.
    pub need: Amount,
}

/// Why `propose` or `bind` would refuse a content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindError {
    #[error("a vault transaction spends deposits, or vault outputs")]
    MixedOrEmpty,
    #[error("{inputs} inputs and {payouts} payouts, at most {max_inputs} and {max_payouts}")]
    TooMany { inputs: usize, max_inputs: usize, payouts: usize, max_payouts: usize },
    #[error("deposits, further outputs or withdrawals do not ascend")]
    NotAscending,
    #[error("{got} sat per 1000 vB, the ledger takes {min} to {max}")]
    Rate { got: u64, min: u64, max: u64 },
    #[error("vault output {0} cannot be spent now")]
    OutputNotLive(u32),
    #[error("vault output {number} is of epoch {got}, not {want}")]
    WrongEpoch { number: u32, got: u32, want: u32 },
    #[error("nothing of it is to be had")]
    NothingLeft,
    #[error("nothing may be tied to vault output {0} for the first time: it is not rooted")]
    NotRooted(u32),
    #[error("inputs of {inputs}, outputs and cost of {out}")]
    TooLittle { inputs: Amount, out: Amount },
    #[error("the reserve would add {need}, the content names {named_sat} sat, and {reserve_sat} sat are there")]
    ReserveTooSmall { need: Amount, named_sat: u64, reserve_sat: i64 },
    #[error("{0} vB, at most {MAX_VSIZE}")]
    TooLarge(u64),
    #[error("transaction {0} is bound already")]
    AlreadyBound(Txid),
}

/// Makes the vault transaction of a content.
///
/// # Errors
///
/// As `Vault.propose` and `Vault.bind` refuse.
pub fn build(content: &Content, ledger: &LedgerFacts) -> Result<Built, BindError> {
    require_shape(content, &ledger.rules)?;
    let draft =
        if content.deposits.is_empty() { Draft::payout(content, ledger)? } else { Draft::sweep(content, ledger)? };
    draft.require_reserve(ledger)?;
    draft.finish(ledger)
}

/// The transaction of these inputs that pays these outputs, and the anchor.
#[must_use]
pub fn assemble(inputs: &[OutPoint], change: Option<TxOut>, payouts: &[TxOut]) -> Transaction {
    let input = |outpoint: &OutPoint| TxIn {
        previous_output: *outpoint,
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        ..TxIn::default()
    };
    let anchor = TxOut { value: ANCHOR, script_pubkey: ScriptBuf::from_bytes(ANCHOR_SCRIPT.to_vec()) };
    Transaction {
        version: transaction::Version(3),
        lock_time: absolute::LockTime::ZERO,
        input: inputs.iter().map(input).collect(),
        output: change.into_iter().chain(payouts.iter().cloned()).chain([anchor]).collect(),
    }
}

// Proposals.sol, `_requireShape`.
fn require_shape(content: &Content, rules: &Rules) -> Result<(), BindError> {
    let &Rules { min_rate: min, max_rate: max, max_inputs, max_payouts, .. } = rules;
    if content.rate < min || content.rate > max {
        return Err(BindError::Rate { got: content.rate, min, max });
    }
    let sweeps = !content.deposits.is_empty();
    let (outputs, payouts) = (content.outputs.len(), content.withdrawals.len());
    if if sweeps { outputs + payouts != 0 } else { outputs == 0 } {
        return Err(BindError::MixedOrEmpty);
    }
    let inputs = content.deposits.len() + outputs;
    if inputs > max_inputs || payouts > max_payouts {
        return Err(BindError::TooMany { inputs, max_inputs, payouts, max_payouts });
    }
    if ascends(content) { Ok(()) } else { Err(BindError::NotAscending) }
}

/// So that nothing is named twice. The ledger orders txids as they are hashed, not as they are shown.
fn ascends(content: &Content) -> bool {
    let further = content.outputs.get(1..).unwrap_or_default();
    content.deposits.is_sorted_by(|one, next| deposit_order(one) < deposit_order(next))
        && further.is_sorted_by(|one, next| one < next)
        && content.outputs.first().is_none_or(|first| !further.contains(first))
        && content.withdrawals.is_sorted_by(|one, next| one < next)
}

/// The order in which a content names deposits.
#[must_use]
pub fn deposit_order(outpoint: &OutPoint) -> ([u8; 32], u32) {
    (outpoint.txid.to_byte_array(), outpoint.vout)
}

/// A vault transaction in the making; amounts in satoshis.
#[derive(Debug)]
struct Draft {
    content: Content,
    inputs: Vec<OutPoint>,
    amounts: Vec<u64>,
    payouts: Vec<TxOut>,
    charges: Vec<u64>,
    /// What maxima leave unpaid of whole charges.
    short: u64,
    /// Whether one was minted before, and whether one is not for the reserve.
    minted: bool,
    others: bool,
    change: u64,
    /// Miners' fee and anchor.
    cost: u64,
    vsize: u64,
}

impl Draft {
    fn of(content: &Content) -> Self {
        let &Content { epoch, rate, reserve_sat, .. } = content;
        Self {
            content: Content { epoch, rate, reserve_sat, ..Content::default() },
            inputs: Vec::new(),
            amounts: Vec::new(),
            payouts: Vec::new(),
            charges: Vec::new(),
            short: 0,
            minted: false,
            others: content.deposits.is_empty(),
            change: 0,
            cost: 0,
            vsize: 0,
        }
    }

    // ---------------------------------------------------------------- a sweep

    fn sweep(content: &Content, ledger: &LedgerFacts) -> Result<Self, BindError> {
        let mut draft = Self::of(content);
        let mut room = ledger.cap_left;
        for outpoint in &content.deposits {
            if let Some(deposit) = ledger.deposits.get(outpoint).filter(|deposit| deposit.epoch == content.epoch) {
                draft.take(*outpoint, deposit, &mut room, &ledger.rules);
            }
        }
        if draft.inputs.is_empty() {
            return Err(BindError::NothingLeft);
        }
        draft.inputs.clone_from(&draft.content.deposits);
        draft.size(draft.inputs.len(), true)?;
        if draft.changes(draft.inputs.len(), P2TR_DUST) { Ok(draft) } else { Err(draft.too_little()) }
    }

    // Deposits.sol, `_take`.
    fn take(&mut self, outpoint: OutPoint, deposit: &Deposit, room: &mut Amount, rules: &Rules) {
        let first = !deposit.was_bound && deposit.minted.is_none();
        if first {
            // docs/ledger.md, "first binding": the whole charge, and the cap.
            let left = room.checked_sub(deposit.amount).filter(|_| deposit.pays_whole(self.content.rate, rules));
            let Some(left) = left else { return };
            *room = left;
        }
        let charge = charges::deposit_charge(self.content.rate, rules.peg_in_fee);
        let brings = || charges::brings(deposit.amount, deposit.max_fee, charge);
        let worth = deposit.minted.unwrap_or_else(brings);
        let charged = deposit.amount.to_sat().saturating_sub(worth.to_sat());
        if deposit.minted.is_none() {
            self.short = self.short.saturating_add(charge.to_sat().saturating_sub(charged));
        }
        self.charges.push(charged);
        self.amounts.push(deposit.amount.to_sat());
        self.inputs.push(outpoint);
        self.content.deposits.push(outpoint);
        self.minted |= deposit.minted.is_some();
        self.others |= !deposit.for_reserve;
    }

    // ---------------------------------------------------------------- a payout

    fn payout(content: &Content, ledger: &LedgerFacts) -> Result<Self, BindError> {
        let mut draft = Self::of(content);
        let first_is_rooted = draft.take_outputs(content, ledger)?;
        if content.withdrawals.is_empty() {
            // docs/ledger.md, "consolidation": the reserve pays it.
            if content.outputs.len() != 1 && draft.inputs.len() == 1 {
                return Err(BindError::NothingLeft);
            }
            draft.fit(draft.inputs.len(), ledger)?;
            return Ok(draft);
        }
        let needed = draft.tie(content, ledger, first_is_rooted);
        if draft.payouts.is_empty() {
            return Err(if first_is_rooted {
                BindError::NothingLeft
            } else {
                BindError::NotRooted(content.outputs[0])
            });
        }
        draft.fit(needed, ledger)?;
        Ok(draft)
    }

    /// The first must be live, for ties are to it; of the others those that are. Whether the first is rooted.
    fn take_outputs(&mut self, content: &Content, ledger: &LedgerFacts) -> Result<bool, BindError> {
        let number = content.outputs[0];
        let first = ledger.outputs.get(&number).ok_or(BindError::OutputNotLive(number))?;
        if first.epoch != content.epoch {
            return Err(BindError::WrongEpoch { number, got: first.epoch, want: content.epoch });
        }
        for number in &content.outputs {
            let Some(output) = ledger.outputs.get(number).filter(|output| output.epoch == content.epoch) else {
                continue;
            };
            self.content.outputs.push(*number);
            self.inputs.push(output.outpoint());
            self.amounts.push(output.amount.to_sat());
        }
        Ok(first.is_rooted)
    }

    // Withdrawals.sol, `tie`: how many outputs are tied to.
    fn tie(&mut self, content: &Content, ledger: &LedgerFacts, rooted: bool) -> usize {
        let may_tie = rooted && content.epoch == ledger.epoch;
        let mut left = if may_tie { ledger.window_left } else { Amount::ZERO };
        let mut needed = 0;
        for id in &content.withdrawals {
            let Some(withdrawal) = ledger.withdrawals.get(id) else { continue };
            let full = withdrawal.whole_charge(content.rate, &ledger.rules);
            let tied = withdrawal.tie.and_then(|tie| self.content.outputs.iter().position(|output| *output == tie));
            let place = match (tied, withdrawal.tie) {
                (Some(place), _) => place + 1,
                (None, Some(_)) => continue,
                // docs/ledger.md, "first binding": pays the whole charge, within the window.
                (None, None) => {
                    let rest = left.checked_sub(withdrawal.amount).filter(|_| full <= withdrawal.max_fee);
                    let Some(rest) = rest else { continue };
                    left = rest;
                    1
                }
            };
            needed = needed.max(place);
            self.short = self.short.saturating_add(full.to_sat().saturating_sub(withdrawal.max_fee.to_sat()));
            self.pay(*id, withdrawal, full.min(withdrawal.max_fee));
        }
        needed
    }

    fn pay(&mut self, id: u64, withdrawal: &Withdrawal, charge: Amount) {
        let value = withdrawal.amount.checked_sub(charge).unwrap_or(Amount::ZERO);
        self.content.withdrawals.push(id);
        self.charges.push(charge.to_sat());
        self.payouts.push(TxOut { value, script_pubkey: withdrawal.script.clone() });
    }

    /// Takes the first inputs that suffice, at least `need`, and decides the change: useful; or none, if the reserve can afford what goes to the
    /// miners then; or at least not dust.
    fn fit(&mut self, need: usize, ledger: &LedgerFacts) -> Result<(), BindError> {
        let all = self.inputs.len();
        for count in need.max(1)..=all {
            self.size(count, true)?;
            if self.changes(count, ledger.rules.useful) {
                self.shorten(count);
                return Ok(());
            }
        }
        if !self.payouts.is_empty() && self.goes_without_change(ledger.reserve_sat)? {
            return Ok(());
        }
        self.size(all, true)?;
        if self.changes(all, P2TR_DUST) { Ok(()) } else { Err(self.too_little()) }
    }

    fn goes_without_change(&mut self, reserve_sat: i64) -> Result<bool, BindError> {
        self.size(self.inputs.len(), false)?;
        let (inputs, paid) = (sum(&self.amounts), self.paid());
        if inputs < paid.saturating_add(self.cost) {
            return Ok(false);
        }
        self.cost = inputs - paid;
        // Not on credit: change that is made costs the reserve less.
        let need = self.need();
        Ok(need == 0 || (self.is_named(need) && overdraft(need, reserve_sat) <= 0))
    }

    fn shorten(&mut self, count: usize) {
        self.content.outputs.truncate(count);
        self.inputs.truncate(count);
        self.amounts.truncate(count);
    }

    // ---------------------------------------------------------------- both

    fn size(&mut self, inputs: usize, change: bool) -> Result<(), BindError> {
        let scripts = self.payouts.iter().map(|output| output.script_pubkey.len());
        let change_bytes = if change { output_size(VAULT_SCRIPT_LEN) } else { 0 };
        let bytes = scripts.map(output_size).sum::<u64>() + output_size(ANCHOR_SCRIPT.len()) + change_bytes;
        self.vsize = vsize_of(inputs, self.payouts.len() + 1 + usize::from(change), bytes);
        if self.vsize > MAX_VSIZE {
            return Err(BindError::TooLarge(self.vsize));
        }
        self.cost = charges::cost(self.vsize, self.content.rate).to_sat();
        Ok(())
    }

    /// Whether the first inputs leave at least so much change, which is set then.
    fn changes(&mut self, count: usize, least: Amount) -> bool {
        let out = self.paid().saturating_add(self.cost);
        let left = sum(&self.amounts[..count]).checked_sub(out).filter(|left| *left >= least.to_sat());
        self.change = left.unwrap_or(self.change);
        left.is_some()
    }

    fn paid(&self) -> u64 {
        self.payouts.iter().fold(0, |sum, output| sum.saturating_add(output.value.to_sat()))
    }

    /// What the reserve adds.
    fn need(&self) -> u64 {
        self.cost.saturating_sub(sum(&self.charges))
    }

    fn is_named(&self, need: u64) -> bool {
        need <= self.content.reserve_sat
    }

    /// docs/ledger.md, "credit": the reserve has it, or may be overdrawn by it. What maxima leave unpaid it must have.
    fn is_there(&self, need: u64, ledger: &LedgerFacts) -> bool {
        let overdraft = overdraft(need, ledger.reserve_sat);
        let pays_the_short = self.short == 0 || i128::from(self.short) <= i128::from(ledger.reserve_sat);
        overdraft <= 0 || (pays_the_short && overdraft <= i128::from(ledger.credit.to_sat()))
    }

    /// Who needs nothing is not asked: the reserve may be overdrawn. Nor is it about deposits that are minted, or all for it.
    fn require_reserve(&self, ledger: &LedgerFacts) -> Result<(), BindError> {
        let (need, exempt) = (self.need(), self.minted || !self.others);
        if need == 0 || (self.is_named(need) && (exempt || self.is_there(need, ledger))) {
            return Ok(());
        }
        Err(BindError::ReserveTooSmall {
            need: Amount::from_sat(need),
            named_sat: self.content.reserve_sat,
            reserve_sat: ledger.reserve_sat,
        })
    }

    fn too_little(&self) -> BindError {
        let out = self.paid().saturating_add(self.cost);
        BindError::TooLittle { inputs: Amount::from_sat(sum(&self.amounts)), out: Amount::from_sat(out) }
    }

    fn finish(self, ledger: &LedgerFacts) -> Result<Built, BindError> {
        let need = Amount::from_sat(self.need());
        let change = Amount::from_sat(self.change);
        let script_pubkey = vault::script(ledger.vault_key);
        let to_vault = (change > Amount::ZERO).then_some(TxOut { value: change, script_pubkey });
        let transaction = assemble(&self.inputs, to_vault, &self.payouts);
        let txid = transaction.compute_txid();
        if ledger.bound.contains(&txid) {
            return Err(BindError::AlreadyBound(txid));
        }
        let amounts = |sat: Vec<u64>| sat.into_iter().map(Amount::from_sat).collect();
        Ok(Built {
            content: self.content,
            transaction,
            amounts: amounts(self.amounts),
            charges: amounts(self.charges),
            change,
            fee: Amount::from_sat(self.cost.saturating_sub(ANCHOR.to_sat())),
            vsize: self.vsize,
            need,
        })
    }
}

/// What the reserve would be overdrawn by; 0 or less: nothing.
fn overdraft(need: u64, reserve_sat: i64) -> i128 {
    i128::from(need) - i128::from(reserve_sat)
}

fn sum(sat: &[u64]) -> u64 {
    sat.iter().fold(0, |sum, sat| sum.saturating_add(*sat))
}

#[cfg(test)]
mod tests;
