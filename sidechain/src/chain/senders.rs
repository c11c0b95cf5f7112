//! Senders of transactions: recovered once, by whoever sees a transaction first, and remembered until it is final.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use alloy_primitives::{Address, B256};

use crate::{
    block::{Block, Transaction, TxEnvelope, recover},
    execution::{BlockError, Stop},
};

/// Senders remembered for transactions that are not final: 52 bytes each, 7 MB.
const MAX_SENDERS: usize = 1 << 17;

/// Below this, starting threads costs more than it gains (a recovery takes about 30 microseconds).
const PARALLEL_FROM: usize = 64;

/// By transaction hash, which the signature is part of.
#[derive(Debug, Default)]
pub(super) struct Senders(Mutex<HashMap<B256, Address>>);

impl Senders {
    pub(super) fn remember(&self, transaction: &Transaction) {
        let mut known = self.known();
        if known.len() >= MAX_SENDERS {
            known.clear();
        }
        known.insert(*transaction.inner().tx_hash(), transaction.signer());
    }

    pub(super) fn forget(&self, block: &Block) {
        let mut known = self.known();
        for envelope in &block.transactions {
            known.remove(envelope.tx_hash());
        }
    }

    /// The transactions of a block with their senders: remembered, or recovered on all cores.
    ///
    /// # Errors
    ///
    /// `Transaction` for the first that has no valid sender on this chain; `Stopped`.
    pub(super) fn recover(&self, block: &Block, chain_id: u64, stop: &Stop) -> Result<Vec<Transaction>, BlockError> {
        let all: Vec<_> = {
            let known = self.known();
            let known = |envelope: &TxEnvelope| known.get(envelope.tx_hash()).copied();
            let transactions = block.transactions.iter().enumerate();
            transactions.map(|(index, envelope)| (index, envelope, known(envelope))).collect()
        };
        let one = |(index, envelope, known): (usize, &TxEnvelope, Option<Address>)| match known {
            Some(sender) => Ok(Transaction::new_unchecked(envelope.clone(), sender)),
            None if stop.is_stopped() => Err(BlockError::Stopped),
            None => recover(envelope.clone(), chain_id).map_err(|error| BlockError::Transaction {
                index,
                hash: *envelope.tx_hash(),
                error: error.into(),
            }),
        };
        let missing = all.iter().filter(|(_, _, known)| known.is_none()).count();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        if missing < PARALLEL_FROM || threads == 1 {
            return all.into_iter().map(one).collect();
        }
        std::thread::scope(|scope| {
            let parts = all.chunks(all.len().div_ceil(threads));
            let workers: Vec<_> = parts
                .map(|part| scope.spawn(move || part.iter().copied().map(one).collect::<Result<Vec<_>, _>>()))
                .collect();
            workers.into_iter().try_fold(Vec::with_capacity(all.len()), |mut found, worker| {
                found.extend(worker.join().expect("recovering a sender does not panic")?);
                Ok(found)
            })
        })
    }

    fn known(&self) -> MutexGuard<'_, HashMap<B256, Address>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
