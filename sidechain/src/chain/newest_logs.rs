//! A list of the index of logs, from its newest log downwards.
//!
//! A page costs what it answers: as many rows of the list as it has blocks, and the receipts of their transactions. Only for lists that the
//! ledger alone lengthens: a block's logs of one list are in memory together, which is what a block's gas pays the ledger for.

use alloy_primitives::Log;

use super::{
    log_index::{List, Subject, decode_row, row_key},
    log_search::Budget,
    logs::{LogEntry, LogLimits, LogPage, LogPlace},
    open::Chain,
};
use crate::{
    execution::Stop,
    state::store::{Store, StoreError, Table},
};

/// Rows read at first: mostly few logs are wanted.
const FIRST_ROWS: usize = 4;

/// Rows read at once.
const MAX_ROWS: usize = 256;

impl<S: Store> Chain<S> {
    /// Logs of a list that are wanted and stand before a place, the newest first, at most `limits.logs`. The others stand before the page's
    /// `next`.
    ///
    /// # Errors
    ///
    /// When the store fails. A page that is stopped has what was found until then.
    pub fn newest_logs(
        &self,
        subject: Subject<'_>,
        before: LogPlace,
        wanted: impl Fn(&Log) -> bool,
        limits: &LogLimits,
        stop: &Stop,
    ) -> Result<LogPage, StoreError> {
        let mut budget = Budget { rows: limits.rows, bytes: limits.bytes, stop: stop.clone() };
        // Nothing of a block stands before its first log.
        let at = if before.log_index == 0 { before.block.checked_sub(1) } else { Some(before.block) };
        let mut rows = Rows { list: subject.list(), at, ahead: FIRST_ROWS };
        let mut page = LogPage::default();
        loop {
            let read = rows.read(&self.store, &mut budget)?;
            if read.is_empty() {
                return Ok(page);
            }
            for (block, transactions) in read {
                let is_before = |log_index| LogPlace { block, log_index } < before;
                let wanted = |log_index: u64, log: &Log| is_before(log_index) && wanted(log);
                let mut here = LogPage::default();
                let transactions = transactions.into_iter().collect();
                self.block_logs((block, &transactions), wanted, &mut budget, &mut here, usize::MAX)?;
                page.logs.extend(here.logs.into_iter().rev());
                if page.logs.len() > limits.logs {
                    page.logs.truncate(limits.logs);
                    page.next = page.logs.last().map(LogEntry::place);
                    return Ok(page);
                }
                if budget.is_spent() || stop.is_stopped() {
                    page.next = (block > 0).then_some(LogPlace { block, log_index: 0 });
                    return Ok(page);
                }
            }
        }
    }
}

/// Rows of a list, from a block downwards.
struct Rows {
    list: List,
    /// None: the list has ended.
    at: Option<u64>,
    ahead: usize,
}

impl Rows {
    /// The next ones; none when the list has ended.
    fn read<S: Store>(&mut self, store: &S, budget: &mut Budget) -> Result<Vec<(u64, Vec<u32>)>, StoreError> {
        let Some(at) = self.at else { return Ok(Vec::new()) };
        let entries = store.scan_back(Table::LogIndex, &row_key(self.list, at), self.ahead)?;
        let bytes = entries.iter().map(|(key, value)| key.len() + value.len()).sum();
        budget.spend(entries.len() as u64, bytes);
        let mut rows = Vec::with_capacity(entries.len());
        for entry in &entries {
            let Some(row) = decode_row(self.list, entry)? else { break };
            rows.push(row);
        }
        self.at = rows.last().filter(|_| rows.len() == self.ahead).and_then(|(block, _)| block.checked_sub(1));
        self.ahead = (2 * self.ahead).min(MAX_ROWS);
        Ok(rows)
    }
}
