//! MPP's intent `session` on the method `evm` (draft-evm-session-00): a channel is paid into once, and requests draw on it by vouchers, or by ticks, which is ours.
//!
//! ```text
//!   offer       what a challenge says                     credential   what comes back: its steps
//!   funding     money for a channel, signed by its payer  receipt      what is answered
//!   refused     why not                               places       who is given a metered answer
//! ```
//! Balances are the crate `payments`' ([`payments::payee::sessions`]).

pub mod credential;
pub mod funding;
pub mod offer;
pub mod places;
pub mod receipt;
pub mod refused;
