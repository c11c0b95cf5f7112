//! Limits that protect the server from its clients, and its clients from each other.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use super::shares::{Bounds, Rules};
use crate::access::Access;
use crate::chain::LogLimits;
use crate::execution::Budget;
use crate::origins::{Hosts, Origins};

/// Bounds of a server. The defaults suit a node that the public can reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where the server listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Proxies, and clients without limits of their own.
    pub access: Access,
    /// What clients hold and how much work they get.
    pub rules: Rules,
    /// Pages in a browser that may ask.
    pub origins: Origins,
    /// Names by which the server may be asked.
    pub hosts: Hosts,
    /// Whether it serves the page for people, which may ask it then.
    pub page: bool,
    /// Methods and namespaces that this server does not answer, because they are the private one's.
    pub private_methods: BTreeSet<String>,
    /// Whether threads of this server give way to the rest of the node.
    pub give_way: bool,
    /// Threads for reads of one thing, and for everything that takes longer.
    pub short_workers: usize,
    pub long_workers: usize,
    /// Until a request is answered, by an error if need be; waiting for a thread counts.
    pub deadline: Duration,
    /// The same for a batch as a whole.
    pub batch_deadline: Duration,
    /// Until a request that began to arrive is there.
    pub receive_timeout: Duration,
    /// A connection on which nothing happens for so long is closed; a WebSocket shows by pongs that it lives.
    pub idle_timeout: Duration,
    /// How long a client may not read what it asked for.
    pub patience: Duration,
    /// Bytes of a body: twice the largest transaction in hex, with room for a batch of small ones.
    pub max_request_bytes: u32,
    /// Bytes of a message over WebSocket: the largest transaction in hex.
    pub max_message_bytes: u32,
    /// Bytes of an answer, or of all answers of a batch.
    pub max_response_bytes: u32,
    /// Requests in one batch; viem sends up to 1,000.
    pub max_batch: u32,
    /// Requests of one WebSocket that are answered at a time; the next is read when one is answered.
    pub max_requests_per_socket: usize,
    /// Bytes of answers and subscriptions' messages of one WebSocket that its client has not read yet.
    pub max_unread_per_socket: u64,
    /// Gas of a call that is tried.
    pub max_call_gas: u64,
    /// What one answer of a tracer takes: instructions in all, and bytes that are recorded of one transaction.
    pub max_trace: Budget,
    /// Logs in one answer, and what may be read for them.
    pub log_limits: LogLimits,
    /// Whether it signs for the developer accounts, whose keys everybody knows.
    pub developer_accounts: bool,
    /// A polled filter that nobody asks for so long is dropped.
    pub filter_lifetime: Duration,
}

impl Settings {
    /// The defaults, listening at `listen`.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            listen,
            access: Access::default(),
            rules: public_rules(),
            origins: Origins::None,
            hosts: Hosts::default(),
            page: false,
            private_methods: BTreeSet::new(),
            give_way: true,
            short_workers: cores.max(2),
            long_workers: cores.max(2),
            deadline: Duration::from_secs(10),
            batch_deadline: Duration::from_secs(30),
            receive_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(120),
            patience: Duration::from_secs(20),
            max_request_bytes: 4 << 20,
            max_message_bytes: 1_280 << 10,
            max_response_bytes: 32 << 20,
            max_batch: 1_000,
            max_requests_per_socket: 16,
            // Two of the largest answers.
            max_unread_per_socket: 64 << 20,
            max_call_gas: 60_000_000,
            // More steps than a call has gas, so that only whole blocks have more; and as many bytes as an answer.
            max_trace: Budget { steps: 100_000_000, bytes: 32 << 20 },
            log_limits: LogLimits::default(),
            developer_accounts: false,
            filter_lifetime: Duration::from_secs(5 * 60),
        }
    }

    /// For the operator's own relayer: no limits by address, threads of its own that do not give way, and closed to pages
    /// that the operator's browser shows.
    #[must_use]
    pub fn private(listen: SocketAddr) -> Self {
        let public = Self::new(listen);
        Self {
            rules: Rules { by_address: Bounds::NONE, ..public.rules.clone() },
            access: everybody_unlimited(),
            give_way: false,
            short_workers: 2,
            long_workers: 2,
            deadline: Duration::from_secs(30),
            batch_deadline: Duration::from_secs(60),
            ..public
        }
    }
}

fn everybody_unlimited() -> Access {
    let unlimited = ["0.0.0.0/0", "::/0"].map(|all| all.parse().expect("a constant"));
    Access { trusted_proxies: Vec::new(), unlimited: unlimited.to_vec() }
}

fn public_rules() -> Rules {
    Rules {
        by_address: Bounds {
            connections: 64,
            sockets: 32,
            requests: 64,
            incoming_bytes: 16 << 20,
            // Two of the largest answers.
            outgoing_bytes: 64 << 20,
            subscriptions: 256,
            filters: 256,
        },
        in_all: Bounds {
            connections: 512,
            sockets: 256,
            requests: 2_048,
            incoming_bytes: 128 << 20,
            outgoing_bytes: 256 << 20,
            subscriptions: 4_096,
            filters: 4_096,
        },
        work_per_second: Duration::from_secs(1),
        work_burst: Duration::from_secs(20),
        registrations_per_minute: 30,
    }
}
