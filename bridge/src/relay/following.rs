//! Following bitcoind's best chain block by block, so that the tracker has seen every block of it once; and looking back from where
//! it began ([`super::past`]).
//!
//! ```text
//!   start (12 blocks below the tip) --> compare --same hash--> read the next blocks, 20 in one go --> rest
//!                 ^                        | other hash
//!                 +---- too deep ---- take one block back, compare again
//!                 +---- the next block is not there any more (pruned)
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use bitcoin::hashes::Hash;
use bitcoin::{Block, BlockHash, OutPoint, ScriptBuf};
use mainchain::deposit::DepositTerms;
use mainchain::header::Height;

use super::deposit_tracker::{DepositTracker, Output, Position};
use super::past::{Digest, Past};
use super::spends::{Spend, Spends};

/// Blocks before bitcoind's tip that are read at the start: a vault transaction that was mined shortly before is found
/// in its block, and a reorganisation shortly after the start can be undone.
const REWIND_BLOCKS: u32 = 12;
/// Blocks that are read after a start because they came while the relayer was away: what spent an output in them is looked for. A day.
const MOST_RESUMED: u32 = 144;
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
    past: Past,
    spends: Spends,
    /// The block from which on it reads after a start, where that is not too long ago.
    resume: Option<Height>,
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

impl ChainFollower {
    /// `depth` is how many blocks back a deposit may be and still be swept; `resume` the last block that was read in an earlier life.
    #[must_use]
    pub fn new(depth: u32, resume: Option<Height>) -> Self {
        let nowhere = Position { height: 0, hash: BlockHash::all_zeros() };
        let tracker = DepositTracker::new(nowhere);
        let (past, spends) = (Past::new(depth), Spends::default());
        Self { tracker, past, spends, resume, tip: nowhere, step: Step::Rest, started: false }
    }

    #[must_use]
    pub fn tracker(&self) -> &DepositTracker {
        &self.tracker
    }

    pub fn tracker_mut(&mut self) -> &mut DepositTracker {
        &mut self.tracker
    }

    /// Says what spends these outputs from now on, and no others.
    pub fn watch(&mut self, outpoints: BTreeSet<OutPoint>) {
        self.spends.watch(outpoints);
    }

    /// What spends the watched outputs in the best chain.
    #[must_use]
    pub fn spends(&self) -> &Arc<BTreeMap<OutPoint, Spend>> {
        self.spends.found()
    }

    /// The block to read again for what may spend a watched output in it.
    #[must_use]
    pub fn spend_to_read(&self) -> Option<Position> {
        self.spends.next_match()
    }

    /// Takes in that block; none when bitcoind does not have it.
    pub fn answer_spend(&mut self, position: Position, block: Option<&Block>) {
        self.spends.matched(position, block);
    }

    /// Looks for payments to an address from now on, and for those of the past.
    pub fn register(&mut self, script: ScriptBuf, terms: DepositTerms, cursor: u64) {
        if self.tracker.register(script.clone(), terms, cursor) {
            self.past.look_for(&script);
        }
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
                self.resume = None;
                self.tracker.restart(at_start.unwrap_or(self.tip));
                self.past.restart();
                self.spends.restart();
                self.started = true;
                self.unless_at_tip(read)
            }
            Step::Compare if hash == Some(self.tracker.position().hash) => read,
            Step::Compare if self.tracker.disconnect() => {
                self.spends.disconnected(self.tracker.position().height + 1);
                self.past.disconnected();
                Step::Compare
            }
            Step::Compare => Step::Start,
            step => step,
        };
    }

    /// Answers [`Question::BlockAt`]; none when bitcoind has no such block.
    pub fn answer_block(&mut self, block: Option<&Block>) {
        let Step::Read { left } = self.step else { return };
        // A reorganisation that came in between is seen when it begins anew.
        let connected = block.is_some_and(|block| {
            let connected = self.tracker.connect(block).is_ok();
            if connected {
                self.past.connected(self.tracker.position(), Digest::of(block));
                self.spends.connected(self.tracker.position(), block);
            }
            connected
        });
        self.step = if connected && left > 1 { self.unless_at_tip(Step::Read { left: left - 1 }) } else { Step::Rest };
    }

    /// The next block is in the best chain, and not there any more: it goes on near the tip, where blocks are.
    pub fn block_is_gone(&mut self) {
        (self.started, self.resume) = (false, None);
        self.step = Step::Rest;
    }

    /// Heights of older blocks, to be read downwards or by their filters; empty when there is nothing to look back on.
    #[must_use]
    pub fn older(&self) -> Range<Height> {
        self.past.wanted(self.tracker.position().height)
    }

    /// Takes in an older block's filter. False when it is not one, or not of the next block below.
    pub fn answer_filter(&mut self, block: Position, filter: &[u8]) -> bool {
        let digest = Digest::of_filter(block.hash, filter);
        digest.is_some_and(|digest| self.past.looked(block, digest, self.tracker.scripts()))
    }

    /// Takes in an older block; none when bitcoind does not have it, and so none before it.
    pub fn answer_older(&mut self, height: Height, block: Option<&Block>) {
        let Some(block) = block else { return self.past.no_older() };
        let position = Position { height, hash: block.block_hash() };
        self.past.looked(position, Digest::of(block), self.tracker.scripts());
    }

    /// The older block to look through for a payment.
    #[must_use]
    pub fn match_to_read(&self) -> Option<Position> {
        self.past.next_match()
    }

    /// Takes in that block; none when bitcoind does not have it.
    pub fn answer_match(&mut self, height: Height, block: Option<&Block>) {
        self.past.matched(height);
        if let Some(block) = block {
            self.tracker.look_through(block);
        }
    }

    /// Takes in what bitcoind says of an output that [`DepositTracker::hints`] named.
    pub fn answer_hint(&mut self, outpoint: OutPoint, output: Option<Output>) {
        self.tracker.answer_hint(outpoint, output);
    }

    /// The blocks that should be looked back on and are not there.
    #[must_use]
    pub fn lacks(&self) -> Option<Range<Height>> {
        self.past.lacks(self.tracker.position().height)
    }

    /// Whether every block up to the tip is read: only then what bitcoind says of outputs fits what was read.
    #[must_use]
    pub fn is_at_tip(&self) -> bool {
        self.started && self.tracker.position().height >= self.tip.height
    }

    fn unless_at_tip(&self, step: Step) -> Step {
        if self.tracker.position().hash == self.tip.hash { Step::Rest } else { step }
    }

    fn start_height(&self) -> u32 {
        let near = self.tip.height.saturating_sub(REWIND_BLOCKS);
        let resumed = self.resume.filter(|resume| resume + MOST_RESUMED >= near);
        resumed.map_or(near, |resume| resume.saturating_sub(REWIND_BLOCKS).min(near))
    }
}

/// A node whose head is older than so many seconds lags, or its network has halted: heartbeat blocks come every few seconds.
const OLD_HEAD_S: u64 = 60;

/// Whether the sidechain node's head is so old that somebody should know. Not an error: what is final stays final.
#[must_use]
pub fn is_head_old(now_s: u64, head_time_s: u64) -> bool {
    now_s.saturating_sub(head_time_s) > OLD_HEAD_S
}

/// How bitcoind's tip is old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lag {
    /// It has headers of blocks that it lacks.
    BehindItsHeaders { tip: Height, headers: Height },
    /// Other members have shown the sidechain blocks that it lacks.
    BehindTheOthers { tip: Height, others: Height },
}

/// Whether bitcoind's tip is old: `headers` is the height of its best header, `light` that of the light client.
#[must_use]
pub fn lag(tip: Height, headers: Height, light: Height) -> Option<Lag> {
    match tip.saturating_add(LAG_BLOCKS) {
        least if headers > least => Some(Lag::BehindItsHeaders { tip, headers }),
        least if light > least => Some(Lag::BehindTheOthers { tip, others: light }),
        _ => None,
    }
}

impl std::fmt::Display for Lag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BehindItsHeaders { tip, headers } => write!(f, "it has block {tip}, and headers up to {headers}"),
            Self::BehindTheOthers { tip, others } => {
                write!(f, "it has block {tip}, and the other members' are at {others}")
            }
        }
    }
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

    #[test]
    fn a_tip_is_old_when_its_own_headers_or_the_other_members_are_far_ahead() {
        assert_eq!(lag(100, 106, 106), None);
        assert_eq!(lag(100, 107, 0), Some(Lag::BehindItsHeaders { tip: 100, headers: 107 }));
        assert_eq!(lag(100, 100, 107), Some(Lag::BehindTheOthers { tip: 100, others: 107 }));
    }

    // 0 - ... - 30[pruned up to 28] - ... - 300[pruned up to 260]
    #[test]
    fn a_relayer_whose_next_block_was_pruned_goes_on_near_the_tip() {
        let mut follower = ChainFollower::new(10, None);
        follow(&mut follower, &extend(&[], 31, 0));
        let chain = extend(&[], 301, 0);
        follower.begin(tip(&chain));
        assert_eq!(follower.question(), Some(Question::HashAt(30)));
        follower.answer_hash(Some(chain[30].block_hash()));
        assert_eq!(follower.question(), Some(Question::BlockAt(31)));
        follower.block_is_gone();
        assert_eq!(follower.question(), None, "the rest of the work does not wait for it");
        assert_eq!(follow(&mut follower, &chain)[..2], [Question::HashAt(288), Question::BlockAt(289)]);
        assert!(follower.is_at_tip());
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
        let mut follower = ChainFollower::new(10, None);
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
        let mut follower = ChainFollower::new(10, None);
        follow(&mut follower, &extend(&stem, 2, 1));
        let rival = extend(&stem, 3, 2);
        follow(&mut follower, &rival);
        assert_eq!(follower.tracker().position(), tip(&rival));
    }

    #[test]
    fn a_reorganisation_too_deep_to_undo_starts_anew() {
        let stem = extend(&[], 5, 0);
        let mut follower = ChainFollower::new(10, None);
        follow(&mut follower, &extend(&stem, 40, 1));
        let rival = extend(&stem, 60, 2);
        follow(&mut follower, &rival);
        assert_eq!(follower.tracker().position(), tip(&rival));
    }

    #[test]
    fn a_long_way_is_read_in_parts() {
        let chain = extend(&[], 10, 0);
        let mut follower = ChainFollower::new(10, None);
        follow(&mut follower, &chain);
        let longer = extend(&chain, BLOCKS_AT_ONCE + 1, 0);
        follow(&mut follower, &longer);
        assert!(!follower.is_at_tip());
        follow(&mut follower, &longer);
        assert!(follower.is_at_tip());
    }
}
