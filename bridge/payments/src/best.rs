//! The voucher to claim with, of those that somebody kept.

use crate::account_signature::Parts;
use crate::channel::Channel;
use crate::payee::Refused;
use crate::typed_data::Domain;
use crate::voucher::SignedVoucher;

/// The voucher that the contract pays most for, as the contract wants it, and why each with a larger total was left out.
#[must_use]
pub fn best_voucher(
    domain: &Domain,
    channel: &Channel,
    mut vouchers: Vec<SignedVoucher>,
) -> (Option<SignedVoucher>, Vec<(SignedVoucher, Refused)>) {
    vouchers.sort_by_key(|signed| std::cmp::Reverse(signed.voucher.cumulative_amount));
    let mut left_out = Vec::new();
    for signed in vouchers {
        match claimable(domain, channel, &signed) {
            Ok(best) => return (Some(best), left_out),
            Err(refused) => left_out.push((signed, refused)),
        }
    }
    (None, left_out)
}

fn claimable(domain: &Domain, channel: &Channel, signed: &SignedVoucher) -> Result<SignedVoucher, Refused> {
    let (id, got) = (signed.voucher.channel_id, signed.voucher.cumulative_amount);
    if id != channel.id {
        return Err(Refused::UnknownChannel { id });
    }
    if channel.finalized {
        return Err(Refused::Closed { id });
    }
    if got <= channel.settled {
        return Err(Refused::Spent { got, highest: channel.settled });
    }
    if got > channel.deposit {
        return Err(Refused::BeyondDeposit { got, deposit: channel.deposit });
    }
    Parts::of(&signed.signature)?;
    signed.claimable(domain, channel.signer).ok_or(Refused::NotTheSigner { signer: channel.signer })
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, B256};
    use secp256k1::SecretKey;

    use super::*;
    use crate::account_signature::{BadForm, address_of};
    use crate::voucher::Voucher;

    #[test]
    fn the_largest_that_the_contract_would_pay_is_claimed_and_the_others_say_why_not() {
        let domain = Domain::new(1, Address::repeat_byte(5));
        let [key, stranger] = [1, 2].map(|byte| SecretKey::from_slice(&[byte; 32]).unwrap());
        let (id, signer) = (B256::repeat_byte(7), address_of(&key));
        let channel = Channel { settled: 10, ..Channel::opened(id, Address::ZERO, Address::ZERO, signer, 100) };
        let sign = |total, key| Voucher { channel_id: id, cumulative_amount: total }.sign(&domain, key);
        let short = SignedVoucher { signature: vec![1; 64].into(), ..sign(85, &key) };
        let all = vec![sign(20, &key), sign(101, &key), sign(90, &stranger), short.clone(), sign(80, &key)];
        let (best, left_out) = best_voucher(&domain, &channel, all);
        assert_eq!(best, Some(sign(80, &key)));
        let want = [
            (sign(101, &key), Refused::BeyondDeposit { got: 101, deposit: 100 }),
            (sign(90, &stranger), Refused::NotTheSigner { signer }),
            (short, Refused::BadForm(BadForm::Length { got: 64 })),
        ];
        assert_eq!(left_out, want);
        let (none, why) = best_voucher(&domain, &channel, vec![sign(10, &key)]);
        assert_eq!((none, why[0].1), (None, Refused::Spent { got: 10, highest: 10 }));
    }
}
