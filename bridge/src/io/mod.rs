//! Adapters: everything that touches network, disk, clock or randomness.

pub mod clock;
pub mod config;
pub mod relayer;
pub mod sidechain;
pub mod store;
pub mod wallet;
