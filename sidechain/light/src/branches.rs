//! Blocks in the ledger's light client, and whether one is in its best chain, by proofs of its storage.
//!
//! It keeps headers by branch, and which branch ends the best chain (`BitcoinLightClient.sol`):
//!
//! ```text
//!     branch 0    0 - 1 - 2 - 3          best 1: the chain is 0 1 2' 3' 4', and neither 2 nor 3 is in it
//!     branch 1         \ 2' - 3' - 4'
//! ```

use std::collections::BTreeMap;

use alloy_primitives::{B256, U256, keccak256};
use bitcoin::BlockHash;
use bitcoin::hashes::Hash as _;
use contracts::layout::bitcoin_light_client::{BEST, BRANCHES, HEADERS, branch, stored};
use contracts::storage::entry;

const _: () = assert!(branch::SLOTS == 1 && stored::SLOTS == 1);

/// A block that the light client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownBlock {
    pub height: u32,
    pub branch: u32,
}

/// A branch of headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Branch {
    /// The branch that it grew from; its own number for the first one.
    pub parent: u32,
    /// One further down.
    pub jump: u32,
    /// Height of its first header.
    pub first: u32,
}

/// Branches of which something is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Branches {
    /// The one that ends the best chain; none when that was not asked for.
    pub best: Option<u32>,
    pub known: BTreeMap<u32, Branch>,
}

/// Where a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Best,
    /// In a chain that was left.
    Left,
    /// Not known without this branch.
    Unknown {
        branch: u32,
    },
}

/// The slot that holds a block's header.
#[must_use]
pub fn block_slot(block: &BlockHash) -> U256 {
    entry(U256::from(HEADERS), B256::from(block.to_byte_array()))
}

/// The slot that says which branch ends the best chain.
#[must_use]
pub fn best_slot() -> U256 {
    U256::from(BEST.slot)
}

/// From [`best_slot`]. The contract counts branches by 32 bits.
#[must_use]
pub fn best(slot: U256) -> u32 {
    BEST.of(slot).saturating_to()
}

/// The slot that holds a branch: elements of an array follow each other.
#[must_use]
pub fn branch_slot(number: u32) -> U256 {
    U256::from_be_bytes(keccak256(B256::from(U256::from(BRANCHES))).0).wrapping_add(U256::from(number))
}

impl KnownBlock {
    /// From its slot. None when the light client does not know the block: each header has a target.
    #[must_use]
    pub fn read(slot: U256) -> Option<Self> {
        let number = |field: contracts::storage::Field| field.of(slot).saturating_to();
        let is_known = !stored::BITS.of(slot).is_zero();
        is_known.then(|| Self { height: number(stored::HEIGHT), branch: number(stored::BRANCH) })
    }
}

impl Branch {
    /// From its slot.
    #[must_use]
    pub fn read(slot: U256) -> Self {
        let number = |field: contracts::storage::Field| field.of(slot).saturating_to();
        Self { parent: number(branch::PARENT), jump: number(branch::JUMP), first: number(branch::FIRST) }
    }
}

impl Branches {
    /// Where a block is, as `BitcoinLightClient._isBest` finds it: from the best chain's end down, to the branch that holds its height.
    #[must_use]
    pub fn place(&self, block: KnownBlock) -> Place {
        let Some(mut at) = self.best else { return Place::Unknown { branch: 0 } };
        loop {
            let Some(branch) = self.known.get(&at) else { return Place::Unknown { branch: at } };
            if branch.first <= block.height {
                return if at == block.branch { Place::Best } else { Place::Left };
            }
            let Some(jump) = self.known.get(&branch.jump) else { return Place::Unknown { branch: branch.jump } };
            let next = if jump.first > block.height { branch.jump } else { branch.parent };
            if next >= at {
                // A branch grows from one that was there before; the first one begins at the checkpoint, below every block.
                return Place::Left;
            }
            at = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branches(best: u32, known: &[(u32, u32, u32, u32)]) -> Branches {
        let known = known
            .iter()
            .map(|(number, parent, jump, first)| (*number, Branch { parent: *parent, jump: *jump, first: *first }));
        Branches { best: Some(best), known: known.collect() }
    }

    fn place(branches: &Branches, branch: u32, height: u32) -> Place {
        branches.place(KnownBlock { height, branch })
    }

    // branch 0    10 - 11 - 12 - 13
    // branch 1          \ 12' - 13' - 14'
    // branch 2                   \ 14'' - 15''
    #[test]
    fn a_block_is_in_the_best_chain_or_was_left() {
        let all = branches(2, &[(0, 0, 0, 10), (1, 0, 0, 12), (2, 1, 1, 14)]);
        for (branch, height, want) in [
            (0, 11, Place::Best),
            (0, 12, Place::Left),
            (0, 13, Place::Left),
            (1, 12, Place::Best),
            (1, 13, Place::Best),
            (1, 14, Place::Left),
            (2, 14, Place::Best),
            (2, 15, Place::Best),
        ] {
            assert_eq!(place(&all, branch, height), want, "{height} of branch {branch}");
        }
        let before = branches(0, &[(0, 0, 0, 10)]);
        assert_eq!(place(&before, 0, 13), Place::Best);
        assert_eq!(place(&before, 1, 14), Place::Left);
    }

    #[test]
    fn what_is_not_proven_is_named_and_no_storage_makes_it_search_for_ever() {
        assert_eq!(place(&Branches::default(), 0, 11), Place::Unknown { branch: 0 });
        assert_eq!(place(&branches(2, &[]), 0, 11), Place::Unknown { branch: 2 });
        assert_eq!(place(&branches(2, &[(2, 1, 0, 14)]), 0, 11), Place::Unknown { branch: 0 });
        assert_eq!(place(&branches(2, &[(2, 2, 2, 14)]), 0, 11), Place::Left);
        assert_eq!(place(&branches(1, &[(1, 2, 2, 14), (2, 1, 1, 14)]), 0, 11), Place::Left);
    }

    /// `keccak256(1)`: Solidity, "Mappings and Dynamic Arrays".
    #[test]
    fn branches_begin_where_solidity_puts_the_array() {
        let first: B256 = "0xb10e2d527612073b26eecdfd717e6a320cf44b4afac2b0732d9fcbe2b7fa0cf6".parse().expect("hex");
        assert_eq!(B256::from(branch_slot(0)), first);
        assert_eq!(branch_slot(3), branch_slot(0) + U256::from(3));
    }
}
