//! Limits that protect the server from its clients.

use std::{net::SocketAddr, time::Duration};

use crate::chain::LogLimits;

/// Bounds of the server. The defaults suit a node that the public can reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the server listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// HTTP and WebSocket together.
    pub max_connections: u32,
    /// Bytes of a body: twice the largest transaction in hex, with room for a batch of small ones.
    pub max_request_bytes: u32,
    /// Bytes of an answer.
    pub max_response_bytes: u32,
    /// Requests in one batch; viem sends up to 1,000.
    pub max_batch: u32,
    /// `eth_subscribe` over one WebSocket.
    pub max_subscriptions_per_connection: u32,
    /// Requests that work at a time; the others wait.
    pub max_workers: usize,
    /// Logs in one answer, and what may be read for them.
    pub log_limits: LogLimits,
    /// Polled filters of all clients.
    pub max_filters: usize,
    /// A polled filter that nobody asks for so long is dropped.
    pub filter_lifetime: Duration,
    /// Deposit registrations a minute, by RPC.
    pub max_registrations_per_minute: u32,
}

impl Settings {
    /// The defaults, listening at `listen`.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            max_connections: 512,
            max_request_bytes: 4 << 20,
            max_response_bytes: 32 << 20,
            max_batch: 1_000,
            max_subscriptions_per_connection: 128,
            max_workers: 2 * std::thread::available_parallelism().map_or(2, usize::from),
            log_limits: LogLimits::default(),
            max_filters: 1_000,
            filter_lifetime: Duration::from_secs(5 * 60),
            max_registrations_per_minute: 600,
        }
    }
}
