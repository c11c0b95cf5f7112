//! x402's facilitator: `/supported`, `/verify` and `/settle` (x402's specification, section 7), for resource servers of this payee.
//!
//! It settles for no other payee, and nothing that is not worth twice the gas: it would pay for strangers. Who may ask is [`Access`].

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, U256};
use bitcoin::hashes::{Hash as _, sha256};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::batch::{Channels, Facilitated};
use super::desk::{Desk, Offer, now};
use crate::access::Access;
use crate::authorization::Signed;
use crate::batch;
use crate::book::Claim;
use crate::io::http::{Body, read, whole};
use crate::refusal::Refusal;
use crate::till::{Payment, Till};
use crate::x402::{self, PaymentPayload, Requirements};

/// Until a request has arrived.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of a request: a payment has some 2,000.
const MOST_BYTES: usize = 64 << 10;
/// How many times the gas of its settlement a payment has to be worth.
const MARGIN: U256 = U256::from_limbs([2, 0, 0, 0]);

/// What `/verify` and `/settle` are asked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    payment_payload: PaymentPayload,
    payment_requirements: Requirements,
}

impl Asked {
    /// Its hash is of what was understood: resource servers write the same payment in different ways.
    fn payment(&self) -> Result<Payment, Refusal> {
        let all = serde_json::to_vec(&self.payment_payload).expect("it came as JSON");
        let shown = sha256::Hash::hash(&all).to_byte_array().into();
        Payment::from_x402(self.payment_payload.clone(), shown)
    }
}

pub fn is_for(path: &str) -> bool {
    matches!(path, "/supported" | "/verify" | "/settle")
}

pub async fn answer(
    desk: &Arc<Desk>,
    channels: Option<&Arc<Channels>>,
    till: &Till,
    access: &Access,
    path: &str,
    request: Request<Incoming>,
    most: usize,
) -> Response<Body> {
    let (status, body) = match (request.method(), path) {
        (&Method::GET, "/supported") => (StatusCode::OK, supported(desk, till)),
        (&Method::POST, "/verify" | "/settle") if !is_admitted(access, &request) => (
            StatusCode::UNAUTHORIZED,
            json!({ "error": "Authorization: Bearer TOKEN, as this facilitator's operator gave it to you" }),
        ),
        (&Method::POST, "/verify" | "/settle") => match asked(request, most).await {
            Ok(asked) => (StatusCode::OK, said(desk, channels, till, path == "/settle", &asked).await),
            Err(refusal) => {
                // What a page asks for by 402 is a bad request here (RFC 9457, 3.1.2: both say the same).
                let mut problem = refusal.problem();
                problem["status"] = json!(StatusCode::BAD_REQUEST.as_u16());
                (StatusCode::BAD_REQUEST, problem)
            }
        },
        _ => (StatusCode::METHOD_NOT_ALLOWED, json!({ "error": "GET /supported, POST /verify, POST /settle" })),
    };
    let mut response = Response::new(whole(body.to_string()));
    *response.status_mut() = status;
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn is_admitted(access: &Access, request: &Request<Incoming>) -> bool {
    let fields = request.headers().get_all(AUTHORIZATION).iter();
    access.admits(fields.map(|field| field.to_str().unwrap_or_default()))
}

async fn asked(request: Request<Incoming>, most: usize) -> Result<Asked, Refusal> {
    let body = read(request.into_body(), most.min(MOST_BYTES), PATIENCE).await;
    let body = body.map_err(|_| Refusal::Malformed("its body did not arrive".to_owned()))?;
    serde_json::from_slice(&body).map_err(|error| Refusal::Malformed(bridge::foreign::shown(&error.to_string())))
}

async fn said(
    desk: &Arc<Desk>,
    channels: Option<&Arc<Channels>>,
    till: &Till,
    is_to_settle: bool,
    asked: &Asked,
) -> Value {
    let (payload, wanted) = (&asked.payment_payload, &asked.payment_requirements);
    match channels.filter(|_| wanted.scheme == batch::SCHEME) {
        Some(channels) => Facilitated { channels, till, payload, wanted }.said(is_to_settle).await,
        None if is_to_settle => settled(desk, till, asked).await,
        None => verified(desk, till, asked).await,
    }
}

fn supported(desk: &Desk, till: &Till) -> Value {
    let network = x402::network(till.token.chain_id);
    let exact = json!({ "x402Version": x402::VERSION, "scheme": x402::SCHEME, "network": network });
    let by_channel = till.batch.map(|terms| {
        let extra = json!({ "receiverAuthorizer": terms.authorizer.to_string() });
        json!({ "x402Version": x402::VERSION, "scheme": batch::SCHEME, "network": network, "extra": extra })
    });
    json!({
        "kinds": std::iter::once(exact).chain(by_channel).collect::<Vec<_>>(),
        "extensions": [],
        "signers": { "eip155:*": [desk.chain.sender().to_string()] },
    })
}

async fn verified(desk: &Arc<Desk>, till: &Till, asked: &Asked) -> Value {
    match verify(desk, till, asked).await {
        Ok(payer) => json!({ "isValid": true, "payer": payer.to_string() }),
        Err((refusal, payer)) => json!({
            "isValid": false, "invalidReason": refusal.x402_reason(), "invalidMessage": refusal.to_string(), "payer": payer.map(|payer| payer.to_string()),
        }),
    }
}

async fn verify(desk: &Arc<Desk>, till: &Till, asked: &Asked) -> Result<Address, (Refusal, Option<Address>)> {
    let payment = asked.payment().map_err(|refusal| (refusal, None))?;
    let payer = payment.authorization.from;
    let verified = async {
        let signature = checked(desk, till, asked, &payment)?;
        desk.check(&Signed { authorization: payment.authorization, signature }).await
    };
    verified.await.map(|()| payer).map_err(|refusal| (refusal, Some(payer)))
}

async fn settled(desk: &Arc<Desk>, till: &Till, asked: &Asked) -> Value {
    let network = x402::network(till.token.chain_id);
    let failed = |refusal: &Refusal, payer: Option<Address>| {
        json!({
            "success": false, "errorReason": refusal.x402_reason(), "errorMessage": refusal.to_string(), "transaction": "", "network": network,
            "payer": payer.map(|payer| payer.to_string()),
        })
    };
    let payment = match asked.payment() {
        Ok(payment) => payment,
        Err(refusal) => return failed(&refusal, None),
    };
    let authorization = payment.authorization;
    // A payment that a resource server has settled pays for nothing here, and the other way round.
    let claim = Claim {
        purpose: sha256::Hash::hash(b"facilitator").to_byte_array().into(),
        terms: till.token.digest(&authorization),
        shown: payment.shown,
        key: None,
        value: authorization.value,
    };
    let taken = async {
        let signature = checked(desk, till, asked, &payment)?;
        let offer =
            Offer { authorization: &authorization, signature: &signature, is_checked: true, is_challenged: false };
        let held = desk.take(claim, offer).await?;
        held.delivered().await?;
        Ok(held.settled.transaction)
    };
    match taken.await {
        Ok(transaction) => {
            desk.count(|counters| counters.paid("facilitator", authorization.value));
            json!({
                "success": true, "transaction": transaction.to_string(), "network": network, "payer": authorization.from.to_string(),
                "amount": authorization.value.to_string(),
            })
        }
        Err(refusal) => {
            let code = Refusal::code(&refusal);
            desk.count(|counters| counters.refused(code));
            failed(&refusal, Some(authorization.from))
        }
    }
}

fn checked(desk: &Desk, till: &Till, asked: &Asked, payment: &Payment) -> Result<alloy_primitives::Bytes, Refusal> {
    let wanted = &asked.payment_requirements;
    payment.check_accepted(till, &asked.payment_payload.accepted, wanted.amount)?;
    payment.check_accepted(till, wanted, wanted.amount)?;
    check_worth(wanted.amount, desk.chain.head()?.settlement_cost())?;
    payment.check_times(desk.chain.clock(now())?)?;
    payment.check_signature(&till.token)
}

/// That a payment brings more than its settlement costs, whatever the fee does until then.
fn check_worth(amount: U256, cost: U256) -> Result<(), Refusal> {
    let least = cost.saturating_mul(MARGIN);
    if amount < least { Err(Refusal::BelowCost { amount, least }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_worth_twice_its_gas_is_not_settled_for_strangers() {
        let (cost, least) = (U256::from(10), U256::from(20));
        for (amount, is_taken) in [(0, false), (1, false), (19, false), (20, true), (21, true)] {
            let amount = U256::from(amount);
            let want = if is_taken { Ok(()) } else { Err(Refusal::BelowCost { amount, least }) };
            assert_eq!(check_worth(amount, cost), want);
        }
    }
}
