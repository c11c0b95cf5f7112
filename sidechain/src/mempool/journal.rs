//! How waiting transactions stand in a file, so that a restart does not lose them.
//!
//! The file grows at its end. A crash may tear it there, a disk may damage it anywhere, so every record has a checksum, and what
//! is read is believed no more than what a stranger sends: it is checked as a new transaction is.
//!
//! ```text
//! "causeway pool 1\n"  then records:  bytes u32 | arrived u64 | checksum u64 | the transaction (EIP-2718)
//! ```
//! Numbers have their highest byte first. The checksum is the beginning of keccak256 of all that the record has beside it.

use std::io::{self, ErrorKind, Read};

use alloy_eips::Encodable2718 as _;
use alloy_primitives::{Bytes, Keccak256};

use crate::{block::TxEnvelope, limits::MAX_TRANSACTION_BYTES};

/// What a file begins with: its kind and the version of its layout.
pub const MAGIC: &[u8; 16] = b"causeway pool 1\n";

/// What a record has beside its transaction.
pub const RECORD_BYTES: usize = 4 + 8 + CHECKSUM_BYTES;

const CHECKSUM_BYTES: usize = 8;

/// A transaction that waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it came, in Unix milliseconds. Waiting is not renewed by a restart.
    pub arrived_ms: u64,
    /// Its EIP-2718 encoding, if nobody changed it.
    pub raw: Bytes,
}

/// Why nothing more is read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("it is of another kind or version")]
    Kind,
    /// Torn by a crash, or changed. What follows has no beginning any more.
    #[error("it is torn or damaged at byte {at}")]
    Damaged { at: u64 },
    #[error(transparent)]
    Read(#[from] io::Error),
}

/// Adds a transaction to what will be written.
pub fn append(out: &mut Vec<u8>, arrived_ms: u64, transaction: &TxEnvelope) {
    let raw = transaction.encoded_2718();
    let bytes = u32::try_from(raw.len()).expect("a transaction in the pool has at most 512 KiB");
    out.reserve(RECORD_BYTES + raw.len());
    out.extend(bytes.to_be_bytes());
    out.extend(arrived_ms.to_be_bytes());
    out.extend(checksum(arrived_ms, &raw));
    out.extend(raw);
}

fn checksum(arrived_ms: u64, raw: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = Keccak256::new();
    hasher.update(u32::try_from(raw.len()).unwrap_or(u32::MAX).to_be_bytes());
    hasher.update(arrived_ms.to_be_bytes());
    hasher.update(raw);
    let mut sum = [0; CHECKSUM_BYTES];
    sum.copy_from_slice(&hasher.finalize()[..CHECKSUM_BYTES]);
    sum
}

/// The records of a file, from its beginning to its end or to the first that is not whole.
#[derive(Debug)]
pub struct Records<R> {
    source: R,
    at: u64,
    ended: bool,
}

impl<R: Read> Records<R> {
    /// At most `bytes` of the source are read.
    pub fn new(source: R, bytes: u64) -> Records<io::Take<R>> {
        Records { source: source.take(bytes), at: 0, ended: false }
    }

    fn record(&mut self) -> Result<Option<Record>, JournalError> {
        if self.at == 0 {
            let mut magic = [0; MAGIC.len()];
            match self.fill(&mut magic)? {
                0 => return Ok(None),
                read if read < magic.len() || magic != *MAGIC => return Err(JournalError::Kind),
                read => self.at = read as u64,
            }
        }
        let mut head = [0; RECORD_BYTES];
        let damaged = JournalError::Damaged { at: self.at };
        match self.fill(&mut head)? {
            0 => return Ok(None),
            read if read < head.len() => return Err(damaged),
            _ => {}
        }
        let (bytes, rest) = head.split_first_chunk::<4>().expect("20 bytes");
        let (arrived, sum) = rest.split_first_chunk::<8>().expect("16 bytes");
        let (bytes, arrived_ms) = (u32::from_be_bytes(*bytes) as usize, u64::from_be_bytes(*arrived));
        // Before room is made for it.
        if bytes > MAX_TRANSACTION_BYTES {
            return Err(damaged);
        }
        let mut raw = vec![0; bytes];
        if self.fill(&mut raw)? < bytes || checksum(arrived_ms, &raw) != *sum {
            return Err(damaged);
        }
        self.at += (RECORD_BYTES + bytes) as u64;
        Ok(Some(Record { arrived_ms, raw: raw.into() }))
    }

    /// Fills as much as the source has; how many bytes.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.source.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

impl<R: Read> Iterator for Records<R> {
    type Item = Result<Record, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.record().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::unsigned_transaction;

    /// A file of some transactions.
    fn file(count: u64) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        (0..count).for_each(|nonce| append(&mut bytes, 1_000 + nonce, &unsigned_transaction(nonce)));
        bytes
    }

    fn wanted(count: u64) -> Vec<Record> {
        let record =
            |nonce| Record { arrived_ms: 1_000 + nonce, raw: unsigned_transaction(nonce).encoded_2718().into() };
        (0..count).map(record).collect()
    }

    fn read(bytes: &[u8]) -> (Vec<Record>, Option<JournalError>) {
        let (mut records, mut error) = (Vec::new(), None);
        for record in Records::new(bytes, u64::MAX) {
            match record {
                Ok(record) => records.push(record),
                Err(it) => error = Some(it),
            }
        }
        (records, error)
    }

    #[test]
    fn what_was_written_is_read() {
        let (records, error) = read(&file(5));
        assert!(error.is_none(), "{error:?}");
        assert_eq!(records, wanted(5));
        assert!(matches!(read(&[]), (records, None) if records.is_empty()));
        assert!(matches!(read(b"something else that is there"), (_, Some(JournalError::Kind))));
    }

    #[test]
    fn a_file_that_a_crash_tore_at_any_byte_has_all_that_is_whole() {
        let whole = file(4);
        let ends: Vec<_> = (0..=4).map(|count| file(count).len()).collect();
        for length in 0..whole.len() {
            let (records, error) = read(&whole[..length]);
            let complete = ends.iter().filter(|end| **end <= length).count().saturating_sub(1);
            assert_eq!(records, wanted(complete as u64), "torn at {length}");
            assert_eq!(error.is_none(), length == 0 || ends.contains(&length), "torn at {length}: {error:?}");
        }
    }

    #[test]
    fn a_changed_bit_anywhere_loses_what_is_behind_it_and_invents_nothing() {
        let whole = file(4);
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1 << (at % 8);
            let (records, error) = read(&changed);
            assert_eq!(records, wanted(4)[..records.len()], "bit of byte {at}");
            assert!(records.len() < 4 && error.is_some(), "bit of byte {at}");
        }
    }

    #[test]
    fn a_length_that_no_transaction_has_makes_no_room_for_it() {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([0xff; RECORD_BYTES]);
        assert!(matches!(read(&bytes), (records, Some(JournalError::Damaged { at: 16 })) if records.is_empty()));
    }

    #[test]
    fn no_more_is_read_than_was_said() {
        let whole = file(100);
        let records =
            Records::new(&whole[..], 1_000).filter_map(Result::ok).map(|record| record.raw.len()).sum::<usize>();
        assert!((1..1_000).contains(&records), "{records}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300), known in any::<bool>()) {
            let bytes = if known { [MAGIC.as_slice(), &bytes].concat() } else { bytes };
            drop(read(&bytes));
        }
    }
}
