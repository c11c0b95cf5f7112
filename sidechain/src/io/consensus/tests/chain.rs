//! A validator's real chain, on disk, for the engine to order; one that is not honest changes the blocks that it makes.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::super::{Application, FinalBlocks, Verdict};
use crate::{
    block::{Block, Transaction},
    chain::{Ahead, Chain, Retention, Room},
    execution::Stop,
    genesis::Genesis,
    io::{db::Database, node::NodeApplication, node_state::NodeState},
    mempool::{Limits, Mempool},
    testing::{self, Key},
};

/// Seconds since 1970 at which these networks start.
pub const START: u64 = 1_700_000_100;

/// Changes the n-th block that a validator makes.
pub type Twist = Box<dyn Fn(u64, Block) -> Block + Send + Sync>;

/// A chain in a folder of its own, and its node.
pub struct Real {
    node: NodeApplication,
    twist: Option<Twist>,
    /// Blocks made here.
    pub built: AtomicU64,
    /// Number of the highest block that was made or accepted here.
    pub highest: AtomicU64,
    /// Offered for each block.
    pub waiting: Vec<Transaction>,
    /// How long this machine takes at least to check a block with this number.
    pub takes: fn(u64) -> Duration,
    /// Checks that run now.
    pub checking: AtomicU64,
    dir: Arc<TempDir>,
}

fn genesis() -> Genesis {
    testing::genesis()
}

impl Real {
    pub fn new(twist: Option<Twist>, waiting: Vec<Transaction>) -> Arc<Self> {
        Arc::new(Self::open(Arc::new(tempfile::tempdir().expect("a folder")), twist, waiting))
    }

    fn open(dir: Arc<TempDir>, twist: Option<Twist>, waiting: Vec<Transaction>) -> Self {
        let allocation: Vec<_> = (1..=3).map(|number| (Key::new(number).address, 100_000_000)).collect();
        let store = Database::open(dir.path()).expect("a database");
        let chain =
            Chain::open_with(genesis(), store, Retention::default(), &allocation).expect("the genesis is right");
        let state = NodeState::new(Arc::new(chain), Mempool::new(Limits::default()), mpsc::channel(1).0, None);
        let node = NodeApplication::new(state);
        Self {
            node,
            twist,
            built: AtomicU64::new(0),
            highest: AtomicU64::new(0),
            waiting,
            takes: |_| Duration::ZERO,
            checking: AtomicU64::new(0),
            dir,
        }
    }

    /// The same after a crash: what was not on disk is gone.
    pub fn reopened(this: Arc<Self>) -> Arc<Self> {
        let Self { dir, waiting, .. } = Arc::into_inner(this).expect("the engine was stopped");
        Arc::new(Self::open(dir, None, waiting))
    }

    pub fn hash(&self, number: u64) -> Option<B256> {
        self.node.state.chain.header(number).expect("the disk works").map(|header| header.hash_slow())
    }

    /// A slow machine with an empty chain.
    pub fn slow(takes: fn(u64) -> Duration) -> Arc<Self> {
        let dir = Arc::new(tempfile::tempdir().expect("a folder"));
        Arc::new(Self { takes, ..Self::open(dir, None, Vec::new()) })
    }

    /// The block with this number on `parent`, with ten transfers of the key while there is room.
    pub fn grow(&self, key: &Key, number: u64, parent: B256) -> Block {
        const EACH: u64 = 10;
        let transfers =
            (0..EACH).map(|n| key.transfer(genesis().chain_id, EACH * (number - 1) + n, Address::repeat_byte(0xf1), 1));
        let chain = &self.node.state.chain;
        chain.propose(parent, START * 1000, Address::ZERO, transfers, &Stop::never()).expect("the parent is usable")
    }

    /// Computes for as long as this machine takes. False when it was stopped.
    fn compute(&self, number: u64, stop: &Stop) -> bool {
        let started = Instant::now();
        while started.elapsed() < (self.takes)(number) && !stop.is_stopped() {
            std::thread::sleep(Duration::from_millis(1));
        }
        !stop.is_stopped()
    }

    pub fn final_transactions(&self) -> usize {
        let chain = &self.node.state.chain;
        let blocks = (1..=chain.head().number).map(|number| chain.stored(number).expect("the disk works"));
        blocks.map(|stored| stored.expect("final").block.transactions.len()).sum()
    }
}

impl FinalBlocks for Real {
    fn first_block(&self) -> u64 {
        self.node.first_block()
    }

    fn keep(&self, kept: Vec<Ahead>) -> Result<(), String> {
        self.node.keep(kept)
    }

    fn kept(&self, from: u64, limit: usize) -> Result<Vec<Ahead>, String> {
        self.node.kept(from, limit)
    }

    fn final_block(&self, number: u64) -> Result<Option<Block>, String> {
        self.node.final_block(number)
    }

    fn number_of(&self, hash: B256) -> Result<Option<u64>, String> {
        self.node.number_of(hash)
    }

    fn certificate(&self, number: u64) -> Result<Option<Vec<u8>>, String> {
        self.node.certificate(number)
    }

    fn certified(&self, from: u64, limit: usize) -> Result<Vec<u64>, String> {
        self.node.certified(from, limit)
    }
}

impl Application for Real {
    fn doubts_clock(&self, now_ms: u64) -> bool {
        self.node.doubts_clock(now_ms)
    }

    fn genesis(&self) -> Block {
        self.node.genesis()
    }

    fn head(&self) -> u64 {
        self.node.head()
    }

    fn knows(&self, hash: B256) -> bool {
        self.node.knows(hash)
    }

    fn is_final(&self, hash: B256) -> bool {
        self.node.is_final(hash)
    }

    fn room_for(&self, block: &Block, last_final: u64) -> Room {
        self.node.room_for(block, last_final)
    }

    fn has_work(&self, _: B256) -> bool {
        false
    }

    fn work_arrived(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }

    fn build(&self, parent: B256, now_ms: u64, beneficiary: Address, stop: &Stop) -> Result<Block, String> {
        let chain = &self.node.state.chain;
        let block = chain
            .propose(parent, now_ms, beneficiary, self.waiting.iter().cloned(), stop)
            .map_err(|error| error.to_string())?;
        let nth = self.built.fetch_add(1, Ordering::Relaxed);
        self.highest.fetch_max(block.header.number, Ordering::Relaxed);
        Ok(match &self.twist {
            Some(twist) => twist(nth, block),
            None => block,
        })
    }

    fn check(&self, block: &Block, now_ms: u64, stop: &Stop) -> Verdict {
        self.checking.fetch_add(1, Ordering::SeqCst);
        let computed = self.compute(block.header.number, stop);
        let verdict =
            if computed { self.node.check(block, now_ms, stop) } else { Verdict::Unknown("stopped".to_owned()) };
        self.checking.fetch_sub(1, Ordering::SeqCst);
        if verdict == Verdict::Valid {
            self.highest.fetch_max(block.header.number, Ordering::Relaxed);
        }
        verdict
    }

    fn commit(&self, block: &Block, certificate: Option<&[u8]>, now_ms: u64) -> Result<(), String> {
        self.node.commit(block, certificate, now_ms)
    }
}
