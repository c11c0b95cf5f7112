//! `causeway dev`: a whole network on this machine, as one command.
//!
//! ```text
//!   causeway dev ---- bitcoind (regtest), mined by this process
//!       |---- node 1..n      validators           each a child process of its own,
//!       '---- relayer 1..n   the federation       made from the same keys, genesis and configuration files
//!                                                 that separate operators would make
//! ```
//! Nothing is ever minted without bitcoin behind it: the developer accounts are funded by real peg-ins at the first start.

pub mod command;
pub mod control;
mod fund;
mod layout;
mod miner;
mod network;
mod options;
mod process;
mod progress;
mod service;
pub mod setup;
