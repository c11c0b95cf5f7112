//! A payee of amounts that its payers choose, over channels, by the session protocol: what it says.
//!
//! ```text
//!   402  WWW-Authenticate: Payment ... intent="session", a unit is a wei       anybody asks
//!        Authorization: Payment (a voucher)                                    a payer gives
//!   200  Payment-Receipt, and the signed receipt in JSON                       it is on disk
//! ```
//! Nothing is sold, so a challenge binds nothing: a voucher proves itself, and the same one gets the same receipt. What it adds to the largest before is what was paid.

use alloy_primitives::{Address, B256, keccak256};
use bridge::foreign::shown;
use payments::payee::{Fault, Refused};
use payments::receipt::SignedReceipt;
use payments::voucher::SignedVoucher;
use serde_json::{Value, json};

use crate::mpp::{Challenge, METHOD, SCHEME};
use crate::text::{base64url, decoded, rfc3339};

const INTENT: &str = "session";
const PROBLEMS: &str = "https://paymentauth.org/problems/";
/// Characters of a credential.
const MOST_CHARACTERS: usize = 8 << 10;
/// Of an Idempotency-Key.
const MOST_KEY_CHARACTERS: usize = 255;

/// Whom vouchers pay, and in what.
#[derive(Clone, Debug)]
pub struct Offering {
    pub chain_id: u64,
    pub escrow: Address,
    /// Zero: the coin.
    pub token: Address,
    pub payee: Address,
    pub realm: String,
}

/// A refusal, as a problem document (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub status: u16,
    kind: &'static str,
    pub code: &'static str,
    pub detail: String,
}

impl Offering {
    /// What a 402 says. `id`: random.
    #[must_use]
    pub fn challenge(&self, id: &[u8; 16]) -> String {
        let request = json!({
            "amount": "1",
            "currency": self.token,
            "methodDetails": { "chainId": self.chain_id, "escrowContract": self.escrow, "feePayer": false, "minVoucherDelta": "0" },
            "recipient": self.payee,
            "unitType": "wei",
        });
        let challenge = Challenge {
            id: base64url(id),
            realm: self.realm.clone(),
            method: METHOD.to_owned(),
            intent: INTENT.to_owned(),
            request: base64url(request.to_string().as_bytes()),
            expires: None,
            digest: None,
            opaque: None,
            header: None,
            description: Some("An amount of your choice".to_owned()),
        };
        challenge.header()
    }

    /// The draft's receipt, as its header has it.
    #[must_use]
    pub fn receipt(&self, challenge_id: &str, signed: &SignedReceipt, now: u64) -> String {
        let receipt = &signed.receipt;
        let json = json!({
            "method": METHOD, "intent": INTENT, "status": "success", "timestamp": rfc3339(now), "challengeId": challenge_id,
            "channelId": receipt.channel_id, "chainId": self.chain_id, "acceptedCumulative": receipt.highest.to_string(),
            "spent": receipt.highest.to_string(), "reference": receipt.channel_id,
        });
        base64url(json.to_string().as_bytes())
    }
}

/// The voucher of an `Authorization` header, and the challenge that it answers.
///
/// # Errors
///
/// It is none.
pub fn voucher(authorization: &str) -> Result<(SignedVoucher, String), Problem> {
    let malformed = |why: &str| Problem::new(400, "malformed-credential", "malformed-payment", shown(why));
    let (scheme, token) = authorization.split_once(' ').unwrap_or((authorization, ""));
    if !scheme.eq_ignore_ascii_case(SCHEME) || token.len() > MOST_CHARACTERS {
        return Err(malformed("wanted is a credential of the scheme Payment"));
    }
    let json = decoded(token.trim()).ok_or_else(|| malformed("its credential is no base64url"))?;
    let json: Value = serde_json::from_slice(&json).map_err(|error| malformed(&error.to_string()))?;
    let text = |of: &str, member: &str| json[of][member].as_str().unwrap_or_default();
    if (text("challenge", "method"), text("challenge", "intent")) != (METHOD, INTENT) {
        return Err(malformed("taken is evm/session alone"));
    }
    let payload = &json["payload"];
    let action = text("payload", "action");
    if action != "voucher" {
        let why = format!(
            "taken are vouchers of channels that are open, not {action}: open one by `causeway pay open`, close it by `causeway pay close`"
        );
        return Err(malformed(&why));
    }
    let signed = json!({ "channelId": payload["channelId"], "cumulativeAmount": payload["cumulativeAmount"], "signature": payload["signature"] });
    let signed: SignedVoucher = serde_json::from_value(signed).map_err(|error| malformed(&error.to_string()))?;
    Ok((signed, shown(text("challenge", "id"))))
}

/// The name of a request with this Idempotency-Key.
///
/// # Errors
///
/// It is too long.
pub fn request(key: Option<&str>) -> Result<B256, Problem> {
    match key {
        Some(key) if key.len() > MOST_KEY_CHARACTERS => {
            let detail = format!("an Idempotency-Key has {} characters, {MOST_KEY_CHARACTERS} are allowed", key.len());
            Err(Problem::new(400, "malformed-credential", "malformed-key", detail))
        }
        Some(key) if !key.is_empty() => Ok(keccak256(key)),
        _ => Ok(B256::ZERO),
    }
}

impl Problem {
    #[must_use]
    pub fn new(status: u16, kind: &'static str, code: &'static str, detail: String) -> Self {
        Self { status, kind, code, detail }
    }

    /// From what the payee's books refuse.
    #[must_use]
    pub fn of(refused: &Refused) -> Self {
        let (status, kind, code) = match refused {
            Refused::UnknownChannel { .. } => (410, "session/channel-not-found", "unknown-channel"),
            Refused::Closed { .. } => (410, "session/channel-finalized", "channel-closed"),
            Refused::Closing { .. } => (402, "session/channel-finalized", "channel-closing"),
            Refused::NotTheSigner { .. } => (402, "session/signer-mismatch", "wrong-signer"),
            Refused::BadForm(_) | Refused::LongSignature { .. } => {
                (402, "session/invalid-signature", "malformed-signature")
            }
            Refused::BeyondDeposit { .. } => (402, "session/amount-exceeds-deposit", "beyond-deposit"),
            Refused::Spent { .. } | Refused::BelowPrice { .. } => (402, "session/delta-too-small", "nothing-new"),
            Refused::WrongPayee { .. } => (402, "verification-failed", "other-recipient"),
            Refused::WrongToken { .. } => (402, "verification-failed", "other-token"),
            _ => match refused.fault() {
                Fault::Payer => (402, "verification-failed", "refused"),
                Fault::Retry => (503, "verification-failed", "busy"),
                Fault::Payee => (503, "verification-failed", "chain-down"),
            },
        };
        Self::new(status, kind, code, refused.to_string())
    }

    #[must_use]
    pub fn json(&self) -> Value {
        let kind = format!("{PROBLEMS}{}", self.kind);
        json!({ "type": kind, "title": self.code, "status": self.status, "code": self.code, "detail": self.detail })
    }
}

#[cfg(test)]
mod tests {
    use payments::voucher::Voucher;
    use proptest::prelude::*;

    use super::*;
    use crate::payer::demand::SessionDemand;
    use crate::payer::payload;
    use crate::payer::tally::Measure;
    use crate::testing::{NOW, PAYEE, token};
    use crate::wallet::challenges;

    fn offering() -> Offering {
        let token = token();
        Offering {
            chain_id: token.chain_id,
            escrow: Address::repeat_byte(5),
            token: token.contract,
            payee: PAYEE,
            realm: "tips".into(),
        }
    }

    fn signed() -> SignedVoucher {
        let voucher = Voucher { channel_id: B256::repeat_byte(7), cumulative_amount: 12 };
        SignedVoucher { voucher, signature: vec![9; 65].into() }
    }

    #[test]
    fn a_payer_reads_what_is_offered_and_its_voucher_is_read() {
        let header = offering().challenge(&[3; 16]);
        let token = token();
        let demand = SessionDemand::choose(&[&header], token.chain_id, token.contract, Address::repeat_byte(5), NOW);
        let demand = demand.expect("payable");
        assert_eq!((demand.payee, demand.price, demand.measure), (PAYEE, 1, Measure::Told("wei".into())));
        let challenge = challenges(&header).remove(0);
        let answer = payload::credential(&challenge, &payload::voucher(&signed(), false), "did:pkh:eip155:1:0x00");
        assert_eq!(voucher(&answer), Ok((signed(), base64url(&[3; 16]))));
    }

    #[test]
    fn what_is_no_voucher_is_refused_by_its_own_words() {
        let header = offering().challenge(&[3; 16]);
        let challenge = challenges(&header).remove(0);
        let close = payload::credential(&challenge, &payload::voucher(&signed(), true), "x");
        assert!(voucher(&close).expect_err("no voucher").detail.contains("causeway pay close"));
        for wrong in ["", "Payment", "Payment !", "Bearer x", "Payment e30"] {
            assert_eq!(voucher(wrong).map_err(|problem| problem.status), Err(400), "{wrong:?}");
        }
        assert!(request(Some(&"k".repeat(256))).is_err());
        assert_eq!((request(None), request(Some("k"))), (Ok(B256::ZERO), Ok(keccak256("k"))));
    }

    proptest! {
        #[test]
        fn no_header_panics(text in "Payment [A-Za-z0-9_-]{0,60}") {
            let _ = voucher(&text);
        }
    }
}
