//! Where an invoice stands. Pure.
//!
//! ```text
//!   open ─part─▶ partial ─all of it─▶ paid ─more─▶ overpaid
//!     │  ╲          │  ╲──on Bitcoin, not deep enough──▶ confirming ─▶ paid
//!     ▼             ▼ (expired)
//!   expired      underpaid ─the rest, too late─▶ paidLate
//! ```

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// Nothing came yet.
    Open,
    /// Less than is asked for came.
    Partial,
    /// All of it came, and some of it waits for confirmations on Bitcoin.
    Confirming,
    /// All of it is final, and came in time.
    Paid,
    /// The same, and more: a second payment, or too much.
    Overpaid,
    /// All of it is final, but some came after the expiry: whether the order holds is the merchant's to say.
    PaidLate,
    /// Nothing came in time.
    Expired,
    /// Only a part came in time.
    Underpaid,
}

/// What came for an invoice, as of the last look.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    pub want: U256,
    /// Final.
    pub done: U256,
    /// On its way from Bitcoin.
    pub coming: U256,
    /// Of both, what came before the expiry.
    pub in_time: U256,
    pub is_over: bool,
}

impl Standing {
    pub fn state(self) -> State {
        let Self { want, done, coming, in_time, is_over } = self;
        if done >= want {
            return match in_time >= want {
                true if done > want => State::Overpaid,
                true => State::Paid,
                false => State::PaidLate,
            };
        }
        match (done + coming >= want, is_over, done + coming > U256::ZERO) {
            (true, _, _) => State::Confirming,
            (false, true, true) => State::Underpaid,
            (false, true, false) => State::Expired,
            (false, false, true) => State::Partial,
            (false, false, false) => State::Open,
        }
    }
}

impl State {
    /// Whether waiting for it is over.
    pub fn has_ended(self) -> bool {
        !matches!(self, Self::Open | Self::Partial | Self::Confirming)
    }

    /// As in JSON, tables and names of events.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Partial => "partial",
            Self::Confirming => "confirming",
            Self::Paid => "paid",
            Self::Overpaid => "overpaid",
            Self::PaidLate => "paidLate",
            Self::Expired => "expired",
            Self::Underpaid => "underpaid",
        }
    }
}
