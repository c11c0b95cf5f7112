//! What a payer promised.

use alloy_primitives::B256;

use crate::receipt::SignedReceipt;
use crate::stream::StreamTerms;

/// Longest name of an endpoint.
pub const MAX_ENDPOINT_BYTES: usize = 255;

/// A request, and what is promised for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    pub channel: B256,
    /// keccak256 of its Idempotency-Key.
    pub request: B256,
    /// All that is promised through the channel, this included.
    pub total: u128,
    pub price: u128,
    pub at_unix_s: u64,
    pub endpoint: String,
}

/// Where a channel stands, beside its unanswered requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The largest total that was signed, or is about to be.
    pub signed: u128,
    /// Promised for requests that no answer is waited for any more.
    pub given_up: u128,
    /// The one with the largest sum.
    pub receipt: Option<SignedReceipt>,
}

/// A stream that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Streaming {
    pub terms: StreamTerms,
    /// The last tick that was promised.
    pub given: u32,
    pub endpoint: String,
}

impl Streaming {
    /// All that is paid with the last tick.
    #[must_use]
    pub fn total(&self) -> u128 {
        self.terms.total(self.given).expect("the deposit bounds it")
    }

    /// Ticks that can still be promised.
    #[must_use]
    pub fn left(&self) -> u32 {
        self.terms.ticks.saturating_sub(self.given)
    }
}
