//! Options that several commands have, each with what it stands for.

pub mod account;
pub mod address;
pub mod bitcoin;
pub mod both_chains;
pub mod fee_rate;
pub mod home;
pub mod network;
pub mod number;
pub mod passphrase;
pub mod sidechain;
pub mod spending;
pub mod stop;
