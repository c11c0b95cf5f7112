//! Which approved proposals are bound. What is bound counts as signed for ever, so nothing is bound that could only compete with what is on its way.

use super::action::Action;
use super::drafting::InUse;
use super::duty::{Kind, Offer, Task};
use super::facts::BitcoinView;
use super::view::{LedgerView, Proposal};
use crate::signing::Enough;

/// Milliseconds for which approvals of members in good standing are waited for, while there are enough with those that were late before.
const LATECOMERS_WAIT_MS: u64 = 4_000;

/// The proposals to bind.
#[must_use]
pub fn offers(ledger: &LedgerView, bitcoin: Option<&BitcoinView>) -> Vec<Offer<Action>> {
    let in_use = InUse::by_bound(ledger, bitcoin);
    let offer = |(number, proposal): (&u64, &Proposal)| {
        let patience_ms = match proposal.enough {
            Enough::No => return None,
            Enough::Yes => 0,
            Enough::WithLatecomers => LATECOMERS_WAIT_MS,
        };
        let competes = proposal.place != Kind::Version.place() && in_use.overlaps(&proposal.content);
        let work = Action::Bind { proposal: *number };
        (!competes).then_some(Offer { task: Task::Bind(*number), patience_ms, work })
    };
    ledger.proposals.iter().filter_map(offer).collect()
}
