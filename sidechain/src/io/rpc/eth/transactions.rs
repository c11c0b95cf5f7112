//! Transactions, waiting or final, and the receipts of final ones.

use std::sync::Arc;

use alloy_consensus::Transaction as _;
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, U64};
use alloy_rpc_types_eth::{Transaction as RpcTransaction, TransactionReceipt};

use super::super::context::Context;
use super::super::method::{Arguments, Methods, Registered, long, worker, worker_at};
use super::super::{convert, error};
use super::blocks::{Found, by_hash, by_number};
use crate::block::{Transaction, TxEnvelope};
use crate::chain::{Located, Since, Stored};
use crate::state::StateReader as _;

pub fn register(methods: &mut Methods) -> Registered {
    worker(methods, "eth_getTransactionByHash", transaction)?;
    worker(methods, "eth_getRawTransactionByHash", raw_transaction)?;
    worker_at(methods, "eth_getTransactionByBlockNumberAndIndex", |context, arguments| {
        let block = by_number(context, arguments)?;
        at_index(block, arguments)
    })?;
    worker(methods, "eth_getTransactionByBlockHashAndIndex", |context, arguments| {
        let block = by_hash(context, arguments)?.map(Found::Final);
        at_index(block, arguments)
    })?;
    worker_at(methods, "eth_getRawTransactionByBlockNumberAndIndex", |context, arguments| {
        let block = by_number(context, arguments)?;
        raw_at_index(block, arguments)
    })?;
    worker(methods, "eth_getRawTransactionByBlockHashAndIndex", |context, arguments| {
        let block = by_hash(context, arguments)?.map(Found::Final);
        raw_at_index(block, arguments)
    })?;
    long(methods, "eth_getTransactionBySenderAndNonce", by_sender_and_nonce)?;
    worker(methods, "eth_getTransactionReceipt", receipt)
}

fn transaction(context: &Context, arguments: &mut Arguments) -> error::Result<Option<RpcTransaction>> {
    let hash: B256 = arguments.hex("transaction hash")?;
    // The pool first: what becomes final between the two looks is then found by the second.
    if let Some(waiting) = waiting(context, hash) {
        return Ok(Some(convert::pending(Transaction::clone(&waiting))));
    }
    Ok(located(context, hash)?.and_then(|Located { stored, index }| convert::transaction(&stored, index)))
}

pub fn raw_transaction(context: &Context, arguments: &mut Arguments) -> error::Result<Option<Bytes>> {
    let hash: B256 = arguments.hex("transaction hash")?;
    if let Some(waiting) = waiting(context, hash) {
        return Ok(Some(waiting.encoded_2718().into()));
    }
    let transaction = located(context, hash)?.and_then(|Located { stored, index }| stored.transaction(index));
    Ok(transaction.map(|transaction| transaction.encoded_2718().into()))
}

/// One of the pool, which is free again when this returns.
fn waiting(context: &Context, hash: B256) -> Option<Arc<Transaction>> {
    context.state.pool().get(hash).cloned()
}

pub fn located(context: &Context, hash: B256) -> error::Result<Option<Located>> {
    context.chain().transaction(hash).map_err(|error| error::store(&error))
}

/// A sender's transaction with a nonce, also from the pool: `cast tx --from` asks for it.
fn by_sender_and_nonce(context: &Context, arguments: &mut Arguments) -> error::Result<Option<RpcTransaction>> {
    let (sender, nonce): (Address, U64) = (arguments.hex("sender")?, arguments.quantity("nonce")?);
    let nonce = nonce.to::<u64>();
    let waiting = {
        let pool = context.state.pool();
        let mut own = pool.content_from(sender).map(|(_, waiting)| waiting);
        own.find(|waiting| waiting.nonce() == nonce).cloned()
    };
    if let Some(waiting) = waiting {
        return Ok(Some(convert::pending(Transaction::clone(&waiting))));
    }
    let found = used(context, arguments, sender, nonce)?;
    Ok(found.and_then(|Located { stored, index }| convert::transaction(&stored, index)))
}

/// The transaction with which an account used a nonce: the block is found by halving, since nonces only grow.
pub fn used(context: &Context, arguments: &Arguments, sender: Address, nonce: u64) -> error::Result<Option<Located>> {
    let since = context
        .chain()
        .since(arguments.stop(), |state| Ok(state.account(sender)?.is_some_and(|account| account.nonce > nonce)));
    let Some(stored) = block_since(context, since.map_err(error::simulate)?)? else { return Ok(None) };
    let place = |(transaction, from): (&TxEnvelope, &Address)| *from == sender && transaction.nonce() == nonce;
    let index = stored.block.transactions.iter().zip(&stored.senders).position(place);
    Ok(index.map(|index| Located { stored, index }))
}

/// The block that was found by halving.
pub fn block_since(context: &Context, since: Since) -> error::Result<Option<Arc<Stored>>> {
    match since {
        Since::Never => Ok(None),
        Since::Block(number) => context.chain().stored(number).map_err(|error| error::store(&error)),
        Since::Before { oldest } => Err(error::server(format!(
            "it was before block {oldest}, the oldest whose state is kept here, so it is not found"
        ))),
    }
}

fn at_index(block: Option<Found>, arguments: &mut Arguments) -> error::Result<Option<RpcTransaction>> {
    let index = index(arguments)?;
    let Some(found) = block else { return Ok(None) };
    let shown = convert::transaction(found.stored(), index);
    Ok(match found {
        Found::Final(_) => shown,
        Found::Pending(_) => shown.map(|transaction| RpcTransaction { block_hash: None, ..transaction }),
    })
}

fn raw_at_index(block: Option<Found>, arguments: &mut Arguments) -> error::Result<Option<Bytes>> {
    let index = index(arguments)?;
    let transaction = block.and_then(|found| found.stored().transaction(index));
    Ok(transaction.map(|transaction| transaction.encoded_2718().into()))
}

fn index(arguments: &mut Arguments) -> error::Result<usize> {
    let index: U64 = arguments.quantity("index")?;
    Ok(usize::try_from(index.to::<u64>()).unwrap_or(usize::MAX))
}

fn receipt(context: &Context, arguments: &mut Arguments) -> error::Result<Option<TransactionReceipt>> {
    receipt_of(context, arguments.hex("transaction hash")?)
}

/// The receipt of a final transaction.
pub fn receipt_of(context: &Context, hash: B256) -> error::Result<Option<TransactionReceipt>> {
    let Some(Located { stored, index }) = located(context, hash)? else {
        return Ok(None);
    };
    let finalized = context.chain().with_receipts(stored).map_err(|error| error::store(&error))?;
    Ok(convert::receipt(&finalized, index))
}
