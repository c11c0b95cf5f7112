//! How records lie in a file: in frames, each written and synced as a whole before the next begins.
//!
//! ```text
//!   frame  = "PAY1" | bytes of payload: u32 | number: u64 | checksum: 8 bytes | payload
//!   payload = record | record | ...        record = bytes: u16 | bytes
//! ```
//! So a frame that is not whole can only be the last, and nothing in it was answered for: it is cut off. One that is followed by a whole frame with a later
//! number was damaged afterwards, and what it held is not given up in silence.

use alloy_primitives::keccak256;

use crate::bytes::{Reader, put};

pub const HEADER_BYTES: usize = 24;
const MAGIC: &[u8; 4] = b"PAY1";

/// Largest payload. Also the most that waits for the disk: 20,000 records, a quarter of a second of the greatest load that is aimed at.
pub const MAX_PAYLOAD_BYTES: usize = 4 << 20;

/// Largest record, with its length.
pub const MAX_RECORD_BYTES: usize = (1 << 16) + 2;

/// The start of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub payload_bytes: usize,
    pub number: u64,
    checksum: [u8; 8],
}

/// Adds a record to a payload. It is shorter than 64 KiB.
pub fn put_record(payload: &mut Vec<u8>, record: &[u8]) {
    let length = u16::try_from(record.len()).expect("our own records are shorter than 64 KiB");
    put(payload, &length.to_be_bytes());
    put(payload, record);
}

/// The records of a payload; none unless it is exactly records.
#[must_use]
pub fn records(payload: &[u8]) -> Option<Vec<&[u8]>> {
    let mut reader = Reader::new(payload);
    let mut records = Vec::new();
    while !reader.is_empty() {
        let length = reader.u16()?;
        records.push(reader.slice(length.into())?);
    }
    Some(records)
}

/// A frame.
#[must_use]
pub fn encode(number: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEADER_BYTES + payload.len());
    put(&mut frame, MAGIC);
    put(&mut frame, &u32::try_from(payload.len()).expect("payloads are a few MiB").to_be_bytes());
    put(&mut frame, &number.to_be_bytes());
    put(&mut frame, &checksum(number, payload));
    put(&mut frame, payload);
    frame
}

impl Header {
    /// None for bytes that are no start of a frame.
    #[must_use]
    pub fn of(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let magic = reader.slice(4)? == MAGIC;
        let payload_bytes = usize::try_from(u32::from_be_bytes(reader.array()?)).ok()?;
        let header = Self { payload_bytes, number: reader.u64()?, checksum: reader.array()? };
        (magic && payload_bytes <= MAX_PAYLOAD_BYTES).then_some(header)
    }

    /// Whether this is what was written.
    #[must_use]
    pub fn fits(&self, payload: &[u8]) -> bool {
        payload.len() == self.payload_bytes && checksum(self.number, payload) == self.checksum
    }
}

/// Whether anywhere in these bytes a whole frame with such a number or a later one begins.
#[must_use]
pub fn any_whole(bytes: &[u8], least: u64) -> bool {
    let starts = bytes.windows(HEADER_BYTES).enumerate().filter(|(_, window)| window.starts_with(MAGIC));
    starts.into_iter().any(|(at, window)| {
        let header = window.try_into().ok().and_then(Header::of);
        let rest = &bytes[at + HEADER_BYTES..];
        header.is_some_and(|header| {
            header.number >= least && rest.get(..header.payload_bytes).is_some_and(|payload| header.fits(payload))
        })
    })
}

fn checksum(number: u64, payload: &[u8]) -> [u8; 8] {
    let hash = keccak256([keccak256(payload).as_slice(), &number.to_be_bytes()].concat());
    hash[..8].try_into().expect("8 of 32 bytes")
}
