//! The terms of a deposit as others write them: one type, [`DepositTerms`], with conversions to and from its two encodings.
//!
//! ```text
//!  peg::Terms (JSON-RPC) <--> mainchain::deposit::DepositTerms     peg::Terms --> IBridge::DepositTerms (call of the Bridge)
//! ```

use alloy_primitives::B256;
use bitcoin::Amount;
use bitcoin::secp256k1::{Error as KeyError, XOnlyPublicKey};
use contracts::IBridge;
use mainchain::deposit::DepositTerms;

use crate::peg::Terms;

impl From<&DepositTerms> for Terms {
    fn from(terms: &DepositTerms) -> Self {
        Self {
            recipient: terms.recipient.into(),
            reclaim_key: B256::from(terms.reclaim_key.serialize()),
            max_fee_sat: terms.max_fee.to_sat(),
            epoch: terms.epoch,
        }
    }
}

impl TryFrom<&Terms> for DepositTerms {
    type Error = KeyError;

    /// Fails when the reclaim key is not the x coordinate of a point: nobody can have paid such an address.
    fn try_from(terms: &Terms) -> Result<Self, KeyError> {
        Ok(Self {
            recipient: terms.recipient.into_array(),
            reclaim_key: XOnlyPublicKey::from_slice(terms.reclaim_key.as_slice())?,
            max_fee: Amount::from_sat(terms.max_fee_sat),
            epoch: terms.epoch,
        })
    }
}

impl From<Terms> for IBridge::DepositTerms {
    fn from(terms: Terms) -> Self {
        let Terms { recipient, reclaim_key, max_fee_sat, epoch } = terms;
        Self { recipient, reclaimKey: reclaim_key, maxFeeSat: max_fee_sat, epoch }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_keep_their_values_in_every_encoding() {
        let key = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798".parse().expect("the generator");
        let terms = DepositTerms { recipient: [7; 20], reclaim_key: key, max_fee: Amount::from_sat(5_000), epoch: 3 };
        let json = Terms::from(&terms);
        assert_eq!(DepositTerms::try_from(&json), Ok(terms));
        let call = IBridge::DepositTerms::from(json);
        assert_eq!((call.recipient, call.reclaimKey), (json.recipient, json.reclaim_key));
        assert_eq!((call.maxFeeSat, call.epoch), (5_000, 3));
    }

    #[test]
    fn a_reclaim_key_that_is_not_a_point_is_refused() {
        let terms = Terms { recipient: [7; 20].into(), reclaim_key: B256::ZERO, max_fee_sat: 1, epoch: 1 };
        assert!(DepositTerms::try_from(&terms).is_err());
    }
}
