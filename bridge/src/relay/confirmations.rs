//! Who waits for how many confirmations. The ledger counts them by its light client, so this relayer does too: a block of
//! bitcoind's best chain has confirmations only as far as both best chains are the same.
//!
//! ```text
//!   light client   0 - 1 - 2 - 3 - 4a           block 2: 3 confirmations, block 3: 2
//!   bitcoind                     \ 4b - 5b      block 4b: 0
//! ```

use super::deposit_tracker::{Position, TrackedDeposit};
use super::headers::Comparison;

/// Confirmations before the outputs of a coinbase transaction can be spent (consensus).
pub const COINBASE_MATURITY: u32 = 100;

/// Confirmations after which a settled vault transaction is not looked at any more. One day, as many as can be undone
/// without a scan.
pub const SETTLED_FOR_GOOD: u32 = super::deposit_tracker::UNDO_BLOCKS as u32;

/// How deep blocks of bitcoind's best chain are for the light client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depths {
    light_height: u32,
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
    pub fn confirmations_at(&self, height: u32) -> u32 {
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

/// Whether a settled vault transaction is over, by the confirmations of the block it settled in.
#[must_use]
pub fn is_settled_for_good(confirmations: u32, required: u32) -> bool {
    confirmations >= SETTLED_FOR_GOOD.max(required)
}
