//! Receipts of final blocks as rows: some in each row, so that reading a transaction's logs does not mean reading a block's.
//!
//! ```text
//!  Table::Receipts    block ++ position of the row's last transaction -> first position, first log, receipts, hashes
//! ```
//! The first row at or after (block, position) is the one that has it.

use std::ops::RangeInclusive;

use alloy_primitives::B256;
use alloy_rlp::{Decodable, Encodable};

use super::{fees::BlockFees, log_index::index_batch, rows::corrupt};
use crate::{
    block::{Block, Receipt},
    execution::Executed,
    state::store::{Batch, Entry, Store, StoreError, Table},
};

/// Bytes of receipts after which a row ends: what reading one receipt costs, unless it is larger itself.
const ROW_BYTES: usize = 16 << 10;

/// Rows read at once when a block's are read.
const ROWS_AT_ONCE: usize = 64;

/// Receipts of transactions that follow each other in a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Position of the first transaction in the block, from 0.
    pub(super) first: u32,
    /// Position of the first log among all logs of the block, from 0.
    pub(super) first_log: u64,
    pub(super) receipts: Vec<Receipt>,
    /// Hashes of those transactions that logged something, so that a log is told without reading the transactions.
    pub(super) hashes: Vec<B256>,
}

/// The receipts of a block (no rows if it has no transactions), the index of their logs, and what was paid.
pub(super) fn receipts_batch(batch: &mut Batch, executed: &Executed) {
    let Executed { block, receipts, .. } = executed;
    receipt_rows(batch, block, receipts);
    index_batch(batch, block.number(), receipts);
    batch.put(Table::Fees, block.number().to_be_bytes(), BlockFees::new(block, receipts).encode());
}

fn receipt_rows(batch: &mut Batch, block: &Block, receipts: &[Receipt]) {
    let mut transactions = (0u32..).zip(block.transactions.iter().zip(receipts)).peekable();
    let mut first_log = 0u64;
    while let Some((first, _)) = transactions.peek().copied() {
        let (mut last, mut logs, mut bytes) = (first, 0, Vec::new());
        let mut hashes = Vec::new();
        while bytes.len() < ROW_BYTES
            && let Some((position, (transaction, receipt))) = transactions.next()
        {
            last = position;
            logs += receipt.logs().len() as u64;
            receipt.encode(&mut bytes);
            if !receipt.logs().is_empty() {
                hashes.extend_from_slice(transaction.tx_hash().as_slice());
            }
        }
        let mut row = [&first.to_be_bytes()[..], &first_log.to_be_bytes()].concat();
        alloy_rlp::Header { list: true, payload_length: bytes.len() }.encode(&mut row);
        row.extend_from_slice(&bytes);
        row.extend_from_slice(&hashes);
        batch.put(Table::Receipts, row_key(block.number(), last), row);
        first_log += logs;
    }
}

/// Removes what [`receipts_batch`] wrote; the bytes of it.
///
/// # Errors
///
/// When the store fails.
pub(super) fn remove_receipts<S: Store>(store: &S, batch: &mut Batch, number: u64) -> Result<usize, StoreError> {
    let (mut receipts, mut bytes) = (Vec::new(), 0);
    while let Some(row) =
        store.seek(Table::Receipts, &row_key(number, u32::try_from(receipts.len()).unwrap_or(u32::MAX)))?
    {
        let Some(run) = decode_run(number, &row)? else { break };
        receipts.extend(run.receipts);
        bytes += row.1.len();
        batch.delete(Table::Receipts, row.0);
    }
    let mut index = Batch::default();
    index_batch(&mut index, number, &receipts);
    for (table, key, _) in index.writes {
        bytes += key.len();
        batch.delete(table, key);
    }
    batch.delete(Table::Fees, number.to_be_bytes());
    Ok(bytes)
}

/// The run that has the receipt at `position`, and the bytes read for it; `None` when no row has it.
///
/// # Errors
///
/// When the store fails.
pub(super) fn run_at<S: Store>(store: &S, number: u64, position: u32) -> Result<Option<(Run, usize)>, StoreError> {
    let Some(row) = store.seek(Table::Receipts, &row_key(number, position))? else {
        return Ok(None);
    };
    let bytes = row.0.len() + row.1.len();
    let run = decode_run(number, &row)?.filter(|run| run.positions().contains(&position));
    Ok(run.map(|run| (run, bytes)))
}

/// All receipts of a block, in order.
///
/// # Errors
///
/// When the store fails.
pub(super) fn stored_receipts<S: Store>(store: &S, number: u64) -> Result<Vec<Receipt>, StoreError> {
    scanned_receipts(|from, limit| store.scan(Table::Receipts, from, limit), number)
}

/// The same, by what scans [`Table::Receipts`].
pub(super) fn scanned_receipts(
    scan: impl Fn(&[u8], usize) -> Result<Vec<Entry>, StoreError>,
    number: u64,
) -> Result<Vec<Receipt>, StoreError> {
    let mut receipts = Vec::new();
    loop {
        let next = u32::try_from(receipts.len()).unwrap_or(u32::MAX);
        let rows = scan(&row_key(number, next), ROWS_AT_ONCE)?;
        let read = rows.len();
        for row in rows {
            let Some(run) = decode_run(number, &row)? else {
                return Ok(receipts);
            };
            receipts.extend(run.receipts);
        }
        if read < ROWS_AT_ONCE {
            return Ok(receipts);
        }
    }
}

impl Run {
    /// Positions of its transactions.
    pub(super) fn positions(&self) -> RangeInclusive<u32> {
        let count = u32::try_from(self.receipts.len()).unwrap_or(u32::MAX);
        self.first..=self.first.saturating_add(count).saturating_sub(1)
    }
}

fn row_key(number: u64, last: u32) -> Vec<u8> {
    [&number.to_be_bytes()[..], &last.to_be_bytes()].concat()
}

/// The run of a row, if it is of the block.
fn decode_run(number: u64, (key, value): &Entry) -> Result<Option<Run>, StoreError> {
    if !key.starts_with(&number.to_be_bytes()) {
        return Ok(None);
    }
    let wrong = || corrupt(Table::Receipts, format!("receipts of block {number}"));
    let (first, rest) = value.split_first_chunk().ok_or_else(wrong)?;
    let (first_log, mut rest) = rest.split_first_chunk().ok_or_else(wrong)?;
    let receipts = Vec::<Receipt>::decode(&mut rest).map_err(|_| wrong())?;
    let hashes: Vec<_> = rest.chunks_exact(32).map(B256::from_slice).collect();
    let logging = receipts.iter().filter(|receipt| !receipt.logs().is_empty()).count();
    if receipts.is_empty() || hashes.len() != logging || rest.len() != 32 * logging {
        return Err(wrong());
    }
    let (first, first_log) = (u32::from_be_bytes(*first), u64::from_be_bytes(*first_log));
    Ok(Some(Run { first, first_log, receipts, hashes }))
}
