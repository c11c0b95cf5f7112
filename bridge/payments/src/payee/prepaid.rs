//! What of one channel is paid ahead: beside its totals, what is reserved, public, and known to be paid.

use std::collections::VecDeque;

use alloy_primitives::B256;

/// Requests of one channel that are known to be paid, for those who ask again by the same key: twice the 64 in flight that are usual.
pub const MOST_PAID: usize = 128;

/// Totals whose vouchers everybody may have read, as they were brought to the chain, whether or not they arrived.
///
/// A claim publishes one voucher, and none of those with smaller totals that were on their way when it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Public {
    /// The largest.
    pub last: u128,
    /// All up to this one.
    pub up_to: u128,
}

impl Public {
    pub(super) fn learn(&mut self, total: u128) {
        if total > self.last {
            *self = Self { last: total, up_to: self.last };
        }
    }

    /// With what the chain says was settled: also by others, and by more than one voucher.
    pub(super) fn with_settled(self, settled: u128) -> Self {
        if settled == self.last {
            return self;
        }
        Self { last: self.last.max(settled), up_to: self.up_to.max(settled) }
    }

    /// Whether a voucher of this total proves nothing.
    #[must_use]
    pub fn has(&self, total: u128) -> bool {
        total <= self.up_to || total == self.last
    }
}

/// What a session knows of a channel beside all else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepaid {
    /// Of what is available, what requests that are being answered may cost. Gone with the process, as they are.
    pub(super) reserved: u128,
    pub(super) public: Public,
    /// The payee closes the channel: nothing is given for it any more.
    pub(super) is_ending: bool,
    /// Names of requests that were paid, the oldest first.
    paid: VecDeque<B256>,
}

impl Prepaid {
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
