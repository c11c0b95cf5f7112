//! What clients say of geth's tracers, where geth takes it otherwise than the library that has them.

use std::collections::BTreeSet;

use alloy_primitives::U256;
use alloy_rpc_types_trace::geth::{
    AccountState, CallFrame, FlatCallConfig, GethDebugBuiltInTracerType, GethDebugTracerType, GethDebugTracingOptions,
    GethTrace, PreStateFrame,
};
use revm::{DatabaseRef, state::EvmState};
use revm_inspectors::tracing::TransactionContext;
use serde::Deserialize;
use serde_json::{Value, json};

use super::flat_calls::flattened;
use crate::geth;

/// As the library calls every opcode that there is not.
const INVALID_OPCODE: &str = "invalid opcode";

/// Why a tracer is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TracerError {
    #[error(
        "tracer {0} is not supported, expected none or one of callTracer, flatCallTracer, prestateTracer, 4byteTracer, noopTracer and muxTracer"
    )]
    Name(String),
    #[error("muxTracer within muxTracer is not supported: name its tracers in one")]
    Nested,
    #[error("tracerConfig: {0}")]
    Config(String),
}

impl TracerError {
    /// That there is none of this name.
    pub(super) fn name(name: &str) -> Self {
        Self::Name(name.chars().filter(|c| !c.is_control()).take(32).collect())
    }
}

/// The same in the library's words: a tracer of several that needs no configuration may have one, and one that needs it may have none.
///
/// # Errors
///
/// For a tracer that is not there.
pub(super) fn as_library_reads(mut options: GethDebugTracingOptions) -> Result<GethDebugTracingOptions, TracerError> {
    match &options.tracer {
        Some(GethDebugTracerType::BuiltInTracer(GethDebugBuiltInTracerType::MuxTracer)) => {}
        Some(GethDebugTracerType::BuiltInTracer(GethDebugBuiltInTracerType::PreStateTracer)) => {
            PreState::read(&options.tracer_config.0)?;
            return Ok(options);
        }
        _ => return Ok(options),
    }
    let several = options.tracer_config.0.as_object_mut().into_iter().flatten();
    for (name, config) in several {
        if config.is_null() {
            *config = json!({});
        }
        match name.as_str() {
            "4byteTracer" | "noopTracer" => *config = Value::Null,
            "prestateTracer" => {
                PreState::read(config)?;
            }
            "callTracer" | "flatCallTracer" => {}
            "muxTracer" => return Err(TracerError::Nested),
            other => return Err(TracerError::name(other)),
        }
    }
    Ok(options)
}

/// The configuration of a flatCallTracer, if one is wanted and it is one.
pub(super) fn flat_calls(options: &GethDebugTracingOptions) -> Option<Result<FlatCallConfig, TracerError>> {
    let wanted = Some(GethDebugTracerType::BuiltInTracer(GethDebugBuiltInTracerType::FlatCallTracer));
    (options.tracer == wanted).then(|| {
        let read: Result<Option<FlatCallConfig>, _> = serde_json::from_value(options.tracer_config.0.clone());
        read.map(Option::unwrap_or_default).map_err(|error| TracerError::Config(error.to_string()))
    })
}

/// What the library does not know of the prestateTracer's options, and what goes with it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PreState {
    /// Accounts that were empty before are shown too.
    include_empty: Option<bool>,
    diff_mode: Option<bool>,
    disable_storage: Option<bool>,
}

impl PreState {
    fn read(config: &Value) -> Result<Self, TracerError> {
        let read: Option<Self> =
            serde_json::from_value(config.clone()).map_err(|error| TracerError::Config(error.to_string()))?;
        let read = read.unwrap_or_default();
        if read.diff_mode == Some(true) && read.include_empty == Some(true) {
            return Err(TracerError::Config("cannot use diffMode with includeEmpty".to_owned()));
        }
        Ok(read)
    }
}

/// What the library's trace lacks of geth's.
pub struct Completion<'t, D> {
    /// After what ran.
    pub state: &'t EvmState,
    /// Before it.
    pub before: D,
    /// Opcodes that there are not and that ended frames, in the order of these ends.
    pub undefined: Vec<u8>,
    pub block_number: u64,
    /// Where a transaction is; nothing of a call that is tried.
    pub place: TransactionContext,
}

impl<D: DatabaseRef> Completion<'_, D> {
    /// # Errors
    ///
    /// When the state before cannot be read.
    pub fn complete(mut self, options: &GethDebugTracingOptions, trace: &mut GethTrace) -> Result<(), D::Error> {
        match trace {
            GethTrace::MuxTracer(several) => {
                for (tracer, trace) in &mut several.0 {
                    self.complete_one(&options.tracer_config.0[tracer.as_str()], trace)?;
                }
                Ok(())
            }
            trace => {
                self.complete_one(&options.tracer_config.0, trace)?;
                if let (Some(config), GethTrace::CallTracer(frame)) = (flat_calls(options), &*trace) {
                    let list = flattened(frame, config.unwrap_or_default(), self.block_number, self.place);
                    *trace = GethTrace::JS(list);
                }
                Ok(())
            }
        }
    }

    fn complete_one(&mut self, config: &Value, trace: &mut GethTrace) -> Result<(), D::Error> {
        match trace {
            GethTrace::PreStateTracer(frame) => self.accounts(PreState::read(config).unwrap_or_default(), frame),
            GethTrace::CallTracer(frame) => {
                name_opcodes(frame, &mut self.undefined.clone());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Accounts that were empty before are not among those before, in neither mode; except if they are wanted.
    fn accounts(&self, options: PreState, frame: &mut PreStateFrame) -> Result<(), D::Error> {
        match frame {
            PreStateFrame::Diff(diff) => {
                let mut empty = BTreeSet::new();
                for address in diff.pre.keys() {
                    if self.before.basic_ref(*address)?.is_none_or(|account| account.is_empty()) {
                        empty.insert(*address);
                    }
                }
                diff.pre.retain(|address, _| !empty.contains(address));
            }
            PreStateFrame::Default(accounts) if options.include_empty == Some(true) => {
                for (address, account) in self.state {
                    if accounts.0.contains_key(address) {
                        continue;
                    }
                    let slots = account.storage.iter().filter(|_| options.disable_storage != Some(true));
                    let storage = slots.map(|(slot, value)| ((*slot).into(), value.original_value.into())).collect();
                    let balance = self.before.basic_ref(*address)?.map_or(U256::ZERO, |account| account.balance);
                    let shown = AccountState { balance: Some(balance), storage, ..AccountState::default() };
                    accounts.0.insert(*address, shown);
                }
            }
            PreStateFrame::Default(_) => {}
        }
        Ok(())
    }
}

/// Says which opcode ended a frame. What is called ends before what calls it; the library may have left calls out, but never the outermost.
fn name_opcodes(frame: &mut CallFrame, undefined: &mut Vec<u8>) {
    if frame.error.as_deref() == Some(INVALID_OPCODE)
        && let Some(opcode) = undefined.pop()
    {
        frame.error = Some(geth::undefined_opcode(opcode));
    }
    frame.calls.iter_mut().rev().for_each(|call| name_opcodes(call, undefined));
}
