//! Blocks, their headers and their receipts.

use std::sync::Arc;

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{B256, U64};
use alloy_rpc_types_eth::{Block as RpcBlock, Header as RpcHeader, TransactionReceipt};
use serde_json::Value;

use super::super::block_reference::BlockReference;
use super::super::context::Context;
use super::super::method::{Arguments, Methods, Registered, inline, worker, worker_at};
use super::super::numbers::Form;
use super::super::{convert, error};
use super::block_id::{Place, number_of_tag, place};
use crate::block::Header;
use crate::chain::{Preview, Stored};

pub fn register(methods: &mut Methods) -> Registered {
    inline(methods, "eth_blockNumber", |context, _| Ok(U64::from(context.chain().head().number)))?;
    worker_at(methods, "eth_getBlockByNumber", |context, arguments| {
        let found = by_number(context, arguments)?;
        rpc_block(found, arguments)
    })?;
    worker(methods, "eth_getBlockByHash", |context, arguments| {
        let block = by_hash(context, arguments)?;
        rpc_block(block.map(Found::Final), arguments)
    })?;
    worker_at(methods, "eth_getHeaderByNumber", |context, arguments| {
        Ok(match tagged(context, arguments)? {
            Place::Final(number) => header_at(context, number)?.map(shown_header).map(Shown::Final),
            Place::Pending(preview) => {
                Some(Shown::Pending(convert::without_identity(&shown_header(preview.header().clone()))?))
            }
        })
    })?;
    worker(methods, "eth_getHeaderByHash", |context, arguments| {
        Ok(header_by_hash(context, arguments)?.map(shown_header))
    })?;
    worker_at(methods, "eth_getBlockTransactionCountByNumber", |context, arguments| {
        Ok(by_number(context, arguments)?.map(|found| U64::from(found.stored().block.transactions.len())))
    })?;
    worker(methods, "eth_getBlockTransactionCountByHash", |context, arguments| {
        Ok(by_hash(context, arguments)?.map(|stored| U64::from(stored.block.transactions.len())))
    })?;
    // There are no uncles.
    worker(methods, "eth_getUncleCountByBlockNumber", |context, arguments| {
        let number = number_of_tag(arguments.next_as(Form::Number, "block number")?, context.chain().head().number);
        Ok(header_at(context, number)?.map(|_| U64::ZERO))
    })?;
    worker(methods, "eth_getUncleCountByBlockHash", |context, arguments| {
        Ok(header_by_hash(context, arguments)?.map(|_| U64::ZERO))
    })?;
    inline(methods, "eth_getUncleByBlockNumberAndIndex", |_, arguments| {
        let _: BlockNumberOrTag = arguments.next_as(Form::Number, "block number")?;
        no_uncle(arguments)
    })?;
    inline(methods, "eth_getUncleByBlockHashAndIndex", |_, arguments| {
        let _: B256 = arguments.hex("block hash")?;
        no_uncle(arguments)
    })?;
    worker_at(methods, "eth_getBlockReceipts", block_receipts)
}

/// A block to be shown: a final one, or the one at `pending`.
pub enum Found {
    Final(Arc<Stored>),
    Pending(Arc<Preview>),
}

impl Found {
    pub fn stored(&self) -> &Stored {
        match self {
            Self::Final(stored) => stored,
            Self::Pending(preview) => &preview.block,
        }
    }
}

/// What is final as Ethereum's types have it; what is pending lacks some of it.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum Shown<T> {
    Final(T),
    Pending(Value),
}

pub fn by_number(context: &Context, arguments: &mut Arguments) -> error::Result<Option<Found>> {
    match tagged(context, arguments)? {
        Place::Final(number) => {
            let stored = context.chain().stored(number).map_err(|error| error::store(&error))?;
            Ok(stored.map(Found::Final))
        }
        Place::Pending(preview) => Ok(Some(Found::Pending(preview))),
    }
}

pub fn by_hash(context: &Context, arguments: &mut Arguments) -> error::Result<Option<Arc<Stored>>> {
    let number = hashed(context, arguments)?;
    number.map_or(Ok(None), |number| context.chain().stored(number)).map_err(|error| error::store(&error))
}

fn header_at(context: &Context, number: u64) -> error::Result<Option<Header>> {
    context.chain().header(number).map_err(|error| error::store(&error))
}

fn shown_header(header: Header) -> RpcHeader {
    let hash = header.hash_slow();
    convert::header(header, hash)
}

fn header_by_hash(context: &Context, arguments: &mut Arguments) -> error::Result<Option<Header>> {
    let number = hashed(context, arguments)?;
    number.map_or(Ok(None), |number| context.chain().header(number)).map_err(|error| error::store(&error))
}

/// A block by its number or tag: one beyond the head is looked for, and not found.
fn tagged(context: &Context, arguments: &mut Arguments) -> error::Result<Place> {
    let tag: BlockNumberOrTag = arguments.next_as(Form::Number, "block number")?;
    match &arguments.pending {
        Some(preview) if tag.is_pending() => Ok(Place::Pending(preview.clone())),
        _ => Ok(Place::Final(number_of_tag(tag, context.chain().head().number))),
    }
}

fn hashed(context: &Context, arguments: &mut Arguments) -> error::Result<Option<u64>> {
    let hash: B256 = arguments.hex("block hash")?;
    context.chain().number_of(hash).map_err(|error| error::store(&error))
}

fn rpc_block(found: Option<Found>, arguments: &mut Arguments) -> error::Result<Option<Shown<RpcBlock>>> {
    let full = arguments.optional("full transactions")?.unwrap_or(false);
    Ok(match found {
        None => None,
        Some(Found::Final(stored)) => Some(Shown::Final(convert::block(&stored, full))),
        Some(Found::Pending(preview)) => {
            Some(Shown::Pending(convert::without_identity(&convert::block(&preview.block, full))?))
        }
    })
}

fn no_uncle(arguments: &mut Arguments) -> error::Result<()> {
    let _: U64 = arguments.quantity("index")?;
    Ok(())
}

fn block_receipts(context: &Context, arguments: &mut Arguments) -> error::Result<Option<Vec<TransactionReceipt>>> {
    let BlockReference(block) = arguments.next_as(Form::Block, "block")?;
    // geth answers null for a block that is not there.
    let Ok(place) = place(context, arguments, block) else {
        return Ok(None);
    };
    match place {
        Place::Final(number) => {
            let finalized = context.chain().finalized(number).map_err(|error| error::store(&error))?;
            Ok(finalized.map(|finalized| convert::receipts(&finalized)))
        }
        Place::Pending(preview) => Ok(Some(convert::receipts(&preview.block))),
    }
}
