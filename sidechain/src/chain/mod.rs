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
#[cfg(any(test, feature = "testing"))]
pub mod fabricated;
mod fees;
mod finalize;
mod ledger_index;
mod log_filter;
mod log_index;
mod log_search;
mod logs;
mod newest_logs;
mod open;
mod pending;
mod preview;
mod propose;
mod pruning;
mod reads;
mod receipts;
mod recent;
mod registrants;
mod registrations;
mod retention;
mod rows;
mod search;
mod senders;
mod shared;
mod simulation;
pub mod snapshot;
mod state_at;
mod stored;
#[cfg(test)]
mod tests;
mod tip;
mod trace;
mod trial;
mod unfinal;
mod verify;

pub use ahead::Ahead;
pub use error::{FinalizeError, LogsError, OpenError, ProposeError, SimulateError};
pub use fees::BlockFees;
pub use ledger_index::Named;
pub use log_filter::LogFilter;
pub use log_index::Subject;
pub use logs::{LOG_BYTES, LogEntry, LogLimits, LogPage, LogPlace};
pub use open::{Chain, Changed};
pub use preview::{Preview, StateIn};
pub use propose::Offers;
pub use registrants::Origin;
pub use registrations::{Arrival, Kept, MAX_REGISTRATIONS, Payment, Registration, RegistrationError};
pub use retention::{Oldest, Retention};
pub use search::Since;
pub use simulation::{MAX_SIMULATED_BLOCKS, Plan, PlannedBlock, SimulatedBlock};
pub use state_at::{AccountProof, StateAt, StorageProof};
pub use stored::{Finalized, Located, Stored};
pub use trace::{TraceError, Tracing};
pub use trial::{Listed, Setting, Trial};
pub use unfinal::Room;
pub use verify::MAX_CLOCK_DRIFT_MS;
