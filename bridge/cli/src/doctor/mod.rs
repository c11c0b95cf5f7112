//! `causeway doctor`: what is wrong with this machine's part of a network, and what to do about it.
//!
//! ```text
//! which files are here            whose: a user's home, node.toml, relayer.toml            (command, whose)
//! each of them is looked at       bitcoind, sidechain, peers, ports, clock, disk, files    (one module a subject)
//! each finding is one line        wrong, doubtful or fine; what was seen, what to do       (check)
//! ```
//! Nothing is changed, no passphrase is asked for, and what a node says is only compared.

mod bitcoind;
mod check;
pub mod command;
mod files;
mod machine;
mod sidechain;
mod whose;
