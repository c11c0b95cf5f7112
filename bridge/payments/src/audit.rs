//! What a payee's own receipts show against it.
//!
//! Each receipt says what all requests so far cost, so the last one bounds what may be settled, and any two of them must fit each other. Whoever gets the receipts, and
//! what the chain says was settled, comes to the same finding.

use alloy_primitives::Address;

use crate::receipt::SignedReceipt;
use crate::typed_data::Domain;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// More was settled than all requests cost, by the last receipt, and what is promised beside.
    Overclaimed { by: u128, last: SignedReceipt },
    /// It says that more was charged than it holds a voucher of, or than the request alone cost.
    Impossible(SignedReceipt),
    /// Both cannot be true: one voucher was taken twice, or the sums do not grow by the prices.
    Contradiction(Box<[SignedReceipt; 2]>),
}

/// Why receipts show nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoEvidence {
    #[error("there is no receipt")]
    None,
    #[error("a receipt is signed by {got:?}, expected {want}")]
    NotThePayee { got: Option<Address>, want: Address },
    #[error("receipts are of different channels")]
    OtherChannel,
}

/// Judges all receipts of one channel that a payer has, in any order. `signer`: who signs the payee's receipts. `settled`: what the chain says was paid out.
/// `promised`: the prices of all requests that were paid for and have no receipt (yet).
///
/// # Errors
///
/// [`NoEvidence`]: not one finding could be shown to others.
pub fn audit(
    domain: &Domain,
    signer: Address,
    receipts: &[SignedReceipt],
    settled: u128,
    promised: u128,
) -> Result<Option<Finding>, NoEvidence> {
    for signed in receipts {
        let got = signed.signer(domain);
        if got != Some(signer) {
            return Err(NoEvidence::NotThePayee { got, want: signer });
        }
        if signed.receipt.channel_id != receipts[0].receipt.channel_id {
            return Err(NoEvidence::OtherChannel);
        }
    }
    let mut ordered: Vec<&SignedReceipt> = receipts.iter().collect();
    ordered.sort_by_key(|signed| (signed.receipt.charged, signed.receipt.cumulative_amount));
    let last = *ordered.last().ok_or(NoEvidence::None)?;
    let impossible = receipts.iter().find(|signed| is_impossible(signed)).cloned().map(Finding::Impossible);
    let by = last.receipt.overclaim(settled, promised);
    let overclaimed = (by > 0).then(|| Finding::Overclaimed { by, last: last.clone() });
    Ok(impossible.or_else(|| contradiction(&ordered)).or(overclaimed))
}

fn is_impossible(signed: &SignedReceipt) -> bool {
    let receipt = &signed.receipt;
    receipt.price > receipt.charged
        || receipt.charged > receipt.highest
        || receipt.cumulative_amount > receipt.highest
        || receipt.price > receipt.cumulative_amount
}

/// Neighbours are enough for the sums: they grow by each price.
fn contradiction(by_charged: &[&SignedReceipt]) -> Option<Finding> {
    let mut by_total = by_charged.to_vec();
    by_total.sort_by_key(|signed| signed.receipt.cumulative_amount);
    let twice = by_total.windows(2).find(|pair| {
        let [a, b] = [&pair[0].receipt, &pair[1].receipt];
        a.cumulative_amount == b.cumulative_amount && a != b
    });
    let unsteady = by_charged.windows(2).find(|pair| {
        let [before, after] = [&pair[0].receipt, &pair[1].receipt];
        before != after
            && (after.charged < before.charged.saturating_add(after.price) || after.highest < before.highest)
    });
    let pair = twice.or(unsteady)?;
    Some(Finding::Contradiction(Box::new([pair[0].clone(), pair[1].clone()])))
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;
    use secp256k1::SecretKey;

    use super::*;
    use crate::account_signature::address_of;
    use crate::receipt::Receipt;

    fn domain() -> Domain {
        Domain::new(51_717, Address::repeat_byte(5))
    }

    fn key() -> SecretKey {
        SecretKey::from_slice(&[2; 32]).unwrap()
    }

    fn receipt(total: u128, price: u128, charged: u128, highest: u128) -> SignedReceipt {
        let receipt = Receipt {
            channel_id: B256::repeat_byte(7),
            cumulative_amount: total,
            price,
            charged,
            highest,
            accepted_at: 0,
            request: B256::ZERO,
        };
        receipt.sign(&domain(), &key())
    }

    fn judge(receipts: &[SignedReceipt], settled: u128, promised: u128) -> Result<Option<Finding>, NoEvidence> {
        audit(&domain(), address_of(&key()), receipts, settled, promised)
    }

    #[test]
    fn what_was_settled_above_the_last_receipt_and_the_promises_beside_it_is_an_overclaim() {
        // The second was overtaken by the first.
        let honest = [receipt(30, 10, 10, 30), receipt(10, 10, 20, 30), receipt(20, 10, 30, 30)];
        assert_eq!(judge(&honest, 30, 0), Ok(None));
        assert_eq!(judge(&honest, 45, 15), Ok(None));
        let finding = Finding::Overclaimed { by: 15, last: honest[2].clone() };
        assert_eq!(judge(&honest, 45, 0), Ok(Some(finding)));
    }

    #[test]
    fn receipts_that_cannot_all_be_true_are_shown_as_a_pair() {
        let pair =
            |a: &SignedReceipt, b: &SignedReceipt| Ok(Some(Finding::Contradiction(Box::new([a.clone(), b.clone()]))));
        let (first, again) = (receipt(30, 10, 10, 30), receipt(30, 10, 20, 30));
        assert_eq!(judge(&[again.clone(), first.clone()], 0, 0), pair(&first, &again), "one voucher, taken twice");
        let cheap = receipt(40, 10, 15, 40);
        assert_eq!(judge(&[first.clone(), cheap.clone()], 0, 0), pair(&first, &cheap), "5 more for a price of 10");
        let forgetful = receipt(20, 10, 20, 20);
        assert_eq!(judge(&[first.clone(), forgetful.clone()], 0, 0), pair(&first, &forgetful), "a voucher was lost");
        assert_eq!(judge(&[first.clone(), first], 0, 0), Ok(None), "the same twice says nothing");
    }

    #[test]
    fn one_that_charges_more_than_it_holds_is_shown_alone_and_what_others_signed_shows_nothing() {
        let greedy = receipt(30, 10, 40, 30);
        assert_eq!(judge(std::slice::from_ref(&greedy), 0, 0), Ok(Some(Finding::Impossible(greedy.clone()))));
        assert_eq!(judge(&[], 0, 0), Err(NoEvidence::None));
        let forged = SignedReceipt { receipt: Receipt { charged: 1, ..greedy.receipt }, ..greedy };
        assert!(matches!(judge(&[forged], 0, 0), Err(NoEvidence::NotThePayee { .. })));
    }
}
