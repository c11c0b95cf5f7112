//! Rounds that are left out, because nothing happened on either chain since the last.

use mainchain::header::Height;

/// A round comes after so long in any case: turns, registrations and rates go by time.
const LONGEST_MS: u64 = 1_000;

/// What the last round went by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastRound {
    /// When it began.
    pub at_ms: u64,
    /// The ledger's head.
    pub head: u64,
    /// The last block of Bitcoin that was read; none while bitcoind does not answer.
    pub bitcoin: Option<Height>,
}

impl LastRound {
    /// Whether another would find nothing new.
    #[must_use]
    pub fn holds(&self, now: Self) -> bool {
        now.at_ms.saturating_sub(self.at_ms) < LONGEST_MS && (now.head, now.bitcoin) == (self.head, self.bitcoin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_left_out_only_while_nothing_happened_and_not_for_long() {
        let last = LastRound { at_ms: 5_000, head: 7, bitcoin: Some(100) };
        assert!(last.holds(LastRound { at_ms: 5_999, ..last }));
        assert!(!last.holds(LastRound { at_ms: 6_000, ..last }), "a second is over");
        assert!(!last.holds(LastRound { head: 8, ..last }), "a block of the ledger");
        assert!(!last.holds(LastRound { bitcoin: Some(101), ..last }), "a block of Bitcoin");
        assert!(!last.holds(LastRound { bitcoin: None, ..last }), "bitcoind does not answer any more");
        assert!(last.holds(LastRound { at_ms: 4_000, ..last }), "a clock that was set back");
    }
}
