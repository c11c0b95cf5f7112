//! How far a vault transaction has come, between the ledger, Bitcoin and this relayer, and its next need.

use bitcoin::BlockHash;
use mainchain::header::Height;

use super::confirmations::Depths;
use super::deposit_tracker::Position;
use crate::peg::VaultStatus;

/// Where a vault transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub status: VaultStatus,
    pub required_confirmations: u32,
    /// Confirmations of the block it settled in, by the light client; zero when that block left the best chain.
    pub settled_confirmations: u32,
    /// Whether its signatures are known here.
    pub signed: bool,
    /// Where its own bitcoind sees it.
    pub seen: Seen,
}

/// Where bitcoind sees a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It does not answer.
    Unknown,
    Nowhere,
    Mempool,
    /// In its best chain; confirmations by the light client, zero while that does not know the block.
    Block {
        hash: BlockHash,
        confirmations: u32,
    },
}

/// Where a transaction is, by bitcoind alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Nowhere,
    Mempool,
    /// In a block of its best chain.
    Block(Position),
}

/// What bitcoind is asked to place a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceQuestion {
    /// How often is its output 0 confirmed, while it is unspent (0: in the mempool)?
    OutputConfirmations,
    /// Which block is at this height?
    HashAt(u32),
    /// Is the transaction in the mempool?
    InMempool,
}

/// The search for a transaction that was not seen in a block that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceSearch {
    Ask(PlaceQuestion),
    Found(Place),
}

impl PlaceSearch {
    /// `mined` is the block it was seen in, if it was.
    #[must_use]
    pub fn new(mined: Option<Position>) -> Self {
        match mined {
            Some(block) => Self::Found(Place::Block(block)),
            None => Self::Ask(PlaceQuestion::OutputConfirmations),
        }
    }

    /// Answers `OutputConfirmations`: none when the output is not there. `tip_height` is that of bitcoind's best block.
    #[must_use]
    pub fn output(confirmations: Option<u32>, tip_height: Height) -> Self {
        match confirmations {
            // Its vault output may be spent already: by the next vault transaction, before a reorganisation.
            None => Self::Ask(PlaceQuestion::InMempool),
            Some(0) => Self::Found(Place::Mempool),
            Some(confirmations) => Self::Ask(PlaceQuestion::HashAt((tip_height + 1).saturating_sub(confirmations))),
        }
    }

    /// Answers `HashAt`; none when a reorganisation came in between.
    #[must_use]
    pub fn hash_at(height: Height, hash: Option<BlockHash>) -> Self {
        Self::Found(hash.map_or(Place::Nowhere, |hash| Place::Block(Position { height, hash })))
    }

    /// Answers `InMempool`.
    #[must_use]
    pub fn in_mempool(is_there: bool) -> Self {
        Self::Found(if is_there { Place::Mempool } else { Place::Nowhere })
    }
}

impl Seen {
    /// What a place means to the ledger, whose light client counts confirmations. `place` is none while bitcoind does not
    /// answer.
    #[must_use]
    pub fn at(place: Option<Place>, status: VaultStatus, depths: &Depths) -> Self {
        match place {
            // The light client alone decides what becomes of a settled one.
            _ if status == VaultStatus::Settled => Self::Unknown,
            None => Self::Unknown,
            Some(Place::Nowhere) => Self::Nowhere,
            Some(Place::Mempool) => Self::Mempool,
            Some(Place::Block(block)) => {
                Self::Block { hash: block.hash, confirmations: depths.confirmations_at(block.height) }
            }
        }
    }
}

impl Progress {
    /// Once bitcoind has seen it, somebody had all its signatures.
    #[must_use]
    pub fn wants_signatures(&self) -> bool {
        !self.signed && self.status != VaultStatus::Settled && matches!(self.seen, Seen::Unknown | Seen::Nowhere)
    }

    /// Signed, and nowhere on Bitcoin.
    #[must_use]
    pub fn wants_broadcast(&self) -> bool {
        self.signed && self.status != VaultStatus::Settled && self.seen == Seen::Nowhere
    }

    /// The block to prove to the ledger, once it is deep enough. Also of one that is settled in a block that left the best
    /// chain, and was mined again since.
    #[must_use]
    pub fn provable_block(&self) -> Option<BlockHash> {
        match self.seen {
            Seen::Block { hash, confirmations }
                if confirmations >= self.required_confirmations.max(1)
                    && (self.status != VaultStatus::Settled || self.settled_confirmations == 0) =>
            {
                Some(hash)
            }
            _ => None,
        }
    }

    /// Whether the best chain no longer holds a settled one, which anyone may show (`VaultTransactions.unsettle`).
    #[must_use]
    pub fn is_dropped(&self) -> bool {
        self.status == VaultStatus::Settled && self.settled_confirmations == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::example::position;

    #[test]
    fn a_transaction_is_placed_by_as_few_questions_as_it_takes() {
        let block = position(9);
        assert_eq!(PlaceSearch::new(Some(block)), PlaceSearch::Found(Place::Block(block)));
        assert_eq!(PlaceSearch::new(None), PlaceSearch::Ask(PlaceQuestion::OutputConfirmations));
        assert_eq!(PlaceSearch::output(Some(0), 10), PlaceSearch::Found(Place::Mempool));
        assert_eq!(PlaceSearch::output(Some(2), 10), PlaceSearch::Ask(PlaceQuestion::HashAt(9)));
        assert_eq!(PlaceSearch::hash_at(9, Some(block.hash)), PlaceSearch::Found(Place::Block(block)));
        assert_eq!(
            PlaceSearch::hash_at(9, None),
            PlaceSearch::Found(Place::Nowhere),
            "a reorganisation came in between"
        );
    }

    #[test]
    fn one_whose_vault_output_is_spent_in_the_mempool_is_there_too() {
        assert_eq!(PlaceSearch::output(None, 10), PlaceSearch::Ask(PlaceQuestion::InMempool));
        assert_eq!(PlaceSearch::in_mempool(true), PlaceSearch::Found(Place::Mempool));
        assert_eq!(PlaceSearch::in_mempool(false), PlaceSearch::Found(Place::Nowhere));
    }
}
