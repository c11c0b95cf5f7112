//! Running transactions: what a block may hold, what it does to the state, and the header that follows.
//!
//! Ethereum's rules of fork Osaka, unmodified, except for:
//! - the base fee is not burnt but paid to the block's beneficiary with the tip, so that only the Bridge changes the supply;
//! - the free lane: members of the federation make certain calls of the peg's contracts, and are not charged for their gas. Such a transaction
//!   sends no value, and must succeed; its gas, bytes and number are bounded per block, for all members and for each;
//! - no blobs (EIP-4844), no withdrawals, no requests. The contracts of EIP-4788, 7002 and 7251 are not deployed, so their
//!   system calls do nothing (as those EIPs say for an address without code);
//! - two precompiles ([`POINT_EVALUATION_GAS`]);
//! - the supply invariant holds after every block.
//!
//! What ran can be run again while somebody looks on ([`Replay`]): by the same code, so that a trace shows what the block did.
//!
//! `prevrandao` is the hash of the parent: on this chain it is not a source of randomness.

mod before;
mod block;
mod call;
mod environment;
mod error;
mod evm;
mod free_calls;
mod header;
mod history;
mod instructions;
mod lanes;
mod moved_precompiles;
mod outcome;
mod overrides;
mod precompiles;
mod recorder;
mod rules;
mod simulation;
mod supply;
mod trace;

pub use block::{Executed, Execution, Progress};
pub use call::{Call, Simulated, construct, simulate, try_free};
pub use error::{BlockError, InclusionError};
pub use free_calls::FREE_CONTRACTS;
pub use header::{child_header, compare};
pub use history::slot as history_slot;
pub use moved_precompiles::MovedPrecompiles;
pub use outcome::{Halt, Outcome};
pub use overrides::{AccountOverride, BlockOverride, MoveError, Overrides};
pub use precompiles::{POINT_EVALUATION_GAS, precompile_names};
pub use recorder::{Budget, Exceeded, Tracer, TracerError};
#[cfg(feature = "io")]
pub use rules::NO_MEMBER;
pub use rules::{Rules, check_free};
pub use simulation::{Intent, Price, Simulation, SimulationError, Tried};
pub use supply::Supply;
pub use trace::{Replay, Trace, TraceError, Traced, trace_call};

pub use crate::stop::Stop;
