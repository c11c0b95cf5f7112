//! Blocks, transactions, receipts and logs.

use alloy_eips::{BlockId, BlockNumberOrTag, Encodable2718};
use alloy_primitives::{B256, Bytes, U64};
use alloy_rpc_types_eth::{Block as RpcBlock, Filter, FilterBlockOption, Log as RpcLog};
use alloy_rpc_types_eth::{Transaction as RpcTransaction, TransactionReceipt};
use jsonrpsee::RpcModule;

use super::super::convert::{self, Place};
use super::super::method::{Arguments, Registered, worker};
use super::super::{Node, error};
use crate::app::{LogFilter, Stored};

/// Values in one position of a log filter, as geth's limit.
const MAX_FILTER_VALUES: usize = 1_000;

pub fn register(module: &mut RpcModule<Node>) -> Registered {
    worker(module, "eth_blockNumber", |node, _| Ok(U64::from(node.chain().head().number)))?;
    worker(module, "eth_getBlockByNumber", |node, arguments| {
        let block = by_number(node, arguments)?;
        rpc_block(block, arguments)
    })?;
    worker(module, "eth_getBlockByHash", |node, arguments| {
        let block = by_hash(node, arguments)?;
        rpc_block(block, arguments)
    })?;
    worker(module, "eth_getHeaderByNumber", |node, arguments| {
        Ok(by_number(node, arguments)?.map(|stored| convert::header(stored.block.header, stored.hash)))
    })?;
    worker(module, "eth_getHeaderByHash", |node, arguments| {
        Ok(by_hash(node, arguments)?.map(|stored| convert::header(stored.block.header, stored.hash)))
    })?;
    worker(module, "eth_getBlockTransactionCountByNumber", |node, arguments| {
        Ok(by_number(node, arguments)?.map(|stored| U64::from(stored.block.transactions.len())))
    })?;
    worker(module, "eth_getBlockTransactionCountByHash", |node, arguments| {
        Ok(by_hash(node, arguments)?.map(|stored| U64::from(stored.block.transactions.len())))
    })?;
    // There are no uncles.
    worker(module, "eth_getUncleCountByBlockNumber", |node, arguments| {
        Ok(by_number(node, arguments)?.map(|_| U64::ZERO))
    })?;
    worker(module, "eth_getUncleCountByBlockHash", |node, arguments| Ok(by_hash(node, arguments)?.map(|_| U64::ZERO)))?;
    register_transactions(module)?;
    worker(module, "eth_getLogs", get_logs)
}

fn register_transactions(module: &mut RpcModule<Node>) -> Registered {
    worker(module, "eth_getTransactionByHash", transaction)?;
    worker(module, "eth_getRawTransactionByHash", raw_transaction)?;
    worker(module, "eth_getTransactionByBlockNumberAndIndex", |node, arguments| {
        let block = by_number(node, arguments)?;
        at_index(block, arguments)
    })?;
    worker(module, "eth_getTransactionByBlockHashAndIndex", |node, arguments| {
        let block = by_hash(node, arguments)?;
        at_index(block, arguments)
    })?;
    worker(module, "eth_getTransactionReceipt", receipt)?;
    worker(module, "eth_getBlockReceipts", block_receipts)
}

fn by_number(node: &Node, arguments: &mut Arguments) -> error::Result<Option<Stored>> {
    let tag = arguments.next("block number")?;
    node.chain().stored(of_tag(node, tag)).map_err(|error| error::store(&error))
}

fn by_hash(node: &Node, arguments: &mut Arguments) -> error::Result<Option<Stored>> {
    let hash: B256 = arguments.next("block hash")?;
    stored(node, hash)
}

fn stored(node: &Node, hash: B256) -> error::Result<Option<Stored>> {
    let chain = node.chain();
    let stored = chain.number_of(hash).and_then(|number| number.map_or(Ok(None), |number| chain.stored(number)));
    stored.map_err(|error| error::store(&error))
}

fn rpc_block(block: Option<Stored>, arguments: &mut Arguments) -> error::Result<Option<RpcBlock>> {
    let full = arguments.optional("full transactions")?.unwrap_or(false);
    Ok(block.map(|stored| convert::block(stored, full)))
}

fn transaction(node: &Node, arguments: &mut Arguments) -> error::Result<Option<RpcTransaction>> {
    let hash: B256 = arguments.next("transaction hash")?;
    // The pool first: what becomes final between the two looks is then found by the second.
    if let Some(waiting) = node.state.pool().get(hash).cloned() {
        return Ok(Some(convert::pending(waiting)));
    }
    let located = node.chain().transaction(hash).map_err(|error| error::store(&error))?;
    Ok(located.map(|located| {
        let place = Place { header: &located.header, hash: located.block_hash, index: located.index };
        place.transaction(located.transaction)
    }))
}

fn raw_transaction(node: &Node, arguments: &mut Arguments) -> error::Result<Option<Bytes>> {
    let hash: B256 = arguments.next("transaction hash")?;
    if let Some(waiting) = node.state.pool().get(hash) {
        return Ok(Some(waiting.encoded_2718().into()));
    }
    let located = node.chain().transaction(hash).map_err(|error| error::store(&error))?;
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

fn receipt(node: &Node, arguments: &mut Arguments) -> error::Result<Option<TransactionReceipt>> {
    let hash: B256 = arguments.next("transaction hash")?;
    let Some(located) = node.chain().transaction(hash).map_err(|error| error::store(&error))? else {
        return Ok(None);
    };
    let mut receipts = receipts_of(node, located.header.number)?.unwrap_or_default();
    Ok((located.index < receipts.len()).then(|| receipts.swap_remove(located.index)))
}

fn block_receipts(node: &Node, arguments: &mut Arguments) -> error::Result<Option<Vec<TransactionReceipt>>> {
    match number(node, arguments.next("block")?) {
        Ok(number) => receipts_of(node, number),
        // Of a block that is not there geth answers null.
        Err(_) => Ok(None),
    }
}

fn receipts_of(node: &Node, number: u64) -> error::Result<Option<Vec<TransactionReceipt>>> {
    let chain = node.chain();
    let stored = chain.stored(number).map_err(|error| error::store(&error))?;
    let receipts = chain.receipts(number).map_err(|error| error::store(&error))?;
    Ok(stored.zip(receipts).map(|(stored, receipts)| convert::receipts(&stored, receipts)))
}

fn get_logs(node: &Node, arguments: &mut Arguments) -> error::Result<Vec<RpcLog>> {
    let filter = log_filter(node, &arguments.next("filter")?)?;
    logs(node, &filter)
}

/// The logs that match, within the server's bounds.
pub fn logs(node: &Node, filter: &LogFilter) -> error::Result<Vec<RpcLog>> {
    let blocks = filter.to.saturating_sub(filter.from);
    if blocks >= node.settings.max_log_blocks {
        let limit = node.settings.max_log_blocks;
        return Err(error::limit(format!("query covers {} blocks, at most {limit} are allowed", blocks + 1)));
    }
    let logs = node.chain().logs(filter, node.settings.max_logs).map_err(error::logs)?;
    Ok(logs.into_iter().map(convert::log).collect())
}

/// A filter over final blocks: a missing `fromBlock` or `toBlock` is the head, and blocks to come are left out.
pub fn log_filter(node: &Node, filter: &Filter) -> error::Result<LogFilter> {
    let head = node.chain().head().number;
    let (from, to) = match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => {
            let number = number(node, BlockId::hash(hash))?;
            (number, number)
        }
        FilterBlockOption::Range { from_block, to_block } => {
            let from = from_block.map_or(head, |tag| of_tag(node, tag));
            let to = to_block.map_or(head.max(from), |tag| of_tag(node, tag));
            if from > to {
                return Err(error::invalid(format!("invalid block range: fromBlock {from} is above toBlock {to}")));
            }
            // From above the head nothing matches yet: an empty range, not the head's logs.
            if from > head {
                return Ok(selection(filter, from, from));
            }
            (from, to.min(head))
        }
    };
    let too_many = |count: usize| count > MAX_FILTER_VALUES;
    if too_many(filter.address.len()) || filter.topics.iter().any(|topic| too_many(topic.len())) {
        return Err(error::limit(format!("exceed max addresses or topics: at most {MAX_FILTER_VALUES} in a position")));
    }
    Ok(selection(filter, from, to))
}

fn selection(filter: &Filter, from: u64, to: u64) -> LogFilter {
    LogFilter {
        from,
        to,
        addresses: filter.address.iter().copied().collect(),
        topics: std::array::from_fn(|position| filter.topics[position].iter().copied().collect()),
    }
}

/// The number of a final block (EIP-1898).
///
/// # Errors
///
/// `-32001` for a block that is not there.
pub fn number(node: &Node, id: BlockId) -> error::Result<u64> {
    let head = node.chain().head().number;
    match id {
        BlockId::Number(tag) => match of_tag(node, tag) {
            number if number <= head => Ok(number),
            number => Err(error::not_found(format!("block {number} not found: the head is {head}"))),
        },
        BlockId::Hash(hash) => {
            let known = node.chain().number_of(hash.block_hash).map_err(|error| error::store(&error))?;
            known.ok_or_else(|| error::not_found(format!("block {} not found", hash.block_hash)))
        }
    }
}

/// A tag's number. The head is final, so latest, safe and finalized are one; pending is the head with the pool's nonces.
fn of_tag(node: &Node, tag: BlockNumberOrTag) -> u64 {
    match tag {
        BlockNumberOrTag::Number(number) => number,
        BlockNumberOrTag::Earliest => 0,
        BlockNumberOrTag::Latest | BlockNumberOrTag::Safe | BlockNumberOrTag::Finalized | BlockNumberOrTag::Pending => {
            node.chain().head().number
        }
    }
}
