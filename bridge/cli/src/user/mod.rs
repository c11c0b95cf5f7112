//! For users: peg in, peg out, pay, look, take back.

pub mod cancel;
pub mod deposit_record;
pub mod pay;
pub mod peg_in;
pub mod peg_out;
pub mod reclaim;
pub mod registration;
pub mod status;
pub mod wallet;
pub mod withdrawal;
