//! The `ots` namespace, with which Otterscan shows a chain (its custom-jsonrpc.md, API level 8).

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types_eth::{BlockTransactions, Transaction as RpcTransaction, TransactionReceipt};
use alloy_rpc_types_trace::{
    geth::CallFrame,
    otterscan::{
        BlockDetails, ContractCreator, InternalIssuance, InternalOperation, OtsBlock, OtsBlockTransactions, OtsReceipt,
        OtsTransactionReceipt, TraceEntry,
    },
};
use alloy_trie::KECCAK_EMPTY;
use jsonrpsee::types::ErrorObjectOwned;
use serde::Deserialize;

use super::debug::{noop, trace_located, traced_calls};
use super::eth::{block_since, located, number, number_of_tag, used};
use super::method::{Arguments, Methods, Registered, inline, long, worker};
use super::{context::Context, convert, error, numbers::Form};
use crate::chain::{Finalized, Located};
use crate::execution::{Trace, Tracer};
use crate::state::StateReader as _;

/// The level of the interface that Otterscan 2 asks for.
const API_LEVEL: u64 = 8;

/// Transactions on a page; Otterscan asks for 25.
pub const MAX_PAGE: usize = 1_000;

/// How code begins that an account lends from a contract (EIP-7702).
const DELEGATED: [u8; 3] = [0xef, 0x01, 0x00];

pub fn register(methods: &mut Methods) -> Registered {
    inline(methods, "ots_getApiLevel", |_, _| Ok(API_LEVEL))?;
    worker(methods, "ots_hasCode", has_code)?;
    worker(methods, "ots_getBlockDetails", |context, arguments| {
        let found = by_number(context, arguments)?;
        Ok(found.map(|block| details(&block)))
    })?;
    worker(methods, "ots_getBlockDetailsByHash", |context, arguments| {
        let hash: B256 = arguments.hex("block hash")?;
        let number = context.chain().number_of(hash).map_err(|error| error::store(&error))?;
        let found = number.map_or(Ok(None), |number| finalized(context, number))?;
        Ok(found.map(|block| details(&block)))
    })?;
    worker(methods, "ots_getBlockTransactions", block_transactions)?;
    long(methods, "ots_getTransactionError", transaction_error)?;
    long(methods, "ots_traceTransaction", trace_transaction)?;
    long(methods, "ots_getInternalOperations", internal_operations)?;
    long(methods, "ots_getContractCreator", contract_creator)?;
    long(methods, "ots_getTransactionBySenderAndNonce", by_sender_and_nonce)?;
    inline(methods, "ots_searchTransactionsBefore", |_, _| Err::<(), _>(no_index()))?;
    inline(methods, "ots_searchTransactionsAfter", |_, _| Err::<(), _>(no_index()))
}

fn no_index() -> ErrorObjectOwned {
    error::server(
        "this node has no index of the transactions that touch an address, and looking through all blocks has no bound: \
         ask for its logs by eth_getLogs, or for what it sent by ots_getTransactionBySenderAndNonce",
    )
}

/// A block's number, which Otterscan writes as a JSON number.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(u64),
    Tag(BlockNumberOrTag),
}

impl From<Number> for BlockNumberOrTag {
    fn from(number: Number) -> Self {
        match number {
            Number::Plain(number) => Self::Number(number),
            Number::Tag(tag) => tag,
        }
    }
}

fn has_code(context: &Context, arguments: &mut Arguments) -> error::Result<bool> {
    let address: Address = arguments.hex("address")?;
    let block: Option<Number> = arguments.optional_as(Form::NumberOrInteger, "block")?;
    let block = block.map_or(BlockId::latest(), |block| BlockId::Number(block.into()));
    let state = context.chain().state_at(number(context, block)?).map_err(error::simulate)?;
    let account = state.account(address).map_err(|error| error::store(&error))?;
    Ok(account.is_some_and(|account| account.code_hash != KECCAK_EMPTY))
}

fn by_number(context: &Context, arguments: &mut Arguments) -> error::Result<Option<Finalized>> {
    let block: Number = arguments.next_as(Form::NumberOrInteger, "block number")?;
    finalized(context, number_of_tag(block.into(), context.chain().head().number))
}

fn finalized(context: &Context, number: u64) -> error::Result<Option<Finalized>> {
    context.chain().finalized(number).map_err(|error| error::store(&error))
}

fn details(block: &Finalized) -> BlockDetails {
    let receipts = convert::receipts(block);
    let fees = receipts.iter().map(|receipt| U256::from(receipt.gas_used) * U256::from(receipt.effective_gas_price));
    // No coin is issued but by the Bridge.
    BlockDetails::new(convert::block(block, false), InternalIssuance::default(), fees.sum())
}

/// A page of a block's transactions: page 0 is the last, as Otterscan shows the newest first.
fn block_transactions(context: &Context, arguments: &mut Arguments) -> error::Result<Option<OtsBlockTransactions>> {
    let block = by_number(context, arguments)?;
    let (page, size): (usize, usize) = (arguments.next("page number")?, arguments.next("page size")?);
    if size > MAX_PAGE {
        return Err(error::limit(format!("page size {size}, at most {MAX_PAGE}")));
    }
    Ok(block.map(|block| page_of(&block, page, size)))
}

fn page_of(block: &Finalized, page: usize, size: usize) -> OtsBlockTransactions {
    let count = block.block.transactions.len();
    let end = count.saturating_sub(page.saturating_mul(size));
    let shown = end.saturating_sub(size)..end;
    let transactions: Vec<RpcTransaction> =
        shown.clone().filter_map(|index| convert::transaction(block, index)).collect();
    let mut whole = convert::block(block, false);
    whole.transactions = BlockTransactions::Full(transactions);
    let timestamp = block.block.header.timestamp;
    let receipts = convert::receipts(block).into_iter().skip(shown.start).take(shown.len());
    OtsBlockTransactions {
        fullblock: OtsBlock { block: whole, transaction_count: count },
        receipts: receipts.map(|receipt| without_logs(receipt, timestamp)).collect(),
    }
}

fn without_logs(receipt: TransactionReceipt, timestamp: u64) -> OtsTransactionReceipt {
    let r#type = receipt.transaction_type().into();
    let receipt = receipt.map_inner(|inner| OtsReceipt {
        status: inner.status(),
        cumulative_gas_used: inner.cumulative_gas_used(),
        logs: None,
        logs_bloom: None,
        r#type,
    });
    OtsTransactionReceipt { receipt, timestamp: Some(timestamp) }
}

/// A transaction that is in a block; as Otterscan expects, none is no error.
fn asked(context: &Context, arguments: &mut Arguments) -> error::Result<Option<Located>> {
    located(context, arguments.hex("transaction hash")?)
}

/// What a transaction reverted with; nothing when it succeeded, or halted.
fn transaction_error(context: &Context, arguments: &mut Arguments) -> error::Result<Option<Bytes>> {
    let Some(located) = asked(context, arguments)? else { return Ok(None) };
    let outcome = trace_located(context, arguments, &located, &noop())?.outcome;
    Ok(Some(if outcome.success { Bytes::new() } else { outcome.output }))
}

/// The calls of a transaction as a list, each behind its caller.
fn trace_transaction(context: &Context, arguments: &mut Arguments) -> error::Result<Option<Vec<TraceEntry>>> {
    let Some(located) = asked(context, arguments)? else { return Ok(None) };
    let root = traced_calls(context, arguments, &located)?;
    let mut entries = Vec::new();
    let mut open = vec![(0, root)];
    while let Some((depth, CallFrame { typ, from, to, value, input, output, calls, .. })) = open.pop() {
        open.extend(calls.into_iter().rev().map(|call| (depth + 1, call)));
        let value = value.filter(|_| typ != "DELEGATECALL" && typ != "STATICCALL");
        let (to, output) = (to.unwrap_or_default(), output.unwrap_or_default());
        entries.push(TraceEntry { r#type: typ, depth, from, to, value, input, output });
    }
    Ok(Some(entries))
}

fn internal_operations(context: &Context, arguments: &mut Arguments) -> error::Result<Option<Vec<InternalOperation>>> {
    let Some(located) = asked(context, arguments)? else { return Ok(None) };
    match trace_located(context, arguments, &located, &Tracer::Operations)?.trace {
        Trace::Operations(operations) => Ok(Some(operations)),
        _ => Ok(None),
    }
}

/// Who created a contract, and in which transaction: the block is found by halving, since code that is there stays (EIP-6780).
fn contract_creator(context: &Context, arguments: &mut Arguments) -> error::Result<Option<ContractCreator>> {
    let address: Address = arguments.hex("address")?;
    let since = context.chain().since(arguments.stop(), |state| {
        let Some(account) = state.account(address)? else { return Ok(false) };
        // An account that lends code was not created by anybody, and may give it back.
        let code = state.code(account.code_hash)?;
        Ok(code.is_some_and(|code| !code.is_empty() && !code.starts_with(&DELEGATED)))
    });
    let Some(stored) = block_since(context, since.map_err(error::simulate)?)? else { return Ok(None) };
    for index in 0..stored.block.transactions.len() {
        let hash = *stored.block.transactions[index].tx_hash();
        let located = Located { stored: stored.clone(), index };
        if let Some(creator) = creator_within(&traced_calls(context, arguments, &located)?, address) {
            return Ok(Some(ContractCreator { hash, creator }));
        }
    }
    Ok(None)
}

/// Who created the contract within a call, unless that was undone.
fn creator_within(root: &CallFrame, address: Address) -> Option<Address> {
    let mut open = vec![root];
    while let Some(frame) = open.pop() {
        if frame.error.is_some() {
            continue;
        }
        if frame.typ.starts_with("CREATE") && frame.to == Some(address) {
            return Some(frame.from);
        }
        open.extend(&frame.calls);
    }
    None
}

/// The hash of the transaction with which an account used a nonce.
fn by_sender_and_nonce(context: &Context, arguments: &mut Arguments) -> error::Result<Option<B256>> {
    let (sender, nonce): (Address, u64) = (arguments.next("sender")?, arguments.next("nonce")?);
    let found = used(context, arguments, sender, nonce)?;
    Ok(found.map(|Located { stored, index }| *stored.block.transactions[index].tx_hash()))
}
