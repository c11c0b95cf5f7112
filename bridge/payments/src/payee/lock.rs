//! Locks of a channel, by their hashes.

use std::collections::BTreeMap;

use alloy_primitives::B256;

use super::taken::Signature;
use crate::locked::{LockedVoucher, SignedLockedVoucher};
use crate::receipt::Receipt;

/// Locks that are held of one channel. All claims are of one total, so more at once hinder each other.
pub const MAX_LOCKS: usize = 8;

/// A lock that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    pub(super) voucher: LockedVoucher,
    pub(super) signature: Signature,
    pub(super) request: B256,
    pub(super) opened: Option<Opened>,
}

/// The secret of a lock, and the receipt that was given for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    pub preimage: B256,
    pub receipt: Receipt,
}

/// The locks of a channel, by their hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Locks(BTreeMap<B256, Lock>);

impl Lock {
    /// What it is worth with the secret; looked at when it was taken.
    pub(super) fn total(&self) -> u128 {
        self.voucher.cumulative_amount.saturating_add(self.voucher.locked_amount)
    }

    /// An opened one is needed no more when others say as much.
    fn is_needed(&self, best: u128) -> bool {
        self.opened.is_none() || self.total() > best
    }

    pub(super) fn signed(&self) -> SignedLockedVoucher {
        SignedLockedVoucher { voucher: self.voucher, signature: self.signature.clone() }
    }
}

impl Locks {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Lock> {
        self.0.values()
    }

    pub(super) fn get(&self, hash: B256) -> Option<&Lock> {
        self.0.get(&hash)
    }

    /// The opened one that is worth most.
    pub(super) fn best(&self) -> Option<&Lock> {
        self.0.values().filter(|lock| lock.opened.is_some()).max_by_key(|lock| lock.total())
    }

    /// Whether one more can be held beside what is worth `best` without locks, or was settled.
    pub(super) fn has_room(&self, hash: B256, best: u128) -> bool {
        self.0.contains_key(&hash) || self.0.values().filter(|lock| lock.is_needed(best)).count() < MAX_LOCKS
    }

    pub(super) fn forget_overtaken(&mut self, best: u128) {
        self.0.retain(|_, lock| lock.is_needed(best));
    }

    pub(super) fn get_mut(&mut self, hash: B256) -> Option<&mut Lock> {
        self.0.get_mut(&hash)
    }

    pub(super) fn insert(&mut self, lock: Lock) {
        self.0.insert(lock.voucher.sha256_hash, lock);
    }

    pub(super) fn remove(&mut self, hash: B256) -> Option<Lock> {
        self.0.remove(&hash)
    }
}
