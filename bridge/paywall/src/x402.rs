//! x402, version 2: the scheme `exact` on `eip155` chains with EIP-3009 (x402's specs/x402-specification-v2.md, specs/transports-v2/http.md and
//! specs/schemes/exact/scheme_exact_evm.md).
//!
//! ```text
//!   402  PAYMENT-REQUIRED: base64(JSON PaymentRequired)
//!        PAYMENT-SIGNATURE: base64(JSON PaymentPayload)      <- the client
//!   200  PAYMENT-RESPONSE: base64(JSON SettleResponse)
//! ```

use alloy_primitives::{Address, Bytes, U256};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::authorization::{Authorization, TOKEN_NAME, TOKEN_VERSION, Token};
use crate::refusal::Refusal;
use crate::text::{base64, decimal, decoded};

pub const VERSION: u64 = 2;
pub const SCHEME: &str = "exact";
pub const REQUIRED: &str = "payment-required";
pub const SIGNATURE: &str = "payment-signature";
pub const RESPONSE: &str = "payment-response";
/// Where version 1 had its payload.
pub const SIGNATURE_V1: &str = "x-payment";
/// The member of a demand's `extra` by which it is known again. What a payer signs is on the chain for everybody to read; this is not.
const MARK: &str = "demand";

/// What a resource costs, in the header of a 402.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRequired {
    pub x402_version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Resource>,
    pub accepts: Vec<Requirements>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// One way to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Requirements {
    pub scheme: String,
    /// CAIP-2.
    pub network: String,
    /// In the token's smallest unit.
    #[serde(with = "decimal")]
    pub amount: U256,
    pub asset: String,
    pub pay_to: String,
    pub max_timeout_seconds: u64,
    #[serde(default)]
    pub extra: Option<Value>,
}

/// A payment, in the header of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentPayload {
    pub x402_version: u64,
    pub accepted: Requirements,
    /// Of [`Eip3009`]'s shape, if the scheme is ours.
    pub payload: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Value>,
}

/// What a payer signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eip3009 {
    pub authorization: Authorization,
    pub signature: Bytes,
}

/// What became of a payment, in the header of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettleResponse {
    pub success: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<Address>,
    /// Empty if there is none.
    pub transaction: String,
    pub network: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// What the scheme adds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Value>,
}

/// CAIP-2's name of a chain.
#[must_use]
pub fn network(chain_id: u64) -> String {
    format!("eip155:{chain_id}")
}

impl Requirements {
    #[must_use]
    pub fn exact(token: &Token, payee: Address, amount: U256, timeout_s: u64) -> Self {
        let extra = serde_json::json!({ "name": TOKEN_NAME, "version": TOKEN_VERSION });
        Self::by(SCHEME, token, payee, amount, timeout_s, extra)
    }

    /// By a scheme, with what that scheme wants to be known beside.
    #[must_use]
    pub fn by(scheme: &str, token: &Token, payee: Address, amount: U256, timeout_s: u64, extra: Value) -> Self {
        Self {
            scheme: scheme.to_owned(),
            network: network(token.chain_id),
            amount,
            asset: token.contract.to_string(),
            pay_to: payee.to_string(),
            max_timeout_seconds: timeout_s,
            extra: Some(extra),
        }
    }

    /// The same, with a mark that its payment has to repeat, as it has to repeat all of what it accepts.
    #[must_use]
    pub fn marked(mut self, mark: String) -> Self {
        if let Some(Value::Object(extra)) = &mut self.extra {
            extra.insert(MARK.to_owned(), mark.into());
        }
        self
    }

    #[must_use]
    pub fn mark(&self) -> Option<&str> {
        self.extra.as_ref()?.get(MARK)?.as_str()
    }

    /// That they ask for this token on this chain by this scheme.
    ///
    /// # Errors
    ///
    /// `Unsupported`, `OtherChain`, `OtherToken`.
    pub fn check_token(&self, token: &Token) -> Result<(), Refusal> {
        if self.scheme != SCHEME {
            return Err(Refusal::Unsupported { got: shown(&self.scheme), want: "x402's scheme exact" });
        }
        if self.network != network(token.chain_id) {
            return Err(Refusal::OtherChain { got: shown(&self.network), want: token.chain_id });
        }
        if self.asset.parse::<Address>().ok() != Some(token.contract) {
            return Err(Refusal::OtherToken { got: shown(&self.asset), want: token.contract });
        }
        Ok(())
    }

    /// # Errors
    ///
    /// `Malformed`.
    pub fn payee(&self) -> Result<Address, Refusal> {
        self.pay_to.parse().map_err(|_| Refusal::Malformed("payTo is no address".to_owned()))
    }
}

impl PaymentPayload {
    /// # Errors
    ///
    /// `Malformed`, `Unsupported`.
    pub fn eip3009(&self) -> Result<Eip3009, Refusal> {
        if self.x402_version != VERSION {
            let got = format!("x402 version {}", self.x402_version);
            return Err(Refusal::Unsupported { got, want: "version 2" });
        }
        if self.payload.get("authorization").is_none() && self.payload.get("permit2Authorization").is_some() {
            return Err(Refusal::Unsupported { got: "permit2".to_owned(), want: "eip3009" });
        }
        Eip3009::deserialize(&self.payload).map_err(|error| malformed("payload", &error))
    }
}

/// A header's value.
#[must_use]
pub fn encode<T: Serialize>(message: &T) -> String {
    base64(&serde_json::to_vec(message).expect("text and numbers always serialise"))
}

/// Reads a header's value.
///
/// # Errors
///
/// `Malformed`.
pub fn decode<T: DeserializeOwned>(header: &str) -> Result<T, Refusal> {
    let bytes = decoded(header.trim()).ok_or_else(|| Refusal::Malformed("it is no base64".to_owned()))?;
    serde_json::from_slice(&bytes).map_err(|error| malformed("its JSON", &error))
}

fn malformed(what: &str, error: &serde_json::Error) -> Refusal {
    Refusal::Malformed(format!("{what}: {}", shown(&error.to_string())))
}

fn shown(text: &str) -> String {
    bridge::foreign::shown(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PAYEE, amount, authorization, payer, token};

    fn payload() -> PaymentPayload {
        let signed = Eip3009 { authorization: authorization(), signature: payer().sign(&token(), &authorization()) };
        PaymentPayload {
            x402_version: VERSION,
            accepted: Requirements::exact(&token(), PAYEE, amount(), 300),
            payload: serde_json::to_value(signed).expect("JSON"),
            resource: None,
        }
    }

    #[test]
    fn requirements_keep_their_form() {
        // Frozen: what public clients read.
        let json = serde_json::to_string(&Requirements::exact(&token(), PAYEE, amount(), 300)).expect("JSON");
        assert_eq!(
            json,
            r#"{"scheme":"exact","network":"eip155:51717","amount":"250000000000","asset":"0xcA05000000000000000000000000000000000008","payTo":"0x70997970C51812dc3A010C7d01b50e0d17dc79C8","maxTimeoutSeconds":300,"extra":{"name":"Causeway Wrapped BTC","version":"1"}}"#
        );
    }

    #[test]
    fn what_is_written_reads_back() {
        let read: PaymentPayload = decode(&encode(&payload())).expect("our own");
        assert_eq!(read.eip3009().expect("ours").authorization, authorization());
        assert_eq!(read, payload());
    }

    #[test]
    fn what_is_not_ours_is_told_apart() {
        assert!(matches!(decode::<PaymentPayload>("***"), Err(Refusal::Malformed(_))));
        assert!(matches!(decode::<PaymentPayload>(&base64(b"{}")), Err(Refusal::Malformed(_))));
        let old = PaymentPayload { x402_version: 1, ..payload() };
        assert!(matches!(old.eip3009(), Err(Refusal::Unsupported { .. })));
        let permit = PaymentPayload { payload: serde_json::json!({ "permit2Authorization": {} }), ..payload() };
        assert!(matches!(permit.eip3009(), Err(Refusal::Unsupported { .. })));
        let empty = PaymentPayload { payload: serde_json::json!({}), ..payload() };
        assert!(matches!(empty.eip3009(), Err(Refusal::Malformed(_))));
        let asked = payload().accepted;
        let upto = Requirements { scheme: "upto".into(), ..asked.clone() };
        assert!(matches!(upto.check_token(&token()), Err(Refusal::Unsupported { .. })));
        let base = Requirements { network: "eip155:8453".into(), ..asked.clone() };
        assert!(matches!(base.check_token(&token()), Err(Refusal::OtherChain { .. })));
        let usdc = Requirements { asset: PAYEE.to_string(), ..asked };
        assert!(matches!(usdc.check_token(&token()), Err(Refusal::OtherToken { .. })));
    }
}
