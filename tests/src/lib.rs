//! What the end-to-end tests stand on: the built binary, and a whole network of real processes.

pub mod binary;
pub mod bitcoind;
pub mod evm;
pub mod lone_node;
pub mod network;
pub mod validators;
