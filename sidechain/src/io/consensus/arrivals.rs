//! Blocks that arrived from other validators, and who asked for which: nothing is read that nobody asked for.

use std::collections::{BTreeMap, VecDeque};

use alloy_primitives::{B256, keccak256};
use commonware_codec::EncodeSize as _;
use commonware_cryptography::{Digested, Digestible as _, ed25519::PublicKey};
use commonware_runtime::IoBuf;
use commonware_utils::channel::oneshot;

use super::payload::{LENGTH_BYTES, MAX_PAYLOAD_BYTES, Payload};

/// Blocks of each sender that are kept, the newest: its own, and those of others that it passed on to who missed them.
const KEPT_BLOCKS: usize = 16;

/// Bytes of the blocks that are kept of one sender: a few of the largest.
pub(super) const KEPT_BYTES: usize = 4 * MAX_PAYLOAD_BYTES;

/// Bytes of an encoded header: twice what one has with all numbers at their greatest.
const MAX_HEADER_BYTES: usize = 2 << 10;

/// What an honest validator never sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotABlock;

/// Who waits for one block.
#[derive(Default)]
struct Waiting {
    now: Vec<oneshot::Sender<Option<Digested<Payload>>>>,
    later: Vec<oneshot::Sender<Digested<Payload>>>,
    is_read: bool,
}

/// Blocks that arrived, and who waits for one.
#[derive(Default)]
pub(super) struct Arrivals {
    kept: Kept,
    waiting: BTreeMap<B256, Waiting>,
    /// Blocks that are asked for, and whose turn to be read has not come.
    unread: VecDeque<B256>,
}

impl Arrivals {
    /// Keeps the bytes of a block.
    ///
    /// # Errors
    ///
    /// `NotABlock`: its sender is at fault.
    pub(super) fn arrive(&mut self, peer: PublicKey, bytes: IoBuf) -> Result<(), NotABlock> {
        let hash = header_hash(bytes.as_ref()).ok_or(NotABlock)?;
        if self.kept.put(peer, hash, bytes) {
            self.want(hash);
        }
        Ok(())
    }

    /// Answers with a block that is here; with `None` when it is not.
    pub(super) fn find(&mut self, hash: B256, answer: oneshot::Sender<Option<Digested<Payload>>>) {
        match self.kept.read(hash) {
            // Whoever is gone needs no answer; here and below.
            Some(block) => drop(answer.send(Some(block))),
            None if self.kept.has_unread(hash) => {
                self.waiting.entry(hash).or_default().now.push(answer);
                self.want(hash);
            }
            None => drop(answer.send(None)),
        }
    }

    /// Answers with a block that is here, or as soon as it is.
    pub(super) fn wait(&mut self, hash: B256, answer: oneshot::Sender<Digested<Payload>>) {
        match self.kept.read(hash) {
            Some(block) => drop(answer.send(block)),
            None => {
                self.waiting.entry(hash).or_default().later.push(answer);
                self.want(hash);
            }
        }
    }

    /// The next block to be read, if any was asked for. [`Self::take`] or [`Self::refuse`] follows.
    pub(super) fn next_to_read(&mut self) -> Option<(B256, PublicKey, IoBuf)> {
        loop {
            let hash = self.unread.pop_front()?;
            if let Some((peer, bytes)) = self.kept.take(hash) {
                return Some((hash, peer, bytes));
            }
            self.refuse(hash);
        }
    }

    /// A block was read, or made here: whoever waits for it has it.
    pub(super) fn take(&mut self, block: Digested<Payload>) {
        if let Some(waiting) = self.waiting.remove(&B256::new(block.digest().0)) {
            waiting.now.into_iter().for_each(|answer| drop(answer.send(Some(block.clone()))));
            waiting.later.into_iter().for_each(|answer| drop(answer.send(block.clone())));
        }
        self.kept.put_read(block);
    }

    /// What one validator sent is not the block: what another sent may be.
    pub(super) fn refuse(&mut self, hash: B256) {
        let Some(waiting) = self.waiting.get_mut(&hash) else { return };
        waiting.is_read = false;
        if !self.kept.has_unread(hash) {
            waiting.now.drain(..).for_each(|answer| drop(answer.send(None)));
        }
        self.want(hash);
    }

    pub(super) fn forget_who_left(&mut self) {
        self.waiting.retain(|_, waiting| {
            waiting.now.retain(|answer| !answer.is_closed());
            waiting.later.retain(|answer| !answer.is_closed());
            waiting.is_read || !(waiting.now.is_empty() && waiting.later.is_empty())
        });
    }

    /// Has a block read, if anybody waits for it and it has arrived.
    fn want(&mut self, hash: B256) {
        let Some(waiting) = self.waiting.get_mut(&hash) else { return };
        if !waiting.is_read && self.kept.has_unread(hash) {
            waiting.is_read = true;
            self.unread.push_back(hash);
        }
    }
}

/// Hash of the header that an encoded block begins with; `None` for what no honest validator sends.
fn header_hash(bytes: &[u8]) -> Option<B256> {
    if bytes.len() > MAX_PAYLOAD_BYTES {
        return None;
    }
    let mut rest = bytes.get(LENGTH_BYTES..)?;
    let block = alloy_rlp::Header::decode_bytes(&mut rest, true).ok()?;
    let mut body = block;
    alloy_rlp::Header::decode_bytes(&mut body, true).ok()?;
    let header = &block[..block.len() - body.len()];
    (header.len() <= MAX_HEADER_BYTES).then(|| keccak256(header))
}

/// Blocks that arrived, as few as are needed.
#[derive(Default)]
struct Kept {
    /// As they were sent, by sender, newest last.
    unread: BTreeMap<PublicKey, VecDeque<(B256, IoBuf)>>,
    /// Those that were asked for, newest last.
    read: VecDeque<Digested<Payload>>,
}

impl Kept {
    /// Keeps the bytes of a block, unless it is known. Returns whether it is new from this sender.
    fn put(&mut self, peer: PublicKey, hash: B256, bytes: IoBuf) -> bool {
        if self.read.iter().any(|block| block.digest().0 == hash.0) {
            return false;
        }
        let of_peer = self.unread.entry(peer).or_default();
        if of_peer.iter().any(|(known, _)| *known == hash) {
            return false;
        }
        of_peer.push_back((hash, bytes));
        while of_peer.len() > KEPT_BLOCKS || of_peer.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > KEPT_BYTES {
            of_peer.pop_front();
        }
        true
    }

    /// A block that was read.
    fn read(&self, hash: B256) -> Option<Digested<Payload>> {
        self.read.iter().find(|block| block.digest().0 == hash.0).cloned()
    }

    fn has_unread(&self, hash: B256) -> bool {
        self.unread.values().flatten().any(|(known, _)| *known == hash)
    }

    /// Takes the bytes of a block from one of those who sent it.
    fn take(&mut self, hash: B256) -> Option<(PublicKey, IoBuf)> {
        self.unread.iter_mut().find_map(|(peer, blocks)| {
            let index = blocks.iter().position(|(known, _)| *known == hash)?;
            blocks.remove(index).map(|(_, bytes)| (peer.clone(), bytes))
        })
    }

    /// Keeps a block that was read, and no longer what others sent of it.
    fn put_read(&mut self, block: Digested<Payload>) {
        let hash = B256::new(block.digest().0);
        self.unread.values_mut().for_each(|blocks| blocks.retain(|(known, _)| *known != hash));
        self.read.retain(|known| known.digest() != block.digest());
        self.read.push_back(block);
        let bytes =
            |read: &VecDeque<Digested<Payload>>| -> usize { read.iter().map(|block| block.encode_size()).sum() };
        while self.read.len() > KEPT_BLOCKS || bytes(&self.read) > KEPT_BYTES {
            self.read.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::Header;
    use alloy_consensus::proofs::calculate_transaction_root;
    use alloy_primitives::Bytes;
    use alloy_rlp::Encodable as _;
    use commonware_codec::{DecodeExt as _, Encode as _};
    use commonware_cryptography::{Signer as _, ed25519::PrivateKey};

    use super::*;
    use crate::{block::Block, testing::unsigned_transaction};

    fn peer(seed: u64) -> PublicKey {
        PrivateKey::from_seed(seed).public_key()
    }

    fn block(number: u64, transactions: u64) -> Block {
        let transactions: Vec<_> = (0..transactions).map(unsigned_transaction).collect();
        let transactions_root = calculate_transaction_root(&transactions);
        Block { header: Header { number, transactions_root, ..Header::default() }, transactions }
    }

    fn bytes(block: &Block) -> IoBuf {
        Payload::new(block.clone()).encode().into()
    }

    /// A header with a body that is none, nearly as large as a message can be.
    fn padded(number: u64) -> IoBuf {
        let mut payload = Vec::new();
        Header { number, ..Header::default() }.encode(&mut payload);
        alloy_rlp::Header { list: true, payload_length: MAX_PAYLOAD_BYTES - 2000 }.encode(&mut payload);
        payload.resize(payload.len() + MAX_PAYLOAD_BYTES - 2000, 7);
        framed(payload)
    }

    /// Length and RLP of a block's header and body.
    fn framed(payload: Vec<u8>) -> IoBuf {
        let mut rlp = Vec::new();
        alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut rlp);
        rlp.extend(payload);
        IoBuf::from([&u32::try_from(rlp.len()).expect("a few MiB").to_be_bytes()[..], &rlp].concat())
    }

    fn read(block: &Block) -> Digested<Payload> {
        let payload = Payload::new(block.clone());
        let digest = payload.digest();
        Digested::precomputed(payload, digest)
    }

    #[test]
    fn a_validator_that_floods_has_no_body_read_and_a_few_blocks_kept() {
        let mut arrivals = Arrivals::default();
        let large = padded(0);
        for number in 0..60 {
            arrivals.arrive(peer(1), padded(number)).expect("a header");
            arrivals.arrive(peer(2), bytes(&block(1000 + number, 1))).expect("a header");
        }
        assert!(arrivals.next_to_read().is_none(), "nobody asked");
        let kept: usize = arrivals.kept.unread.values().flatten().map(|(_, bytes)| bytes.len()).sum();
        assert!(kept <= 2 * KEPT_BYTES && kept > 3 * large.len(), "{kept}");
        assert!(arrivals.kept.unread.values().all(|blocks| blocks.len() <= KEPT_BLOCKS));
        // What the other sent was not driven out.
        let (answer, mut found) = oneshot::channel();
        arrivals.wait(block(1059, 1).hash(), answer);
        let (hash, from, bytes) = arrivals.next_to_read().expect("asked for, and here");
        assert_eq!((hash, from), (block(1059, 1).hash(), peer(2)));
        assert!(arrivals.next_to_read().is_none(), "once");
        let payload = Payload::decode(bytes).expect("a block");
        assert_eq!(payload.hash(), hash);
        arrivals.take(read(payload.block()));
        assert_eq!(found.try_recv().expect("answered").digest().0, hash.0);
    }

    #[test]
    fn a_block_is_read_from_another_when_the_first_sent_a_wrong_body() {
        let (right, mut wrong) = (block(5, 3), block(5, 3));
        wrong.transactions.pop();
        let mut arrivals = Arrivals::default();
        let (answer, mut found) = oneshot::channel();
        arrivals.wait(right.hash(), answer);
        assert!(arrivals.next_to_read().is_none(), "not here yet");
        arrivals.arrive(peer(1), bytes(&wrong)).expect("a header");
        arrivals.arrive(peer(2), bytes(&right)).expect("a header");
        let mut refused = 0;
        while let Some((hash, from, bytes)) = arrivals.next_to_read() {
            match Payload::decode(bytes) {
                Ok(payload) => arrivals.take(read(payload.block())),
                Err(_) => {
                    assert_eq!(from, peer(1));
                    refused += 1;
                    arrivals.refuse(hash);
                }
            }
        }
        assert!(refused <= 1);
        assert_eq!(found.try_recv().expect("answered").inner().block().as_ref(), &right);
        // Read once: whoever asks later has it at once, and what still arrives of it is not kept.
        arrivals.arrive(peer(3), bytes(&wrong)).expect("a header");
        let (answer, mut found) = oneshot::channel();
        arrivals.find(right.hash(), answer);
        assert!(found.try_recv().expect("answered").is_some());
        assert!(arrivals.next_to_read().is_none());
    }

    #[test]
    fn who_asks_for_what_is_not_here_hears_so() {
        let mut arrivals = Arrivals::default();
        let (answer, mut found) = oneshot::channel();
        arrivals.find(B256::ZERO, answer);
        assert!(found.try_recv().expect("answered").is_none());
        // Somebody's wrong body was all there was.
        let mut wrong = block(5, 3);
        wrong.transactions.pop();
        arrivals.arrive(peer(1), bytes(&wrong)).expect("a header");
        let (answer, mut found) = oneshot::channel();
        arrivals.find(wrong.hash(), answer);
        let (hash, ..) = arrivals.next_to_read().expect("here");
        arrivals.refuse(hash);
        assert!(found.try_recv().expect("answered").is_none());
        let (answer, gone) = oneshot::channel();
        arrivals.wait(B256::ZERO, answer);
        drop(gone);
        arrivals.forget_who_left();
        assert!(arrivals.waiting.is_empty());
    }

    #[test]
    fn a_header_is_hashed_only_when_it_can_be_one() {
        let mut payload = Vec::new();
        Header { extra_data: Bytes::from(vec![7; MAX_HEADER_BYTES]), ..Header::default() }.encode(&mut payload);
        payload.push(0xc0);
        assert_eq!(Arrivals::default().arrive(peer(1), framed(payload)), Err(NotABlock));
    }

    #[test]
    fn bytes_that_no_honest_validator_sends_are_refused() {
        let whole = bytes(&block(1, 2));
        for cut in [0, 1, 3, 4, 5, 6, 7, 100, 500] {
            assert_eq!(Arrivals::default().arrive(peer(1), whole.slice(..cut)), Err(NotABlock), "{cut}");
        }
        for fill in [0, 0x7f, 0x80, 0xb8, 0xbf, 0xc0, 0xf8, 0xff] {
            for length in [0, 1, 4, 5, 8, 9, 12, 13, 1000] {
                assert_eq!(Arrivals::default().arrive(peer(1), IoBuf::from(vec![fill; length])), Err(NotABlock));
            }
        }
    }
}
