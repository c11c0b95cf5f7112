//! Adapters to sources of Bitcoin's blocks: the part that touches the network.

pub mod rpc;
