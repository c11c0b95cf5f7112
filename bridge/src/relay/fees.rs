//! The fee rate of vault transactions: bitcoind's estimate, renewed now and then.
//!
//! A bitcoind that has seen too few blocks has none. Then this relayer proposes and approves nothing: a guess that is too low gets
//! stuck, one that is too high is the users' loss. On regtest, where bitcoind never has one, `fee_rate` in relayer.toml stands for it.
//!
//! What is usual is remembered too, as a mean in which a day counts for two thirds: what can wait does until fees are low.

use bitcoin::FeeRate;
use mainchain::Network;

/// Blocks within which a vault transaction should confirm: its fee is estimated for that.
pub const CONFIRM_WITHIN: u16 = 3;

/// Milliseconds for which an estimate is good.
const GOOD_FOR_MS: u64 = 30_000;

/// Milliseconds after which an estimate counts for nothing, should bitcoind not answer about another one.
const OLD_MS: u64 = 120_000;

/// Milliseconds between two questions while there is no estimate.
const ASK_AGAIN_MS: u64 = 2_000;

/// Milliseconds within which two thirds of what is usual are new.
const USUAL_MS: u64 = 86_400_000;

/// What passed is counted in steps of an hour at most, and of a fortnight at most: what is older counts for nothing.
const STEP_MS: u64 = 3_600_000;
const MOST_STEPS: u64 = 336;

/// Parts of a satoshi in which what is usual is kept, so that the small steps between two estimates count.
const PARTS: u64 = 1_000_000;

/// Rates, in satoshis per 1,000 virtual bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// At which a vault transaction should confirm within [`CONFIRM_WITHIN`] blocks.
    pub now: u64,
    /// What that is usually.
    pub usual: u64,
}

/// The last estimate.
#[derive(Clone, Copy, Debug, Default)]
pub struct FeeEstimate {
    /// When it was asked for, and what the answer was.
    answered: Option<(u64, Option<FeeRate>)>,
    instead: Option<FeeRate>,
    /// What is usual, in [`PARTS`] of a satoshi per 1,000 vB, by the answers up to then.
    usual: Option<(u64, u128)>,
}

/// `fee_rate` is configured on a network where fees cost money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("relayer.toml has a fee_rate, which is for regtest alone: on {0} bitcoind's estimate is waited for; remove it")]
pub struct OnRegtestOnly(Network);

impl FeeEstimate {
    /// `configured` stands for an estimate, in satoshis per virtual byte.
    ///
    /// # Errors
    ///
    /// [`OnRegtestOnly`] on any other network.
    pub fn new(configured: Option<u32>, network: Network) -> Result<Self, OnRegtestOnly> {
        if configured.is_some() && network != Network::Regtest {
            return Err(OnRegtestOnly(network));
        }
        Ok(Self { instead: configured.map(FeeRate::from_sat_per_vb_u32), ..Self::default() })
    }

    /// Whether to ask for another one.
    #[must_use]
    pub fn is_stale(&self, clock_ms: u64) -> bool {
        self.answered.is_none_or(|(at, rate)| {
            let good_for_ms = if rate.is_some() { GOOD_FOR_MS } else { ASK_AGAIN_MS };
            clock_ms.saturating_sub(at) > good_for_ms
        })
    }

    /// Takes in bitcoind's answer; none when it has no estimate.
    pub fn renew(&mut self, rate: Option<FeeRate>, clock_ms: u64) {
        self.answered = Some((clock_ms, rate));
        if let Some(rate) = rate.or(self.instead) {
            let rate = u128::from(per_kvb(rate)) * u128::from(PARTS);
            let (at, before) = self.usual.unwrap_or((clock_ms, rate));
            self.usual = Some((clock_ms, drawn_to(rate, before, clock_ms.saturating_sub(at))));
        }
    }

    /// The rates of now; none as [`FeeEstimate::rate`].
    #[must_use]
    pub fn rates(&self, clock_ms: u64) -> Option<Rates> {
        let now = per_kvb(self.rate(clock_ms)?);
        let usual = self.usual.map_or(now, |(_, parts)| u64::try_from(parts / u128::from(PARTS)).unwrap_or(u64::MAX));
        Some(Rates { now, usual })
    }

    /// None before the first estimate, while bitcoind has none, and when the last one is old.
    #[must_use]
    pub fn rate(&self, clock_ms: u64) -> Option<FeeRate> {
        let (at, rate) = self.answered?;
        rate.filter(|_| clock_ms.saturating_sub(at) <= OLD_MS).or(self.instead)
    }
}

/// A mean after so many milliseconds of a rate: each step draws it nearer by its part of [`USUAL_MS`].
fn drawn_to(rate: u128, mut mean: u128, passed_ms: u64) -> u128 {
    let mut left_ms = passed_ms.min(MOST_STEPS * STEP_MS);
    while left_ms > 0 {
        let step_ms = left_ms.min(STEP_MS);
        let part = |difference: u128| difference * u128::from(step_ms) / u128::from(USUAL_MS);
        mean = if rate > mean { mean + part(rate - mean) } else { mean - part(mean - rate) };
        left_ms -= step_ms;
    }
    mean
}

/// A thousand virtual bytes are four thousand weight units.
fn per_kvb(rate: FeeRate) -> u64 {
    rate.to_sat_per_kwu().saturating_mul(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: FeeRate = FeeRate::from_sat_per_vb_u32(7);

    #[test]
    fn without_an_estimate_there_is_no_rate_and_it_is_asked_for_again() {
        let mut fees = FeeEstimate::new(None, Network::Mainnet).expect("nothing is configured");
        assert!(fees.is_stale(0) && fees.rate(0).is_none());
        fees.renew(None, 0);
        assert!(fees.rate(0).is_none() && !fees.is_stale(ASK_AGAIN_MS) && fees.is_stale(ASK_AGAIN_MS + 1));
        fees.renew(Some(RATE), 0);
        assert!(fees.rate(OLD_MS) == Some(RATE) && !fees.is_stale(GOOD_FOR_MS) && fees.is_stale(GOOD_FOR_MS + 1));
        assert_eq!(fees.rate(OLD_MS + 1), None, "an old one is no estimate");
        fees.renew(None, 0);
        assert_eq!(fees.rate(0), None, "bitcoind has lost it");
    }

    #[test]
    fn a_spike_of_an_hour_hardly_changes_what_is_usual_and_a_week_does() {
        let mut fees = FeeEstimate::new(None, Network::Mainnet).expect("nothing is configured");
        fees.renew(Some(FeeRate::from_sat_per_vb_u32(10)), 0);
        let spike = Some(FeeRate::from_sat_per_vb_u32(200));
        let mut at = |hour: u64| {
            fees.renew(spike, hour * 3_600_000);
            fees.rates(hour * 3_600_000).expect("an estimate")
        };
        assert_eq!(at(0), Rates { now: 200_000, usual: 10_000 });
        let hour = at(1);
        assert!(hour.now == 200_000 && (15_000..20_000).contains(&hour.usual), "{hour:?}");
        let week = at(169);
        assert!(week.usual > 199_000, "{week:?}");
    }

    #[test]
    fn small_steps_count_as_much_as_large_ones_and_no_rate_overflows() {
        let after = |step_ms: u64| {
            let mut fees = FeeEstimate::default();
            fees.renew(Some(FeeRate::from_sat_per_vb_u32(100)), 0);
            for at in (0..=86_400_000).step_by(usize::try_from(step_ms).expect("small")) {
                fees.renew(Some(FeeRate::from_sat_per_vb_u32(1)), at);
            }
            fees.rates(86_400_000).expect("an estimate").usual
        };
        let (small, large) = (after(30_000), after(86_400_000));
        assert!((36_000..39_000).contains(&small) && (36_000..39_000).contains(&large), "{small} {large}");
        let mut fees = FeeEstimate::default();
        for (at, rate) in [(0, FeeRate::MAX), (u64::MAX / 2, FeeRate::ZERO), (u64::MAX, FeeRate::MAX)] {
            fees.renew(Some(rate), at);
        }
        assert!(fees.rates(u64::MAX).is_some());
    }

    #[test]
    fn a_configured_rate_stands_for_the_estimate_on_regtest_and_is_refused_elsewhere() {
        let mut fees = FeeEstimate::new(Some(7), Network::Regtest).expect("regtest");
        assert_eq!(fees.rate(0), None, "bitcoind was not asked yet");
        fees.renew(None, 0);
        assert_eq!(fees.rate(0), Some(RATE));
        fees.renew(Some(FeeRate::from_sat_per_vb_u32(9)), 0);
        assert_eq!(fees.rate(0), Some(FeeRate::from_sat_per_vb_u32(9)));
        let error = FeeEstimate::new(Some(7), Network::Mainnet).expect_err("fees cost money there").to_string();
        assert!(error.contains("fee_rate") && error.contains("mainnet"), "{error}");
    }
}
