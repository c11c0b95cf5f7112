//! The state that all parts of a node share.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use alloy_primitives::{Address, B256, Bytes};
use api::peg::PaymentProof;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::{
    accounts::Accounts,
    admit::{AdmitError, Admitted, Door, Step},
    final_blocks::FinalBlocks,
    intake::{Intake, Source},
    outside::{Gossip, Upstream},
};
use crate::block::{is_free, next_base_fee};
use crate::chain::{Arrival, Chain, Finalized, Origin, Registration};
use crate::counters::Counters;
use crate::execution::Stop;
use crate::io::{NodeStore, registrar::Registrar, snapshots::Snapshots};
use crate::mempool::{Account, Mempool};
use crate::peg::{self, RegisterError};
use crate::standing::Facts;
use crate::state::store::StoreError;

/// Final blocks a slow subscriber may lag behind before it reads them from the store instead.
const FINALIZED_BUFFER: usize = 64;

/// Hashes of new transactions a slow subscriber may lag behind before it misses some.
const PENDING_BUFFER: usize = 4_096;

/// The state that all parts of a node share. Cheap to clone. The wiring makes it, gives it to the RPC, and calls
/// [`Self::on_finalized`] after each final block, and [`Self::submit`], [`Self::deliver`] or [`Self::register_gossiped`] for what arrives.
#[derive(Clone)]
pub struct NodeState {
    /// Final blocks and their state.
    pub chain: Arc<Chain<NodeStore>>,
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
    /// What others may copy.
    pub snapshots: Arc<Snapshots>,
    /// What is counted for the operator's monitoring.
    pub counters: Arc<Counters>,
    /// Final blocks that the log has not told yet.
    pub final_blocks: Arc<FinalBlocks>,
    /// How this node stands to its network; see [`Self::facts`].
    standing: Arc<Mutex<Facts>>,
    /// How transactions come into the pool, and the pool itself.
    door: Arc<Door>,
    intake: Arc<Intake>,
    /// Whether what is sent here would be lost; see [`Self::taking_nothing`].
    takes_nothing: bool,
}

impl NodeState {
    /// A node that starts with `mempool`, on the head of `chain`.
    #[must_use]
    pub fn new(
        chain: Arc<Chain<NodeStore>>,
        mut mempool: Mempool,
        gossip: mpsc::Sender<Gossip>,
        upstream: Option<Arc<dyn Upstream>>,
    ) -> Self {
        mempool.set_base_fee(next_base_fee(&chain.head()));
        mempool.fit_to_lane(chain.rules().member_gas(), chain.genesis().block.interval_ms);
        let pending = broadcast::Sender::new(PENDING_BUFFER);
        let door = Arc::new(Door {
            chain: chain.clone(),
            mempool: Mutex::new(mempool),
            pending: pending.clone(),
            accounts: Accounts::default(),
            journal: OnceLock::new(),
        });
        Self {
            chain,
            gossip,
            finalized: broadcast::Sender::new(FINALIZED_BUFFER),
            pending,
            registrar: Arc::default(),
            upstream,
            snapshots: Arc::new(Snapshots::new(Snapshots::EVERY)),
            counters: Arc::default(),
            final_blocks: Arc::default(),
            standing: Arc::default(),
            intake: Arc::new(Intake::new(door.clone())),
            door,
            takes_nothing: false,
        }
    }

    /// The same with other snapshots for others to copy.
    #[must_use]
    pub fn with_snapshots(self, snapshots: Snapshots) -> Self {
        Self { snapshots: Arc::new(snapshots), ..self }
    }

    /// The same, which refuses every transaction: its pool ends with it, and nobody else hears what is in it.
    #[must_use]
    pub fn taking_nothing(self) -> Self {
        Self { takes_nothing: true, ..self }
    }

    /// What is known of how this node stands to its network. Held for moments.
    pub fn facts(&self) -> MutexGuard<'_, Facts> {
        // Plain values: a panic elsewhere does not spoil them.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a block that is final somewhere.
    pub fn heard_of(&self, number: u64) {
        let head = self.chain.head().number;
        self.facts().hear(number, head);
    }

    /// The pool. Held only for moments: nothing is executed under the lock.
    pub fn pool(&self) -> MutexGuard<'_, Mempool> {
        self.door.pool()
    }

    /// Takes up what waited in a file when the last process ended, and keeps there from now on what waits. To be called once, before clients and
    /// peers are served. `now_ms` is Unix time. Blocks. A file that cannot be read or written is logged, and stops nothing.
    pub fn keep_pool_in(&self, path: PathBuf, now_ms: u64) {
        self.door.keep_in(path, now_ms);
    }

    /// How often what waits could not be kept for the next start.
    pub fn journal_errors(&self) -> u64 {
        self.door.journal.get().map_or(0, |journal| journal.errors())
    }

    #[cfg(test)]
    pub(super) fn door_for_tests(&self) -> &Door {
        &self.door
    }

    /// Starts what goes on by itself: the pool's clock, and trying free transactions again after each final block.
    pub fn start(&self) {
        self.intake.start();
    }

    /// Takes a transaction in its source's turn.
    ///
    /// # Errors
    ///
    /// `AdmitError`; nothing is kept.
    pub async fn submit(&self, source: Source, raw: Bytes) -> Result<Admitted, AdmitError> {
        if self.takes_nothing {
            return Err(AdmitError::Copying);
        }
        let (answer, answered) = oneshot::channel();
        self.intake.push(source, raw, Some(answer));
        // Without an answer the node is stopping.
        answered.await.unwrap_or(Err(AdmitError::Busy))
    }

    /// The same for one that nobody waits for: a peer's.
    pub fn deliver(&self, source: Source, raw: Bytes) {
        self.intake.push(source, raw, None);
    }

    /// Takes a transaction at once, in this thread, past the queue: for tests and tools. `now_ms` is Unix time. Blocks; for a free one
    /// as long as it runs.
    ///
    /// # Errors
    ///
    /// `AdmitError`; nothing is kept.
    pub fn admit(&self, raw: &[u8], now_ms: u64) -> Result<B256, AdmitError> {
        let mut steps = self.door.take(&[Bytes::copy_from_slice(raw)], now_ms);
        let admitted = match steps.pop().expect("one step for each") {
            Step::Done(admission) => admission?,
            Step::Try(transaction) => self.door.take_free(&transaction, now_ms)?,
        };
        Ok(admitted.hash)
    }

    /// Takes deposit registrations that another validator sent, within its quota: they are on disk soon. Blocks.
    pub fn register_gossiped(&self, peer: &[u8], sent: Vec<(Registration, Option<PaymentProof>)>, now_ms: u64) {
        for (registration, proof) in sent {
            if !self.registrar.may_bring(peer, proof.is_some(), now_ms) {
                tracing::debug!("a validator sends too many deposit registrations");
                continue;
            }
            let taken = self.arrival(registration, Origin::peer(peer), proof.as_ref(), &Stop::never());
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
        stop: &Stop,
    ) -> Result<Arrival, RegisterError> {
        peg::check_registration(&self.chain, &registration, stop)?;
        let output_key = registration.output_key;
        let payment = proof.map(|proof| peg::payment(&self.chain, output_key, proof, stop)).transpose()?;
        Ok(Arrival { output_key, registration: Some(registration), origin, payment })
    }

    /// Keeps the registrations of deposits that a final block put into the ledger, until their coins are made.
    fn note_proven(&self, finalized: &Finalized) {
        let logs = finalized.receipts.iter().flat_map(|receipt| receipt.logs());
        for (output_key, payment) in logs.filter_map(peg::proven) {
            let arrival = Arrival { output_key, registration: None, origin: Origin::USERS, payment: Some(payment) };
            if let Err(error) = self.registrar.enqueue_unanswered(arrival) {
                tracing::debug!(%error, "a deposit's registration is not marked as paid");
            }
        }
    }

    /// Takes in a final block: the pool learns of the accounts that it changed, subscribers of the block. Free transactions that
    /// cannot succeed any more leave soon after, by a thread of their own. `now_ms` is Unix time. Blocks; call it after
    /// `Chain::finalize`, in the order of blocks.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn on_finalized(&self, finalized: Arc<Finalized>, now_ms: u64) -> Result<(), StoreError> {
        let changed = self.changed_senders(&finalized);
        let read = |address| Ok((address, self.account(address)?));
        let accounts = changed.into_iter().map(read).collect::<Result<Vec<_>, StoreError>>()?;
        let base_fee = next_base_fee(&finalized.block.header);
        self.pool().on_finalized(base_fee, free_gas(&finalized), accounts, now_ms);
        self.intake.on_new_head();
        self.note_proven(&finalized);
        // Nobody may be listening.
        let _ = self.finalized.send(finalized);
        Ok(())
    }

    /// Removes free transactions that cannot succeed on the head any more, at once; [`Self::start`]ed nodes do it by themselves.
    pub fn try_free_heads_again(&self, now_ms: u64) {
        self.door.try_free_heads_again(now_ms);
    }

    /// The senders in the pool whose account a block changed in any way: by their own transactions, or because somebody called
    /// or delegated them.
    fn changed_senders(&self, finalized: &Finalized) -> Vec<Address> {
        let changed = self.chain.changed();
        let pool = self.pool();
        if changed.number == finalized.block.header.number {
            pool.senders_among(changed.accounts.iter())
        } else {
            // The chain is further already, and remembers only its last block.
            pool.senders().collect()
        }
    }

    /// Nonce, balance (wei) and kind of code at the head.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn account(&self, address: Address) -> Result<Account, StoreError> {
        self.door.account(address)
    }
}

/// Gas that each free transaction of a block used.
fn free_gas(finalized: &Finalized) -> Vec<(Address, u64)> {
    let before = std::iter::once(0).chain(finalized.receipts.iter().map(|receipt| receipt.cumulative_gas_used()));
    let gas = finalized.receipts.iter().zip(before).map(|(receipt, before)| receipt.cumulative_gas_used() - before);
    let used = finalized.block.transactions.iter().zip(&finalized.senders).zip(gas);
    used.filter(|((transaction, _), _)| is_free(transaction)).map(|((_, sender), gas)| (*sender, gas)).collect()
}
