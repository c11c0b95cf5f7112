//! Adapters: everything that touches network, disk, clock or randomness.

pub mod clock;
pub mod directory_lock;
pub mod file;
pub mod relayer;
pub mod sidechain;
pub mod store;
pub mod wallet;
