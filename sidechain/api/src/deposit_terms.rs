//! The terms of a deposit as others write them: one type, [`DepositTerms`], with conversions to and from its two encodings.
//!
//! ```text
//!  peg::Terms (JSON-RPC) <--> mainchain::deposit::DepositTerms     peg::Terms --> IDeposits::Terms (call of Deposits)
//! ```

use alloy_primitives::B256;
use bitcoin::Amount;
use bitcoin::secp256k1::{Error as KeyError, XOnlyPublicKey};
use contracts::IDeposits;
use mainchain::deposit::DepositTerms;

use crate::peg::Terms;

impl From<&DepositTerms> for Terms {
    fn from(terms: &DepositTerms) -> Self {
        Self {
            recipient: terms.recipient.into(),
            claimant: terms.claimant.into(),
            reclaim_key: B256::from(terms.reclaim_key.serialize()),
            max_fee_sat: terms.max_fee.to_sat(),
            data_hash: terms.data_hash.into(),
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
            claimant: terms.claimant.into_array(),
            reclaim_key: XOnlyPublicKey::from_slice(terms.reclaim_key.as_slice())?,
            max_fee: Amount::from_sat(terms.max_fee_sat),
            data_hash: terms.data_hash.0,
            epoch: terms.epoch,
        })
    }
}

impl From<Terms> for IDeposits::Terms {
    fn from(terms: Terms) -> Self {
        let Terms { recipient, claimant, reclaim_key, max_fee_sat, data_hash, epoch } = terms;
        Self { recipient, claimant, reclaimKey: reclaim_key, maxFeeSat: max_fee_sat, dataHash: data_hash, epoch }
    }
}

impl From<IDeposits::Terms> for Terms {
    fn from(terms: IDeposits::Terms) -> Self {
        let IDeposits::Terms { recipient, claimant, reclaimKey, maxFeeSat, dataHash, epoch } = terms;
        Self { recipient, claimant, reclaim_key: reclaimKey, max_fee_sat: maxFeeSat, data_hash: dataHash, epoch }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_keep_their_values_in_every_encoding() {
        let key = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798".parse().expect("the generator");
        let terms = DepositTerms {
            recipient: [7; 20],
            claimant: [8; 20],
            reclaim_key: key,
            max_fee: Amount::from_sat(5_000),
            data_hash: [9; 32],
            epoch: 3,
        };
        let json = Terms::from(&terms);
        assert_eq!(DepositTerms::try_from(&json), Ok(terms));
        let call = IDeposits::Terms::from(json);
        assert_eq!((call.recipient, call.claimant), (json.recipient, json.claimant));
        assert_eq!((call.reclaimKey, call.dataHash), (json.reclaim_key, json.data_hash));
        assert_eq!((call.maxFeeSat, call.epoch), (5_000, 3));
        assert_eq!(Terms::from(call), json);
    }

    #[test]
    fn a_reclaim_key_that_is_not_a_point_is_refused() {
        let account = [7; 20].into();
        let terms = Terms {
            recipient: account,
            claimant: account,
            reclaim_key: B256::ZERO,
            max_fee_sat: 1,
            data_hash: B256::ZERO,
            epoch: 1,
        };
        assert!(DepositTerms::try_from(&terms).is_err());
    }
}
