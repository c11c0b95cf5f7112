//! The JSON-RPC server: HTTP and WebSocket on one port.
//!
//! ```text
//!  wallet, dapp, relayer --HTTP/WS--> namespaces: eth net web3 txpool peg
//!                                        |  eth_subscribe, filters
//!                                        v
//!                        NodeState: Chain (reads, simulation), Mempool, gossip, final blocks
//! ```
//! It speaks Ethereum's JSON as geth does, so that unmodified clients work, and `peg_*` for the bridge. The head is final:
//! `latest`, `safe` and `finalized` are the same block, and `pending` is the head with the pool's nonces.
//!
//! It trusts nobody who connects: bodies, answers, batches, connections, subscriptions, filters and simulated calls at a
//! time are bounded ([`Settings`]). It holds no keys, so it signs nothing.

mod convert;
mod cors;
mod error;
mod eth;
mod filters;
mod method;
mod net;
mod peg;
mod reader;
mod subscriptions;
#[cfg(test)]
mod tests;
mod txpool;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jsonrpsee::RpcModule;
use jsonrpsee::server::middleware::http::ProxyGetRequestLayer;
use jsonrpsee::server::{BatchRequestConfig, PingConfig, Server, ServerConfig, ServerHandle};
use tokio::sync::Semaphore;

use filters::Filters;

use crate::io::node_state::NodeState;

/// Bounds of the server. The defaults suit a node that the public can reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub listen: SocketAddr,
    pub max_connections: u32,
    /// Twice the largest transaction in hex, with room for a batch of small ones.
    pub max_request_bytes: u32,
    pub max_response_bytes: u32,
    /// viem sends batches of up to 1,000.
    pub max_batch: u32,
    pub max_subscriptions_per_connection: u32,
    /// Requests that work at a time; the others wait.
    pub max_workers: usize,
    /// Logs in one answer.
    pub max_logs: usize,
    /// Blocks one `eth_getLogs` may ask for.
    pub max_log_blocks: u64,
    /// Polled filters of all clients.
    pub max_filters: usize,
    /// A filter that is not polled for so long is dropped.
    pub filter_lifetime: Duration,
    /// Deposit registrations a minute, by RPC.
    pub max_registrations_per_minute: u32,
}

impl Settings {
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
            max_logs: 20_000,
            max_log_blocks: 500_000,
            max_filters: 1_000,
            filter_lifetime: Duration::from_secs(5 * 60),
            max_registrations_per_minute: 600,
        }
    }
}

/// A running server. Dropping it stops it too.
#[derive(Debug)]
pub struct Running {
    /// Where it listens; the port is known also when 0 was asked for.
    pub address: SocketAddr,
    handle: ServerHandle,
}

impl Running {
    /// Stops it: running requests are answered, connections close.
    pub async fn stop(&self) {
        // An error says that it is stopped already.
        let _ = self.handle.stop();
        self.handle.clone().stopped().await;
    }
}

/// Starts the server. Must be called within a tokio runtime.
///
/// # Errors
///
/// When the address is taken or not of this machine.
pub async fn serve(state: NodeState, settings: Settings) -> std::io::Result<Running> {
    let config = ServerConfig::builder()
        .max_connections(settings.max_connections)
        .max_request_body_size(settings.max_request_bytes)
        .max_response_body_size(settings.max_response_bytes)
        .max_subscriptions_per_connection(settings.max_subscriptions_per_connection)
        .set_batch_request_config(BatchRequestConfig::Limit(settings.max_batch))
        .set_id_provider(subscriptions::HexIds)
        .enable_ws_ping(PingConfig::default())
        .set_tcp_no_delay(true)
        .build();
    let health = ProxyGetRequestLayer::new([("/health", "web3_clientVersion")]).map_err(std::io::Error::other)?;
    let server = Server::builder()
        .set_config(config)
        .set_http_middleware(tower::ServiceBuilder::new().layer(cors::CorsLayer).layer(health))
        .build(settings.listen)
        .await?;
    let address = server.local_addr()?;
    let handle = server.start(module(Node::new(state, settings)));
    Ok(Running { address, handle })
}

/// What all methods share.
struct Node {
    state: NodeState,
    settings: Settings,
    workers: Arc<Semaphore>,
    filters: Mutex<Filters>,
    registrations: Mutex<peg::Bucket>,
}

impl Node {
    fn new(state: NodeState, settings: Settings) -> Self {
        Self {
            workers: Arc::new(Semaphore::new(settings.max_workers)),
            filters: Mutex::new(Filters::new(settings.max_filters, settings.filter_lifetime)),
            registrations: Mutex::new(peg::Bucket::new(settings.max_registrations_per_minute)),
            state,
            settings,
        }
    }

    fn chain(&self) -> &crate::app::Chain<crate::io::NodeStore> {
        &self.state.chain
    }
}

fn module(node: Node) -> RpcModule<Node> {
    let mut module = RpcModule::new(node);
    let registered = eth::register(&mut module)
        .and_then(|()| filters::register(&mut module))
        .and_then(|()| subscriptions::register(&mut module))
        .and_then(|()| net::register(&mut module))
        .and_then(|()| txpool::register(&mut module))
        .and_then(|()| peg::register(&mut module));
    registered.expect("every method has a name of its own");
    module
}
