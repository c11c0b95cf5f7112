//! `causeway pay invoice`, `invoices`, `collect`: what a merchant asks for, sees coming, and takes.
//!
//! ```text
//!   till (public half of keys derived from the merchant's) ──reference──▶ an account and a Bitcoin address of the invoice's own
//!   record on disk ─▶ links shown ─▶ looked at ─▶ what was seen is on disk ─▶ told: line, JSON, webhook
//!                                      ▲                                  │
//!                                      └────────── every second ──────────┘   collect: all of it to the merchant
//! ```
//! Whatever arrives at the account or the address was paid for this invoice, and nothing else was: there is no matching by amount,
//! sender or note that a stranger could meet (docs/adr/0038). What an account has is proven by the validators' signatures.
//!
//! [`record`] and [`state`] decide, from facts that [`look`] brings; [`store`] keeps.

mod checkout;
pub mod collect;
pub mod command;
mod csv;
mod link;
pub mod list;
mod look;
mod record;
mod state;
mod store;
mod sweep;
mod text;
pub mod till;
mod view;
mod webhook;

pub use store::reclaim_key;
