//! A light node: it asks other nodes, believes none of them, and answers wallets and commands with what is proven.
//!
//! ```text
//!   a wallet --HTTP--> server --+                     +--> upstream: nodes, in turn; one that fails or lies is left out
//!   a command (in process) -----+--> answers          |
//!                                     |  head     ----+    peg_getFinality, checked; newest kept on disk (kept)
//!                                     |  state    ----+    eth_getProof, eth_getCode, checked; calls run here
//!                                     |  blocks   ----+    peg_getBlock, eth_getBlockReceipts, checked by the header's roots
//! ```
//! What cannot be proven is refused, or for commands, which know what it is worth, passed on as the node's word ([`Word`]).

mod answers;
mod blocks;
mod fault;
mod kept;
mod node;
mod params;
mod server;
mod state;
mod upstream;

pub use fault::{OpenError, Unproven};
pub use node::{LightNode, Word};
pub use server::{Running, serve};
