//! Everything that touches disk, network, clock or randomness. An adapter imports the pure modules and what all parts of a
//! node share ([`node_state`], [`snapshots`], [`keys`], [`clock`]), never another adapter; only the wiring in [`node`] joins them.

pub mod clock;
pub mod consensus;
pub mod db;
pub mod follower;
mod gossip;
pub mod keys;
pub mod light_node;
pub mod node;
pub mod node_state;
mod registrar;
pub mod rpc;
pub mod snapshots;
pub mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod upstream;

/// Where a node keeps its chain. Named here once, so that the adapters that read it do not choose it.
pub type NodeStore = db::Database;

/// The same at one moment.
pub type FrozenStore = db::Frozen;
