//! Who waits for how many confirmations. The ledger counts them by its light client, so this relayer does too: a block of
//! bitcoind's best chain has confirmations only as far as both best chains are the same.
//!
//! ```text
//!   light client   0 - 1 - 2 - 3 - 4a           block 2: 3 confirmations, block 3: 2
//!   bitcoind                     \ 4b - 5b      block 4b: 0
//! ```

use super::deposit_tracker::{Position, TrackedDeposit};
use super::headers::Comparison;
use mainchain::header::Height;

/// Confirmations before the outputs of a coinbase transaction can be spent (consensus).
pub const COINBASE_MATURITY: u32 = 100;

/// How deep blocks of bitcoind's best chain are for the light client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depths {
    light_height: Height,
    /// Height up to which both best chains are the same; none while that is not known.
    fork: Option<u32>,
}

impl Depths {
    /// `comparison` counts only if it was made with the light client's best block of now.
    #[must_use]
    pub fn new(light: Position, comparison: Option<&Comparison>) -> Self {
        let fork = comparison.filter(|comparison| comparison.light == light).map(|comparison| comparison.fork);
        Self { light_height: light.height, fork }
    }

    /// Confirmations of the block at a height of bitcoind's best chain; zero when the light client has another there.
    #[must_use]
    pub fn confirmations_at(&self, height: Height) -> u32 {
        match self.fork {
            Some(fork) if height <= fork => (self.light_height + 1).saturating_sub(height),
            _ => 0,
        }
    }

    /// Whether the ledger would take a deposit by its age. One that is older than half the reclaim delay (in blocks) could
    /// be reclaimed before its sweep confirms.
    #[must_use]
    pub fn may_sweep(&self, deposit: &TrackedDeposit, reclaim_delay: u16) -> bool {
        let least = if deposit.coinbase { COINBASE_MATURITY } else { 1 };
        let most = u32::from(reclaim_delay) / 2;
        (least..=most).contains(&self.confirmations_at(deposit.height))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::example::{payment, position};

    // light client   0 - ... - 8 - 9a - 10a
    // bitcoind                  \- 9b - 10b - 11b
    #[test]
    fn only_blocks_that_both_best_chains_hold_have_confirmations() {
        let comparison = Comparison { light: position(10), own: position(11), fork: 8, first_unknown: Some(9) };
        let depths = Depths::new(position(10), Some(&comparison));
        assert_eq!([7, 8, 9, 11].map(|height| depths.confirmations_at(height)), [4, 3, 0, 0]);
        let unknown = Depths::new(position(11), Some(&comparison));
        assert_eq!(unknown.confirmations_at(8), 0, "the light client has moved since");
    }

    // A reclaim delay of 20 blocks: deposits are swept up to an age of 10.
    #[test]
    fn a_deposit_waits_for_its_depth_and_is_left_to_its_owner_when_it_is_old() {
        let at = |tip: u32, coinbase: bool, delay: u16| {
            let comparison = Comparison { light: position(tip), own: position(tip), fork: tip, first_unknown: None };
            let deposit = TrackedDeposit { coinbase, ..payment(100) };
            Depths::new(position(tip), Some(&comparison)).may_sweep(&deposit, delay)
        };
        assert_eq!([99, 100, 109, 110].map(|tip| at(tip, false, 20)), [false, true, true, false]);
        assert_eq!([198, 199].map(|tip| at(tip, true, 1_008)), [false, true]);
    }
}
