//! What spends the outputs that matter (vault outputs, deposits, what a deposit was made of), found in the blocks that are read anyway.
//!
//! An output may come to matter after the block that spends it was read. So of the last blocks a digest of what they spend is kept, some ten
//! kilobytes each, and a block in which a new one may be spent is read again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bitcoin::hashes::Hash;
use bitcoin::{Block, BlockHash, OutPoint, Txid};
use mainchain::header::Height;

use super::deposit_tracker::{Position, UNDO_BLOCKS};

/// A transaction of the best chain that spends an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spend {
    pub by: Txid,
    /// The block that it is in.
    pub block: Position,
}

/// The outputs that are watched, and what spends them.
#[derive(Clone, Debug, Default)]
pub struct Spends {
    watched: BTreeSet<OutPoint>,
    found: Arc<BTreeMap<OutPoint, Spend>>,
    /// Digests of the last blocks, oldest first.
    recent: VecDeque<(Position, Box<[u64]>)>,
    /// Blocks that may spend what is watched since they were read.
    matching: BTreeMap<Height, BlockHash>,
}

impl Spends {
    /// Watches these outputs from now on, and no others.
    pub fn watch(&mut self, wanted: BTreeSet<OutPoint>) {
        if wanted == self.watched {
            return;
        }
        for outpoint in wanted.difference(&self.watched) {
            let short = short(outpoint);
            let may_spend = self.recent.iter().filter(|(_, digest)| digest.binary_search(&short).is_ok());
            self.matching.extend(may_spend.map(|(block, _)| (block.height, block.hash)));
        }
        Arc::make_mut(&mut self.found).retain(|outpoint, _| wanted.contains(outpoint));
        self.watched = wanted;
    }

    /// The best chain has grown by a block.
    pub fn connected(&mut self, position: Position, block: &Block) {
        self.find(position, block);
        let mut digest: Vec<u64> = spent(block).map(|(outpoint, _)| short(&outpoint)).collect();
        digest.sort_unstable();
        self.recent.push_back((position, digest.into()));
        if self.recent.len() > UNDO_BLOCKS {
            self.recent.pop_front();
        }
    }

    /// The last block has left the best chain.
    pub fn disconnected(&mut self, height: Height) {
        self.recent.retain(|(block, _)| block.height < height);
        self.matching.retain(|matching, _| *matching < height);
        if self.found.values().any(|spend| spend.block.height >= height) {
            Arc::make_mut(&mut self.found).retain(|_, spend| spend.block.height < height);
        }
    }

    /// Forgets all blocks.
    pub fn restart(&mut self) {
        let watched = std::mem::take(&mut self.watched);
        *self = Self { watched, ..Self::default() };
    }

    /// The block to read again.
    #[must_use]
    pub fn next_match(&self) -> Option<Position> {
        self.matching.first_key_value().map(|(height, hash)| Position { height: *height, hash: *hash })
    }

    /// Takes in that block; none when it cannot be had.
    pub fn matched(&mut self, position: Position, block: Option<&Block>) {
        self.matching.remove(&position.height);
        if let Some(block) = block {
            self.find(position, block);
        }
    }

    /// What spends them, by output.
    #[must_use]
    pub fn found(&self) -> &Arc<BTreeMap<OutPoint, Spend>> {
        &self.found
    }

    fn find(&mut self, position: Position, block: &Block) {
        for (outpoint, transaction) in spent(block) {
            if self.watched.contains(&outpoint) {
                let by = block.txdata[transaction].compute_txid();
                Arc::make_mut(&mut self.found).insert(outpoint, Spend { by, block: position });
            }
        }
    }
}

/// What a block spends, with the place of the transaction.
fn spent(block: &Block) -> impl Iterator<Item = (OutPoint, usize)> + '_ {
    let transactions = block.txdata.iter().enumerate();
    transactions.flat_map(|(at, transaction)| transaction.input.iter().map(move |input| (input.previous_output, at)))
}

/// Eight bytes of an outpoint, as random as its txid.
fn short(outpoint: &OutPoint) -> u64 {
    let bytes = outpoint.txid.to_byte_array();
    let word = u64::from_be_bytes(bytes[..8].try_into().expect("eight bytes"));
    word.rotate_left(outpoint.vout % 64) ^ u64::from(outpoint.vout)
}

#[cfg(test)]
mod tests {
    use bitcoin::absolute::LockTime;
    use bitcoin::block::{Header, Version};
    use bitcoin::{CompactTarget, ScriptBuf, Sequence, Transaction, TxIn, TxMerkleNode, Witness, transaction};

    use super::*;
    use crate::relay::example::position;

    fn outpoint(vout: u32) -> OutPoint {
        OutPoint { vout, ..OutPoint::null() }
    }

    fn block(spends: &[OutPoint]) -> Block {
        let header = Header {
            version: Version::ONE,
            prev_blockhash: BlockHash::all_zeros(),
            merkle_root: TxMerkleNode::all_zeros(),
            time: 0,
            bits: CompactTarget::from_consensus(0x207f_ffff),
            nonce: 0,
        };
        let input = |previous_output: &OutPoint| TxIn {
            previous_output: *previous_output,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        };
        let transaction = Transaction {
            version: transaction::Version::TWO,
            lock_time: LockTime::ZERO,
            input: spends.iter().map(input).collect(),
            output: Vec::new(),
        };
        Block { header, txdata: vec![transaction] }
    }

    fn found(spends: &Spends) -> Vec<OutPoint> {
        spends.found().keys().copied().collect()
    }

    // 1[spends a] - 2[spends b], then 2 leaves the best chain
    #[test]
    fn what_spends_an_output_is_found_whether_it_is_watched_before_or_after_and_is_gone_with_its_block() {
        let mut spends = Spends::default();
        let (a, b, c) = (outpoint(1), outpoint(2), outpoint(3));
        spends.watch([b].into());
        let blocks = [block(&[a]), block(&[b, c])];
        spends.connected(position(1), &blocks[0]);
        spends.connected(position(2), &blocks[1]);
        assert_eq!(found(&spends), [b]);
        spends.watch([a, b].into());
        assert_eq!(spends.next_match(), Some(position(1)));
        spends.matched(position(1), Some(&blocks[0]));
        assert_eq!((found(&spends), spends.next_match()), (vec![a, b], None));
        spends.disconnected(2);
        assert_eq!(found(&spends), [a]);
        spends.watch([b].into());
        assert_eq!((found(&spends), spends.next_match()), (vec![], None), "its block is gone, too");
    }

    #[test]
    fn however_long_it_runs_it_keeps_the_digests_of_so_many_blocks() {
        let mut spends = Spends::default();
        for height in 0..u32::try_from(UNDO_BLOCKS).expect("few") + 50 {
            spends.connected(position(height), &block(&[outpoint(height)]));
        }
        assert_eq!(spends.recent.len(), UNDO_BLOCKS);
        spends.watch([outpoint(10), outpoint(100)].into());
        assert_eq!(spends.next_match(), Some(position(100)), "10 is too long ago");
    }
}
