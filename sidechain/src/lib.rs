//! Causeway's sidechain node: Ethereum blocks, executed by `revm`, ordered and made final by a BFT engine, and served
//! over JSON-RPC.
//!
//! What decides is pure, and imports point up in this list:
//!
//! ```text
//!   limits      what bounds a block and its transactions
//!   stop        how work is ended from outside
//!   geth        words that clients look for in errors
//!   block       blocks, transactions, receipts, and their encoding
//!   state       accounts and storage: which table holds what, tries and proofs
//!   execution   running transactions: what a block may hold, what it does to the state
//!   genesis     the file that all operators agree on, and the first block
//!   chain       joins them: propose, verify, finalize, read
//!   peg         the bridge, as the chain has it
//!   light_node  a node that keeps what it was asked for, and believes nobody
//!   mempool     transactions that wait for a block
//!   rate        how much of something may happen in a time
//!   origins     which pages may ask from a browser
//!   access      whose requests count as one client's
//!   clocks      whether this machine's clock can be believed
//!   rejoin      when a validator that lost its votes may vote again
//!   standing    how far behind a node is, and whether it is well
//!   told        what a node's log is told of it: once when it begins, once when it is over
//!   counters    what is counted for the operator's monitoring
//! ```
//! Disk, network, engine and clock are in `io`. What clients need of it is in packages of their own: `api` (JSON shapes) and
//! `light` (reading the chain without trusting who shows it).

pub mod access;
pub mod block;
pub mod chain;
pub mod clocks;
pub mod counters;
pub mod execution;
pub mod genesis;
mod geth;
pub mod light_node;
pub mod limits;
pub mod mempool;
pub mod origins;
#[cfg(feature = "io")]
mod panics;
pub mod peg;
pub mod rate;
pub mod rejoin;
pub mod standing;
pub mod state;
pub mod stop;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod told;

#[cfg(feature = "io")]
pub mod io;
