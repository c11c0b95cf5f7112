//! The payer's side: which demand of a 402 is answered, within which limits, and how.
//!
//! What is signed is made from this program's own constants (token, chain) and from what the demand says of payee, amount and time, within the limits of whoever
//! pays. A demand for anything else is not answered, whatever it says.

use alloy_primitives::{Address, B256, Bytes, U256};
use bridge::amount::show_wei;
use bridge::foreign::shown;

use crate::authorization::{Authorization, Token};
use crate::mpp::{self, Challenge, Credential, Payload};
use crate::x402::{self, Eip3009, PaymentPayload, PaymentRequired, Requirements};

/// Characters of a header that are read.
const MOST_CHARACTERS: usize = 64 << 10;
/// The longest time for which an authorization is signed, in seconds, whatever the demand allows.
const MOST_VALID_S: u64 = 600;

/// How far a payer goes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub token: Token,
    /// Wei.
    pub most: U256,
}

/// What a payer agrees to pay, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    pub payee: Address,
    pub amount: U256,
    valid_before: u64,
    offer: Offer,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Offer {
    Mpp(Challenge),
    X402 { accepted: Requirements, resource: Option<x402::Resource> },
}

/// Why no demand is answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unpayable {
    #[error("the server asks for payment in no way that is known here (x402 version 2, MPP)")]
    NoDemand,
    #[error("the server asks for nothing that this payer pays with: {0}")]
    Foreign(String),
    #[error("the server asks for {}, the limit is {}", show_wei(*asked), show_wei(*most))]
    TooDear { asked: U256, most: U256 },
}

/// The demands of a 402: MPP's before x402's, for its authorization is bound to one challenge and one request.
///
/// # Errors
///
/// The first demand's reason, if none is answered.
pub fn choose(
    www_authenticate: &[&str],
    payment_required: Option<&str>,
    limits: &Limits,
    now: u64,
) -> Result<Bill, Unpayable> {
    let mpp =
        www_authenticate.iter().flat_map(|header| challenges(header)).map(|challenge| bill_of(challenge, limits, now));
    let required = payment_required.and_then(|header| x402::decode::<PaymentRequired>(header).ok());
    let x402 = required.into_iter().filter(|required| required.x402_version == x402::VERSION).flat_map(|required| {
        let resource = required.resource;
        required.accepts.into_iter().map(move |accepted| bill_by(accepted, resource.clone(), limits, now))
    });
    let mut why = Unpayable::NoDemand;
    for bill in mpp.chain(x402) {
        match bill {
            Ok(bill) => return Ok(bill),
            // A price is told rather than that another demand is foreign.
            Err(error @ Unpayable::TooDear { .. }) => why = error,
            Err(error) if why == Unpayable::NoDemand => why = error,
            Err(_) => {}
        }
    }
    Err(why)
}

fn bill_of(challenge: Challenge, limits: &Limits, now: u64) -> Result<Bill, Unpayable> {
    let foreign = |what: &str| Unpayable::Foreign(what.to_owned());
    if (challenge.method.as_str(), challenge.intent.as_str()) != (mpp::METHOD, mpp::INTENT) {
        return Err(foreign(&shown(&format!("MPP's {}/{}", challenge.method, challenge.intent))));
    }
    if challenge.header.as_deref().is_some_and(|header| !header.eq_ignore_ascii_case(mpp::PAYMENT_AUTHORIZATION)) {
        return Err(foreign("MPP in an unknown header"));
    }
    let charge = challenge.charge().map_err(|refusal| foreign(&refusal.to_string()))?;
    let details = &charge.method_details;
    let types = details.credential_types.as_deref().unwrap_or_default();
    if !types.iter().any(|kind| kind == mpp::AUTHORIZATION) || details.splits.is_some() {
        return Err(foreign("MPP by other means than an authorization"));
    }
    if details.chain_id != limits.token.chain_id
        || charge.currency.parse::<Address>().ok() != Some(limits.token.contract)
    {
        return Err(foreign(&shown(&format!("the token {} on chain {}", charge.currency, details.chain_id))));
    }
    let expires = challenge.expires_unix_s().unwrap_or(now.saturating_add(MOST_VALID_S));
    if expires <= now {
        return Err(foreign("a challenge that is expired by this machine's clock"));
    }
    let payee = charge.recipient.parse().map_err(|_| foreign("a recipient that is no address"))?;
    Bill {
        payee,
        amount: charge.amount,
        valid_before: expires.min(now.saturating_add(MOST_VALID_S)),
        offer: Offer::Mpp(challenge),
    }
    .within(limits)
}

fn bill_by(
    accepted: Requirements,
    resource: Option<x402::Resource>,
    limits: &Limits,
    now: u64,
) -> Result<Bill, Unpayable> {
    let foreign = |what: String| Unpayable::Foreign(what);
    accepted.check_token(&limits.token).map_err(|refusal| foreign(refusal.to_string()))?;
    let transfer =
        accepted.extra.as_ref().and_then(|extra| extra.get("assetTransferMethod")).and_then(|method| method.as_str());
    if transfer.is_some_and(|method| method != "eip3009") {
        return Err(foreign("x402 by other means than EIP-3009".to_owned()));
    }
    let payee = accepted.payee().map_err(|refusal| foreign(refusal.to_string()))?;
    let valid_before = now.saturating_add(accepted.max_timeout_seconds.min(MOST_VALID_S));
    Bill { payee, amount: accepted.amount, valid_before, offer: Offer::X402 { accepted, resource } }.within(limits)
}

impl Bill {
    fn within(self, limits: &Limits) -> Result<Self, Unpayable> {
        if self.amount > limits.most {
            return Err(Unpayable::TooDear { asked: self.amount, most: limits.most });
        }
        Ok(self)
    }

    /// The protocol in which it is paid.
    #[must_use]
    pub fn protocol(&self) -> &'static str {
        match self.offer {
            Offer::Mpp(_) => "mpp",
            Offer::X402 { .. } => "x402",
        }
    }

    /// What the payer signs. `random` is the nonce where the demand names none.
    #[must_use]
    pub fn authorization(&self, payer: Address, random: B256) -> Authorization {
        let nonce = match &self.offer {
            Offer::Mpp(challenge) => challenge.nonce(),
            Offer::X402 { .. } => random,
        };
        Authorization {
            from: payer,
            to: self.payee,
            value: self.amount,
            valid_after: U256::ZERO,
            valid_before: U256::from(self.valid_before),
            nonce,
        }
    }

    /// The header that pays: its name and its value.
    #[must_use]
    pub fn answer(&self, token: &Token, authorization: Authorization, signature: Bytes) -> (&'static str, String) {
        match &self.offer {
            Offer::Mpp(challenge) => {
                let field = if challenge.header.is_some() { mpp::PAYMENT_AUTHORIZATION } else { "authorization" };
                let payload = Payload { kind: mpp::AUTHORIZATION.to_owned(), authorization, signature };
                let source = Some(mpp::source(token.chain_id, authorization.from));
                (field, Credential { challenge: challenge.clone(), payload, source }.encode())
            }
            Offer::X402 { accepted, resource } => {
                let signed = Eip3009 { authorization, signature };
                let payload = PaymentPayload {
                    x402_version: x402::VERSION,
                    accepted: accepted.clone(),
                    payload: serde_json::to_value(signed).expect("text and numbers always serialise"),
                    resource: resource
                        .as_ref()
                        .map(|resource| serde_json::to_value(resource).expect("text always serialises")),
                };
                (x402::SIGNATURE, x402::encode(&payload))
            }
        }
    }
}

/// The `Payment` challenges of a `WWW-Authenticate` header; those that lack something are left out, and so are other schemes.
#[must_use]
pub fn challenges(header: &str) -> Vec<Challenge> {
    let mut words = Words { rest: header.get(..MOST_CHARACTERS).unwrap_or(header) };
    let mut found: Vec<(bool, Vec<(String, String)>)> = Vec::new();
    while let Some(word) = words.next() {
        match word {
            Word::Scheme(name) => found.push((name.eq_ignore_ascii_case(mpp::SCHEME), Vec::new())),
            Word::Param(name, value) => {
                if let Some((_, params)) = found.last_mut() {
                    params.push((name, value));
                }
            }
        }
    }
    let payments = found.into_iter().filter(|(is_payment, _)| *is_payment);
    payments.filter_map(|(_, params)| challenge_of(&params)).collect()
}

fn challenge_of(params: &[(String, String)]) -> Option<Challenge> {
    let find = |name: &str| {
        let mut values = params.iter().filter(|(other, _)| other == name).map(|(_, value)| value.clone());
        let first = values.next();
        // A parameter that is there twice says nothing.
        first.filter(|_| values.next().is_none())
    };
    Some(Challenge {
        id: find("id").filter(|id| !id.is_empty())?,
        realm: find("realm")?,
        method: find("method")?,
        intent: find("intent")?,
        request: find("request")?,
        expires: find("expires"),
        digest: find("digest"),
        opaque: find("opaque"),
        header: find("header"),
        description: find("description"),
    })
}

enum Word {
    Scheme(String),
    Param(String, String),
}

/// The schemes and parameters of `WWW-Authenticate` (RFC 9110, section 11.6.1).
struct Words<'a> {
    rest: &'a str,
}

impl Words<'_> {
    fn next(&mut self) -> Option<Word> {
        self.rest = self.rest.trim_start_matches([' ', '\t', ',']);
        let end = self.rest.find([' ', '\t', ',', '=']).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() && rest.is_empty() {
            return None;
        }
        match rest.trim_start_matches([' ', '\t']).strip_prefix('=') {
            Some(value) => {
                self.rest = value.trim_start_matches([' ', '\t']);
                Some(Word::Param(name.to_ascii_lowercase(), self.value()?))
            }
            None => {
                self.rest = rest;
                Some(Word::Scheme(name.to_owned()))
            }
        }
    }

    fn value(&mut self) -> Option<String> {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            let (value, rest) = self.rest.split_at(self.rest.find([' ', '\t', ',']).unwrap_or(self.rest.len()));
            self.rest = rest;
            return Some(value.to_owned());
        };
        let (mut value, mut is_escaped) = (String::new(), false);
        for (at, c) in quoted.char_indices() {
            match c {
                _ if is_escaped => (is_escaped, _) = (false, value.push(c)),
                '\\' => is_escaped = true,
                '"' => {
                    self.rest = &quoted[at + 1..];
                    return Some(value);
                }
                c => value.push(c),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mpp::{Binding, ChargeRequest, Secret};
    use crate::testing::{NOW, PAYEE, PAYER, amount, payer, token};

    fn challenge() -> Challenge {
        let (secret, binding) = (Secret::derive(&[3; 32]), Binding { request: B256::repeat_byte(5), body: None });
        let issued = Challenge::issue(
            &secret,
            "api",
            &ChargeRequest::new(&token(), PAYEE, amount()),
            &binding,
            NOW + 300,
            &[1; 12],
        );
        Challenge { description: Some("say \"please\", now".into()), ..issued }
    }

    fn required(change: impl FnOnce(&mut Requirements)) -> String {
        let mut accepted = Requirements::exact(&token(), PAYEE, amount(), 300);
        change(&mut accepted);
        x402::encode(&PaymentRequired { x402_version: 2, error: None, resource: None, accepts: vec![accepted] })
    }

    fn limits(most: U256) -> Limits {
        Limits { token: token(), most }
    }

    #[test]
    fn a_challenge_reads_back_among_others() {
        let header =
            format!("Basic realm=\"x, Payment id\", Payment id=\"\", realm=a, {}, Bearer", challenge().header());
        assert_eq!(challenges(&header), [challenge()]);
        assert_eq!(challenges(&format!("{0}, {0}", challenge().header())).len(), 2);
        assert!(challenges(&challenge().header().replace("intent=", "id=\"x\", intent=")).is_empty(), "an id twice");
    }

    #[test]
    fn mpp_is_answered_before_x402() {
        let header = challenge().header();
        let required = required(|_| ());
        let both = choose(&[&header], Some(&required), &limits(amount()), NOW).expect("payable");
        assert_eq!((both.protocol(), both.payee, both.amount), ("mpp", PAYEE, amount()));
        let one = choose(&[], Some(&required), &limits(amount()), NOW).expect("payable");
        assert_eq!(one.protocol(), "x402");
        for bill in [both, one] {
            let authorization = bill.authorization(PAYER, B256::repeat_byte(9));
            assert_eq!(authorization.valid_before, U256::from(NOW + 300));
            let (_, value) = bill.answer(&token(), authorization, payer().sign(&token(), &authorization));
            assert!(!value.is_empty());
        }
    }

    #[test]
    fn nobody_pays_more_than_the_limit_or_in_anything_else() {
        let header = challenge().header();
        let dear = choose(&[&header], None, &limits(amount() - U256::from(1)), NOW);
        assert!(matches!(dear, Err(Unpayable::TooDear { .. })));
        let elsewhere = Limits { token: Token::wrapped_btc(1), most: amount() };
        assert!(matches!(choose(&[&header], Some(&required(|_| ())), &elsewhere, NOW), Err(Unpayable::Foreign(_))));
        for foreign in [
            required(|asked| asked.asset = PAYER.to_string()),
            required(|asked| asked.scheme = "upto".into()),
            required(|asked| asked.extra = Some(serde_json::json!({ "assetTransferMethod": "permit2" }))),
            required(|asked| asked.pay_to = "nobody".into()),
        ] {
            assert!(matches!(choose(&[], Some(&foreign), &limits(amount()), NOW), Err(Unpayable::Foreign(_))));
        }
        assert_eq!(choose(&["Basic realm=\"x\""], Some("?"), &limits(amount()), NOW), Err(Unpayable::NoDemand));
        assert!(matches!(choose(&[&header], None, &limits(amount()), NOW + 300), Err(Unpayable::Foreign(_))));
    }

    #[test]
    fn nothing_is_signed_for_longer_than_ten_minutes() {
        let long = required(|asked| asked.max_timeout_seconds = u64::MAX);
        let bill = choose(&[], Some(&long), &limits(amount()), NOW).expect("payable");
        assert_eq!(bill.authorization(PAYER, B256::ZERO).valid_before, U256::from(NOW + MOST_VALID_S));
    }

    proptest! {
        #[test]
        fn no_header_panics(header: String, tail in "Payment [a-z=\", \\\\]{0,40}") {
            let _ = (challenges(&header), challenges(&tail));
        }
    }
}
