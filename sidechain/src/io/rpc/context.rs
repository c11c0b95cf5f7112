//! The state that all methods share.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mainchain::params::Network;

use super::awaited::Awaited;
use super::developer::Developers;
use super::page::Page;
use super::pending::Pending;
use super::repeats::Repeats;
use super::shares::Shares;
use super::workers::Workers;
use super::{filters::Filters, settings::Settings};
use crate::{
    chain::Chain,
    io::{NodeStore, node_state::NodeState},
};

/// The node, and what the server keeps for its clients.
pub struct Context {
    pub state: NodeState,
    pub settings: Settings,
    pub workers: Workers,
    pub shares: Arc<Shares>,
    /// When registrations were gossiped last.
    pub repeats: Repeats,
    /// The block that would come next.
    pub pending: Pending,
    /// The page for people, where it is served.
    pub page: Option<Page>,
    /// Transactions whose senders wait for their receipts.
    pub awaited: Awaited,
    /// Accounts that this server signs for.
    pub developers: Developers,
    filters: Mutex<Filters>,
    /// Requests that a worker's thread works on.
    running: AtomicUsize,
}

impl Context {
    /// # Errors
    ///
    /// When the system gives no threads.
    pub fn new(state: NodeState, settings: Settings) -> std::io::Result<Self> {
        let started = if settings.give_way { super::priority::give_way } else { || () };
        Ok(Self {
            workers: Workers::start(settings.short_workers, settings.long_workers, started)?,
            shares: Shares::counted(settings.rules.clone(), state.counters.clone()),
            repeats: Repeats::default(),
            pending: Pending::default(),
            page: settings.page.then(|| Page::new(state.chain.genesis())),
            awaited: Awaited::default(),
            developers: if settings.developer_accounts { Developers::well_known() } else { Developers::default() },
            filters: Mutex::new(Filters::new(settings.filter_lifetime)),
            running: AtomicUsize::new(0),
            state,
            settings,
        })
    }

    pub fn chain(&self) -> &Chain<NodeStore> {
        &self.state.chain
    }

    /// The Bitcoin network of this chain's bridge.
    pub fn bitcoin_network(&self) -> Network {
        self.chain().genesis().bitcoin.network
    }

    /// Polled filters of all clients.
    pub fn filters(&self) -> MutexGuard<'_, Filters> {
        self.filters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request as running until the answer is dropped.
    pub fn running(&self) -> Running<'_> {
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(&self.running)
    }

    /// Requests that a thread works on.
    #[cfg(test)]
    pub fn running_now(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }
}

/// A request that a thread works on.
pub struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
