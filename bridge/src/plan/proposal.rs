//! A content, made ready to be proposed: the reserve's part named, and made once as the ledger will make it.

use bitcoin::Amount;
use mainchain::P2TR_DUST;

use crate::charges;
use crate::peg::Content;
use crate::vault_tx::draft::{BindError, Built, build};
use crate::vault_tx::facts::LedgerFacts;

/// Virtual bytes of a transaction with one input and one payout of the usual length, rounded up.
const LONE_VSIZE: u64 = 170;
/// Rates that are tried, where one makes a transaction that is bound already.
const RATES: usize = 4;

/// What the ledger makes of a content, with a fair part of the reserve named; none if it would refuse it.
pub(super) fn propose(mut content: Content, ledger: &LedgerFacts) -> Option<Built> {
    for _ in 0..RATES {
        content.reserve_sat = fair_reserve(&content, ledger)?.to_sat();
        match build(&content, ledger) {
            // Equal amounts to equal scripts make equal bytes: another rate makes others.
            Err(BindError::AlreadyBound(_)) => content.rate = content.rate.saturating_add(1),
            built => return built.ok(),
        }
    }
    None
}

/// What a content may let the reserve add: what it needs now, and what it would need if all participants but one were skipped. None if the ledger would make nothing
/// of it.
#[must_use]
pub fn fair_reserve(content: &Content, ledger: &LedgerFacts) -> Option<Amount> {
    let lone = charges::cost(LONE_VSIZE, content.rate);
    let asks_nothing = Content { reserve_sat: 0, ..content.clone() };
    let need = match build(&asks_nothing, ledger) {
        Ok(built) => built.need,
        Err(BindError::ReserveTooSmall { need, .. }) => need,
        // It goes without change, if at all, and what is left over is the miners'.
        Err(BindError::TooLittle { .. }) => P2TR_DUST,
        Err(BindError::AlreadyBound(_)) => Amount::ZERO,
        Err(_) => return None,
    };
    need.checked_add(lone)
}
