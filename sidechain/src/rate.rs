//! A limit on how much of something may happen in a time.

/// Fills evenly and holds at most a burst. Units are the caller's: events, bytes, microseconds of work.
#[derive(Clone, Debug)]
pub struct RateLimit {
    per_minute: i64,
    /// What is left, in units of 1/60,000 of one: what a millisecond adds is `per_minute`. Below zero after more was spent than
    /// there was.
    level: i64,
    full: i64,
    filled_ms: u64,
}

/// One, in the units of a level.
const ONE: i64 = 60_000;

impl RateLimit {
    /// A limit that starts full, and holds a minute's worth.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        Self::with_burst(u64::from(per_minute), u64::from(per_minute))
    }

    /// A limit that starts full, and holds `burst`. Both at most 10^12, so that no sum overflows.
    #[must_use]
    pub fn with_burst(per_minute: u64, burst: u64) -> Self {
        let bounded = |amount: u64| i64::try_from(amount.min(MOST)).expect("bounded");
        let full = bounded(burst) * ONE;
        Self { per_minute: bounded(per_minute), level: full, full, filled_ms: 0 }
    }

    /// Takes one, if there is one. `now_ms` is Unix time.
    pub fn take(&mut self, now_ms: u64) -> bool {
        let enough = self.left(now_ms) >= 1;
        if enough {
            self.level -= ONE;
        }
        enough
    }

    /// Spends more than there may be: the debt is paid before anything else is given.
    pub fn spend(&mut self, amount: u64, now_ms: u64) {
        self.fill(now_ms);
        let amount = i64::try_from(amount.min(MOST)).expect("bounded");
        self.level = self.level.saturating_sub(amount * ONE).max(-DEBT * self.full);
    }

    /// Gives back of what was spent, when it turned out to be less.
    pub fn give_back(&mut self, amount: u64) {
        let amount = i64::try_from(amount.min(MOST)).expect("bounded");
        self.level = self.level.saturating_add(amount * ONE).min(self.full);
    }

    /// What is left; 0 while there is a debt.
    pub fn left(&mut self, now_ms: u64) -> u64 {
        self.fill(now_ms);
        u64::try_from(self.level / ONE).unwrap_or(0)
    }

    /// What was spent and is not paid yet.
    #[cfg(test)]
    pub fn debt(&mut self, now_ms: u64) -> u64 {
        self.fill(now_ms);
        u64::try_from(-self.level / ONE).unwrap_or(0)
    }

    /// Whether nothing was taken for so long that forgetting this limit changes nothing.
    pub fn is_full(&mut self, now_ms: u64) -> bool {
        self.fill(now_ms);
        self.level == self.full
    }

    fn fill(&mut self, now_ms: u64) {
        // A clock that was set back stops the filling for a while; it takes nothing away.
        let passed_ms = i64::try_from(now_ms.saturating_sub(self.filled_ms).min(LONGEST_MS)).expect("bounded");
        self.filled_ms = now_ms.max(self.filled_ms);
        self.level = self.level.saturating_add(passed_ms.saturating_mul(self.per_minute)).min(self.full);
    }
}

/// Largest amount, so that its level fits.
const MOST: u64 = 1_000_000_000_000;

/// Debt at most, in bursts: who spent too much can always come back.
const DEBT: i64 = 2;

/// Longest time that is counted at once; any limit of use is full again after it.
const LONGEST_MS: u64 = 3_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_gives_a_minutes_worth_and_fills_evenly() {
        let mut limit = RateLimit::new(2);
        assert!(limit.take(1_000) && limit.take(1_000));
        assert!(!limit.take(1_000));
        assert!(!limit.take(30_999));
        assert!(limit.take(31_000));
        assert!(!limit.take(31_001));
        assert!(limit.take(1_000_000) && limit.take(1_000_000) && !limit.take(1_000_000));
    }

    #[test]
    fn a_debt_is_paid_first_and_is_bounded() {
        let mut limit = RateLimit::with_burst(60, 10);
        limit.spend(1_000_000, 5_000);
        assert_eq!((limit.left(5_000), limit.left(25_000)), (0, 0));
        assert!(limit.take(26_000) && !limit.take(26_000), "20 of debt take 20 seconds");
        assert!(limit.left(100_000) == 10 && limit.is_full(100_000));
    }

    #[test]
    fn what_is_given_back_may_be_spent_again_and_never_exceeds_a_burst() {
        let mut limit = RateLimit::with_burst(60, 10);
        limit.spend(8, 5_000);
        limit.give_back(3);
        assert_eq!(limit.left(5_000), 5);
        limit.give_back(u64::MAX);
        assert_eq!(limit.left(5_000), 10);
    }

    #[test]
    fn a_clock_at_either_end_changes_nothing_for_the_worse() {
        let mut limit = RateLimit::with_burst(u64::MAX, u64::MAX);
        assert!(limit.take(u64::MAX) && limit.take(0));
        limit.spend(u64::MAX, u64::MAX);
        assert!(limit.left(u64::MAX) == 0);
    }
}
