//! The block that would come next if it were made now, and the state after it. Nobody votes for it, and it is kept nowhere: whoever made it drops
//! it when it is old.
//!
//! ```text
//!   ... - N   N+1: final later, with other transactions or the same
//!          \
//!           preview: number N+1, of what waits now
//! ```
//! It is read over the state of its own parent, so that a block which becomes final meanwhile changes nothing in it.

use std::sync::Arc;

use alloy_primitives::B256;

use super::{
    error::SimulateError,
    open::Chain,
    propose::{Offers, fill},
    state_at::StateAt,
    stored::{Finalized, Stored},
};
use crate::{
    block::Header,
    execution::{Execution, Stop, child_header},
    state::{
        Overlay, StateReader, Working,
        store::{Store, StoreError, Table},
    },
};

/// A block that nobody has agreed on.
#[derive(Debug)]
pub struct Preview {
    /// Block and receipts, as of a final one. Its hash is of nothing that will ever be.
    pub block: Finalized,
    overlay: Overlay,
}

/// State after a final block, or after a preview on one.
pub struct StateIn<'a, S> {
    base: StateAt<'a, S>,
    preview: Option<Arc<Preview>>,
}

impl Preview {
    pub fn header(&self) -> &Header {
        &self.block.block.header
    }
}

impl<S: Store> Chain<S> {
    /// Makes a block on the head of what is offered, for whoever wants to see what would come next.
    ///
    /// # Errors
    ///
    /// `Stopped`, `Store`.
    pub fn preview(&self, now_ms: u64, offers: &mut impl Offers, stop: &Stop) -> Result<Preview, SimulateError> {
        let (head, hash) = {
            let tip = self.tip();
            (tip.head.clone(), tip.hash)
        };
        let state = self.state_at(head.number)?;
        let header = child_header(&self.rules, &head, hash, head.timestamp.max(now_ms / 1_000), head.beneficiary);
        let mut execution = Execution::new(&self.rules, header, Working::new(&state, &self.codes))?;
        fill(&mut execution, offers, stop)?;
        let executed = execution.finish(head.state_root, stop)?;
        let stored = Stored { block: executed.block, hash: executed.hash, senders: executed.senders };
        let block = Finalized { stored: Arc::new(stored), receipts: Arc::new(executed.receipts) };
        Ok(Preview { block, overlay: executed.overlay })
    }

    /// State after a final block.
    ///
    /// # Errors
    ///
    /// As [`Self::state_at`].
    pub fn state_after(&self, number: u64) -> Result<StateIn<'_, S>, SimulateError> {
        Ok(StateIn { base: self.state_at(number)?, preview: None })
    }

    /// State after a preview.
    ///
    /// # Errors
    ///
    /// `Pruned`: its parent is long past.
    pub fn state_in(&self, preview: Arc<Preview>) -> Result<StateIn<'_, S>, SimulateError> {
        Ok(StateIn { base: self.state_at(preview.header().number - 1)?, preview: Some(preview) })
    }
}

impl<S: Store> StateReader for StateIn<'_, S> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.preview.as_ref().and_then(|preview| preview.overlay.get(table, key)) {
            Some(row) => Ok(row),
            None => self.base.get(table, key),
        }
    }

    fn block_hash(&self, number: u64) -> Result<Option<B256>, StoreError> {
        self.base.block_hash(number)
    }
}
