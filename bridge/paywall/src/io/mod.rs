//! Network and disk.
//!
//! ```text
//!   serve      the paywall: joins the others                fetch      a payer that pays for what it fetches
//!   listener   connections of clients, within bounds        upstream   the server behind, or any other
//!   receive    takes amounts of the payers' choice
//!   chain      checks, sends, waits                         journal    the book's records, durable
//!   http       bodies and headers that they have in common
//! ```

pub mod chain;
pub mod fetch;
pub mod http;
mod journal;
mod listener;
pub mod receive;
pub mod serve;
mod upstream;
