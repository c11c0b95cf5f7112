//! How much the blocks above the last final one may hold.
//!
//! While nothing becomes final the chain must go on: finality comes with the votes on a later block, never again with those on
//! an earlier one. So blocks are made without limit, but only a few of them may hold transactions, and all others are empty.
//! What a validator has to keep is bounded thereby, and so is what it executes again after a restart. When a block becomes
//! final, there is room again.
//!
//! Validators do not hear at the same moment what is final, and do not write it at the same moment.
//!
//! ```text
//!   written ----- final ------------------- parent     the block to vote on
//!      |            '--- twice: refused -----'
//!      '---- three times: no vote until the disk follows
//! ```
//! - Whoever proposes a block counts from what it has written: one whose disk is slow asks nothing of the others.
//! - Whoever votes on it tolerates twice as much, counted from the last block that it knows to be final, however slow its own disk: what
//!   it refuses, the others refuse.
//! - What is final and not written is in its memory all the same. So beyond three times as much, counted from what it has written,
//!   it does not vote until its disk follows. That is no judgement of the block.
//!
//! An ancestor is never judged by this rule: a quorum has accepted it already.

use std::iter::Sum;

use alloy_rlp::Encodable as _;

use crate::{
    block::Block,
    limits::{MAX_BLOCK_BYTES, MAX_UNFINAL_BYTES, MAX_UNFINAL_GAS},
};

/// A block with transactions counts as this part of a full one at least, so that the number of such blocks is bounded too.
const LEAST_PART: u64 = 16;

/// What blocks hold, as far as it bears on memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Burden {
    gas: u64,
    bytes: u64,
}

/// Who asks whether there is room for another block with transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Leaves the block empty when there is no room.
    Proposer,
    /// Refuses it then.
    Voter,
    /// Has no memory for it then.
    Keeper,
}

/// Whether there is room for a block with transactions, for whoever is asked for a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    Enough,
    /// Too much before it is not final, or its parent cannot be built on: no honest validator votes for it.
    TooMuchUnfinal,
    /// Too much before it is not written here: ask again when it is.
    DiskBehind,
}

impl Burden {
    /// That of one block.
    pub(super) fn of(block: &Block) -> Self {
        if block.transactions.is_empty() {
            return Self::default();
        }
        let bytes = block.transactions.length() as u64;
        Self {
            gas: block.header.gas_used.max(block.header.gas_limit / LEAST_PART),
            bytes: bytes.max(MAX_BLOCK_BYTES as u64 / LEAST_PART),
        }
    }

    /// Whether a block with transactions may stand on blocks that hold this.
    pub(super) const fn leaves_room(self, role: Role) -> bool {
        let tolerance = match role {
            Role::Proposer => 1,
            Role::Voter => 2,
            Role::Keeper => 3,
        };
        self.gas < tolerance * MAX_UNFINAL_GAS && self.bytes < tolerance * MAX_UNFINAL_BYTES as u64
    }
}

impl Sum for Burden {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |all, part| Self {
            gas: all.gas.saturating_add(part.gas),
            bytes: all.bytes.saturating_add(part.bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use alloy_consensus::Header;

    use super::*;
    use crate::testing::unsigned_transaction;

    const GAS: u64 = 200_000_000;

    fn block(transactions: u64, gas_used: u64) -> Block {
        let header = Header { gas_limit: GAS, gas_used, ..Header::default() };
        Block { header, transactions: (0..transactions).map(unsigned_transaction).collect() }
    }

    /// How many such blocks may follow each other.
    fn length(block: &Block, role: Role) -> u64 {
        let fits = |count: u64| (0..count).map(|_| Burden::of(block)).sum::<Burden>().leaves_room(role);
        (0..10_000).find(|count| !fits(*count)).unwrap_or(u64::MAX)
    }

    #[test]
    fn four_full_blocks_or_sixteen_times_as_many_small_ones_wait_for_finality() {
        assert_eq!(length(&block(1, GAS), Role::Proposer), 4);
        assert_eq!(length(&block(1, 21_000), Role::Proposer), 64);
        assert_eq!(length(&block(0, 0), Role::Proposer), u64::MAX);
    }

    #[test]
    fn a_voter_tolerates_twice_as_much_because_it_may_not_know_yet_what_is_final() {
        assert_eq!(length(&block(1, GAS), Role::Voter), 8);
        assert_eq!(length(&block(1, 21_000), Role::Voter), 128);
    }
}
