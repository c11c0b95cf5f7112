//! How long old state, proofs and blocks are kept.

use std::sync::atomic::{AtomicU64, Ordering};

use super::rows::{META_BODIES_OLDEST, META_NODES_OLDEST, META_STATE_OLDEST, block_number, stored_begin};
use crate::state::store::{Batch, Store, StoreError, Table};

/// The contracts whose logs are kept for ever: the peg's.
pub(super) const PEG: [alloy_primitives::Address; 6] = crate::execution::FREE_CONTRACTS;

/// How long what is old is kept, in blocks behind the head; `None`: for ever.
///
/// It may be changed at any start. What becomes too much is removed in steps with the next blocks; what was removed does not come
/// back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// State can be read (`eth_call`, `eth_getBalance`). About 70 bytes for each account or slot that a block changes.
    pub state_blocks: Option<u64>,
    /// State can be proved (`eth_getProof`). About 120 bytes more for each of them, in a state of a million accounts.
    pub proof_blocks: Option<u64>,
    /// Transactions and receipts can be read. Headers and certificates stay for ever, and so do blocks in which one of the peg's
    /// contracts logged: a relayer that starts anew reads these from the first block on.
    pub body_blocks: Option<u64>,
}

impl Retention {
    /// Everything, for ever.
    pub const ARCHIVE: Self = Self { state_blocks: None, proof_blocks: None, body_blocks: None };

    /// Least value of `state_blocks` and `proof_blocks`: a request that was begun at the head ends before its state is gone.
    pub const MIN_STATE_BLOCKS: u64 = 128;

    /// Least value of `body_blocks`: validators and followers that were away for a night still catch up from this node, at two blocks
    /// a second.
    pub const MIN_BODY_BLOCKS: u64 = 100_000;

    /// Whether it can be kept: nothing below its least value, and proofs no longer than state, whose values they show.
    ///
    /// # Errors
    ///
    /// Which value is wrong, and what it may be.
    pub fn check(&self) -> Result<(), String> {
        let least = [
            ("state", self.state_blocks, Self::MIN_STATE_BLOCKS),
            ("proofs", self.proof_blocks, Self::MIN_STATE_BLOCKS),
            ("blocks", self.body_blocks, Self::MIN_BODY_BLOCKS),
        ];
        for (name, blocks, least) in least {
            if let Some(blocks) = blocks.filter(|blocks| *blocks < least) {
                return Err(format!("{name} = {blocks} is too few blocks, at least {least}"));
            }
        }
        match (self.state_blocks, self.proof_blocks) {
            (Some(state), None) => Err(format!("proofs of all blocks need state = \"all\", got {state}")),
            (Some(state), Some(proofs)) if proofs > state => {
                Err(format!("proofs = {proofs} is more than state = {state}: a proof shows values of the state"))
            }
            _ => Ok(()),
        }
    }
}

impl Default for Retention {
    /// Half a day of state, and almost three hours of proofs, when blocks are a second apart; an hour and a half, and a quarter of an hour, at
    /// the fastest; all blocks.
    fn default() -> Self {
        Self { state_blocks: Some(50_000), proof_blocks: Some(10_000), body_blocks: None }
    }
}

/// From which block on something is there.
pub(super) struct Window {
    /// In the words of an error.
    what: &'static str,
    /// Where the oldest block is noted in the store.
    meta: &'static [u8],
    /// Readers are told before the rows are gone.
    oldest: AtomicU64,
    /// The block of which the state was copied, 0 for genesis.
    began: u64,
    /// Block up to which rows were removed. In memory alone, except that it begins where a store says.
    pub(super) swept: AtomicU64,
}

impl Window {
    fn load<S: Store>(store: &S, what: &'static str, meta: &'static [u8]) -> Result<Self, StoreError> {
        let oldest = store.get(Table::Meta, meta)?.map_or(Ok(0), |row| block_number(Table::Meta, &row))?;
        Ok(Self { what, meta, oldest: oldest.into(), began: stored_begin(store)?, swept: AtomicU64::new(0) })
    }

    pub(super) fn oldest(&self) -> u64 {
        self.oldest.load(Ordering::SeqCst)
    }

    /// An error for a block before the oldest.
    pub(super) fn check(&self, number: u64) -> Result<(), StoreError> {
        let (what, began, oldest) = (self.what, self.began, self.oldest());
        if number < oldest { Err(StoreError::Pruned { what, number, oldest, began }) } else { Ok(()) }
    }

    /// Makes `oldest` the oldest block, unless a later one is.
    pub(super) fn shrink(&self, batch: &mut Batch, oldest: u64) {
        if self.oldest.fetch_max(oldest, Ordering::SeqCst) < oldest {
            batch.put(Table::Meta, self.meta, oldest.to_be_bytes());
        }
    }
}

/// The oldest block of which state, what proves it, and what is in it can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oldest {
    pub states: u64,
    pub proofs: u64,
    pub bodies: u64,
}

/// What a chain keeps.
pub(super) struct Windows {
    pub(super) states: Window,
    pub(super) proofs: Window,
    pub(super) bodies: Window,
}

impl Windows {
    pub(super) fn load<S: Store>(store: &S) -> Result<Self, StoreError> {
        Ok(Self {
            states: Window::load(store, "state", META_STATE_OLDEST)?,
            proofs: Window::load(store, "what proves the state", META_NODES_OLDEST)?,
            bodies: Window::load(store, "what is in the block", META_BODIES_OLDEST)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_a_proof_or_a_request_under_way_needs_cannot_be_configured_away() {
        Retention::default().check().expect("the default is right");
        Retention::ARCHIVE.check().expect("all is right");
        let wrong = |change: fn(&mut Retention)| {
            let mut retention = Retention::default();
            change(&mut retention);
            retention.check().expect_err("wrong")
        };
        assert!(wrong(|retention| retention.state_blocks = Some(127)).contains("state = 127"));
        assert!(wrong(|retention| retention.proof_blocks = Some(0)).contains("at least 128"));
        assert!(wrong(|retention| retention.proof_blocks = Some(50_001)).contains("more than state = 50000"));
        assert!(wrong(|retention| retention.proof_blocks = None).contains("all"));
        assert!(wrong(|retention| retention.body_blocks = Some(99_999)).contains("blocks = 99999"));
    }
}
