//! What a client of `batch-settlement` sends, and what it is refused for before anything is asked of anybody.
//!
//! ```text
//!   read            its JSON
//!   check_terms     network, token, receiver, authorizer, delay, id of the channel      comparisons and one hash
//!   check_voucher   who signed it                                                       one recovery of a key
//!   check_deposit   amount, times, who signed it                                        comparisons, then another
//! ```

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::Deserialize;
use serde_json::Value;

use super::channel::{Config, DepositTerms, Domain};
use super::refusal::{BadSignature, Flaw};
use super::{SCHEME, Terms};
use crate::authorization::{Token, signed_by};
use crate::clock::{Clock, MARGIN_S};
use crate::refusal::Refusal;
use crate::text::digits;
use crate::till::{Fields, Till};
use crate::x402::{PaymentPayload, Requirements, VERSION, decode, network};

/// A payment by voucher, a payment that fills the channel first, or a request for the rest of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    pub config: Config,
    /// The channel's id, once [`Brought::check_terms`] found it right.
    pub channel: B256,
    pub voucher: Voucher,
    pub purpose: Purpose,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    Pay,
    Deposit(Deposit),
    /// The amount as it came; none asks for all.
    Refund(Option<String>),
}

/// A promise: of all that was ever paid through the channel, no more than `max` can be claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voucher {
    pub max: u128,
    pub signature: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deposit {
    pub terms: DepositTerms,
    pub signature: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPayload {
    channel_config: Config,
    voucher: RawVoucher,
    #[serde(default)]
    deposit: Option<RawDeposit>,
    #[serde(default)]
    amount: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawVoucher {
    channel_id: B256,
    max_claimable_amount: String,
    signature: Bytes,
}

#[derive(Deserialize)]
struct RawDeposit {
    amount: String,
    authorization: RawWays,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawWays {
    #[serde(default)]
    erc3009_authorization: Option<RawAuthorization>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawAuthorization {
    valid_after: String,
    valid_before: String,
    salt: B256,
    signature: Bytes,
}

/// Who pays by x402, by whichever of its schemes, if that can be read.
#[must_use]
pub fn payer(fields: &Fields<'_>) -> Option<Address> {
    let payload = decode::<PaymentPayload>(fields.payment_signature?).ok()?;
    let brought = || Brought::read(&payload).ok().map(|brought| brought.config.payer);
    payload.eip3009().ok().map(|signed| signed.authorization.from).or_else(brought)
}

impl Brought {
    /// # Errors
    ///
    /// `Malformed`, `UnknownType`, `NoAuthorization`.
    pub fn read(payload: &PaymentPayload) -> Result<Self, Refusal> {
        if payload.x402_version != VERSION {
            let got = format!("x402 version {}", payload.x402_version);
            return Err(Refusal::Unsupported { got, want: "version 2" });
        }
        let kind = match payload.payload.get("type").and_then(Value::as_str) {
            Some("voucher") => Kind::Voucher,
            Some("deposit") => Kind::Deposit,
            Some("refund") => Kind::Refund,
            _ => return Err(Flaw::UnknownType.into()),
        };
        let malformed = |why: String| Flaw::Malformed { kind: kind.name(), why };
        let raw = RawPayload::deserialize(&payload.payload)
            .map_err(|error| malformed(bridge::foreign::shown(&error.to_string())))?;
        let amount = |text: &str, what: &str| {
            number(text).ok_or_else(|| malformed(format!("{what} is no whole number below 2^128, in quotes")))
        };
        let voucher = Voucher {
            max: amount(&raw.voucher.max_claimable_amount, "maxClaimableAmount")?,
            signature: raw.voucher.signature,
        };
        let purpose = match kind {
            Kind::Voucher => Purpose::Pay,
            Kind::Refund => Purpose::Refund(raw.amount.map(|amount| match amount {
                Value::String(text) => text,
                other => other.to_string(),
            })),
            Kind::Deposit => {
                let raw = raw.deposit.ok_or_else(|| malformed("it has no deposit".to_owned()))?;
                let signed = raw.authorization.erc3009_authorization.ok_or(Flaw::NoAuthorization)?;
                let seconds = |text: &str, what| amount(text, what).map(|s| u64::try_from(s).unwrap_or(u64::MAX));
                let terms = DepositTerms {
                    amount: amount(&raw.amount, "deposit.amount")?,
                    valid_after: seconds(&signed.valid_after, "validAfter")?,
                    valid_before: seconds(&signed.valid_before, "validBefore")?,
                    salt: signed.salt,
                };
                Purpose::Deposit(Deposit { terms, signature: signed.signature })
            }
        };
        Ok(Self { config: raw.channel_config, channel: raw.voucher.channel_id, voucher, purpose })
    }

    /// That it is for a channel of this till (the specification's rules 1 to 5), what the client says that it accepted as well.
    ///
    /// # Errors
    ///
    /// One for each thing that can be otherwise.
    pub fn check_terms(&self, till: &Till, terms: &Terms, accepted: &Requirements) -> Result<(), Refusal> {
        if accepted.scheme != SCHEME {
            return Err(Flaw::OtherScheme.into());
        }
        if accepted.network != network(till.token.chain_id) {
            return Err(Flaw::OtherNetwork {
                got: bridge::foreign::shown(&accepted.network),
                want: till.token.chain_id,
            }
            .into());
        }
        let config = &self.config;
        let flaw = if config.token != till.token.contract {
            Flaw::OtherToken { got: config.token, want: till.token.contract }
        } else if config.receiver != till.payee {
            Flaw::OtherReceiver { got: config.receiver, want: till.payee }
        } else if config.receiver_authorizer != terms.authorizer {
            Flaw::OtherAuthorizer { got: config.receiver_authorizer, want: terms.authorizer }
        } else if config.withdraw_delay != terms.delay_s {
            Flaw::OtherDelay { got_s: config.withdraw_delay, want_s: terms.delay_s }
        } else if config.payer_authorizer.is_zero() {
            Flaw::NoPayerAuthorizer
        } else if config.payer.is_zero() || config.id(Domain::new(till.token.chain_id)) != self.channel {
            Flaw::OtherChannel
        } else {
            return Ok(());
        };
        Err(flaw.into())
    }

    #[must_use]
    pub fn deposit(&self) -> Option<&Deposit> {
        match &self.purpose {
            Purpose::Deposit(deposit) => Some(deposit),
            Purpose::Pay | Purpose::Refund(_) => None,
        }
    }

    /// The voucher as the contract takes it, if the channel's key signed it (rule 6).
    ///
    /// # Errors
    ///
    /// `VoucherSignature`.
    pub fn check_voucher(&self, token: &Token) -> Result<Voucher, Refusal> {
        let digest = Domain::new(token.chain_id).voucher(self.channel, self.voucher.max);
        let signature = signed_by(digest, &self.voucher.signature, self.config.payer_authorizer)
            .map_err(|refusal| Flaw::VoucherSignature(bad(&refusal)))?;
        Ok(Voucher { max: self.voucher.max, signature })
    }
}

impl Deposit {
    /// It with its signature as the token takes it, if it is large enough, can be carried out now, and is the payer's.
    ///
    /// # Errors
    ///
    /// `DepositTooSmall`, `ClockWrong`, `DepositNotYetValid`, `DepositExpired`, `DepositSignature`.
    pub fn check(&self, brought: &Brought, least: u128, clock: Clock, token: &Token) -> Result<Self, Refusal> {
        let DepositTerms { amount: got, valid_after: after, valid_before: until, .. } = self.terms;
        if got < least {
            return Err(Flaw::DepositTooSmall { got, least }.into());
        }
        clock.check()?;
        if after >= clock.wall {
            return Err(Flaw::DepositNotYetValid { after, now: clock.wall }.into());
        }
        if until <= clock.wall.max(clock.block).saturating_add(MARGIN_S) {
            return Err(Flaw::DepositExpired { until, now: clock.wall, margin: MARGIN_S }.into());
        }
        let payer = brought.config.payer;
        let signature = signed_by(self.terms.digest(token, brought.channel, payer), &self.signature, payer)
            .map_err(|refusal| Flaw::DepositSignature(bad(&refusal)))?;
        Ok(Self { terms: self.terms, signature })
    }
}

fn bad(refusal: &Refusal) -> BadSignature {
    match *refusal {
        Refusal::HighS => BadSignature::HighS,
        Refusal::WrongSigner { got, want } => BadSignature::WrongSigner { got, want },
        Refusal::MalformedSignature { bytes } => BadSignature::Malformed { bytes },
        _ => BadSignature::Malformed { bytes: 0 },
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Voucher,
    Deposit,
    Refund,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Voucher => "voucher",
            Self::Deposit => "deposit",
            Self::Refund => "refund",
        }
    }
}

/// A whole number in decimal digits.
#[must_use]
pub fn number(text: &str) -> Option<u128> {
    digits(text).filter(|number| *number <= U256::from(u128::MAX)).map(|number| number.to())
}

#[cfg(test)]
mod tests;
