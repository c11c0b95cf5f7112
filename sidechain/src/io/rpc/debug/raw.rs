//! Blocks, headers, receipts and transactions in Ethereum's encodings.

use alloy_consensus::BlockBody;
use alloy_eips::{Encodable2718 as _, eip4895::Withdrawals};
use alloy_primitives::Bytes;

use super::super::block_reference::BlockReference;
use super::super::eth::{number, raw_transaction};
use super::super::method::{Arguments, Methods, Registered, inline, worker};
use super::super::{context::Context, error, numbers::Form};
use crate::block::Block;

pub fn register(methods: &mut Methods) -> Registered {
    worker(methods, "debug_getRawHeader", |context, arguments| {
        let number = asked(context, arguments)?;
        let header = context.chain().header(number).map_err(|error| error::store(&error))?;
        header.map(|header| alloy_rlp::encode(header).into()).ok_or_else(|| missing(number)) as error::Result<Bytes>
    })?;
    worker(methods, "debug_getRawBlock", |context, arguments| {
        let number = asked(context, arguments)?;
        let stored = context.chain().stored(number).map_err(|error| error::store(&error))?;
        stored.map(|stored| ethereums(&stored.block)).ok_or_else(|| missing(number))
    })?;
    worker(methods, "debug_getRawReceipts", |context, arguments| {
        let number = asked(context, arguments)?;
        let finalized = context.chain().finalized(number).map_err(|error| error::store(&error))?;
        let receipts = finalized.ok_or_else(|| missing(number))?.receipts;
        Ok(receipts.iter().map(|receipt| receipt.encoded_2718().into()).collect::<Vec<Bytes>>())
    })?;
    worker(methods, "debug_getRawTransaction", raw_transaction)?;
    // A block that fails verification is never kept, so there is none to show.
    inline(methods, "debug_getBadBlocks", |_, _| Ok([(); 0]))
}

fn asked(context: &Context, arguments: &mut Arguments) -> error::Result<u64> {
    let BlockReference(block) = arguments.next_as(Form::Block, "block")?;
    number(context, block)
}

fn missing(number: u64) -> jsonrpsee::types::ErrorObjectOwned {
    error::no_block(format_args!("block {number}"))
}

/// The block as Ethereum's networks pass it on: with uncles and withdrawals, of which there are none.
fn ethereums(block: &Block) -> Bytes {
    let withdrawals = block.header.withdrawals_root.map(|_| Withdrawals::default());
    let body = BlockBody { transactions: block.transactions.clone(), ommers: Vec::new(), withdrawals };
    alloy_rlp::encode(alloy_consensus::Block::new(block.header.clone(), body)).into()
}
