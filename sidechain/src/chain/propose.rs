//! Making a block of what waits.

use alloy_primitives::{Address, B256};

use super::{error::ProposeError, open::Chain};
use crate::{
    block::{Block, Transaction},
    execution::{BlockError, Execution, Progress, Stop, child_header},
    state::{StateReader, Working, store::Store},
};

/// Transactions for a block, one by one, from somebody who has a clock: the block holds what fitted in the time.
pub trait Offers {
    /// The next one to try, and what ends its execution; `None` ends the block, which is completed then.
    fn next(&mut self, progress: Progress) -> Option<(Transaction, Stop)>;

    /// A transaction was stopped before its end. It is left out, and nothing of it remains.
    fn left_out(&mut self, transaction: &Transaction);

    /// A transaction cannot stand here, for the reason given.
    fn skipped(&mut self, transaction: &Transaction, error: &BlockError);
}

/// Transactions that all share one `Stop`.
struct Plain<'a, I> {
    candidates: I,
    stop: &'a Stop,
}

impl<I: Iterator<Item = Transaction>> Offers for Plain<'_, I> {
    fn next(&mut self, _: Progress) -> Option<(Transaction, Stop)> {
        self.candidates.next().map(|transaction| (transaction, self.stop.clone()))
    }

    fn left_out(&mut self, _: &Transaction) {}

    fn skipped(&mut self, _: &Transaction, _: &BlockError) {}
}

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
        self.propose_offered(parent, now_ms, beneficiary, &mut Plain { candidates, stop }, stop)
    }

    /// The same, of what is offered until no more is. A transaction that is stopped is left out; `stop` ends all.
    ///
    /// # Errors
    ///
    /// As [`Self::propose`].
    pub fn propose_offered(
        &self,
        parent: B256,
        now_ms: u64,
        beneficiary: Address,
        offers: &mut impl Offers,
        stop: &Stop,
    ) -> Result<Block, ProposeError> {
        let view = self.view(parent).ok_or(ProposeError::UnknownParent(parent))?;
        let timestamp = view.parent.timestamp.max(now_ms / 1000);
        let header = child_header(&self.rules, &view.parent, parent, timestamp, beneficiary);
        let mut execution = Execution::new(&self.rules, header, Working::new(&view, &self.codes))?;
        // Nothing became final for long: only empty blocks until something does.
        if self.has_room_above(parent) {
            fill(&mut execution, offers, stop)?;
        }
        let executed = execution.finish(view.parent.state_root, stop)?;
        let block = executed.block.clone();
        self.keep(executed);
        Ok(block)
    }
}

/// Includes what is offered until no more is, or nothing fits.
pub(super) fn fill<R: StateReader>(
    execution: &mut Execution<'_, R>,
    offers: &mut impl Offers,
    stop: &Stop,
) -> Result<(), BlockError> {
    while !execution.is_full()
        && let Some((transaction, ends)) = offers.next(execution.progress())
    {
        match execution.include(&transaction, &ends) {
            // One that would break the supply is skipped too: the chain must go on without it.
            Ok(()) => {}
            Err(error @ (BlockError::Transaction { .. } | BlockError::Supply(_))) => {
                offers.skipped(&transaction, &error);
            }
            Err(BlockError::Stopped) if !stop.is_stopped() => offers.left_out(&transaction),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
