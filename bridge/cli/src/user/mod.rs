//! For users: peg in, peg out, pay, look, take back.

mod alone;
mod bridge_waits;
pub mod bump;
pub mod cancel;
pub mod charge;
pub mod claim;
mod deposit;
pub mod deposit_record;
pub mod deposit_waits;
mod fee_steps;
mod mempool;
mod outlook;
pub mod own_wallet;
pub mod pay;
pub mod peg_in;
pub mod peg_out;
pub mod raise;
pub mod receipt;
pub mod reclaim;
pub mod refund;
pub mod register;
pub mod registration;
pub mod spending;
pub mod status;
pub mod wallet;
pub mod withdrawal;
mod withdrawal_waits;
