//! The server: HTTP and WebSocket on one port, with every method of every namespace.

use std::net::SocketAddr;

use jsonrpsee::RpcModule;
use jsonrpsee::server::middleware::http::ProxyGetRequestLayer;
use jsonrpsee::server::{BatchRequestConfig, PingConfig, Server, ServerConfig, ServerHandle};

use super::{context::Context, cors, eth, net, peg, settings::Settings, txpool};
use crate::io::node_state::NodeState;

/// A running server. Dropping it stops it too.
#[derive(Debug)]
pub struct Running {
    /// Where it listens; the port is known also when 0 was asked for.
    pub address: SocketAddr,
    handle: ServerHandle,
}

impl Running {
    /// Stops the server: running requests are answered, connections close.
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
        .set_id_provider(eth::HexIds)
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
    let handle = server.start(module(Context::new(state, settings)));
    Ok(Running { address, handle })
}

/// All methods. Two of the same name would be a mistake in this crate.
fn module(context: Context) -> RpcModule<Context> {
    let mut module = RpcModule::new(context);
    let registered = eth::register(&mut module)
        .and_then(|()| net::register(&mut module))
        .and_then(|()| txpool::register(&mut module))
        .and_then(|()| peg::register(&mut module));
    registered.expect("every method has a name of its own");
    module
}
