//! What a node does first: when it is far behind, it copies a snapshot, and only then takes its role.
//!
//! ```text
//!  chain/      the chain as it was, served by the RPC meanwhile    -+
//!  snapshot/   the copy, which goes on after an interruption        +-> chain/, when the copy is whole
//! ```
//! The copy takes the old chain's place by a rename. Whatever moment the process dies at, the next start finds either the old
//! chain, with the copy to go on with, or a whole copy, and finishes.

use std::{
    convert::Infallible,
    future::Future,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_primitives::B256;
use light::finality::Validators;
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::{
    config::{NodeConfig, SyncMode},
    error::NodeError,
    monitoring::Monitoring,
    services::{open_chain, serve, show_life, stop},
};
use crate::{
    block::Header,
    chain::{Chain, snapshot::Restore},
    genesis::Genesis,
    io::{
        NodeStore,
        db::Database,
        follower::FollowError,
        node_state::NodeState,
        sync::{CopyError, NoAnswer, Offered, Sources, copy},
        upstream::UpstreamClient,
    },
    mempool::{Limits, Mempool},
    standing::Copying,
    state::store::{Store as _, StoreError},
};

/// Pause before sources are asked again that did not answer, or gave their snapshot up.
const RETRY: Duration = Duration::from_secs(5);

/// How often a validator without a chain, or with a copy that it has begun, asks sources that do not answer again before it goes on without: to execute all from the first block on is
/// dear, and nobody waits for its vote yet.
const TRIES: usize = 2;

/// Time for sources of a node that has a chain. Others wait for its votes, and it may not be behind at all; if it is, it fetches blocks, and
/// copies at its next start.
const WAIT: Duration = Duration::from_secs(2);

/// Time between lines in the log about how far the copy is.
const REPORT: Duration = Duration::from_secs(10);

/// Time between two looks whether a node that copies nothing is far behind.
const LOOK: Duration = Duration::from_secs(1);

/// Time that readers of the old chain get before it is replaced.
const CLOSE: Duration = Duration::from_secs(30);

/// Copies a snapshot if this node is far behind and may; returns when it was done, is not needed, or `shutdown` resolved.
pub(super) fn catch_up(
    config: &NodeConfig,
    genesis: &Genesis,
    validators: Validators,
    monitoring: &Monitoring,
    shutdown: impl Future<Output = ()>,
) -> Result<(), NodeError> {
    let places = Places::new(&config.data_dir);
    if places.is_whole()? {
        places.replace()?;
    }
    let urls = config.sources();
    if config.sync_mode() == SyncMode::Full || urls.is_empty() {
        return places.clear();
    }
    let chain = open_chain(config, genesis.clone())?;
    // A copy would take the place of all that it is to keep.
    if config.is_archive() && chain.head().number > 0 {
        return places.clear();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(NodeError::Runtime)?;
    let sources = Sources::new(&urls).map_err(|(url, reason)| FollowError::Url { url, reason })?;
    let work = Work { config, chain: chain.clone(), validators, sources, places: &places, monitoring };
    let copied = runtime.block_on(async move {
        tokio::select! {
            () = shutdown => Ok(None),
            copied = work.run() => copied,
            never = show_life(monitoring) => match never {},
        }
    });
    // Readers of the old chain end with it.
    monitoring.forget();
    runtime.shutdown_timeout(CLOSE);
    let Some(restore) = copied? else { return Ok(()) };
    let chain = sole_owner(chain)?;
    places.finish(chain, genesis, &restore)
}

/// Tells the operator of a validator that has nobody to copy from how it would be faster, once it is known to be far behind.
pub(super) async fn advise(state: &NodeState, config: &NodeConfig) -> Infallible {
    while config.sources().is_empty() && config.sync_mode() == SyncMode::Snapshot {
        tokio::time::sleep(LOOK).await;
        let head = state.chain.head().number;
        let highest = state.facts().highest;
        if highest > head.saturating_add(config.sync.behind) {
            warn!(
                head,
                highest,
                "far behind, and fetches every block: with JSON-RPC URLs of other nodes in `[sync]`, `from`, it copies a snapshot at its next start"
            );
            break;
        }
    }
    std::future::pending().await
}

/// The chain, once nobody else reads it.
fn sole_owner(mut chain: Arc<Chain<NodeStore>>) -> Result<Chain<NodeStore>, NodeError> {
    let started = Instant::now();
    loop {
        match Arc::try_unwrap(chain) {
            Ok(chain) => return Ok(chain),
            Err(_) if started.elapsed() > CLOSE => return Err(NodeError::StartAgain),
            Err(shared) => chain = shared,
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

struct Work<'a> {
    config: &'a NodeConfig,
    chain: Arc<Chain<NodeStore>>,
    validators: Validators,
    sources: Sources,
    places: &'a Places,
    monitoring: &'a Monitoring,
}

impl Work<'_> {
    /// The copy that is whole, if one was needed.
    async fn run(mut self) -> Result<Option<Restore>, NodeError> {
        let state = self.state()?;
        self.monitoring.watch(&state);
        let mut rpc = None;
        let mut tries = 0;
        let genesis = self.chain.genesis_block().hash();
        let mut preferred = self.places.begun()?.map(|header| header.number);
        let restore = loop {
            let newest = self.newest(genesis, preferred).await;
            state.facts().peers = usize::from(newest.is_ok());
            match newest {
                Ok(Some(offered)) if self.is_far_ahead(&offered.header) => {
                    self.announce(&state, &offered.header, 0);
                    if rpc.is_none() {
                        rpc = Some(serve(self.config, &state)?);
                    }
                    preferred = Some(offered.header.number);
                    let copied = self.copy(&state, offered).await;
                    state.facts().copying = None;
                    match copied {
                        Ok(restore) => break Some(restore),
                        Err(CopyError::Gone(number)) => warn!(number, "no source keeps the snapshot any more"),
                        Err(CopyError::Store(error)) => return Err(NodeError::Open(error.into())),
                    }
                }
                Ok(_) => break None,
                // Following it says so, and ends.
                Err(_) if self.config.follow.as_ref().is_some_and(|url| self.sources.is_foreign(url)) => break None,
                // A node without a chain has nothing to do but to wait; a validator's network may be just starting.
                Err(_) if self.config.follow.is_some() && self.chain.head().number == 0 => {
                    state.facts().waits_for = Some("the followed node, which does not answer".to_owned());
                    if rpc.is_none() {
                        rpc = Some(serve(self.config, &state)?);
                    }
                }
                Err(_) if tries < TRIES && self.may_wait(preferred) => tries += 1,
                Err(_) => break None,
            }
            tokio::time::sleep(RETRY).await;
        };
        if let Some(rpc) = rpc {
            stop(&rpc).await;
        }
        Ok(restore)
    }

    /// The snapshot to copy, if the sources offer any in time.
    async fn newest(&mut self, genesis: B256, preferred: Option<u64>) -> Result<Option<Offered>, NoAnswer> {
        let may_wait = self.may_wait(preferred);
        let asked = self.sources.newest(genesis, &self.validators, preferred);
        if may_wait {
            return asked.await;
        }
        tokio::time::timeout(WAIT, asked).await.unwrap_or_else(|_| {
            warn!("the sources of snapshots do not answer in time: goes on without");
            Err(NoAnswer)
        })
    }

    /// Whether it has nothing to do but to copy: it has no chain, or has begun a copy.
    fn may_wait(&self, begun: Option<u64>) -> bool {
        self.chain.head().number == 0 || begun.is_some()
    }

    /// What the RPC serves meanwhile. What users send is refused, unless there is a node to pass it on to: this pool is nobody's afterwards.
    fn state(&self) -> Result<NodeState, NodeError> {
        let upstream = self.config.follow.as_ref().map(|url| {
            UpstreamClient::new(url).map_err(|error| FollowError::Url { url: url.clone(), reason: error.to_string() })
        });
        let upstream = upstream.transpose()?.map(|client| Arc::new(client) as _);
        let (gossip, _) = mpsc::channel(1);
        Ok(NodeState::new(self.chain.clone(), Mempool::new(Limits::default()), gossip, upstream).taking_nothing())
    }

    fn is_far_ahead(&self, offered: &Header) -> bool {
        offered.number > self.chain.head().number.saturating_add(self.config.sync.behind)
    }

    fn announce(&self, state: &NodeState, offered: &Header, done: u64) {
        let mut facts = state.facts();
        facts.copying = Some(Copying { number: offered.number, done });
        facts.behind_since = Some(self.chain.head().number);
    }

    async fn copy(&mut self, state: &NodeState, offered: Offered) -> Result<Restore, CopyError> {
        let Offered { header, certificate } = offered;
        let (store, restore) = self.places.begin(&header, &certificate).map_err(CopyError::Store)?;
        let (own, number) = (self.chain.head().number, header.number);
        info!(head = own, number, done = restore.done() / 10, "far behind: copies a snapshot");
        let chain_id = self.chain.genesis().chain_id;
        let progress = Progress::new(restore.done());
        let state = state.clone();
        let report = move |restore: &Restore| {
            if let Some(copying) = &mut state.facts().copying {
                copying.done = restore.done();
            }
            progress.report(restore);
        };
        copy(&mut self.sources, Arc::new(store), restore, chain_id, report).await
    }
}

/// Says now and then how far the copy is.
struct Progress {
    started: Instant,
    at_start: u64,
    said: std::cell::Cell<Instant>,
}

impl Progress {
    fn new(at_start: u64) -> Self {
        let now = Instant::now();
        Self { started: now, at_start, said: now.into() }
    }

    fn report(&self, restore: &Restore) {
        if self.said.get().elapsed() < REPORT {
            return;
        }
        self.said.set(Instant::now());
        let (done, spent) = (restore.done(), self.started.elapsed().as_secs());
        let left = (done > self.at_start).then(|| spent * (1000 - done) / (done - self.at_start));
        info!(number = restore.header().number, percent = done / 10, seconds_left = left, "copies a snapshot");
    }
}

/// Where chain and copy are.
struct Places {
    chain: PathBuf,
    snapshot: PathBuf,
}

impl Places {
    fn new(data_dir: &Path) -> Self {
        Self { chain: data_dir.join("chain"), snapshot: data_dir.join("snapshot") }
    }

    /// Whether there is a whole copy that has yet to take its place.
    fn is_whole(&self) -> Result<bool, NodeError> {
        if !self.snapshot.exists() {
            return Ok(false);
        }
        let store = Database::open(&self.snapshot)?;
        Ok(Restore::is_complete(&store).map_err(crate::chain::OpenError::from)?)
    }

    /// The block of a copy that was begun.
    fn begun(&self) -> Result<Option<Header>, NodeError> {
        if !self.snapshot.exists() {
            return Ok(None);
        }
        let store = Database::open(&self.snapshot)?;
        let restore = Restore::resume(&store).map_err(crate::chain::OpenError::from)?;
        Ok(restore.map(|restore| restore.header().clone()))
    }

    /// The copy of a block's state, new or gone on with.
    fn begin(&self, header: &Header, certificate: &[u8]) -> Result<(Database, Restore), StoreError> {
        let open = || Database::open(&self.snapshot).map_err(|error| io("open the copy", &error));
        if self.snapshot.exists() {
            let store = open()?;
            match Restore::resume(&store)? {
                Some(restore) if restore.header() == header => return Ok((store, restore)),
                _ => drop(store),
            }
            remove(&self.snapshot)?;
        }
        let store = open()?;
        let (restore, batch) = Restore::begin(header.clone(), certificate);
        store.write(batch)?;
        Ok((store, restore))
    }

    /// Makes a chain of a copy, and puts it into the old one's place.
    fn finish(&self, chain: Chain<NodeStore>, genesis: &Genesis, restore: &Restore) -> Result<(), NodeError> {
        let number = restore.header().number;
        let store = Database::open(&self.snapshot)?;
        Restore::carry(chain.store(), &store).map_err(crate::chain::OpenError::from)?;
        let first = genesis.build().map_err(crate::chain::OpenError::from)?;
        store.write(restore.finish(&store, &first)?).map_err(crate::chain::OpenError::from)?;
        drop((chain, store));
        self.replace()?;
        info!(number, "the snapshot is whole: goes on from its block");
        Ok(())
    }

    fn replace(&self) -> Result<(), NodeError> {
        let replaced = remove(&self.chain).and_then(|()| {
            std::fs::rename(&self.snapshot, &self.chain).map_err(|error| io("put the copy into its place", &error))
        });
        Ok(replaced.map_err(crate::chain::OpenError::from)?)
    }

    /// Removes a copy that is not wanted any more.
    fn clear(&self) -> Result<(), NodeError> {
        Ok(remove(&self.snapshot).map_err(crate::chain::OpenError::from)?)
    }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(io("remove what is not needed any more", &error))
        }
        _ => Ok(()),
    }
}

fn io(action: &'static str, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Io { action, detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener};

    use alloy_primitives::Address;

    use super::super::config::SyncConfig;
    use super::super::members::{finality_keys, validators};
    use super::*;
    use crate::{execution::Stop, testing};

    // One that takes connections and says nothing, and one that takes none.
    #[test]
    fn sources_that_do_not_answer_hardly_hold_up_a_node_that_has_a_chain() {
        let dir = tempfile::tempdir().expect("a directory for tests");
        let silent = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let gone = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        let url = |address: SocketAddr| format!("http://{address}");
        let from = vec![url(silent.local_addr().expect("bound")), url(gone)];
        let genesis = testing::genesis();
        let config = NodeConfig { sync: SyncConfig { from, ..SyncConfig::default() }, ..NodeConfig::new(dir.path()) };
        let chain = open_chain(&config, genesis.clone()).expect("an empty directory");
        let now_ms = 1_000 * (chain.head().timestamp + 1);
        let block = chain.propose(chain.head_hash(), now_ms, Address::ZERO, [].into_iter(), &Stop::never());
        chain.finalize(&block.expect("the head is known")).expect("our own block");
        drop(chain);
        let members = validators(&genesis).expect("keys");
        let certifiers = finality_keys(genesis.network_id(), &members).expect("keys");
        let started = Instant::now();
        catch_up(&config, &genesis, certifiers, &Monitoring::none(), std::future::pending())
            .expect("it goes on without");
        assert!(started.elapsed() < WAIT + Duration::from_secs(2), "{:?}", started.elapsed());
    }
}
