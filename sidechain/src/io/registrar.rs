//! Registrations on their way to disk: those that arrive while one write is under way share the next.
//!
//! ```text
//!  user ----> checked ----> waiting --one synced write for all--> store --> answered
//!  gossip --> quota of the peer --> checked --> waiting (written with the next, at most a fraction of a second later)
//!  final block: deposits in the ledger ------^
//! ```
//! All that waits is bounded; what does not fit is refused, and a user's retry brings it back. What comes with a payment has a queue of its
//! own, which others cannot fill and which goes first: each place in it costs a payment in Bitcoin, for one that is brought again
//! shares the place that it has.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use alloy_primitives::B256;
use tokio::sync::oneshot;

use crate::{
    chain::{Arrival, Chain, Kept, MAX_REGISTRATIONS},
    panics::contain,
    peg::is_done,
    rate::RateLimit,
    state::store::{Store, StoreError},
};

/// Registrations that wait for a write: about 300 bytes each.
const MAX_WAITING: usize = 8_192;

/// The same for those with a payment. Whoever wants to fill it makes as many payments, of the smallest deposit each, between two writes.
const MAX_PAID_WAITING: usize = 65_536;

/// Registrations in one write.
const MAX_BATCH: usize = 1_024;

/// Registrations that a peer may bring in a minute: those of a busy validator's users, and at once those that it sends to one that
/// was away.
const PEER_PER_MINUTE: u64 = 6_000;
const PEER_BURST: u64 = 8_192;

/// The same for registrations with a proof, which are dearer to check and not counted among the others.
const PEER_PROOFS_PER_MINUTE: u64 = 600;

/// Peers that are remembered: more than there are validators.
const MAX_PEERS: usize = 1_024;

/// What waits, and how much each peer has brought.
#[derive(Debug, Default)]
pub struct Registrar {
    queue: Mutex<Queue>,
    peers: Mutex<BTreeMap<Vec<u8>, Quota>>,
}

#[derive(Debug, Default)]
struct Queue {
    plain: VecDeque<Waiting>,
    /// By address and payment.
    paid: BTreeMap<(B256, B256, u32), Waiting>,
    writing: bool,
}

#[derive(Debug)]
struct Waiting {
    arrival: Arrival,
    /// Those who wait for it.
    answers: Vec<Answer>,
}

type Answer = oneshot::Sender<Result<Kept, StoreError>>;

#[derive(Debug)]
struct Quota {
    plain: RateLimit,
    proven: RateLimit,
}

/// So many wait for the disk that no more are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_WAITING} deposit registrations wait for this node's disk; try again in a second")]
pub struct Full;

impl Registrar {
    /// Queues what arrived; the answer comes when it is on disk. Call [`Self::write`] afterwards.
    ///
    /// # Errors
    ///
    /// `Full`.
    pub fn enqueue(&self, arrival: Arrival) -> Result<oneshot::Receiver<Result<Kept, StoreError>>, Full> {
        let (answer, answered) = oneshot::channel();
        self.queue().push(Waiting { arrival, answers: vec![answer] })?;
        Ok(answered)
    }

    /// Queues what nobody waits for.
    ///
    /// # Errors
    ///
    /// `Full`.
    pub fn enqueue_unanswered(&self, arrival: Arrival) -> Result<(), Full> {
        self.queue().push(Waiting { arrival, answers: Vec::new() })
    }

    /// Writes what waits, in one batch or several, unless that happens on another thread already. Blocks.
    pub fn write<S: Store>(&self, chain: &Chain<S>, now_ms: u64) {
        loop {
            // A statement of its own: the lock is free while the batch is written.
            let Some(batch) = self.queue().begin() else { return };
            let arrivals: Vec<_> = batch.iter().map(|waiting| waiting.arrival.clone()).collect();
            let done = |payment: &_| is_done(chain, payment);
            let kept = contain(|| chain.register_deposits(&arrivals, now_ms, MAX_REGISTRATIONS, &done));
            let kept =
                kept.unwrap_or_else(|panic| Err(StoreError::Bug { action: "keeping registrations", detail: panic }));
            if let Err(error) = &kept {
                tracing::error!(%error, "cannot keep deposit registrations");
            }
            self.queue().writing = false;
            for (index, waiting) in batch.into_iter().enumerate() {
                let kept = kept.as_ref().map(|kept| kept[index]).map_err(Clone::clone);
                for answer in waiting.answers {
                    // Whoever asked may be gone.
                    let _ = answer.send(kept.clone());
                }
            }
        }
    }

    /// The same when enough waits for a whole batch. What is less waits for [`Self::write`], which the server calls a few times
    /// a second.
    pub fn write_full<S: Store>(&self, chain: &Chain<S>, now_ms: u64) {
        if self.waiting() >= MAX_BATCH {
            self.write(chain, now_ms);
        }
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.queue().len()
    }

    /// Whether a peer may bring one more registration.
    pub fn may_bring(&self, peer: &[u8], proven: bool, now_ms: u64) -> bool {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.len() >= MAX_PEERS && !peers.contains_key(peer) {
            return false;
        }
        let quota = peers.entry(peer.to_vec()).or_insert_with(|| Quota {
            plain: RateLimit::with_burst(PEER_PER_MINUTE, PEER_BURST),
            proven: RateLimit::with_burst(PEER_PROOFS_PER_MINUTE, PEER_PROOFS_PER_MINUTE),
        });
        if proven { quota.proven.take(now_ms) } else { quota.plain.take(now_ms) }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn push(&mut self, mut waiting: Waiting) -> Result<(), Full> {
        let Some(payment) = &waiting.arrival.payment else {
            if self.plain.len() >= MAX_WAITING {
                return Err(Full);
            }
            self.plain.push_back(waiting);
            return Ok(());
        };
        let place = (waiting.arrival.output_key, payment.txid, payment.vout);
        if let Some(same) = self.paid.get_mut(&place) {
            // The ledger knows only the payment; whoever registers brings the terms.
            same.arrival.registration = same.arrival.registration.take().or(waiting.arrival.registration);
            same.answers.append(&mut waiting.answers);
            return Ok(());
        }
        if self.paid.len() >= MAX_PAID_WAITING {
            return Err(Full);
        }
        self.paid.insert(place, waiting);
        Ok(())
    }

    fn len(&self) -> usize {
        self.plain.len() + self.paid.len()
    }

    /// Takes a batch, if nobody else writes one.
    fn begin(&mut self) -> Option<Vec<Waiting>> {
        if self.writing || self.len() == 0 {
            return None;
        }
        self.writing = true;
        let mut batch = Vec::new();
        while batch.len() < MAX_BATCH
            && let Some(next) = self.next()
        {
            batch.push(next);
        }
        Some(batch)
    }

    /// What is written next: what was paid goes first, and is rare.
    fn next(&mut self) -> Option<Waiting> {
        self.paid.pop_first().map(|(_, waiting)| waiting).or_else(|| self.plain.pop_front())
    }
}

#[cfg(test)]
mod full;
#[cfg(test)]
mod tests;
