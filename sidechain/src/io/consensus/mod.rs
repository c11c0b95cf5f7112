//! The BFT engine behind our own border: it orders blocks among the validators and makes them final.
//!
//! ```text
//!                propose, verify                     commit, in order, once persisted acknowledged
//! Application <------------------- engine (votes) ----------------------------------------> Application
//!   chain, mempool                 |         | finalizations, blocks
//!                                  |     marshal: orders blocks, keeps them with the chain, fetches missing ones from peers
//!                                  |         |
//!                        votes, certificates, blocks, backfill: one authenticated network
//! ```
//!
//! Everything that knows the engine's crates lives in this folder; the rest of the node sees [`Application`], [`start`] and
//! the certificates of [`light::finality`]. It promises:
//! - The engine's digest of a block is its Ethereum header hash, so a certificate signs the header and needs no engine to check.
//! - A block is stored before this validator votes to finalize it, and an own vote before it is sent. After `kill -9` it
//!   continues where it was, and fetches what it missed.
//! - `commit` gets every final block in order, at least once; one not acknowledged before a crash comes again.
//! - Time comes from the runtime's context, so the same code runs on the engine's deterministic runtime.
//!
//! Leaders rotate with every round. A leader builds when there is something to build from and enough time passed since the parent:
//! [`Pacing::interval`], less after a block that was almost empty. Otherwise it waits for a transaction or for [`Pacing::heartbeat`].

mod adapter;
mod application;
mod archive;
mod archive_index;
mod arrivals;
mod blocking;
mod blocks;
mod catch_up;
mod counting;
mod delivery;
mod engine;
mod error;
pub(crate) mod network;
mod parts;
mod payload;
mod requests;
mod scheme;
mod serving;
#[cfg(test)]
mod tests;

pub use application::{Application, BUILD_LIMIT, FinalBlocks, Pacing, Validator, Verdict};
pub use engine::{Setup, VOTES, start};
pub use error::ConsensusError;
