//! The next proposals, from the ledger's facts: a sweep, a payout, a consolidation or refresh, another version of what waits.
//!
//! ```text
//!  deposits ────▶ sweep          who can pay at this rate, oldest first, as many as fit
//!  withdrawals ─▶ payout         the smallest set of vault outputs that funds as many as fit; ties to a rooted one
//!  outputs ─────▶ consolidation  above 32 at a low rate; before half of the recovery delay at any rate
//!  bound ───────▶ version        the same outputs or deposits at a higher rate; without who pays too little, if the reserve does not
//! ```
//! None of them waits for another. Everything that is proposed was made once ([`crate::vault_tx::build`]) as the ledger will make it, so it is never
//! refused for a satoshi. Who cannot pay is filtered before anything is cut to size, so the poor never hide who can pay.

pub use before::{Before, TARGET_BLOCKS, is_far};
pub use conditions::{Budget, Conditions, FEWEST_OUTPUTS, MOST_OUTPUTS, PATIENCE_S};
pub use consolidation::{consolidation, is_wanted, late_outputs};
pub use left_out::{is_poor, may_join};
pub use payout::payout;
pub use proposal::fair_reserve;
pub use sweep::{is_near_reclaim, sweep};
pub use version::{Replaced, version};

mod before;
mod coins;
mod conditions;
mod consolidation;
mod left_out;
mod more_outputs;
mod payout;
mod proposal;
mod queue;
mod starving;
mod sweep;
mod tied_again;
mod version;

#[cfg(test)]
mod tests;
