//! `causeway pay`: micropayments through the contract MicroChannel.
//!
//! ```text
//!   payer: open -> voucher, voucher, ...                            -> close (after the delays: the rest comes back)
//!   payee:         (checks each) -> claim FILE, any time before that -> close (gives the rest back at once)
//! ```
//! Vouchers are lines of JSON, so that they travel by whatever joins payer and payee.

mod channel;
mod claim;
mod close;
pub mod command;
mod event;
mod open;
mod status;
mod voucher;
