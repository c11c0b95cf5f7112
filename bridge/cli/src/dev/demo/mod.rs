//! `causeway demo`: the main job on a local network, shown step by step, every amount checked.
//!
//! A user locks 1 BTC, pays a thousand times off-chain with it, and takes 0.5 BTC back out while a quarter of the
//! federation is dead. The demo is a client like any other: it speaks to `causeway dev`, to nodes, and to bitcoind.

mod amounts;
mod audit;
pub mod command;
mod micropayments;
mod network;
mod outage;
mod paid_page;
mod peg_in;
mod peg_out;
mod story;
mod user;
