//! A running node as its adapters share it: the chain, the pool, messages for the other validators, and final blocks.
//!
//! The RPC, the gossip and the engine's application have this in common and do not know each other. Other nodes are behind a
//! channel ([`Gossip`]) or a trait ([`Upstream`]).
//!
//! Transactions come in by one way, in batches:
//! ```text
//! RPC clients --+                   senders recovered          one lock
//!               +--> FairQueue --> on all cores, accounts --> of the pool --> each caller's answer
//! peers --------+    by source     read once a block    \
//!                                                        +--> free ones: FairQueue by member --> tried one by one
//! ```
//! What waits is in a file too, so that it is there after a restart.
//!
//! So a storm of one source delays no other, and a free transaction, which is run before it is taken, delays none that pays.

mod accounts;
mod admit;
pub(in crate::io) mod building;
mod final_blocks;
mod intake;
mod journal;
pub(in crate::io) mod offered;
mod outside;
mod restore;
mod state;
#[cfg(test)]
mod tests;

pub use admit::{AdmitError, Admitted};
pub use intake::Source;
pub use outside::{Gossip, Upstream, UpstreamError};
pub use state::NodeState;
