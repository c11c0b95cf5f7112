//! Receipts of final blocks as rows: some in each row, so that reading a transaction's logs does not mean reading a block's.
//!
//! ```text
//!  Table::Receipts    block ++ position of the row's last transaction -> first position, first log, receipts, hashes
//! ```
//! The first row at or after (block, position) is the one that has it.

use std::{collections::BTreeSet, ops::RangeInclusive};

use alloy_primitives::B256;
use alloy_rlp::{Decodable, Encodable};

use super::{fees::BlockFees, log_index::index_batch, rows::corrupt};
use crate::{
    block::{Block, Receipt},
    execution::Executed,
    state::store::{Batch, Entry, Store, StoreError, Table},
};

/// Bytes of receipts after which a row ends: what reading one receipt costs, unless it is larger itself.
const ROW_BYTES: usize = 4 << 10;

/// Rows read at once when a block's are read.
const ROWS_AT_ONCE: usize = 64;

/// What is wanted of a row.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// Positions of all transactions of the row.
    pub(super) positions: RangeInclusive<u32>,
    /// Those that are wanted and logged something.
    pub(super) logging: Vec<Logging>,
    /// Bytes that were read for it.
    pub(super) bytes: usize,
}

/// A receipt with logs.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Logging {
    /// Of the transaction in the block, from 0.
    pub(super) position: u32,
    /// Position of its first log among all logs of the block, from 0.
    pub(super) first_log: u64,
    /// The transaction's, so that a log is told without reading transactions.
    pub(super) hash: B256,
    pub(super) receipt: Receipt,
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
        let Some(of_row) = decode_row(number, &row)? else { break };
        receipts.extend(of_row);
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

/// What is wanted of the row that has the receipt at `position`; `None` when no row has it.
///
/// # Errors
///
/// When the store fails.
pub(super) fn excerpt_at<S: Store>(
    store: &S,
    number: u64,
    position: u32,
    wanted: &BTreeSet<u32>,
) -> Result<Option<Excerpt>, StoreError> {
    let Some(row) = store.seek(Table::Receipts, &row_key(number, position))? else {
        return Ok(None);
    };
    Ok(decode_excerpt(number, &row, wanted)?.filter(|excerpt| excerpt.positions.contains(&position)))
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
            let Some(of_row) = decode_row(number, &row)? else {
                return Ok(receipts);
            };
            receipts.extend(of_row);
        }
        if read < ROWS_AT_ONCE {
            return Ok(receipts);
        }
    }
}

fn row_key(number: u64, last: u32) -> Vec<u8> {
    [&number.to_be_bytes()[..], &last.to_be_bytes()].concat()
}

/// The places of a row: its first transaction, its first log, and the rest; none if it is of another block.
fn places((key, value): &Entry, number: u64) -> Option<Option<(u32, u64, &[u8])>> {
    if !key.starts_with(&number.to_be_bytes()) {
        return Some(None);
    }
    let (first, rest) = value.split_first_chunk()?;
    let (first_log, rest) = rest.split_first_chunk()?;
    Some(Some((u32::from_be_bytes(*first), u64::from_be_bytes(*first_log), rest)))
}

fn wrong(number: u64) -> StoreError {
    corrupt(Table::Receipts, format!("receipts of block {number}"))
}

/// The receipts of a row, if it is of the block.
fn decode_row(number: u64, row: &Entry) -> Result<Option<Vec<Receipt>>, StoreError> {
    let Some((_, _, mut rest)) = places(row, number).ok_or_else(|| wrong(number))? else { return Ok(None) };
    let receipts = Vec::<Receipt>::decode(&mut rest).map_err(|_| wrong(number))?;
    let logging = receipts.iter().filter(|receipt| !receipt.logs().is_empty()).count();
    if receipts.is_empty() || rest.len() != 32 * logging { Err(wrong(number)) } else { Ok(Some(receipts)) }
}

/// The receipts of a row that are wanted, if it is of the block. Others are passed over as they are: decoding a receipt takes as long as passing over
/// a hundred.
fn decode_excerpt(number: u64, row: &Entry, wanted: &BTreeSet<u32>) -> Result<Option<Excerpt>, StoreError> {
    let Some((first, first_log, rest)) = places(row, number).ok_or_else(|| wrong(number))? else { return Ok(None) };
    let bytes = row.0.len() + row.1.len();
    match excerpt(first, first_log, rest, wanted) {
        Ok(Some((positions, logging))) => Ok(Some(Excerpt { positions, logging, bytes })),
        _ => Err(wrong(number)),
    }
}

type Places = (RangeInclusive<u32>, Vec<Logging>);

/// None when it is not a row of receipts although it decodes.
fn excerpt(
    first: u32,
    mut next_log: u64,
    mut rest: &[u8],
    wanted: &BTreeSet<u32>,
) -> alloy_rlp::Result<Option<Places>> {
    let mut receipts = alloy_rlp::Header::decode_bytes(&mut rest, true)?;
    let (mut hashes, mut next, mut logging) = (rest.chunks_exact(32), first, Vec::new());
    while !receipts.is_empty() {
        let (position, mut receipt) = (next, pass(&mut receipts)?);
        let logs = count_logs(receipt)?;
        if logs > 0 {
            let Some(hash) = hashes.next() else { return Ok(None) };
            if wanted.contains(&position) {
                let (hash, receipt) = (B256::from_slice(hash), Receipt::decode(&mut receipt)?);
                logging.push(Logging { position, first_log: next_log, hash, receipt });
            }
        }
        next_log += logs;
        next = position.saturating_add(1);
    }
    let is_whole = next > first && hashes.next().is_none() && hashes.remainder().is_empty();
    Ok(is_whole.then(|| (first..=next - 1, logging)))
}

/// The next item, as it stands there.
fn pass<'a>(from: &mut &'a [u8]) -> alloy_rlp::Result<&'a [u8]> {
    let all = *from;
    let header = alloy_rlp::Header::decode(from)?;
    let (_, rest) = from.split_at_checked(header.payload_length).ok_or(alloy_rlp::Error::InputTooShort)?;
    *from = rest;
    Ok(&all[..all.len() - rest.len()])
}

/// How many logs a receipt has: the items of its fourth field. In front of the fields of all types but the oldest stands the type (EIP-2718).
fn count_logs(mut receipt: &[u8]) -> alloy_rlp::Result<u64> {
    if receipt.first().is_some_and(|first| *first < alloy_rlp::EMPTY_LIST_CODE) {
        let typed = alloy_rlp::Header::decode_bytes(&mut receipt, false)?;
        receipt = typed.get(1..).ok_or(alloy_rlp::Error::InputTooShort)?;
    }
    let mut fields = alloy_rlp::Header::decode_bytes(&mut receipt, true)?;
    for _status_gas_and_bloom in 0..3 {
        pass(&mut fields)?;
    }
    let mut logs = alloy_rlp::Header::decode_bytes(&mut fields, true)?;
    let mut count = 0;
    while !logs.is_empty() {
        pass(&mut logs)?;
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chain::fabricated, testing::unsigned_transaction};
    use alloy_consensus::{Eip658Value, Receipt as ConsensusReceipt, TxType};
    use alloy_primitives::{Address, Log};

    /// Of every type, with no, one and some logs.
    fn receipts() -> Vec<Receipt> {
        let types = [TxType::Legacy, TxType::Eip2930, TxType::Eip1559, TxType::Eip7702];
        let receipt = |kind: TxType, logs: usize| {
            let log = |bytes| Log::new_unchecked(Address::ZERO, vec![B256::ZERO; bytes % 5], vec![7; bytes].into());
            let logs = (0..logs).map(|index| log(17 * index)).collect();
            let receipt = ConsensusReceipt { status: Eip658Value::Eip658(true), cumulative_gas_used: 1, logs };
            Receipt::from_typed(kind, receipt.with_bloom())
        };
        types.into_iter().flat_map(|kind| [0, 1, 5, 0].map(|logs| receipt(kind, logs))).collect()
    }

    fn rows(receipts: &[Receipt]) -> Vec<Entry> {
        let transactions = (0..receipts.len() as u64).map(unsigned_transaction).collect();
        let block = Block { transactions, ..fabricated::block(7, Vec::new()).block };
        let mut batch = Batch::default();
        receipt_rows(&mut batch, &block, receipts);
        batch.writes.into_iter().map(|(_, key, value)| (key, value.expect("a row"))).collect()
    }

    #[test]
    fn what_is_wanted_of_a_row_is_what_the_whole_row_has() {
        let receipts = [receipts(), receipts()].concat();
        let rows = rows(&receipts);
        assert!(rows.len() > 1, "several rows");
        let wanted: BTreeSet<u32> = [0, 1, 2, 6, 13, 14, 21, 30].into();
        let found: Vec<_> = rows
            .iter()
            .flat_map(|row| decode_excerpt(7, row, &wanted).expect("whole").expect("of the block").logging)
            .collect();
        let first_log = |position: usize| receipts[..position].iter().map(|receipt| receipt.logs().len() as u64).sum();
        let naive = (0u32..).zip(&receipts).filter(|(position, it)| wanted.contains(position) && !it.logs().is_empty());
        let naive = naive.map(|(position, receipt)| Logging {
            position,
            first_log: first_log(position as usize),
            hash: *unsigned_transaction(position.into()).tx_hash(),
            receipt: receipt.clone(),
        });
        assert_eq!(found, naive.collect::<Vec<_>>());
        assert_eq!(rows.iter().flat_map(|row| decode_row(7, row).unwrap().unwrap()).collect::<Vec<_>>(), receipts);
        assert!(decode_excerpt(8, &rows[0], &wanted).unwrap().is_none() && decode_row(8, &rows[0]).unwrap().is_none());
    }

    #[test]
    fn a_damaged_row_is_an_error_or_another_receipt_and_never_a_panic() {
        let rows = rows(&receipts());
        let (key, value) = &rows[0];
        let wanted = (0..40).collect();
        for at in 0..value.len() {
            for change in [1, 0x40, 0x80, 0xff] {
                let mut changed = value.clone();
                changed[at] ^= change;
                drop(decode_excerpt(7, &(key.clone(), changed), &wanted));
            }
            assert!(decode_excerpt(7, &(key.clone(), value[..at].to_vec()), &wanted).is_err(), "cut at {at}");
        }
    }
}
