//! What a block's undo record says: the rows that the block changed, as they were before it.
//!
//! A record is cut into pages of sorted rows, so that a read of one row does not load what a full block changed. Of a branch that
//! stays a branch only the children that changed are kept: in a large trie a block changes one or two of sixteen. A node at an
//! old block is therefore put together from the records after that block, the oldest first (see [`Node`]).

use alloy_rlp::Header;

use super::{
    reader::PATH_END,
    store::{StoreError, Table},
};

/// Bytes of a page after which the next one begins. A read decodes half a page on average: about a microsecond.
const PAGE_BYTES: usize = 8 << 10;

/// First byte of a row that holds only the changed children of a branch. Whole rows begin with a list's RLP (from 0xc0) or with the
/// rest of a leaf's key (0x20 to 0x3f).
const CHILDREN: u8 = 0;

/// Children of a branch.
const BRANCH: usize = 16;

/// Bytes that stand for a hash in the index. Two keys with these in common cost 2^64 hashes to find, and all that they cost a reader
/// is a look into a record more.
const SHORT: usize = 8;

/// Bytes of a hash.
const HASH: usize = 32;

const ACCOUNT: u8 = 0;
const SLOT: u8 = 1;
const ACCOUNT_NODE: u8 = 2;
const STORAGE_NODE: u8 = 3;

/// Where the earlier rows of a table are.
#[derive(Clone, Copy, Debug)]
pub struct History {
    /// Undo records, in pages.
    pub pages: Table,
    /// Which records have a row of a key.
    pub index: Table,
    /// Stands for the table in the keys of both.
    pub kind: u8,
}

/// Where the earlier rows of a table are; none for tables without.
pub const fn history(table: Table) -> Option<History> {
    let (pages, index, kind) = match table {
        Table::Account => (Table::StateUndo, Table::StateIndex, ACCOUNT),
        Table::Slot => (Table::StateUndo, Table::StateIndex, SLOT),
        Table::AccountNode => (Table::NodeUndo, Table::NodeIndex, ACCOUNT_NODE),
        Table::StorageNode => (Table::NodeUndo, Table::NodeIndex, STORAGE_NODE),
        _ => return None,
    };
    Some(History { pages, index, kind })
}

/// Where the page with a key of a block's record stands: the first page from here on has the key, if any has.
pub fn page_key(block: [u8; 8], kind: u8, key: &[u8]) -> Vec<u8> {
    [&block, &[kind][..], key].concat()
}

/// Block and kind of a page.
pub fn page_place(key: &[u8]) -> Result<(u64, u8), StoreError> {
    let (block, rest) = key.split_first_chunk::<8>().ok_or_else(|| corrupt("a short key"))?;
    let kind = rest.first().ok_or_else(|| corrupt("a short key"))?;
    Ok((u64::from_be_bytes(*block), *kind))
}

/// The key of the index for a row, without the block.
pub fn index_prefix(kind: u8, key: &[u8]) -> Vec<u8> {
    match kind {
        ACCOUNT => [&[kind], &key[..SHORT]].concat(),
        SLOT => [&[kind], &key[..SHORT], &key[HASH..HASH + SHORT]].concat(),
        STORAGE_NODE => [&[kind], &key[..SHORT], &key[HASH..]].concat(),
        _ => [&[kind], key].concat(),
    }
}

/// The [`index_prefix`] of a whole key of the index.
pub fn prefix_of_index(key: &[u8]) -> &[u8] {
    let path_ends = |from: usize| key.iter().skip(from).position(|nibble| *nibble == PATH_END).map(|at| from + at + 1);
    let length = match key.first() {
        Some(&ACCOUNT) => Some(1 + SHORT),
        Some(&SLOT) => Some(1 + 2 * SHORT),
        Some(&ACCOUNT_NODE) => path_ends(1),
        Some(&STORAGE_NODE) => path_ends(1 + SHORT),
        _ => None,
    };
    length.and_then(|length| key.get(..length)).unwrap_or(key)
}

/// Some rows of an undo record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Key of its last row.
    pub last: Vec<u8>,
    /// Its rows. Each: bytes shared with the key before, length of the rest, the rest, length of the value (2), the value.
    pub rows: Vec<u8>,
}

/// Packs rows, sorted by key, into pages. Keys have less than 256 bytes, values less than 65,536.
pub fn pages<'a>(rows: impl Iterator<Item = (&'a [u8], Vec<u8>)>) -> Vec<Page> {
    let mut pages: Vec<Page> = Vec::new();
    for (key, value) in rows {
        if pages.last().is_none_or(|page| page.rows.len() >= PAGE_BYTES) {
            pages.push(Page { last: Vec::new(), rows: Vec::with_capacity(PAGE_BYTES) });
        }
        let page = pages.last_mut().expect("pushed above");
        let shared = page.last.iter().zip(key).take_while(|(a, b)| a == b).count();
        page.rows.push(u8::try_from(shared).expect("keys have less than 256 bytes"));
        page.rows.push(u8::try_from(key.len() - shared).expect("keys have less than 256 bytes"));
        page.rows.extend_from_slice(&key[shared..]);
        page.rows.extend(u16::try_from(value.len()).expect("values have less than 65,536 bytes").to_be_bytes());
        page.rows.extend(value);
        page.last.clear();
        page.last.extend_from_slice(key);
    }
    pages
}

/// A key and its value.
pub type Row<'k, 'v> = (&'k [u8], &'v [u8]);

/// Reads the rows of a page in order.
pub struct Rows<'a> {
    rest: &'a [u8],
    key: Vec<u8>,
}

impl<'a> Rows<'a> {
    /// The rows of [`Page::rows`].
    pub const fn new(page: &'a [u8]) -> Self {
        Self { rest: page, key: Vec::new() }
    }

    /// The next key and its value.
    ///
    /// # Errors
    ///
    /// `Corrupt` when the page ends early.
    pub fn advance(&mut self) -> Result<Option<Row<'_, 'a>>, StoreError> {
        let [shared, rest, tail @ ..] = self.rest else {
            return if self.rest.is_empty() { Ok(None) } else { Err(corrupt("a page ends early")) };
        };
        let (rest, tail) = tail.split_at_checked(usize::from(*rest)).ok_or_else(|| corrupt("a page ends early"))?;
        let (length, tail) = tail.split_first_chunk::<2>().ok_or_else(|| corrupt("a page ends early"))?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (value, tail) = tail.split_at_checked(length).ok_or_else(|| corrupt("a page ends early"))?;
        self.key.truncate(usize::from(*shared));
        self.key.extend_from_slice(rest);
        self.rest = tail;
        Ok(Some((&self.key, value)))
    }

    /// The value of a key, if the page has it.
    ///
    /// # Errors
    ///
    /// `Corrupt` when the page ends early.
    pub fn find(mut self, wanted: &[u8]) -> Result<Option<&'a [u8]>, StoreError> {
        while let Some((key, value)) = self.advance()? {
            if key == wanted {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

/// Of so many records one keeps a node whole, so that a node that changes in every block is not put together from all of them.
const WHOLE_EVERY: u64 = 32;

/// What the record of a block keeps of the trie node at `key` that the block changes; empty when there was none.
pub fn node_before(block: u64, key: &[u8], before: Option<&[u8]>, after: Option<&[u8]>) -> Vec<u8> {
    let whole = before.unwrap_or_default();
    // Different nodes at different blocks, so that no block writes much more than the others.
    if key.iter().fold(block, |sum, byte| sum + u64::from(*byte)).is_multiple_of(WHOLE_EVERY) {
        return whole.to_vec();
    }
    let (Some(before), Some(after)) = (children(whole), after.and_then(children)) else {
        return whole.to_vec();
    };
    let mut mask = 0u16;
    let mut kept = vec![CHILDREN, 0, 0];
    for (position, (before, after)) in before.into_iter().zip(after).enumerate() {
        if before != after {
            mask |= 1 << position;
            kept.extend_from_slice(before);
        }
    }
    kept[1..3].copy_from_slice(&mask.to_be_bytes());
    kept
}

/// A node at an old block, put together from the records after that block, the oldest first.
#[derive(Debug, Default)]
pub struct Node {
    /// RLP of the children that are known so far.
    children: [Option<Vec<u8>>; BRANCH],
}

impl Node {
    /// Takes the next record's row; the node, if that makes it whole. The inner `None`: there was no node.
    ///
    /// # Errors
    ///
    /// `Corrupt` when rows contradict each other.
    pub fn meet(&mut self, row: &[u8]) -> Result<Option<Option<Vec<u8>>>, StoreError> {
        let Some((&CHILDREN, changed)) = row.split_first() else {
            return std::mem::take(self).finish((!row.is_empty()).then(|| row.to_vec())).map(Some);
        };
        let (mask, mut rest) = changed.split_first_chunk::<2>().ok_or_else(|| corrupt("a branch ends early"))?;
        let mask = u16::from_be_bytes(*mask);
        for (_, known) in self.children.iter_mut().enumerate().filter(|(position, _)| mask >> position & 1 == 1) {
            let child = item(&mut rest).ok_or_else(|| corrupt("a branch ends early"))?;
            known.get_or_insert_with(|| child.to_vec());
        }
        let whole = self.children.iter().all(Option::is_some);
        Ok(whole.then(|| Some(branch(self.children.iter().flatten().map(Vec::as_slice)))))
    }

    /// The node, when no later record has a row: what is not known is as in the row of today.
    ///
    /// # Errors
    ///
    /// `Corrupt` when rows contradict each other.
    pub fn finish(self, today: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, StoreError> {
        if self.children.iter().all(Option::is_none) {
            return Ok(today);
        }
        let today = today.unwrap_or_default();
        let rest = children(&today).ok_or_else(|| corrupt("children of a node that is no branch"))?;
        let known = self.children.iter().zip(rest);
        Ok(Some(branch(known.map(|(known, rest)| known.as_deref().unwrap_or(rest)))))
    }
}

/// RLP of each child of a branch; none for any other node.
fn children(row: &[u8]) -> Option<[&[u8]; BRANCH]> {
    let mut rest = Header::decode_bytes(&mut &*row, true).ok()?;
    let mut children = [&[][..]; BRANCH];
    for child in &mut children {
        *child = item(&mut rest)?;
    }
    // The value of a branch: none, as keys have equal lengths.
    (rest == [alloy_rlp::EMPTY_STRING_CODE]).then_some(children)
}

/// Takes the RLP of one item, its header included.
fn item<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let mut payload = *rest;
    let header = Header::decode(&mut payload).ok()?;
    let (item, left) = rest.split_at_checked(rest.len() - payload.len() + header.payload_length)?;
    *rest = left;
    Some(item)
}

/// RLP of a branch.
fn branch<'a>(children: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut payload = children.fold(Vec::new(), |mut payload, child| {
        payload.extend_from_slice(child);
        payload
    });
    payload.push(alloy_rlp::EMPTY_STRING_CODE);
    let mut row = Vec::with_capacity(payload.len() + 3);
    Header { list: true, payload_length: payload.len() }.encode(&mut row);
    row.extend(payload);
    row
}

fn corrupt(detail: &str) -> StoreError {
    StoreError::Corrupt { table: Table::StateUndo.name(), detail: detail.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn child() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            Just(vec![0x80]),
            any::<[u8; 32]>().prop_map(|hash| [&[0xa0][..], &hash].concat()),
            // A small node that stands inside its parent.
            any::<[u8; 4]>().prop_map(|bytes| [&[0xc5, 0x84][..], &bytes].concat()),
        ]
    }

    /// A branch by its children, another node, or none.
    fn node() -> impl Strategy<Value = Option<Vec<u8>>> {
        let branches = prop::collection::vec(child(), BRANCH)
            .prop_map(|children| Some(branch(children.iter().map(Vec::as_slice))));
        prop_oneof![
            6 => branches,
            1 => Just(None),
            1 => any::<[u8; 20]>().prop_map(|rest| Some([&[0x3a][..], &rest].concat())),
            1 => any::<[u8; 32]>().prop_map(|hash| Some([&[0xe3, 0x12, 0xa0][..], &hash].concat())),
        ]
    }

    proptest! {
        #[test]
        fn every_row_is_found_in_the_first_page_whose_last_key_is_not_before_it(
            rows in prop::collection::btree_map(prop::collection::vec(0u8..4, 1..97), prop::collection::vec(any::<u8>(), 0..600), 0..120),
            absent in prop::collection::vec(0u8..4, 1..97),
        ) {
            let pages = pages(rows.iter().map(|(key, value)| (key.as_slice(), value.clone())));
            let by_last: BTreeMap<_, _> = pages.iter().map(|page| (page.last.clone(), &page.rows)).collect();
            let find = |key: &[u8]| {
                let (_, page) = by_last.range(key.to_vec()..).next()?;
                Rows::new(page).find(key).expect("whole").map(<[u8]>::to_vec)
            };
            for (key, value) in &rows {
                prop_assert_eq!(find(key), Some(value.clone()));
            }
            prop_assert_eq!(find(&absent), rows.get(&absent).cloned());
        }

        #[test]
        fn a_node_at_any_old_block_is_put_together_from_what_changed_since(
            states in prop::collection::vec(node(), 1..12), deltas in prop::collection::vec((0usize..BRANCH, child()), 12),
            first in 0u64..WHOLE_EVERY,
        ) {
            // Most blocks change one child of a branch.
            let mut history: Vec<Option<Vec<u8>>> = Vec::new();
            for (state, (position, child)) in states.into_iter().zip(deltas) {
                let changed = state.as_deref().and_then(children).map(|mut children| {
                    children[position] = &child;
                    branch(children.into_iter())
                });
                history.push(state);
                history.extend(changed.map(Some));
            }
            let records: Vec<_> = (0..)
                .zip(history.windows(2))
                .map(|(block, pair)| node_before(block + first, &[3, 7, PATH_END], pair[0].as_deref(), pair[1].as_deref()))
                .collect();
            for (number, want) in history.iter().enumerate() {
                let mut node = Node::default();
                let met = records[number..].iter().find_map(|row| node.meet(row).expect("consistent"));
                let found = met.unwrap_or_else(|| node.finish(history.last().expect("one").clone()).expect("consistent"));
                prop_assert_eq!(&found, want, "at {}", number);
            }
        }

        #[test]
        fn damaged_rows_are_errors_and_no_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut rows = Rows::new(&bytes);
            while let Ok(Some(_)) = rows.advance() {}
            let _ = Node::default().meet(&bytes);
            let _ = Node { children: [const { None }; BRANCH].map(|_: Option<Vec<u8>>| Some(vec![0x80])) }.finish(Some(bytes));
        }
    }
}
