//! Where a vault transaction is on Bitcoin, by its own bitcoind: found by as few questions as it takes.

use bitcoin::BlockHash;
use mainchain::header::Height;

use super::deposit_tracker::Position;

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
    /// The same of its last output, the anchor, which seldom anybody spends.
    AnchorConfirmations,
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
            // Its vault output may be spent already, by the next vault transaction.
            None => Self::Ask(PlaceQuestion::AnchorConfirmations),
            confirmations => Self::anchor(confirmations, tip_height),
        }
    }

    /// Answers `AnchorConfirmations`, in the same way.
    #[must_use]
    pub fn anchor(confirmations: Option<u32>, tip_height: Height) -> Self {
        match confirmations {
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
        assert_eq!(PlaceSearch::output(None, 10), PlaceSearch::Ask(PlaceQuestion::AnchorConfirmations));
        assert_eq!(PlaceSearch::anchor(Some(2), 10), PlaceSearch::Ask(PlaceQuestion::HashAt(9)));
        assert_eq!(PlaceSearch::anchor(None, 10), PlaceSearch::Ask(PlaceQuestion::InMempool));
        assert_eq!(PlaceSearch::in_mempool(true), PlaceSearch::Found(Place::Mempool));
        assert_eq!(PlaceSearch::in_mempool(false), PlaceSearch::Found(Place::Nowhere));
    }
}
