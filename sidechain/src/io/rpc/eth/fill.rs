//! What a user leaves out of a transaction, as geth's `setDefaults` fills it in (go-ethereum, internal/ethapi/transaction_args.go).

use alloy_consensus::{Transaction as _, TxType};
use alloy_eips::Encodable2718;
use alloy_primitives::{Signature, TxKind, U256};
use alloy_rpc_types_eth::TransactionRequest;
use serde_json::{Value, json};

use super::super::context::Context;
use super::super::method::{Arguments, Methods, Registered, long};
use super::super::{convert, error};
use super::fees::tip;
use crate::block::{Unsigned, next_base_fee};
use crate::chain::{Setting, Trial};
use crate::execution::{Overrides, Stop};
use crate::io::clock::now_ms;
use crate::state::StateReader as _;

pub fn register(methods: &mut Methods) -> Registered {
    long(methods, "eth_fillTransaction", |context, arguments: &mut Arguments| {
        let request = arguments.transaction()?;
        let filled = filled(context, request, Setting::Next { now_ms: now_ms() }, arguments.stop())?;
        let raw = filled.clone().into_envelope(Signature::new(U256::ZERO, U256::ZERO, false)).encoded_2718();
        Ok(json!({ "raw": alloy_primitives::Bytes::from(raw), "tx": shown(&filled)? }))
    })
}

/// As the specification shows it: with what it pays at most as its gas price too.
fn shown(filled: &Unsigned) -> error::Result<Value> {
    let mut shown = serde_json::to_value(filled).map_err(|_| error::server("internal error"))?;
    shown["gasPrice"] = json!(U256::from(filled.max_fee_per_gas()));
    Ok(shown)
}

/// The transaction that a request means, complete except for its signature; its gas as it needs in `setting`.
///
/// # Errors
///
/// What contradicts itself, in geth's words; those of an estimate.
pub fn filled(
    context: &Context,
    mut request: TransactionRequest,
    setting: Setting,
    stop: &Stop,
) -> error::Result<Unsigned> {
    let chain_id = context.chain().genesis().chain_id;
    let asked = request.clone();
    // First what contradicts itself there.
    fill_fees(context, &mut request, stop)?;
    let call = convert::call(asked, context.settings.max_call_gas, context.chain().rules())?;
    convert::require_member_for_free_lane(&request, context.chain().rules())?;
    if request.to.is_none_or(|to| to == TxKind::Create) && call.input.is_empty() {
        return Err(error::server("contract creation without any data provided"));
    }
    request.chain_id = Some(chain_id);
    request.to = Some(call.to);
    request.input = call.input.clone().into();
    request.value.get_or_insert(U256::ZERO);
    if request.nonce.is_none() {
        request.nonce = Some(next_nonce(context, &request)?);
    }
    if request.gas.is_none() {
        let trial = Trial { setting, overrides: Overrides::default() };
        let gas = context.chain().estimate_gas(&trial, &call, stop).map_err(error::simulate)?;
        request.gas = Some(gas);
    }
    request.build_consensus_tx().map_err(|wrong| error::invalid(wrong.error))
}

fn next_nonce(context: &Context, request: &TransactionRequest) -> error::Result<u64> {
    let sender = request.from.unwrap_or_default();
    // The pool first: what becomes final between the two looks is then seen by the second.
    let waiting = context.state.pool().pending_nonce(sender, 0);
    let state = context.chain().state_after(context.chain().head().number).map_err(error::simulate)?;
    let nonce = state.account(sender).map_err(|error| error::store(&error))?.map_or(0, |account| account.nonce);
    Ok(nonce.max(waiting))
}

/// Twice the base fee and a tip, unless it is said otherwise.
fn fill_fees(context: &Context, request: &mut TransactionRequest, stop: &Stop) -> error::Result<()> {
    let (max, own_tip) = (request.max_fee_per_gas, request.max_priority_fee_per_gas);
    let legacy =
        [TxType::Legacy, TxType::Eip2930].map(|legacy| Some(u8::from(legacy))).contains(&request.transaction_type);
    if request.gas_price.is_some() && (max.is_some() || own_tip.is_some()) {
        return Err(error::server("both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified"));
    }
    if request.gas_price.is_some() {
        return Ok(());
    }
    let base_fee = u128::from(next_base_fee(&context.chain().head()));
    let suggested = own_tip.map_or_else(|| tip(context, stop), Ok)?;
    if legacy && max.is_none() && own_tip.is_none() {
        request.gas_price = Some(base_fee + base_fee / 4 + suggested);
        return Ok(());
    }
    let most = max.unwrap_or(2 * base_fee + suggested);
    let tip = own_tip.unwrap_or(suggested.min(most));
    if most < tip {
        return Err(error::server(format!("maxFeePerGas ({most}) < maxPriorityFeePerGas ({tip})")));
    }
    (request.max_fee_per_gas, request.max_priority_fee_per_gas) = (Some(most), Some(tip));
    Ok(())
}
