//! `causeway genesis`: the file that all operators start from, made of their public parts, shown in words, and compared with what an
//! operator knows by itself.
//!
//! Whoever collects the public parts could write what it likes into the file. So every field is shown, every operator's part is signed,
//! and each operator compares the file with its own part and its own bitcoind (`verify`) before it starts.

mod agreement;
mod checkpoint;
pub mod command;
mod rules;
mod show;
mod verify;

pub use agreement::{Agreement, RECOVERY_DELAY, collect, default_threshold, usual_rules};
