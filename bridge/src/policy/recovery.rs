//! What a member that lost its record of signatures puts in its place: all that the lost one may have promised, by the ledger as it is proven.
//!
//! A member signs only what was bound in a final block, and a withdrawal is bound only where it is tied. So whatever was signed before a block that was
//! made *after* the loss is tied in the state of that block, or its output has ended for good, and then nothing stands in the way any more.
//!
//! ```text
//!   the lost machine signs ... | it is lost | this process starts | MARGIN_S | a block of then: its state has every tie that was signed
//! ```
//! It is more than was signed, never less: a withdrawal that is tied and was not signed for has to spend its tie's output in any case.

use bitcoin::{Amount, OutPoint};
use light::ledger::Limits;

use super::limit::Limit;

/// Seconds between this process's start and the block whose state is read: more than clocks are apart, which blocks are checked by.
pub const MARGIN_S: u64 = 10;

/// A withdrawal that is tied, or was paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tied {
    pub withdrawal: u64,
    pub outpoint: OutPoint,
    pub amount_sat: u64,
    /// Neither paid nor given back.
    pub is_open: bool,
}

/// The ledger's own limit, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerWindow {
    pub window_sat: u64,
    pub window_s: u64,
    pub limits: Limits,
}

/// Whether the state after a block with this time has all that was signed before `started_s`.
#[must_use]
pub const fn is_late_enough(block_s: u64, started_s: u64) -> bool {
    block_s >= started_s.saturating_add(MARGIN_S)
}

/// What counts as signed away by now of a member's own limit: what the ledger let go lately, and all that is tied and not paid. A member whose own limit
/// grows more slowly than the ledger's waits for all of it.
#[must_use]
pub fn taken(own: &Limit, ledger: &LedgerWindow, tied: &[Tied], now_s: u64) -> Amount {
    let rate = |sat: u64, seconds: u64| u128::from(sat) * 1_000_000 / u128::from(seconds.max(1));
    if rate(own.window.to_sat(), own.window_s) < rate(ledger.window_sat, ledger.window_s) {
        return own.window;
    }
    let since = u128::from(now_s.saturating_sub(ledger.limits.window_since));
    let grown = u128::from(ledger.window_sat) * since / u128::from(ledger.window_s.max(1));
    let left = u128::from(ledger.limits.window_left_sat) + grown;
    let gone = u128::from(ledger.window_sat).saturating_sub(left);
    let open = tied.iter().filter(|tied| tied.is_open).map(|tied| u128::from(tied.amount_sat)).sum::<u128>();
    let all = gone.saturating_add(open).min(u128::from(own.window.to_sat()));
    Amount::from_sat(u64::try_from(all).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Limit = Limit { window: Amount::from_sat(1_000), window_s: 100 };

    fn ledger(left: u64) -> LedgerWindow {
        let limits = Limits { window_left_sat: left, window_since: 50, paused_until: 0 };
        LedgerWindow { window_sat: 1_000, window_s: 100, limits }
    }

    fn tied(amount_sat: u64, is_open: bool) -> Tied {
        Tied { withdrawal: 1, outpoint: OutPoint::null(), amount_sat, is_open }
    }

    #[test]
    fn what_the_ledger_let_go_and_what_is_tied_counts_as_signed() {
        assert_eq!(taken(&OWN, &ledger(1_000), &[], 50), Amount::ZERO);
        assert_eq!(taken(&OWN, &ledger(400), &[], 50), Amount::from_sat(600));
        assert_eq!(taken(&OWN, &ledger(400), &[], 60), Amount::from_sat(500), "a hundred have grown again");
        let all = [tied(300, true), tied(999, false)];
        assert_eq!(taken(&OWN, &ledger(400), &all, 50), Amount::from_sat(900), "a paid one was let go, or long ago");
        assert_eq!(taken(&OWN, &ledger(0), &all, 50), OWN.window, "never more than there is");
    }

    #[test]
    fn a_limit_that_grows_more_slowly_than_the_ledgers_is_used_up() {
        let slow = Limit { window_s: 101, ..OWN };
        assert_eq!(taken(&slow, &ledger(1_000), &[], 50), slow.window);
    }

    #[test]
    fn a_block_of_before_the_loss_is_not_late_enough() {
        assert!(!is_late_enough(1_009, 1_000) && is_late_enough(1_010, 1_000) && !is_late_enough(0, u64::MAX));
    }
}
