//! The border between engine and chain: the questions that the engine asks, and the settings that it starts with.

use std::{future::Future, time::Duration};

use alloy_primitives::{Address, B256};

use crate::{
    block::{Block, Header},
    chain::{Ahead, Room},
    counters::RoundEvent,
    execution::Stop,
};

/// Time for making a block, below what a leader has for it once there is work. An application aims at less.
pub const BUILD_LIMIT: Duration = Duration::from_millis(1_200);

/// Time for executing a block that another made and that asks for a vote, below what the votes of a round have, and well above what honest leaders use.
pub const CHECK_LIMIT: Duration = Duration::from_millis(1_400);

/// Where final blocks and their certificates are, once: the engine serves its peers from there, and keeps there what is final before
/// it is executed. Calls block; the engine makes them off its async threads.
///
/// # Errors
///
/// Each method: the store failed, in words. The engine stops.
pub trait FinalBlocks: Send + Sync + 'static {
    /// Keeps blocks and certificates: on disk when this returns. What is there already stays as it is.
    fn keep(&self, kept: Vec<Ahead>) -> Result<(), String>;

    /// Number of the first block, besides the genesis block, that is there whole; 0: all are.
    fn first_block(&self) -> u64;

    /// Which blocks and certificates were kept above the head, from a number on; at most `limit` rows. Without their bytes.
    fn kept(&self, from: u64, limit: usize) -> Result<Vec<Ahead>, String>;

    /// A block that is final, executed or not. None when it is not known or was pruned.
    fn final_block(&self, number: u64) -> Result<Option<Block>, String>;

    /// Number of the executed final block with this hash.
    fn number_of(&self, hash: B256) -> Result<Option<u64>, String>;

    /// The certificate of a block that is final, executed or not.
    fn certificate(&self, number: u64) -> Result<Option<Vec<u8>>, String>;

    /// Numbers of executed final blocks with a certificate of their own, from a number on.
    fn certified(&self, from: u64, limit: usize) -> Result<Vec<u64>, String>;
}

/// The chain that the engine orders. Calls block (execution, disk); the engine makes them off its async threads.
pub trait Application: FinalBlocks {
    /// The block that all validators start from.
    fn genesis(&self) -> Block;

    /// Number of the last block that is final here, durably.
    fn head(&self) -> u64;

    /// Whether a block can be built on here: it is the head, or was executed on top of it.
    fn knows(&self, hash: B256) -> bool;

    /// Whether a block is final here, durably.
    fn is_final(&self, hash: B256) -> bool;

    /// Whether a block may hold the transactions that it does before more is final. Its parent is [known](Self::knows). Blocks up to
    /// `last_final` are final, although they may not be so here yet. Only asked about a block to vote on: of its ancestors a
    /// quorum thought so.
    fn room_for(&self, block: &Block, last_final: u64) -> Room;

    /// Whether there is anything to put into a block on `parent`. Cheap: it is asked after each arrival.
    fn has_work(&self, parent: B256) -> bool;

    /// Resolves when new work arrives after the call (not after the first poll).
    fn work_arrived(&self) -> impl Future<Output = ()> + Send;

    /// Whether this machine's clock, which shows `now_ms`, is not to be believed: then nothing is proposed, and nothing voted for.
    fn doubts_clock(&self, now_ms: u64) -> bool;

    /// Builds a block on a parent that it [`knows`](Self::knows). `now_ms` is Unix time, as in the other methods.
    ///
    /// # Errors
    ///
    /// The reason in words; the round is then skipped. Soon after `stop` too: the round ended, or [`BUILD_LIMIT`] did.
    fn build(&self, parent: B256, now_ms: u64, beneficiary: Address, stop: &Stop) -> Result<Block, String>;

    /// Executes a block whose parent it [`knows`](Self::knows) and judges it; a block that is valid is known from then on. Soon after
    /// `stop` it cannot tell: the round ended, or [`CHECK_LIMIT`] did. What a quorum accepted has no limit, and comes with a `now_ms`
    /// at the end of time.
    fn check(&self, block: &Block, now_ms: u64, stop: &Stop) -> Verdict;

    /// Takes note of what happened in a round, for the operator's monitoring. Cheap: it is told for each vote.
    fn note(&self, _event: RoundEvent) {}

    /// Makes a block final, durably, together with its certificate if it has one of its own. Idempotent.
    ///
    /// # Errors
    ///
    /// A full disk, or a broken invariant: the node stops, nothing is acknowledged.
    fn commit(&self, block: &Block, certificate: Option<&[u8]>, now_ms: u64) -> Result<(), String>;
}

/// A validator's verdict on a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It gets this validator's vote.
    Valid,
    /// It never will: all honest validators find the same.
    Invalid(String),
    /// Its timestamp is ahead of the clock: ask again then, if the round lasts as long.
    NotYet {
        /// Unix time in milliseconds.
        until_ms: u64,
    },
    /// This node cannot tell (its disk failed, say): it does not vote.
    Unknown(String),
}

/// Least time between a block that is almost empty and its child.
const LEAST_INTERVAL: Duration = Duration::from_millis(100);

/// The part of a block's gas after which its child waits for the whole interval.
const BUSY_PART: u64 = 8;

/// How fast blocks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacing {
    /// Least time between a block that is worth its votes and its child.
    pub interval: Duration,
    /// Time after which a block is made although it is empty.
    pub heartbeat: Duration,
}

/// Time for building, spreading and checking a block, on top of the time that a leader waits for work.
const LEADER_MARGIN: Duration = Duration::from_millis(1500);

/// Time for the votes of a round, after its leader's time.
const VOTE_MARGIN: Duration = Duration::from_millis(1500);

const _: () = assert!(
    BUILD_LIMIT.as_millis() < LEADER_MARGIN.as_millis() && CHECK_LIMIT.as_millis() < VOTE_MARGIN.as_millis(),
    "a round lasts longer than the work in it"
);

impl Pacing {
    /// Time between a block and its child when there is work for it: the emptier the block, the less. Who sends a single transaction
    /// need not wait for the interval; a load that fills blocks gets few large ones, because each costs every validator its votes.
    pub(super) fn pause_after(&self, block: &Header) -> Duration {
        let Some(more) = self.interval.checked_sub(LEAST_INTERVAL) else { return self.interval };
        let busy = (block.gas_limit / BUSY_PART).max(1);
        let part = block.gas_used.min(busy).saturating_mul(256) / busy;
        LEAST_INTERVAL + more * u32::try_from(part).unwrap_or(256) / 256
    }

    /// Time that a leader has for its block, from the start of its round.
    pub(super) fn leader_timeout(&self) -> Duration {
        self.heartbeat + LEADER_MARGIN
    }

    /// Time that a round has, its votes included. What cannot be judged by then is not worth waiting for.
    pub(super) fn round_timeout(&self) -> Duration {
        self.leader_timeout() + VOTE_MARGIN
    }
}

/// A validator as all others know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validator {
    /// ed25519 public key.
    pub p2p_key: [u8; 32],
    /// BLS12-381 public key, compressed point of G2.
    pub validator_key: [u8; light::finality::PUBLIC_KEY_BYTES],
    /// Gets the fees of the blocks that this validator proposes.
    pub account: Address,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_emptier_a_block_is_the_sooner_its_child_may_come_and_never_later_than_the_interval() {
        let ms = Duration::from_millis;
        let pause = |interval, gas_used| {
            let block = Header { gas_limit: 200_000_000, gas_used, ..Header::default() };
            Pacing { interval: ms(interval), heartbeat: ms(2_000) }.pause_after(&block)
        };
        assert_eq!(pause(500, 0), ms(100));
        assert_eq!(pause(500, 12_500_000), ms(300));
        for gas_used in [25_000_000, 200_000_000, u64::MAX] {
            assert_eq!(pause(500, gas_used), ms(500));
        }
        assert_eq!([pause(30, 0), pause(30, 200_000_000)], [ms(30); 2], "a shorter interval stays as it is");
        // A header without gas is no block of ours, and still no panic.
        let pacing = Pacing { interval: ms(500), heartbeat: ms(2_000) };
        assert_eq!(pacing.pause_after(&Header { gas_limit: 0, gas_used: u64::MAX, ..Header::default() }), ms(500));
    }
}
