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
use crate::batch;
use crate::book::REDEEMABLE_S;
use crate::clock::{Clock, MARGIN_S, MOST_APART_S};
use crate::mpp::{self, Binding, Challenge, ChargeRequest, Credential, Salt, Secret};
use crate::price_list::Entry;
use crate::refusal::Refusal;
use crate::session::{
    self,
    offer::{Channels, SessionRequest},
};
use crate::x402::{self, PaymentPayload, PaymentRequired, Requirements, Resource};

/// For how long a demand can be answered, in seconds. Five minutes, as public servers give: enough for a person who confirms, short enough for a fixed rate.
pub const DEFAULT_LIFETIME_S: u64 = 300;
/// The longest such time. A payment is remembered for longer, whatever the clocks: so one that was given something, and is forgotten, answers no challenge that
/// still counts.
pub const MOST_LIFETIME_S: u64 = REDEEMABLE_S - 2 * MOST_APART_S;

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
    /// On what terms channels of x402's scheme `batch-settlement` are taken, if they are.
    pub batch: Option<batch::Terms>,
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

/// What goes into a 402.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// None if it is paid by a channel alone.
    pub www_authenticate: Option<String>,
    pub payment_required: String,
    pub challenge_id: Option<String>,
}

/// Fields of a request in which a payment may be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fields<'a> {
    pub authorization: Option<&'a str>,
    pub payment_authorization: Option<&'a str>,
    pub payment_signature: Option<&'a str>,
    pub x_payment: Option<&'a str>,
    /// One of them is there twice. Which of the two counts, servers do not agree on.
    pub is_doubled: bool,
}

/// A payment as it came: nothing of it is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    pub authorization: Authorization,
    signature: Bytes,
    pub protocol: Protocol,
    /// Hash of all that was shown. It has what the chain has not: a challenge, or the mark of a demand.
    pub shown: B256,
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
            accepts: self.accepts(amount, refusal, salt),
        };
        Demand {
            www_authenticate: Some(challenge.header()),
            payment_required: x402::encode(&required),
            challenge_id: Some(challenge.id),
        }
    }
}

impl Demand {
    /// The same without what is settled by a transaction for each request.
    #[must_use]
    pub fn by_channel_alone(self) -> Self {
        let mut required: PaymentRequired = x402::decode(&self.payment_required).expect("it was written here");
        required.accepts.retain(|accepted| accepted.scheme == batch::SCHEME);
        Self { www_authenticate: None, payment_required: x402::encode(&required), challenge_id: None }
    }
}

impl Till {
    /// x402's ways to pay: `exact` first, since clients that know several take the first.
    fn accepts(&self, amount: U256, refusal: &Refusal, salt: &Salt) -> Vec<Requirements> {
        let exact =
            Requirements::exact(&self.token, self.payee, amount, self.lifetime_s).marked(self.secret.mark(salt));
        let correction = match refusal {
            Refusal::Batch(flaw) => flaw.correction(),
            _ => None,
        };
        let by_channel = self
            .batch
            .as_ref()
            .and_then(|terms| terms.requirements(&self.token, self.payee, amount, self.lifetime_s, correction));
        std::iter::once(exact).chain(by_channel).collect()
    }

    /// The challenge of a session for whatever costs as much as this.
    #[must_use]
    pub fn ask_for_session(
        &self,
        channels: &Channels,
        entry: &Entry,
        is_authorized: bool,
        now: u64,
        salt: &Salt,
    ) -> Challenge {
        let request = SessionRequest::new(&self.token, channels, entry).encode();
        let expires = now.saturating_add(session::offer::LIFETIME_S);
        let intent = session::offer::INTENT;
        let challenge = Challenge::of_session(&self.secret, &self.realm, intent, request, expires, salt);
        let challenge = if is_authorized { challenge.beside_authorization(&self.secret) } else { challenge };
        Challenge { description: entry.description.clone(), ..challenge }
    }

    /// That a credential answers a challenge of ours for what costs as much as this, in time.
    ///
    /// # Errors
    ///
    /// `NeverIssued`, `PriceChanged`, `ChallengeExpired`.
    pub fn check_session(
        &self,
        challenge: &Challenge,
        channels: &Channels,
        entry: &Entry,
        now: u64,
    ) -> Result<(), Refusal> {
        if challenge.realm != self.realm || !challenge.is_issued(&self.secret) {
            return Err(Refusal::NeverIssued);
        }
        if challenge.request != SessionRequest::new(&self.token, channels, entry).encode() {
            return Err(Refusal::PriceChanged);
        }
        let at = challenge.expires_unix_s().unwrap_or_default();
        if at <= now { Err(Refusal::ChallengeExpired { at, now }) } else { Ok(()) }
    }
}

impl Fields<'_> {
    /// Whether there is anything that may be a payment.
    #[must_use]
    pub fn is_there(&self) -> bool {
        let by_scheme = self.authorization.and_then(mpp::token_of);
        [by_scheme, self.payment_authorization, self.payment_signature, self.x_payment].iter().any(Option::is_some)
    }

    /// A payment by x402's scheme `batch-settlement`, if the request brings that and nothing else.
    #[must_use]
    pub fn by_channel(&self) -> Option<PaymentPayload> {
        let others = [self.authorization.and_then(mpp::token_of), self.payment_authorization, self.x_payment];
        let field = self.payment_signature.filter(|_| !self.is_doubled && others.iter().all(Option::is_none))?;
        x402::decode::<PaymentPayload>(field).ok().filter(|payload| payload.accepted.scheme == batch::SCHEME)
    }

    /// The credential of a session that a request brings, if it brings one.
    ///
    /// # Errors
    ///
    /// `TwoPayments`, `MalformedCredential`, `NeverIssued`.
    pub fn session(&self) -> Result<Option<session::credential::Credential>, Refusal> {
        let token = self.authorization.and_then(mpp::token_of);
        let beside = self.payment_authorization.map(|field| mpp::token_of(field).unwrap_or(field));
        let Some(credential) = token.or(beside).map(session::credential::Credential::decode).transpose()?.flatten()
        else {
            return Ok(None);
        };
        if [token, beside, self.payment_signature, self.x_payment].into_iter().flatten().count() > 1 {
            return Err(Refusal::TwoPayments);
        }
        if credential.challenge.header.is_some() != beside.is_some() {
            return Err(Refusal::NeverIssued);
        }
        Ok(Some(credential))
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
        if count > 1 || self.is_doubled {
            return Err(Refusal::TwoPayments);
        }
        if self.x_payment.is_some() {
            return Err(Refusal::Unsupported { got: "x402 version 1".to_owned(), want: "version 2" });
        }
        if let Some(signature) = self.payment_signature {
            return Payment::from_x402(x402::decode(signature)?, sha(signature.trim().as_bytes())).map(Some);
        }
        let Some(token) = token.or(beside) else { return Ok(None) };
        let credential = Credential::decode(token)?;
        // A credential counts only in the field that its challenge named.
        if credential.challenge.header.is_some() != beside.is_some() {
            return Err(Refusal::NeverIssued);
        }
        Ok(Some(Payment::from_mpp(credential, sha(token.as_bytes()))))
    }
}

impl Payment {
    /// # Errors
    ///
    /// `Malformed`, `Unsupported`.
    pub fn from_x402(payload: PaymentPayload, shown: B256) -> Result<Self, Refusal> {
        let x402::Eip3009 { authorization, signature } = payload.eip3009()?;
        Ok(Self { authorization, signature, protocol: Protocol::X402(Box::new(payload.accepted)), shown })
    }

    fn from_mpp(credential: Credential, shown: B256) -> Self {
        let (authorization, signature) = (credential.payload.authorization, credential.payload.signature.clone());
        Self { authorization, signature, protocol: Protocol::Mpp(Box::new(credential)), shown }
    }

    /// That it pays this amount to this till for this request.
    ///
    /// # Errors
    ///
    /// One for each thing that can be otherwise.
    pub fn check_terms(&self, till: &Till, request: &Request, amount: U256) -> Result<(), Refusal> {
        self.check_head(till, request, amount)?;
        match &self.protocol {
            Protocol::X402(_) => Ok(()),
            Protocol::Mpp(credential) => request.binding().check_body(&credential.challenge),
        }
    }

    /// The same, but for the body, which need not be there yet.
    ///
    /// # Errors
    ///
    /// As [`Payment::check_terms`].
    pub fn check_head(&self, till: &Till, request: &Request, amount: U256) -> Result<(), Refusal> {
        match &self.protocol {
            Protocol::X402(accepted) => {
                self.check_accepted(till, accepted, amount)?;
                // Whoever reads the chain can write all else of a payment that was made.
                let is_ours = accepted.mark().is_some_and(|mark| till.secret.is_mark(mark));
                if is_ours { Ok(()) } else { Err(Refusal::NeverIssued) }
            }
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
        request.binding().check_request(challenge)?;
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
    use crate::testing::{NOW, PAYEE, PAYER, amount, authorization, payer, till, token};

    const CLOCK: Clock = Clock { wall: NOW, block: NOW - 1 };

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
        let mut challenge =
            crate::wallet::challenges(&demand(request).www_authenticate.expect("a challenge")).remove(0);
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
        let cases: [(&str, Change); 11] = [
            ("never-issued", |payload, _| payload.accepted.extra = None),
            ("never-issued", |payload, _| payload.accepted = payload.accepted.clone().marked("AAAA".into())),
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
    fn what_costs_more_to_settle_than_it_brings_is_paid_by_channel_alone() {
        let terms = batch::Terms { authorizer: PAYEE, delay_s: 86_400, least_deposit: 1 };
        let till = Till { batch: Some(terms), ..till() };
        let refusal = Refusal::PaymentRequired { amount: amount(), token: token().contract };
        let demand = till.ask(&request(), amount(), None, &refusal, NOW, &[1; 12]).by_channel_alone();
        let required: PaymentRequired = x402::decode(&demand.payment_required).expect("our own");
        let schemes: Vec<_> = required.accepts.iter().map(|accepted| accepted.scheme.as_str()).collect();
        assert_eq!((demand.www_authenticate, schemes), (None, vec![batch::SCHEME]));
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
        let doubled = Fields { payment_signature: Some("abc"), is_doubled: true, ..Fields::default() };
        assert_eq!((doubled.read(), doubled.by_channel()), (Err(Refusal::TwoPayments), None));
        assert_eq!(Fields { authorization: Some("Bearer abc"), ..Fields::default() }.read(), Ok(None));
        let old = Fields { x_payment: Some("abc"), ..Fields::default() };
        assert!(matches!(old.read(), Err(Refusal::Unsupported { .. })));
        // A challenge for the one field is not answered in the other.
        let Protocol::Mpp(credential) = mpp(&request(), |_, _| ()).protocol else { panic!("it is MPP's") };
        let field = credential.encode();
        let moved = Fields { payment_authorization: Some(&field), ..Fields::default() };
        assert_eq!(moved.read(), Err(Refusal::NeverIssued));
    }

    /// From, to, value, times, nonce and signature are on the chain; what else a payment says is not.
    #[test]
    fn whoever_reads_the_chain_cannot_show_the_same_payment() {
        let payment = x402(|_, _| ());
        let other = Till { secret: Secret::derive(&[3; 32]), ..till() };
        let refusal = Refusal::PaymentRequired { amount: amount(), token: token().contract };
        let demand = other.ask(&request(), amount(), Some("The weather"), &refusal, NOW, &[2; 12]);
        let required: PaymentRequired = x402::decode(&demand.payment_required).expect("our own");
        let theirs = x402(|payload, _| payload.accepted = required.accepts[0].clone());
        assert_eq!((theirs.authorization, checked(&theirs, &request(), CLOCK)), (payment.authorization, Ok(())));
        assert_ne!(theirs.shown, payment.shown);
        assert_eq!(x402(|_, _| ()).shown, payment.shown, "a client that repeats itself");
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
