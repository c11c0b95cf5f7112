//! Executing a block that another proposed, before it gets a vote.

use super::{open::Chain, rows::stored_hash};
use crate::{
    block::{Block, Header},
    execution::{self, BlockError, Executed, Execution, Stop, child_header},
    state::{Working, store::Store},
};

/// How far a proposer's clock may run ahead of ours, in milliseconds.
pub const MAX_CLOCK_DRIFT_MS: u64 = 2_000;

impl<S: Store> Chain<S> {
    /// Executes a block on its parent's state and checks everything in it. Keeps the result for [`Self::finalize`].
    ///
    /// # Errors
    ///
    /// See [`BlockError`].
    pub fn verify(&self, block: &Block, now_ms: u64, stop: &Stop) -> Result<(), BlockError> {
        let hash = block.hash();
        // The hash is the header's alone, so the transactions are compared too.
        let known = self.tip().pending.get(hash).is_some_and(|known| known.block == *block);
        if known {
            return Ok(());
        }
        let (number, head) = (block.number(), self.head().number);
        if number <= head {
            let known = stored_hash(&self.store, number)? == Some(hash) && block.is_whole();
            return if known { Ok(()) } else { Err(BlockError::Final { number, head }) };
        }
        let want = now_ms.saturating_add(MAX_CLOCK_DRIFT_MS) / 1000;
        let got = block.header.timestamp;
        // Where a quorum's clocks ran ahead once, time stands still until the others have caught up, and blocks come meanwhile.
        let stands_still = || self.view(block.header.parent_hash).is_some_and(|view| got == view.parent.timestamp);
        if got > want && !stands_still() {
            return Err(BlockError::Future { got, want });
        }
        let executed = self.execute(block, stop)?;
        self.keep(executed);
        Ok(())
    }

    /// Runs a block and checks all of it except its time against the clock.
    pub(super) fn execute(&self, block: &Block, stop: &Stop) -> Result<Executed, BlockError> {
        let Header { number, parent_hash: parent, timestamp, beneficiary, .. } = block.header;
        let view = self.view(parent).ok_or(BlockError::UnknownParent { number, parent })?;
        if timestamp < view.parent.timestamp {
            let want = format!("at least {}, the parent's", view.parent.timestamp);
            return Err(BlockError::Header { field: "timestamp", got: timestamp.to_string(), want });
        }
        let header = child_header(&self.rules, &view.parent, parent, timestamp, beneficiary);
        // Refused before anything is run, so that a bad header costs us nothing.
        if number != header.number {
            let want = header.number.to_string();
            return Err(BlockError::Header { field: "number", got: number.to_string(), want });
        }
        let transactions = self.senders.recover(block, self.rules.chain_id, stop)?;
        let mut execution = Execution::new(&self.rules, header, Working::new(&view, &self.codes))?;
        transactions.iter().try_for_each(|transaction| execution.include(transaction, stop))?;
        let executed = execution.finish(view.parent.state_root, stop)?;
        execution::compare(&block.header, &executed.block.header)?;
        Ok(executed)
    }
}
