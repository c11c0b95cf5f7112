//! Adapters: everything that touches network, disk, clock or randomness.

pub mod file;
pub mod relayer;
pub mod sidechain;
pub mod wallet;
