//! Blocks, their headers and their receipts.

use std::sync::Arc;

use alloy_primitives::{B256, U64};
use alloy_rpc_types_eth::{Block as RpcBlock, TransactionReceipt};

use super::super::context::Context;
use super::super::method::{Arguments, Methods, Registered, inline, worker};
use super::super::{convert, error};
use super::block_id::{number, number_of_tag};
use crate::block::Header;
use crate::chain::Stored;

pub fn register(methods: &mut Methods) -> Registered {
    inline(methods, "eth_blockNumber", |context, _| Ok(U64::from(context.chain().head().number)))?;
    worker(methods, "eth_getBlockByNumber", |context, arguments| {
        let block = by_number(context, arguments)?;
        rpc_block(block, arguments)
    })?;
    worker(methods, "eth_getBlockByHash", |context, arguments| {
        let block = by_hash(context, arguments)?;
        rpc_block(block, arguments)
    })?;
    worker(methods, "eth_getHeaderByNumber", |context, arguments| {
        Ok(header_by_number(context, arguments)?.map(|header| convert::header(header.clone(), header.hash_slow())))
    })?;
    worker(methods, "eth_getHeaderByHash", |context, arguments| {
        Ok(header_by_hash(context, arguments)?.map(|header| convert::header(header.clone(), header.hash_slow())))
    })?;
    worker(methods, "eth_getBlockTransactionCountByNumber", |context, arguments| {
        Ok(by_number(context, arguments)?.map(|stored| U64::from(stored.block.transactions.len())))
    })?;
    worker(methods, "eth_getBlockTransactionCountByHash", |context, arguments| {
        Ok(by_hash(context, arguments)?.map(|stored| U64::from(stored.block.transactions.len())))
    })?;
    // There are no uncles.
    worker(methods, "eth_getUncleCountByBlockNumber", |context, arguments| {
        Ok(header_by_number(context, arguments)?.map(|_| U64::ZERO))
    })?;
    worker(methods, "eth_getUncleCountByBlockHash", |context, arguments| {
        Ok(header_by_hash(context, arguments)?.map(|_| U64::ZERO))
    })?;
    worker(methods, "eth_getBlockReceipts", block_receipts)
}

pub fn by_number(context: &Context, arguments: &mut Arguments) -> error::Result<Option<Arc<Stored>>> {
    let number = tagged(context, arguments)?;
    context.chain().stored(number).map_err(|error| error::store(&error))
}

pub fn by_hash(context: &Context, arguments: &mut Arguments) -> error::Result<Option<Arc<Stored>>> {
    let number = hashed(context, arguments)?;
    number.map_or(Ok(None), |number| context.chain().stored(number)).map_err(|error| error::store(&error))
}

fn header_by_number(context: &Context, arguments: &mut Arguments) -> error::Result<Option<Header>> {
    let number = tagged(context, arguments)?;
    context.chain().header(number).map_err(|error| error::store(&error))
}

fn header_by_hash(context: &Context, arguments: &mut Arguments) -> error::Result<Option<Header>> {
    let number = hashed(context, arguments)?;
    number.map_or(Ok(None), |number| context.chain().header(number)).map_err(|error| error::store(&error))
}

fn tagged(context: &Context, arguments: &mut Arguments) -> error::Result<u64> {
    Ok(number_of_tag(arguments.quantity("block number")?, context.chain().head().number))
}

fn hashed(context: &Context, arguments: &mut Arguments) -> error::Result<Option<u64>> {
    let hash: B256 = arguments.next("block hash")?;
    context.chain().number_of(hash).map_err(|error| error::store(&error))
}

fn rpc_block(block: Option<Arc<Stored>>, arguments: &mut Arguments) -> error::Result<Option<RpcBlock>> {
    let full = arguments.optional("full transactions")?.unwrap_or(false);
    Ok(block.map(|stored| convert::block(&stored, full)))
}

fn block_receipts(context: &Context, arguments: &mut Arguments) -> error::Result<Option<Vec<TransactionReceipt>>> {
    // geth answers null for a block that is not there.
    let Ok(number) = number(context, arguments.next("block")?) else {
        return Ok(None);
    };
    let finalized = context.chain().finalized(number).map_err(|error| error::store(&error))?;
    Ok(finalized.map(|finalized| convert::receipts(&finalized)))
}
