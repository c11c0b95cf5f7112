//! What joins the RPC with the rest of a node: the chain, the pool, what leaves for the other validators, and what became final.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Bytes};
use tokio::sync::{broadcast, mpsc};

use super::upstream::Upstream;
use crate::app::{Chain, Finalized, Registration, RegistrationError, SimulateError};
use crate::execution::InclusionError;
use crate::io::NodeStore;
use crate::mempool::{Account, Inadmissible, Lane, Mempool, Refused, Rules};
use crate::state::StateReader;
use crate::store::StoreError;
use crate::types::{TransactionError, decode_transaction, is_free};

/// Final blocks a slow subscriber may lag behind before it reads them from the store instead.
const FINALIZED_BUFFER: usize = 64;

/// Hashes of new transactions a slow subscriber may lag behind before it misses some.
const PENDING_BUFFER: usize = 4_096;

/// What one validator tells all others. Whoever receives it checks it as if a user had sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gossip {
    /// EIP-2718 encoding of a transaction a user sent to this node.
    Transaction(Bytes),
    /// A deposit registration a user sent to this node.
    Registration(Registration),
}

/// The node as its RPC sees it. Cheap to clone. The wiring makes it, gives it to [`super::serve`], and calls
/// [`Self::on_finalized`] after each final block and [`Self::admit`] or [`Self::register`] for what arrives by gossip.
#[derive(Clone)]
pub struct Handles {
    pub chain: Arc<Chain<NodeStore>>,
    pub mempool: Arc<Mutex<Mempool>>,
    /// Bounded: when it is full, what should be gossiped is only kept here. A user's retry brings it out.
    pub gossip: mpsc::Sender<Gossip>,
    pub finalized: broadcast::Sender<Arc<Finalized>>,
    /// Hashes of transactions that entered the pool.
    pub pending: broadcast::Sender<B256>,
    /// For a follower: the node it follows, which takes what users send.
    pub upstream: Option<Upstream>,
}

/// Why a transaction was not taken. The sender of the bytes is at fault, but for `Simulate` with a failing store.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    #[error(transparent)]
    Inadmissible(#[from] Inadmissible),
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A free-lane transaction that may not, or would not succeed on the head.
    #[error(transparent)]
    Simulate(#[from] SimulateError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a deposit registration was not taken.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The terms make no deposit address.
    #[error("{0}")]
    Terms(String),
    /// The output key is not the one the terms make on this chain.
    #[error("output key {got} does not belong to the terms, expected {want}")]
    OutputKey { got: B256, want: B256 },
    #[error(transparent)]
    Simulate(#[from] SimulateError),
    #[error(transparent)]
    Keep(#[from] RegistrationError),
}

impl Handles {
    #[must_use]
    pub fn new(
        chain: Arc<Chain<NodeStore>>,
        mempool: Mempool,
        gossip: mpsc::Sender<Gossip>,
        upstream: Option<Upstream>,
    ) -> Self {
        Self {
            chain,
            mempool: Arc::new(Mutex::new(mempool)),
            gossip,
            finalized: broadcast::Sender::new(FINALIZED_BUFFER),
            pending: broadcast::Sender::new(PENDING_BUFFER),
            upstream,
        }
    }

    /// The pool. Held only for moments: nothing is executed under the lock.
    pub fn pool(&self) -> MutexGuard<'_, Mempool> {
        // The pool is changed by methods that do not panic halfway; a panic elsewhere does not spoil it.
        self.mempool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decodes a transaction, recovers its sender, checks it and puts it into the pool. Answers its hash. Blocks for
    /// about 50 µs of CPU, for a free one as long as it runs: call it from a worker.
    ///
    /// # Errors
    ///
    /// `AdmitError`; nothing is kept.
    pub fn admit(&self, raw: &[u8], now_ms: u64) -> Result<B256, AdmitError> {
        let transaction = decode_transaction(raw, self.chain.genesis().chain_id)?;
        let rules = Rules { block_gas_limit: self.chain.head().gas_limit };
        rules.check(transaction.inner())?;
        let (hash, sender) = (*transaction.tx_hash(), transaction.signer());
        let lane = if is_free(transaction.inner()) { Lane::Free } else { Lane::Paid };
        if lane == Lane::Free && !self.pool().contains(hash) {
            self.check_free(&transaction)?;
        }
        self.chain.remember_sender(&transaction);
        // The account is read under the lock, so that a block that becomes final meanwhile is seen by one of both.
        let mut pool = self.pool();
        let account = self.account(sender)?;
        pool.add(transaction, lane, account, now_ms)?;
        drop(pool);
        // Nobody may be listening.
        let _ = self.pending.send(hash);
        Ok(hash)
    }

    /// A free transaction that is its sender's next must succeed on the head. One that follows another cannot be judged
    /// yet: it is bounded in number, and judged when it is next.
    fn check_free(&self, transaction: &crate::types::Transaction) -> Result<(), SimulateError> {
        let (sender, nonce) = (transaction.signer(), transaction.nonce());
        let waits = nonce > self.account(sender)?.nonce && self.pool().content_from(sender).next().is_some();
        match self.chain.check_free(transaction) {
            Err(SimulateError::Invalid(InclusionError::FreeFailed { .. })) if waits => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    /// Takes in a final block: the pool forgets what is done, free transactions that would fail now are dropped, and
    /// subscribers are told. Blocks; call it after `Chain::finalize`, in the order of blocks.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn on_finalized(&self, finalized: Arc<Finalized>, now_ms: u64) -> Result<(), StoreError> {
        let touched = touched(&finalized);
        let accounts = touched
            .iter()
            .map(|address| Ok((*address, self.account(*address)?)))
            .collect::<Result<std::collections::BTreeMap<_, _>, StoreError>>()?;
        let mut pool = self.pool();
        pool.on_finalized(touched, |address| accounts.get(&address).copied().unwrap_or_default(), now_ms);
        let free: Vec<_> = pool.free_heads().cloned().collect();
        drop(pool);
        for transaction in free {
            if let Err(SimulateError::Invalid(reason)) = self.chain.check_free(&transaction) {
                tracing::debug!(hash = %transaction.tx_hash(), sender = %transaction.signer(), %reason, "free transaction dropped");
                self.pool().remove(*transaction.tx_hash());
            }
        }
        // Nobody may be listening.
        let _ = self.finalized.send(finalized);
        Ok(())
    }

    /// Nonce and balance at the head.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn account(&self, address: Address) -> Result<Account, StoreError> {
        let state = match self.chain.state_at(self.chain.head().number) {
            Ok(state) => state,
            Err(SimulateError::Store(error)) => return Err(error),
            // The head's state is never pruned; when the head moved on meanwhile, the older one is still there.
            Err(error) => unreachable!("state of the head: {error}"),
        };
        let account = state.account(address)?.unwrap_or_default();
        Ok(Account { nonce: account.nonce, balance: account.balance })
    }
}

/// Accounts whose nonce a block may have changed: senders, and authorities of EIP-7702.
fn touched(finalized: &Finalized) -> BTreeSet<Address> {
    let authorities = finalized
        .block
        .transactions
        .iter()
        .filter_map(|transaction| transaction.authorization_list())
        .flatten()
        .filter_map(|authorization| authorization.recover_authority().ok());
    finalized.senders.iter().copied().chain(authorities).collect()
}
