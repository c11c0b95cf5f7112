//! Bytes: sizes of keys and signatures, numbers, and messages behind their namespace.

use super::error::FinalityError;

/// Bytes of a validator's BLS public key (compressed point of G2).
pub const PUBLIC_KEY_BYTES: usize = 96;

/// Bytes of a BLS signature (compressed point of G1).
pub const SIGNATURE_BYTES: usize = 48;

/// `message` behind its namespace, whose length comes first so that no two pairs give the same bytes.
pub(super) fn framed(namespace: &[u8], suffix: &[&[u8]], message: &[u8]) -> Vec<u8> {
    let namespace = [&[namespace], suffix].concat().concat();
    let mut bytes = Vec::with_capacity(namespace.len() + message.len() + 2);
    write_varint(namespace.len() as u64, &mut bytes);
    bytes.extend_from_slice(&namespace);
    bytes.extend_from_slice(message);
    bytes
}

/// LEB128, as in Protocol Buffers.
pub(super) fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads from the front of a certificate.
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], FinalityError> {
        let end = self.at + count;
        let part = self.bytes.get(self.at..end).ok_or(FinalityError::Truncated { got: self.bytes.len() })?;
        self.at = end;
        Ok(part)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], FinalityError> {
        Ok(self.take(N)?.try_into().expect("take returns as many bytes as asked for"))
    }

    pub(super) fn varint(&mut self) -> Result<u64, FinalityError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array::<1>()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte holds one bit; a last byte of zero would be a longer form of a shorter number.
            if (shift == 63 && bits > 1) || (shift > 0 && byte == 0) {
                return Err(FinalityError::BadVarint);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(FinalityError::BadVarint)
    }
}
