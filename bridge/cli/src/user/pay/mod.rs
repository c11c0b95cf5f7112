//! `causeway pay`: micropayments through the contract MicroChannel, and the coin as a token.
//!
//! ```text
//!   payer: open -> voucher, voucher, ...                            -> close (after the delays: the rest comes back)
//!   payee:         (checks each) -> claim FILE, any time before that -> close --voucher FILE (gives the rest back at once)
//! ```
//! `wrap` and `unwrap` turn coins into tokens of the contract WrappedBtc, which other clients pay with, and back.
//!
//! `invoice`, `invoices` and `collect` are a merchant's checkout, for whole payments.
//!
//! Vouchers are lines of JSON, so that they travel by whatever joins payer and payee.

mod channel;
mod claim;
mod close;
pub mod command;
mod event;
pub mod invoice;
mod open;
mod status;
mod unwrap;
mod voucher;
mod wrap;
