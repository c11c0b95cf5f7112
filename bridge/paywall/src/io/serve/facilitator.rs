//! x402's facilitator: `/supported`, `/verify` and `/settle` (x402's specification, section 7), for resource servers of this payee.
//!
//! It settles for no other payee: it would pay a stranger's gas.

use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::Address;
use bitcoin::hashes::{Hash as _, sha256};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::desk::{Desk, now};
use crate::book::{Claim, Id};
use crate::io::http::{Body, read, whole};
use crate::refusal::Refusal;
use crate::till::{Payment, Till};
use crate::x402::{self, PaymentPayload, Requirements};

/// Until a request has arrived.
const PATIENCE: Duration = Duration::from_secs(10);

/// What `/verify` and `/settle` are asked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    payment_payload: PaymentPayload,
    payment_requirements: Requirements,
}

pub fn is_for(path: &str) -> bool {
    matches!(path, "/supported" | "/verify" | "/settle")
}

pub async fn answer(
    desk: &Arc<Desk>,
    till: &Till,
    path: &str,
    request: Request<Incoming>,
    most: usize,
) -> Response<Body> {
    let (status, body) = match (request.method(), path) {
        (&Method::GET, "/supported") => (StatusCode::OK, supported(desk, till)),
        (&Method::POST, "/verify" | "/settle") => match asked(request, most).await {
            Ok(asked) if path == "/verify" => (StatusCode::OK, verified(desk, till, &asked).await),
            Ok(asked) => (StatusCode::OK, settled(desk, till, &asked).await),
            Err(refusal) => (StatusCode::BAD_REQUEST, refusal.problem()),
        },
        _ => (StatusCode::METHOD_NOT_ALLOWED, json!({ "error": "GET /supported, POST /verify, POST /settle" })),
    };
    let mut response = Response::new(whole(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn asked(request: Request<Incoming>, most: usize) -> Result<Asked, Refusal> {
    let body = read(request.into_body(), most, PATIENCE).await;
    let body = body.map_err(|_| Refusal::Malformed("its body did not arrive".to_owned()))?;
    serde_json::from_slice(&body).map_err(|error| Refusal::Malformed(bridge::foreign::shown(&error.to_string())))
}

fn supported(desk: &Desk, till: &Till) -> Value {
    let network = x402::network(till.token.chain_id);
    json!({
        "kinds": [{ "x402Version": x402::VERSION, "scheme": x402::SCHEME, "network": network }],
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
    let payment = Payment::from_x402(asked.payment_payload.clone()).map_err(|refusal| (refusal, None))?;
    let payer = payment.authorization.from;
    let verified = async {
        let signature = checked(desk, till, asked, &payment)?;
        let id = Id { payer, nonce: payment.authorization.nonce };
        desk.check(id, &payment.authorization, &signature).await
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
    let payment = match Payment::from_x402(asked.payment_payload.clone()) {
        Ok(payment) => payment,
        Err(refusal) => return failed(&refusal, None),
    };
    let authorization = payment.authorization;
    // A payment that a resource server has settled pays for nothing here, and the other way round.
    let claim = Claim {
        purpose: sha256::Hash::hash(b"facilitator").to_byte_array().into(),
        key: None,
        value: authorization.value,
    };
    let taken = async {
        let signature = checked(desk, till, asked, &payment)?;
        let held = desk.take(claim, &authorization, &signature, true).await?;
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
    payment.check_times(desk.chain.clock(now())?)?;
    payment.check_signature(&till.token)
}
