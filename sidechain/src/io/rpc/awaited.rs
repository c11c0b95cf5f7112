//! Transactions whose senders wait for their receipts, without a thread: each block is looked through once for all of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_primitives::B256;
use tokio::sync::oneshot;

use crate::chain::Finalized;

/// What whoever waits is told.
#[derive(Clone, Debug)]
pub enum Arrived {
    /// Its block, and its position there.
    In(Arc<Finalized>, usize),
    /// Blocks were missed: it is to be looked for in the store.
    Perhaps,
}

/// By hash, and a number of its own for each that waits. How many wait is the callers' to bound.
#[derive(Debug, Default)]
pub struct Awaited(Mutex<Waiters>);

#[derive(Debug, Default)]
struct Waiters {
    next: u64,
    waiting: BTreeMap<(B256, u64), oneshot::Sender<Arrived>>,
}

/// Somebody waits, until it is dropped.
#[derive(Debug)]
pub struct Wait<'a> {
    awaited: &'a Awaited,
    place: (B256, u64),
    arrival: oneshot::Receiver<Arrived>,
}

impl Awaited {
    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        // Changed by methods that do not panic halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits from now on.
    pub fn wait_for(&self, hash: B256) -> Wait<'_> {
        let (tell, arrival) = oneshot::channel();
        let mut waiters = self.waiters();
        let place = (hash, waiters.next);
        waiters.next += 1;
        waiters.waiting.insert(place, tell);
        drop(waiters);
        Wait { awaited: self, place, arrival }
    }

    /// Tells who waits for what is in a block.
    pub fn on_block(&self, block: &Arc<Finalized>) {
        let mut waiters = self.waiters();
        if waiters.waiting.is_empty() {
            return;
        }
        for (index, transaction) in block.block.transactions.iter().enumerate() {
            let hash = *transaction.tx_hash();
            let places: Vec<_> = waiters.waiting.range((hash, 0)..=(hash, u64::MAX)).map(|(place, _)| *place).collect();
            for tell in places.iter().filter_map(|place| waiters.waiting.remove(place)) {
                // It may be gone.
                let _ = tell.send(Arrived::In(block.clone(), index));
            }
        }
    }

    /// Tells everybody to look: blocks were missed.
    pub fn on_gap(&self) {
        let waiting = std::mem::take(&mut self.waiters().waiting);
        for tell in waiting.into_values() {
            let _ = tell.send(Arrived::Perhaps);
        }
    }

    /// How many wait.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.waiters().waiting.len()
    }
}

impl Wait<'_> {
    /// Its block; or that it must be looked for, after which nobody tells any more.
    pub async fn arrival(&mut self) -> Arrived {
        (&mut self.arrival).await.unwrap_or(Arrived::Perhaps)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.awaited.waiters().waiting.remove(&self.place);
    }
}
