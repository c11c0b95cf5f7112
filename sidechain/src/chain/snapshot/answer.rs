//! What a serving node answers to a question for a part.

use alloy_primitives::{B256, U256};
use alloy_trie::EMPTY_ROOT_HASH;
use api::snapshot::Part;

use super::part::{Range, WholeBlock, encode_block, encode_codes, encode_ranges};
use crate::{
    block::{Block, Header},
    chain::receipts::scanned_receipts,
    chain::rows::{corrupt, decode, decode_body, head_number},
    state::{
        Account, AccountNodes, StateReader, StorageNodes, decode_account,
        store::{Entry, StoreError, Table},
        trie::{
            NodeReader,
            range::{LAST_KEY, Leaf, prove_range},
        },
    },
};

/// Bytes of leaves or codes in one answer, if the first item is not larger by itself. A proof adds some kilobytes.
pub const PART_BYTES: usize = 512 << 10;

/// Accounts that one question for storage may name.
pub const MAX_ACCOUNTS: usize = 256;

/// Codes that one question may name.
pub const MAX_CODES: usize = 256;

/// Rows read at a time.
const PAGE: usize = 512;

/// Headers before a block that `BLOCKHASH` reaches in the block after it.
pub(super) const ANCESTORS: u64 = 255;

/// All tables as they were after one block.
pub trait FrozenRows: StateReader {
    /// At most `limit` entries from a key on, in order.
    ///
    /// # Errors
    ///
    /// When the store fails.
    fn scan(&self, table: Table, from: &[u8], limit: usize) -> Result<Vec<Entry>, StoreError>;
}

/// Number of the block after which tables stand still, if it has a certificate of its own: else nobody could begin with it.
///
/// # Errors
///
/// When the store fails.
pub fn certified_head<R: FrozenRows>(rows: &R) -> Result<Option<u64>, StoreError> {
    let number = head_number(|table, key| rows.get(table, key))?;
    Ok(rows.get(Table::Finality, &number.to_be_bytes())?.map(|_| number))
}

/// The answer to a question for a part of the state after block `number`; `None` when it asks for what is not there, or for too much.
/// The answer ends after `part_bytes`.
///
/// # Errors
///
/// When the store fails.
pub fn answer<R: FrozenRows>(
    rows: &R,
    number: u64,
    part: &Part,
    part_bytes: usize,
) -> Result<Option<Vec<u8>>, StoreError> {
    match part {
        Part::Block {} => block(rows, number).map(Some),
        Part::Accounts { from } => {
            let mut budget = part_bytes;
            let (leaves, more) = leaves(rows, Table::Account, &[], *from, &mut budget)?;
            proven(&AccountNodes(rows), *from, leaves, more).map(|range| Some(encode_ranges(&[range])))
        }
        Part::Slots { accounts, from } => slots(rows, accounts, *from, part_bytes),
        Part::Codes { hashes } => codes(rows, hashes, part_bytes),
    }
}

fn slots<R: FrozenRows>(
    rows: &R,
    accounts: &[B256],
    from: B256,
    part_bytes: usize,
) -> Result<Option<Vec<u8>>, StoreError> {
    if accounts.is_empty() || accounts.len() > MAX_ACCOUNTS {
        return Ok(None);
    }
    let (mut ranges, mut budget, mut from) = (Vec::new(), part_bytes, from);
    for account in accounts {
        match rows.account_by_hash(*account)? {
            Some(Account { storage_root, .. }) if storage_root != EMPTY_ROOT_HASH => {}
            _ => return Ok(None),
        }
        let (leaves, more) = leaves(rows, Table::Slot, account.as_slice(), from, &mut budget)?;
        ranges.push(proven(&StorageNodes(rows, *account), from, leaves, more)?);
        if more || budget == 0 {
            break;
        }
        from = B256::ZERO;
    }
    Ok(Some(encode_ranges(&ranges)))
}

fn codes<R: FrozenRows>(rows: &R, hashes: &[B256], part_bytes: usize) -> Result<Option<Vec<u8>>, StoreError> {
    if hashes.is_empty() || hashes.len() > MAX_CODES {
        return Ok(None);
    }
    let (mut codes, mut bytes) = (Vec::new(), 0);
    for hash in hashes {
        let Some(code) = rows.code(*hash)? else { return Ok(None) };
        bytes += code.len();
        codes.push(code);
        if bytes >= part_bytes {
            break;
        }
    }
    Ok(Some(encode_codes(&codes)))
}

fn block<R: FrozenRows>(rows: &R, number: u64) -> Result<Vec<u8>, StoreError> {
    let row = |table: Table, number: u64| {
        let row = rows.get(table, &number.to_be_bytes())?;
        row.ok_or_else(|| corrupt(table, format!("block {number} is missing")))
    };
    let header = |number| decode::<Header>(Table::Header, &row(Table::Header, number)?);
    let (transactions, _) = decode_body(&row(Table::Body, number)?)?;
    let whole = WholeBlock {
        block: Block { header: header(number)?, transactions },
        receipts: scanned_receipts(|from, limit| rows.scan(Table::Receipts, from, limit), number)?,
        ancestors: (number.saturating_sub(ANCESTORS)..number).map(header).collect::<Result<_, _>>()?,
    };
    Ok(encode_block(&whole))
}

/// Leaves below a prefix, from a key on, until the budget is used up; and whether there may be more.
fn leaves<R: FrozenRows>(
    rows: &R,
    table: Table,
    prefix: &[u8],
    from: B256,
    budget: &mut usize,
) -> Result<(Vec<Leaf>, bool), StoreError> {
    let mut leaves: Vec<Leaf> = Vec::new();
    let mut next = [prefix, from.as_slice()].concat();
    loop {
        let page = rows.scan(table, &next, PAGE)?;
        let full = page.len() == PAGE;
        for (key, row) in page {
            let Some(key) = key.strip_prefix(prefix) else { return Ok((leaves, false)) };
            if *budget == 0 {
                return Ok((leaves, true));
            }
            let key = B256::try_from(key).map_err(|_| corrupt(table, format!("a key of {} bytes", key.len())))?;
            let leaf = leaf_of_row(table, &row)?;
            *budget = budget.saturating_sub(32 + leaf.len());
            leaves.push((key, leaf));
        }
        match leaves.last() {
            Some((last, _)) if full && *last < LAST_KEY => next = [prefix, last.as_slice(), &[0]].concat(),
            _ => return Ok((leaves, false)),
        }
    }
}

fn proven(nodes: &impl NodeReader, from: B256, leaves: Vec<Leaf>, more: bool) -> Result<Range, StoreError> {
    let range = Range { leaves, more, proof: Vec::new() };
    Ok(Range { proof: prove_range(nodes, from, range.end())?, ..range })
}

/// The trie's value of a row of accounts or slots.
fn leaf_of_row(table: Table, row: &[u8]) -> Result<Vec<u8>, StoreError> {
    match table {
        Table::Slot => U256::try_from_be_slice(row)
            .map(alloy_rlp::encode)
            .ok_or_else(|| corrupt(table, format!("a slot of {} bytes", row.len()))),
        _ => Ok(alloy_rlp::encode(decode_account(row)?)),
    }
}
