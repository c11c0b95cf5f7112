//! The relayer.

pub mod store;
