//! Amounts as people write them.

pub use bridge::amount::{parse, show};
