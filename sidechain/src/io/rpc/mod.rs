//! The JSON-RPC server: HTTP and WebSocket on one port.
//!
//! ```text
//!  wallet, dapp, relayer --HTTP/WS--> namespaces: eth net web3 txpool peg
//!                                        |  eth_subscribe, filters
//!                                        v
//!                        NodeState: Chain (reads, simulation), Mempool, gossip, final blocks
//! ```
//! ```text
//!  server -> connection, pace -> http or websocket -> dispatch -> method: at once, or in turns by workers -> reply or outgoing
//!                                     shares: what each client holds, and what it has used
//! ```
//! It speaks Ethereum's JSON as geth does, so that unmodified clients work, and `peg_*` for the bridge. The head is final:
//! `latest`, `safe` and `finalized` are the same block, and `pending` is the head with the pool's nonces.
//!
//! It trusts nobody who connects: whatever a client can hold or use up is bounded, for itself and for all ([`Settings`],
//! docs/rpc.md), and everything ends by time. Threads are its own: nothing else of the node waits for it (ADR 18). It holds
//! no keys, so it signs nothing.

mod connection;
mod context;
/// Ethereum's JSON, for every server of this crate.
pub(in crate::io) mod convert;
mod dispatch;
/// Ethereum's errors, for every server of this crate.
pub(in crate::io) mod error;
mod eth;
mod filters;
mod health;
mod heard;
mod http;
mod method;
mod net;
mod openrpc;
mod outgoing;
mod pace;
mod peg;
mod priority;
mod repeats;
mod reply;
mod server;
mod settings;
mod shares;
#[cfg(test)]
mod tests;
mod turns;
mod txpool;
mod websocket;
mod workers;

pub use server::{Running, serve};
pub use settings::Settings;
