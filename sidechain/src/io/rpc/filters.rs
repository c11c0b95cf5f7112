//! Polled filters of all clients, bounded in number and in time.
//!
//! A filter is a place in the chain that moves with each poll; what happened since then is read from the store. So it
//! costs nothing between polls.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use alloy_primitives::{B256, U256};
use rand::RngCore;
use tokio::sync::broadcast::Receiver;

use super::error;
use super::log_request::LogRequest;
use super::shares::Hold;
use crate::chain::LogPlace;

/// The subject of a filter, and its place in the chain.
pub enum Kind {
    /// Hashes of blocks from number `next` on.
    Blocks { next: u64 },
    /// Matching logs from place `next` on.
    Logs { filter: Box<LogRequest>, next: LogPlace },
    /// Hashes of transactions that enter the pool.
    Pending(Receiver<B256>),
}

struct Polled {
    kind: Kind,
    /// Its place among its client's.
    _place: Hold,
    last_poll: Instant,
}

/// All clients' filters. How many there are is bounded by what their [`Hold`]s count.
pub struct Filters {
    lifetime: Duration,
    polled: BTreeMap<U256, Polled>,
}

impl Filters {
    pub fn new(lifetime: Duration) -> Self {
        Self { lifetime, polled: BTreeMap::new() }
    }

    /// Drops filters that expired, and so gives back their places.
    pub fn expire(&mut self, now: Instant) {
        self.polled.retain(|_, filter| now.duration_since(filter.last_poll) < self.lifetime);
    }

    /// Adds a filter. Returns an id that cannot be guessed, so that nobody polls another's filter away.
    pub fn install(&mut self, kind: Kind, place: Hold, now: Instant) -> U256 {
        let mut bytes = [0; 16];
        rand::thread_rng().fill_bytes(&mut bytes);
        let id = U256::from_be_slice(&bytes);
        self.polled.insert(id, Polled { kind, _place: place, last_poll: now });
        id
    }

    /// The filter, polled now.
    ///
    /// # Errors
    ///
    /// `-32000` when there is none, or it expired.
    pub fn get(&mut self, id: U256, now: Instant) -> error::Result<&mut Kind> {
        let lifetime = self.lifetime;
        let filter = self.polled.get_mut(&id).filter(|filter| now.duration_since(filter.last_poll) < lifetime);
        let filter = filter.ok_or_else(|| error::server("filter not found"))?;
        filter.last_poll = now;
        Ok(&mut filter.kind)
    }

    /// Forgets a filter; returns whether there was one.
    pub fn remove(&mut self, id: U256) -> bool {
        self.polled.remove(&id).is_some()
    }
}
