//! A child that pays for its parent: it spends the anchor that anybody may spend, and coins of whoever pays.
//!
//! ```text
//!  parent  (version 3, waits)   [.., anchor 240 sat] --\
//!  coins of the payer, confirmed ----------------------+--> child (version 3, at most 1,000 vB) --> back to the payer
//! ```
//! Miners look at both together: the child's fee makes up for what the parent's lacks. BIP431 allows one child for a parent that
//! waits; a second one replaces the first if it pays more.

use bitcoin::{Amount, FeeRate, OutPoint, Transaction, TxOut, Txid};

use crate::vault_tx::{ANCHOR, ANCHOR_SCRIPT};

/// Virtual bytes of a child at most, so that it is cheap to replace (BIP431, rule 5).
pub const MAX_CHILD_VSIZE: u64 = 1_000;

/// A transaction that waits, and what it pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    pub transaction: Transaction,
    pub fee: Amount,
}

/// Why no child helps a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoChild {
    #[error("it has no anchor output (240 sat to 51024e73): only its owner can raise its fee")]
    NoAnchor,
    #[error("it pays {paid_sat_per_kvb} sat/kvB already, and {asked_sat_per_kvb} sat/kvB were asked for")]
    PaysEnough { paid_sat_per_kvb: u64, asked_sat_per_kvb: u64 },
    #[error(
        "the coins of the wallet are too small: more than a child of {MAX_CHILD_VSIZE} vB may spend would be needed"
    )]
    TooManyCoins,
    #[error(
        "its child {child} is this wallet's and pays {paid} already; one in its place has to pay {least} or more, and at this rate it would pay {asked}: a higher --fee-rate"
    )]
    PaysLess { child: Txid, paid: Amount, least: Amount, asked: Amount },
}

/// A child that waits, and that another one may replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub txid: Txid,
    pub fee: Amount,
    pub vsize: u64,
}

impl Waiting {
    /// What another one of this size has to pay, so that nodes let it take this one's place: more in all, for its own size once more, and more for each byte (BIP125, rules 3 and 4, and Bitcoin Core's about rates).
    #[must_use]
    pub fn least_fee(&self, vsize: u64) -> Amount {
        let relay = FeeRate::BROADCAST_MIN.fee_vb(vsize).unwrap_or(Amount::MAX_MONEY);
        let by_rate = u128::from(self.fee.to_sat()) * u128::from(vsize) / u128::from(self.vsize.max(1)) + 1;
        let by_rate = Amount::from_sat(u64::try_from(by_rate).unwrap_or(u64::MAX));
        by_rate.max(self.fee.checked_add(relay).unwrap_or(Amount::MAX_MONEY))
    }
}

impl Parent {
    /// What the transaction pays by itself, in sat for 1,000 vB.
    #[must_use]
    pub fn sat_per_kvb(&self) -> u64 {
        self.fee.to_sat().saturating_mul(1_000) / self.vsize().max(1)
    }

    fn vsize(&self) -> u64 {
        self.transaction.vsize() as u64
    }

    /// The output that its child spends.
    ///
    /// # Errors
    /// [`NoChild::NoAnchor`].
    pub fn anchor(&self) -> Result<OutPoint, NoChild> {
        let is_anchor =
            |output: &TxOut| output.value == ANCHOR && output.script_pubkey.as_bytes() == ANCHOR_SCRIPT.as_slice();
        let vout = self.transaction.output.iter().position(is_anchor).ok_or(NoChild::NoAnchor)?;
        let vout = u32::try_from(vout).map_err(|_| NoChild::NoAnchor)?;
        Ok(OutPoint::new(self.transaction.compute_txid(), vout))
    }

    /// The fee of a child that spends so many coins, so that both together pay `rate`; at least what makes nodes relay it.
    ///
    /// # Errors
    /// [`NoChild::PaysEnough`].
    pub fn child_fee(&self, coins: u64, rate: FeeRate) -> Result<Amount, NoChild> {
        let size = child_vsize(coins);
        let together = rate.fee_vb(self.vsize() + size).unwrap_or(Amount::MAX_MONEY);
        let alone = FeeRate::BROADCAST_MIN.fee_vb(size).unwrap_or(Amount::MAX_MONEY);
        match together.checked_sub(self.fee) {
            Some(fee) if rate.fee_vb(self.vsize()).unwrap_or(Amount::MAX_MONEY) > self.fee => Ok(fee.max(alone)),
            _ => Err(NoChild::PaysEnough {
                paid_sat_per_kvb: self.sat_per_kvb(),
                asked_sat_per_kvb: rate.to_sat_per_kwu().saturating_mul(4),
            }),
        }
    }
}

/// Size of a child with the anchor, so many coins of key path spends, and one P2TR output.
#[must_use]
pub fn child_vsize(coins: u64) -> u64 {
    const BASE: u64 = 4 + 1 + 41 + 1 + 43 + 4;
    // Marker and flag; the anchor's empty witness; 64-byte signatures.
    let weight = 4 * (BASE + 41 * coins) + 2 + 1 + 66 * coins;
    weight.div_ceil(4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::consensus;

    use crate::vault_tx::example;

    fn parent(fee: u64) -> Parent {
        let (bytes, _) = example::example();
        Parent { transaction: consensus::deserialize(&bytes).expect("a transaction"), fee: Amount::from_sat(fee) }
    }

    #[test]
    fn both_together_pay_what_is_asked_and_the_child_no_less_than_what_is_relayed() {
        let rate = FeeRate::from_sat_per_vb_u32(20);
        let parent_vsize = parent(0).vsize();
        for paid in [0, 100, parent_vsize, 20 * parent_vsize - 1] {
            let fee = parent(paid).child_fee(1, rate).expect("it lacks something");
            let together = fee + Amount::from_sat(paid);
            assert!(together >= rate.fee_vb(parent_vsize + child_vsize(1)).expect("small"), "{together}");
            assert!(fee >= Amount::from_sat(child_vsize(1)));
        }
    }

    #[test]
    fn who_pays_enough_already_gets_no_child() {
        let rate = FeeRate::from_sat_per_vb_u32(20);
        let vsize = parent(0).vsize();
        let refused = parent(20 * vsize).child_fee(1, rate).expect_err("it pays that");
        assert_eq!(refused, NoChild::PaysEnough { paid_sat_per_kvb: 20_000, asked_sat_per_kvb: 20_000 });
    }

    #[test]
    fn a_child_in_anothers_place_pays_more_in_all_and_for_each_byte() {
        use bitcoin::hashes::Hash as _;
        let waiting = |fee, vsize| Waiting { txid: Txid::all_zeros(), fee: Amount::from_sat(fee), vsize };
        assert_eq!(waiting(1_000, 150).least_fee(150), Amount::from_sat(1_150));
        assert_eq!(waiting(1_000, 150).least_fee(300), Amount::from_sat(2_001), "twice the size at no lower rate");
    }

    #[test]
    fn a_transaction_without_anchor_has_no_child() {
        let mut parent = parent(1);
        assert!(parent.anchor().is_ok());
        parent.transaction.output.pop();
        assert_eq!(parent.anchor(), Err(NoChild::NoAnchor));
    }
}
