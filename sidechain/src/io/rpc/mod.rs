//! The JSON-RPC server: HTTP and WebSocket on one port.
//!
//! ```text
//!  wallet, dapp, relayer --HTTP/WS--> namespaces: eth net web3 txpool peg
//!                                        |  eth_subscribe, filters
//!                                        v
//!                        NodeState: Chain (reads, simulation), Mempool, gossip, final blocks
//! ```
//! It speaks Ethereum's JSON as geth does, so that unmodified clients work, and `peg_*` for the bridge. The head is final:
//! `latest`, `safe` and `finalized` are the same block, and `pending` is the head with the pool's nonces.
//!
//! It trusts nobody who connects: bodies, answers, batches, connections, subscriptions, filters and simulated calls at a
//! time are bounded ([`Settings`]). It holds no keys, so it signs nothing.

mod context;
mod convert;
mod cors;
mod error;
mod eth;
mod filters;
mod method;
mod net;
mod peg;
mod rate_limit;
mod server;
mod settings;
#[cfg(test)]
mod tests;
mod txpool;

pub use server::{Running, serve};
pub use settings::Settings;
