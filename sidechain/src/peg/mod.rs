//! The bridge as this chain has it: reading its contracts at a final block, and checking what deposit addresses commit to.

mod contracts;
mod events;
mod registration;

pub use contracts::{Balances, PegContracts};
pub use events::{DepositPage, MAX_DEPOSITS, deposits_to, proposal};
pub use registration::{RegisterError, check_registration, is_minted, payment, registration, swept};
