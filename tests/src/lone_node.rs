//! A node without consensus: a real chain on disk, pool and JSON-RPC; its blocks come from a thread. For what looks at a
//! node from outside and does not care who makes blocks.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use alloy_primitives::Address;
use sidechain::chain::{Chain, Retention};
use sidechain::io::db::Database;
use sidechain::io::{
    node_state::NodeState,
    rpc::{Running, Settings, serve},
    testing::{LastUser, make_certified_block},
};
use sidechain::mempool::{Limits, Mempool};
use sidechain::testing::genesis;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::binary::{self, Finished};

const COIN_SAT: u64 = 100_000_000;
/// The pace of blocks: as in a real network, also when nothing waits.
const INTERVAL: Duration = Duration::from_millis(200);

/// A running node; stops when dropped.
pub struct LoneNode {
    server: Running,
    stop: Arc<AtomicBool>,
    /// Makes blocks until it is stopped.
    maker: Option<JoinHandle<()>>,
    /// Behind all that uses the database, and before its files.
    _last: LastUser,
    /// Dropped after the server: it runs there.
    directory: TempDir,
}

impl Drop for LoneNode {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The store must not be used any more when the process ends.
        let panicked = self.maker.take().is_some_and(|maker| maker.join().is_err());
        assert!(!panicked || std::thread::panicking(), "no block could be made");
    }
}

impl LoneNode {
    /// A node in which each of `rich` has a coin, and blocks come five times a second.
    ///
    /// # Panics
    ///
    /// When this machine gives it no directory, port or thread.
    #[must_use]
    pub fn start(rich: &[Address]) -> Self {
        Self::with(rich, Settings::new(([127, 0, 0, 1], 0).into()))
    }

    /// The same, which signs for the developer accounts as `causeway dev` does.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    #[must_use]
    pub fn for_developers(rich: &[Address]) -> Self {
        Self::with(rich, Settings { developer_accounts: true, ..Settings::new(([127, 0, 0, 1], 0).into()) })
    }

    fn with(rich: &[Address], settings: Settings) -> Self {
        let directory = tempfile::tempdir().expect("a directory for tests");
        let database = Database::open(&directory.path().join("chain")).expect("a fresh directory");
        let coins: Vec<_> = rich.iter().map(|account| (*account, COIN_SAT)).collect();
        let chain = Chain::open_with(genesis(), database, Retention::default(), &coins).expect("the genesis is right");
        // Nobody listens: there are no other validators.
        let (gossip, _) = mpsc::channel(1);
        let pool = Mempool::new(Limits::default());
        let chain = Arc::new(chain);
        let state = NodeState::new(chain.clone(), pool, gossip, None);
        let server = serve(state.clone(), settings).expect("a free port");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let maker = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let start = Instant::now();
                make_certified_block(&state);
                std::thread::sleep(INTERVAL.saturating_sub(start.elapsed()));
            }
        });
        Self { server, stop, maker: Some(maker), _last: LastUser::of(chain), directory }
    }

    /// Runs `causeway` against it, in [`LoneNode::home`].
    ///
    /// # Panics
    ///
    /// When it cannot be started, or does not end.
    #[must_use]
    pub fn causeway(&self, arguments: &[&str], input: &str) -> Finished {
        binary::run(&self.home(), [arguments, &["--rpc", &self.url()]].concat(), input)
    }

    /// The home folder of its user.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    /// HTTP; WebSocket is on the same port.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }
}
