//! A running node as its adapters share it: the chain, the pool, messages for the other validators, and final blocks.
//!
//! The RPC, the gossip and the engine's application have this in common and do not know each other. Other nodes are behind a
//! channel ([`Gossip`]) or a trait ([`Upstream`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Bytes};
use api::peg::PaymentProof;
use futures::future::BoxFuture;
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::Value;
use tokio::sync::{broadcast, mpsc};

use super::{NodeStore, registrar::Registrar};
use crate::block::{Transaction, TransactionError, decode_transaction, is_free};
use crate::chain::{Arrival, Chain, Finalized, Origin, Registration, SimulateError};
use crate::execution::{InclusionError, Stop};
use crate::mempool::{Account, AdmissionRules, Inadmissible, Lane, Mempool, Refused};
use crate::peg::{self, RegisterError};
use crate::state::StateReader;
use crate::state::store::StoreError;

/// Final blocks a slow subscriber may lag behind before it reads them from the store instead.
const FINALIZED_BUFFER: usize = 64;

/// Hashes of new transactions a slow subscriber may lag behind before it misses some.
const PENDING_BUFFER: usize = 4_096;

/// A message from one validator to all others. The receiver checks it as if a user had sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gossip {
    /// EIP-2718 encoding of a transaction a user sent to this node.
    Transaction(Bytes),
    /// A deposit registration a user sent to this node, with a proof of a payment if there was one.
    Registration(Registration, Option<Arc<PaymentProof>>),
}

/// The node that a follower follows: it takes what users send, for a follower has no say in blocks.
pub trait Upstream: Send + Sync {
    /// Passes a JSON-RPC request on, and returns the followed node's result.
    ///
    /// # Errors
    ///
    /// `Refused`: the followed node's own error. `NoAnswer`: it cannot be reached, or answers with something else.
    fn request<'a>(&'a self, method: &'static str, params: Vec<Value>) -> BoxFuture<'a, Result<Value, UpstreamError>>;
}

/// Why the followed node did not take a request.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum UpstreamError {
    /// It answered with an error, which is for the user.
    #[error("{}", .0.message())]
    Refused(ErrorObjectOwned),
    /// It did not answer the question.
    #[error("the followed node {url} does not answer: {reason}")]
    NoAnswer {
        /// Its JSON-RPC.
        url: String,
        /// The error of the connection or of the decoding.
        reason: String,
    },
}

/// The state that all parts of a node share. Cheap to clone. The wiring makes it, gives it to the RPC, and calls
/// [`Self::on_finalized`] after each final block and [`Self::admit`] or [`Self::register_gossiped`] for what arrives by gossip.
#[derive(Clone)]
pub struct NodeState {
    /// Final blocks and their state.
    pub chain: Arc<Chain<NodeStore>>,
    /// Transactions that wait for a block; see [`Self::pool`].
    pub mempool: Arc<Mutex<Mempool>>,
    /// Bounded: when it is full, a new item stays on this node. A user's retry brings it out.
    pub gossip: mpsc::Sender<Gossip>,
    /// Each block right after it became final, in order.
    pub finalized: broadcast::Sender<Arc<Finalized>>,
    /// Hashes of transactions that entered the pool.
    pub pending: broadcast::Sender<B256>,
    /// Deposit registrations on their way to disk.
    pub registrar: Arc<Registrar>,
    /// `None` for validators.
    pub upstream: Option<Arc<dyn Upstream>>,
}

/// Why a transaction was not taken. The sender of the bytes is at fault, except for `Store`, and `Simulate` with a failing store.
#[derive(Debug, thiserror::Error)]
pub enum AdmitError {
    /// The bytes are not a transaction of this chain.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// No block could ever contain it.
    #[error(transparent)]
    Inadmissible(#[from] Inadmissible),
    /// The pool has no place for it: its nonce, its price, or its sender's balance.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A free-lane transaction that is not allowed, or would not succeed on the head.
    #[error(transparent)]
    Simulate(#[from] SimulateError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl NodeState {
    /// A node that starts with `mempool`, on the head of `chain`.
    #[must_use]
    pub fn new(
        chain: Arc<Chain<NodeStore>>,
        mempool: Mempool,
        gossip: mpsc::Sender<Gossip>,
        upstream: Option<Arc<dyn Upstream>>,
    ) -> Self {
        Self {
            chain,
            mempool: Arc::new(Mutex::new(mempool)),
            gossip,
            finalized: broadcast::Sender::new(FINALIZED_BUFFER),
            pending: broadcast::Sender::new(PENDING_BUFFER),
            registrar: Arc::default(),
            upstream,
        }
    }

    /// The pool. Held only for moments: nothing is executed under the lock.
    pub fn pool(&self) -> MutexGuard<'_, Mempool> {
        // The pool is changed by methods that do not panic halfway; a panic elsewhere does not spoil it.
        self.mempool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decodes a transaction, recovers its sender, checks it and puts it into the pool. Returns its hash. `now_ms` is Unix
    /// time. Blocks for about 50 µs of CPU, for a free one as long as it runs: call it from a worker.
    ///
    /// # Errors
    ///
    /// `AdmitError`; nothing is kept.
    pub fn admit(&self, raw: &[u8], now_ms: u64) -> Result<B256, AdmitError> {
        let transaction = decode_transaction(raw, self.chain.genesis().chain_id)?;
        let rules = AdmissionRules { block_gas_limit: self.chain.head().gas_limit };
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
    fn check_free(&self, transaction: &Transaction) -> Result<(), SimulateError> {
        let (sender, nonce) = (transaction.signer(), transaction.nonce());
        let waits = nonce > self.account(sender)?.nonce && self.pool().content_from(sender).next().is_some();
        match self.chain.check_free(transaction, &Stop::never()) {
            Err(SimulateError::Invalid(InclusionError::FreeFailed { .. })) if waits => Ok(()),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    /// Takes deposit registrations that another validator sent, within its quota: they are on disk soon. Blocks.
    pub fn register_gossiped(&self, peer: &[u8], sent: Vec<(Registration, Option<PaymentProof>)>, now_ms: u64) {
        for (registration, proof) in sent {
            if !self.registrar.may_bring(peer, proof.is_some(), now_ms) {
                tracing::debug!("a validator sends too many deposit registrations");
                continue;
            }
            let taken = self.arrival(registration, Origin::peer(peer), proof.as_ref());
            let taken = taken.map_err(|error| error.to_string());
            let queued =
                taken.and_then(|arrival| self.registrar.enqueue_unanswered(arrival).map_err(|error| error.to_string()));
            if let Err(reason) = queued {
                tracing::debug!(reason, "a gossiped deposit registration is not taken");
            }
        }
        self.registrar.write_full(&self.chain, now_ms);
    }

    /// Checks a registration, and its payment if a proof of one comes with it. Blocks.
    ///
    /// # Errors
    ///
    /// `Terms`, `OutputKey`, `Payment`: whoever sent it is at fault.
    pub fn arrival(
        &self,
        registration: Registration,
        origin: Origin,
        proof: Option<&PaymentProof>,
    ) -> Result<Arrival, RegisterError> {
        peg::check_registration(&self.chain, &registration)?;
        let output_key = registration.output_key;
        let payment = proof.map(|proof| peg::payment(&self.chain, output_key, proof)).transpose()?;
        Ok(Arrival { output_key, registration: Some(registration), origin, payment })
    }

    /// Keeps the registrations of deposits that a final block put into the ledger, until they are minted.
    fn note_swept(&self, finalized: &Finalized) {
        let logs = finalized.receipts.iter().flat_map(|receipt| receipt.logs());
        for (output_key, payment) in logs.filter_map(peg::swept) {
            let arrival = Arrival { output_key, registration: None, origin: Origin::USERS, payment: Some(payment) };
            if let Err(error) = self.registrar.enqueue_unanswered(arrival) {
                tracing::debug!(%error, "a deposit's registration is not marked as paid");
            }
        }
    }

    /// Takes in a final block: removes its transactions from the pool, drops free transactions that would fail now, and
    /// notifies the subscribers. `now_ms` is Unix time. Blocks; call it after `Chain::finalize`, in the order of blocks.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn on_finalized(&self, finalized: Arc<Finalized>, now_ms: u64) -> Result<(), StoreError> {
        let changed = accounts_with_changed_nonce(&finalized);
        let accounts = changed
            .iter()
            .map(|address| Ok((*address, self.account(*address)?)))
            .collect::<Result<BTreeMap<_, _>, StoreError>>()?;
        let mut pool = self.pool();
        pool.on_finalized(changed, |address| accounts.get(&address).copied().unwrap_or_default(), now_ms);
        let free: Vec<_> = pool.free_heads().cloned().collect();
        drop(pool);
        free.iter().for_each(|transaction| self.drop_if_it_fails(transaction));
        self.note_swept(&finalized);
        // Nobody may be listening.
        let _ = self.finalized.send(finalized);
        Ok(())
    }

    /// Removes a free transaction from the pool when it cannot succeed on the head any more.
    fn drop_if_it_fails(&self, transaction: &Transaction) {
        if let Err(SimulateError::Invalid(reason)) = self.chain.check_free(transaction, &Stop::never()) {
            tracing::debug!(hash = %transaction.tx_hash(), sender = %transaction.signer(), %reason, "free transaction dropped");
            self.pool().remove(*transaction.tx_hash());
        }
    }

    /// Nonce and balance (wei) at the head.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn account(&self, address: Address) -> Result<Account, StoreError> {
        let state = match self.chain.state_at(self.chain.head().number) {
            Ok(state) => state,
            Err(SimulateError::Store(error)) => return Err(error),
            // The head's state is never pruned; when the head moved on meanwhile, the older one is still there.
            Err(error) => return Err(StoreError::Corrupt { table: "state of the head", detail: error.to_string() }),
        };
        let account = state.account(address)?.unwrap_or_default();
        Ok(Account { nonce: account.nonce, balance: account.balance })
    }
}

/// Senders, and authorities of EIP-7702.
fn accounts_with_changed_nonce(finalized: &Finalized) -> BTreeSet<Address> {
    let authorities = finalized
        .block
        .transactions
        .iter()
        .filter_map(|transaction| transaction.authorization_list())
        .flatten()
        .filter_map(|authorization| authorization.recover_authority().ok());
    finalized.senders.iter().copied().chain(authorities).collect()
}
