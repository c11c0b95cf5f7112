//! The first block: what all operators of a network agree on before it starts, and the state it makes.

mod bridge;
mod build;
mod chain_ids;
mod create;
mod error;
mod file;
mod identity;
mod standard;
#[cfg(test)]
mod tests;
mod text;

pub use bridge::{Bridge, MIN_FINAL_BLOCKS, MIN_REFUND_AFTER_S, Tier};
pub use chain_ids::{DEV_CHAIN_ID, check_chain_id};
pub use error::GenesisError;
pub use file::{
    Bitcoin, BlockRules, Federation, Genesis, MAX_GENESIS_AHEAD_S, MAX_MEMBERS, MIN_RECOVERY_DELAY, Member, Recovery,
};
pub use text::{check_address, check_name};
