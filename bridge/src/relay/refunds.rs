//! Withdrawals that nothing could pay for so long that they are given back.

use super::action::{Action, offer};
use super::duty::{Offer, Task};
use super::view::{LedgerView, Withdrawal};

/// The withdrawals to give back, by the time of the last final block.
#[must_use]
pub fn offers(ledger: &LedgerView) -> Vec<Offer<Action>> {
    let after = u64::from(ledger.info.parameters.refund_after);
    let is_due = |(_, withdrawal): &(&u64, &Withdrawal)| {
        withdrawal.is_queued() && ledger.head.time_s >= withdrawal.asked_at.saturating_add(after)
    };
    let due = ledger.withdrawals.iter().filter(is_due).map(|(id, _)| *id);
    due.map(|id| offer(Task::Refund(id), Action::Refund { id })).collect()
}
