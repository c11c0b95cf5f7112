//! For users: peg in, peg out, pay, look, take back.

pub mod bump;
pub mod cancel;
pub mod deposit_record;
pub mod pay;
pub mod peg_in;
pub mod peg_out;
mod receipt;
pub mod reclaim;
pub mod register;
pub mod registration;
mod spending;
pub mod status;
pub mod wallet;
pub mod withdrawal;
