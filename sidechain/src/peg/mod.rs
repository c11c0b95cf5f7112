//! The bridge as this chain has it: reading its contracts at a final block, and checking what deposit addresses commit to.

mod contracts;
mod events;
mod info;
mod ledger;
mod quote;
mod registration;
mod vault;

pub use contracts::{Balances, PegContracts, States, read};
pub use events::{
    DepositPage, DepositsOf, MAX_DEPOSITS, MAX_VERSIONS, Newest, WithdrawalsOf, asked_in, bound, bound_in, deposits_to,
    newest_deposits, newest_withdrawals, paid_key, spenders, ties, whole,
};
pub use info::info;
pub use ledger::{Deposits, output_status, some, txid, vault_status, withdrawal};
pub use quote::{USUAL_LENGTH, at_rate, check_length, check_rate};
pub use registration::{MAX_FEE_SAT, RegisterError, check_registration, is_done, payment, proven, registration};
pub use vault::{BoundAs, is_content, is_spent_by_another, looked_from, outputs, unsettled, vault_transaction};
