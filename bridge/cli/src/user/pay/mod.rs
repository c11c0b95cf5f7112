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
//! `stream` pays for a streamed answer as it comes, `send` and `receive` are the two ends of a payment of the payer's choice, over a channel.
//! `invoice`, `invoices` and `collect` are a merchant's checkout, for whole payments.
//!
//! Vouchers are lines of JSON, so that they travel by whatever joins payer and payee.

mod batch;
mod by_session;
mod channel;
mod claim;
mod close;
pub mod command;
mod event;
mod facilitator;
mod fetch;
pub mod invoice;
mod list;
mod open;
mod promises;
mod receive;
mod seed;
mod send;
mod serve;
mod state;
mod status;
mod stream;
mod token;
mod unwrap;
mod voucher;
mod voucher_file;
mod watch;
mod wrap;
