//! Blocks that are run again, and calls that are tried, while a tracer looks on.

use super::{error::SimulateError, open::Chain, stored::Stored, trial::Trial};
use crate::{
    execution::{self, BlockError, Budget, Call, Exceeded, Replay, Stop, Traced, Tracer, TracerError},
    state::{
        Working,
        store::{Store, StoreError},
    },
};

/// What is written down, and how much of it.
#[derive(Clone, Copy, Debug)]
pub struct Tracing<'t> {
    pub tracer: &'t Tracer,
    pub budget: Budget,
}

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    #[error(transparent)]
    Simulate(#[from] SimulateError),
    /// The trace is larger than its budget.
    #[error(transparent)]
    Exceeded(Exceeded),
    #[error(transparent)]
    Tracer(TracerError),
    /// In geth's words: no transaction made what is in block 0.
    #[error("genesis is not traceable")]
    Genesis,
    #[error("transaction index {got} out of range: block {number} has {count} transactions")]
    Index { got: usize, number: u64, count: usize },
}

impl From<StoreError> for TraceError {
    fn from(error: StoreError) -> Self {
        Self::Simulate(error.into())
    }
}

impl From<BlockError> for TraceError {
    fn from(error: BlockError) -> Self {
        Self::Simulate(error.into())
    }
}

impl From<execution::TraceError> for TraceError {
    fn from(error: execution::TraceError) -> Self {
        match error {
            execution::TraceError::Exceeded(exceeded) => Self::Exceeded(exceeded),
            execution::TraceError::Tracer(error) => Self::Tracer(error),
            execution::TraceError::Block(error) => error.into(),
        }
    }
}

impl<S: Store> Chain<S> {
    /// Traces one transaction of a final block, after it has run those before it.
    ///
    /// # Errors
    ///
    /// See [`TraceError`]; `Pruned` when the state before the block is not kept.
    pub fn trace_transaction(
        &self,
        stored: &Stored,
        index: usize,
        tracing: Tracing<'_>,
        stop: &Stop,
    ) -> Result<Traced, TraceError> {
        let (number, count) = (stored.block.number(), stored.block.transactions.len());
        let wanted = stored.transaction(index).ok_or(TraceError::Index { got: index, number, count })?;
        let state = self.state_at(before(stored)?)?;
        let working = Working::new(&state, &self.codes);
        let mut replay = Replay::new(&self.rules, &stored.block.header, working, tracing.budget, stop)?;
        for transaction in (0..index).filter_map(|index| stored.transaction(index)) {
            replay.pass(&transaction)?;
        }
        Ok(replay.trace(&wanted, tracing.tracer)?)
    }

    /// Traces all transactions of a final block in their order; `each` gets them one by one, and ends it by an error.
    ///
    /// # Errors
    ///
    /// As [`Self::trace_transaction`], and those of `each`.
    pub fn trace_block<E: From<TraceError>>(
        &self,
        stored: &Stored,
        tracing: Tracing<'_>,
        stop: &Stop,
        mut each: impl FnMut(usize, Traced) -> Result<(), E>,
    ) -> Result<(), E> {
        let state = self.state_at(before(stored)?).map_err(TraceError::from)?;
        let working = Working::new(&state, &self.codes);
        let mut replay =
            Replay::new(&self.rules, &stored.block.header, working, tracing.budget, stop).map_err(TraceError::from)?;
        let all = (0..stored.block.transactions.len()).filter_map(|index| Some((index, stored.transaction(index)?)));
        for (index, transaction) in all {
            each(index, replay.trace(&transaction, tracing.tracer).map_err(TraceError::from)?)?;
        }
        Ok(())
    }

    /// Traces a call that is tried.
    ///
    /// # Errors
    ///
    /// See [`TraceError`].
    pub fn trace_call(
        &self,
        trial: &Trial,
        call: &Call,
        tracing: Tracing<'_>,
        stop: &Stop,
    ) -> Result<Traced, TraceError> {
        let (state, header) = self.environment(&trial.setting)?;
        let mut working = Working::new(&state, &self.codes);
        trial.overrides.apply(&mut working)?;
        let Tracing { tracer, budget } = tracing;
        let header = trial.overrides.header(header);
        let call = (call, &trial.overrides.precompiles);
        Ok(execution::trace_call(&self.rules, &header, working, call, tracer, budget, stop)?)
    }

    /// Traces a call in the place of a transaction of a final block: on the state that those before it left.
    ///
    /// # Errors
    ///
    /// See [`TraceError`].
    pub fn trace_call_within(
        &self,
        stored: &Stored,
        index: usize,
        trial: &Trial,
        call: &Call,
        tracing: Tracing<'_>,
        stop: &Stop,
    ) -> Result<Traced, TraceError> {
        let (number, count) = (stored.block.number(), stored.block.transactions.len());
        if index >= count {
            return Err(TraceError::Index { got: index, number, count });
        }
        let Tracing { tracer, budget } = tracing;
        let state = self.state_at(before(stored)?)?;
        let header = &stored.block.header;
        let mut replay = Replay::new(&self.rules, header, Working::new(&state, &self.codes), budget, stop)?;
        for transaction in (0..index).filter_map(|index| stored.transaction(index)) {
            replay.pass(&transaction)?;
        }
        let mut working = replay.into_working();
        trial.overrides.apply(&mut working)?;
        let header = trial.overrides.header(header.clone());
        let call = (call, &trial.overrides.precompiles);
        Ok(execution::trace_call(&self.rules, &header, working, call, tracer, budget, stop)?)
    }
}

/// The block whose state the block began with.
fn before(stored: &Stored) -> Result<u64, TraceError> {
    stored.block.number().checked_sub(1).ok_or(TraceError::Genesis)
}
