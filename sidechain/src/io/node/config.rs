//! The settings of one node.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use crate::{access::Access, chain::Retention};

/// The settings that an operator chooses for one node. Everything else is in the genesis file, the same for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// Folder of everything the node keeps. One process at a time.
    pub data_dir: PathBuf,
    /// HTTP and WebSocket of the JSON-RPC.
    pub rpc_listen: SocketAddr,
    /// The same for the operator's own relayer, which the public must not reach; `None` for none.
    pub private_rpc_listen: Option<SocketAddr>,
    /// Proxies in front of the JSON-RPC, and clients that its limits of one address do not hold for.
    pub rpc_access: Access,
    /// Where other validators reach this one. Unused by a follower.
    pub p2p_listen: SocketAddr,
    /// Addresses ("host:port") of validators by member name, where they differ from the genesis file's.
    pub peers: BTreeMap<String, String>,
    /// JSON-RPC URL of the node to follow; `None` for validators.
    pub follow: Option<String>,
    /// How long what is old is kept.
    pub retention: Retention,
    /// Memory for what the database reads, in bytes; `None`: as much as it takes by itself.
    pub cache_bytes: Option<usize>,
}

impl NodeConfig {
    /// The usual ports on loopback.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            rpc_listen: SocketAddr::from(([127, 0, 0, 1], 8545)),
            private_rpc_listen: None,
            rpc_access: Access::default(),
            p2p_listen: SocketAddr::from(([127, 0, 0, 1], 30303)),
            peers: BTreeMap::new(),
            follow: None,
            retention: Retention::default(),
            cache_bytes: None,
        }
    }
}
