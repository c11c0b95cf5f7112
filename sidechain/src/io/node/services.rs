//! The steps that validators and followers share: open the chain, serve the JSON-RPC, stop.

use std::{convert::Infallible, path::Path, sync::Arc, time::Duration};

use mainchain::Network;
use telemetry::io::machine::free_bytes;
use tracing::{error, info, warn};

use super::{
    config::{AskBitcoin, NodeConfig},
    disk::is_full,
    error::NodeError,
    monitoring::Monitoring,
};
use crate::{
    chain::Chain,
    genesis::Genesis,
    io::{
        clock::now_ms,
        db::{DEFAULT_CACHE_BYTES, Database},
        node_state::NodeState,
        rpc,
    },
    told::{News, Told},
};

/// Time that tasks get to end by themselves.
pub(super) const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// The chain in the data directory, on the genesis block that `genesis` makes.
pub(super) fn open_chain(config: &NodeConfig, genesis: Genesis) -> Result<Arc<Chain<Database>>, NodeError> {
    config.retention.check().map_err(NodeError::Retention)?;
    let database =
        Database::open_with(&config.data_dir.join("chain"), config.cache_bytes.unwrap_or(DEFAULT_CACHE_BYTES))?;
    Ok(Arc::new(Chain::open_with(genesis, database, config.retention, &[])?))
}

/// The node's JSON-RPC: for everybody, and for the operator's own relayer.
pub(super) struct Servers {
    pub(super) public: rpc::Running,
    private: Option<rpc::Running>,
}

/// Starts the JSON-RPC. Each server has threads of its own: what one is asked, the other does not feel.
pub(super) fn serve(config: &NodeConfig, state: &NodeState) -> Result<Servers, NodeError> {
    let developer_accounts = config.developer_accounts;
    if developer_accounts && state.chain.genesis().bitcoin.network != Network::Regtest {
        return Err(NodeError::DeveloperAccounts);
    }
    state.start();
    let public = rpc::Settings {
        access: config.rpc_access.clone(),
        origins: config.rpc_origins.clone(),
        hosts: config.rpc_hosts.clone(),
        page: config.page,
        private_methods: config.rpc_private_methods.clone(),
        developer_accounts,
        ..rpc::Settings::new(config.rpc_listen)
    };
    let private = config.private_rpc_listen.map(rpc::Settings::private);
    Ok(Servers { public: start(state, public)?, private: private.map(|settings| start(state, settings)).transpose()? })
}

fn start(state: &NodeState, settings: rpc::Settings) -> Result<rpc::Running, NodeError> {
    let address = settings.listen;
    rpc::serve(state.clone(), settings).map_err(|error| NodeError::Listen { address, error })
}

/// Time between two looks whether the disk is full.
const DISK_INTERVAL: Duration = Duration::from_secs(30);

/// Looks for ever whether the disk is full, for who asks whether the node is well.
pub(super) async fn watch_disk(state: &NodeState, data_dir: &Path, monitoring: &Monitoring) -> Infallible {
    loop {
        let place = data_dir.to_owned();
        let look = move || (is_full(&place), free_bytes(&place).ok());
        // A task that ends early is one that the process ends with.
        let (full, free) = tokio::task::spawn_blocking(look).await.unwrap_or_default();
        {
            let mut facts = state.facts();
            (facts.disk_full, facts.disk_free) = (full, free);
        }
        monitoring.beat("disk", DISK_INTERVAL);
        tokio::time::sleep(DISK_INTERVAL).await;
    }
}

/// Time between two questions for Bitcoin's best block.
const BITCOIN_INTERVAL: Duration = Duration::from_secs(20);

/// Asks for ever what time Bitcoin's best block has, for who doubts the clock.
pub(super) async fn watch_bitcoin(state: &NodeState, ask: Option<AskBitcoin>, monitoring: &Monitoring) -> Infallible {
    let Some(ask) = ask else { return std::future::pending().await };
    loop {
        let best_block_s = ask().await;
        state.facts().clocks.hear_bitcoin(best_block_s);
        monitoring.beat("bitcoin", BITCOIN_INTERVAL);
        tokio::time::sleep(BITCOIN_INTERVAL).await;
    }
}

/// Time between two signs of life.
const LIFE_INTERVAL: Duration = Duration::from_secs(1);

/// Shows for ever that the node's runtime runs what is to run.
pub(super) async fn show_life(monitoring: &Monitoring) -> Infallible {
    loop {
        monitoring.beat("main", LIFE_INTERVAL);
        tokio::time::sleep(LIFE_INTERVAL).await;
    }
}

/// Time between two looks at what is wrong.
const TROUBLES_INTERVAL: Duration = Duration::from_secs(5);

/// Tells the log for ever what is wrong: once when it lasts, and once when it is over.
pub(super) async fn tell_troubles(state: &NodeState) -> Infallible {
    let mut told = Told::default();
    loop {
        tokio::time::sleep(TROUBLES_INTERVAL).await;
        let (head, heartbeat_ms) = (state.chain.head(), state.chain.genesis().block.heartbeat_ms);
        let troubles = state.facts().troubles(&head, heartbeat_ms, now_ms());
        for news in told.look(&troubles) {
            match news {
                News::Begun(words) => warn!("{words}"),
                News::Over(words) => info!("no longer: {words}"),
            }
        }
    }
}

/// Stops the JSON-RPC. A request that hangs does not keep the node from stopping.
pub(super) async fn stop(rpc: &Servers) {
    let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, rpc.public.stop()).await;
    if let Some(private) = &rpc.private {
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, private.stop()).await;
    }
}

/// Logs that the node stops, and why.
pub(super) fn log_end(ended: &Result<(), NodeError>) {
    match ended {
        Ok(()) => info!("stopping"),
        Err(error) => error!(%error, "stopping"),
    }
}
