//! The calls of a transaction as a list, as geth's `flatCallTracer` makes it of its `callTracer`'s (go-ethereum, eth/tracers/native/call_flat.go). The library
//! makes Parity's: with no result of what reverted, Parity's words whether or not they are asked for, and another sum of gas.

use alloy_primitives::U256;
use alloy_rpc_types_trace::geth::{CallConfig, CallFrame, FlatCallConfig};
use revm_inspectors::tracing::{DebugInspector, TracingInspector, TracingInspectorConfig, TransactionContext};
use serde_json::{Map, Value, json};

use crate::geth;

/// What writes the calls down.
pub(super) fn inspector(config: FlatCallConfig) -> DebugInspector {
    let excludes = !config.include_precompiles.unwrap_or_default();
    let recorded = TracingInspectorConfig::from_geth_call_config(&CallConfig::default());
    let recorded = recorded.set_exclude_precompile_calls(excludes);
    DebugInspector::CallTracer(TracingInspector::new(recorded), CallConfig::default())
}

/// The call, and those within it, each after the one that made it.
pub(super) fn flattened(
    root: &CallFrame,
    config: FlatCallConfig,
    block_number: u64,
    place: TransactionContext,
) -> Value {
    let mut list = Vec::new();
    let mut waiting = vec![(root, Vec::new())];
    while let Some((frame, path)) = waiting.pop() {
        let within = frame.calls.iter().enumerate().rev();
        waiting.extend(within.map(|(index, call)| (call, [path.as_slice(), &[index]].concat())));
        list.push(entry(frame, &path, config.convert_parity_errors == Some(true), block_number, place));
    }
    Value::Array(list)
}

fn entry(
    frame: &CallFrame,
    path: &[usize],
    in_parity_words: bool,
    block_number: u64,
    place: TransactionContext,
) -> Value {
    let (kind, action, result) = match frame.typ.as_str() {
        "CREATE" | "CREATE2" => ("create", creation(frame), Some(created(frame))),
        "SELFDESTRUCT" => ("suicide", end(frame), None),
        _ => ("call", call(frame), Some(called(frame))),
    };
    let mut entry = Map::new();
    entry.insert("action".into(), action);
    entry.insert("blockHash".into(), json!(place.block_hash));
    entry.insert("blockNumber".into(), json!(block_number));
    if let Some(error) = &frame.error {
        let error = if in_parity_words { geth::in_parity_words(error) } else { error };
        entry.insert("error".into(), json!(error));
    }
    // What was reverted returns its reason; what failed otherwise returns nothing.
    let returns = frame.error.as_deref().is_none_or(|error| error == geth::EXECUTION_REVERTED);
    if let Some(result) = result.filter(|_| returns) {
        entry.insert("result".into(), result);
    }
    entry.insert("subtraces".into(), json!(frame.calls.len()));
    entry.insert("traceAddress".into(), json!(path));
    entry.insert("transactionHash".into(), json!(place.tx_hash));
    entry.insert("transactionPosition".into(), json!(place.tx_index));
    entry.insert("type".into(), json!(kind));
    Value::Object(entry)
}

fn call(frame: &CallFrame) -> Value {
    json!({
        "callType": frame.typ.to_lowercase(),
        "from": frame.from,
        "gas": frame.gas,
        "input": frame.input,
        "to": frame.to,
        "value": frame.value.unwrap_or(U256::ZERO),
    })
}

fn called(frame: &CallFrame) -> Value {
    json!({ "gasUsed": frame.gas_used, "output": frame.output.clone().unwrap_or_default() })
}

fn creation(frame: &CallFrame) -> Value {
    json!({
        "creationMethod": frame.typ.to_lowercase(),
        "from": frame.from,
        "gas": frame.gas,
        "init": frame.input,
        "value": frame.value.unwrap_or(U256::ZERO),
    })
}

fn created(frame: &CallFrame) -> Value {
    let mut result = json!({ "code": frame.output.clone().unwrap_or_default(), "gasUsed": frame.gas_used });
    if let Some(address) = frame.to {
        result["address"] = json!(address);
    }
    result
}

fn end(frame: &CallFrame) -> Value {
    json!({
        "address": frame.from,
        "balance": frame.value.unwrap_or(U256::ZERO),
        "refundAddress": frame.to,
    })
}
