//! `eth_simulateV1`: blocks of calls on each other's state (ethereum/execution-apis, src/eth/execute.yaml).

use alloy_consensus::TxType;
use alloy_rpc_types_eth::simulate::{
    SimBlock, SimCallResult, SimulateError, SimulatePayload, SimulatedBlock as RpcSimulated,
};
use alloy_rpc_types_eth::{Block as RpcBlock, Log as RpcLog, TransactionRequest};
use serde_json::Value;

use super::super::call_request::CallRequest;
use super::super::context::Context;
use super::super::method::{Arguments, Methods, Registered, long_at};
use super::super::{convert, error};
use super::block_id::{Place, place};
use crate::chain::{LogEntry, MAX_SIMULATED_BLOCKS, Plan, PlannedBlock, Setting, SimulatedBlock};
use crate::execution::{Intent, Price, Rules, Tried};

pub fn register(methods: &mut Methods) -> Registered {
    long_at(methods, "eth_simulateV1", simulate)
}

fn simulate(context: &Context, arguments: &mut Arguments) -> error::Result<Vec<RpcSimulated<RpcBlock>>> {
    let payload = payload(arguments.object("payload")?)?;
    let block = arguments.block()?;
    let setting = match place(context, arguments, block)? {
        Place::Final(number) => Setting::After(number),
        Place::Pending(preview) => Setting::In(preview),
    };
    let full = payload.return_full_transactions;
    let plan = plan(payload, context.settings.max_call_gas, context.chain().rules())?;
    let simulated = context.chain().simulate_blocks(&setting, &plan, arguments.stop()).map_err(error::simulate)?;
    Ok(simulated.map_err(error::simulation)?.iter().map(|block| shown(block, full)).collect())
}

/// What the types below do not know would be ignored, and the answer would be of something else.
fn payload(said: Value) -> error::Result<SimulatePayload<CallRequest>> {
    for block in said["blockStateCalls"].as_array().into_iter().flatten() {
        let block = &block["blockOverrides"];
        // None of them are what every block here has.
        let has_none = block["withdrawals"].as_array().is_some_and(Vec::is_empty);
        convert::require_block_fields(block, if has_none { &["withdrawals"] } else { &[] })?;
    }
    serde_json::from_value(said).map_err(|error| error::argument(0, "payload", &error))
}

fn plan(payload: SimulatePayload<CallRequest>, most_gas: u64, rules: &Rules) -> error::Result<Plan> {
    let SimulatePayload { block_state_calls, trace_transfers, validation, .. } = payload;
    if block_state_calls.is_empty() {
        return Err(error::invalid("empty input"));
    }
    if block_state_calls.len() as u64 > MAX_SIMULATED_BLOCKS {
        return Err(error::too_much_to_simulate(format!("too many blocks: at most {MAX_SIMULATED_BLOCKS}")));
    }
    Ok(Plan {
        blocks: block_state_calls.into_iter().map(|block| planned(block, rules)).collect::<error::Result<_>>()?,
        validates: validation,
        shows_transfers: trace_transfers,
        most_gas,
    })
}

fn planned(block: SimBlock<CallRequest>, rules: &Rules) -> error::Result<PlannedBlock> {
    let SimBlock { block_overrides, state_overrides, calls } = block;
    Ok(PlannedBlock {
        overrides: convert::overrides(state_overrides, block_overrides)?,
        calls: calls.into_iter().map(|CallRequest(call)| intent(call, rules)).collect::<error::Result<_>>()?,
    })
}

fn intent(request: TransactionRequest, rules: &Rules) -> error::Result<Intent> {
    let is_legacy =
        [TxType::Legacy, TxType::Eip2930].map(|legacy| Some(u8::from(legacy))).contains(&request.transaction_type);
    let (most, tip) = (request.max_fee_per_gas, request.max_priority_fee_per_gas);
    let price = match request.gas_price {
        Some(price) => Price::Legacy(price),
        None if is_legacy => Price::Legacy(0),
        None => Price::Dynamic { most: most.or(tip).unwrap_or_default(), tip: tip.unwrap_or_default() },
    };
    let (gas, nonce, access_list) = (request.gas, request.nonce, request.access_list.clone());
    let call = convert::call(request, u64::MAX, rules)?;
    Ok(Intent {
        from: call.from,
        to: call.to,
        value: call.value,
        input: call.input,
        gas,
        nonce,
        price,
        access_list,
        authorizations: call.authorizations,
    })
}

fn shown(block: &SimulatedBlock, full: bool) -> RpcSimulated<RpcBlock> {
    let mut logs = 0;
    let calls = block.calls.iter().enumerate().map(|(index, tried)| result(block, index, tried, &mut logs)).collect();
    RpcSimulated { inner: convert::block(&block.stored, full), calls }
}

fn result(block: &SimulatedBlock, index: usize, tried: &Tried, logs: &mut u64) -> SimCallResult {
    let Tried { outcome, most_gas } = tried;
    let error = (!outcome.success).then(|| {
        let failed = error::failed(outcome);
        let reverted = outcome.halt.is_none();
        SimulateError {
            code: if reverted { failed.code() } else { SimulateError::VM_EXECUTION_ERROR_CODE },
            message: failed.message().to_owned(),
            data: reverted.then(|| outcome.output.clone()),
        }
    });
    SimCallResult {
        return_data: outcome.output.clone(),
        logs: outcome.logs.iter().map(|log| shown_log(block, index, log, logs)).collect(),
        gas_used: outcome.gas_used,
        max_used_gas: Some(*most_gas),
        status: outcome.success,
        error,
    }
}

fn shown_log(block: &SimulatedBlock, index: usize, log: &alloy_primitives::Log, logs: &mut u64) -> RpcLog {
    let header = &block.stored.block.header;
    let log_index = *logs;
    *logs += 1;
    convert::log(LogEntry {
        log: log.clone(),
        block_number: header.number,
        block_hash: block.stored.hash,
        block_timestamp: header.timestamp,
        transaction_hash: block.stored.block.transactions.get(index).map(|sent| *sent.tx_hash()).unwrap_or_default(),
        transaction_index: index as u64,
        log_index,
    })
}
