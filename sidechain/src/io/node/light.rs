//! A light node as a service: it keeps the newest final header, and answers wallets of its machine.

use std::net::SocketAddr;
use std::path::PathBuf;

use files::DirectoryLock;
use tracing::{info, warn};

use super::error::NodeError;
use super::services::log_end;
use crate::genesis::Genesis;
use crate::io::light_node::{LightNode, Word, serve};
use crate::origins::Origins;

/// The settings of a light node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LightConfig {
    /// Folder of what it keeps. One process at a time.
    pub data_dir: PathBuf,
    /// HTTP of the JSON-RPC: a loopback address.
    pub rpc_listen: SocketAddr,
    /// Pages in a browser that may ask the JSON-RPC.
    pub rpc_origins: Origins,
    /// JSON-RPC of the nodes that it asks, none of which is believed.
    pub nodes: Vec<String>,
}

/// Runs a light node until `shutdown` resolves. Blocks the calling thread, which must not be one of an async runtime.
///
/// # Errors
///
/// `Lock`, `Light`, `Listen`, `Runtime`. That no node answers is waited out.
pub fn run_light(
    config: LightConfig,
    genesis: Genesis,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), NodeError> {
    let _lock = DirectoryLock::acquire(&config.data_dir)?;
    let node = LightNode::open(genesis, &config.nodes, Some(config.data_dir), Word::Refused)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(NodeError::Runtime)?;
    runtime.block_on(async move {
        let address = config.rpc_listen;
        let serving = serve(node.clone(), address, config.rpc_origins).await;
        let rpc = serving.map_err(|error| NodeError::Listen { address, error })?;
        match node.head().await {
            Ok(head) => info!(head = head.header.number, rpc = %rpc.address, nodes = node.urls(), "light node started"),
            Err(error) => {
                warn!(%error, rpc = %rpc.address, nodes = node.urls(), "light node started, and nothing is proven yet")
            }
        }
        shutdown.await;
        log_end(&Ok(()));
        Ok(())
    })
}
