//! Blocks in which an address may have been paid before this relayer looked for it: it was down, or the registration came later.
//!
//! ```text
//!   <- at most MOST_BLOCKS, as far as a deposit may still be swept ->
//!   oldest <--- read downwards, some a round --- start - ... - tip
//!           a filter (BIP 158) where bitcoind has one,       each block that is connected
//!           else the block itself
//! ```
//! Of each block it keeps a digest, some ten kilobytes, that tells whether an address may be paid in it. A new address costs one
//! look into each digest, in memory; blocks that may pay it are read (again), and what is found there is asked for by its outpoint.
//! So bitcoind never has to go through all unspent outputs, and needs neither an index nor old blocks.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use bitcoin::hashes::{Hash, siphash24};
use bitcoin::{Block, BlockHash, Script};
use mainchain::header::Height;

use super::deposit_tracker::Position;

/// Most blocks that are looked back: a week. With its digest of about 24 kB, that is some 25 MB on mainnet. Of payments before that to
/// an address that was registered later, the outpoint has to be shown.
pub const MOST_BLOCKS: u32 = 1_008;

/// Blocks of which filters are asked for at once.
pub const FILTERS_AT_ONCE: u32 = 25;

/// BIP 158, basic filters: bits of a remainder, and the inverse of the rate of false alarms.
const FILTER_BITS: u32 = 19;
const FILTER_RANGE: u64 = 784_931;

/// Whether an address may be paid in a block. Never says no wrongly, and yes seldom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Digest {
    /// The first eight bytes of the keys of all taproot outputs, sorted.
    Keys(Vec<u64>),
    /// The hashes of all scripts, sorted, as the block's filter has them.
    Filter { keys: (u64, u64), range: u64, hashes: Vec<u64> },
}

/// The blocks looked back on.
#[derive(Clone, Debug)]
pub struct Past {
    depth: u32,
    /// Oldest first, without a gap.
    blocks: VecDeque<(Position, Digest)>,
    /// No older ones are wanted, or can be had.
    is_complete: bool,
    /// The blocks that may pay an address, not read yet.
    matching: BTreeMap<Height, BlockHash>,
}

impl Digest {
    #[must_use]
    pub fn of(block: &Block) -> Self {
        let outputs = block.txdata.iter().flat_map(|transaction| &transaction.output);
        let mut keys: Vec<u64> = outputs.filter_map(|output| taproot_prefix(&output.script_pubkey)).collect();
        keys.sort_unstable();
        keys.dedup();
        Self::Keys(keys)
    }

    /// Of a block's basic filter (BIP 158); none when it is not one.
    #[must_use]
    pub fn of_filter(block: BlockHash, filter: &[u8]) -> Option<Self> {
        let bytes = block.to_byte_array();
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
        let mut bits = Bits { bytes: filter, at: 0 };
        let count = bits.compact_size()?;
        // Each takes at least one more bit than its remainder has.
        if count > filter.len() as u64 * 8 / u64::from(FILTER_BITS) {
            return None;
        }
        let (mut hashes, mut last) = (Vec::with_capacity(usize::try_from(count).ok()?), 0u64);
        for _ in 0..count {
            last = last.checked_add(bits.golomb()?)?;
            hashes.push(last);
        }
        Some(Self::Filter { keys: (word(0), word(8)), range: count.checked_mul(FILTER_RANGE)?, hashes })
    }

    #[must_use]
    pub fn may_pay(&self, script: &Script) -> bool {
        match self {
            Self::Keys(keys) => taproot_prefix(script).is_some_and(|key| keys.binary_search(&key).is_ok()),
            Self::Filter { keys: (k0, k1), range, hashes } => {
                let hash = siphash24::Hash::hash_to_u64_with_keys(*k0, *k1, script.as_bytes());
                let mapped = (u128::from(hash) * u128::from(*range)) >> 64;
                u64::try_from(mapped).is_ok_and(|mapped| hashes.binary_search(&mapped).is_ok())
            }
        }
    }
}

impl Past {
    /// `depth` is how many blocks back a deposit may be and still be swept.
    #[must_use]
    pub fn new(depth: u32) -> Self {
        Self { depth: depth.min(MOST_BLOCKS), blocks: VecDeque::new(), is_complete: false, matching: BTreeMap::new() }
    }

    /// Forgets all, and begins below a block that others follow from.
    pub fn restart(&mut self) {
        *self = Self::new(self.depth);
    }

    /// The best chain has grown by a block.
    pub fn connected(&mut self, block: Position, digest: Digest) {
        self.blocks.push_back((block, digest));
        self.drop_too_old();
    }

    /// The last block has left the best chain.
    pub fn disconnected(&mut self) {
        if let Some((block, _)) = self.blocks.pop_back() {
            self.matching.remove(&block.height);
        }
    }

    /// The heights of the blocks to read next, below those that are known; empty when there is nothing to read. `tip` is the last
    /// block that is followed.
    #[must_use]
    pub fn wanted(&self, tip: Height) -> Range<Height> {
        let oldest = self.blocks.front().map_or(tip + 1, |(block, _)| block.height);
        let least = (tip + 1).saturating_sub(self.depth).max(1);
        if self.is_complete || oldest <= least {
            return oldest..oldest;
        }
        oldest.saturating_sub(FILTERS_AT_ONCE).max(least)..oldest
    }

    /// Takes in an older block: the one below those that are known. Says whether it is that one; `scripts` are looked for in it.
    pub fn looked<'a>(&mut self, block: Position, digest: Digest, scripts: impl Iterator<Item = &'a Script>) -> bool {
        if self.blocks.front().is_some_and(|(oldest, _)| oldest.height != block.height + 1) {
            return false;
        }
        self.match_block(block, &digest, scripts);
        self.blocks.push_front((block, digest));
        true
    }

    /// Older blocks cannot be had.
    pub fn no_older(&mut self) {
        self.is_complete = true;
    }

    /// How many of the blocks that it wants to look back on are not there, for good; none when nothing is lacking.
    #[must_use]
    pub fn lacks(&self, tip: Height) -> Option<Range<Height>> {
        let oldest = self.blocks.front().map_or(tip + 1, |(block, _)| block.height);
        let least = (tip + 1).saturating_sub(self.depth).max(1);
        (self.is_complete && oldest > least).then_some(least..oldest)
    }

    /// Looks for the payments of the past to a new address.
    pub fn look_for(&mut self, script: &Script) {
        let matching = self.blocks.iter().filter(|(_, digest)| digest.may_pay(script));
        self.matching.extend(matching.map(|(block, _)| (block.height, block.hash)));
    }

    /// The block to read next for a payment that may be in it.
    #[must_use]
    pub fn next_match(&self) -> Option<Position> {
        self.matching.first_key_value().map(|(height, hash)| Position { height: *height, hash: *hash })
    }

    /// That block was read, or cannot be.
    pub fn matched(&mut self, height: Height) {
        self.matching.remove(&height);
    }

    fn match_block<'a>(&mut self, block: Position, digest: &Digest, mut scripts: impl Iterator<Item = &'a Script>) {
        if scripts.any(|script| digest.may_pay(script)) {
            self.matching.insert(block.height, block.hash);
        }
    }

    fn drop_too_old(&mut self) {
        while self.blocks.len() > self.depth as usize {
            if let Some((block, _)) = self.blocks.pop_front() {
                self.matching.remove(&block.height);
            }
        }
    }
}

/// The first eight bytes of a taproot output's key: as random as it is.
fn taproot_prefix(script: &Script) -> Option<u64> {
    let key = script.as_bytes().strip_prefix(&[0x51, 0x20])?;
    (key.len() == 32).then(|| u64::from_be_bytes(key[..8].try_into().expect("eight bytes")))
}

/// A filter, bit by bit.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn bit(&mut self) -> Option<u64> {
        let byte = *self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit.into())
    }

    fn bits(&mut self, count: u32) -> Option<u64> {
        (0..count).try_fold(0, |value, _| Some(value << 1 | self.bit()?))
    }

    /// A quotient in ones, a zero, and the remainder.
    fn golomb(&mut self) -> Option<u64> {
        let mut quotient = 0u64;
        while self.bit()? == 1 {
            quotient += 1;
        }
        Some(quotient << FILTER_BITS | self.bits(FILTER_BITS)?)
    }

    /// Bitcoin's CompactSize, at the beginning.
    fn compact_size(&mut self) -> Option<u64> {
        let (first, rest) = self.bytes.split_first()?;
        let length = match first {
            0xff => 8,
            0xfe => 4,
            0xfd => 2,
            _ => 0,
        };
        let mut little_endian = [0; 8];
        little_endian[..length].copy_from_slice(rest.get(..length)?);
        self.at = 8 * (1 + length);
        Some(if length == 0 { u64::from(*first) } else { u64::from_le_bytes(little_endian) })
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::absolute::LockTime;
    use bitcoin::bip158::BlockFilter;
    use bitcoin::block::{Header, Version};
    use bitcoin::{Amount, CompactTarget, ScriptBuf, Transaction, TxMerkleNode, TxOut, transaction};
    use proptest::prelude::*;

    use super::*;
    use crate::relay::example::position;

    fn script(number: u32) -> ScriptBuf {
        let key = bitcoin::hashes::sha256::Hash::hash(&number.to_be_bytes()).to_byte_array();
        ScriptBuf::from_bytes([&[0x51, 0x20], &key[..]].concat())
    }

    fn block(scripts: &[ScriptBuf]) -> Block {
        let header = Header {
            version: Version::ONE,
            prev_blockhash: BlockHash::all_zeros(),
            merkle_root: TxMerkleNode::all_zeros(),
            time: u32::try_from(scripts.len()).expect("few"),
            bits: CompactTarget::from_consensus(0x207f_ffff),
            nonce: 0,
        };
        let output = |script_pubkey: &ScriptBuf| TxOut { value: Amount::ONE_SAT, script_pubkey: script_pubkey.clone() };
        let payment = Transaction {
            version: transaction::Version::TWO,
            lock_time: LockTime::ZERO,
            input: Vec::new(),
            output: scripts.iter().map(output).collect(),
        };
        Block { header, txdata: vec![payment] }
    }

    proptest! {
        // The filter is rust-bitcoin's, so the decoder is checked against another encoder.
        #[test]
        fn neither_digest_overlooks_a_payment_and_both_tell_blocks_apart(paid in prop::collection::btree_set(0u32..5_000, 0..400)) {
            let scripts: Vec<ScriptBuf> = paid.iter().map(|number| script(*number)).collect();
            let block = block(&scripts);
            let filter = BlockFilter::new_script_filter(&block, |_| Ok(ScriptBuf::new())).expect("no inputs");
            let from_filter = Digest::of_filter(block.block_hash(), &filter.content).expect("a filter");
            for digest in [&Digest::of(&block), &from_filter] {
                prop_assert!(scripts.iter().all(|script| digest.may_pay(script)));
                let alarms = (10_000..11_000).filter(|number| digest.may_pay(&script(*number))).count();
                prop_assert!(alarms <= 2, "{} false alarms in a thousand", alarms);
            }
        }

        #[test]
        fn no_filter_that_bitcoind_may_send_breaks_the_decoder(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Digest::of_filter(BlockHash::all_zeros(), &bytes);
        }
    }

    /// Reads down from `tip`, paying `script(height)` in each block.
    fn look_back(past: &mut Past, tip: Height, wanted: &[ScriptBuf]) -> u32 {
        let mut rounds = 0;
        loop {
            let heights = past.wanted(tip);
            if heights.is_empty() {
                return rounds;
            }
            rounds += 1;
            for height in heights.rev() {
                let digest = Digest::of(&block(&[script(height)]));
                assert!(past.looked(position(height), digest, wanted.iter().map(ScriptBuf::as_script)));
            }
        }
    }

    fn matches(past: &mut Past) -> Vec<Height> {
        std::iter::from_fn(|| {
            let block = past.next_match()?;
            past.matched(block.height);
            Some(block.height)
        })
        .collect()
    }

    // 901 - ... - 1000 is looked back on; 950 pays an address that is known by then, 960 one that comes later
    #[test]
    fn a_payment_of_the_past_is_found_whether_its_address_comes_before_the_block_or_after() {
        let mut past = Past::new(100);
        let rounds = look_back(&mut past, 1_000, &[script(950), script(900)]);
        assert_eq!(rounds, 100 / FILTERS_AT_ONCE);
        assert_eq!(matches(&mut past), [950], "900 is too long ago");
        past.look_for(&script(960));
        assert_eq!(matches(&mut past), [960]);
        past.connected(position(1_001), Digest::of(&block(&[script(1_001)])));
        past.look_for(&script(1_001));
        past.disconnected();
        assert_eq!(matches(&mut past), [] as [Height; 0], "its block has left the best chain");
        assert_eq!(past.lacks(1_000), None);
    }

    #[test]
    fn a_short_chain_is_looked_through_to_its_first_block_and_what_cannot_be_had_is_told() {
        let mut past = Past::new(100);
        look_back(&mut past, 30, &[]);
        assert_eq!((past.blocks.len(), past.lacks(30)), (30, None), "nobody is paid in the genesis block");
        let mut past = Past::new(100);
        assert!(past.looked(position(30), Digest::Keys(Vec::new()), std::iter::empty()));
        past.no_older();
        assert!(past.wanted(30).is_empty());
        assert_eq!(past.lacks(30), Some(1..30));
    }

    #[test]
    fn however_long_it_runs_it_keeps_no_more_blocks_than_may_matter() {
        let mut past = Past::new(u32::MAX);
        for height in 0..MOST_BLOCKS + 50 {
            past.connected(position(height), Digest::of(&block(&[script(height)])));
            past.look_for(&script(height.saturating_sub(MOST_BLOCKS + 10)));
        }
        assert_eq!(past.blocks.len(), MOST_BLOCKS as usize);
    }
}
