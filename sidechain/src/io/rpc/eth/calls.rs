//! State and what a call would do.

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_rpc_types_eth::{EIP1186AccountProofResponse, EIP1186StorageProof, TransactionRequest};

use super::super::method::{Arguments, Methods, Registered, long, worker};
use super::super::{context::Context, convert, error};
use super::block_id::number;
use crate::chain::{SimulateError, StateAt};
use crate::execution::Call;
use crate::io::NodeStore;
use crate::state::StateReader;

/// Slots one `eth_getProof` may ask for, as geth's limit.
const MAX_PROOF_SLOTS: usize = 1_024;

/// Slots that are proved between two looks whether anybody still waits.
const SLOTS_AT_ONCE: usize = 64;

pub fn register(methods: &mut Methods) -> Registered {
    worker(methods, "eth_getBalance", |context, arguments| {
        let address = arguments.next("address")?;
        account(&state(context, arguments)?, address).map(|account| account.balance)
    })?;
    worker(methods, "eth_getTransactionCount", transaction_count)?;
    worker(methods, "eth_getCode", code)?;
    worker(methods, "eth_getStorageAt", storage)?;
    long(methods, "eth_getProof", proof)?;
    long(methods, "eth_call", call)?;
    long(methods, "eth_estimateGas", estimate_gas)
}

fn state<'a>(context: &'a Context, arguments: &mut Arguments) -> error::Result<StateAt<'a, NodeStore>> {
    let number = block(context, arguments)?;
    context.chain().state_at(number).map_err(error::simulate)
}

/// The block parameter; the head when it is missing.
fn block(context: &Context, arguments: &mut Arguments) -> error::Result<u64> {
    number(context, arguments.optional("block")?.unwrap_or(BlockId::latest()))
}

fn account(state: &StateAt<'_, NodeStore>, address: Address) -> error::Result<crate::state::Account> {
    Ok(state.account(address).map_err(|error| error::store(&error))?.unwrap_or_default())
}

fn transaction_count(context: &Context, arguments: &mut Arguments) -> error::Result<U64> {
    let address = arguments.next("address")?;
    let block = arguments.optional("block")?.unwrap_or(BlockId::latest());
    let state = context.chain().state_at(number(context, block)?).map_err(error::simulate)?;
    let nonce = account(&state, address)?.nonce;
    if block == BlockId::Number(BlockNumberOrTag::Pending) {
        return Ok(U64::from(context.state.pool().pending_nonce(address, nonce)));
    }
    Ok(U64::from(nonce))
}

fn code(context: &Context, arguments: &mut Arguments) -> error::Result<Bytes> {
    let address = arguments.next("address")?;
    let state = state(context, arguments)?;
    let hash = account(&state, address)?.code_hash;
    Ok(state.code(hash).map_err(|error| error::store(&error))?.unwrap_or_default())
}

fn storage(context: &Context, arguments: &mut Arguments) -> error::Result<B256> {
    let (address, slot): (Address, U256) = (arguments.next("address")?, arguments.next("slot")?);
    let value = state(context, arguments)?.storage(address, slot).map_err(|error| error::store(&error))?;
    Ok(value.into())
}

fn proof(context: &Context, arguments: &mut Arguments) -> error::Result<EIP1186AccountProofResponse> {
    let (address, slots): (Address, Vec<U256>) = (arguments.next("address")?, arguments.next("slots")?);
    if slots.len() > MAX_PROOF_SLOTS {
        return Err(error::limit(format!("too many slots: {}, at most {MAX_PROOF_SLOTS}", slots.len())));
    }
    let state = state(context, arguments)?;
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
    let request: TransactionRequest = arguments.next("transaction")?;
    let block = block(context, arguments)?;
    refuse_overrides(arguments)?;
    let outcome =
        context.chain().simulate(block, &to_call(context, request)?, arguments.stop()).map_err(error::simulate)?;
    if outcome.success { Ok(outcome.output) } else { Err(error::failed(&outcome)) }
}

fn estimate_gas(context: &Context, arguments: &mut Arguments) -> error::Result<U64> {
    let request: TransactionRequest = arguments.next("transaction")?;
    let block = block(context, arguments)?;
    refuse_overrides(arguments)?;
    let gas =
        context.chain().estimate_gas(block, &to_call(context, request)?, arguments.stop()).map_err(error::simulate)?;
    Ok(U64::from(gas))
}

/// State and block overrides would change the answer, so they are not ignored.
fn refuse_overrides(arguments: &mut Arguments) -> error::Result<()> {
    let [state, block] = ["state overrides", "block overrides"].map(|name| arguments.optional(name));
    convert::refuse_overrides([state?, block?])
}

/// A call of at most the gas that this server tries.
fn to_call(context: &Context, request: TransactionRequest) -> error::Result<Call> {
    convert::call(request, context.settings.max_call_gas)
}
