//! Transactions that wait for a block.
//!
//! The pool owns what was admitted and is not final yet. It promises bounds (in count and bytes, for all and for each
//! sender), an order for proposers, and that nobody's paid transaction is displaced by a cheaper one. It trusts its caller
//! for the sender, the account's state and the lane, and takes time as an argument.
//!
//! ```text
//! account nonce 5     [5] [6] [7]   .   [9]
//!                      executable  gap  queued
//! ```
//! Two lanes share a sender's nonces:
//! - paid: ordered by tip, displaced by better paid ones when the pool is full, replaced by +10 %;
//! - free: gas price zero, federation members only (the caller decides that). It has bounds of its own, goes first, and
//!   does not wait long: a free transaction must succeed, so one that does not get into a block is most likely obsolete.

mod admission;
mod candidates;
mod entry;
mod error;
mod held;
mod judge;
mod limits;
mod pool;
#[cfg(test)]
mod tests;

pub use admission::{AdmissionRules, Inadmissible};
pub use candidates::Candidates;
pub use entry::{Account, Lane};
pub use error::Refused;
pub use held::{FIRST_HOLD_MS, LONGEST_HOLD_MS, MAX_HELD};
pub use limits::Limits;
pub use pool::{Added, Mempool, Status};
