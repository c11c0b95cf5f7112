//! The first block: what all operators of a network agree on before it starts, and the state it makes.

mod build;
mod create;
mod file;
mod standard;
#[cfg(test)]
mod tests;

pub use file::{Bitcoin, BlockRules, Bridge, Federation, Genesis, GenesisError, MAX_MEMBERS, Member, Recovery, Tier};
