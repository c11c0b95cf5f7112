//! Which rows are in the store for a block, its state and its history.

use alloy_primitives::{Address, B256, keccak256};
use alloy_rlp::{Decodable, Encodable};

use super::error::OpenError;
use crate::{
    block::{Header, TxEnvelope},
    execution::Executed,
    state::store::{Batch, Store, StoreError, Table},
};

/// Format of the data in the store.
const FORMAT: u32 = 1;

const META_FORMAT: &[u8] = b"format";
const META_HEAD: &[u8] = b"head";
pub(super) const META_NODES_OLDEST: &[u8] = b"nodes_oldest";
pub(super) const META_STATE_OLDEST: &[u8] = b"state_oldest";
pub(super) const META_LAST_CURSOR: &[u8] = b"last_cursor";

/// Header, body, receipts and their indexes, and the new head.
pub(super) fn block_batch(executed: &Executed) -> Batch {
    let Executed { hash, block, senders, receipts, .. } = executed;
    let key = block.number().to_be_bytes();
    let mut batch = Batch::default();
    batch.put(Table::Header, key, alloy_rlp::encode(&block.header));
    let mut body = Vec::new();
    block.transactions.encode(&mut body);
    senders.iter().for_each(|sender| body.extend_from_slice(sender.as_slice()));
    batch.put(Table::Body, key, body);
    let mut row = Vec::new();
    receipts.encode(&mut row);
    batch.put(Table::Receipts, key, row);
    if !block.header.logs_bloom.is_zero() {
        batch.put(Table::Bloom, key, block.header.logs_bloom.to_vec());
    }
    batch.put(Table::BlockNumber, hash.to_vec(), key);
    for (index, envelope) in (0u32..).zip(&block.transactions) {
        batch.put(Table::TransactionHash, envelope.tx_hash().to_vec(), [&key[..], &index.to_be_bytes()].concat());
    }
    batch.put(Table::Meta, META_HEAD, key);
    batch
}

/// Changed rows, their history, and what prunes it.
pub(super) fn state_batch(batch: &mut Batch, executed: &Executed, with_history: bool) {
    let number = executed.block.number().to_be_bytes();
    let (mut state_undo, mut node_undo) = (Vec::new(), Vec::new());
    for (hash, code) in &executed.overlay.codes {
        batch.put(Table::Code, hash.to_vec(), code.to_vec());
    }
    for (table, key, change) in executed.overlay.changes() {
        batch.writes.push((table, key.clone(), change.after.clone()));
        if let (true, Some(history)) = (with_history, history(table)) {
            batch.put(history, [key, number.as_slice()].concat(), change.before.clone().unwrap_or_default());
            let nodes = matches!(table, Table::AccountNode | Table::StorageNode);
            encode_undo(if nodes { &mut node_undo } else { &mut state_undo }, history, key);
        }
    }
    for (undo, keys) in [(Table::StateUndo, state_undo), (Table::NodeUndo, node_undo)] {
        if !keys.is_empty() {
            batch.put(undo, number, keys);
        }
    }
}

/// The table with the earlier rows of a table.
pub(super) const fn history(table: Table) -> Option<Table> {
    match table {
        Table::Account => Some(Table::AccountHistory),
        Table::Slot => Some(Table::SlotHistory),
        Table::AccountNode => Some(Table::AccountNodeHistory),
        Table::StorageNode => Some(Table::StorageNodeHistory),
        _ => None,
    }
}

/// Tables with earlier rows, by the byte that stands for them in an undo list.
const HISTORIES: [Table; 4] =
    [Table::AccountHistory, Table::SlotHistory, Table::AccountNodeHistory, Table::StorageNodeHistory];

/// Appends table, length and key.
fn encode_undo(list: &mut Vec<u8>, table: Table, key: &[u8]) {
    let position = HISTORIES.iter().position(|history| *history == table).expect("one of the four");
    list.push(u8::try_from(position).expect("below 4"));
    // The longest key is a storage node's: 32 + 64 + 1 bytes.
    list.push(u8::try_from(key.len()).expect("keys have at most 97 bytes"));
    list.extend_from_slice(key);
}

pub(super) fn decode_undo(mut list: &[u8]) -> Result<Vec<(Table, &[u8])>, StoreError> {
    let wrong = || corrupt(Table::NodeUndo, "undo list ends early".to_owned());
    let mut keys = Vec::new();
    while let [table, length, rest @ ..] = list {
        let table = HISTORIES.get(usize::from(*table)).ok_or_else(wrong)?;
        let (key, rest) = rest.split_at_checked(usize::from(*length)).ok_or_else(wrong)?;
        keys.push((*table, key));
        list = rest;
    }
    if list.is_empty() { Ok(keys) } else { Err(wrong()) }
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

pub(super) fn stored_head<S: Store>(store: &S) -> Result<(Header, B256), StoreError> {
    let missing = || corrupt(Table::Meta, "the head is missing".to_owned());
    let number = block_number(Table::Meta, &store.get(Table::Meta, META_HEAD)?.ok_or_else(missing)?)?;
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
