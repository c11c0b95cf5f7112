//! The parent's hash in the state, where contracts can read it. EIP-2935.

use alloy_primitives::U256;
use contracts::standard::{BLOCK_HASH_HISTORY, BLOCK_HASH_WINDOW};

use crate::{
    block::Header,
    state::{StateReader, Working, store::StoreError},
};

/// Does what the EIP's system call does at the start of a block, by writing the slot, as the EIP allows.
pub(super) fn record_parent<R: StateReader>(working: &mut Working<'_, R>, header: &Header) -> Result<(), StoreError> {
    let parent = header.number.saturating_sub(1);
    working.set_storage(BLOCK_HASH_HISTORY, slot(parent), header.parent_hash.into())
}

/// Where the hash of a block is kept, for as many blocks as the window has.
pub fn slot(number: u64) -> U256 {
    U256::from(number % BLOCK_HASH_WINDOW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_of_8191_blocks_share_the_slots() {
        assert_eq!(slot(0), U256::ZERO);
        assert_eq!(slot(8190), U256::from(8190));
        assert_eq!(slot(8191), U256::ZERO);
        assert_eq!(slot(8191 * 3 + 5), U256::from(5));
    }
}
