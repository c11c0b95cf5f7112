//! What of one channel is paid ahead: beside its totals, what is reserved, public, and known to be paid.

use std::collections::VecDeque;

use alloy_primitives::B256;

/// Requests of one channel that are known to be paid, for those who ask again by the same key: twice the 64 in flight that are usual.
pub const MOST_PAID: usize = 128;

/// What a session knows of a channel beside all else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepaid {
    /// Of what is available, what requests that are being answered may cost. Gone with the process, as they are.
    pub(super) reserved: u128,
    /// The largest total of all that was ever brought to the chain, whether or not it arrived.
    pub(super) published: u128,
    /// The payee closes the channel: nothing is given for it any more.
    pub(super) is_ending: bool,
    /// Names of requests that were paid, the oldest first.
    paid: VecDeque<B256>,
}

impl Prepaid {
    pub(super) fn publish(&mut self, total: u128) {
        self.published = self.published.max(total);
    }

    pub(super) fn is_paid(&self, request: B256) -> bool {
        self.paid.contains(&request)
    }

    pub(super) fn paid(&self) -> impl Iterator<Item = B256> + '_ {
        self.paid.iter().copied()
    }

    pub(super) fn add_paid(&mut self, request: B256) {
        if request.is_zero() || self.paid.contains(&request) {
            return;
        }
        if self.paid.len() == MOST_PAID {
            self.paid.pop_front();
        }
        self.paid.push_back(request);
    }
}
