//! Logs of final blocks, by block, emitter and topic.

use alloy_primitives::{Address, B256, Bloom, BloomInput, Log};

use super::{
    error::LogsError,
    open::Chain,
    reads::Stored,
    retention::PEG,
    rows::{block_number, corrupt},
};
use crate::{
    block::{Block, Receipt},
    state::store::{Store, StoreError, Table},
};

/// Which logs are wanted: blocks from..=to; an empty list matches everything.
#[derive(Clone, Debug, Default)]
pub struct LogFilter {
    /// First block, inclusive.
    pub from: u64,
    /// Last block, inclusive.
    pub to: u64,
    /// Emitters; any of them.
    pub addresses: Vec<Address>,
    /// For each position, any of these.
    pub topics: [Vec<B256>; 4],
}

impl LogFilter {
    /// Whether a log matches, whatever its block.
    pub fn matches(&self, log: &Log) -> bool {
        (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && self.topics.iter().enumerate().all(|(position, wanted)| {
                wanted.is_empty() || log.topics().get(position).is_some_and(|topic| wanted.contains(topic))
            })
    }

    /// Whether only logs of the peg's contracts are wanted, which are never pruned.
    fn is_about_the_peg(&self) -> bool {
        !self.addresses.is_empty() && self.addresses.iter().all(|address| PEG.contains(address))
    }

    /// Whether a block with this bloom may hold a matching log.
    pub fn may_match(&self, bloom: &Bloom) -> bool {
        let has = |raw: &[u8]| bloom.contains_input(BloomInput::Raw(raw));
        (self.addresses.is_empty() || self.addresses.iter().any(|address| has(address.as_slice())))
            && self.topics.iter().all(|wanted| wanted.is_empty() || wanted.iter().any(|topic| has(topic.as_slice())))
    }
}

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

impl<S: Store> Chain<S> {
    /// Matching logs of final blocks, in the order they were emitted, at most `limit`.
    ///
    /// # Errors
    ///
    /// `TooMany` says up to which block the limit holds. `Store`: the store failed.
    pub fn logs(&self, filter: &LogFilter, limit: usize) -> Result<Vec<LogEntry>, LogsError> {
        /// Blooms read at once: 256 KB.
        const CHUNK: usize = 1024;
        if !filter.is_about_the_peg() {
            self.windows.bodies.check(filter.from)?;
        }
        let mut found = Vec::new();
        let mut next = filter.from;
        loop {
            // Only blocks with logs have a bloom here.
            let blooms = self.store.scan(Table::Bloom, &next.to_be_bytes(), CHUNK)?;
            let last = blooms.len() < CHUNK;
            for (key, bloom) in blooms {
                let number = block_number(Table::Bloom, &key)?;
                if number > filter.to {
                    return Ok(found);
                }
                next = number + 1;
                if bloom.len() == Bloom::len_bytes() && filter.may_match(&Bloom::from_slice(&bloom)) {
                    self.block_logs(number, filter, &mut found)?;
                    if found.len() > limit {
                        return Err(LogsError::TooMany { limit, from: filter.from, until: number.saturating_sub(1) });
                    }
                }
            }
            if last {
                return Ok(found);
            }
        }
    }

    fn block_logs(&self, number: u64, filter: &LogFilter, found: &mut Vec<LogEntry>) -> Result<(), StoreError> {
        let (Some(Stored { block, hash, .. }), Some(receipts)) = (self.stored(number)?, self.receipts(number)?) else {
            return Err(corrupt(Table::Receipts, format!("block {number} is missing")));
        };
        found.extend(logs_of(&block, hash, &receipts).filter(|entry| filter.matches(&entry.log)));
        Ok(())
    }
}

/// The logs of a block with their places, in order.
pub fn logs_of<'a>(block: &'a Block, hash: B256, receipts: &'a [Receipt]) -> impl Iterator<Item = LogEntry> + 'a {
    block
        .transactions
        .iter()
        .zip(receipts)
        .enumerate()
        .flat_map(|(index, (envelope, receipt))| receipt.logs().iter().map(move |log| (index, envelope, log)))
        .enumerate()
        .map(move |(log_index, (index, envelope, log))| LogEntry {
            log: log.clone(),
            block_number: block.number(),
            block_hash: hash,
            block_timestamp: block.header.timestamp,
            transaction_hash: *envelope.tx_hash(),
            transaction_index: index as u64,
            log_index: log_index as u64,
        })
}
