//! The federation's side of Causeway: keys, vault transactions and the relayer.
//!
//! A relayer is a client of its own sidechain node and its own bitcoind. What it decides is pure: facts go in, owed
//! actions come out, and the rounds of key generation and signing are machines that never touch a network.
//! What touches network, disk, clock or randomness is in [`io`] (feature `io`).
//!
//! ```text
//!   peg      the shapes of the node's `peg_*` JSON-RPC
//!   watch    which outputs pay a registered deposit address
//!   io       the node's client, the relayer's shell
//! ```

#[cfg(feature = "io")]
pub mod config;
#[cfg(feature = "io")]
pub mod io;
pub mod peg;

pub mod watch;
