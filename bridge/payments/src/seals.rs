//! Signs receipts that became durable together by one signature.
//!
//! ```text
//!   enter(a) enter(b) enter(c)      their records are on the way to the disk
//!   ------------- sync ----------
//!   sealed(b): signs the root over a, b and c        sealed(a), sealed(c): find theirs signed
//! ```
//! Whoever asks first for a receipt that is durable signs for all that are, so there are at most as many signatures as syncs, on whatever core has time, and none where
//! nobody asks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use alloy_primitives::{Address, B256, Bytes};
use secp256k1::SecretKey;

use crate::account_signature::address_of;
use crate::merkle::{MAX_LEAVES, Tree};
use crate::receipt::{Receipt, SignedReceipt, sign_tree};
use crate::typed_data::Domain;

/// Leaves that wait before those are looked for that nobody wants any more.
const LEAST_SWEPT: usize = 256;

/// All receipts that wait for a signature, and the key.
pub(crate) struct Seals {
    domain: Domain,
    secret: SecretKey,
    waiting: Mutex<Waiting>,
    /// Held by who signs.
    signing: Mutex<()>,
    signatures: AtomicU64,
}

/// A receipt's leaf, and its place in a signed tree once there is one.
#[derive(Debug)]
pub(crate) struct Slot {
    leaf: B256,
    place: OnceLock<Place>,
}

#[derive(Debug)]
struct Place {
    tree: Arc<Tree>,
    index: usize,
    signature: Bytes,
}

/// What is held by nobody else is not wanted any more.
struct Waiting {
    slots: Vec<(u64, Arc<Slot>)>,
    sweep_at: usize,
}

impl std::fmt::Debug for Seals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seals")
    }
}

impl Seals {
    pub(crate) fn new(domain: Domain, secret: SecretKey) -> Self {
        let waiting = Mutex::new(Waiting { slots: Vec::new(), sweep_at: LEAST_SWEPT });
        Self { domain, secret, waiting, signing: Mutex::new(()), signatures: AtomicU64::new(0) }
    }

    pub(crate) fn signer(&self) -> Address {
        address_of(&self.secret)
    }

    pub(crate) fn signatures(&self) -> u64 {
        self.signatures.load(Ordering::Relaxed)
    }

    /// A receipt that may be signed once the record with this number is durable. No more wait than there are slots that somebody holds.
    pub(crate) fn enter(&self, receipt: &Receipt, position: u64) -> Arc<Slot> {
        let slot = Arc::new(Slot { leaf: receipt.leaf(), place: OnceLock::new() });
        let mut waiting = lock(&self.waiting);
        if waiting.slots.len() >= waiting.sweep_at {
            waiting.slots.retain(|(_, slot)| is_wanted(slot));
            waiting.sweep_at = LEAST_SWEPT.max(2 * waiting.slots.len());
        }
        waiting.slots.push((position, slot.clone()));
        slot
    }

    /// The signed receipt of a slot, whose record is durable as all up to `durable` are.
    pub(crate) fn sealed(&self, receipt: Receipt, slot: &Slot, durable: u64) -> SignedReceipt {
        if slot.place.get().is_none() {
            let signing = lock(&self.signing);
            while slot.place.get().is_none() {
                self.sign(durable);
            }
            drop(signing);
        }
        let Place { tree, index, signature } = slot.place.get().expect("it was just signed");
        SignedReceipt { receipt, path: tree.path(*index), signature: signature.clone() }
    }

    /// Signs for as many as one tree has room for. The one that is asked for is among those that wait, so after some trees it is signed.
    fn sign(&self, durable: u64) {
        let ready: Vec<Arc<Slot>> = {
            let mut waiting = lock(&self.waiting);
            let mut left = MAX_LEAVES;
            let taken = waiting.slots.extract_if(.., |(position, slot)| {
                let takes = *position <= durable && left > 0;
                left -= usize::from(takes && is_wanted(slot));
                takes
            });
            taken.map(|(_, slot)| slot).filter(is_wanted).collect()
        };
        let Some(tree) = Tree::of(ready.iter().map(|slot| slot.leaf).collect()) else { return };
        let signature = sign_tree(&tree, &self.domain, &self.secret);
        self.signatures.fetch_add(1, Ordering::Relaxed);
        let tree = Arc::new(tree);
        for (index, slot) in ready.into_iter().enumerate() {
            let place = Place { tree: tree.clone(), index, signature: signature.clone() };
            slot.place.set(place).expect("a slot waits once");
        }
    }
}

fn is_wanted(slot: &Arc<Slot>) -> bool {
    Arc::strong_count(slot) > 1
}

/// What is under it stays whole: nothing panics between its changes.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
