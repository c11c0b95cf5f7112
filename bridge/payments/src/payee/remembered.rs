//! What was taken last of a channel, for requests that come again.

use std::collections::{BTreeMap, VecDeque};

use alloy_primitives::B256;

use super::taken::Taken;

/// Kept of each channel however many there are: the 64 in flight that are usual.
pub const LEAST_REMEMBERED: usize = 64;

/// Kept of one channel while there is room: some seconds of the greatest load on one, which is how long a payer waits before it asks again.
pub const MOST_REMEMBERED: usize = 4_096;

/// The room of all channels beyond [`LEAST_REMEMBERED`] of each: 100 MB.
pub const ROOM: usize = 262_144;

/// Taken vouchers, found by total and by request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    by_total: BTreeMap<u128, Taken>,
    by_request: BTreeMap<B256, u128>,
    /// Totals, as they came.
    order: VecDeque<u128>,
}

impl Remembered {
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Taken> {
        self.order.iter().filter_map(|total| self.by_total.get(total))
    }

    #[must_use]
    pub fn by_total(&self, total: u128) -> Option<&Taken> {
        self.by_total.get(&total)
    }

    #[must_use]
    pub fn by_request(&self, request: B256) -> Option<&Taken> {
        self.by_total(*self.by_request.get(&request)?)
    }

    /// Adds one, whose total is new, and forgets the oldest beyond `most`.
    pub fn add(&mut self, taken: Taken, most: usize) {
        let (total, request) = (taken.receipt.cumulative_amount, taken.receipt.request);
        if self.by_total.insert(total, taken).is_some() {
            return;
        }
        // Zero stands for requests without a key.
        if !request.is_zero() {
            self.by_request.insert(request, total);
        }
        self.order.push_back(total);
        while self.order.len() > most.max(1) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(total) = self.order.pop_front() else { return };
        let Some(taken) = self.by_total.remove(&total) else { return };
        if self.by_request.get(&taken.receipt.request) == Some(&total) {
            self.by_request.remove(&taken.receipt.request);
        }
    }
}
