//! A client of a sidechain node over JSON-RPC: the only way the relayer and the command line reach the sidechain.
//!
//! [`Client`] asks, [`proven`] checks what it is told, [`Account`] signs, [`Error`] says what to do about a failure: ask again ([`Error::retry`]), or stop.
//! The node's head is final, so an answer is never taken back. Every request has a timeout, every answer a size limit.

mod account;
mod client;
mod error;
mod log_pages;
pub mod proven;
mod revert;
mod transaction;
mod waiting;

pub use account::{Account, BadSecret};
pub use client::{Answers, Awaited, Block, Client, MAX_DEPOSIT_PAGES};
pub use error::Error;
pub use revert::Revert;
pub use transaction::{Call, Fees, MAX_GAS, Pending};
pub use waiting::{Proposal, WaitedFor};
