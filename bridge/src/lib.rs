//! The federation's side of Causeway: keys, vault transactions and the relayer.
//!
//! A relayer is a client of its own sidechain node and its own bitcoind. What it decides is pure: facts go in, owed
//! actions come out ([`relay`]), and the rounds of key generation and signing are machines that never touch a network.
//! What touches network, disk, clock or randomness is in [`io`] (feature `io`).
//!
//! ```text
//!   peg      the shapes of the node's `peg_*` JSON-RPC
//!   relay    facts in, owed actions out: headers, proposals, signing, broadcast, settlement
//!   io       the node's client, the relayer's shell
//! ```

pub mod peg;

#[cfg(feature = "io")]
pub mod io;
