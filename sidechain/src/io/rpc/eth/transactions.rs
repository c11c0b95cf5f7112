//! Transactions, waiting or final, and the receipts of final ones.

use alloy_eips::Encodable2718;
use alloy_primitives::{B256, Bytes, U64};
use alloy_rpc_types_eth::{Transaction as RpcTransaction, TransactionReceipt};
use jsonrpsee::RpcModule;

use super::super::context::Context;
use super::super::convert::{self, Place};
use super::super::error;
use super::super::method::{Arguments, Registered, worker};
use super::blocks::{by_hash, by_number, receipts_of};
use crate::chain::Stored;

pub fn register(module: &mut RpcModule<Context>) -> Registered {
    worker(module, "eth_getTransactionByHash", transaction)?;
    worker(module, "eth_getRawTransactionByHash", raw_transaction)?;
    worker(module, "eth_getTransactionByBlockNumberAndIndex", |context, arguments| {
        let block = by_number(context, arguments)?;
        at_index(block, arguments)
    })?;
    worker(module, "eth_getTransactionByBlockHashAndIndex", |context, arguments| {
        let block = by_hash(context, arguments)?;
        at_index(block, arguments)
    })?;
    worker(module, "eth_getTransactionReceipt", receipt)
}

fn transaction(context: &Context, arguments: &mut Arguments) -> error::Result<Option<RpcTransaction>> {
    let hash: B256 = arguments.next("transaction hash")?;
    // The pool first: what becomes final between the two looks is then found by the second.
    if let Some(waiting) = context.state.pool().get(hash).cloned() {
        return Ok(Some(convert::pending(waiting)));
    }
    let located = context.chain().transaction(hash).map_err(|error| error::store(&error))?;
    Ok(located.map(|located| {
        let place = Place { header: &located.header, hash: located.block_hash, index: located.index };
        place.transaction(located.transaction)
    }))
}

fn raw_transaction(context: &Context, arguments: &mut Arguments) -> error::Result<Option<Bytes>> {
    let hash: B256 = arguments.next("transaction hash")?;
    if let Some(waiting) = context.state.pool().get(hash) {
        return Ok(Some(waiting.encoded_2718().into()));
    }
    let located = context.chain().transaction(hash).map_err(|error| error::store(&error))?;
    Ok(located.map(|located| located.transaction.encoded_2718().into()))
}

fn at_index(block: Option<Stored>, arguments: &mut Arguments) -> error::Result<Option<RpcTransaction>> {
    let index: U64 = arguments.next("index")?;
    let index = usize::try_from(index.to::<u64>()).unwrap_or(usize::MAX);
    Ok(block.and_then(|Stored { mut block, hash, senders }| {
        let sender = *senders.get(index)?;
        let transaction = block.transactions.swap_remove(index);
        let recovered = alloy_consensus::transaction::Recovered::new_unchecked(transaction, sender);
        Some(Place { header: &block.header, hash, index }.transaction(recovered))
    }))
}

fn receipt(context: &Context, arguments: &mut Arguments) -> error::Result<Option<TransactionReceipt>> {
    let hash: B256 = arguments.next("transaction hash")?;
    let Some(located) = context.chain().transaction(hash).map_err(|error| error::store(&error))? else {
        return Ok(None);
    };
    let mut receipts = receipts_of(context, located.header.number)?.unwrap_or_default();
    Ok((located.index < receipts.len()).then(|| receipts.swap_remove(located.index)))
}
