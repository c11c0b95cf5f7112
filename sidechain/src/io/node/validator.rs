//! A validator: chain and pool, the engine that orders them, the validators' network, and the RPC.

use std::{
    collections::BTreeMap,
    future::Future,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use alloy_primitives::B256;
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{Receiver, Sender};
use commonware_runtime::{Handle, Runner as _, Spawner as _, Supervisor as _, tokio as engine_runtime};
use tokio::sync::mpsc;
use tracing::{error, info};

use light::finality;

use super::{
    application::NodeApplication,
    config::{AskBitcoin, NodeConfig},
    disk::is_to_blame,
    error::NodeError,
    far_behind, members,
    monitoring::Monitoring,
    rejoin,
    services::{
        SHUTDOWN_TIMEOUT, log_end, open_chain, serve, show_life, stop, tell_troubles, watch_bitcoin, watch_disk,
    },
};
use crate::{
    chain::Chain,
    genesis::Genesis,
    io::{
        NodeStore,
        clock::now_ms,
        consensus::{self, ConsensusError, Pacing, Setup, network},
        gossip,
        keys::ValidatorKeys,
        node_state::{Gossip, NodeState},
        snapshots::Snapshots,
    },
    mempool::{Limits, Mempool},
    panics::message,
};

/// A validator whose configuration was checked and whose chain is open.
pub(super) struct Validator {
    config: NodeConfig,
    keys: ValidatorKeys,
    chain: Arc<Chain<NodeStore>>,
    network: B256,
    pacing: Pacing,
    /// All of them, this one among them.
    validators: Vec<consensus::Validator>,
    /// Where each is reached ("host:port"), by its p2p key.
    addresses: BTreeMap<[u8; 32], String>,
    /// The same, as certificates are checked against them; they know how many make a quorum.
    certifiers: finality::Validators,
}

impl Validator {
    /// Checks what the genesis file says of this validator, and opens its chain.
    pub(super) fn open(
        config: NodeConfig,
        genesis: Genesis,
        keys: ValidatorKeys,
        validators: Vec<consensus::Validator>,
    ) -> Result<Self, NodeError> {
        if !validators.iter().any(|validator| is_of(validator, &keys)) {
            return Err(ConsensusError::NotValidator.into());
        }
        let addresses = members::addresses(&genesis, &config)?;
        let network = genesis.network_id();
        let certifiers = members::finality_keys(network, &validators)?;
        let pacing = Pacing {
            interval: Duration::from_millis(genesis.block.interval_ms),
            heartbeat: Duration::from_millis(genesis.block.heartbeat_ms),
        };
        let chain = open_chain(&config, genesis)?;
        Ok(Self { config, keys, chain, network, pacing, validators, addresses, certifiers })
    }

    /// Runs on a runtime of its own until `shutdown` resolves, or something fatal happens.
    pub(super) fn run(
        self,
        bitcoin: Option<AskBitcoin>,
        monitoring: Monitoring,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), NodeError> {
        let data_dir = self.config.data_dir.clone();
        let runtime = engine_runtime::Config::default()
            .with_worker_threads(std::thread::available_parallelism().map_or(2, usize::from).max(2))
            .with_storage_directory(self.config.engine_dir());
        // Looked at while everything still runs: tasks that end free space, and hide the reason.
        let seen_full = Arc::new(AtomicBool::new(false));
        let full = seen_full.clone();
        // The engine panics where its files fail it; every task stops then, and this thread hears of it.
        let ran = catch_unwind(AssertUnwindSafe(|| {
            engine_runtime::Runner::new(runtime)
                .start(|runtime| self.work(runtime, (bitcoin, monitoring), shutdown, full))
        }));
        let ended = ran.unwrap_or_else(|panic| Err(broken(&data_dir, message(panic.as_ref()))));
        let full = seen_full.load(Ordering::Relaxed) || (ended.is_err() && is_to_blame(&data_dir));
        match ended {
            Err(error) if full => Err(NodeError::DiskFull { path: data_dir, reason: error.to_string() }),
            Err(NodeError::Consensus(error @ ConsensusError::Archive { .. })) => {
                Err(broken(&data_dir, error.to_string()))
            }
            ended => ended,
        }
    }

    async fn work(
        self,
        runtime: engine_runtime::Context,
        (bitcoin, monitoring): (Option<AskBitcoin>, Monitoring),
        shutdown: impl Future<Output = ()>,
        seen_full: Arc<AtomicBool>,
    ) -> Result<(), NodeError> {
        let (gossip, gossip_queue) = mpsc::channel(gossip::QUEUE);
        let state = NodeState::new(self.chain.clone(), Mempool::new(Limits::default()), gossip, None);
        let state = state.with_snapshots(Snapshots::new(self.config.sync.offer_every));
        state.keep_pool_in(self.config.pool_file(), now_ms());
        let p2p = self.config.p2p_listen;
        ensure_free(p2p).await?;
        monitoring.watch(&state);
        let rpc = serve(&self.config, &state)?;
        let p2p_runtime = runtime.child("p2p");
        let network = network::connect(p2p_runtime, self.network, &self.keys, p2p, &self.validators, &self.addresses)?;
        let network::Connected { channels, gossip: (sender, receiver), oracle, running } = network;
        {
            let (others, mut facts) = (self.certifiers.quorum() - 1, state.facts());
            (facts.needed_peers, facts.needed_words) = (others, others);
            let own = self.validators.iter().find(|validator| is_of(validator, &self.keys));
            facts.proposer = own.map(|validator| validator.account);
        }
        let _gossip = self.start_gossip(&runtime, sender.clone(), receiver, gossip_queue, &state);
        let head = state.chain.head().number;
        info!(network = %self.network, head, rpc = %rpc.public.address, %p2p, "validator started");

        let watched = state.clone();
        let engine = async {
            gossip::wait_for_peers(&runtime, sender, self.others(), self.certifiers.quorum()).await;
            let votes = rejoin::floor(&runtime, &self.config, &state, self.certifiers.quorum()).await?;
            let application = Arc::new(NodeApplication::new(state.clone()));
            let engine = runtime.child("consensus");
            Ok(consensus::start(engine, self.setup(votes.as_deref()), application, channels, oracle.clone(), oracle)
                .await?)
        };
        let ended = tokio::select! {
            () = shutdown => Ok(()),
            ended = engine => ended,
            never = watch_disk(&watched, &self.config.data_dir, &monitoring) => match never {},
            never = show_life(&monitoring) => match never {},
            never = tell_troubles(&watched) => match never {},
            never = watch_bitcoin(&watched, bitcoin, &monitoring) => match never {},
            never = far_behind::advise(&watched, &self.config) => match never {},
            ended = running => Err(network_ended(ended)),
        };
        seen_full.store(ended.is_err() && is_to_blame(&self.config.data_dir), Ordering::Relaxed);
        log_end(&ended);
        stop(&rpc).await;
        if runtime.stop(0, Some(SHUTDOWN_TIMEOUT)).await.is_err() {
            error!("some tasks did not stop in time; what is final is on disk");
        }
        ended
    }

    fn setup<'a>(&'a self, votes_floor: Option<&'a [u8]>) -> Setup<'a> {
        Setup {
            network: self.network,
            validators: &self.validators,
            keys: &self.keys,
            pacing: self.pacing,
            partition: String::new(),
            votes_floor,
        }
    }

    /// How many validators there are besides this one.
    fn others(&self) -> usize {
        self.validators.len() - 1
    }

    /// The other validators as the log names them, by their p2p keys.
    fn named(&self) -> BTreeMap<[u8; 32], String> {
        let members = self.chain.genesis().federation.validators();
        let others = members.iter().filter(|member| member.p2p_key.0 != self.keys.public().p2p_key);
        let name =
            |key: &[u8; 32], name: &str| format!("{name} at {}", self.addresses.get(key).map_or("", String::as_str));
        others.map(|member| (member.p2p_key.0, name(&member.p2p_key.0, &member.name))).collect()
    }

    /// Starts the tasks that send, receive and announce this validator to the others.
    fn start_gossip(
        &self,
        runtime: &engine_runtime::Context,
        sender: impl Sender<PublicKey = PublicKey>,
        receiver: impl Receiver<PublicKey = PublicKey>,
        queue: mpsc::Receiver<Gossip>,
        state: &NodeState,
    ) -> [Handle<()>; 4] {
        let sending = gossip::send(runtime.child("gossip_out"), sender.clone(), queue);
        let receiving = gossip::receive(
            runtime.child("gossip_in"),
            sender.clone(),
            receiver,
            state.clone(),
            self.certifiers.clone(),
        );
        let heads =
            gossip::announce_standing(runtime.child("gossip_heads"), sender.clone(), state.clone(), self.named());
        let announcing = gossip::greet(runtime.child("gossip_hello"), sender, state.clone());
        [
            runtime.child("gossip_send").spawn(move |_| sending),
            runtime.child("gossip_receive").spawn(move |_| receiving),
            runtime.child("gossip_greet").spawn(move |_| announcing),
            runtime.child("gossip_head").spawn(move |_| heads),
        ]
    }
}

fn is_of(validator: &consensus::Validator, keys: &ValidatorKeys) -> bool {
    let public = keys.public();
    validator.p2p_key == public.p2p_key && validator.validator_key == public.validator_key
}

/// Finds an address that is taken before the engine's network does, which would only say that it stopped.
async fn ensure_free(address: SocketAddr) -> Result<(), NodeError> {
    let bound = tokio::net::TcpListener::bind(address).await;
    bound.map(drop).map_err(|error| NodeError::Listen { address, error })
}

fn network_ended(ended: Result<(), commonware_runtime::Error>) -> NodeError {
    error!(?ended, "the validators' network stopped");
    ConsensusError::Stopped.into()
}

fn broken(data_dir: &Path, reason: String) -> NodeError {
    NodeError::Broken { path: data_dir.to_owned(), reason }
}
