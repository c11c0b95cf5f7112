//! The index of logs: which transactions of which block logged something, by emitter, by topic, and by both.
//!
//! ```text
//!  Table::LogIndex    list (12 bytes) ++ block (5 bytes) -> positions of transactions in the block, rising
//!
//!  a log of T with topics a, b is in the lists   everything,  emitter T,  topic 0 = a,  topic 1 = b,
//!                                                T with topic 0 = a,  T with topic 1 = b
//!  one of the ledger's also                      what it names in its data (`ledger_index`)
//! ```
//! What an emitter logs with a topic has a list of its own, which nobody else can make longer: a look-up in the Bridge's
//! logs costs the same however many contracts log the same words. A row is one transaction's or more; the logs themselves
//! are read from the receipts, so a list may name a transaction too many, but never one too few.
//!
//! A log is in two lists for each topic, in one for its emitter and in one for everything; each takes at most one row a
//! block. The worst are logs of four new topics each: 1,875 gas for eight rows of 18 bytes, a byte for 13 gas, where eight
//! gas buy a byte of a log's data.

use alloy_primitives::{Address, B256};
use bitcoin::hashes::{Hash as _, sha256};

use super::{
    ledger_index::{Named, named},
    rows::corrupt,
};
use crate::{
    block::Receipt,
    state::store::{Batch, Entry, StoreError, Table},
};

/// The name of a list: the first 12 bytes of SHA-256 of what it is about. To lengthen another's list one has to find a
/// second preimage of 96 bits.
pub(super) type List = [u8; 12];

/// Bytes of a block's number in a row: at two blocks a second enough for 17,000 years.
const NUMBER_BYTES: usize = 5;

/// What a list is about.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// Every log.
    Everything,
    /// The logs of an emitter.
    Emitter(Address),
    /// The logs with a topic in a position, from 0.
    Topic(u8, B256),
    /// The logs of an emitter with a topic in a position.
    EmitterAndTopic(Address, u8, B256),
    /// The ledger's logs that name something.
    Ledger(Named<'a>),
}

impl Subject<'_> {
    /// At most 53 bytes are hashed, so one block of SHA-256 is.
    pub(super) fn list(self) -> List {
        let digest = match self {
            Self::Everything => sha256::Hash::hash(&[0]),
            Self::Emitter(emitter) => sha256::Hash::hash(&[&[1], emitter.as_slice()].concat()),
            Self::Topic(position, topic) => sha256::Hash::hash(&[&[2 + position], topic.as_slice()].concat()),
            Self::EmitterAndTopic(emitter, position, topic) => {
                sha256::Hash::hash(&[&[6 + position], emitter.as_slice(), topic.as_slice()].concat())
            }
            Self::Ledger(named) => sha256::Hash::hash(&named.words()),
        };
        let mut list = [0; 12];
        list.copy_from_slice(&digest.as_byte_array()[..12]);
        list
    }
}

/// The rows of a block, in the order of their keys.
pub(super) fn index_batch(batch: &mut Batch, number: u64, receipts: &[Receipt]) {
    let mut entries = entries(receipts);
    entries.sort_unstable();
    entries.dedup();
    for row in entries.chunk_by(|one, next| one.0 == next.0) {
        let positions = row.iter().map(|(_, position)| *position);
        batch.put(Table::LogIndex, row_key(row[0].0, number), encode_positions(positions));
    }
}

fn entries(receipts: &[Receipt]) -> Vec<(List, u32)> {
    let mut entries = Vec::new();
    for (position, receipt) in (0u32..).zip(receipts) {
        if !receipt.logs().is_empty() {
            entries.push((Subject::Everything.list(), position));
        }
        let mut last = None;
        for log in receipt.logs() {
            // Logs of one emitter mostly follow each other.
            if last.replace(log.address) != Some(log.address) {
                entries.push((Subject::Emitter(log.address).list(), position));
            }
            for (place, topic) in (0u8..).zip(log.topics()) {
                entries.push((Subject::Topic(place, *topic).list(), position));
                entries.push((Subject::EmitterAndTopic(log.address, place, *topic).list(), position));
            }
            named(log, |named| entries.push((Subject::Ledger(named).list(), position)));
        }
    }
    entries
}

/// The key of a list's row for a block, which is also where a scan from that block on begins.
pub(super) fn row_key(list: List, number: u64) -> Vec<u8> {
    // Beyond what five bytes hold there are no blocks.
    let number = number.min((1 << (8 * NUMBER_BYTES)) - 1).to_be_bytes();
    [&list[..], &number[8 - NUMBER_BYTES..]].concat()
}

/// Block and transactions of a row, if it is of the list.
///
/// # Errors
///
/// `Corrupt` when the row is not as [`index_batch`] writes it.
pub(super) fn decode_row(list: List, (key, value): &Entry) -> Result<Option<(u64, Vec<u32>)>, StoreError> {
    let Some(number) = key.strip_prefix(&list[..]) else {
        return Ok(None);
    };
    let wrong = || corrupt(Table::LogIndex, format!("row of {} and {} bytes", key.len(), value.len()));
    if number.len() != NUMBER_BYTES {
        return Err(wrong());
    }
    let number = number.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    Ok(Some((number, decode_positions(value).ok_or_else(wrong)?)))
}

/// The distance of each position from the one before (the first: from -1), seven bits a byte, the lowest first.
fn encode_positions(positions: impl Iterator<Item = u32>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut next = 0;
    for position in positions {
        let mut distance = position - next;
        next = position + 1;
        while distance >= 0x80 {
            bytes.push(distance as u8 | 0x80);
            distance >>= 7;
        }
        bytes.push(distance as u8);
    }
    bytes
}

fn decode_positions(bytes: &[u8]) -> Option<Vec<u32>> {
    let mut positions = Vec::new();
    let (mut next, mut distance, mut shift) = (0u32, 0u32, 0);
    for byte in bytes {
        distance |= u32::from(byte & 0x7f).checked_shl(shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            let position = next.checked_add(distance)?;
            positions.push(position);
            (next, distance, shift) = (position.checked_add(1)?, 0, 0);
        }
    }
    (shift == 0 && !positions.is_empty()).then_some(positions)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_has_exactly_this_name_and_its_rows_these_bytes() {
        let topic = B256::repeat_byte(7);
        let names = [
            Subject::Everything,
            Subject::Emitter(Address::repeat_byte(1)),
            Subject::Topic(3, topic),
            Subject::EmitterAndTopic(Address::repeat_byte(1), 3, topic),
            Subject::Ledger(Named::Claimant(Address::repeat_byte(1))),
            Subject::Ledger(Named::Funding(topic, 258)),
            Subject::Ledger(Named::Owner(Address::repeat_byte(1))),
            Subject::Ledger(Named::Script(&[0x51, 0x20])),
            Subject::Ledger(Named::SpentDeposit(topic, 258)),
            Subject::Ledger(Named::SpentOutput(258)),
        ]
        .map(|subject| alloy_primitives::hex::encode(subject.list()));
        assert_eq!(
            names,
            [
                "6e340b9cffb37a989ca544e6",
                "41122349d311a07751ca8935",
                "218c1e8dcf54d413c6959a15",
                "4ca38433cee7b311778e8c72",
                "01d2030f17199f2f8e4b537b",
                "2d40d4d6fd7c0e597fc40781",
                "c5c8af7411b9588e439d71e9",
                "e9fc6ce655eec3bece1f5705",
                "5b7eacea5490022d88f5f733",
                "8ae93619f2ab68e47cb1918b",
            ]
        );
        let key = row_key([0xaa; 12], 0x01_0203_0405);
        assert_eq!(alloy_primitives::hex::encode(&key), "aaaaaaaaaaaaaaaaaaaaaaaa0102030405");
        assert_eq!(encode_positions([0, 1, 130, 300].into_iter()), [0, 0, 0x80, 1, 0xa9, 1]);
    }

    #[test]
    fn a_damaged_row_is_told() {
        let row = |key: &[u8], value: &[u8]| decode_row([0xaa; 12], &(key.to_vec(), value.to_vec()));
        let key = row_key([0xaa; 12], 9);
        assert_eq!(row(&key, &[4]).expect("whole"), Some((9, vec![4])));
        assert_eq!(row(&row_key([0xab; 12], 9), &[4]).expect("another list's"), None);
        for value in [&[][..], &[0x80], &[0xff; 9]] {
            assert!(row(&key, value).is_err(), "{value:?}");
        }
        assert!(row(&key[..16], &[4]).is_err());
    }

    proptest! {
        #[test]
        fn positions_survive_their_encoding(mut positions in prop::collection::btree_set(any::<u32>(), 1..50)) {
            positions.remove(&u32::MAX);
            prop_assume!(!positions.is_empty());
            let positions: Vec<_> = positions.into_iter().collect();
            prop_assert_eq!(decode_positions(&encode_positions(positions.iter().copied())), Some(positions));
        }
    }
}
