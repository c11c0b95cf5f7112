//! The fee rate of vault transactions: bitcoind's estimate, renewed now and then.

use bitcoin::FeeRate;

/// Blocks within which a vault transaction should confirm: its fee is estimated for that.
pub const CONFIRM_WITHIN: u16 = 3;

/// Milliseconds for which an estimate is good.
const GOOD_FOR_MS: u64 = 30_000;

/// The last estimate.
#[derive(Clone, Copy, Debug, Default)]
pub struct FeeEstimate {
    estimated: Option<(u64, FeeRate)>,
}

impl FeeEstimate {
    /// Whether to ask for another one.
    #[must_use]
    pub fn is_stale(&self, clock_ms: u64) -> bool {
        self.estimated.is_none_or(|(at, _)| clock_ms.saturating_sub(at) > GOOD_FOR_MS)
    }

    pub fn renew(&mut self, rate: FeeRate, clock_ms: u64) {
        self.estimated = Some((clock_ms, rate));
    }

    /// None before the first estimate.
    #[must_use]
    pub fn rate(&self) -> Option<FeeRate> {
        self.estimated.map(|(_, rate)| rate)
    }
}

/// The rate where bitcoind has seen too few blocks to know one: the least that the ledger accepts, in sat per virtual byte.
#[must_use]
pub fn fallback(min_fee_rate: u32) -> FeeRate {
    FeeRate::from_sat_per_vb(u64::from(min_fee_rate.max(1))).unwrap_or(FeeRate::BROADCAST_MIN)
}
