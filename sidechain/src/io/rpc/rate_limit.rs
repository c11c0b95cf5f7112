//! A limit on how often something may happen.

/// How much of something may happen in a minute: fills evenly, holds at most a minute's worth.
#[derive(Clone, Debug)]
pub struct RateLimit {
    per_minute: u64,
    /// In units of 1/60,000 of one: what a millisecond adds is `per_minute`.
    level: u64,
    filled_ms: u64,
}

impl RateLimit {
    /// One taken.
    const ONE: u64 = 60_000;

    /// A limit that starts full.
    pub fn new(per_minute: u32) -> Self {
        let per_minute = u64::from(per_minute);
        Self { per_minute, level: per_minute * Self::ONE, filled_ms: 0 }
    }

    /// Takes one, if there is one. `now_ms` is Unix time.
    pub fn take(&mut self, now_ms: u64) -> bool {
        let passed_ms = now_ms.saturating_sub(self.filled_ms).min(60_000);
        self.filled_ms = now_ms.max(self.filled_ms);
        self.level = (self.level + passed_ms * self.per_minute).min(self.per_minute * Self::ONE);
        let enough = self.level >= Self::ONE;
        if enough {
            self.level -= Self::ONE;
        }
        enough
    }
}

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
}
