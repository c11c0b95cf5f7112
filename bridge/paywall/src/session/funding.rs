//! Money for a channel that its payer signed for and the payee brings: what must hold before any gas is paid.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall as _;
use contracts::MicroChannel;
use payments::terms::{Terms, open_nonce};
use payments::voucher::SignedVoucher;

use super::offer::Channels;
use super::refused::{SessionRefused, Why};
use crate::authorization::{Authorization, Token};
use crate::clock::{Clock, MARGIN_S};
use crate::refusal::Refusal;

/// The contract's amounts have 88 bits.
const MOST_DEPOSIT: u128 = (1 << 88) - 1;

/// Bytes of a top-up's nonce that name the channel; the rest are the payer's choice (`topUpNonce`).
const BOUND_BYTES: usize = 20;

/// What a payer wants opened.
#[derive(Clone, Debug)]
pub struct Opening<'a> {
    pub channel: B256,
    pub authorization: &'a Authorization,
    pub signature: &'a Bytes,
    pub salt: B256,
    /// Zero: the payer.
    pub authorized_signer: Address,
}

/// A transaction that may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    pub payer: Address,
    pub amount: u128,
    pub input: Bytes,
}

impl Channels {
    /// That a channel's id is made of these.
    ///
    /// # Errors
    ///
    /// `OtherId`.
    pub fn check_id(
        &self,
        token: &Token,
        channel: B256,
        payer: Address,
        salt: B256,
        authorized_signer: Address,
    ) -> Result<(), Refusal> {
        let terms = Terms { payer, payee: self.payee, token: token.contract, salt, authorized_signer };
        let want = terms.channel_id(&self.domain);
        if channel == want {
            Ok(())
        } else {
            Err(SessionRefused::new(channel, Why::OtherId { got: channel, want }).into())
        }
    }

    /// That it opens this channel with enough, and that its first voucher is its signer's.
    ///
    /// # Errors
    ///
    /// One for each thing that can be otherwise.
    pub fn check_opening(
        &self,
        token: &Token,
        opening: &Opening<'_>,
        voucher: &SignedVoucher,
        clock: Clock,
    ) -> Result<Brought, Refusal> {
        let Opening { channel, authorization, signature, salt, authorized_signer } = *opening;
        let payer = authorization.from;
        let refused = |why| Refusal::from(SessionRefused::new(channel, why));
        self.check_id(token, channel, payer, salt, authorized_signer)?;
        let amount = self.check_amount(channel, authorization)?;
        let total = voucher.voucher.cumulative_amount;
        if total > amount {
            return Err(refused(Why::BeyondDeposit { got: total, deposit: amount }));
        }
        let is_bound = authorization.nonce == open_nonce(self.network, channel, &[]);
        let signer = if authorized_signer.is_zero() { payer } else { authorized_signer };
        if !is_bound && signer != payer {
            return Err(refused(Why::Unbound));
        }
        check_times(authorization, clock)?;
        let signature = check_signature(token, authorization, signature, is_bound)?;
        match voucher.signer(&self.domain) {
            Err(_) => return Err(refused(Why::BadSignature)),
            Ok(found) if found != Some(signer) => return Err(refused(Why::OtherSigner)),
            Ok(_) => {}
        }
        let (v, r, s) = parts(&signature);
        let call = MicroChannel::openWithAuthorizationCall {
            payee: self.payee,
            token: token.contract,
            deposit: amount,
            salt,
            authorizedSigner: authorized_signer,
            from: payer,
            validAfter: authorization.valid_after,
            validBefore: authorization.valid_before,
            nonce: authorization.nonce,
            v,
            r,
            s,
            splitRecipients: Vec::new(),
            splitBps: Vec::new(),
        };
        Ok(Brought { payer, amount, input: call.abi_encode().into() })
    }

    /// That it adds enough to this channel, whose payer and signer are these.
    ///
    /// # Errors
    ///
    /// One for each thing that can be otherwise.
    pub fn check_top_up(
        &self,
        token: &Token,
        (channel, payer, signer): (B256, Address, Address),
        authorization: &Authorization,
        signature: &Bytes,
        clock: Clock,
    ) -> Result<Brought, Refusal> {
        if authorization.from != payer {
            return Err(Refusal::WrongSigner { got: authorization.from, want: payer });
        }
        let amount = self.check_amount(channel, authorization)?;
        let is_bound = self.is_bound_to(channel, authorization.nonce);
        if !is_bound && signer != payer {
            return Err(SessionRefused::new(channel, Why::Unbound).into());
        }
        check_times(authorization, clock)?;
        let signature = check_signature(token, authorization, signature, is_bound)?;
        let (v, r, s) = parts(&signature);
        let call = MicroChannel::topUpWithAuthorizationCall {
            channelId: channel,
            additionalDeposit: amount,
            from: payer,
            validAfter: authorization.valid_after,
            validBefore: authorization.valid_before,
            nonce: authorization.nonce,
            v,
            r,
            s,
        };
        Ok(Brought { payer, amount, input: call.abi_encode().into() })
    }

    fn is_bound_to(&self, channel: B256, nonce: B256) -> bool {
        let mut number = [0; 16];
        number[4..].copy_from_slice(&nonce[BOUND_BYTES..]);
        payments::terms::top_up_nonce(self.network, channel, u128::from_be_bytes(number)) == nonce
    }

    fn check_amount(&self, channel: B256, authorization: &Authorization) -> Result<u128, Refusal> {
        let want = self.domain.contract();
        if authorization.to != want {
            return Err(Refusal::OtherRecipient { got: authorization.to, want });
        }
        let amount: u128 = authorization.value.saturating_to();
        if amount > MOST_DEPOSIT {
            return Err(Refusal::TooMuch { got: authorization.value, want: U256::from(MOST_DEPOSIT) });
        }
        if amount < self.least_deposit {
            let why = Why::SmallDeposit { got: amount, least: self.least_deposit };
            return Err(SessionRefused::new(channel, why).into());
        }
        Ok(amount)
    }
}

fn check_times(authorization: &Authorization, clock: Clock) -> Result<(), Refusal> {
    clock.check()?;
    let now = clock.wall;
    let (after, until) = (authorization.valid_after, authorization.valid_before);
    if after >= U256::from(now) {
        return Err(Refusal::NotYetValid { after, now });
    }
    if until <= U256::from(now.max(clock.block).saturating_add(MARGIN_S)) {
        return Err(Refusal::Expired { until, now, margin: MARGIN_S });
    }
    Ok(())
}

fn check_signature(
    token: &Token,
    authorization: &Authorization,
    signature: &Bytes,
    is_bound: bool,
) -> Result<Bytes, Refusal> {
    if is_bound {
        token.check_receipt_signature(authorization, signature)
    } else {
        token.check_signature(authorization, signature)
    }
}

/// Of a signature that was checked.
fn parts(signature: &Bytes) -> (u8, B256, B256) {
    (signature[64], B256::from_slice(&signature[..32]), B256::from_slice(&signature[32..64]))
}

#[cfg(test)]
mod tests {
    use payments::typed_data::Domain;
    use payments::voucher::Voucher;
    use secp256k1::SecretKey;

    use super::*;
    use crate::testing::{NOW, PAYEE, PAYER, payer, token};

    const CONTRACT: Address = contracts::address::MICRO_CHANNEL;
    const CLOCK: Clock = Clock { wall: NOW, block: NOW - 1 };
    const SALT: B256 = B256::repeat_byte(4);

    fn channels() -> Channels {
        let domain = Domain::new(51_717, CONTRACT);
        Channels { domain, network: B256::repeat_byte(1), payee: PAYEE, least_deposit: 100, least_delta: 0 }
    }

    fn id(authorized_signer: Address) -> B256 {
        let terms = Terms { payer: PAYER, payee: PAYEE, token: token().contract, salt: SALT, authorized_signer };
        terms.channel_id(&channels().domain)
    }

    fn authorization() -> Authorization {
        Authorization {
            from: PAYER,
            to: CONTRACT,
            value: U256::from(1_000),
            valid_after: U256::ZERO,
            valid_before: U256::from(NOW + 60),
            nonce: B256::repeat_byte(9),
        }
    }

    struct Asked {
        authorization: Authorization,
        authorized_signer: Address,
        channel: B256,
        is_receipt: bool,
        total: u128,
        secret: SecretKey,
    }

    fn opened(change: impl FnOnce(&mut Asked)) -> Result<Brought, Refusal> {
        let mut asked = Asked {
            authorization: authorization(),
            authorized_signer: Address::ZERO,
            channel: id(Address::ZERO),
            is_receipt: false,
            total: 0,
            secret: payer().secret(),
        };
        change(&mut asked);
        let authorization = asked.authorization;
        let digest =
            if asked.is_receipt { token().receipt_digest(&authorization) } else { token().digest(&authorization) };
        let signature = payments::account_signature::sign(digest, &payer().secret());
        let voucher = Voucher { channel_id: asked.channel, cumulative_amount: asked.total };
        let voucher = voucher.sign(&channels().domain, &asked.secret);
        let opening = Opening {
            channel: asked.channel,
            authorization: &authorization,
            signature: &signature,
            salt: SALT,
            authorized_signer: asked.authorized_signer,
        };
        channels().check_opening(&token(), &opening, &voucher, CLOCK)
    }

    fn code(result: &Result<Brought, Refusal>) -> &'static str {
        result.as_ref().expect_err("it is wrong").code()
    }

    #[test]
    fn a_channel_is_opened_with_a_random_nonce_by_its_own_payer_alone_and_with_the_bound_one_for_any_signer() {
        assert_eq!(opened(|_| ()).map(|brought| (brought.payer, brought.amount)), Ok((PAYER, 1_000)));
        let other = SecretKey::from_slice(&[8; 32]).expect("a key");
        let signer = payments::account_signature::address_of(&other);
        let by_other = |asked: &mut Asked| {
            (asked.authorized_signer, asked.channel, asked.secret) = (signer, id(signer), other);
        };
        assert_eq!(code(&opened(by_other)), "unbound-authorization");
        let bound = |asked: &mut Asked| {
            by_other(asked);
            asked.authorization.nonce = open_nonce(channels().network, asked.channel, &[]);
            asked.is_receipt = true;
        };
        assert!(opened(bound).is_ok());
        let moved = |asked: &mut Asked| {
            bound(asked);
            asked.is_receipt = false;
        };
        assert_eq!(code(&opened(moved)), "wrong-signer", "with the bound nonce a transfer is not what is signed");
    }

    #[test]
    fn what_an_opening_has_wrong_is_told_before_gas_is_paid() {
        type Change = fn(&mut Asked);
        let cases: [(&str, Change); 9] = [
            ("other-channel-id", |asked| asked.channel = SALT),
            ("other-recipient", |asked| asked.authorization.to = PAYEE),
            ("deposit-too-small", |asked| asked.authorization.value = U256::from(99)),
            ("too-much", |asked| asked.authorization.value = U256::from(MOST_DEPOSIT) + U256::from(1)),
            ("amount-exceeds-deposit", |asked| asked.total = 1_001),
            ("expired", |asked| asked.authorization.valid_before = U256::from(NOW + MARGIN_S)),
            ("not-yet-valid", |asked| asked.authorization.valid_after = U256::from(NOW)),
            ("wrong-signer", |asked| asked.is_receipt = true),
            ("signer-mismatch", |asked| asked.secret = SecretKey::from_slice(&[8; 32]).expect("a key")),
        ];
        for (want, change) in cases {
            assert_eq!(code(&opened(change)), want);
        }
    }

    #[test]
    fn a_top_up_is_the_payers_and_names_its_channel_where_another_signs_the_vouchers() {
        let channel = id(Address::ZERO);
        let top_up = |authorization: &Authorization, signer: Address, digest: B256| {
            let signature = payments::account_signature::sign(digest, &payer().secret());
            channels().check_top_up(&token(), (channel, PAYER, signer), authorization, &signature, CLOCK)
        };
        let plain = authorization();
        assert!(top_up(&plain, PAYER, token().digest(&plain)).is_ok());
        assert_eq!(code(&top_up(&plain, PAYEE, token().digest(&plain))), "unbound-authorization");
        let nonce = payments::terms::top_up_nonce(channels().network, channel, 77);
        let bound = Authorization { nonce, ..plain };
        assert!(top_up(&bound, PAYEE, token().receipt_digest(&bound)).is_ok());
        let strangers = Authorization { from: PAYEE, ..plain };
        assert_eq!(code(&top_up(&strangers, PAYER, token().digest(&plain))), "wrong-signer");
    }
}
