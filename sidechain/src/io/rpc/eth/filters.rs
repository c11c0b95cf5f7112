//! Polled filters, for clients over HTTP: `eth_newFilter`, `eth_newBlockFilter`, `eth_newPendingTransactionFilter`.

use std::time::Instant;

use alloy_primitives::{B256, U256};
use alloy_rpc_types_eth::{FilterBlockOption, FilterChanges};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use super::super::context::Context;
use super::super::filters::Kind;
use super::super::log_request::LogRequest;
use super::super::method::{Arguments, Methods, Registered, inline, long, worker};
use super::super::numbers::Form;
use super::super::shares::{Resource, weight};
use super::super::{convert, error};
use super::logs::{log_filter, logs};
use super::subscriptions::values;
use crate::chain::LogPlace;
use crate::execution::Stop;

/// Blocks one poll of a block filter answers; the next poll goes on from there.
const MAX_BLOCK_HASHES: u64 = 1_000;

type Changes = FilterChanges<alloy_rpc_types_eth::Transaction>;

pub fn register(methods: &mut Methods) -> Registered {
    inline(methods, "eth_newBlockFilter", |context, arguments| {
        install(context, arguments, Kind::Blocks { next: next(context) }, 0)
    })?;
    inline(methods, "eth_newPendingTransactionFilter", |context, arguments| {
        install(context, arguments, Kind::Pending(context.state.pending.subscribe()), 0)
    })?;
    worker(methods, "eth_newFilter", |context, arguments| {
        let filter: Box<LogRequest> = arguments.object("filter")?;
        // Refused now, not at the first poll.
        let values = values(&log_filter(context, &filter)?);
        let next = LogPlace { block: next(context), log_index: 0 };
        install(context, arguments, Kind::Logs { filter, next }, values)
    })?;
    long(methods, "eth_getFilterChanges", changes)?;
    long(methods, "eth_getFilterLogs", all_logs)?;
    inline(methods, "eth_uninstallFilter", |context, arguments| {
        let id = id(arguments)?;
        Ok(context.filters().remove(id))
    })
}

/// Adds a filter with `values` addresses and topics, in a place of its client's.
fn install(context: &Context, arguments: &Arguments, kind: Kind, values: usize) -> error::Result<U256> {
    let place = context.shares.hold(arguments.caller.client, Resource::Filters, weight(values))?;
    Ok(context.filters().install(kind, place, Instant::now()))
}

fn next(context: &Context) -> u64 {
    context.chain().head().number + 1
}

fn id(arguments: &mut Arguments) -> error::Result<U256> {
    let text: String = arguments.next("filter id")?;
    let id = Form::Quantity.check(&text).ok().and_then(|()| text.parse().ok());
    id.ok_or_else(|| error::server("filter not found"))
}

fn changes(context: &Context, arguments: &mut Arguments) -> error::Result<Changes> {
    let id = id(arguments)?;
    let head = context.chain().head().number;
    let (filter, from) = {
        let mut filters = context.filters();
        match filters.get(id, Instant::now())? {
            Kind::Pending(hashes) => return Ok(FilterChanges::Hashes(drain(hashes))),
            Kind::Blocks { next } => {
                let last = head.min(*next + MAX_BLOCK_HASHES - 1);
                let range = std::mem::replace(next, (last + 1).max(*next))..=last;
                drop(filters);
                return hashes(context, range).map(FilterChanges::Hashes);
            }
            Kind::Logs { filter, next } => (filter.clone(), *next),
        }
    };
    let (found, then) = new_logs(context, &filter, from, head, arguments.stop())?;
    // Moved only now: logs that could not be answered are not lost. Never back: another poll may be further.
    if let Ok(Kind::Logs { next, .. }) = context.filters().get(id, Instant::now()) {
        *next = then.max(*next);
    }
    Ok(FilterChanges::Logs(found))
}

fn hashes(context: &Context, range: std::ops::RangeInclusive<u64>) -> error::Result<Vec<B256>> {
    let headers = range.filter_map(|number| context.chain().header(number).transpose());
    let hashes = headers.map(|header| header.map(|header| header.hash_slow())).collect::<Result<_, _>>();
    hashes.map_err(|error| error::store(&error))
}

/// Matching logs from a place on, within the filter's own range, as many as fit in an answer; and where the next poll goes on.
fn new_logs(
    context: &Context,
    asked: &LogRequest,
    place: LogPlace,
    head: u64,
    stop: &Stop,
) -> error::Result<(Vec<alloy_rpc_types_eth::Log>, LogPlace)> {
    let end = LogPlace { block: head + 1, log_index: 0 };
    let (from, to) = asked.filter.extract_block_range();
    let from = from.unwrap_or(0).max(place.block);
    let to = to.unwrap_or(u64::MAX).min(head);
    if from > to || matches!(asked.filter.block_option, FilterBlockOption::AtBlockHash(_)) {
        return Ok((Vec::new(), end));
    }
    let skip = if from == place.block { place.log_index } else { 0 };
    let filter = log_filter(context, &asked.within(from..=to))?;
    let page = context.chain().log_page(&filter, skip, &context.settings.log_limits, stop);
    let page = page.map_err(|error| error::store(&error))?;
    Ok((page.logs.into_iter().map(convert::log).collect(), page.next.unwrap_or(end)))
}

fn all_logs(context: &Context, arguments: &mut Arguments) -> error::Result<Vec<alloy_rpc_types_eth::Log>> {
    let id = id(arguments)?;
    let filter = match context.filters().get(id, Instant::now())? {
        Kind::Logs { filter, .. } => filter.clone(),
        Kind::Blocks { .. } | Kind::Pending(_) => return Err(error::server("filter not found")),
    };
    logs(context, &log_filter(context, &filter)?, arguments.stop())
}

fn drain(hashes: &mut Receiver<B256>) -> Vec<B256> {
    let mut drained = Vec::new();
    loop {
        match hashes.try_recv() {
            Ok(hash) => drained.push(hash),
            Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return drained,
        }
    }
}
