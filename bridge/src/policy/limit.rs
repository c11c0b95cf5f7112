//! What a member signs away within a time at most, whatever the ledger says: with broken contracts, or with as many hacked nodes as sign, one window is
//! lost and no more.

use bitcoin::Amount;

use super::refusal::Refusal;

/// A member's own limit: so much at once, and as much again in so many seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub window: Amount,
    pub window_s: u64,
}

/// What is left of it. Payouts of a withdrawal count once for each vault output that they spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    sat: u64,
    /// In seconds since 1970.
    since: u64,
}

impl Left {
    /// All of it: nothing was signed yet.
    #[must_use]
    pub fn all(limit: &Limit) -> Self {
        Self { sat: limit.window.to_sat(), since: 0 }
    }

    /// What is left after `asked` at `now_s`.
    ///
    /// # Errors
    ///
    /// [`Refusal::OwnLimit`]: it is not enough.
    pub fn take(self, asked: Amount, now_s: u64, limit: &Limit) -> Result<Self, Refusal> {
        let left = self.grown(now_s, limit);
        let sat = left.sat.checked_sub(asked.to_sat()).ok_or(Refusal::OwnLimit {
            asked,
            left: Amount::from_sat(left.sat),
            window: limit.window,
            window_s: limit.window_s,
        })?;
        Ok(Self { sat, ..left })
    }

    /// After what was signed before: it counts, whatever the limit was then.
    #[must_use]
    pub fn after(self, signed: Amount, at_s: u64, limit: &Limit) -> Self {
        let left = self.grown(at_s, limit);
        Self { sat: left.sat.saturating_sub(signed.to_sat()), ..left }
    }

    /// A clock that was set back lets nothing grow.
    fn grown(self, now_s: u64, limit: &Limit) -> Self {
        let window = limit.window.to_sat();
        let passed = u128::from(now_s.saturating_sub(self.since));
        let grown = u128::from(window) * passed / u128::from(limit.window_s.max(1));
        let sat = (u128::from(self.sat) + grown).min(u128::from(window));
        Self { sat: u64::try_from(sat).unwrap_or(window), since: self.since.max(now_s) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit { window: Amount::from_sat(1_000), window_s: 100 };

    fn sat(sat: u64) -> Amount {
        Amount::from_sat(sat)
    }

    #[test]
    fn no_more_than_a_window_goes_at_once_and_as_much_again_in_its_time() {
        let left = Left::all(&LIMIT).take(sat(600), 1_000, &LIMIT).expect("within");
        let refused = left.take(sat(401), 1_000, &LIMIT).expect_err("beyond");
        assert!(refused.may_pass(), "it grows again: {refused}");
        assert!(left.take(sat(400), 1_000, &LIMIT).is_ok());
        assert!(left.take(sat(410), 1_001, &LIMIT).is_ok(), "ten each second");
        assert!(left.take(sat(1_001), 9_000, &LIMIT).is_err(), "never more than the window");
        assert!(left.take(sat(1_000), 9_000, &LIMIT).is_ok());
    }

    #[test]
    fn a_clock_that_is_set_back_gives_nothing() {
        let left = Left::all(&LIMIT).take(sat(1_000), 1_000, &LIMIT).expect("within");
        assert!(left.take(sat(1), 900, &LIMIT).is_err());
        assert!(left.take(sat(1), 1_000, &LIMIT).is_err());
    }

    #[test]
    fn what_was_signed_under_another_limit_counts() {
        let left = Left::all(&LIMIT).after(sat(5_000), 1_000, &LIMIT);
        assert!(left.take(sat(11), 1_001, &LIMIT).is_err());
        assert!(left.take(sat(10), 1_001, &LIMIT).is_ok());
    }
}
