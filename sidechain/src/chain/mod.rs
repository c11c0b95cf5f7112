//! The chain: proposes, verifies and finalizes blocks, and answers what is asked about them.
//!
//! ```text
//!  candidates -> propose --+                       +-> Finalized (RPC subscriptions, mempool)
//!                          |-> pending (by hash) --+
//!  block ------> verify ---+     finalize          +-> store: one atomic batch
//! ```
//!
//! Blocks that are not final yet live in memory as changes over their parents. Everything is synchronous and blocks on
//! CPU and disk; call it from a blocking worker. Time is an argument.

mod ahead;
mod error;
mod finalize;
mod logs;
mod open;
mod pending;
mod propose;
mod pruning;
mod reads;
mod recent;
mod registrations;
mod retention;
mod rows;
mod senders;
mod state_at;
#[cfg(test)]
mod tests;
mod tip;
mod unfinal;
mod verify;

pub use ahead::Ahead;
pub use error::{FinalizeError, LogsError, OpenError, ProposeError, SimulateError};
pub use finalize::Finalized;
pub use logs::{LogEntry, LogFilter, logs_of};
pub use open::Chain;
pub use propose::Offers;
pub use reads::{Located, Stored};
pub use registrations::{MAX_REGISTRATIONS, Registration, RegistrationError};
pub use retention::Retention;
pub use state_at::{AccountProof, StateAt, StorageProof};
pub use unfinal::Role;
pub use verify::MAX_CLOCK_DRIFT_MS;
