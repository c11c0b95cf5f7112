//! Making a block final, durably.

use std::sync::{Arc, PoisonError, atomic::Ordering};

use alloy_primitives::B256;

use super::{
    error::FinalizeError,
    open::{Chain, Changed},
    receipts::receipts_batch,
    rows::{block_batch, state_batch, stored_hash},
    stored::{Finalized, Stored},
};
use crate::{
    block::Block,
    execution::{BlockError, Executed, Stop},
    state::store::{Store, StoreError, Table},
};

impl<S: Store> Chain<S> {
    /// Makes a block final, with the certificate that was kept for it, if any. See [`Self::finalize_certified`].
    ///
    /// # Errors
    ///
    /// Every [`FinalizeError`] is fatal: stop.
    pub fn finalize(&self, block: &Block) -> Result<Option<Arc<Finalized>>, FinalizeError> {
        self.finalize_certified(block, None)
    }

    /// Makes a block final, with its certificate: one atomic batch, on disk when this returns. `None` when it was final already.
    ///
    /// Certificates are not part of any hash; any valid one will do.
    ///
    /// # Errors
    ///
    /// Every [`FinalizeError`] is fatal: stop.
    pub fn finalize_certified(
        &self,
        block: &Block,
        certificate: Option<&[u8]>,
    ) -> Result<Option<Arc<Finalized>>, FinalizeError> {
        let _one_at_a_time = self.finalizing.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, hash) = (block.number(), block.hash());
        let head = self.head().number;
        if number <= head {
            return match stored_hash(&self.store, number)? {
                Some(stored) if stored != hash => Err(FinalizeError::Conflict { number, stored, got: hash }),
                _ => {
                    certificate.map_or(Ok(()), |certificate| self.put_finality(number, certificate))?;
                    Ok(None)
                }
            };
        }
        if number > head + 1 {
            return Err(FinalizeError::Gap { got: number, head });
        }
        let executed = self.executed(block, hash)?;
        if executed.block.header.parent_hash != self.head_hash() {
            let (stored, got) = (self.head_hash(), executed.block.header.parent_hash);
            return Err(FinalizeError::Conflict { number: head, stored, got });
        }
        self.write(&executed, certificate)?;
        let finalized = self.share(&executed);
        self.advance(&executed);
        self.senders.forget(&finalized.block);
        Ok(Some(Arc::new(finalized)))
    }

    /// The block in the form in which it is read, kept before anybody can ask for it.
    fn share(&self, executed: &Executed) -> Finalized {
        let Executed { block, hash, senders, receipts, .. } = executed;
        let stored = Arc::new(Stored { block: block.clone(), hash: *hash, senders: senders.clone() });
        let receipts = Arc::new(receipts.clone());
        self.keep_block(stored.clone());
        self.keep_receipts(block.number(), receipts.clone());
        Finalized { stored, receipts }
    }

    /// The block as it was executed before the vote, or now.
    fn executed(&self, block: &Block, hash: B256) -> Result<Arc<Executed>, FinalizeError> {
        let cached = self.tip().pending.get(hash).cloned();
        if let Some(executed) = cached {
            return Ok(executed);
        }
        self.execute(block, &Stop::never()).map(Arc::new).map_err(|error| match error {
            BlockError::Store(error) => error.into(),
            error => FinalizeError::Invalid { number: block.number(), error: Box::new(error) },
        })
    }

    /// Block, certificate, state and history, in one batch. Readers of older state are told before it becomes visible.
    fn write(&self, executed: &Executed, certificate: Option<&[u8]>) -> Result<(), StoreError> {
        let number = executed.block.number();
        let mut batch = block_batch(executed);
        receipts_batch(&mut batch, executed);
        self.move_ahead(&mut batch, number, certificate)?;
        state_batch(&mut batch, executed, true);
        self.prune(&mut batch, number)?;
        self.writing.store(number, Ordering::SeqCst);
        self.store.write(batch)
    }

    /// The block is the head; what does not stand on it is no longer pending.
    fn advance(&self, executed: &Executed) {
        let number = executed.block.number();
        let changes = executed.overlay.changes().filter(|(table, ..)| *table == Table::Account);
        let accounts = changes.map(|(_, key, _)| B256::from_slice(key)).collect();
        *self.changed.lock().unwrap_or_else(PoisonError::into_inner) = Changed { number, accounts };
        let mut tip = self.tip.write().unwrap_or_else(PoisonError::into_inner);
        tip.head = executed.block.header.clone();
        tip.hash = executed.hash;
        tip.recent.push(executed.hash);
        tip.pending.advance(executed.block.number(), executed.hash);
    }
}
