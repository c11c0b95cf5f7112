//! Withdrawals that wait, were never tied, and can pay.

use super::conditions::Conditions;
use crate::vault_tx::facts::{LedgerFacts, Withdrawal};
use crate::vault_tx::layout::output_size;

/// A withdrawal that can pay its whole charge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub id: u64,
    pub sat: u64,
    /// What its output holds, and that output's size.
    pub paid_sat: u64,
    pub bytes: u64,
    pub asked_at: u64,
}

/// Those that wait and can pay the whole charge, oldest first.
pub(super) fn queue(ledger: &LedgerFacts, on: &Conditions) -> Vec<Candidate> {
    let rate = on.rate(&ledger.rules);
    let candidate = |(id, withdrawal): (&u64, &Withdrawal)| {
        let charge = withdrawal.whole_charge(rate, &ledger.rules);
        let paid = withdrawal.amount.checked_sub(charge).filter(|_| charge <= withdrawal.max_fee)?;
        withdrawal.tie.is_none().then(|| Candidate {
            id: *id,
            sat: withdrawal.amount.to_sat(),
            paid_sat: paid.to_sat(),
            bytes: output_size(withdrawal.script.len()),
            asked_at: withdrawal.asked_at,
        })
    };
    ledger.withdrawals.iter().filter_map(candidate).collect()
}
