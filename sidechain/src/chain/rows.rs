//! Which rows are in the store for a block, its state and its history.

use std::collections::HashMap;

use alloy_primitives::{Address, B256, keccak256};
use alloy_rlp::{Decodable, Encodable};

use super::error::OpenError;
use crate::{
    block::{Header, TxEnvelope},
    execution::Executed,
    state::{
        Change,
        store::{Batch, Store, StoreError, Table},
        undo::{self, History},
    },
};

/// Format of the data in the store.
const FORMAT: u32 = 5;

const META_FORMAT: &[u8] = b"format";
const META_HEAD: &[u8] = b"head";
pub(super) const META_NODES_OLDEST: &[u8] = b"nodes_oldest";
pub(super) const META_STATE_OLDEST: &[u8] = b"state_oldest";
pub(super) const META_BODIES_OLDEST: &[u8] = b"bodies_oldest";
/// The block that the state was copied of; none where the chain was executed from genesis on.
pub(super) const META_BEGAN: &[u8] = b"began";
/// The last block whose body was removed or is kept for ever.
pub(super) const META_BODIES_SWEPT: &[u8] = b"bodies_swept";
pub(super) const META_LAST_CURSOR: &[u8] = b"last_cursor";
pub(super) const META_REGISTRATIONS: &[u8] = b"registrations";

/// Header, body and their indexes, and the new head. Receipts and what follows from them: `receipts`.
pub(super) fn block_batch(executed: &Executed) -> Batch {
    let Executed { hash, block, senders, .. } = executed;
    let key = block.number().to_be_bytes();
    let mut batch = Batch::default();
    batch.put(Table::Header, key, alloy_rlp::encode(&block.header));
    let mut body = Vec::new();
    block.transactions.encode(&mut body);
    senders.iter().for_each(|sender| body.extend_from_slice(sender.as_slice()));
    batch.put(Table::Body, key, body);
    batch.put(Table::BlockNumber, hash.to_vec(), key);
    for (index, envelope) in (0u32..).zip(&block.transactions) {
        batch.put(Table::TransactionHash, envelope.tx_hash().to_vec(), [&key[..], &index.to_be_bytes()].concat());
    }
    put_head(&mut batch, block.number());
    batch
}

/// Makes a block the last final one.
pub(super) fn put_head(batch: &mut Batch, number: u64) {
    batch.put(Table::Meta, META_HEAD, number.to_be_bytes());
}

/// Changed rows, and the undo record with their rows before.
pub(super) fn state_batch(batch: &mut Batch, executed: &Executed, with_history: bool) {
    for (hash, code) in &executed.overlay.codes {
        batch.put(Table::Code, hash.to_vec(), code.to_vec());
    }
    for (table, rows) in executed.overlay.tables() {
        if with_history {
            undo_batch(batch, executed.block.number(), table, rows);
        }
        batch.writes.extend(rows.iter().map(|(key, change)| (table, key.clone(), change.after.clone())));
    }
}

/// The part of a block's undo record that is about one table, and the index of its keys.
fn undo_batch(batch: &mut Batch, number: u64, table: Table, rows: &HashMap<Vec<u8>, Change>) {
    let History { pages, index, kind } = undo::history(table).expect("the tables of an overlay are versioned");
    let block = number.to_be_bytes();
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_unstable_by_key(|(key, _)| *key);
    for (key, _) in &rows {
        batch.put(index, [&undo::index_prefix(kind, key)[..], &block].concat(), []);
    }
    let rows = rows.into_iter().map(|(key, Change { before, after })| {
        let before = match table {
            Table::AccountNode | Table::StorageNode => {
                undo::node_before(number, key, before.as_deref(), after.as_deref())
            }
            _ => before.clone().unwrap_or_default(),
        };
        (key.as_slice(), before)
    });
    for undo::Page { last, rows } in undo::pages(rows) {
        batch.put(pages, undo::page_key(block, kind, &last), rows);
    }
}

/// Notes the format in the first batch.
pub(super) fn stamp_format(batch: &mut Batch) {
    batch.put(Table::Meta, META_FORMAT, FORMAT.to_be_bytes());
}

pub(super) fn check_format<S: Store>(store: &S) -> Result<(), OpenError> {
    match store.get(Table::Meta, META_FORMAT)? {
        Some(stored) if stored != FORMAT.to_be_bytes() => {
            let stored =
                <[u8; 4]>::try_from(stored).map_or("unknown".to_owned(), |be| u32::from_be_bytes(be).to_string());
            Err(OpenError::Version { stored, wanted: FORMAT })
        }
        _ => Ok(()),
    }
}

/// Number of the last final block in a row of [`Table::Meta`], read by `get`.
pub(super) fn head_number(
    get: impl Fn(Table, &[u8]) -> Result<Option<Vec<u8>>, StoreError>,
) -> Result<u64, StoreError> {
    let row = get(Table::Meta, META_HEAD)?.ok_or_else(|| corrupt(Table::Meta, "the head is missing".to_owned()))?;
    block_number(Table::Meta, &row)
}

/// The block that the state was copied of, 0 for genesis.
pub(super) fn stored_begin<S: Store>(store: &S) -> Result<u64, StoreError> {
    store.get(Table::Meta, META_BEGAN)?.map_or(Ok(0), |row| block_number(Table::Meta, &row))
}

pub(super) fn stored_head<S: Store>(store: &S) -> Result<(Header, B256), StoreError> {
    let missing = || corrupt(Table::Meta, "the head is missing".to_owned());
    let number = head_number(|table, key| store.get(table, key))?;
    let header = stored_header(store, number)?.ok_or_else(missing)?;
    let hash = header.hash_slow();
    Ok((header, hash))
}

pub(super) fn stored_header<S: Store>(store: &S, number: u64) -> Result<Option<Header>, StoreError> {
    let Some(row) = store.get(Table::Header, &number.to_be_bytes())? else {
        return Ok(None);
    };
    decode(Table::Header, &row).map(Some)
}

pub(super) fn stored_hash<S: Store>(store: &S, number: u64) -> Result<Option<B256>, StoreError> {
    Ok(store.get(Table::Header, &number.to_be_bytes())?.map(keccak256))
}

pub(super) fn decode_body(row: &[u8]) -> Result<(Vec<TxEnvelope>, Vec<Address>), StoreError> {
    let mut rest = row;
    let transactions = Vec::<TxEnvelope>::decode(&mut rest).map_err(|error| corrupt(Table::Body, error.to_string()))?;
    let senders: Vec<Address> = rest.chunks_exact(20).map(Address::from_slice).collect();
    if senders.len() != transactions.len() || rest.len() != 20 * senders.len() {
        return Err(corrupt(
            Table::Body,
            format!("{} transactions, {} bytes of senders", transactions.len(), rest.len()),
        ));
    }
    Ok((transactions, senders))
}

pub(super) fn decode<T: Decodable>(table: Table, row: &[u8]) -> Result<T, StoreError> {
    T::decode(&mut &*row).map_err(|error| corrupt(table, error.to_string()))
}

pub(super) fn block_number(table: Table, bytes: &[u8]) -> Result<u64, StoreError> {
    let bytes = bytes.try_into().map_err(|_| corrupt(table, format!("{} bytes for a number", bytes.len())))?;
    Ok(u64::from_be_bytes(bytes))
}

pub(super) fn corrupt(table: Table, detail: String) -> StoreError {
    StoreError::Corrupt { table: table.name(), detail }
}
