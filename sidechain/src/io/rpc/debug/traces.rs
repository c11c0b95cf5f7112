//! Traces: transactions and blocks that are run again, and calls that are tried, while a tracer looks on.

use alloy_eips::BlockId;
use alloy_primitives::B256;
use alloy_rpc_types_trace::geth::{
    CallFrame, GethDebugBuiltInTracerType, GethDebugTracerType, GethDebugTracingCallOptions, GethDebugTracingOptions,
    GethTrace,
};
use serde_json::Value;

use super::super::eth::{Place, by_hash, by_number, located, number, place};
use super::super::method::{Answer, Arguments, Methods, Registered, long_json, long_json_at, to_json};
use super::super::{context::Context, convert, error};
use crate::chain::{Located, Setting, Stored, Tracing, Trial};
use crate::execution::{Overrides, Trace, Traced, Tracer};

pub fn register(methods: &mut Methods) -> Registered {
    long_json(methods, "debug_traceTransaction", transaction)?;
    long_json_at(methods, "debug_traceCall", call)?;
    long_json(methods, "debug_traceBlockByNumber", |context, arguments| {
        let block = by_number(context, arguments)?.ok_or_else(|| error::server("block not found"))?;
        blocks_transactions(context, arguments, block.stored())
    })?;
    long_json(methods, "debug_traceBlockByHash", |context, arguments| {
        let block = by_hash(context, arguments)?.ok_or_else(|| error::server("block not found"))?;
        blocks_transactions(context, arguments, &block)
    })
}

fn transaction(context: &Context, arguments: &mut Arguments) -> Answer {
    let hash: B256 = arguments.hex("transaction hash")?;
    let tracer = tracer(arguments.optional("options")?.unwrap_or_default())?;
    let traced = trace_located(context, arguments, &found(context, hash)?, &tracer)?;
    written(traced, context.settings.max_response_bytes)
}

fn found(context: &Context, hash: B256) -> error::Result<Located> {
    located(context, hash)?.ok_or_else(|| error::server(format!("transaction not found: {hash}")))
}

/// Traces a final transaction.
pub fn trace_located(
    context: &Context,
    arguments: &Arguments,
    located: &Located,
    tracer: &Tracer,
) -> error::Result<Traced> {
    let tracing = Tracing { tracer, budget: context.settings.max_trace };
    let Located { stored, index } = located;
    context.chain().trace_transaction(stored, *index, tracing, arguments.stop()).map_err(error::trace)
}

/// The array of traces, which as a whole has the bound of an answer.
fn blocks_transactions(context: &Context, arguments: &mut Arguments, block: &Stored) -> Answer {
    let tracer = tracer(arguments.optional("options")?.unwrap_or_default())?;
    let tracing = Tracing { tracer: &tracer, budget: context.settings.max_trace };
    let most = context.settings.max_response_bytes;
    let mut json = String::from("[");
    let stop = arguments.stop();
    context
        .chain()
        .trace_block(block, tracing, stop, |index, traced| -> Result<(), Failure> {
            let hash =
                block.block.transactions.get(index).map(|transaction| *transaction.tx_hash()).unwrap_or_default();
            let comma = if index > 0 { "," } else { "" };
            let left = (most as usize).saturating_sub(json.len());
            let result = written(traced, u32::try_from(left).unwrap_or(most)).map_err(Failure)?;
            json.push_str(&format!(r#"{comma}{{"txHash":"{hash}","result":{result}}}"#));
            Ok(())
        })
        .map_err(|Failure(error)| error)?;
    json.push(']');
    bounded(json, most)
}

fn call(context: &Context, arguments: &mut Arguments) -> Answer {
    let request = arguments.transaction()?;
    let block = arguments.block()?;
    let options: Value = arguments.optional_object("options")?.unwrap_or_default();
    convert::require_block_fields(&options["blockOverrides"], &[])?;
    let options: Option<GethDebugTracingCallOptions> =
        serde_json::from_value(options).map_err(|error| error::argument(2, "options", &error))?;
    let options = options.unwrap_or_default();
    let GethDebugTracingCallOptions { tracing_options, state_overrides, block_overrides, tx_index } = options;
    let overrides = convert::overrides(state_overrides, block_overrides)?;
    let call = convert::call(request, context.settings.max_call_gas, context.chain().rules())?;
    let tracer = tracer(tracing_options)?;
    let tracing = Tracing { tracer: &tracer, budget: context.settings.max_trace };
    let (chain, stop) = (context.chain(), arguments.stop());
    let traced = match tx_index {
        None => chain.trace_call(&trial(context, arguments, block, overrides)?, &call, tracing, stop),
        Some(index) => {
            let number = number(context, block)?;
            let stored = chain.stored(number).map_err(|error| error::store(&error))?;
            let stored = stored.ok_or_else(|| error::no_block(format_args!("block {number}")))?;
            let trial = Trial { setting: Setting::After(number), overrides };
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            chain.trace_call_within(&stored, index, &trial, &call, tracing, stop)
        }
    };
    written(traced.map_err(error::trace)?, context.settings.max_response_bytes)
}

/// As `eth_call`: after a block, or in the pending one.
fn trial(context: &Context, arguments: &Arguments, block: BlockId, overrides: Overrides) -> error::Result<Trial> {
    let setting = match place(context, arguments, block)? {
        Place::Final(number) => Setting::After(number),
        Place::Pending(preview) => Setting::In(preview),
    };
    Ok(Trial { setting, overrides })
}

fn tracer(options: GethDebugTracingOptions) -> error::Result<Tracer> {
    Tracer::new(options).map_err(|error| error::invalid(error.to_string()))
}

/// The JSON of at most so many bytes.
fn written(traced: Traced, most: u32) -> Answer {
    match traced.trace {
        Trace::Steps(json) => bounded(json, most),
        Trace::Geth(trace) => to_json(&trace, most),
        Trace::Operations(operations) => to_json(&operations, most),
    }
}

fn bounded(json: String, most: u32) -> Answer {
    if json.len() > most as usize { Err(error::answer_too_large(most)) } else { Ok(json) }
}

/// A tracer that writes nothing down, for what a transaction returned.
pub fn noop() -> Tracer {
    built_in(GethDebugBuiltInTracerType::NoopTracer)
}

/// The calls of a final transaction, one in the other.
pub fn traced_calls(context: &Context, arguments: &Arguments, located: &Located) -> error::Result<CallFrame> {
    let tracer = built_in(GethDebugBuiltInTracerType::CallTracer);
    Ok(calls_of(trace_located(context, arguments, located, &tracer)?))
}

fn built_in(tracer: GethDebugBuiltInTracerType) -> Tracer {
    let tracer = Some(GethDebugTracerType::BuiltInTracer(tracer));
    Tracer::Geth(Box::new(GethDebugTracingOptions { tracer, ..GethDebugTracingOptions::default() }))
}

fn calls_of(traced: Traced) -> CallFrame {
    match traced.trace {
        Trace::Geth(trace) => match *trace {
            GethTrace::CallTracer(frame) => frame,
            _ => CallFrame::default(),
        },
        _ => CallFrame::default(),
    }
}

/// An error on the way through a block.
struct Failure(jsonrpsee::types::ErrorObjectOwned);

impl From<crate::chain::TraceError> for Failure {
    fn from(error: crate::chain::TraceError) -> Self {
        Self(error::trace(error))
    }
}
