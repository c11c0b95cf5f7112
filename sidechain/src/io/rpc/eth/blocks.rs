//! Blocks, their headers and their receipts.

use alloy_primitives::{B256, U64};
use alloy_rpc_types_eth::{Block as RpcBlock, TransactionReceipt};
use jsonrpsee::RpcModule;

use super::super::context::Context;
use super::super::method::{Arguments, Registered, worker};
use super::super::{convert, error};
use super::block_id::{number, number_of_tag};
use crate::chain::Stored;

pub fn register(module: &mut RpcModule<Context>) -> Registered {
    worker(module, "eth_blockNumber", |context, _| Ok(U64::from(context.chain().head().number)))?;
    worker(module, "eth_getBlockByNumber", |context, arguments| {
        let block = by_number(context, arguments)?;
        rpc_block(block, arguments)
    })?;
    worker(module, "eth_getBlockByHash", |context, arguments| {
        let block = by_hash(context, arguments)?;
        rpc_block(block, arguments)
    })?;
    worker(module, "eth_getHeaderByNumber", |context, arguments| {
        Ok(by_number(context, arguments)?.map(|stored| convert::header(stored.block.header, stored.hash)))
    })?;
    worker(module, "eth_getHeaderByHash", |context, arguments| {
        Ok(by_hash(context, arguments)?.map(|stored| convert::header(stored.block.header, stored.hash)))
    })?;
    worker(module, "eth_getBlockTransactionCountByNumber", |context, arguments| {
        Ok(by_number(context, arguments)?.map(|stored| U64::from(stored.block.transactions.len())))
    })?;
    worker(module, "eth_getBlockTransactionCountByHash", |context, arguments| {
        Ok(by_hash(context, arguments)?.map(|stored| U64::from(stored.block.transactions.len())))
    })?;
    // There are no uncles.
    worker(module, "eth_getUncleCountByBlockNumber", |context, arguments| {
        Ok(by_number(context, arguments)?.map(|_| U64::ZERO))
    })?;
    worker(module, "eth_getUncleCountByBlockHash", |context, arguments| {
        Ok(by_hash(context, arguments)?.map(|_| U64::ZERO))
    })?;
    worker(module, "eth_getBlockReceipts", block_receipts)
}

pub fn by_number(context: &Context, arguments: &mut Arguments) -> error::Result<Option<Stored>> {
    let tag = arguments.next("block number")?;
    context.chain().stored(number_of_tag(tag, context.chain().head().number)).map_err(|error| error::store(&error))
}

pub fn by_hash(context: &Context, arguments: &mut Arguments) -> error::Result<Option<Stored>> {
    let hash: B256 = arguments.next("block hash")?;
    stored(context, hash)
}

fn stored(context: &Context, hash: B256) -> error::Result<Option<Stored>> {
    let chain = context.chain();
    let stored = chain.number_of(hash).and_then(|number| number.map_or(Ok(None), |number| chain.stored(number)));
    stored.map_err(|error| error::store(&error))
}

fn rpc_block(block: Option<Stored>, arguments: &mut Arguments) -> error::Result<Option<RpcBlock>> {
    let full = arguments.optional("full transactions")?.unwrap_or(false);
    Ok(block.map(|stored| convert::block(stored, full)))
}

fn block_receipts(context: &Context, arguments: &mut Arguments) -> error::Result<Option<Vec<TransactionReceipt>>> {
    match number(context, arguments.next("block")?) {
        Ok(number) => receipts_of(context, number),
        // geth answers null for a block that is not there.
        Err(_) => Ok(None),
    }
}

pub fn receipts_of(context: &Context, number: u64) -> error::Result<Option<Vec<TransactionReceipt>>> {
    let chain = context.chain();
    let stored = chain.stored(number).map_err(|error| error::store(&error))?;
    let receipts = chain.receipts(number).map_err(|error| error::store(&error))?;
    Ok(stored.zip(receipts).map(|(stored, receipts)| convert::receipts(&stored, receipts)))
}
