//! The HTTP authentication scheme `Payment` (MPP, draft-httpauth-payment-02), intent `charge`, method `evm` with the credential type
//! `authorization` (draft-evm-charge-01).
//!
//! ```text
//!   402  WWW-Authenticate: Payment id="…", realm="…", method="evm", intent="charge", request="…", expires="…", opaque="…"
//!        Authorization: Payment base64url(JSON credential)      <- the client
//!   200  Payment-Receipt: base64url(JSON receipt)
//! ```
//! A challenge's id is an HMAC over all that it says, so nothing is kept for challenges that are never answered; its answer brings it back.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use bitcoin::hashes::cmp::fixed_time_eq;
use bitcoin::hashes::{Hash as _, HashEngine as _, Hmac, HmacEngine, sha256};
use contracts::standard::PERMIT2;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::authorization::{Authorization, TOKEN_DECIMALS, Token};
use crate::refusal::Refusal;
use crate::text::{base64, base64url, decimal, decoded, rfc3339};

pub const SCHEME: &str = "Payment";
pub const METHOD: &str = "evm";
pub const INTENT: &str = "charge";
/// The credential type of EIP-3009.
pub const AUTHORIZATION: &str = "authorization";
/// Where a credential goes when `Authorization` is taken by another scheme.
pub const PAYMENT_AUTHORIZATION: &str = "payment-authorization";
pub const RECEIPT: &str = "payment-receipt";
/// The member of a challenge's `opaque` that binds it to a request, and the one that makes it unlike all others for the same request: two who ask in the same
/// second do not get the same nonce.
const REQUEST: &str = "request";
const SALT: &str = "salt";

/// Random bytes of a challenge.
pub type Salt = [u8; 12];

/// What challenges are made with: whoever has it can make some.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

/// What is asked for, as `draft-evm-charge` has it. Members are in the order of their names, so that the JSON is canonical (RFC 8785).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChargeRequest {
    #[serde(with = "decimal")]
    pub amount: U256,
    pub currency: String,
    pub method_details: MethodDetails,
    pub recipient: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MethodDetails {
    pub chain_id: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_types: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permit2_address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub splits: Option<serde_json::Value>,
}

/// A challenge, as it was issued and as its answer repeats it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    pub id: String,
    pub realm: String,
    pub method: String,
    pub intent: String,
    /// base64url of a [`ChargeRequest`], as it is on the wire.
    pub request: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opaque: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// The answer to a challenge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    pub challenge: Challenge,
    pub payload: Payload,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(flatten)]
    pub authorization: Authorization,
    pub signature: Bytes,
}

/// What a challenge is bound to, beside the price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// SHA-256 of method and target.
    pub request: B256,
    /// SHA-256 of the body, if there is one.
    pub body: Option<B256>,
}

impl Secret {
    /// Derived from the payee's key: a server that starts again knows the challenges that it issued before.
    #[must_use]
    pub fn derive(key: &[u8; 32]) -> Self {
        Self(Zeroizing::new(hmac(key, b"causeway/paywall/challenges/1")))
    }
}

impl Secret {
    /// A text that only this secret makes of a salt: a demand that carries it is known again, and nobody guesses it.
    #[must_use]
    pub fn mark(&self, salt: &Salt) -> String {
        base64url(&[salt.as_slice(), &self.seal(salt)].concat())
    }

    /// That a text was made with this secret.
    #[must_use]
    pub fn is_mark(&self, text: &str) -> bool {
        let Some(bytes) = decoded(text) else { return false };
        let Some((salt, seal)) = bytes.split_first_chunk::<{ size_of::<Salt>() }>() else { return false };
        seal.len() == size_of::<Salt>() && fixed_time_eq(seal, &self.seal(salt))
    }

    fn seal(&self, salt: &Salt) -> Salt {
        // A challenge's id begins with a realm, never with this.
        let all = hmac(&*self.0, &[b"|x402|".as_slice(), salt].concat());
        *all.first_chunk().expect("32 bytes have 12")
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl ChargeRequest {
    #[must_use]
    pub fn new(token: &Token, recipient: Address, amount: U256) -> Self {
        Self {
            amount,
            currency: token.contract.to_string(),
            method_details: MethodDetails {
                chain_id: token.chain_id,
                credential_types: Some(vec![AUTHORIZATION.to_owned()]),
                decimals: Some(TOKEN_DECIMALS),
                permit2_address: Some(PERMIT2.to_string()),
                splits: None,
            },
            recipient: recipient.to_string(),
        }
    }

    #[must_use]
    pub fn encode(&self) -> String {
        base64url(&serde_json::to_vec(self).expect("text and numbers always serialise"))
    }
}

impl Challenge {
    #[must_use]
    pub fn issue(
        secret: &Secret,
        realm: &str,
        request: &ChargeRequest,
        binding: &Binding,
        expires_unix_s: u64,
        salt: &Salt,
    ) -> Self {
        let (digest, opaque) = (binding.digest(), binding.opaque(salt));
        Self::of(secret, realm, INTENT, request.encode(), digest, opaque, expires_unix_s)
    }

    /// For any request that costs as much: a session's vouchers name the challenge with which it began.
    #[must_use]
    pub fn of_session(
        secret: &Secret,
        realm: &str,
        intent: &str,
        request: String,
        expires_unix_s: u64,
        salt: &Salt,
    ) -> Self {
        let opaque = opaque(&BTreeMap::from([(SALT, base64url(salt))]));
        Self::of(secret, realm, intent, request, None, opaque, expires_unix_s)
    }

    fn of(
        secret: &Secret,
        realm: &str,
        intent: &str,
        request: String,
        digest: Option<String>,
        opaque: String,
        expires_unix_s: u64,
    ) -> Self {
        let challenge = Self {
            id: String::new(),
            realm: realm.to_owned(),
            method: METHOD.to_owned(),
            intent: intent.to_owned(),
            request,
            expires: Some(rfc3339(expires_unix_s)),
            digest,
            opaque: Some(opaque),
            header: None,
            description: None,
        };
        challenge.with_id(secret)
    }

    /// The same, to be answered in `Payment-Authorization`.
    #[must_use]
    pub fn beside_authorization(self, secret: &Secret) -> Self {
        Self { header: Some("Payment-Authorization".to_owned()), ..self }.with_id(secret)
    }

    fn with_id(self, secret: &Secret) -> Self {
        Self { id: self.computed_id(secret), ..self }
    }

    /// The recommended binding of the core draft ("HMAC-SHA256 Binding").
    fn computed_id(&self, secret: &Secret) -> String {
        let some = |text: &Option<String>| text.clone().unwrap_or_default();
        let (expires, digest, opaque) = (some(&self.expires), some(&self.digest), some(&self.opaque));
        let mut slots = vec![&self.realm, &self.method, &self.intent, &self.request, &expires, &digest, &opaque];
        slots.extend(&self.header);
        base64url(&hmac(&*secret.0, slots.into_iter().map(String::as_str).collect::<Vec<_>>().join("|").as_bytes()))
    }

    /// That it was issued with this secret, as it is.
    #[must_use]
    pub fn is_issued(&self, secret: &Secret) -> bool {
        let computed = self.computed_id(secret);
        // The separator of what the id is computed from is in none of it.
        let is_plain = [&self.realm, &self.method, &self.intent, &self.request].iter().all(|slot| !slot.contains('|'))
            && [&self.expires, &self.digest, &self.opaque]
                .iter()
                .all(|slot| slot.as_deref().is_none_or(|slot| !slot.contains('|')));
        is_plain && computed.len() == self.id.len() && fixed_time_eq(computed.as_bytes(), self.id.as_bytes())
    }

    /// In seconds since 1970.
    #[must_use]
    pub fn expires_unix_s(&self) -> Option<u64> {
        let time = humantime::parse_rfc3339(self.expires.as_deref()?).ok()?;
        time.duration_since(std::time::UNIX_EPOCH).ok().map(|since| since.as_secs())
    }

    /// # Errors
    ///
    /// `Malformed`.
    pub fn charge(&self) -> Result<ChargeRequest, Refusal> {
        decode(&self.request)
    }

    /// The nonce of whoever answers it.
    #[must_use]
    pub fn nonce(&self) -> B256 {
        keccak256([self.id.as_bytes(), self.realm.as_bytes()].concat())
    }

    /// As `WWW-Authenticate` has it.
    #[must_use]
    pub fn header(&self) -> String {
        let mut params = vec![
            ("id", &self.id),
            ("realm", &self.realm),
            ("method", &self.method),
            ("intent", &self.intent),
            ("request", &self.request),
        ];
        let optional = [
            ("expires", &self.expires),
            ("digest", &self.digest),
            ("opaque", &self.opaque),
            ("header", &self.header),
            ("description", &self.description),
        ];
        params.extend(optional.into_iter().filter_map(|(name, value)| value.as_ref().map(|value| (name, value))));
        let params: Vec<String> =
            params.into_iter().map(|(name, value)| format!("{name}=\"{}\"", quoted(value))).collect();
        format!("{SCHEME} {}", params.join(", "))
    }
}

impl Binding {
    fn opaque(&self, salt: &Salt) -> String {
        opaque(&BTreeMap::from([(REQUEST, base64url(self.request.as_slice())), (SALT, base64url(salt))]))
    }

    /// As RFC 9530 has it.
    fn digest(&self) -> Option<String> {
        self.body.map(|body| format!("sha-256=:{}:", base64(body.as_slice())))
    }

    /// That a challenge was issued for this method and target.
    ///
    /// # Errors
    ///
    /// `OtherRequest`.
    pub fn check_request(&self, challenge: &Challenge) -> Result<(), Refusal> {
        let opaque: BTreeMap<String, String> = decode(challenge.opaque.as_deref().unwrap_or_default())?;
        let is_of_it = opaque.get(REQUEST) == Some(&base64url(self.request.as_slice()));
        if is_of_it { Ok(()) } else { Err(Refusal::OtherRequest) }
    }

    /// That a challenge was issued for this body.
    ///
    /// # Errors
    ///
    /// `OtherBody`.
    pub fn check_body(&self, challenge: &Challenge) -> Result<(), Refusal> {
        if challenge.digest == self.digest() { Ok(()) } else { Err(Refusal::OtherBody) }
    }
}

impl Credential {
    /// Reads what follows the scheme's name.
    ///
    /// # Errors
    ///
    /// `Malformed`, `Unsupported`.
    pub fn decode(token: &str) -> Result<Self, Refusal> {
        let value: serde_json::Value = decode(token)?;
        let text = |member: &str, of: &str| value[of][member].as_str().unwrap_or_default().to_owned();
        let (method, intent, kind) =
            (text("method", "challenge"), text("intent", "challenge"), text("type", "payload"));
        if (method.as_str(), intent.as_str()) != (METHOD, INTENT) {
            let got = bridge::foreign::shown(&format!("{method}/{intent}"));
            return Err(Refusal::Unsupported { got, want: "evm/charge" });
        }
        if kind != AUTHORIZATION {
            return Err(Refusal::Unsupported {
                got: bridge::foreign::shown(&kind),
                want: "the credential type authorization",
            });
        }
        Self::deserialize(&value).map_err(|error| Refusal::Malformed(bridge::foreign::shown(&error.to_string())))
    }

    #[must_use]
    pub fn encode(&self) -> String {
        let json = serde_json::to_vec(self).expect("text and numbers always serialise");
        format!("{SCHEME} {}", base64url(&json))
    }

    /// That whom it names as its source is who signed, on this chain.
    ///
    /// # Errors
    ///
    /// `Malformed`, `OtherChain`, `WrongSigner`.
    pub fn check_source(&self, token: &Token) -> Result<(), Refusal> {
        let Some(source) = &self.source else { return Ok(()) };
        let (got, want) = (source_of(source, token.chain_id)?, self.payload.authorization.from);
        if got == want { Ok(()) } else { Err(Refusal::WrongSigner { got, want }) }
    }
}

/// The account that a credential's source names.
///
/// # Errors
///
/// `Malformed`, `OtherChain`.
pub fn source_of(source: &str, chain_id: u64) -> Result<Address, Refusal> {
    let malformed = || Refusal::Malformed("its source is not of the form did:pkh:eip155:CHAIN:ADDRESS".to_owned());
    let rest = source.strip_prefix("did:pkh:eip155:").ok_or_else(malformed)?;
    let (chain, address) = rest.split_once(':').ok_or_else(malformed)?;
    if chain != chain_id.to_string() {
        return Err(Refusal::OtherChain { got: bridge::foreign::shown(chain), want: chain_id });
    }
    address.parse::<Address>().map_err(|_| malformed())
}

fn opaque(members: &BTreeMap<&str, String>) -> String {
    base64url(&serde_json::to_vec(members).expect("text always serialises"))
}

/// The account of a chain as a credential's source.
#[must_use]
pub fn source(chain_id: u64, account: Address) -> String {
    format!("did:pkh:eip155:{chain_id}:{account}")
}

/// What comes with an answer that was paid for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    pub method: String,
    pub challenge_id: String,
    /// The transaction's hash.
    pub reference: String,
    pub status: String,
    pub timestamp: String,
    pub chain_id: u64,
}

impl Receipt {
    #[must_use]
    pub fn new(challenge_id: &str, transaction: B256, settled_unix_s: u64, chain_id: u64) -> Self {
        Self {
            method: METHOD.to_owned(),
            challenge_id: challenge_id.to_owned(),
            reference: transaction.to_string(),
            status: "success".to_owned(),
            timestamp: rfc3339(settled_unix_s),
            chain_id,
        }
    }

    #[must_use]
    pub fn encode(&self) -> String {
        base64url(&serde_json::to_vec(self).expect("text and numbers always serialise"))
    }

    /// # Errors
    ///
    /// `Malformed`.
    pub fn decode(header: &str) -> Result<Self, Refusal> {
        decode(header)
    }
}

/// What follows the scheme's name in a field, if the scheme is this one.
#[must_use]
pub fn token_of(field: &str) -> Option<&str> {
    let (scheme, token) = field.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(token.trim())
}

fn decode<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    let bytes = decoded(text).ok_or_else(|| Refusal::Malformed("it is no base64url".to_owned()))?;
    serde_json::from_slice(&bytes).map_err(|error| Refusal::Malformed(bridge::foreign::shown(&error.to_string())))
}

/// A quoted-string (RFC 9110): what has no place in one is left out.
fn quoted(text: &str) -> String {
    let plain = text.chars().filter(|c| matches!(c, ' '..='~'));
    plain.flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c])).collect()
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut engine = HmacEngine::<sha256::Hash>::new(key);
    engine.input(message);
    Hmac::<sha256::Hash>::from_engine(engine).to_byte_array()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOW, PAYEE, amount, token};

    fn secret() -> Secret {
        Secret::derive(&[3; 32])
    }

    fn binding() -> Binding {
        Binding { request: B256::repeat_byte(5), body: None }
    }

    fn challenge() -> Challenge {
        Challenge::issue(
            &secret(),
            "api.example.com",
            &ChargeRequest::new(&token(), PAYEE, amount()),
            &binding(),
            NOW + 300,
            &[1; 12],
        )
    }

    #[test]
    fn a_mark_is_known_by_its_secret_alone() {
        let mark = secret().mark(&[1; 12]);
        assert!(secret().is_mark(&mark) && mark != secret().mark(&[2; 12]));
        assert!(!Secret::derive(&[4; 32]).is_mark(&mark));
        for wrong in ["", "AAAA", &mark[1..], &mark.replace('A', "B"), &format!("{mark}AAAA"), "\u{e9}"] {
            assert!(!secret().is_mark(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_challenge_keeps_its_bytes() {
        // Frozen. The header was computed apart, by Python's hmac and json.
        assert_eq!(
            challenge().header(),
            r#"Payment id="2olNk1Laec3ksFLHcrAMMby4ECvqV0y8MK6T56u73eU", realm="api.example.com", method="evm", intent="charge", request="eyJhbW91bnQiOiIyNTAwMDAwMDAwMDAiLCJjdXJyZW5jeSI6IjB4Y0EwNTAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwOCIsIm1ldGhvZERldGFpbHMiOnsiY2hhaW5JZCI6NTE3MTcsImNyZWRlbnRpYWxUeXBlcyI6WyJhdXRob3JpemF0aW9uIl0sImRlY2ltYWxzIjoxOCwicGVybWl0MkFkZHJlc3MiOiIweDAwMDAwMDAwMDAyMkQ0NzMwMzBGMTE2ZERFRTlGNkI0M2FDNzhCQTMifSwicmVjaXBpZW50IjoiMHg3MDk5Nzk3MEM1MTgxMmRjM0EwMTBDN2QwMWI1MGUwZDE3ZGM3OUM4In0", expires="2026-04-01T12:05:00Z", opaque="eyJyZXF1ZXN0IjoiQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVUZCUVVGQlFVRkJRVSIsInNhbHQiOiJBUUVCQVFFQkFRRUJBUUVCIn0""#
        );
        let json = decoded(&challenge().request).expect("base64url");
        assert_eq!(
            String::from_utf8(json).expect("text"),
            r#"{"amount":"250000000000","currency":"0xcA05000000000000000000000000000000000008","methodDetails":{"chainId":51717,"credentialTypes":["authorization"],"decimals":18,"permit2Address":"0x000000000022D473030F116dDEE9F6B43aC78BA3"},"recipient":"0x70997970C51812dc3A010C7d01b50e0d17dc79C8"}"#
        );
        assert_eq!(challenge().expires_unix_s(), Some(NOW + 300));
    }

    #[test]
    fn a_challenge_in_which_anything_was_changed_was_never_issued() {
        let issued = challenge();
        assert!(issued.is_issued(&secret()));
        assert!(!issued.is_issued(&Secret::derive(&[4; 32])));
        let more = ChargeRequest::new(&token(), PAYEE, U256::from(1)).encode();
        let changed = [
            Challenge { realm: "other".into(), ..issued.clone() },
            Challenge { request: more, ..issued.clone() },
            Challenge { expires: Some(rfc3339(NOW + 9_000)), ..issued.clone() },
            Challenge { expires: None, ..issued.clone() },
            Challenge { digest: Some("sha-256=:AA==:".into()), ..issued.clone() },
            Challenge { opaque: None, ..issued.clone() },
            Challenge { header: Some("Payment-Authorization".into()), ..issued.clone() },
            Challenge { id: issued.id[1..].to_owned(), ..issued.clone() },
            Challenge { id: String::new(), ..issued.clone() },
        ];
        for other in changed {
            assert!(!other.is_issued(&secret()), "{other:?}");
        }
        // What is joined could be joined otherwise.
        let (expires, digest) = (issued.expires.clone().expect("it has one"), String::new());
        let moved = Challenge {
            expires: None,
            digest: None,
            request: format!("{}|{expires}|{digest}", issued.request),
            ..issued
        };
        assert!(!moved.is_issued(&secret()));
    }

    #[test]
    fn a_challenge_is_for_one_request_and_one_body() {
        let with_body = Binding { body: Some(B256::repeat_byte(6)), ..binding() };
        assert_eq!((binding().check_request(&challenge()), binding().check_body(&challenge())), (Ok(()), Ok(())));
        assert_eq!(with_body.check_body(&challenge()), Err(Refusal::OtherBody));
        let elsewhere = Binding { request: B256::repeat_byte(9), ..binding() };
        assert_eq!(elsewhere.check_request(&challenge()), Err(Refusal::OtherRequest));
    }

    #[test]
    fn text_of_others_ends_no_quoted_string() {
        let described = Challenge { description: Some("a \"b\" \\ c\r\nX: y\u{e9}".into()), ..challenge() };
        assert!(described.header().ends_with(r#"description="a \"b\" \\ cX: y""#), "{}", described.header());
    }

    #[test]
    fn whatever_else_is_accepted_elsewhere_is_unsupported_here() {
        let credential = |method: &str, kind: &str| {
            let json = serde_json::json!({ "challenge": { "method": method, "intent": "charge" }, "payload": { "type": kind } });
            Credential::decode(&base64url(json.to_string().as_bytes()))
        };
        assert!(matches!(credential("tempo", "authorization"), Err(Refusal::Unsupported { .. })));
        assert!(matches!(credential("evm", "hash"), Err(Refusal::Unsupported { .. })));
        assert!(matches!(credential("evm", "authorization"), Err(Refusal::Malformed(_))));
        assert!(matches!(Credential::decode("?"), Err(Refusal::Malformed(_))));
        assert_eq!(token_of("payment  abc"), Some("abc"));
        assert_eq!(token_of("Bearer abc"), None);
    }
}
