//! The settings of one node.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::PathBuf,
};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::{
    access::Access,
    chain::Retention,
    io::snapshots::Snapshots,
    origins::{Hosts, Origins},
};

/// Asks the operator's bitcoind for the time of Bitcoin's best block, in Unix seconds; `None` when it does not answer, or does not
/// have the newest block itself.
pub type AskBitcoin = Box<dyn Fn() -> BoxFuture<'static, Option<u64>> + Send + Sync>;

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
    /// Pages in a browser that may ask the JSON-RPC.
    pub rpc_origins: Origins,
    /// Names by which the JSON-RPC may be asked.
    pub rpc_hosts: Hosts,
    /// Whether the JSON-RPC serves the page for people.
    pub page: bool,
    /// Metrics and verdicts for the operator's monitoring; `None` for none.
    pub metrics_listen: Option<SocketAddr>,
    /// What the JSON-RPC answers at `private_rpc_listen` only.
    pub rpc_private_methods: BTreeSet<String>,
    /// Whether the JSON-RPC signs for the developer accounts, whose keys everybody knows. On regtest only.
    pub developer_accounts: bool,
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
    /// How it catches up, and what it offers to others that do.
    pub sync: SyncConfig,
    /// The operator knows that this validator's keys never voted, on any machine. It need not wait to vote then. Unused by a
    /// follower.
    pub never_voted: bool,
}

/// How a node catches up when it is new or was away, and what it offers to others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SyncConfig {
    /// None: an archive executes every block, for a copy brings no history; other nodes copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<SyncMode>,
    /// JSON-RPC URLs of nodes to copy a snapshot from. A follower asks the node that it follows, too.
    pub from: Vec<String>,
    /// A snapshot is copied when its block is more than so many ahead; fewer are fetched and executed.
    pub behind: u64,
    /// Blocks between two snapshots that this node keeps for others; 0: none. Nodes with the same number have snapshots of the
    /// same blocks, so that one can take over from another.
    pub offer_every: u64,
}

/// Where a node that is far behind begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncMode {
    /// With the state after a recent block, which the validators certified.
    Snapshot,
    /// With its own last block, or the genesis block: every block is executed here.
    Full,
}

impl SyncConfig {
    /// Blocks that a node fetches and executes rather than copying a state: some minutes' work.
    pub const BEHIND: u64 = 10_000;
}

impl Default for SyncConfig {
    fn default() -> Self {
        Self { mode: None, from: Vec::new(), behind: Self::BEHIND, offer_every: Snapshots::EVERY }
    }
}

impl NodeConfig {
    /// The usual ports on loopback.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            rpc_listen: SocketAddr::from(([127, 0, 0, 1], 8545)),
            private_rpc_listen: None,
            metrics_listen: None,
            rpc_access: Access::default(),
            rpc_origins: Origins::default(),
            rpc_hosts: Hosts::default(),
            page: false,
            rpc_private_methods: BTreeSet::new(),
            developer_accounts: false,
            p2p_listen: SocketAddr::from(([127, 0, 0, 1], 30303)),
            peers: BTreeMap::new(),
            follow: None,
            retention: Retention::default(),
            cache_bytes: None,
            sync: SyncConfig::default(),
            never_voted: false,
        }
    }

    /// Whether the state of all blocks is kept.
    pub(super) const fn is_archive(&self) -> bool {
        self.retention.state_blocks.is_none()
    }

    /// Where it begins when it is far behind.
    pub(super) fn sync_mode(&self) -> SyncMode {
        let usual = if self.is_archive() { SyncMode::Full } else { SyncMode::Snapshot };
        self.sync.mode.unwrap_or(usual)
    }

    /// Where the engine has its files.
    pub(super) fn engine_dir(&self) -> PathBuf {
        self.data_dir.join("consensus")
    }

    /// What waits in the pool, for the next start.
    pub(super) fn pool_file(&self) -> PathBuf {
        self.data_dir.join("pool.journal")
    }

    /// Where a snapshot may be copied from.
    pub(super) fn sources(&self) -> Vec<String> {
        let mut urls: Vec<_> = self.sync.from.iter().chain(&self.follow).cloned().collect();
        let mut seen = std::collections::BTreeSet::new();
        urls.retain(|url| seen.insert(url.clone()));
        urls
    }
}
