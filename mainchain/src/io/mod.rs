//! What touches the network: adapters to sources of Bitcoin's blocks.

pub mod rpc;
