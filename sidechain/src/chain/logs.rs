//! Logs of final blocks, by block, emitter and topic.

use std::collections::BTreeSet;

use alloy_primitives::{B256, Log};

use super::{
    error::LogsError,
    log_filter::LogFilter,
    log_search::{Budget, Step, Walk},
    open::Chain,
    receipts::excerpt_at,
    rows::{corrupt, stored_header},
    stored::Finalized,
};
use crate::{
    block::Header,
    execution::Stop,
    state::store::{Store, StoreError, Table},
};

/// A log and the place where a final block emitted it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    pub log: Log,
    pub block_number: u64,
    /// keccak256 of the block's header.
    pub block_hash: B256,
    /// Seconds since 1970.
    pub block_timestamp: u64,
    pub transaction_hash: B256,
    /// Position of the transaction in the block, from 0.
    pub transaction_index: u64,
    /// Position of the log among all logs of the block, from 0.
    pub log_index: u64,
}

/// What one page of logs may hold and may read. The page ends when any of them is reached; every page gets on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Logs of several blocks; a single block may have more.
    pub logs: usize,
    /// Bytes of topics and data, and [`LOG_BYTES`] for each log. The one limit that ends a page within a block.
    pub answer_bytes: usize,
    /// Rows of the index, where finding a place counts as 16.
    pub rows: u64,
    /// Bytes of index and receipts.
    pub bytes: u64,
}

impl Default for LogLimits {
    fn default() -> Self {
        // Rows: so many that a filter of 1,000 values in each of five positions finds all its places twice. With all in
        // memory they take about 0.1 s; bytes about as long.
        Self { logs: 20_000, answer_bytes: 10 << 20, rows: 200_000, bytes: 64 << 20 }
    }
}

/// What a log counts as beside its data: about what its places take in an answer.
pub const LOG_BYTES: usize = 256;

/// Matching logs in the order they were emitted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPage {
    pub logs: Vec<LogEntry>,
    /// Where the next page begins; none: this is all.
    pub next: Option<LogPlace>,
    /// See [`LogLimits::answer_bytes`].
    bytes: usize,
}

/// A place between logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPlace {
    pub block: u64,
    /// Position of the next log among all logs of the block.
    pub log_index: u64,
}

impl LogEntry {
    /// Where it stands.
    pub const fn place(&self) -> LogPlace {
        LogPlace { block: self.block_number, log_index: self.log_index }
    }
}

impl<S: Store> Chain<S> {
    /// Matching logs of final blocks: all of them.
    ///
    /// # Errors
    ///
    /// `TooMuch` when they are more than one page, with the blocks that fit in one. `Block`: not even one does. `Stopped`;
    /// `Store`: the store failed.
    pub fn logs(&self, filter: &LogFilter, limits: &LogLimits, stop: &Stop) -> Result<Vec<LogEntry>, LogsError> {
        let page = self.log_page(filter, 0, limits, stop)?;
        match page.next {
            None => Ok(page.logs),
            Some(LogPlace { block, .. }) if block > filter.from => {
                Err(LogsError::TooMuch { limit: limits.logs, from: filter.from, until: block - 1 })
            }
            Some(_) if stop.is_stopped() => Err(LogsError::Stopped),
            Some(LogPlace { block, .. }) => Err(LogsError::Block { number: block }),
        }
    }

    /// One page of matching logs, without the first `skip` logs (matching or not) of block `filter.from`. A page that is
    /// stopped has what was found until then.
    ///
    /// # Errors
    ///
    /// `Pruned`; when the store fails.
    pub fn log_page(
        &self,
        filter: &LogFilter,
        skip: u64,
        limits: &LogLimits,
        stop: &Stop,
    ) -> Result<LogPage, StoreError> {
        if !filter.is_about_the_peg() {
            self.windows.bodies.check(filter.from)?;
        }
        let mut budget = Budget { rows: limits.rows, bytes: limits.bytes, stop: stop.clone() };
        let mut walk = Walk::new(filter);
        let mut page = LogPage::default();
        let mut at = filter.from;
        loop {
            let (block, transactions) = match walk.next(&self.store, at, &mut budget)? {
                Step::Block(block, transactions) => (block, transactions),
                Step::End => return Ok(page),
                Step::Spent(block) if block > filter.from => return Ok(page.ending_before(block)),
                Step::Spent(block) => return Ok(LogPage { next: Some(LogPlace { block, log_index: skip }), ..page }),
            };
            let before = page.logs.len();
            let skip = if block == filter.from { skip } else { 0 };
            let wanted = |log_index: u64, log: &Log| log_index >= skip && filter.matches(log);
            let read = (block, &transactions);
            if let Some(place) = self.block_logs(read, wanted, &mut budget, &mut page, limits.answer_bytes)? {
                return Ok(LogPage { next: Some(place), ..page });
            }
            if page.logs.len() > limits.logs {
                if before > 0 {
                    page.logs.truncate(before);
                    return Ok(page.ending_before(block));
                }
                if block < filter.to {
                    return Ok(page.ending_before(block + 1));
                }
            }
            at = block + 1;
        }
    }

    /// Adds to a page those logs that are wanted of some transactions of a block, in order. The place where the page is full.
    pub(super) fn block_logs(
        &self,
        (number, transactions): (u64, &BTreeSet<u32>),
        wanted: impl Fn(u64, &Log) -> bool,
        budget: &mut Budget,
        page: &mut LogPage,
        room: usize,
    ) -> Result<Option<LogPlace>, StoreError> {
        if let Some(shared) = self.shared(number) {
            let among = |position: u64| u32::try_from(position).is_ok_and(|position| transactions.contains(&position));
            return Ok(page.extend(shared.logs(|position, index, log| among(position) && wanted(index, log)), room));
        }
        let header = stored_header(&self.store, number)?
            .ok_or_else(|| corrupt(Table::Header, format!("block {number} is missing")))?;
        let place = BlockPlace { number, hash: header.hash_slow(), timestamp: header.timestamp };
        let (wanted, mut read_up_to) = (&wanted, None);
        for position in transactions {
            if read_up_to >= Some(*position) {
                continue;
            }
            let excerpt = excerpt_at(&self.store, number, *position, transactions)?;
            let excerpt = excerpt.ok_or_else(|| self.missing_receipts(number))?;
            budget.spend(1, excerpt.bytes);
            read_up_to = Some(*excerpt.positions.end());
            let logs = excerpt.logging.iter().flat_map(move |it| {
                let logging = std::iter::once((u64::from(it.position), it.hash, it.receipt.logs()));
                place.logs(it.first_log, logging, move |_, index, log| wanted(index, log))
            });
            if let Some(place) = page.extend(logs, room) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }
}

impl LogPage {
    /// Adds logs while they fit; the place of the first that does not. One always does.
    fn extend(&mut self, logs: impl Iterator<Item = LogEntry>, room: usize) -> Option<LogPlace> {
        for entry in logs {
            let bytes = LOG_BYTES + entry.log.data.data.len() + 32 * entry.log.topics().len();
            if self.bytes + bytes > room && !self.logs.is_empty() {
                return Some(LogPlace { block: entry.block_number, log_index: entry.log_index });
            }
            self.bytes += bytes;
            self.logs.push(entry);
        }
        None
    }

    fn ending_before(self, block: u64) -> Self {
        Self { next: Some(LogPlace { block, log_index: 0 }), ..self }
    }
}

impl Finalized {
    /// Logs with their places, in order: those that are `wanted` by position of the transaction, position of the log in the
    /// block, and log.
    pub fn logs<'a>(
        &'a self,
        wanted: impl Fn(u64, u64, &Log) -> bool + Copy + 'a,
    ) -> impl Iterator<Item = LogEntry> + 'a {
        let Header { number, timestamp, .. } = self.block.header;
        let place = BlockPlace { number, hash: self.hash, timestamp };
        let transactions = (0u64..).zip(self.block.transactions.iter().zip(&*self.receipts));
        let logging = transactions.filter(|(_, (_, receipt))| !receipt.logs().is_empty());
        let logging = logging.map(|(position, (envelope, receipt))| (position, *envelope.tx_hash(), receipt.logs()));
        place.logs(0, logging, wanted)
    }
}

/// The logs of a transaction, with its position in the block and its hash.
type Logging<'a> = (u64, B256, &'a [Log]);

/// The block of a log.
#[derive(Clone, Copy, Debug)]
struct BlockPlace {
    number: u64,
    hash: B256,
    timestamp: u64,
}

impl BlockPlace {
    fn logs<'a>(
        self,
        first_log: u64,
        logging: impl Iterator<Item = Logging<'a>> + 'a,
        wanted: impl Fn(u64, u64, &Log) -> bool + Copy + 'a,
    ) -> impl Iterator<Item = LogEntry> + 'a {
        let mut next = first_log;
        logging.flat_map(move |(transaction_index, transaction_hash, logs)| {
            let first = next;
            next += logs.len() as u64;
            let wanted = (first..).zip(logs).filter(move |(index, log)| wanted(transaction_index, *index, log));
            wanted.map(move |(log_index, log)| LogEntry {
                log: log.clone(),
                block_number: self.number,
                block_hash: self.hash,
                block_timestamp: self.timestamp,
                transaction_hash,
                transaction_index,
                log_index,
            })
        })
    }
}
