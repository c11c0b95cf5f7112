//! `causeway pay`: micropayments through the contract MicroChannel, and the coin as a token.
//!
//! ```text
//!   payer: open -> voucher, voucher, ...                            -> close (after the delays: the rest comes back)
//!   payee:         (checks each) -> claim FILE, any time before that -> close --voucher FILE (gives the rest back at once)
//! ```
//! `watch` claims when a payer starts to close; `list` finds an account's channels on the chain, and with `--seed` the keys that sign their vouchers.
//! `wrap` and `unwrap` turn coins into tokens of the contract WrappedBtc, which other clients pay with, and back.
//!
//! `serve` and `fetch` are the two ends of a paid HTTP request, by the public protocols x402 and MPP (`bridge/paywall`).
//! `invoice`, `invoices` and `collect` are a merchant's checkout, for whole payments.
//!
//! Vouchers are lines of JSON, so that they travel by whatever joins payer and payee.

mod channel;
mod claim;
mod close;
pub mod command;
mod event;
mod fetch;
pub mod invoice;
mod list;
mod open;
mod seed;
mod serve;
mod status;
mod token;
mod unwrap;
mod voucher;
mod watch;
mod wrap;
