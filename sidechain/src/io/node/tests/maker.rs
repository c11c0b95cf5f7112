//! A node with its chain on disk and its pool, without network and engine: it makes blocks when it is told to.

use std::sync::Arc;

use alloy_eips::Encodable2718 as _;
use alloy_primitives::{Address, B256};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::{
    block::{Block, Transaction},
    chain::{Chain, Finalized, Retention},
    genesis::Genesis,
    io::{
        db::Database,
        node_state::{AdmitError, NodeState},
    },
    mempool::{Limits, Mempool},
};

/// What its engine would ask is for each test to put on it.
pub struct Maker {
    pub state: NodeState,
    _directory: TempDir,
}

impl Maker {
    /// At genesis, with so many satoshis for these accounts.
    pub fn new(genesis: Genesis, coins: &[(Address, u64)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory for tests");
        let database = Database::open(&directory.path().join("chain")).expect("a fresh directory");
        let chain = Chain::open_with(genesis, database, Retention::default(), coins).expect("the genesis is right");
        let state = NodeState::new(Arc::new(chain), Mempool::new(Limits::default()), mpsc::channel(1).0, None);
        Self { state, _directory: directory }
    }

    /// Puts a transaction into the pool.
    pub fn admit(&self, transaction: &Transaction, now_ms: u64) -> Result<B256, AdmitError> {
        self.state.admit(&transaction.encoded_2718(), now_ms)
    }

    pub fn contains(&self, transaction: &Transaction) -> bool {
        self.state.pool().contains(*transaction.tx_hash())
    }

    /// Makes a block of its own final.
    pub fn make_final(&self, block: &Block, now_ms: u64) -> Arc<Finalized> {
        let finalized = self.state.chain.finalize(block).expect("our own block").expect("it is new");
        self.state.on_finalized(finalized.clone(), now_ms).expect("the store works");
        finalized
    }
}
