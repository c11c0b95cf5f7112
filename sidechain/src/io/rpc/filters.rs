//! Polled filters: `eth_newFilter`, `eth_newBlockFilter`, `eth_newPendingTransactionFilter`. For clients over HTTP.
//!
//! A filter is a place in the chain that moves with each poll; what happened since then is read from the store. So it
//! costs nothing between polls, and its answer is bounded like any other.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use alloy_primitives::{B256, U256};
use alloy_rpc_types_eth::{Filter, FilterBlockOption, FilterChanges, FilterId};
use jsonrpsee::RpcModule;
use rand::RngCore;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;

use super::eth::{log_filter, logs};
use super::method::{Arguments, Registered, worker};
use super::{Node, error};

/// Blocks one poll of a block filter answers; the next poll goes on from there.
const MAX_BLOCK_HASHES: u64 = 1_000;

type Changes = FilterChanges<alloy_rpc_types_eth::Transaction>;

enum Kind {
    Blocks { next: u64 },
    Logs { filter: Box<Filter>, next: u64 },
    Pending(Receiver<B256>),
}

struct Polled {
    kind: Kind,
    polled: Instant,
}

/// All clients' filters.
pub struct Filters {
    limit: usize,
    lifetime: Duration,
    polled: BTreeMap<U256, Polled>,
}

impl Filters {
    pub fn new(limit: usize, lifetime: Duration) -> Self {
        Self { limit, lifetime, polled: BTreeMap::new() }
    }

    /// Answers an id that cannot be guessed, so that nobody polls another's filter away.
    fn install(&mut self, kind: Kind, now: Instant) -> error::Result<U256> {
        self.polled.retain(|_, filter| now.duration_since(filter.polled) < self.lifetime);
        if self.polled.len() >= self.limit {
            return Err(error::limit(format!("too many filters: at most {} on this node, try later", self.limit)));
        }
        let mut bytes = [0; 16];
        rand::thread_rng().fill_bytes(&mut bytes);
        let id = U256::from_be_slice(&bytes);
        self.polled.insert(id, Polled { kind, polled: now });
        Ok(id)
    }

    fn get(&mut self, id: U256, now: Instant) -> error::Result<&mut Kind> {
        let lifetime = self.lifetime;
        let filter = self.polled.get_mut(&id).filter(|filter| now.duration_since(filter.polled) < lifetime);
        let filter = filter.ok_or_else(|| error::server("filter not found"))?;
        filter.polled = now;
        Ok(&mut filter.kind)
    }
}

pub fn register(module: &mut RpcModule<Node>) -> Registered {
    worker(module, "eth_newBlockFilter", |node, _| install(node, Kind::Blocks { next: next(node) }))?;
    worker(module, "eth_newPendingTransactionFilter", |node, _| {
        install(node, Kind::Pending(node.state.pending.subscribe()))
    })?;
    worker(module, "eth_newFilter", |node, arguments| {
        let filter: Box<Filter> = arguments.next("filter")?;
        // Refused now, not at the first poll.
        log_filter(node, &filter)?;
        install(node, Kind::Logs { filter, next: next(node) })
    })?;
    worker(module, "eth_getFilterChanges", changes)?;
    worker(module, "eth_getFilterLogs", all_logs)?;
    worker(module, "eth_uninstallFilter", |node, arguments| {
        let id = id(arguments)?;
        Ok(filters(node).polled.remove(&id).is_some())
    })
}

fn filters(node: &Node) -> MutexGuard<'_, Filters> {
    node.filters.lock().unwrap_or_else(PoisonError::into_inner)
}

fn install(node: &Node, kind: Kind) -> error::Result<U256> {
    filters(node).install(kind, Instant::now())
}

fn next(node: &Node) -> u64 {
    node.chain().head().number + 1
}

fn id(arguments: &mut Arguments) -> error::Result<U256> {
    match arguments.next("filter id")? {
        FilterId::Num(number) => Ok(U256::from(number)),
        FilterId::Str(text) => text.parse().map_err(|_| error::server("filter not found")),
    }
}

fn changes(node: &Node, arguments: &mut Arguments) -> error::Result<Changes> {
    let id = id(arguments)?;
    let head = node.chain().head().number;
    let (range, filter) = {
        let mut filters = filters(node);
        match filters.get(id, Instant::now())? {
            Kind::Pending(hashes) => return Ok(FilterChanges::Hashes(drain(hashes))),
            Kind::Blocks { next } => {
                let last = head.min(*next + MAX_BLOCK_HASHES - 1);
                (std::mem::replace(next, (last + 1).max(*next))..=last, None)
            }
            Kind::Logs { filter, next } => (*next..=head, Some(filter.clone())),
        }
    };
    match filter {
        None => hashes(node, range).map(FilterChanges::Hashes),
        Some(filter) => {
            let found = new_logs(node, &filter, range)?;
            // Moved only now: logs that could not be answered are not lost.
            if let Ok(Kind::Logs { next, .. }) = filters(node).get(id, Instant::now()) {
                *next = head + 1;
            }
            Ok(FilterChanges::Logs(found))
        }
    }
}

fn hashes(node: &Node, range: std::ops::RangeInclusive<u64>) -> error::Result<Vec<B256>> {
    let headers = range.filter_map(|number| node.chain().header(number).transpose());
    let hashes = headers.map(|header| header.map(|header| header.hash_slow())).collect::<Result<_, _>>();
    hashes.map_err(|error| error::store(&error))
}

/// Matching logs of blocks that are new since the last poll and within the filter's own range.
fn new_logs(
    node: &Node,
    filter: &Filter,
    new: std::ops::RangeInclusive<u64>,
) -> error::Result<Vec<alloy_rpc_types_eth::Log>> {
    let (from, to) = filter.extract_block_range();
    let from = from.unwrap_or(0).max(*new.start());
    let to = to.unwrap_or(u64::MAX).min(*new.end());
    if from > to || matches!(filter.block_option, FilterBlockOption::AtBlockHash(_)) {
        return Ok(Vec::new());
    }
    let filter = filter.clone().select(from..=to);
    logs(node, &log_filter(node, &filter)?)
}

fn all_logs(node: &Node, arguments: &mut Arguments) -> error::Result<Vec<alloy_rpc_types_eth::Log>> {
    let id = id(arguments)?;
    let filter = match filters(node).get(id, Instant::now())? {
        Kind::Logs { filter, .. } => filter.clone(),
        Kind::Blocks { .. } | Kind::Pending(_) => return Err(error::server("filter not found")),
    };
    logs(node, &log_filter(node, &filter)?)
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
