//! The bytes of gossip.
//!
//! ```text
//! batch  = item*          item = kind (1) | length (4, big endian) | body
//! kind 0   transaction    EIP-2718 encoding
//! kind 1   registration   recipient 20 | reclaim key 32 | max fee, sat 8 | epoch 4 | output key 32
//! kind 2   hello          hash of the genesis block 32; asks for the registrations that its sender missed while it was away
//! kind 3   paid           a registration, and the JSON of the proof of a payment to its address
//! ```

use std::{sync::Arc, time::Duration};

use alloy_primitives::{B256, Bytes};
use api::peg::PaymentProof;

use crate::{chain::Registration, io::node_state::Gossip, limits::MAX_TRANSACTION_BYTES};

/// Bytes of a batch, except for a transaction that is larger by itself. Fits one part of what the network carries.
pub(super) const MAX_BATCH_BYTES: usize = 60 << 10;

/// Bytes of a message that a peer may send.
pub(super) const MAX_MESSAGE_BYTES: usize = MAX_TRANSACTION_BYTES + HEAD_BYTES;

/// Bytes of a registration with the proof of a payment: the transaction is bounded, and its hex is twice as long.
pub(super) const MAX_PAID_BYTES: usize = 500_000;

/// Kind and length of an item.
const HEAD_BYTES: usize = 5;

/// Items that wait to be sent. One transaction of usual size is some hundred bytes.
pub(in crate::io) const QUEUE: usize = 8192;

/// Time between batches: collects what arrives under load, and keeps this node below the rate that its peers accept (3 MiB a
/// second are half of it).
pub(super) const BATCH_INTERVAL: Duration = Duration::from_millis(20);

/// One item of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Transaction(Bytes),
    Registration(Registration),
    /// With the proof of a payment.
    Paid(Registration, Arc<PaymentProof>),
    /// Hash of the sender's genesis block.
    Hello(B256),
    /// The sender's last block.
    Head(Head),
    /// What its clock shows: Unix time in milliseconds.
    Clock(u64),
}

/// What a validator says of its last block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// RLP.
    pub(super) header: Bytes,
    /// Empty for the genesis block, which needs none.
    pub(super) certificate: Bytes,
}

/// Bytes of a header and its certificate.
const MAX_HEAD_ITEM_BYTES: usize = 8 << 10;

impl From<Gossip> for Item {
    fn from(gossip: Gossip) -> Self {
        match gossip {
            Gossip::Transaction(raw) => Self::Transaction(raw),
            Gossip::Registration(registration, None) => Self::Registration(registration),
            Gossip::Registration(registration, Some(proof)) => Self::Paid(registration, proof),
        }
    }
}

impl Item {
    /// Appends the item to a batch.
    pub(super) fn encode(&self, batch: &mut Vec<u8>) {
        match self {
            Self::Transaction(raw) => append(batch, 0, raw),
            Self::Registration(registration) => append(batch, 1, &registration.to_bytes()),
            Self::Paid(registration, proof) => {
                let proof = serde_json::to_vec(&**proof).expect("hashes, numbers and bytes have a JSON");
                append(batch, 3, &[registration.to_bytes(), proof].concat());
            }
            Self::Hello(genesis) => append(batch, 2, genesis.as_slice()),
            Self::Clock(unix_ms) => append(batch, 5, &unix_ms.to_be_bytes()),
            Self::Head(Head { header, certificate }) => {
                let length = u16::try_from(header.len()).expect("a header is small").to_be_bytes();
                append(batch, 4, &[&length, header.as_ref(), certificate].concat());
            }
        }
    }

    fn decode(kind: u8, body: &[u8]) -> Option<Self> {
        match (kind, body.len()) {
            (0, 1..=MAX_TRANSACTION_BYTES) => Some(Self::Transaction(Bytes::copy_from_slice(body))),
            (1, _) => Registration::from_bytes(body).map(Self::Registration),
            (3, Registration::BYTES..=MAX_PAID_BYTES) => {
                let (registration, proof) = body.split_at(Registration::BYTES);
                let proof = serde_json::from_slice(proof).ok()?;
                Some(Self::Paid(Registration::from_bytes(registration)?, Arc::new(proof)))
            }
            (2, 32) => Some(Self::Hello(B256::from_slice(body))),
            (5, 8) => body.try_into().ok().map(u64::from_be_bytes).map(Self::Clock),
            (4, 2..=MAX_HEAD_ITEM_BYTES) => {
                let (length, rest) = body.split_first_chunk()?;
                let (header, certificate) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
                let [header, certificate] = [header, certificate].map(Bytes::copy_from_slice);
                Some(Self::Head(Head { header, certificate }))
            }
            _ => None,
        }
    }
}

fn append(batch: &mut Vec<u8>, kind: u8, body: &[u8]) {
    batch.push(kind);
    batch.extend_from_slice(&u32::try_from(body.len()).expect("transactions are bounded").to_be_bytes());
    batch.extend_from_slice(body);
}

/// Reads a batch; `None` when any byte of it is not as it should be.
pub(super) fn decode(mut bytes: &[u8]) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    while !bytes.is_empty() {
        let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
        let length = u32::from_be_bytes(head[1..].try_into().ok()?) as usize;
        let (body, rest) = rest.split_at_checked(length)?;
        items.push(Item::decode(head[0], body)?);
        bytes = rest;
    }
    Some(items)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::Address;
    use api::peg::Terms;

    use super::*;

    fn items() -> Vec<Item> {
        let terms = Terms {
            recipient: Address::repeat_byte(1),
            claimant: Address::repeat_byte(5),
            data_hash: B256::repeat_byte(6),
            reclaim_key: B256::repeat_byte(2),
            max_fee_sat: 3,
            epoch: 4,
        };
        let registration = Registration { terms, output_key: B256::repeat_byte(5) };
        vec![
            Item::Transaction(Bytes::from_static(&[2, 3, 4])),
            Item::Registration(registration),
            Item::Hello(B256::repeat_byte(6)),
            Item::Transaction(Bytes::from(vec![7; 1000])),
            Item::Head(Head { header: Bytes::from(vec![8; 600]), certificate: Bytes::from(vec![9; 120]) }),
            Item::Head(Head { header: Bytes::from(vec![8; 600]), certificate: Bytes::new() }),
            Item::Clock(u64::MAX),
        ]
    }

    #[test]
    fn batches_are_read_as_written() {
        let mut batch = Vec::new();
        items().iter().for_each(|item| item.encode(&mut batch));
        assert_eq!(decode(&batch), Some(items()));
        assert_eq!(decode(&[]), Some(Vec::new()));
    }

    #[test]
    fn a_registration_is_sent_as_exactly_these_bytes() {
        let mut batch = Vec::new();
        items()[1].encode(&mut batch);
        let (fee, epoch) = ([0, 0, 0, 0, 0, 0, 0, 3], [0, 0, 0, 4]);
        let wanted = [&[1, 0, 0, 0, 148][..], &[1; 20], &[5; 20], &[2; 32], &fee, &[6; 32], &epoch, &[5; 32]];
        assert_eq!(batch, wanted.concat());
    }

    #[test]
    fn anything_else_is_refused() {
        let mut batch = Vec::new();
        items().iter().for_each(|item| item.encode(&mut batch));
        assert_eq!(decode(&batch[..batch.len() - 1]), None, "cut off");
        assert_eq!(decode(&[0, 0, 0, 0, 0]), None, "empty transaction");
        assert_eq!(decode(&[1, 0, 0, 0, 1, 9]), None, "short registration");
        assert_eq!(decode(&[9, 0, 0, 0, 0]), None, "unknown kind");
        assert_eq!(decode(&[4, 0, 0, 0, 3, 0, 2, 1]), None, "a header beyond the end");
        assert_eq!(decode(&[4, 0, 0, 0, 1, 0]), None, "no length of a header");
        assert_eq!(decode(&[0, 0xff, 0xff, 0xff, 0xff, 1]), None, "length beyond the end");
    }

    #[test]
    fn any_bytes_are_read_or_refused() {
        let mut batch = Vec::new();
        items().iter().for_each(|item| item.encode(&mut batch));
        for at in 0..batch.len() {
            for byte in [0, 1, 2, 3, 0x7f, 0x80, 0xff] {
                let mut damaged = batch.clone();
                damaged[at] = byte;
                let read = decode(&damaged).unwrap_or_default();
                assert!(read.len() <= batch.len() / HEAD_BYTES);
                decode(&damaged[..at]);
            }
        }
        for fill in [0, 1, 2, 0xff] {
            assert!(decode(&vec![fill; MAX_MESSAGE_BYTES]).unwrap_or_default().len() <= MAX_MESSAGE_BYTES / HEAD_BYTES);
        }
    }
}
