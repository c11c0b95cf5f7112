//! Options that several commands have, each with what it stands for.

pub mod account;
pub mod bitcoin;
pub mod home;
pub mod service;
pub mod sidechain;
