//! What comes back for a challenge of a session, and what it asks for, step by step.
//!
//! ```text
//!   open      [money in]  voucher            voucher   ([money in])  voucher          stream  (ours)  terms of a stream
//!   topUp      money in                      close                   voucher, the last
//! ```

use alloy_primitives::{Address, B256, Bytes};
use payments::stream::{SignedStream, StreamTerms};
use payments::voucher::{SignedVoucher, Voucher};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::authorization::Authorization;
use crate::mpp::{Challenge, METHOD, SCHEME, source_of};
use crate::refusal::Refusal;
use crate::session::offer::INTENT;
use crate::text::{base64url, decimal_u128, decoded};

/// The only kind of authorization there is.
pub const EIP_3009: &str = "eip-3009";

/// The answer to a challenge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    pub challenge: Challenge,
    pub payload: Payload,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase")]
pub enum Payload {
    Open(Open),
    TopUp(TopUp),
    Voucher(WithDeposit),
    Close(Signed),
    Stream(Stream),
}

/// A voucher, as credentials have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Signed {
    pub channel_id: B256,
    #[serde(with = "decimal_u128")]
    pub cumulative_amount: u128,
    pub signature: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Open {
    Hash {
        channel_id: B256,
        hash: B256,
        #[serde(with = "decimal_u128")]
        cumulative_amount: u128,
        signature: Bytes,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authorized_signer: Option<Address>,
        salt: B256,
    },
    Transaction {
        channel_id: B256,
        authorization: Eip3009,
        signature: Bytes,
        #[serde(with = "decimal_u128")]
        cumulative_amount: u128,
        voucher_signature: Bytes,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authorized_signer: Option<Address>,
        salt: B256,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum TopUp {
    Hash {
        channel_id: B256,
        hash: B256,
        #[serde(with = "decimal_u128")]
        additional_deposit: u128,
    },
    Transaction {
        channel_id: B256,
        authorization: Eip3009,
        signature: Bytes,
        #[serde(with = "decimal_u128")]
        additional_deposit: u128,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WithDeposit {
    #[serde(flatten)]
    pub signed: Signed,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deposit: Option<Deposit>,
}

/// Money that comes with a voucher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Deposit {
    Open {
        authorization: Eip3009,
        signature: Bytes,
        salt: B256,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authorized_signer: Option<Address>,
    },
    TopUp {
        authorization: Eip3009,
        signature: Bytes,
        /// Must not be there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        salt: Option<B256>,
    },
}

/// As EIP-3009 has it, with its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eip3009 {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(flatten)]
    pub terms: Authorization,
}

/// Our own: terms of a stream, whose ticks go to a place of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stream {
    pub channel_id: B256,
    pub stream: SignedTerms,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignedTerms {
    #[serde(with = "decimal_u128")]
    pub cumulative_amount: u128,
    #[serde(with = "decimal_u128")]
    pub tick_amount: u128,
    pub ticks: u32,
    pub root: B256,
    pub signature: Bytes,
}

/// What a credential asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    pub channel: B256,
    /// First.
    pub funding: Option<Funding>,
    pub proof: Proof,
    pub is_close: bool,
}

/// Money for the channel: by a transaction that its payer sent, or by one that the payee sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Funding {
    OpenedBy { hash: B256, salt: B256, authorized_signer: Address },
    ToppedUpBy { hash: B256, additional: u128 },
    Open { authorization: Authorization, signature: Bytes, salt: B256, authorized_signer: Address },
    TopUp { authorization: Authorization, signature: Bytes },
}

/// By what the payer shows that it asks for something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    Voucher(SignedVoucher),
    Stream(SignedStream),
    /// By nothing: so nothing is given.
    None,
}

impl Credential {
    /// Reads what follows the scheme's name; none if it is for another intent.
    ///
    /// # Errors
    ///
    /// `Malformed`.
    pub fn decode(token: &str) -> Result<Option<Self>, Refusal> {
        // What is no JSON is refused by whoever reads other intents.
        let Some(value) = decoded(token).and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()) else {
            return Ok(None);
        };
        let text = |member: &str| value["challenge"][member].as_str();
        if (text("method"), text("intent")) != (Some(METHOD), Some(INTENT)) {
            return Ok(None);
        }
        let credential = Self::deserialize(&value);
        credential.map(Some).map_err(|error| Refusal::MalformedCredential(bridge::foreign::shown(&error.to_string())))
    }

    #[must_use]
    pub fn encode(&self) -> String {
        let json = serde_json::to_vec(self).expect("text and numbers always serialise");
        format!("{SCHEME} {}", base64url(&json))
    }

    /// The account that it names as its source.
    ///
    /// # Errors
    ///
    /// `Malformed`, `OtherChain`.
    pub fn source(&self, chain_id: u64) -> Result<Option<Address>, Refusal> {
        self.source.as_deref().map(|source| source_of(source, chain_id)).transpose()
    }

    /// # Errors
    ///
    /// `Malformed`, `Unsupported`.
    pub fn steps(&self) -> Result<Steps, Refusal> {
        let steps = match self.payload.clone() {
            Payload::Open(open) => self.open_steps(open)?,
            Payload::TopUp(top_up) => self.top_up_steps(top_up)?,
            Payload::Voucher(voucher) => voucher.steps()?,
            Payload::Close(Signed { channel_id, cumulative_amount, signature }) => {
                Steps { is_close: true, ..Steps::voucher(channel_id, cumulative_amount, signature) }
            }
            Payload::Stream(Stream { channel_id, stream }) => {
                let SignedTerms { cumulative_amount, tick_amount, ticks, root, signature } = stream;
                let terms = StreamTerms { channel_id, cumulative_amount, tick_amount, ticks, root };
                Steps::of(channel_id, Proof::Stream(SignedStream { terms, signature }))
            }
        };
        Ok(steps)
    }
}

impl Credential {
    fn open_steps(&self, open: Open) -> Result<Steps, Refusal> {
        match open {
            Open::Hash { channel_id, hash, cumulative_amount, signature, authorized_signer, salt } => {
                self.check_sourced()?;
                let authorized_signer = authorized_signer.unwrap_or_default();
                let funding = Funding::OpenedBy { hash, salt, authorized_signer };
                Ok(Steps::voucher(channel_id, cumulative_amount, signature).funded(funding))
            }
            Open::Transaction {
                channel_id,
                authorization,
                signature,
                cumulative_amount,
                voucher_signature,
                authorized_signer,
                salt,
            } => {
                let authorized_signer = authorized_signer.unwrap_or_default();
                let authorization = authorization.terms()?;
                let funding = Funding::Open { authorization, signature, salt, authorized_signer };
                Ok(Steps::voucher(channel_id, cumulative_amount, voucher_signature).funded(funding))
            }
        }
    }

    fn top_up_steps(&self, top_up: TopUp) -> Result<Steps, Refusal> {
        match top_up {
            TopUp::Hash { channel_id, hash, additional_deposit: additional } => {
                self.check_sourced()?;
                Ok(Steps::of(channel_id, Proof::None).funded(Funding::ToppedUpBy { hash, additional }))
            }
            TopUp::Transaction { channel_id, authorization, signature, additional_deposit } => {
                let authorization = authorization.terms()?;
                if authorization.value != alloy_primitives::U256::from(additional_deposit) {
                    return Err(missing("additionalDeposit is another amount than is authorized"));
                }
                Ok(Steps::of(channel_id, Proof::None).funded(Funding::TopUp { authorization, signature }))
            }
        }
    }

    /// Whose transaction it is must be said.
    fn check_sourced(&self) -> Result<(), Refusal> {
        if self.source.is_none() { Err(missing("with type hash its source is wanted")) } else { Ok(()) }
    }
}

impl WithDeposit {
    fn steps(self) -> Result<Steps, Refusal> {
        let steps = Steps::voucher(self.signed.channel_id, self.signed.cumulative_amount, self.signed.signature);
        match self.deposit {
            None => Ok(steps),
            Some(Deposit::Open { authorization, signature, salt, authorized_signer }) => {
                let authorized_signer = authorized_signer.unwrap_or_default();
                let authorization = authorization.terms()?;
                Ok(steps.funded(Funding::Open { authorization, signature, salt, authorized_signer }))
            }
            Some(Deposit::TopUp { salt: Some(_), .. }) => Err(missing("a top-up has no salt")),
            Some(Deposit::TopUp { authorization, signature, salt: None }) => {
                Ok(steps.funded(Funding::TopUp { authorization: authorization.terms()?, signature }))
            }
        }
    }
}

fn missing(what: &str) -> Refusal {
    Refusal::MalformedCredential(what.to_owned())
}

impl Steps {
    fn of(channel: B256, proof: Proof) -> Self {
        Self { channel, funding: None, proof, is_close: false }
    }

    fn voucher(channel_id: B256, cumulative_amount: u128, signature: Bytes) -> Self {
        let voucher = SignedVoucher { voucher: Voucher { channel_id, cumulative_amount }, signature };
        Self::of(channel_id, Proof::Voucher(voucher))
    }

    fn funded(self, funding: Funding) -> Self {
        Self { funding: Some(funding), ..self }
    }
}

impl Eip3009 {
    fn terms(self) -> Result<Authorization, Refusal> {
        if self.kind == EIP_3009 {
            return Ok(self.terms);
        }
        Err(Refusal::Unsupported { got: bridge::foreign::shown(&self.kind), want: "an authorization of type eip-3009" })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ID: &str = "0x0707070707070707070707070707070707070707070707070707070707070707";

    fn credential(payload: &Value, source: Option<&str>) -> Result<Option<Credential>, Refusal> {
        let challenge = json!({ "id": "x", "realm": "y", "method": "evm", "intent": "session", "request": "e30" });
        let json = json!({ "challenge": challenge, "payload": payload, "source": source });
        Credential::decode(&base64url(json.to_string().as_bytes()))
    }

    fn steps(payload: &Value, source: Option<&str>) -> Result<Steps, Refusal> {
        credential(payload, source)?.expect("a session").steps()
    }

    fn authorization() -> Value {
        json!({
            "type": "eip-3009", "from": "0xaabbccddee11223344556677889900aabbccddee", "to": "0x1234567890abcdef1234567890abcdef12345678",
            "value": "10000000", "validAfter": "0", "validBefore": "1743523500", "nonce": ID,
        })
    }

    #[test]
    fn each_action_of_the_draft_is_taken_apart() {
        let source = Some("did:pkh:eip155:196:0xaabbccddee11223344556677889900aabbccddee");
        let open = json!({ "action": "open", "type": "hash", "channelId": ID, "hash": ID, "cumulativeAmount": "0", "signature": "0xab", "salt": ID });
        let opened = steps(&open, source).expect("open");
        assert!(matches!(opened.funding, Some(Funding::OpenedBy { authorized_signer: Address::ZERO, .. })));
        assert!(steps(&open, None).is_err(), "whose it is must be said");
        let by_authorization = json!({ "action": "open", "type": "transaction", "channelId": ID, "authorization": authorization(), "signature": "0x01", "cumulativeAmount": "5", "voucherSignature": "0x02", "salt": ID });
        let opened = steps(&by_authorization, None).expect("open");
        let Proof::Voucher(voucher) = &opened.proof else { panic!("{opened:?}") };
        assert_eq!((voucher.voucher.cumulative_amount, voucher.signature.to_string()), (5, "0x02".to_owned()));
        let top_up = json!({ "action": "topUp", "type": "transaction", "channelId": ID, "authorization": authorization(), "signature": "0x01", "additionalDeposit": "10000000" });
        assert_eq!(steps(&top_up, None).expect("topUp").proof, Proof::None);
        let other = json!({ "action": "topUp", "type": "transaction", "channelId": ID, "authorization": authorization(), "signature": "0x01", "additionalDeposit": "1" });
        assert!(steps(&other, None).is_err());
        let merged = json!({ "action": "voucher", "channelId": ID, "cumulativeAmount": "7", "signature": "0x02", "deposit": { "action": "topUp", "authorization": authorization(), "signature": "0x01" } });
        assert!(matches!(steps(&merged, None).expect("voucher").funding, Some(Funding::TopUp { .. })));
        let salted = json!({ "action": "voucher", "channelId": ID, "cumulativeAmount": "7", "signature": "0x02", "deposit": { "action": "topUp", "authorization": authorization(), "signature": "0x01", "salt": ID } });
        assert!(steps(&salted, None).is_err());
        let close = json!({ "action": "close", "channelId": ID, "cumulativeAmount": "7", "signature": "0x02" });
        assert!(steps(&close, None).expect("close").is_close);
        let stream = json!({ "action": "stream", "channelId": ID, "stream": { "cumulativeAmount": "7", "tickAmount": "1", "ticks": 9, "root": ID, "signature": "0x02" } });
        assert!(matches!(steps(&stream, None).expect("stream").proof, Proof::Stream(_)));
    }

    #[test]
    fn what_is_no_credential_of_a_session_is_told_apart_from_a_bad_one() {
        let (huge, other) = ("340282366920938463463374607431768211456", json!({ "action": "voucher" }));
        let voucher = json!({ "action": "voucher", "channelId": ID, "cumulativeAmount": huge, "signature": "0x02" });
        for bad in [voucher, other, json!({ "action": "steal" }), json!(null)] {
            assert!(matches!(credential(&bad, None), Err(Refusal::MalformedCredential(_))), "{bad}");
        }
        let charge = json!({ "challenge": { "method": "evm", "intent": "charge" }, "payload": {} });
        assert_eq!(Credential::decode(&base64url(charge.to_string().as_bytes())), Ok(None));
        assert_eq!(Credential::decode("?"), Ok(None));
    }
}
