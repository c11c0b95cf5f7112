//! What payers and payees ask of the contract `MicroChannel`, as calldata: what the crate `payments` decides, in the contract's own words.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall as _;
use contracts::{IMicroChannel, MicroChannel};
use payments::authorization::{Authorization, SignedAuthorization};
use payments::payee::claims::Claim;
use payments::terms::{Split, Terms, open_nonce, top_up_nonce};
use payments::typed_data::Domain;
use payments::voucher::SignedVoucher;

/// A channel that is to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// It opens on no other one, whatever that one's chain id is.
    pub network: B256,
    pub terms: Terms,
    /// In the token's smallest unit.
    pub deposit: u128,
    pub splits: Vec<Split>,
}

impl Opening {
    /// `openOnNetwork`: of the coin, the deposit goes with it; of a token, the contract fetches what it was allowed.
    #[must_use]
    pub fn call(&self) -> Bytes {
        let (recipients, bps) = parts(&self.splits);
        let call = MicroChannel::openOnNetworkCall {
            network: self.network,
            payee: self.terms.payee,
            token: self.terms.token,
            deposit: self.deposit,
            salt: self.terms.salt,
            authorizedSigner: self.terms.authorized_signer,
            splitRecipients: recipients,
            splitBps: bps,
        };
        call.abi_encode().into()
    }

    /// What the payer signs, so that anybody may bring the deposit for this channel, and for no other purpose.
    #[must_use]
    pub fn authorization(&self, domain: &Domain, valid_before: u64) -> Authorization {
        let nonce = open_nonce(self.network, self.terms.channel_id(domain), &self.splits);
        let (from, to) = (self.terms.payer, domain.contract());
        Authorization { from, to, value: self.deposit, valid_after: 0, valid_before, nonce }
    }

    /// `openWithAuthorization`; none if its signature is no signature.
    #[must_use]
    pub fn call_with(&self, signed: &SignedAuthorization) -> Option<Bytes> {
        let (v, r, s) = signed.parts()?;
        let (recipients, bps) = parts(&self.splits);
        let call = MicroChannel::openWithAuthorizationCall {
            payee: self.terms.payee,
            token: self.terms.token,
            deposit: self.deposit,
            salt: self.terms.salt,
            authorizedSigner: self.terms.authorized_signer,
            from: signed.authorization.from,
            validAfter: U256::from(signed.authorization.valid_after),
            validBefore: U256::from(signed.authorization.valid_before),
            nonce: signed.authorization.nonce,
            v,
            r,
            s,
            splitRecipients: recipients,
            splitBps: bps,
        };
        Some(call.abi_encode().into())
    }
}

/// What a payer signs to top its channel up. `number`: below 2^96, another one each time.
#[must_use]
pub fn top_up_authorization(
    network: B256,
    domain: &Domain,
    (payer, channel): (Address, B256),
    amount: u128,
    number: u128,
    valid_before: u64,
) -> Authorization {
    let nonce = top_up_nonce(network, channel, number);
    Authorization { from: payer, to: domain.contract(), value: amount, valid_after: 0, valid_before, nonce }
}

/// `topUpWithAuthorization`; none if its signature is no signature.
#[must_use]
pub fn top_up_with(channel: B256, signed: &SignedAuthorization) -> Option<Bytes> {
    let (v, r, s) = signed.parts()?;
    let Authorization { from, value, valid_after, valid_before, nonce, .. } = signed.authorization;
    let call = MicroChannel::topUpWithAuthorizationCall {
        channelId: channel,
        additionalDeposit: value,
        from,
        validAfter: U256::from(valid_after),
        validBefore: U256::from(valid_before),
        nonce,
        v,
        r,
        s,
    };
    Some(call.abi_encode().into())
}

/// One claim, by anybody for the payee: of a voucher, an opened lock, or a stream's ticks.
#[must_use]
pub fn claim(claim: &Claim) -> Bytes {
    match claim {
        Claim::Voucher(SignedVoucher { voucher, signature }) => MicroChannel::claimCall {
            channelId: voucher.channel_id,
            cumulativeAmount: voucher.cumulative_amount,
            signature: signature.clone(),
        }
        .abi_encode(),
        Claim::Locked { voucher: signed, preimage } => MicroChannel::claimLockedCall {
            channelId: signed.voucher.channel_id,
            cumulativeAmount: signed.voucher.cumulative_amount,
            lock: IMicroChannel::Lock {
                lockedAmount: signed.voucher.locked_amount,
                sha256Hash: signed.voucher.sha256_hash,
                lockExpiry: signed.voucher.lock_expiry,
            },
            preimage: *preimage,
            signature: signed.signature.clone(),
        }
        .abi_encode(),
        Claim::Stream { stream, ticks, tick } => MicroChannel::claimStreamCall {
            channelId: stream.terms.channel_id,
            cumulativeAmount: stream.terms.cumulative_amount,
            stream: IMicroChannel::Stream {
                tickAmount: stream.terms.tick_amount,
                ticks: stream.terms.ticks,
                root: stream.terms.root,
            },
            ticks: *ticks,
            tick: *tick,
            signature: stream.signature.clone(),
        }
        .abi_encode(),
    }
    .into()
}

/// `claimMany`: vouchers of many channels, for whoever is their payee.
#[must_use]
pub fn claim_many(vouchers: &[SignedVoucher]) -> Bytes {
    let voucher = |signed: &SignedVoucher| IMicroChannel::Voucher {
        channelId: signed.voucher.channel_id,
        cumulativeAmount: signed.voucher.cumulative_amount,
    };
    let call = MicroChannel::claimManyCall {
        vouchers: vouchers.iter().map(voucher).collect(),
        signatures: vouchers.iter().map(|signed| signed.signature.clone()).collect(),
    };
    call.abi_encode().into()
}

fn parts(splits: &[Split]) -> (Vec<Address>, Vec<u16>) {
    splits.iter().map(|split| (split.recipient, split.bps)).unzip()
}

#[cfg(test)]
mod tests {
    use contracts::address::MICRO_CHANNEL;
    use payments::locked::{LockedVoucher, SignedLockedVoucher};
    use payments::stream::{SignedStream, StreamTerms};
    use payments::voucher::Voucher;

    use super::*;

    const ID: B256 = B256::repeat_byte(7);
    const SIGNATURE: Bytes = Bytes::from_static(&[9; 65]);

    #[test]
    fn a_top_up_names_its_channel_and_number_by_its_nonce_and_carries_the_signature_in_parts() {
        let (network, domain) = (B256::repeat_byte(1), Domain::new(5, MICRO_CHANNEL));
        let payer = Address::repeat_byte(2);
        let authorization = top_up_authorization(network, &domain, (payer, ID), 40, 3, 1_000);
        assert_eq!((authorization.to, authorization.nonce), (MICRO_CHANNEL, top_up_nonce(network, ID, 3)));
        let signature: Bytes = [[1; 32].as_slice(), &[2; 32], &[28]].concat().into();
        let signed = SignedAuthorization { authorization, signature };
        let input = top_up_with(ID, &signed).expect("65 bytes");
        let call = MicroChannel::topUpWithAuthorizationCall::abi_decode(&input).expect("its own bytes");
        assert_eq!((call.channelId, call.additionalDeposit, call.from), (ID, 40, payer));
        assert_eq!((call.v, call.r, call.s), (28, B256::repeat_byte(1), B256::repeat_byte(2)));
        assert_eq!((call.validAfter, call.validBefore), (U256::ZERO, U256::from(1_000)));
        assert_eq!(top_up_with(ID, &SignedAuthorization { signature: Bytes::new(), authorization }), None);
    }

    #[test]
    fn each_kind_of_claim_is_made_by_its_own_function_with_all_that_was_signed() {
        let voucher = SignedVoucher { voucher: Voucher { channel_id: ID, cumulative_amount: 5 }, signature: SIGNATURE };
        let call = MicroChannel::claimCall::abi_decode(&claim(&Claim::Voucher(voucher))).expect("claim");
        assert_eq!((call.channelId, call.cumulativeAmount, call.signature), (ID, 5, SIGNATURE));

        let (sha256_hash, preimage) = (B256::repeat_byte(3), B256::repeat_byte(4));
        let locked =
            LockedVoucher { channel_id: ID, cumulative_amount: 5, locked_amount: 6, sha256_hash, lock_expiry: 8 };
        let locked = Claim::Locked { voucher: SignedLockedVoucher { voucher: locked, signature: SIGNATURE }, preimage };
        let call = MicroChannel::claimLockedCall::abi_decode(&claim(&locked)).expect("claimLocked");
        assert_eq!((call.cumulativeAmount, call.lock.lockedAmount, call.lock.lockExpiry), (5, 6, 8));
        assert_eq!((call.lock.sha256Hash, call.preimage, call.signature), (sha256_hash, preimage, SIGNATURE));

        let root = B256::repeat_byte(3);
        let terms = StreamTerms { channel_id: ID, cumulative_amount: 5, tick_amount: 6, ticks: 7, root };
        let stream = Claim::Stream { stream: SignedStream { terms, signature: SIGNATURE }, ticks: 2, tick: preimage };
        let call = MicroChannel::claimStreamCall::abi_decode(&claim(&stream)).expect("claimStream");
        assert_eq!((call.cumulativeAmount, call.stream.tickAmount, call.stream.ticks), (5, 6, 7));
        assert_eq!((call.stream.root, call.ticks, call.tick, call.signature), (root, 2, preimage, SIGNATURE));
    }
}
