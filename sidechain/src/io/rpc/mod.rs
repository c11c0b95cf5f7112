//! The JSON-RPC server: HTTP and WebSocket on one port.
//!
//! ```text
//!  wallet, dapp, relayer --HTTP/WS--> namespaces: eth debug ots net web3 txpool peg
//!                                        |  eth_subscribe, filters
//!                                        v
//!                        NodeState: Chain (reads, simulation), Mempool, gossip, final blocks
//! ```
//! ```text
//!  server -> connection, pace -> http or websocket -> dispatch -> method: at once, or in turns by workers -> reply or outgoing
//!                                     shares: what each client holds, and what it has used
//! ```
//! It speaks Ethereum's JSON as geth does, so that unmodified clients work, and `peg_*` for the bridge. The head is final:
//! `latest`, `safe` and `finalized` are the same block, and `pending` is the next one, of what waits in the pool.
//!
//! It trusts nobody who connects: whatever a client can hold or use up is bounded, for itself and for all ([`Settings`],
//! docs/rpc.md), and everything ends by time. Threads are its own: nothing else of the node waits for it (ADR 18). It holds
//! no keys, so it signs nothing; but on `causeway dev` it signs with keys that everybody knows.

mod awaited;
/// Blocks as clients name them, for every server of this crate.
pub(in crate::io) mod block_reference;
/// Transactions as clients ask for them, likewise.
pub(in crate::io) mod call_request;
mod connection;
mod context;
/// Ethereum's JSON, for every server of this crate.
pub(in crate::io) mod convert;
mod debug;
mod developer;
mod dispatch;
/// Ethereum's errors, for every server of this crate.
pub(in crate::io) mod error;
mod eth;
mod filters;
mod frames;
mod health;
mod heard;
mod http;
mod log_request;
mod method;
mod modules;
mod net;
/// Numbers as clients write them, for every server of this crate.
pub(in crate::io) mod numbers;
mod openrpc;
mod ots;
mod outgoing;
mod pace;
mod page;
mod peg;
mod pending;
mod places;
mod preview;
mod priority;
mod repeats;
mod reply;
mod server;
mod settings;
mod shares;
/// Storage slots, likewise.
pub(in crate::io) mod slot;
#[cfg(test)]
mod tests;
mod turns;
mod txpool;
mod unread;
mod websocket;
mod workers;

pub use method::NoSuchMethod;
pub use server::{Running, private_methods, serve};
pub use settings::Settings;
