//! Clients as they come from npm, unmodified: viem, ethers and cast use a node as they use any Ethereum node.
//!
//! The node here has no consensus: its blocks come from a thread. What is tested is what a client sees, and the scripts in
//! `tests/clients` run against any network: `CAUSEWAY_RPC=http://... CAUSEWAY_KEY=0x... node viem.mjs`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use alloy_primitives::{Address, keccak256};
use sidechain::app::{Chain, Retention};
use sidechain::io::db::Database;
use sidechain::io::rpc::{Handles, Running, Settings, serve};
use sidechain::mempool::{Limits, Mempool};
use sidechain::testing::{Key, genesis};
use sidechain::types::next_base_fee;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// The account that pays, a coin at genesis.
const PAYER: u64 = 1;
const COIN_SAT: u64 = 100_000_000;
/// The pace of blocks: as in a real network, also when nothing waits.
const INTERVAL: Duration = Duration::from_millis(200);

#[test]
fn viem_needs_no_change() {
    Node::start().run("viem.mjs");
}

#[test]
fn ethers_needs_no_change() {
    Node::start().run("ethers.mjs");
}

#[test]
fn cast_needs_no_change() {
    Node::start().run("cast.mjs");
}

struct Node {
    server: Running,
    stop: Arc<AtomicBool>,
    /// Dropped after the server: it runs there.
    _runtime: Runtime,
    _directory: TempDir,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Node {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory for tests");
        let database = Database::open(directory.path()).expect("a fresh directory");
        let coins = [(Key::new(PAYER).address, COIN_SAT)];
        let chain = Chain::open_with(genesis(), database, Retention::default(), &coins)
            .expect("the genesis is right");
        let runtime = Runtime::new().expect("threads");
        // Nobody listens: there are no other validators.
        let (gossip, _) = mpsc::channel(1);
        let pool = Mempool::new(Limits::default());
        let handles = Handles::new(Arc::new(chain), pool, gossip, None);
        let settings = Settings::new(([127, 0, 0, 1], 0).into());
        let server = runtime
            .block_on(serve(handles.clone(), settings))
            .expect("a free port");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let start = Instant::now();
                make_block(&handles);
                std::thread::sleep(INTERVAL.saturating_sub(start.elapsed()));
            }
        });
        Self {
            server,
            stop,
            _runtime: runtime,
            _directory: directory,
        }
    }

    /// Runs a script of `tests/clients` and shows what it wrote if it fails.
    fn run(&self, script: &str) {
        let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
        assert!(
            folder.join("node_modules").is_dir(),
            "the clients are not installed: run `make deps`"
        );
        let secret = keccak256(PAYER.to_be_bytes());
        let output = Command::new("node")
            .arg(script)
            .current_dir(&folder)
            .env("CAUSEWAY_RPC", format!("http://{}", self.server.address))
            .env("CAUSEWAY_KEY", secret.to_string())
            .output()
            .expect("node is installed");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(
            output.status.success(),
            "{script}: {}\n{text}",
            output.status
        );
        println!("{text}");
    }
}

fn make_block(handles: &Handles) {
    let chain = &handles.chain;
    let base_fee = next_base_fee(&chain.head());
    let candidates: Vec<_> = handles.pool().candidates(base_fee).take(1_000).collect();
    let proposer = Address::repeat_byte(0xbe);
    let block = chain
        .propose(
            chain.head_hash(),
            now_ms(),
            proposer,
            candidates.into_iter(),
        )
        .expect("the head is known");
    if let Some(finalized) = chain.finalize(&block).expect("our own block") {
        handles
            .on_finalized(finalized, now_ms())
            .expect("the store works");
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let since = since.expect("the clock is after 1970");
    u64::try_from(since.as_millis()).expect("fits for ages")
}
