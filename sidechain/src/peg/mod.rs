//! The bridge as this chain has it: reading its contracts at a final block, and checking what deposit addresses commit to.

mod contracts;
mod events;
mod registration;

pub use contracts::{Balances, PegContracts};
pub use events::{DepositPage, MAX_DEPOSITS, MAX_VERSIONS, bound, bound_in, deposits_to, paid_key, ties};
pub use registration::{RegisterError, check_registration, is_done, payment, proven, registration};
