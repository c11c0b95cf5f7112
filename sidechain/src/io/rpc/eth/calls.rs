//! State and what a call would do.

use std::collections::BTreeMap;

use alloy_eips::eip2930::AccessListResult;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rpc_types_eth::{EIP1186AccountProofResponse, EIP1186StorageProof, TransactionRequest};
use serde_json::Value;

use super::super::method::{Arguments, Methods, Registered, long, long_at, worker, worker_at};
use super::super::slot::Slot;
use super::super::{context::Context, convert, error};
use super::block_id::{Place, number, place};
use crate::chain::{Listed, Setting, SimulateError, StateIn, Trial};
use crate::execution::{Call, Overrides};
use crate::io::NodeStore;
use crate::io::clock::now_ms;
use crate::state::StateReader;

/// Slots one `eth_getProof` may ask for, as geth's limit.
const MAX_PROOF_SLOTS: usize = 1_024;

/// Slots that are proved between two looks whether anybody still waits.
const SLOTS_AT_ONCE: usize = 64;

pub fn register(methods: &mut Methods) -> Registered {
    worker_at(methods, "eth_getBalance", |context, arguments| {
        let address = arguments.hex("address")?;
        account(&state(context, arguments)?, address).map(|account| account.balance)
    })?;
    worker(methods, "eth_getTransactionCount", transaction_count)?;
    worker_at(methods, "eth_getCode", code)?;
    worker_at(methods, "eth_getStorageAt", storage)?;
    worker_at(methods, "eth_getStorageValues", storage_values)?;
    long(methods, "eth_getProof", proof)?;
    long_at(methods, "eth_call", call)?;
    long_at(methods, "eth_createAccessList", access_list)?;
    long_at(methods, "eth_estimateGas", estimate_gas)
}

fn state<'a>(context: &'a Context, arguments: &mut Arguments) -> error::Result<StateIn<'a, NodeStore>> {
    let block = arguments.block()?;
    let state = match place(context, arguments, block)? {
        Place::Final(number) => context.chain().state_after(number),
        Place::Pending(preview) => context.chain().state_in(preview),
    };
    state.map_err(error::simulate)
}

fn account(state: &StateIn<'_, NodeStore>, address: Address) -> error::Result<crate::state::Account> {
    Ok(state.account(address).map_err(|error| error::store(&error))?.unwrap_or_default())
}

fn transaction_count(context: &Context, arguments: &mut Arguments) -> error::Result<U64> {
    let address = arguments.hex("address")?;
    let block = arguments.block()?;
    let state = context.chain().state_after(number(context, block)?).map_err(error::simulate)?;
    let nonce = account(&state, address)?.nonce;
    if block == BlockId::Number(BlockNumberOrTag::Pending) {
        return Ok(U64::from(context.state.pool().pending_nonce(address, nonce)));
    }
    Ok(U64::from(nonce))
}

fn code(context: &Context, arguments: &mut Arguments) -> error::Result<Bytes> {
    let address = arguments.hex("address")?;
    let state = state(context, arguments)?;
    let hash = account(&state, address)?.code_hash;
    Ok(state.code(hash).map_err(|error| error::store(&error))?.unwrap_or_default())
}

fn storage(context: &Context, arguments: &mut Arguments) -> error::Result<B256> {
    let (address, Slot(slot)) = (arguments.hex("address")?, arguments.next("slot")?);
    let value = state(context, arguments)?.storage(address, slot).map_err(|error| error::store(&error))?;
    Ok(value.into())
}

/// Slots of some accounts, each account's values in the order of its slots.
fn storage_values(context: &Context, arguments: &mut Arguments) -> error::Result<BTreeMap<Address, Vec<B256>>> {
    let wanted: BTreeMap<Address, Vec<Slot>> = arguments.next("slots of accounts")?;
    if wanted.is_empty() {
        return Err(error::invalid("empty request"));
    }
    let count: usize = wanted.values().map(Vec::len).sum();
    if count > MAX_PROOF_SLOTS {
        return Err(error::limit(format!("too many slots: {count}, at most {MAX_PROOF_SLOTS}")));
    }
    let state = state(context, arguments)?;
    let value = |address, Slot(slot)| state.storage(address, slot).map(B256::from);
    let of_account = |(address, slots): (Address, Vec<Slot>)| {
        let values = slots.into_iter().map(|slot| value(address, slot)).collect::<Result<_, _>>();
        values.map(|values| (address, values)).map_err(|error| error::store(&error))
    };
    wanted.into_iter().map(of_account).collect()
}

fn proof(context: &Context, arguments: &mut Arguments) -> error::Result<EIP1186AccountProofResponse> {
    let (address, slots): (Address, Vec<Slot>) = (arguments.hex("address")?, arguments.next("slots")?);
    let slots: Vec<U256> = slots.into_iter().map(|Slot(slot)| slot).collect();
    if slots.len() > MAX_PROOF_SLOTS {
        return Err(error::limit(format!("too many slots: {}, at most {MAX_PROOF_SLOTS}", slots.len())));
    }
    let block = arguments.block()?;
    let state = context.chain().state_at(number(context, block)?).map_err(error::simulate)?;
    let mut found = state.proof(address, &[]).map_err(error::simulate)?;
    for slots in slots.chunks(SLOTS_AT_ONCE) {
        if arguments.stop().is_stopped() {
            return Err(error::simulate(SimulateError::Stopped));
        }
        found.storage.extend(state.proof(address, slots).map_err(error::simulate)?.storage);
    }
    let account = found.account.unwrap_or_default();
    let storage = found.storage.into_iter();
    Ok(EIP1186AccountProofResponse {
        address,
        balance: account.balance,
        code_hash: account.code_hash,
        nonce: account.nonce,
        storage_hash: account.storage_root,
        account_proof: found.proof,
        storage_proof: storage
            .map(|slot| EIP1186StorageProof { key: B256::from(slot.slot).into(), value: slot.value, proof: slot.proof })
            .collect(),
    })
}

fn call(context: &Context, arguments: &mut Arguments) -> error::Result<Bytes> {
    let request = arguments.transaction()?;
    let block = arguments.block()?;
    let setting = match place(context, arguments, block)? {
        Place::Final(number) => Setting::After(number),
        Place::Pending(preview) => Setting::In(preview),
    };
    let trial = Trial { setting, overrides: overrides(arguments)? };
    let call = to_call(context, request)?;
    let outcome = context.chain().try_call(&trial, &call, arguments.stop());
    let outcome = outcome.map_err(|error| error::call(error, call.gas))?;
    if outcome.success { Ok(outcome.output) } else { Err(error::failed(&outcome)) }
}

fn estimate_gas(context: &Context, arguments: &mut Arguments) -> error::Result<U64> {
    let request = arguments.transaction()?;
    let trial = Trial { setting: setting_to_send(context, arguments)?, overrides: overrides(arguments)? };
    let call = to_call(context, request)?;
    let gas = context.chain().estimate_gas(&trial, &call, arguments.stop()).map_err(error::simulate)?;
    Ok(U64::from(gas))
}

fn access_list(context: &Context, arguments: &mut Arguments) -> error::Result<AccessListResult> {
    let request = arguments.transaction()?;
    let trial = Trial { setting: setting_to_send(context, arguments)?, overrides: overrides(arguments)? };
    let call = to_call(context, request)?;
    let Listed { access_list, outcome } =
        context.chain().access_list(&trial, &call, arguments.stop()).map_err(error::simulate)?;
    let error = (!outcome.success).then(|| error::failed(&outcome).message().to_owned());
    Ok(AccessListResult { access_list, gas_used: U256::from(outcome.gas_used), error })
}

/// Where a call is tried that is to be sent: at the head as what comes next, since what is sent runs there. A contract that counts by blocks does
/// something else, and at another price, in the block that is already there. At `pending` it comes behind all that waits.
fn setting_to_send(context: &Context, arguments: &mut Arguments) -> error::Result<Setting> {
    let block = arguments.block()?;
    Ok(match place(context, arguments, block)? {
        Place::Final(number) if number >= context.chain().head().number => Setting::Next { now_ms: now_ms() },
        Place::Final(number) => Setting::After(number),
        Place::Pending(preview) => Setting::In(preview),
    })
}

fn overrides(arguments: &mut Arguments) -> error::Result<Overrides> {
    let accounts = arguments.optional_object("state overrides")?;
    let said: Option<Value> = arguments.optional_object("block overrides")?;
    let block = said.map(|said| {
        convert::require_block_fields(&said, &[])?;
        serde_json::from_value(said)
            .map_err(|error| error::invalid(format!("block overrides: {}", error::reason(&error))))
    });
    convert::overrides(accounts, block.transpose()?)
}

/// A call of at most the gas that this server tries.
fn to_call(context: &Context, request: TransactionRequest) -> error::Result<Call> {
    convert::call(request, context.settings.max_call_gas, context.chain().rules())
}
