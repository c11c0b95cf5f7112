//! What a request is asked for, and what a payment has to contain. Pure: the time is one of the facts.
//!
//! ```text
//!   ask(request, price, now)       -> one demand in both protocols
//!   read(fields)                   -> a payment, whatever it says
//!   payment.check_terms            chain, token, payee, amount, challenge      comparisons and one HMAC
//!   payment.check_times            the wall clock, and the chain's
//!   payment.check_signature        one recovery of a key
//! ```
//! In this order: what is cheap to find wrong is found first. Only then is the chain asked.

use alloy_primitives::{Address, B256, Bytes, U256};
use bitcoin::hashes::{Hash as _, sha256};

use crate::authorization::{Authorization, Token};
use crate::mpp::{self, Binding, Challenge, ChargeRequest, Credential, Salt, Secret};
use crate::refusal::Refusal;
use crate::x402::{self, PaymentPayload, PaymentRequired, Requirements, Resource};

/// For how long a demand can be answered, in seconds. Five minutes, as public servers give: enough for a person who confirms, short enough for a fixed rate.
pub const DEFAULT_LIFETIME_S: u64 = 300;
/// How long an authorization must still be valid when it is sent: a few of the chain's blocks, which come every two seconds at the latest.
pub const MARGIN_S: u64 = 6;
/// How far the chain's time may be from the wall clock. It follows it by two seconds at the most; what is farther is a wrong clock, or a chain that
/// stands still.
pub const MOST_APART_S: u64 = 30;

/// Who is paid, in what, and where.
#[derive(Clone, Debug)]
pub struct Till {
    pub token: Token,
    pub payee: Address,
    /// MPP's protection space: the public name of this server.
    pub realm: String,
    /// Where this server is seen from outside, without a slash at its end.
    pub public_url: String,
    pub secret: Secret,
    pub lifetime_s: u64,
}

/// A request, as far as its price and its payment depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// The plain path, with the query.
    pub target: String,
    /// SHA-256 of the body, if there is one.
    pub body: Option<B256>,
    /// Whether `Authorization` is taken by another scheme than MPP's.
    pub is_authorized: bool,
}

/// What time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Of this machine, in Unix seconds.
    pub wall: u64,
    /// Of the newest final block.
    pub block: u64,
}

/// What goes into a 402.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    pub www_authenticate: String,
    pub payment_required: String,
    pub challenge_id: String,
}

/// Fields of a request in which a payment may be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields<'a> {
    pub authorization: Option<&'a str>,
    pub payment_authorization: Option<&'a str>,
    pub payment_signature: Option<&'a str>,
    pub x_payment: Option<&'a str>,
}

/// A payment as it came: nothing of it is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    pub authorization: Authorization,
    signature: Bytes,
    pub protocol: Protocol,
}

/// The protocol in which it came, with what it repeats of the demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    X402(Box<Requirements>),
    Mpp(Box<Credential>),
}

impl Protocol {
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::X402(_) => "x402",
            Self::Mpp(_) => "mpp",
        }
    }
}

impl Clock {
    /// # Errors
    ///
    /// `ClockWrong`.
    pub fn check(self) -> Result<(), Refusal> {
        let apart_s = self.wall.abs_diff(self.block);
        if apart_s > MOST_APART_S { Err(Refusal::ClockWrong { apart_s }) } else { Ok(()) }
    }
}

impl Request {
    /// What a payment is for, once it is made: this request and no other.
    #[must_use]
    pub fn purpose(&self) -> B256 {
        let body = self.body.unwrap_or_default();
        sha(&[self.line().as_slice(), body.as_slice()].concat())
    }

    fn binding(&self) -> Binding {
        Binding { request: sha(&self.line()), body: self.body }
    }

    fn line(&self) -> Vec<u8> {
        format!("{} {}\n", self.method, self.target).into_bytes()
    }
}

fn sha(bytes: &[u8]) -> B256 {
    sha256::Hash::hash(bytes).to_byte_array().into()
}

impl Till {
    /// Demands an amount in both protocols. `refusal` is why an earlier payment was refused; `salt` is random.
    #[must_use]
    pub fn ask(
        &self,
        request: &Request,
        amount: U256,
        description: Option<&str>,
        refusal: &Refusal,
        now: u64,
        salt: &Salt,
    ) -> Demand {
        let charge = ChargeRequest::new(&self.token, self.payee, amount);
        let expires = now.saturating_add(self.lifetime_s);
        let challenge = Challenge::issue(&self.secret, &self.realm, &charge, &request.binding(), expires, salt);
        let challenge = if request.is_authorized { challenge.beside_authorization(&self.secret) } else { challenge };
        let challenge = Challenge { description: description.map(str::to_owned), ..challenge };
        let required = PaymentRequired {
            x402_version: x402::VERSION,
            error: Some(refusal.x402_reason().to_owned()),
            resource: Some(Resource {
                url: format!("{}{}", self.public_url, request.target),
                description: description.map(str::to_owned),
            }),
            accepts: vec![Requirements::exact(&self.token, self.payee, amount, self.lifetime_s)],
        };
        Demand {
            www_authenticate: challenge.header(),
            payment_required: x402::encode(&required),
            challenge_id: challenge.id,
        }
    }
}

impl Fields<'_> {
    /// Whether there is anything that may be a payment.
    #[must_use]
    pub fn is_there(&self) -> bool {
        let by_scheme = self.authorization.and_then(mpp::token_of);
        [by_scheme, self.payment_authorization, self.payment_signature, self.x_payment].iter().any(Option::is_some)
    }

    /// The payment that a request brings, if it brings one.
    ///
    /// # Errors
    ///
    /// `TwoPayments`, `Malformed`, `Unsupported`.
    pub fn read(&self) -> Result<Option<Payment>, Refusal> {
        let token = self.authorization.and_then(mpp::token_of);
        let beside = self.payment_authorization.map(|field| mpp::token_of(field).unwrap_or(field));
        let count = [token, beside, self.payment_signature, self.x_payment].into_iter().flatten().count();
        if count > 1 {
            return Err(Refusal::TwoPayments);
        }
        if self.x_payment.is_some() {
            return Err(Refusal::Unsupported { got: "x402 version 1".to_owned(), want: "version 2" });
        }
        if let Some(signature) = self.payment_signature {
            return Payment::from_x402(x402::decode(signature)?).map(Some);
        }
        let Some(token) = token.or(beside) else { return Ok(None) };
        let credential = Credential::decode(token)?;
        // A credential counts only in the field that its challenge named.
        if credential.challenge.header.is_some() != beside.is_some() {
            return Err(Refusal::NeverIssued);
        }
        Ok(Some(Payment::from_mpp(credential)))
    }
}

impl Payment {
    /// # Errors
    ///
    /// `Malformed`, `Unsupported`.
    pub fn from_x402(payload: PaymentPayload) -> Result<Self, Refusal> {
        let x402::Eip3009 { authorization, signature } = payload.eip3009()?;
        Ok(Self { authorization, signature, protocol: Protocol::X402(Box::new(payload.accepted)) })
    }

    fn from_mpp(credential: Credential) -> Self {
        let (authorization, signature) = (credential.payload.authorization, credential.payload.signature.clone());
        Self { authorization, signature, protocol: Protocol::Mpp(Box::new(credential)) }
    }

    /// That it pays this amount to this till for this request.
    ///
    /// # Errors
    ///
    /// One for each thing that can be otherwise.
    pub fn check_terms(&self, till: &Till, request: &Request, amount: U256) -> Result<(), Refusal> {
        match &self.protocol {
            Protocol::X402(accepted) => self.check_accepted(till, accepted, amount),
            Protocol::Mpp(credential) => self.check_credential(till, credential, request, amount),
        }
    }

    /// That it pays by these requirements of x402, as a facilitator is asked.
    ///
    /// # Errors
    ///
    /// One for each thing that can be otherwise.
    pub fn check_accepted(&self, till: &Till, accepted: &Requirements, amount: U256) -> Result<(), Refusal> {
        accepted.check_token(&till.token)?;
        let got = accepted.payee()?;
        if got != till.payee {
            return Err(Refusal::OtherRecipient { got, want: till.payee });
        }
        self.check_transfer(till, amount)
    }

    fn check_credential(
        &self,
        till: &Till,
        credential: &Credential,
        request: &Request,
        amount: U256,
    ) -> Result<(), Refusal> {
        let challenge = &credential.challenge;
        credential.check_source(&till.token)?;
        if challenge.realm != till.realm || !challenge.is_issued(&till.secret) {
            return Err(Refusal::NeverIssued);
        }
        request.binding().check(challenge)?;
        if challenge.charge()? != ChargeRequest::new(&till.token, till.payee, amount) {
            return Err(Refusal::PriceChanged);
        }
        self.check_transfer(till, amount)?;
        if self.authorization.nonce != challenge.nonce() {
            return Err(Refusal::OtherNonce);
        }
        Ok(())
    }

    fn check_transfer(&self, till: &Till, want: U256) -> Result<(), Refusal> {
        let Authorization { to, value, .. } = self.authorization;
        if to != till.payee {
            return Err(Refusal::OtherRecipient { got: to, want: till.payee });
        }
        match value.cmp(&want) {
            std::cmp::Ordering::Less => Err(Refusal::TooLittle { got: value, want }),
            std::cmp::Ordering::Greater => Err(Refusal::TooMuch { got: value, want }),
            std::cmp::Ordering::Equal => Ok(()),
        }
    }

    /// That it can be carried out now, and for as long as that takes. The block that carries it out has about the time of the wall clock, and never an
    /// earlier one than the newest.
    ///
    /// # Errors
    ///
    /// `ClockWrong`, `ChallengeExpired`, `Expired`, `NotYetValid`.
    pub fn check_times(&self, clock: Clock) -> Result<(), Refusal> {
        clock.check()?;
        let now = clock.wall;
        if let Protocol::Mpp(credential) = &self.protocol {
            let at = credential.challenge.expires_unix_s().unwrap_or_default();
            if at <= now {
                return Err(Refusal::ChallengeExpired { at, now });
            }
        }
        let Authorization { valid_after: after, valid_before: until, .. } = self.authorization;
        if after >= U256::from(now) {
            return Err(Refusal::NotYetValid { after, now });
        }
        if until <= U256::from(now.max(clock.block).saturating_add(MARGIN_S)) {
            return Err(Refusal::Expired { until, now, margin: MARGIN_S });
        }
        Ok(())
    }

    /// Its signature as the token takes it, if the payer signed.
    ///
    /// # Errors
    ///
    /// `MalformedSignature`, `HighS`, `WrongSigner`.
    pub fn check_signature(&self, token: &Token) -> Result<Bytes, Refusal> {
        token.check_signature(&self.authorization, &self.signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mpp::Payload;
    use crate::testing::{NOW, PAYEE, PAYER, amount, authorization, payer, token};

    const CLOCK: Clock = Clock { wall: NOW, block: NOW - 1 };

    fn till() -> Till {
        Till {
            token: token(),
            payee: PAYEE,
            realm: "api.example.com".into(),
            public_url: "https://api.example.com".into(),
            secret: Secret::derive(&[3; 32]),
            lifetime_s: DEFAULT_LIFETIME_S,
        }
    }

    fn request() -> Request {
        Request { method: "GET".into(), target: "/weather?city=Oslo".into(), body: None, is_authorized: false }
    }

    fn demand(request: &Request) -> Demand {
        let refusal = Refusal::PaymentRequired { amount: amount(), token: token().contract };
        till().ask(request, amount(), Some("The weather"), &refusal, NOW, &[1; 12])
    }

    fn x402(change: impl FnOnce(&mut PaymentPayload, &mut Authorization)) -> Payment {
        let required: PaymentRequired = x402::decode(&demand(&request()).payment_required).expect("our own");
        let mut payload = PaymentPayload {
            x402_version: 2,
            accepted: required.accepts[0].clone(),
            payload: serde_json::Value::Null,
            resource: None,
        };
        let mut authorization = authorization();
        change(&mut payload, &mut authorization);
        let signature = payer().sign(&token(), &authorization);
        payload.payload = serde_json::json!({ "authorization": authorization, "signature": signature });
        let header = x402::encode(&payload);
        let fields = Fields { payment_signature: Some(&header), ..Fields::default() };
        fields.read().expect("well-formed").expect("there is one")
    }

    fn mpp(request: &Request, change: impl FnOnce(&mut Challenge, &mut Authorization)) -> Payment {
        let mut challenge = crate::wallet::challenges(&demand(request).www_authenticate).remove(0);
        let mut authorization = Authorization { nonce: challenge.nonce(), ..authorization() };
        change(&mut challenge, &mut authorization);
        let signature = payer().sign(&token(), &authorization);
        let payload = Payload { kind: mpp::AUTHORIZATION.into(), authorization, signature };
        let credential = Credential { challenge, payload, source: Some(mpp::source(51_717, PAYER)) };
        let field = credential.encode();
        let fields = if request.is_authorized {
            Fields { authorization: Some("Bearer x"), payment_authorization: Some(&field), ..Fields::default() }
        } else {
            Fields { authorization: Some(&field), ..Fields::default() }
        };
        fields.read().expect("well-formed").expect("there is one")
    }

    fn checked(payment: &Payment, request: &Request, clock: Clock) -> Result<(), Refusal> {
        payment.check_terms(&till(), request, amount())?;
        payment.check_times(clock)?;
        payment.check_signature(&token()).map(drop)
    }

    fn code(payment: &Payment) -> &'static str {
        checked(payment, &request(), CLOCK).expect_err("it is wrong").code()
    }

    #[test]
    fn one_demand_is_answered_in_either_protocol() {
        assert_eq!(checked(&x402(|_, _| ()), &request(), CLOCK), Ok(()));
        assert_eq!(checked(&mpp(&request(), |_, _| ()), &request(), CLOCK), Ok(()));
        let beside = Request { is_authorized: true, ..request() };
        assert_eq!(checked(&mpp(&beside, |_, _| ()), &beside, CLOCK), Ok(()));
        let with_body = Request { method: "POST".into(), body: Some(B256::repeat_byte(1)), ..request() };
        assert_eq!(checked(&mpp(&with_body, |_, _| ()), &with_body, CLOCK), Ok(()));
    }

    #[test]
    fn what_an_x402_payment_has_wrong_is_told() {
        type Change = fn(&mut PaymentPayload, &mut Authorization);
        let cases: [(&str, Change); 9] = [
            ("other-chain", |payload, _| payload.accepted.network = "eip155:1".into()),
            ("other-token", |payload, _| payload.accepted.asset = PAYER.to_string()),
            ("other-recipient", |payload, _| payload.accepted.pay_to = PAYER.to_string()),
            ("other-recipient", |_, authorization| authorization.to = PAYER),
            ("too-little", |_, authorization| authorization.value -= U256::from(1)),
            ("too-much", |_, authorization| authorization.value += U256::from(1)),
            ("expired", |_, authorization| authorization.valid_before = U256::from(NOW + MARGIN_S)),
            ("not-yet-valid", |_, authorization| authorization.valid_after = U256::from(NOW)),
            ("wrong-signer", |_, authorization| authorization.from = PAYEE),
        ];
        for (want, change) in cases {
            assert_eq!(code(&x402(change)), want);
        }
    }

    #[test]
    fn what_an_mpp_payment_has_wrong_is_told() {
        type Change = fn(&mut Challenge, &mut Authorization);
        let cases: [(&str, Change); 7] = [
            ("never-issued", |challenge, _| challenge.id = "AAAA".into()),
            ("never-issued", |challenge, _| {
                challenge.request = ChargeRequest::new(&token(), PAYEE, U256::from(1)).encode()
            }),
            ("never-issued", |challenge, _| challenge.expires = None),
            ("other-nonce", |_, authorization| authorization.nonce = B256::repeat_byte(1)),
            ("other-recipient", |_, authorization| authorization.to = PAYER),
            ("too-little", |_, authorization| authorization.value = U256::from(1)),
            ("wrong-signer", |_, authorization| authorization.from = PAYEE),
        ];
        for (want, change) in cases {
            assert_eq!(code(&mpp(&request(), change)), want);
        }
        let payment = mpp(&request(), |_, _| ());
        let elsewhere = Request { target: "/dear".into(), ..request() };
        assert_eq!(checked(&payment, &elsewhere, CLOCK), Err(Refusal::OtherRequest));
        let late = Clock { wall: NOW + 300, block: NOW + 300 };
        assert!(matches!(checked(&payment, &request(), late), Err(Refusal::ChallengeExpired { .. })));
        assert_eq!(payment.check_terms(&till(), &request(), U256::from(1)), Err(Refusal::PriceChanged));
    }

    #[test]
    fn a_wrong_clock_is_not_a_payers_fault() {
        for (wall, block) in [(NOW, NOW - 31), (NOW, NOW + 31)] {
            let refusal = checked(&x402(|_, _| ()), &request(), Clock { wall, block }).expect_err("apart");
            assert_eq!((refusal.code(), refusal.status()), ("clock-wrong", 503));
        }
    }

    #[test]
    fn one_request_brings_one_payment() {
        let both = Fields { authorization: Some("Payment abc"), payment_signature: Some("abc"), ..Fields::default() };
        assert_eq!(both.read(), Err(Refusal::TwoPayments));
        assert_eq!(Fields { authorization: Some("Bearer abc"), ..Fields::default() }.read(), Ok(None));
        let old = Fields { x_payment: Some("abc"), ..Fields::default() };
        assert!(matches!(old.read(), Err(Refusal::Unsupported { .. })));
        // A challenge for the one field is not answered in the other.
        let Protocol::Mpp(credential) = mpp(&request(), |_, _| ()).protocol else { panic!("it is MPP's") };
        let field = credential.encode();
        let moved = Fields { payment_authorization: Some(&field), ..Fields::default() };
        assert_eq!(moved.read(), Err(Refusal::NeverIssued));
    }

    #[test]
    fn a_payment_is_for_one_request() {
        let others = [
            Request { method: "POST".into(), ..request() },
            Request { target: "/weather?city=Rome".into(), ..request() },
            Request { body: Some(B256::repeat_byte(1)), ..request() },
        ];
        for other in others {
            assert_ne!(other.purpose(), request().purpose());
        }
        assert_eq!(Request { is_authorized: true, ..request() }.purpose(), request().purpose());
    }
}
