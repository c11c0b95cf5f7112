//! Logs, and the filters that choose them.

use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log as RpcLog};

use super::super::context::Context;
use super::super::log_request::LogRequest;
use super::super::method::{Arguments, Methods, Registered, long};
use super::super::{convert, error};
use super::block_id::{number, number_of_tag};
use crate::chain::LogFilter;
use crate::execution::Stop;

/// Values in one position of a log filter, as geth's limit.
const MAX_POSITION_VALUES: usize = 1_000;

/// Values in all positions of a log filter: each is looked for in the index, and kept while a filter is polled.
const MAX_FILTER_VALUES: usize = 2_000;

pub fn register(methods: &mut Methods) -> Registered {
    long(methods, "eth_getLogs", get_logs)
}

fn get_logs(context: &Context, arguments: &mut Arguments) -> error::Result<Vec<RpcLog>> {
    let asked: LogRequest = arguments.object("filter")?;
    require_blocks(&asked.filter, context.chain().head().number)?;
    logs(context, &log_filter(context, &asked)?, arguments.stop())
}

/// Logs of blocks that are not there yet are no logs: who asks for them would take an empty list for an answer.
fn require_blocks(filter: &Filter, head: u64) -> error::Result<()> {
    let FilterBlockOption::Range { from_block, to_block } = filter.block_option else { return Ok(()) };
    let is_beyond = |tag: BlockNumberOrTag| number_of_tag(tag, head) > head;
    if from_block.is_some_and(is_beyond) || to_block.is_some_and(is_beyond) {
        return Err(error::invalid(format!("block range extends beyond current head block {head}")));
    }
    Ok(())
}

/// The logs that match, within the server's bounds.
pub fn logs(context: &Context, filter: &LogFilter, stop: &Stop) -> error::Result<Vec<RpcLog>> {
    let logs = context.chain().logs(filter, &context.settings.log_limits, stop).map_err(error::logs)?;
    Ok(logs.into_iter().map(convert::log).collect())
}

/// A filter over final blocks: a missing `fromBlock` or `toBlock` is the head, and blocks to come are left out.
pub fn log_filter(context: &Context, LogRequest { filter, topics }: &LogRequest) -> error::Result<LogFilter> {
    let head = context.chain().head().number;
    let (from, to) = match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => {
            let number = number(context, BlockId::hash(hash))?;
            (number, number)
        }
        FilterBlockOption::Range { from_block, to_block } => {
            let from = from_block.map_or(head, |tag| number_of_tag(tag, head));
            let to = to_block.map_or(head.max(from), |tag| number_of_tag(tag, head));
            if from > to {
                return Err(error::invalid(format!("invalid block range: fromBlock {from} is above toBlock {to}")));
            }
            // From above the head nothing matches yet: an empty range, not the head's logs.
            if from > head { (from, from) } else { (from, to.min(head)) }
        }
    };
    check_values(filter)?;
    Ok(LogFilter { least_topics: *topics, ..selection(filter, from, to) })
}

fn check_values(filter: &Filter) -> error::Result<()> {
    let counts = || std::iter::once(filter.address.len()).chain(filter.topics.iter().map(|topic| topic.len()));
    if counts().any(|count| count > MAX_POSITION_VALUES) || counts().sum::<usize>() > MAX_FILTER_VALUES {
        return Err(error::limit(format!(
            "exceed max addresses or topics: at most {MAX_POSITION_VALUES} in a position, {MAX_FILTER_VALUES} in all"
        )));
    }
    Ok(())
}

fn selection(filter: &Filter, from: u64, to: u64) -> LogFilter {
    LogFilter {
        from,
        to,
        addresses: filter.address.iter().copied().collect(),
        topics: std::array::from_fn(|position| filter.topics[position].iter().copied().collect()),
        least_topics: 0,
    }
}
