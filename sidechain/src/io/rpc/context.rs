//! The state that all methods share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mainchain::params::Network;
use tokio::sync::Semaphore;

use super::{filters::Filters, rate_limit::RateLimit, settings::Settings};
use crate::{
    chain::Chain,
    io::{NodeStore, node_state::NodeState},
};

/// The node, and what the server keeps for its clients.
pub struct Context {
    pub state: NodeState,
    pub settings: Settings,
    /// Permits to read or execute.
    pub workers: Arc<Semaphore>,
    filters: Mutex<Filters>,
    /// Of deposit registrations.
    registrations: Mutex<RateLimit>,
}

impl Context {
    pub fn new(state: NodeState, settings: Settings) -> Self {
        Self {
            workers: Arc::new(Semaphore::new(settings.max_workers)),
            filters: Mutex::new(Filters::new(settings.max_filters, settings.filter_lifetime)),
            registrations: Mutex::new(RateLimit::new(settings.max_registrations_per_minute)),
            state,
            settings,
        }
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

    pub fn registrations(&self) -> MutexGuard<'_, RateLimit> {
        self.registrations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
