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
//! - free: federation members only, without a charge (the caller decides that). It has bounds of its own, goes first, and
//!   does not wait long: a free transaction must succeed, so one that does not get into a block is most likely obsolete.
//!
//! What waits must be payable: all of a sender's together by its balance. Only a delegated account (EIP-7702) can lose its
//! balance without a transaction of its own, so it may have one. What each displaces others by is what it would really
//! pay: at the last base fee, and no more than those of its sender before it.

mod admission;
#[cfg(test)]
mod attacks;
mod entry;
mod error;
mod fair_queue;
mod held;
pub mod journal;
mod judge;
mod limits;
mod members;
mod order;
mod pool;
mod slots;
#[cfg(test)]
mod tests;

pub use admission::{AdmissionRules, Inadmissible};
pub use entry::{Account, Arrival, Code, Lane};
pub use error::Refused;
pub use fair_queue::{FairQueue, NoRoom, Room};
pub use held::{FIRST_HOLD_MS, LONGEST_HOLD_MS, MAX_HELD};
pub use limits::{Allowance, Limits};
pub use order::{Candidates, FreeBudget, Order};
pub use pool::{Added, Mempool, Status};
