//! Transactions that are run again, or calls that are tried, while a tracer looks on.

use alloy_rpc_types_trace::{geth::GethTrace, otterscan::InternalOperation};
use revm::{
    DatabaseCommit as _,
    context::{TxEnv, result::ResultAndState},
    state::EvmState,
};
use revm_inspectors::tracing::TransactionContext;

use super::{
    before::{Before, BeforeError},
    call::{Call, call_env, evm_of_calls, refuse_call},
    error::{BlockError, InclusionError},
    evm::{Evm, Mode, evm, inclusion_error, inspect, offer, transact, transaction_env},
    history::record_parent,
    moved_precompiles::{MovedPrecompiles, Placed},
    outcome::{Halt, Outcome, outcome},
    recorder::{Budget, Completion, Exceeded, Inner, Recorder, Tracer, TracerError},
    rules::Rules,
};
use crate::{
    block::{Header, Transaction},
    state::{StateReader, Working},
    stop::Stop,
};

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The trace is larger than its budget. Ask for less of it.
    #[error(transparent)]
    Exceeded(#[from] Exceeded),
    #[error(transparent)]
    Tracer(#[from] TracerError),
    /// The call cannot start; stopped; the store failed.
    #[error(transparent)]
    Block(#[from] BlockError),
}

/// What a tracer wrote down.
#[derive(Clone, Debug)]
pub enum Trace {
    /// JSON of every step.
    Steps(String),
    /// What one of geth's tracers made.
    Geth(Box<GethTrace>),
    /// Operations in their order.
    Operations(Vec<InternalOperation>),
}

/// A transaction or a call, what it did, and what was written down of it.
#[derive(Clone, Debug)]
pub struct Traced {
    pub outcome: Outcome,
    pub trace: Trace,
}

/// The transactions of a block, run again one after the other as the block ran them.
pub struct Replay<'a, R: StateReader> {
    evm: Evm<'a, R, Recorder>,
    /// The next transaction's place.
    place: TransactionContext,
    stop: Stop,
}

impl<'a, R: StateReader> Replay<'a, R> {
    /// Starts a block on its parent's state.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub fn new(
        rules: &Rules,
        header: &Header,
        mut working: Working<'a, R>,
        budget: Budget,
        stop: &Stop,
    ) -> Result<Self, BlockError> {
        record_parent(&mut working, header)?;
        let evm = evm(rules, header, working, Placed::usual(), stop).with_inspector(Recorder::new(budget));
        let place = TransactionContext::default().with_block_hash(header.hash_slow()).with_tx_index(0);
        Ok(Self { evm, place, stop: stop.clone() })
    }

    /// Runs the next transaction with nobody looking on.
    ///
    /// # Errors
    ///
    /// `Stopped`, `Store`.
    pub fn pass(&mut self, transaction: &Transaction) -> Result<(), BlockError> {
        let ran = transact(&mut self.evm, transaction_env(transaction), Mode::of(transaction));
        let refuse = |error| refused(transaction, error);
        let (_, state) = ran.map_err(|error| inclusion_error(error, offer(&self.evm), refuse))?;
        self.passed(state);
        Ok(())
    }

    /// Runs the next transaction while a tracer looks on.
    ///
    /// # Errors
    ///
    /// See [`TraceError`].
    pub fn trace(&mut self, transaction: &Transaction, tracer: &Tracer) -> Result<Traced, TraceError> {
        let ran = run(&mut self.evm, transaction_env(transaction), Mode::of(transaction), tracer, |error| {
            refused(transaction, error)
        })?;
        let place = self.place.with_tx_hash(*transaction.inner().tx_hash());
        let traced = written(&mut self.evm, &ran, tracer, place, &self.stop)?;
        self.passed(ran.state);
        Ok(traced)
    }

    fn passed(&mut self, state: EvmState) {
        self.evm.ctx.journaled_state.database.commit(state);
        self.place.tx_index = self.place.tx_index.map(|index| index + 1);
    }

    /// The state as it is now, for a call that is tried here.
    pub fn into_working(self) -> Working<'a, R> {
        self.evm.ctx.journaled_state.database
    }
}

fn refused(transaction: &Transaction, error: super::error::InclusionError) -> BlockError {
    BlockError::Transaction { index: 0, hash: *transaction.inner().tx_hash(), error }
}

/// Tries a call as [`super::simulate`] does, while a tracer looks on.
///
/// # Errors
///
/// See [`TraceError`].
pub fn trace_call<R: StateReader>(
    rules: &Rules,
    header: &Header,
    working: Working<'_, R>,
    (call, moved): (&Call, &MovedPrecompiles),
    tracer: &Tracer,
    budget: Budget,
    stop: &Stop,
) -> Result<Traced, TraceError> {
    let mut evm = evm_of_calls(rules, header, working, (call, moved), stop).with_inspector(Recorder::new(budget));
    let ran = run(&mut evm, call_env(rules, header, call), Mode::Call, tracer, refuse_call)?;
    written(&mut evm, &ran, tracer, TransactionContext::default(), stop)
}

fn run<R: StateReader>(
    evm: &mut Evm<'_, R, Recorder>,
    env: TxEnv,
    mode: Mode,
    tracer: &Tracer,
    refuse: impl FnOnce(InclusionError) -> BlockError,
) -> Result<ResultAndState<Halt>, TraceError> {
    evm.inspector.begin(tracer)?;
    let ran = inspect(evm, env, mode);
    if let Some(exceeded) = evm.inspector.exceeded() {
        return Err(exceeded.into());
    }
    let (result, state) = ran.map_err(|error| inclusion_error(error, offer(evm), refuse))?;
    Ok(ResultAndState::new(result, state))
}

/// What the tracer wrote down, on the state before what ran.
fn written<R: StateReader>(
    evm: &mut Evm<'_, R, Recorder>,
    ran: &ResultAndState<Halt>,
    tracer: &Tracer,
    place: TransactionContext,
    stop: &Stop,
) -> Result<Traced, TraceError> {
    let (left, budget) = (evm.inspector.bytes_left(), evm.inspector.budget());
    let undefined = evm.inspector.undefined();
    let trace = match evm.inspector.take() {
        // `run` began a tracer.
        Inner::Nothing => Trace::Operations(Vec::new()),
        Inner::Steps(steps) => Trace::Steps(steps.finish(&ran.result)),
        Inner::Operations(operations) => Trace::Operations(operations.into_operations()),
        Inner::Geth(mut inspector) => {
            let mut before = Before::new(&mut evm.ctx.journaled_state.database, left, stop);
            let mut trace = inspector.get_result(Some(place), &evm.ctx.tx, &evm.ctx.block, ran, &mut before);
            if let (Ok(trace), Tracer::Geth(options)) = (&mut trace, tracer) {
                let block_number = evm.ctx.block.number.saturating_to();
                let completion = Completion { state: &ran.state, before: &before, undefined, block_number, place };
                // What could not be read is told below.
                let _ = completion.complete(options, trace);
            }
            before.check().map_err(|error| match error {
                BeforeError::Full => Exceeded::Bytes(budget.bytes).into(),
                BeforeError::Stopped => TraceError::Block(BlockError::Stopped),
                BeforeError::Store(error) => TraceError::Block(error.into()),
            })?;
            Trace::Geth(Box::new(trace.map_err(|error| TracerError::Config(error.to_string()))?))
        }
    };
    Ok(Traced { outcome: outcome(ran.result.clone()), trace })
}
