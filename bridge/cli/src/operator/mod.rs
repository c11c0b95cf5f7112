//! For operators of the federation: keys, the genesis file, node and relayer, backups.

pub mod backup;
mod bitcoin_time;
pub mod genesis;
pub mod keys;
pub mod lift;
pub mod node;
pub mod own_keys;
pub mod pause;
pub mod public_part;
pub mod recovery_key;
pub mod relayer;
