//! A block as the engine sees it: something with a height, a parent, a digest and an encoding.

use std::sync::Arc;

use alloy_primitives::B256;
use alloy_rlp::{Decodable as _, Encodable as _};
use commonware_codec::{Buf, EncodeSize, Error, Read, Write};
use commonware_consensus::{Block as EngineBlock, Heightable, types::Height};
use commonware_cryptography::{Digestible, keccak256::Digest};
use commonware_runtime::BufMut;

use crate::block::Block;
use crate::limits::MAX_BLOCK_BYTES;

/// Bytes of an encoded block: its transactions, up to four bytes of RLP for each of them (fewer than 60,000 fit), and a header.
pub(super) const MAX_PAYLOAD_BYTES: usize = MAX_BLOCK_BYTES + (256 << 10);

/// Bytes of the length that an encoded block begins with.
pub(super) const LENGTH_BYTES: usize = 4;

/// A block with its hash and RLP, computed once. On the wire: length (4, big endian), RLP.
#[derive(Clone, Debug)]
pub(super) struct Payload {
    block: Arc<Block>,
    hash: B256,
    rlp: Arc<[u8]>,
}

impl Payload {
    pub(super) fn new(block: Block) -> Self {
        let mut rlp = Vec::with_capacity(block.length());
        block.encode(&mut rlp);
        Self { hash: block.hash(), block: Arc::new(block), rlp: rlp.into() }
    }

    pub(super) fn block(&self) -> &Arc<Block> {
        &self.block
    }

    pub(super) fn rlp(&self) -> &[u8] {
        &self.rlp
    }

    pub(super) const fn hash(&self) -> B256 {
        self.hash
    }

    /// Reads a block from bytes that anyone can have sent.
    ///
    /// The digest covers the header alone; `Block` decodes only with the body that its header names, so no two payloads with
    /// the same digest differ. Nor may one block have two encodings.
    fn from_rlp(rlp: &[u8]) -> Result<Self, Error> {
        let invalid = |what| Error::Invalid("sidechain block", what);
        let mut rest = rlp;
        let block = Block::decode(&mut rest).map_err(|_| invalid("not a block"))?;
        let payload = Self::new(block);
        if *payload.rlp != *rlp {
            return Err(invalid("not the canonical encoding"));
        }
        Ok(payload)
    }
}

impl Write for Payload {
    fn write(&self, buf: &mut impl BufMut) {
        let length = u32::try_from(self.rlp.len()).expect("blocks are smaller than MAX_PAYLOAD_BYTES");
        buf.put_u32(length);
        buf.put_slice(&self.rlp);
    }
}

impl EncodeSize for Payload {
    fn encode_size(&self) -> usize {
        4 + self.rlp.len()
    }
}

impl Read for Payload {
    type Cfg = ();

    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, Error> {
        let length = buf.try_get_u32().map_err(|_| Error::EndOfBuffer)? as usize;
        if length > MAX_PAYLOAD_BYTES {
            return Err(Error::InvalidLength(length));
        }
        if buf.remaining() < length {
            return Err(Error::EndOfBuffer);
        }
        Self::from_rlp(&buf.copy_to_bytes(length))
    }
}

impl Digestible for Payload {
    type Digest = Digest;

    fn digest(&self) -> Digest {
        Digest(self.hash.0)
    }
}

impl Heightable for Payload {
    fn height(&self) -> Height {
        Height::new(self.block.header.number)
    }
}

impl EngineBlock for Payload {
    fn parent(&self) -> Digest {
        Digest(self.block.header.parent_hash.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::unsigned_transaction;
    use alloy_consensus::{Header, constants::EMPTY_ROOT_HASH, proofs::calculate_transaction_root};
    use commonware_codec::{Copying, DecodeExt as _, Encode as _};

    fn block(transactions: usize) -> Block {
        let transactions: Vec<_> = (0..transactions as u64).map(unsigned_transaction).collect();
        let transactions_root = calculate_transaction_root(&transactions);
        Block { header: Header { number: 7, transactions_root, ..Header::default() }, transactions }
    }

    #[test]
    fn blocks_are_read_as_written() {
        for count in [0, 3] {
            let payload = Payload::new(block(count));
            let read = Payload::decode(payload.encode()).expect("just encoded");
            assert_eq!(read.block(), payload.block());
            assert_eq!(read.digest().0, block(count).hash().0);
        }
        assert_eq!(block(0).header.transactions_root, EMPTY_ROOT_HASH);
    }

    #[test]
    fn a_body_of_another_header_is_refused() {
        let mut swapped = block(3);
        swapped.transactions.pop();
        assert!(Payload::decode(Payload::new(swapped).encode()).is_err());
    }

    #[test]
    fn trailing_and_missing_bytes_are_refused() {
        let encoded = Payload::new(block(1)).encode().to_vec();
        let mut longer = encoded.clone();
        longer[3] += 1; // length
        longer.push(0);
        assert!(Payload::decode(Copying(&longer)).is_err());
        assert!(Payload::decode(Copying(&encoded[..encoded.len() - 1])).is_err());
    }
}
