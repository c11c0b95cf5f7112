//! Whoever looks on while a transaction runs, and writes down what a client asked for.
//!
//! ```text
//!  EVM -- each step, call, log --> Recorder: counts, and ends the run when a budget is used up
//!                                     |
//!                                     +--> one tracer: geth's, or a list of operations
//! ```
//! What is written down has a bound in bytes, for code that costs little gas can make much to write: a step costs one gas at least, and its memory may
//! have megabytes.

mod flat_calls;
mod geth_options;
mod struct_logs;

use alloy_primitives::{Address, Log, U256};
use alloy_rpc_types_trace::geth::{
    CallFrame, GethDebugBuiltInTracerType, GethDebugTracerType, GethDebugTracingOptions, GethDefaultTracingOptions,
};
use revm::{
    Inspector,
    interpreter::{
        CallInputs, CallOutcome, CreateInputs, CreateOutcome, InstructionResult, Interpreter,
        interpreter_types::{Jumps as _, LoopControl as _},
    },
};
use revm_inspectors::{
    otterscan::InternalOperationsInspector,
    tracing::{DebugInspector, types::CallTraceNode},
};

pub(super) use geth_options::Completion;
pub use geth_options::TracerError;
use struct_logs::StructLogs;

use super::{environment::Environment, outcome::is_undefined};
use crate::state::StateReader;

/// Bytes that a call takes besides its input and output: as it is recorded, and as it is answered.
const CALL_BYTES: usize = size_of::<CallTraceNode>() + size_of::<CallFrame>();

/// Bytes that a log takes besides its data.
const LOG_BYTES: usize = 512;

/// What one trace may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Instructions that are run while somebody looks on.
    pub steps: u64,
    /// Bytes that are written down.
    pub bytes: usize,
}

/// The part of a [`Budget`] that was used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exceeded {
    #[error("the trace is longer than {0} steps")]
    Steps(u64),
    #[error("the trace records more than {0} bytes")]
    Bytes(usize),
}

/// What is written down.
#[derive(Clone, Debug)]
pub enum Tracer {
    /// Every step (geth's struct logger).
    Steps(GethDefaultTracingOptions),
    /// One of geth's tracers by name.
    Geth(Box<GethDebugTracingOptions>),
    /// Transfers, creations and self-destructions within a transaction (Otterscan).
    Operations,
}

impl Tracer {
    /// What a client of `debug_trace…` asks for.
    ///
    /// # Errors
    ///
    /// For tracers that are not there, JavaScript among them, and those whose memory has no bound.
    pub fn new(options: GethDebugTracingOptions) -> Result<Self, TracerError> {
        let refuse = |name: &str| Err(TracerError::name(name));
        match &options.tracer {
            None => return Ok(Self::Steps(options.config)),
            Some(GethDebugTracerType::JsTracer(name)) if name.is_empty() => return Ok(Self::Steps(options.config)),
            Some(GethDebugTracerType::JsTracer(name)) => return refuse(name),
            Some(GethDebugTracerType::BuiltInTracer(GethDebugBuiltInTracerType::Erc7562Tracer)) => {
                return refuse("erc7562Tracer");
            }
            Some(GethDebugTracerType::BuiltInTracer(GethDebugBuiltInTracerType::StateGasTracer)) => {
                return refuse("stateGasTracer");
            }
            Some(GethDebugTracerType::BuiltInTracer(_)) => {}
        }
        let tracer = Self::Geth(Box::new(geth_options::as_library_reads(options)?));
        tracer.start().map(|_| tracer)
    }

    fn start(&self) -> Result<Inner, TracerError> {
        Ok(match self {
            Self::Steps(options) => Inner::Steps(Box::new(StructLogs::new(*options))),
            Self::Operations => Inner::Operations(InternalOperationsInspector::default()),
            Self::Geth(options) => Inner::Geth(Box::new(match geth_options::flat_calls(options) {
                Some(config) => flat_calls::inspector(config?),
                None => {
                    let inspector = DebugInspector::new(GethDebugTracingOptions::clone(options));
                    inspector.map_err(|error| TracerError::Config(error.to_string()))?
                }
            })),
        })
    }
}

/// A tracer at work.
pub(super) enum Inner {
    Nothing,
    Steps(Box<StructLogs>),
    Geth(Box<DebugInspector>),
    Operations(InternalOperationsInspector),
}

/// Looks on within a budget.
pub(super) struct Recorder {
    inner: Inner,
    budget: Budget,
    steps: u64,
    bytes: usize,
    exceeded: Option<Exceeded>,
    /// The opcode of the last step.
    opcode: u8,
    /// Those that there are not and that ended frames, in this order.
    undefined: Vec<u8>,
}

/// Tells the tracer that is at work.
macro_rules! tell {
    ($self:ident, $hook:ident($($argument:expr),*)) => {
        match &mut $self.inner {
            Inner::Nothing => None,
            Inner::Steps(tracer) => Some(Inspector::<Environment<'_, R>>::$hook(&mut **tracer, $($argument),*)),
            Inner::Geth(tracer) => Some(Inspector::<Environment<'_, R>>::$hook(&mut **tracer, $($argument),*)),
            Inner::Operations(tracer) => Some(Inspector::<Environment<'_, R>>::$hook(tracer, $($argument),*)),
        }
    };
}

impl Recorder {
    /// Nothing is written down until [`Self::begin`].
    pub(super) const fn new(budget: Budget) -> Self {
        let undefined = Vec::new();
        Self { inner: Inner::Nothing, budget, steps: 0, bytes: 0, exceeded: None, opcode: 0, undefined }
    }

    /// Begins another trace: steps are counted on, bytes anew.
    pub(super) fn begin(&mut self, tracer: &Tracer) -> Result<(), TracerError> {
        self.inner = tracer.start()?;
        self.bytes = 0;
        self.undefined.clear();
        Ok(())
    }

    /// What was written down since [`Self::begin`].
    pub(super) const fn take(&mut self) -> Inner {
        std::mem::replace(&mut self.inner, Inner::Nothing)
    }

    /// Opcodes that there are not and that ended frames since [`Self::begin`], in this order.
    pub(super) fn undefined(&self) -> Vec<u8> {
        self.undefined.clone()
    }

    pub(super) const fn exceeded(&self) -> Option<Exceeded> {
        self.exceeded
    }

    /// Bytes that may still be written down.
    pub(super) const fn bytes_left(&self) -> usize {
        self.budget.bytes.saturating_sub(self.bytes)
    }

    pub(super) const fn budget(&self) -> Budget {
        self.budget
    }

    /// Counts bytes that are about to be written down.
    const fn count(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > self.budget.bytes && self.exceeded.is_none() {
            self.exceeded = Some(Exceeded::Bytes(self.budget.bytes));
        }
    }

    /// Whether the tracer keeps each call and log.
    fn keeps_calls(&self) -> bool {
        match &self.inner {
            Inner::Nothing | Inner::Steps(_) => false,
            Inner::Operations(_) => true,
            Inner::Geth(tracer) => !matches!(**tracer, DebugInspector::Noop(_) | DebugInspector::PreStateTracer(..)),
        }
    }

    fn count_call(&mut self, bytes: usize) {
        if self.keeps_calls() {
            self.count(CALL_BYTES + bytes);
        }
    }

    fn count_result(&mut self, bytes: usize) {
        if self.keeps_calls() {
            self.count(bytes);
        }
    }

    fn note_end(&mut self, ended: InstructionResult) {
        if is_undefined(ended) && self.keeps_calls() {
            self.undefined.push(self.opcode);
        }
    }

    /// Ends the frame before its next instruction, with a result that contracts never see.
    fn end_if_exceeded(&self, interpreter: &mut Interpreter) {
        if self.exceeded.is_some() {
            interpreter.bytecode.action().take();
            interpreter.bytecode.reset_action();
            interpreter.halt_fatal();
        }
    }
}

impl<R: StateReader> Inspector<Environment<'_, R>> for Recorder {
    fn initialize_interp(&mut self, interpreter: &mut Interpreter, context: &mut Environment<'_, R>) {
        tell!(self, initialize_interp(interpreter, context));
    }

    fn step(&mut self, interpreter: &mut Interpreter, context: &mut Environment<'_, R>) {
        self.steps += 1;
        self.opcode = interpreter.bytecode.opcode();
        if self.steps > self.budget.steps && self.exceeded.is_none() {
            self.exceeded = Some(Exceeded::Steps(self.budget.steps));
        }
        if self.exceeded.is_none() {
            tell!(self, step(interpreter, context));
        }
        self.end_if_exceeded(interpreter);
    }

    fn step_end(&mut self, interpreter: &mut Interpreter, context: &mut Environment<'_, R>) {
        tell!(self, step_end(interpreter, context));
        if let Inner::Steps(tracer) = &self.inner {
            let written = tracer.len();
            self.bytes = 0;
            self.count(written);
        }
    }

    fn log(&mut self, context: &mut Environment<'_, R>, log: Log) {
        self.count_result(LOG_BYTES + log.data.data.len());
        tell!(self, log(context, log));
    }

    fn call(&mut self, context: &mut Environment<'_, R>, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.count_call(inputs.input.len());
        tell!(self, call(context, inputs)).flatten()
    }

    fn call_end(&mut self, context: &mut Environment<'_, R>, inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.count_result(outcome.result.output.len());
        self.note_end(outcome.result.result);
        tell!(self, call_end(context, inputs, outcome));
    }

    fn create(&mut self, context: &mut Environment<'_, R>, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.count_call(inputs.init_code().len());
        tell!(self, create(context, inputs)).flatten()
    }

    fn create_end(&mut self, context: &mut Environment<'_, R>, inputs: &CreateInputs, outcome: &mut CreateOutcome) {
        self.count_result(outcome.result.output.len());
        self.note_end(outcome.result.result);
        tell!(self, create_end(context, inputs, outcome));
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        match &mut self.inner {
            Inner::Nothing | Inner::Steps(_) => {}
            Inner::Geth(tracer) => {
                Inspector::<Environment<'_, R>>::selfdestruct(&mut **tracer, contract, target, value)
            }
            Inner::Operations(tracer) => Inspector::<Environment<'_, R>>::selfdestruct(tracer, contract, target, value),
        }
    }
}
