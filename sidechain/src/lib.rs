//! Causeway's sidechain node: Ethereum blocks, executed by `revm`, ordered and made final by a BFT engine, and served
//! over JSON-RPC.
//!
//! What decides is pure: blocks and their encoding ([`types`]), the first block ([`genesis`]), running transactions
//! ([`execution`]), state roots and proofs ([`trie`]), which table holds what ([`store`]), and the chain that joins them
//! ([`app`]: propose, verify, finalize, read), and the bridge on it ([`peg`]). Disk, network, engine and clock sit in `io`.

pub mod app;
pub mod execution;
pub mod genesis;
pub mod mempool;
pub mod peg;
pub mod state;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod trie;
pub mod types;

#[cfg(feature = "io")]
pub mod io;
