//! What a 402 asks for a unit of a session.

use alloy_primitives::{Address, U256};
use bridge::foreign::shown;
use serde::Deserialize;

use super::tally::Measure;
use crate::mpp::{self, Challenge};
use crate::text::{decimal, decoded};
use crate::wallet::{Unpayable, challenges};

const INTENT: &str = "session";

/// A demand that a channel can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionDemand {
    pub challenge: Challenge,
    pub payee: Address,
    /// Of a unit, in wei.
    pub price: u128,
    pub measure: Measure,
    pub suggested_deposit: Option<u128>,
    /// By how much a voucher has to be larger than the last.
    pub least_delta: u128,
    /// The payee brings a deposit that was signed for.
    pub opens: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    #[serde(with = "decimal")]
    amount: U256,
    currency: Address,
    recipient: Address,
    #[serde(default)]
    unit_type: Option<String>,
    #[serde(default)]
    suggested_deposit: Option<String>,
    method_details: Details,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    chain_id: u64,
    escrow_contract: Address,
    #[serde(default)]
    fee_payer: bool,
    #[serde(default)]
    min_voucher_delta: Option<String>,
    #[serde(default)]
    splits: Option<serde_json::Value>,
}

impl SessionDemand {
    /// The first of a 402 that this payer can answer: in this token (zero: the coin), with channels of this contract.
    ///
    /// # Errors
    ///
    /// The first one's reason; `NoDemand` if there is none.
    pub fn choose(
        www_authenticate: &[&str],
        chain_id: u64,
        currency: Address,
        escrow: Address,
        now: u64,
    ) -> Result<Self, Unpayable> {
        let mut why = Unpayable::NoDemand;
        let all = www_authenticate.iter().flat_map(|header| challenges(header));
        for challenge in all.filter(|challenge| challenge.intent == INTENT) {
            match Self::read(challenge, chain_id, currency, escrow, now) {
                Ok(demand) => return Ok(demand),
                Err(error) if why == Unpayable::NoDemand => why = error,
                Err(_) => {}
            }
        }
        Err(why)
    }

    fn read(
        challenge: Challenge,
        chain_id: u64,
        currency: Address,
        escrow: Address,
        now: u64,
    ) -> Result<Self, Unpayable> {
        let foreign = |what: &str| Unpayable::Foreign(shown(what));
        if challenge.method != mpp::METHOD {
            return Err(foreign(&format!("MPP's {}/{INTENT}", challenge.method)));
        }
        if challenge.header.as_deref().is_some_and(|header| !header.eq_ignore_ascii_case(mpp::PAYMENT_AUTHORIZATION)) {
            return Err(foreign("MPP in an unknown header"));
        }
        if challenge.expires_unix_s().is_some_and(|expires| expires <= now) {
            return Err(foreign("a challenge that is expired by this machine's clock"));
        }
        let json = decoded(&challenge.request).ok_or_else(|| foreign("a session that cannot be read"))?;
        let asked: Asked = serde_json::from_slice(&json).map_err(|error| foreign(&error.to_string()))?;
        let details = asked.method_details;
        if (details.chain_id, asked.currency) != (chain_id, currency) {
            return Err(foreign(&format!("the token {} on chain {}", asked.currency, details.chain_id)));
        }
        if details.escrow_contract != escrow {
            return Err(foreign(&format!("channels of the contract {}", details.escrow_contract)));
        }
        if details.splits.is_some() {
            return Err(foreign("channels that pay others too"));
        }
        let number = |text: Option<String>| text.map(|text| text.parse::<u128>()).transpose();
        let unread = |_| foreign("an amount that is none");
        Ok(Self {
            payee: asked.recipient,
            price: asked.amount.try_into().map_err(|_| foreign("a price beyond all bitcoin"))?,
            measure: Measure::of(asked.unit_type.as_deref().unwrap_or("request")),
            suggested_deposit: number(asked.suggested_deposit).map_err(unread)?,
            least_delta: number(details.min_voucher_delta).map_err(unread)?.unwrap_or(0),
            opens: details.fee_payer,
            challenge,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{NOW, PAYEE, token};
    use crate::text::base64url;

    const ESCROW: Address = Address::repeat_byte(5);

    fn request() -> Value {
        json!({
            "amount": "100", "unitType": "llm_token", "suggestedDeposit": "5000000", "currency": token().contract, "recipient": PAYEE,
            "methodDetails": { "escrowContract": ESCROW, "chainId": token().chain_id, "minVoucherDelta": "10000", "feePayer": true },
        })
    }

    fn header(request: &Value, intent: &str) -> String {
        let request = base64url(request.to_string().as_bytes());
        format!("Payment id=\"x\", realm=\"api\", method=\"evm\", intent=\"{intent}\", request=\"{request}\"")
    }

    fn choose(header: &str) -> Result<SessionDemand, Unpayable> {
        SessionDemand::choose(&[header], token().chain_id, token().contract, ESCROW, NOW)
    }

    #[test]
    fn a_session_is_found_beside_a_charge() {
        let both = format!("{}, {}", header(&request(), "charge"), header(&request(), "session"));
        let demand = choose(&both).expect("payable");
        assert_eq!((demand.payee, demand.price, demand.least_delta, demand.opens), (PAYEE, 100, 10_000, true));
        assert_eq!(demand.measure, Measure::Told("llm_token".into()));
        assert_eq!(choose(&header(&request(), "charge")), Err(Unpayable::NoDemand));
    }

    #[test]
    fn nothing_is_paid_in_another_token_contract_or_chain_or_to_others_beside() {
        let changed = |path: &str, value: Value| {
            let mut request = request();
            *request.pointer_mut(path).expect("it is there") = value;
            choose(&header(&request, "session"))
        };
        for (path, value) in [
            ("/currency", json!(ESCROW)),
            ("/methodDetails/chainId", json!(1)),
            ("/methodDetails/escrowContract", json!(PAYEE)),
            ("/methodDetails/minVoucherDelta", json!("-1")),
            ("/amount", json!("-1")),
            ("/recipient", json!("nobody")),
        ] {
            assert!(matches!(changed(path, value), Err(Unpayable::Foreign(_))), "{path}");
        }
        let mut splits = request();
        splits["methodDetails"]["splits"] = json!([]);
        assert!(matches!(choose(&header(&splits, "session")), Err(Unpayable::Foreign(_))));
    }
}
