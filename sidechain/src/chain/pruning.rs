//! Removing old state, proofs and blocks, in steps that a commit can bear.

use std::sync::atomic::Ordering;

use super::{
    log_index::{Subject, row_key},
    open::Chain,
    receipts::remove_receipts,
    retention::{PEG, Retention, Window},
    rows::{META_BODIES_SWEPT, block_number, decode_body},
};
use crate::state::{
    store::{Batch, Store, StoreError, Table},
    undo,
};

/// Pages of undo records read at once.
const PAGES: usize = 64;

/// Pages of undo records removed with one block: 8 MB. More than a block adds, so that a window that was shortened is swept soon.
const MAX_PAGES: usize = 1024;

/// Bodies removed with one block; more than the one that it adds.
const MAX_BODIES: u64 = 32;

/// Bytes of bodies, receipts and their index removed with one block, if the first is not larger.
const MAX_BODY_BYTES: usize = 4 << 20;

impl<S: Store> Chain<S> {
    /// Removes what is no longer kept once block `number` is final.
    pub(super) fn prune(&self, batch: &mut Batch, number: u64) -> Result<(), StoreError> {
        let Retention { state_blocks, proof_blocks, body_blocks } = self.retention;
        if let Some(blocks) = proof_blocks {
            let index = Table::NodeIndex;
            self.prune_records(batch, Table::NodeUndo, index, &self.windows.proofs, number.saturating_sub(blocks))?;
        }
        if let Some(blocks) = state_blocks {
            let index = Table::StateIndex;
            self.prune_records(batch, Table::StateUndo, index, &self.windows.states, number.saturating_sub(blocks))?;
        }
        if let Some(blocks) = body_blocks {
            self.prune_bodies(batch, number.saturating_sub(blocks))?;
        }
        Ok(())
    }

    /// Makes `oldest` the oldest block whose rows can be read: records of it and of blocks before go.
    fn prune_records(
        &self,
        batch: &mut Batch,
        pages: Table,
        index: Table,
        window: &Window,
        oldest: u64,
    ) -> Result<(), StoreError> {
        window.shrink(batch, oldest);
        let mut from = window.swept.load(Ordering::Relaxed).to_be_bytes().to_vec();
        for _ in 0..MAX_PAGES / PAGES {
            let rows = self.store.scan(pages, &from, PAGES)?;
            let more = rows.len() == PAGES;
            for (key, page) in rows {
                let (block, kind) = undo::page_place(&key)?;
                if block > oldest {
                    return Ok(());
                }
                let number = block.to_be_bytes();
                let mut changed = undo::Rows::new(&page);
                while let Some((key, _)) = changed.advance()? {
                    batch.delete(index, [&undo::index_prefix(kind, key)[..], &number].concat());
                }
                window.swept.store(block, Ordering::Relaxed);
                // The next page's key.
                from = [&key[..], &[0]].concat();
                batch.delete(pages, key);
            }
            if !more {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Removes transactions and receipts of blocks before `oldest`, except what the peg needs.
    fn prune_bodies(&self, batch: &mut Batch, oldest: u64) -> Result<(), StoreError> {
        let window = &self.windows.bodies;
        window.shrink(batch, oldest);
        // Block 0 is what every node starts from.
        let next = match window.swept.load(Ordering::Relaxed) {
            0 => {
                self.store.get(Table::Meta, META_BODIES_SWEPT)?.map_or(Ok(0), |row| block_number(Table::Meta, &row))?
                    + 1
            }
            swept => swept + 1,
        };
        let (mut swept, mut bytes) = (next - 1, 0);
        while swept + 1 < oldest && swept + 1 < next + MAX_BODIES && bytes < MAX_BODY_BYTES {
            swept += 1;
            bytes += self.prune_body(batch, swept)?;
        }
        if swept >= next {
            window.swept.store(swept, Ordering::Relaxed);
            batch.put(Table::Meta, META_BODIES_SWEPT, swept.to_be_bytes());
        }
        Ok(())
    }

    /// The bytes of what was removed.
    fn prune_body(&self, batch: &mut Batch, number: u64) -> Result<usize, StoreError> {
        let key = number.to_be_bytes();
        if self.concerns_the_peg(number)? {
            return Ok(0);
        }
        let Some(body) = self.store.get(Table::Body, &key)? else { return Ok(0) };
        for transaction in decode_body(&body)?.0 {
            batch.delete(Table::TransactionHash, transaction.tx_hash().to_vec());
        }
        batch.delete(Table::Body, key);
        self.blocks.forget(number);
        self.receipts.forget(number);
        Ok(body.len() + remove_receipts(&self.store, batch, number)?)
    }

    /// Whether a contract of the peg logged in a block.
    fn concerns_the_peg(&self, number: u64) -> Result<bool, StoreError> {
        for emitter in PEG {
            let row = row_key(Subject::Emitter(emitter).list(), number);
            if self.store.get(Table::LogIndex, &row)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
