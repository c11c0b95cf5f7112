//! Which old state can still be read, and removing the rest.

use super::{
    open::{Chain, Retention},
    rows::{META_NODES_OLDEST, META_STATE_OLDEST, block_number, decode_undo},
};
use crate::state::store::{Batch, Store, StoreError, Table};

impl<S: Store> Chain<S> {
    pub(super) fn oldest(&self, meta: &'static [u8]) -> Result<u64, StoreError> {
        self.store.get(Table::Meta, meta)?.map_or(Ok(0), |row| block_number(Table::Meta, &row))
    }

    /// Removes history that is no longer kept once block `number` is final.
    pub(super) fn prune(&self, batch: &mut Batch, number: u64) -> Result<(), StoreError> {
        let Retention { state_blocks, proof_blocks } = self.retention;
        self.prune_history(batch, Table::NodeUndo, META_NODES_OLDEST, number.saturating_sub(proof_blocks))?;
        if let Some(blocks) = state_blocks {
            self.prune_history(batch, Table::StateUndo, META_STATE_OLDEST, number.saturating_sub(blocks))?;
        }
        Ok(())
    }

    /// Makes `oldest` the oldest block whose rows can be read: rows changed by it and before lose their history.
    fn prune_history(
        &self,
        batch: &mut Batch,
        undo: Table,
        meta: &'static [u8],
        oldest: u64,
    ) -> Result<(), StoreError> {
        /// Blocks pruned with each block; when the window was shortened, the rest follows with the next ones.
        const STEP: usize = 16;
        if oldest == 0 {
            return Ok(());
        }
        for (key, keys) in self.store.scan(undo, &[], STEP)? {
            let block = block_number(undo, &key)?;
            if block > oldest {
                break;
            }
            for (table, key) in decode_undo(&keys)? {
                batch.delete(table, [key, &block.to_be_bytes()].concat());
            }
            batch.delete(undo, key);
        }
        if self.oldest(meta)? < oldest {
            batch.put(Table::Meta, meta, oldest.to_be_bytes());
        }
        Ok(())
    }
}
