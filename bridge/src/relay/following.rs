//! Following bitcoind's best chain block by block, so that the tracker has seen every block of it once.
//!
//! ```text
//!   start (12 blocks below the tip) --> compare --same hash--> read the next blocks, 20 in one go --> rest
//!                 ^                        | other hash
//!                 +---- too deep ---- take one block back, compare again
//! ```

use bitcoin::hashes::Hash;
use bitcoin::{Block, BlockHash};
use mainchain::header::Height;

use super::deposit_tracker::{DepositTracker, Position};

/// Blocks before bitcoind's tip that are read at the start: a vault transaction that was mined shortly before is found
/// in its block, and a reorganisation shortly after the start can be undone.
const REWIND_BLOCKS: u32 = 12;
/// Blocks read in one go, so that the rest of the work does not wait for long.
const BLOCKS_AT_ONCE: u32 = 20;
/// Blocks that bitcoind may lack of those it has headers of without anybody being told.
const LAG_BLOCKS: u32 = 6;

/// What bitcoind is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Which block is at this height of its best chain?
    HashAt(u32),
    /// The same, with the block itself.
    BlockAt(u32),
}

/// One best chain, followed.
#[derive(Clone, Debug)]
pub struct ChainFollower {
    tracker: DepositTracker,
    tip: Position,
    step: Step,
    started: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Start,
    Compare,
    Read { left: u32 },
    Rest,
}

impl Default for ChainFollower {
    fn default() -> Self {
        let nowhere = Position { height: 0, hash: BlockHash::all_zeros() };
        Self { tracker: DepositTracker::new(nowhere), tip: nowhere, step: Step::Rest, started: false }
    }
}

impl ChainFollower {
    pub fn tracker(&mut self) -> &mut DepositTracker {
        &mut self.tracker
    }

    /// Begins to follow up to bitcoind's tip of now.
    pub fn begin(&mut self, tip: Position) {
        self.tip = tip;
        self.step = match () {
            () if !self.started => Step::Start,
            () if self.tracker.position().hash == tip.hash => Step::Rest,
            () => Step::Compare,
        };
    }

    /// What to ask; none when it rests.
    #[must_use]
    pub fn question(&self) -> Option<Question> {
        let height = self.tracker.position().height;
        match self.step {
            Step::Start => Some(Question::HashAt(self.start_height())),
            Step::Compare => Some(Question::HashAt(height)),
            Step::Read { .. } => Some(Question::BlockAt(height + 1)),
            Step::Rest => None,
        }
    }

    /// Answers [`Question::HashAt`]; none when the chain is not that long.
    pub fn answer_hash(&mut self, hash: Option<BlockHash>) {
        let read = Step::Read { left: BLOCKS_AT_ONCE };
        self.step = match self.step {
            Step::Start => {
                let at_start = hash.map(|hash| Position { height: self.start_height(), hash });
                self.tracker.restart(at_start.unwrap_or(self.tip));
                self.started = true;
                self.unless_at_tip(read)
            }
            Step::Compare if hash == Some(self.tracker.position().hash) => read,
            Step::Compare if self.tracker.disconnect() => Step::Compare,
            Step::Compare => Step::Start,
            step => step,
        };
    }

    /// Answers [`Question::BlockAt`]; none when bitcoind has no such block.
    pub fn answer_block(&mut self, block: Option<&Block>) {
        let Step::Read { left } = self.step else { return };
        // A reorganisation that came in between is seen when it begins anew.
        let connected = block.is_some_and(|block| self.tracker.connect(block).is_ok());
        self.step = if connected && left > 1 { self.unless_at_tip(Step::Read { left: left - 1 }) } else { Step::Rest };
    }

    /// Whether every block up to the tip is read: only then a scan of all unspent outputs is of use.
    #[must_use]
    pub fn is_at_tip(&self) -> bool {
        self.started && self.tracker.position().height >= self.tip.height
    }

    fn unless_at_tip(&self, step: Step) -> Step {
        if self.tracker.position().hash == self.tip.hash { Step::Rest } else { step }
    }

    fn start_height(&self) -> u32 {
        self.tip.height.saturating_sub(REWIND_BLOCKS)
    }
}

/// A node whose head is older than so many seconds lags, or its network has halted: heartbeat blocks come every few seconds.
const OLD_HEAD_S: u64 = 60;

/// Whether the sidechain node's head is so old that somebody should know. Not an error: what is final stays final.
#[must_use]
pub fn is_head_old(now_s: u64, head_time_s: u64) -> bool {
    now_s.saturating_sub(head_time_s) > OLD_HEAD_S
}

/// Whether bitcoind has headers of blocks that it lacks, so that its tip is old.
#[must_use]
pub fn is_lagging(best_header_height: Height, tip_height: Height) -> bool {
    best_header_height > tip_height + LAG_BLOCKS
}

#[cfg(test)]
mod tests {
    use bitcoin::block::{Header, Version};
    use bitcoin::{CompactTarget, TxMerkleNode};

    use super::*;

    #[test]
    fn a_head_is_old_after_a_minute_and_never_from_the_future() {
        assert!(!is_head_old(1_060, 1_000) && is_head_old(1_061, 1_000));
        assert!(!is_head_old(1_000, 2_000));
    }

    /// Empty blocks on a parent; `branch` tells chains apart.
    fn extend(chain: &[Block], count: u32, branch: u32) -> Vec<Block> {
        let mut chain = chain.to_vec();
        for _ in 0..count {
            let header = Header {
                version: Version::ONE,
                prev_blockhash: chain.last().map_or(BlockHash::all_zeros(), Block::block_hash),
                merkle_root: TxMerkleNode::all_zeros(),
                time: branch,
                bits: CompactTarget::from_consensus(0x207f_ffff),
                nonce: u32::try_from(chain.len()).expect("short"),
            };
            chain.push(Block { header, txdata: Vec::new() });
        }
        chain
    }

    fn tip(chain: &[Block]) -> Position {
        let height = u32::try_from(chain.len()).expect("short") - 1;
        Position { height, hash: chain[height as usize].block_hash() }
    }

    /// One round of questions and answers; the questions.
    fn follow(follower: &mut ChainFollower, chain: &[Block]) -> Vec<Question> {
        let mut asked = Vec::new();
        follower.begin(tip(chain));
        while let Some(question) = follower.question() {
            asked.push(question);
            match question {
                Question::HashAt(height) => follower.answer_hash(chain.get(height as usize).map(Block::block_hash)),
                Question::BlockAt(height) => follower.answer_block(chain.get(height as usize)),
            }
        }
        asked
    }

    // 0 - 1 - ... - 30
    #[test]
    fn it_starts_a_little_below_the_tip_and_asks_nothing_while_nothing_is_new() {
        let chain = extend(&[], 31, 0);
        let mut follower = ChainFollower::default();
        assert_eq!(follow(&mut follower, &chain)[..2], [Question::HashAt(18), Question::BlockAt(19)]);
        assert!(follower.is_at_tip());
        assert_eq!(follow(&mut follower, &chain), []);
        assert_eq!(follow(&mut follower, &extend(&chain, 1, 0)), [Question::HashAt(30), Question::BlockAt(31)]);
    }

    // best    0 - ... - 20 - 21a - 22a
    // rival               \- 21b - 22b - 23b
    #[test]
    fn it_leaves_a_branch_block_by_block() {
        let stem = extend(&[], 21, 0);
        let mut follower = ChainFollower::default();
        follow(&mut follower, &extend(&stem, 2, 1));
        let rival = extend(&stem, 3, 2);
        follow(&mut follower, &rival);
        assert_eq!(follower.tracker().position(), tip(&rival));
    }

    #[test]
    fn a_reorganisation_too_deep_to_undo_starts_anew() {
        let stem = extend(&[], 5, 0);
        let mut follower = ChainFollower::default();
        follow(&mut follower, &extend(&stem, 40, 1));
        let rival = extend(&stem, 60, 2);
        follow(&mut follower, &rival);
        assert_eq!(follower.tracker().position(), tip(&rival));
    }

    #[test]
    fn a_long_way_is_read_in_parts() {
        let chain = extend(&[], 10, 0);
        let mut follower = ChainFollower::default();
        follow(&mut follower, &chain);
        let longer = extend(&chain, BLOCKS_AT_ONCE + 1, 0);
        follow(&mut follower, &longer);
        assert!(!follower.is_at_tip());
        follow(&mut follower, &longer);
        assert!(follower.is_at_tip());
    }
}
