//! Everything that touches disk, network, clock or randomness. An adapter imports the pure modules, never another
//! adapter; only [`node`] joins them.

pub mod consensus;
pub mod db;
pub mod follower;
pub mod keys;
pub mod node;
pub mod rpc;
