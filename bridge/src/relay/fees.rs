//! The fee rate of vault transactions: bitcoind's estimate, renewed now and then.
//!
//! A bitcoind that has seen too few blocks has none. Then this relayer proposes and approves nothing: a guess that is too low gets
//! stuck, one that is too high is the users' loss. On regtest, where bitcoind never has one, `fee_rate` in relayer.toml stands for it.

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

/// The last estimate.
#[derive(Clone, Copy, Debug, Default)]
pub struct FeeEstimate {
    /// When it was asked for, and what the answer was.
    answered: Option<(u64, Option<FeeRate>)>,
    instead: Option<FeeRate>,
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
        Ok(Self { answered: None, instead: configured.map(FeeRate::from_sat_per_vb_u32) })
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
    }

    /// None before the first estimate, while bitcoind has none, and when the last one is old.
    #[must_use]
    pub fn rate(&self, clock_ms: u64) -> Option<FeeRate> {
        let (at, rate) = self.answered?;
        rate.filter(|_| clock_ms.saturating_sub(at) <= OLD_MS).or(self.instead)
    }
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
