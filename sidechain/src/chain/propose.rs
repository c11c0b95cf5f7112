//! Making a block of what waits.

use alloy_primitives::{Address, B256};

use super::{error::ProposeError, open::Chain, unfinal::Role};
use crate::{
    block::{Block, Transaction},
    execution::{BlockError, Execution, Stop, child_header},
    state::{Working, store::Store},
};

impl<S: Store> Chain<S> {
    /// Makes a block on `parent` (final or pending) of the candidates that it can hold, in their order; the others
    /// are skipped. It counts as verified. After `stop` it makes none.
    ///
    /// # Errors
    ///
    /// `UnknownParent`; `Block` when it is stopped, or the store fails.
    pub fn propose(
        &self,
        parent: B256,
        now_ms: u64,
        beneficiary: Address,
        candidates: impl Iterator<Item = Transaction>,
        stop: &Stop,
    ) -> Result<Block, ProposeError> {
        let view = self.view(parent).ok_or(ProposeError::UnknownParent(parent))?;
        let timestamp = view.parent.timestamp.max(now_ms / 1000);
        let header = child_header(&self.rules, &view.parent, parent, timestamp, beneficiary);
        let mut execution = Execution::new(&self.rules, header, Working::new(&view, &self.codes))?;
        // Nothing became final for long: only empty blocks until something does.
        let room = self.has_room_above(parent, Role::Proposer);
        for candidate in candidates.take_while(|_| room) {
            if execution.is_full() {
                break;
            }
            match execution.include(&candidate, stop) {
                // One that would break the supply is skipped too: the chain must go on without it.
                Ok(()) | Err(BlockError::Transaction { .. } | BlockError::Supply(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let executed = execution.finish(view.parent.state_root)?;
        let block = executed.block.clone();
        self.keep(executed);
        Ok(block)
    }
}
