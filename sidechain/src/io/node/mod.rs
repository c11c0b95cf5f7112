//! The wiring of a node: the only place where disk, engine, network and RPC know of each other.
//!
//! ```text
//!                         +--> Database <- Chain ----+
//! users -> RPC -> Handles +                          +-> engine <-> other validators     (a validator)
//!                         +--> Mempool <-> gossip ---+
//!                         +--> upstream <--- blocks and their certificates by RPC         (a follower)
//! ```
//! A validator runs on the engine's runtime, which is tokio underneath, so that its clock and its disk are the engine's too.

mod gossip;
#[cfg(test)]
mod tests;
mod validator;

use std::{
    any::Any,
    collections::BTreeMap,
    future::Future,
    io::ErrorKind,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use commonware_runtime::{Runner as _, Spawner as _, Supervisor as _, tokio as engine_runtime};
use tokio::sync::mpsc;
use tracing::{error, info};

use super::{
    consensus::{self, ConsensusError, Pacing, Setup, network, network::NetworkError},
    db::Database,
    follower::{self, FollowError},
    keys::ValidatorKeys,
    rpc::{self, Handles, Upstream},
};
use crate::{
    app::{Chain, OpenError},
    finality::{self, FinalityError},
    genesis::Genesis,
    mempool::{Limits, Mempool},
};

/// Written to see whether the disk is full: more than a file system gives to a file for nothing.
const PROBE_BYTES: usize = 1 << 20;

/// Time that tasks get to end by themselves.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

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
    /// A node is a validator, with keys, or follows another, without.
    #[error("a node needs either validator keys or the address of a node to follow")]
    NoRole,
    /// A peer override names nobody.
    #[error("there is no validator named {0:?} in the genesis file")]
    UnknownPeer(String),
    /// The genesis file has a key of the wrong length, or one that is not a point.
    #[error("the keys in the genesis file: {0}")]
    Keys(#[from] FinalityError),
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
    /// The followed node.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// Nothing is lost: free some space and start again.
    #[error("the disk of {} is full: {reason}; what is final is kept: free some space and start the node again", path.display())]
    DiskFull {
        /// The data directory.
        path: PathBuf,
        /// What could not be written.
        reason: String,
    },
    /// The engine keeps no promise it cannot keep: it dies when its files fail it.
    #[error("the consensus engine broke down: {reason}; what is final is kept: look whether the disk of {} is full or damaged, and start the node again", path.display())]
    Broken {
        /// The data directory.
        path: PathBuf,
        /// What it said last.
        reason: String,
    },
    /// The operating system gives no threads.
    #[error("cannot start the async runtime: {0}")]
    Runtime(std::io::Error),
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
    let _lock = lock(&config.data_dir)?;
    let validators = validators(&genesis)?;
    match (keys, config.follow.clone()) {
        (Some(keys), None) => validate(config, genesis, &keys, validators, shutdown),
        (None, Some(url)) => follow(config, genesis, url, validators, shutdown),
        _ => Err(NodeError::NoRole),
    }
}

fn validate(
    config: NodeConfig,
    genesis: Genesis,
    keys: &ValidatorKeys,
    validators: Vec<consensus::Validator>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), NodeError> {
    let public = keys.public();
    let mine = |validator: &consensus::Validator| {
        validator.p2p_key == public.p2p_key && validator.validator_key == public.validator_key
    };
    if !validators.iter().any(mine) {
        return Err(ConsensusError::NotValidator.into());
    }
    let addresses = addresses(&genesis, &config)?;
    let quorum = finality_keys(genesis.chain_id, &validators)?.quorum();
    let pacing = Pacing {
        interval: Duration::from_millis(genesis.block.interval_ms),
        heartbeat: Duration::from_millis(genesis.block.heartbeat_ms),
    };
    let chain_id = genesis.chain_id;
    let chain = open(&config, genesis)?;

    let runtime = engine_runtime::Config::default()
        .with_worker_threads(std::thread::available_parallelism().map_or(2, usize::from).max(2))
        .with_storage_directory(config.data_dir.join("consensus"));
    let data_dir = config.data_dir.clone();
    // Seen while everything still runs: what ends frees space, and hides the reason.
    let full = Arc::new(AtomicBool::new(false));
    let seen_full = full.clone();
    let work = |runtime: engine_runtime::Context| async move {
        let (gossip_sender, gossip_queue) = mpsc::channel(gossip::QUEUE);
        let handles = Handles::new(chain, Mempool::new(Limits::default()), gossip_sender, None);
        let p2p = probe(config.p2p_listen).await?;
        drop(p2p);
        let rpc = serve(&config, handles.clone()).await?;

        let network::Connected { channels, gossip: (sender, receiver), oracle, running } =
            network::connect(runtime.child("p2p"), chain_id, keys, config.p2p_listen, &validators, &addresses)?;
        let sending = gossip::send(runtime.child("gossip_out"), sender.clone(), gossip_queue);
        let receiving = gossip::receive(runtime.child("gossip_in"), sender.clone(), receiver, handles.clone());
        let others = validators.len() - 1;
        let genesis_hash = handles.chain.genesis_block().hash();
        let greeting = gossip::greet(runtime.child("gossip_hello"), sender.clone(), genesis_hash, others);
        let _gossip = [
            runtime.child("gossip_send").spawn(move |_| sending),
            runtime.child("gossip_receive").spawn(move |_| receiving),
            runtime.child("gossip_greet").spawn(move |_| greeting),
        ];
        info!(chain_id, head = handles.chain.head().number, rpc = %rpc.address, p2p = %config.p2p_listen, "validator started");

        let setup = Setup { chain_id, validators: &validators, keys, pacing, partition: String::new() };
        let application = Arc::new(validator::Validator { handles });
        let engine = async {
            gossip::meet(&runtime, sender, others, quorum).await;
            let engine = runtime.child("consensus");
            consensus::start(engine, setup, application, channels, oracle.clone(), oracle).await
        };
        let ended = tokio::select! {
            () = shutdown => Ok(()),
            ended = engine => ended.map_err(NodeError::from),
            ended = running => Err(network_ended(ended)),
        };
        match &ended {
            Ok(()) => info!("stopping"),
            Err(error) => {
                seen_full.store(is_full(&config.data_dir), Ordering::Relaxed);
                error!(%error, "stopping");
            }
        }
        // A request that hangs does not keep the node from stopping.
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, rpc.stop()).await;
        if runtime.stop(0, Some(SHUTDOWN_TIMEOUT)).await.is_err() {
            error!("some tasks did not stop in time; what is final is on disk");
        }
        ended
    };
    // The engine panics where its files fail it; every task stops then, and this thread hears of it.
    let ran = catch_unwind(AssertUnwindSafe(|| engine_runtime::Runner::new(runtime).start(work)));
    let broken = |reason| NodeError::Broken { path: data_dir.clone(), reason };
    let ended = match ran {
        Ok(Err(NodeError::Consensus(error @ ConsensusError::Archive { .. }))) => Err(broken(error.to_string())),
        Ok(ended) => ended,
        Err(panic) => Err(broken(message(panic.as_ref()))),
    };
    let full = full.load(Ordering::Relaxed) || (ended.is_err() && is_full(&data_dir));
    match ended {
        Err(error) if full => Err(NodeError::DiskFull { path: data_dir, reason: error.to_string() }),
        ended => ended,
    }
}

fn follow(
    config: NodeConfig,
    genesis: Genesis,
    url: String,
    validators: Vec<consensus::Validator>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), NodeError> {
    let validators = finality_keys(genesis.chain_id, &validators)?;
    let chain = open(&config, genesis)?;
    let upstream =
        Upstream::new(&url).map_err(|error| FollowError::Url { url: url.clone(), reason: error.to_string() })?;

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(NodeError::Runtime)?;
    runtime.block_on(async move {
        // What users send goes upstream; nothing is gossiped by this node.
        let (gossip_sender, _) = mpsc::channel(1);
        let handles = Handles::new(chain, Mempool::new(Limits::default()), gossip_sender, Some(upstream));
        let rpc = serve(&config, handles.clone()).await?;
        info!(head = handles.chain.head().number, rpc = %rpc.address, upstream = url, "follower started");
        let committer = handles.clone();
        let commit = move |block: &crate::types::Block, certificate: Option<&[u8]>| {
            validator::commit(&committer, block, certificate, unix_ms(SystemTime::now()))
        };
        let ended = tokio::select! {
            () = shutdown => Ok(()),
            ended = follower::follow(&url, handles.chain.clone(), validators, commit) => ended.map_err(NodeError::from),
        };
        match &ended {
            Ok(()) => info!("stopping"),
            Err(error) => error!(%error, "stopping"),
        }
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, rpc.stop()).await;
        ended
    })
}

fn open(config: &NodeConfig, genesis: Genesis) -> Result<Arc<Chain<Database>>, NodeError> {
    let database = Database::open(&config.data_dir.join("chain"))?;
    Ok(Arc::new(Chain::open(genesis, database)?))
}

async fn serve(config: &NodeConfig, handles: Handles) -> Result<rpc::Running, NodeError> {
    rpc::serve(handles, rpc::Settings::new(config.rpc_listen))
        .await
        .map_err(|error| NodeError::Listen { address: config.rpc_listen, error })
}

/// Whether an address is free: the engine's network would only say that it stopped.
async fn probe(address: SocketAddr) -> Result<tokio::net::TcpListener, NodeError> {
    tokio::net::TcpListener::bind(address).await.map_err(|error| NodeError::Listen { address, error })
}

fn network_ended(ended: Result<(), commonware_runtime::Error>) -> NodeError {
    error!(?ended, "the validators' network stopped");
    ConsensusError::Stopped.into()
}

/// What a panic says.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it does not say why".to_owned())
}

/// Whether nothing more can be written.
fn is_full(data_dir: &Path) -> bool {
    let probe = data_dir.join("probe");
    let written = std::fs::write(&probe, vec![1; PROBE_BYTES]);
    let _ = std::fs::remove_file(&probe);
    written.is_err_and(|error| error.kind() == ErrorKind::StorageFull)
}

/// The validators in the genesis file.
fn validators(genesis: &Genesis) -> Result<Vec<consensus::Validator>, NodeError> {
    let members = genesis.federation.members.iter().enumerate();
    members
        .map(|(index, member)| {
            let key = member.validator_key.as_ref().try_into();
            Ok(consensus::Validator {
                p2p_key: member.p2p_key.0,
                validator_key: key.map_err(|_| FinalityError::BadKey { index })?,
                account: member.account,
            })
        })
        .collect()
}

/// The same, as certificates are checked against them.
fn finality_keys(chain_id: u64, validators: &[consensus::Validator]) -> Result<finality::Validators, FinalityError> {
    let keys = validators.iter().map(|validator| (validator.p2p_key, validator.validator_key));
    finality::Validators::new(chain_id, keys)
}

/// Where to reach each validator: the genesis file's address, or the configuration's.
fn addresses(genesis: &Genesis, config: &NodeConfig) -> Result<BTreeMap<[u8; 32], String>, NodeError> {
    let members = &genesis.federation.members;
    if let Some(unknown) = config.peers.keys().find(|name| members.iter().all(|member| member.name != **name)) {
        return Err(NodeError::UnknownPeer(unknown.clone()));
    }
    let address =
        |member: &crate::genesis::Member| config.peers.get(&member.name).unwrap_or(&member.p2p_address).clone();
    Ok(members.iter().map(|member| (member.p2p_key.0, address(member))).collect())
}

/// Takes the data directory for this process. The lock ends with the returned file, also when the process is killed.
fn lock(data_dir: &Path) -> Result<std::fs::File, NodeError> {
    let failed = |error| NodeError::DataDir { path: data_dir.to_owned(), error };
    std::fs::create_dir_all(data_dir).map_err(failed)?;
    let file = std::fs::File::create(data_dir.join("lock")).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(NodeError::InUse(data_dir.to_owned())),
        Err(std::fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Milliseconds since 1970.
fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
