//! What a node of the sidechain says over JSON-RPC beyond Ethereum's methods, as types that the node and its clients share.

mod deposit_terms;
pub mod free_lane;
mod ledger;
pub mod peg;
pub mod schema;
pub mod snapshot;
