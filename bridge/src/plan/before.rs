//! When a bound vault transaction may be replaced by another version, as all members judge it: who proposes one and who approves it.

/// Blocks within which a vault transaction should be in one: its fee was estimated for that.
pub const TARGET_BLOCKS: u32 = 3;

/// What a version is to take the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    /// Of the dearest, in satoshis per 1,000 vB.
    pub rate: u64,
    /// Blocks since the newest and the oldest of them are known.
    pub newest_waits_for: u32,
    pub oldest_waits_for: u32,
    /// Whether its own bitcoind has one of them.
    pub is_seen: bool,
}

impl Before {
    /// Whether it is time for a version of this rate. Who proposed it may have seen the last block earlier.
    #[must_use]
    pub fn may_be_replaced(&self, rate: u64) -> bool {
        let (newest, oldest) = (self.newest_waits_for + 1, self.oldest_waits_for + 1);
        let is_due = newest >= TARGET_BLOCKS || oldest >= 2 * TARGET_BLOCKS;
        if self.is_seen { rate > self.rate && (is_due || is_far(rate, self.rate)) } else { rate > self.rate || is_due }
    }
}

/// Whether a rate is another one by a quarter of what is bound, and no small step.
#[must_use]
pub fn is_far(rate: u64, bound: u64) -> bool {
    rate >= bound.saturating_add(bound / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(newest_waits_for: u32, oldest_waits_for: u32) -> Before {
        Before { rate: 10_000, newest_waits_for, oldest_waits_for, is_seen: true }
    }

    #[test]
    fn what_waits_is_replaced_by_a_far_dearer_version_at_once_and_by_any_dearer_one_in_time() {
        assert!(before(0, 0).may_be_replaced(12_500));
        assert!(!before(0, 0).may_be_replaced(12_499) && !before(1, 4).may_be_replaced(10_001));
        assert!(before(2, 2).may_be_replaced(10_001), "one block earlier than it is proposed");
        assert!(before(0, 5).may_be_replaced(10_001), "whatever was made in between");
        assert!(!before(9, 9).may_be_replaced(10_000), "never by what no node takes");
    }

    #[test]
    fn what_no_mempool_has_is_replaced_at_any_rate_in_time() {
        let lost = |newest_waits_for| Before { is_seen: false, ..before(newest_waits_for, 2) };
        assert!(lost(0).may_be_replaced(10_001) && lost(2).may_be_replaced(9_000));
        assert!(!lost(0).may_be_replaced(10_000));
    }
}
