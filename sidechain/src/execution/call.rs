//! Calls that are tried without being sent.

use std::collections::{BTreeMap, BTreeSet};

use alloy_consensus::Transaction as _;
use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use revm::{
    DatabaseCommit as _,
    context::{TxEnv, either::Either},
};

use super::{
    error::{BlockError, InclusionError},
    evm::{Evm, Mode, evm, inclusion_error, offer, transact, transaction_env},
    moved_precompiles::{MovedPrecompiles, Placed},
    outcome::{Outcome, failure, free_failure, outcome},
    rules::{Rules, check_free},
};
use crate::{
    block::{Header, Transaction},
    state::{StateReader, Working},
    stop::Stop,
};

/// A call that is tried without being sent (`eth_call`, `eth_estimateGas`).
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// Sender; no signature is asked for.
    pub from: Address,
    /// Contract or account called, or `Create`.
    pub to: TxKind,
    /// Wei sent along; the sender must have it.
    pub value: U256,
    /// Call data or creation code.
    pub input: Bytes,
    /// Gas limit; default and maximum is the block's.
    pub gas: Option<u64>,
    /// Wei per gas; with 0 the sender need not be able to pay for gas.
    pub gas_price: u128,
    /// EIP-2930.
    pub access_list: AccessList,
    /// EIP-7702.
    pub authorizations: Vec<SignedAuthorization>,
}

/// What a call did, and what of the state it read or wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulated {
    pub outcome: Outcome,
    /// Accounts with their slots.
    pub touched: BTreeMap<Address, BTreeSet<U256>>,
}

/// Runs a call on a block's state and in its environment, changing nothing. `header` is of the block whose state `working`
/// starts from, or of the next one.
///
/// # Errors
///
/// `Transaction` when the call cannot even start; `Stopped`, `Store`.
pub fn simulate<R: StateReader>(
    rules: &Rules,
    header: &Header,
    working: Working<'_, R>,
    (call, moved): (&Call, &MovedPrecompiles),
    stop: &Stop,
) -> Result<Simulated, BlockError> {
    let mut evm = evm_of_calls(rules, header, working, (call, moved), stop);
    let ran = transact(&mut evm, call_env(rules, header, call), Mode::Call);
    let (result, state) = ran.map_err(|error| inclusion_error(error, offer(&evm), refuse_call))?;
    let touched = state.into_iter().map(|(address, account)| (address, account.storage.into_keys().collect()));
    Ok(Simulated { outcome: outcome(result), touched: touched.collect() })
}

/// An EVM for a call that is tried.
pub(super) fn evm_of_calls<'a, R: StateReader>(
    rules: &Rules,
    header: &Header,
    working: Working<'a, R>,
    (call, moved): (&Call, &MovedPrecompiles),
    stop: &Stop,
) -> Evm<'a, R> {
    let mut evm = evm(rules, header, working, Placed::moved(moved), stop);
    evm.ctx.cfg.tx_gas_limit_cap = Some(u64::MAX);
    evm.ctx.cfg.tx_chain_id_check = false;
    // As geth does: who offers nothing for gas sees no base fee.
    if call.gas_price == 0 {
        evm.ctx.block.basefee = 0;
    }
    evm
}

/// That a call cannot be started.
pub(super) const fn refuse_call(error: InclusionError) -> BlockError {
    BlockError::Transaction { index: 0, hash: B256::ZERO, error }
}

pub(super) fn call_env(rules: &Rules, header: &Header, call: &Call) -> TxEnv {
    TxEnv {
        tx_type: if call.authorizations.is_empty() { 1 } else { 4 },
        caller: call.from,
        gas_limit: call.gas.unwrap_or(header.gas_limit).min(header.gas_limit),
        gas_price: call.gas_price,
        kind: call.to,
        value: call.value,
        data: call.input.clone(),
        nonce: 0,
        chain_id: Some(rules.chain_id),
        access_list: call.access_list.clone(),
        gas_priority_fee: None,
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: call.authorizations.iter().cloned().map(Either::Left).collect(),
    }
}

/// Runs a free-lane transaction as it would run in the next block, except that its nonce may lie ahead.
///
/// # Errors
///
/// `Transaction` with what keeps it out of a block; `Stopped`, `Store`.
pub fn try_free<R: StateReader>(
    rules: &Rules,
    header: &Header,
    working: Working<'_, R>,
    transaction: &Transaction,
    stop: &Stop,
) -> Result<Outcome, BlockError> {
    let refuse = |error| BlockError::Transaction { index: 0, hash: *transaction.inner().tx_hash(), error };
    check_free(rules, transaction).map_err(refuse)?;
    let left = rules.member_gas();
    if transaction.gas_limit() > left {
        return Err(refuse(InclusionError::BlockGas { got: transaction.gas_limit(), left }));
    }
    let mut evm = evm(rules, header, working, Placed::usual(), stop);
    evm.ctx.cfg.disable_nonce_check = true;
    let ran = transact(&mut evm, transaction_env(transaction), Mode::Free);
    let (result, _) = ran.map_err(|error| inclusion_error(error, offer(&evm), refuse))?;
    if !result.is_success() {
        return Err(refuse(free_failure(&result)));
    }
    Ok(outcome(result))
}

/// Runs code that stands at an address, as genesis runs constructors; returns what it returns. Only the account itself is
/// changed.
///
/// # Errors
///
/// What the constructor says when it fails.
pub fn construct<R: StateReader>(
    chain_id: u64,
    timestamp: u64,
    working: Working<'_, R>,
    address: Address,
) -> Result<(Working<'_, R>, Bytes), String> {
    let rules = Rules { chain_id, gas_limit: u64::MAX, members: BTreeSet::new() };
    let header = Header { timestamp, gas_limit: u64::MAX, base_fee_per_gas: Some(0), ..Header::default() };
    let mut evm = evm(&rules, &header, working, Placed::usual(), &Stop::never());
    evm.ctx.cfg.tx_gas_limit_cap = Some(u64::MAX);
    let env =
        TxEnv { kind: TxKind::Call(address), gas_limit: CONSTRUCTOR_GAS, chain_id: Some(chain_id), ..TxEnv::default() };
    let (result, mut state) = transact(&mut evm, env, Mode::Call).map_err(|error| error.to_string())?;
    let outcome = outcome(result);
    if !outcome.success {
        return Err(failure(&outcome.halt, &outcome.output));
    }
    state.retain(|changed, _| *changed == address);
    let mut working = evm.ctx.journaled_state.database;
    working.commit(state);
    Ok((working, outcome.output))
}

/// Gas of a constructor at genesis: more than any needs, and little enough that a loop ends.
const CONSTRUCTOR_GAS: u64 = 1_000_000_000;
