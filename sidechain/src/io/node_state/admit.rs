//! How transactions get into the pool: what needs no state first, then the sender, then its account, then the pool's own rules.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use tokio::sync::broadcast;

use super::accounts::{Accounts, read_account};
use super::journal::Journal;
use crate::block::{Transaction, TransactionError, decode_transaction, is_free};
use crate::chain::{Chain, SimulateError};
use crate::execution::{self, InclusionError, Stop};
use crate::io::NodeStore;
use crate::mempool::{Account, AdmissionRules, Arrival, Inadmissible, Lane, Mempool, Refused};
use crate::state::store::StoreError;

/// Below this, starting threads costs more than it gains: a sender is recovered in about 30 µs.
const PARALLEL_FROM: usize = 64;

/// A transaction that is in the pool, or in a final block already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    pub hash: B256,
    /// Whether a node that got it from its user passes it on to the others.
    pub pass_on: bool,
}

/// Why a transaction was not taken. The sender of the bytes is at fault, except for `Store`, `Busy`, and `Simulate` with a failing
/// store.
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
    /// Too many wait to be checked, most of them of the same source.
    #[error("too many transactions wait to be checked: try again")]
    Busy,
    /// The node copies a state, and has no pool until then.
    #[error(
        "this node copies the state of a later block, and takes no transactions until it has it: send it to another node, or later"
    )]
    Copying,
    /// A panic: only this transaction is given up.
    #[error("this transaction sets off a bug of the node, whose log says which: tell the operator")]
    Bug,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(super) type Admission = Result<Admitted, AdmitError>;

/// How far a transaction of a batch came.
pub(super) enum Step {
    Done(Admission),
    /// A free one, which is to be run first.
    Try(Box<Transaction>),
}

/// The pool's door. Everything here blocks: call it from a worker.
pub(super) struct Door {
    pub(super) chain: Arc<Chain<NodeStore>>,
    pub(super) mempool: Mutex<Mempool>,
    pub(super) pending: broadcast::Sender<B256>,
    pub(super) accounts: Accounts,
    /// Where what waits is kept for the next start, if it is.
    pub(super) journal: OnceLock<Arc<Journal>>,
}

/// A transaction that passed what can be said without the pool, and the head that its account was read at.
pub(super) struct Checked {
    pub(super) arrival: Arrival,
    head: u64,
}

/// What the pool said.
pub(super) enum Said {
    Done(Admission),
    /// Whether it is final already is asked when the pool is free again.
    Refused(B256, Refused),
}

/// How far one of a batch came under the pool's lock.
enum Asked {
    Said(Said),
    Try(Box<Transaction>),
}

/// What became of a transaction before the pool was asked.
pub(super) enum Prepared {
    Paid(Box<Checked>),
    Free(Box<Transaction>),
    Refused(AdmitError),
    /// It is in the pool.
    Known(B256),
}

impl Door {
    /// The pool. Held only for moments: nothing is executed under the lock.
    pub(super) fn pool(&self) -> MutexGuard<'_, Mempool> {
        // The pool is changed by methods that do not panic halfway; a panic elsewhere does not spoil it.
        self.mempool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a batch: decodes and recovers on all cores, then asks the pool for all of it under one lock. One step for each.
    pub(super) fn take(&self, batch: &[Bytes], now_ms: u64) -> Vec<Step> {
        let prepared = self.prepare(batch);
        let mut fresh = Vec::new();
        let mut pool = self.pool();
        let asked: Vec<Asked> = prepared
            .into_iter()
            .map(|prepared| match prepared {
                Prepared::Paid(checked) => Asked::Said(self.put(&mut pool, *checked, now_ms, &mut fresh)),
                Prepared::Free(transaction) => Asked::Try(transaction),
                Prepared::Refused(error) => Asked::Said(Said::Done(Err(error))),
                Prepared::Known(hash) => Asked::Said(Said::Done(Ok(retried(&mut pool, hash, now_ms)))),
            })
            .collect();
        drop(pool);
        if let Some(journal) = self.journal.get() {
            journal.add(&fresh, now_ms);
        }
        self.announce(&fresh);
        let step = |asked| match asked {
            Asked::Said(said) => Step::Done(self.settle(said)),
            Asked::Try(transaction) => Step::Try(transaction),
        };
        asked.into_iter().map(step).collect()
    }

    /// Runs a free transaction on the head, and takes it if it succeeds.
    pub(super) fn take_free(&self, transaction: &Transaction, now_ms: u64) -> Admission {
        let (hash, sender) = (*transaction.tx_hash(), transaction.signer());
        let (account, head) = self.accounts.get(&self.chain, sender)?;
        let checked = Checked { arrival: arrival(transaction.clone(), Lane::Free, account, Vec::new()), head };
        // Before it is run: what would be refused in any case costs nobody anything.
        let begun = self.begin_trial(&checked.arrival, now_ms);
        match begun {
            Err(Refused::AlreadyKnown) => return Ok(retried(&mut self.pool(), hash, now_ms)),
            Err(refused) => return self.settle(Said::Refused(hash, refused)),
            Ok(()) => self.try_free(&checked.arrival.transaction, account.nonce)?,
        }
        let mut fresh = Vec::new();
        let said = self.put(&mut self.pool(), checked, now_ms, &mut fresh);
        self.announce(&fresh);
        self.settle(said)
    }

    fn begin_trial(&self, arrival: &Arrival, now_ms: u64) -> Result<(), Refused> {
        let mut pool = self.pool();
        pool.check(arrival, now_ms)?;
        pool.begin_trial(arrival.transaction.signer(), arrival.transaction.gas_limit(), now_ms)
    }

    /// Removes free transactions from the pool that cannot succeed on the head any more.
    pub(super) fn try_free_heads_again(&self, now_ms: u64) {
        let heads: Vec<_> = self.pool().free_heads().cloned().collect();
        for transaction in heads {
            let (sender, gas) = (transaction.signer(), transaction.gas_limit());
            if !self.pool().begin_repeated_trial(sender, gas, now_ms) {
                continue;
            }
            match self.chain.check_free(&transaction, &Stop::never()) {
                Ok(outcome) => self.pool().end_repeated_trial(sender, gas.saturating_sub(outcome.gas_used)),
                Err(SimulateError::Invalid(reason)) => {
                    tracing::debug!(hash = %transaction.tx_hash(), %sender, %reason, "free transaction dropped");
                    self.pool().remove(*transaction.tx_hash());
                }
                Err(_) => {}
            }
        }
    }

    /// Nonce and balance (wei) at the head.
    pub(super) fn account(&self, address: Address) -> Result<Account, StoreError> {
        read_account(&self.chain, address).map(|(account, _)| account)
    }

    pub(super) fn prepare(&self, batch: &[Bytes]) -> Vec<Prepared> {
        let known: Vec<Option<B256>> = {
            // The hash of a transaction is that of its encoding.
            let hashes: Vec<B256> = batch.iter().map(keccak256).collect();
            let pool = self.pool();
            hashes.into_iter().map(|hash| pool.contains(hash).then_some(hash)).collect()
        };
        let rules = AdmissionRules { block_gas_limit: self.chain.head().gas_limit };
        let one = |(raw, known): (&Bytes, &Option<B256>)| match known {
            Some(hash) => Prepared::Known(*hash),
            None => self.prepare_one(raw, &rules).unwrap_or_else(Prepared::Refused),
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        if batch.len() < PARALLEL_FROM || threads == 1 {
            return batch.iter().zip(&known).map(one).collect();
        }
        let part = batch.len().div_ceil(threads);
        std::thread::scope(|scope| {
            let parts = batch.chunks(part).zip(known.chunks(part));
            let workers: Vec<_> = parts
                .map(|(raws, known)| scope.spawn(move || raws.iter().zip(known).map(one).collect::<Vec<_>>()))
                .collect();
            let done = workers.into_iter().flat_map(|worker| worker.join().expect("preparing does not panic"));
            done.collect()
        })
    }

    fn prepare_one(&self, raw: &[u8], rules: &AdmissionRules) -> Result<Prepared, AdmitError> {
        let transaction = decode_transaction(raw, self.chain.genesis().chain_id)?;
        rules.check(transaction.inner())?;
        if is_free(transaction.inner()) {
            // Nobody else gets so far that anything is run or queued for it.
            let not_free = |error| AdmitError::Simulate(SimulateError::Invalid(error));
            execution::check_free(self.chain.rules(), &transaction).map_err(not_free)?;
            return Ok(Prepared::Free(Box::new(transaction)));
        }
        let (account, head) = self.accounts.get(&self.chain, transaction.signer())?;
        let authorities = self.authorities(&transaction, account.balance)?;
        Ok(Prepared::Paid(Box::new(Checked { arrival: arrival(transaction, Lane::Paid, account, authorities), head })))
    }

    /// Who signed authorizations that this transaction could use. Each costs as much as the transaction's own signature, so
    /// not before its sender is known to be able to pay for them.
    fn authorities(&self, transaction: &Transaction, balance: U256) -> Result<Vec<Address>, StoreError> {
        let gas = U256::from(transaction.gas_limit());
        if gas.saturating_mul(U256::from(transaction.max_fee_per_gas())) > balance {
            return Ok(Vec::new());
        }
        let chain_id = U256::from(self.chain.genesis().chain_id);
        let mut authorities = Vec::new();
        for authorization in transaction.authorization_list().unwrap_or_default() {
            if !authorization.chain_id.is_zero() && authorization.chain_id != chain_id {
                continue;
            }
            let Ok(authority) = authorization.recover_authority() else { continue };
            // Old ones are public, and anybody could put them into a transaction.
            if authorization.nonce >= self.accounts.get(&self.chain, authority)?.0.nonce {
                authorities.push(authority);
            }
        }
        Ok(authorities)
    }

    /// Puts a transaction into the pool. A block that became final since its account was read is seen here, or by `on_finalized`
    /// afterwards: both hold the pool.
    pub(super) fn put(
        &self,
        pool: &mut Mempool,
        checked: Checked,
        now_ms: u64,
        fresh: &mut Vec<Arc<Transaction>>,
    ) -> Said {
        let Checked { mut arrival, head } = checked;
        if self.chain.head().number != head {
            match self.account(arrival.transaction.signer()) {
                Ok(account) => arrival.account = account,
                Err(error) => return Said::Done(Err(error.into())),
            }
        }
        let hash = *arrival.transaction.tx_hash();
        let transaction = Arc::clone(&arrival.transaction);
        match pool.add(arrival, now_ms) {
            Ok(_) => {
                fresh.push(transaction);
                Said::Done(Ok(Admitted { hash, pass_on: true }))
            }
            Err(Refused::AlreadyKnown) => Said::Done(Ok(retried(pool, hash, now_ms))),
            Err(refused) => Said::Refused(hash, refused),
        }
    }

    /// A user whose first answer was lost sends again what is final by now: it did what it was to do, so it is not refused for a
    /// nonce that it used itself.
    fn settle(&self, said: Said) -> Admission {
        match said {
            Said::Done(admission) => admission,
            Said::Refused(hash, Refused::NonceTooLow { .. }) if self.chain.has_transaction(hash)? => {
                Ok(Admitted { hash, pass_on: false })
            }
            Said::Refused(_, refused) => Err(refused.into()),
        }
    }

    pub(super) fn announce(&self, fresh: &[Arc<Transaction>]) {
        for transaction in fresh {
            self.chain.remember_sender(transaction);
            // Nobody may be listening.
            let _ = self.pending.send(*transaction.tx_hash());
        }
    }

    /// A free transaction that is its sender's next must succeed on the head. One that follows another cannot be judged
    /// yet: it is bounded in number, and judged when it is next.
    fn try_free(&self, transaction: &Transaction, next: u64) -> Result<(), SimulateError> {
        let (sender, nonce) = (transaction.signer(), transaction.nonce());
        let waits = nonce > next && self.pool().content_from(sender).next().is_some();
        match self.chain.check_free(transaction, &Stop::never()) {
            Err(SimulateError::Invalid(InclusionError::FreeFailed { .. })) if waits => Ok(()),
            Err(error) => Err(error),
            Ok(outcome) => {
                self.pool().end_trial(sender, transaction.gas_limit().saturating_sub(outcome.gas_used));
                Ok(())
            }
        }
    }
}

/// One that waits in the pool was sent again.
fn retried(pool: &mut Mempool, hash: B256, now_ms: u64) -> Admitted {
    Admitted { hash, pass_on: pool.on_retry(hash, now_ms) }
}

fn arrival(transaction: Transaction, lane: Lane, account: Account, authorities: Vec<Address>) -> Arrival {
    Arrival { transaction: transaction.into(), lane, account, authorities }
}
