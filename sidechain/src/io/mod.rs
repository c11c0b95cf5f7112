//! Everything that touches disk, network, clock or randomness. An adapter imports the pure modules, never another
//! adapter; only [`node`] joins them.

pub mod clock;
pub mod consensus;
pub mod db;
pub mod follower;
pub mod keys;
pub mod node;
pub mod rpc;

/// Where a node keeps its chain. Named here once, so that the adapters that read it do not choose it.
pub type NodeStore = db::Database;
