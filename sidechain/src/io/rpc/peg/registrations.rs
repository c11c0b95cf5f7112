//! Deposit registrations: what an address commits to, so that relayers find payments to it.
//!
//! A registration moves no money and is not needed to recover any: the same terms can be presented again at any time, to
//! any node. So the node bounds how many it keeps and how fast they come from one client, and lets the oldest without a payment
//! go. One with the proof of a payment is always taken, and stays until the payment is minted.

use std::sync::Arc;

use alloy_primitives::B256;
use api::peg::{self, PaymentProof, Registered, Terms};
use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Txid};
use serde_json::json;

use super::super::method::{self, Caller, Methods, asynchronous, on_worker, worker};
use super::super::workers::Lane;
use super::super::{context::Context, error};
use super::address::address;
use crate::access::Client;
use crate::chain::{Arrival, Kept, Origin, Payment, Registration, RegistrationError};
use crate::io::{clock::now_ms, node_state::Gossip};
use crate::peg::registration;

/// The list tells who is going to be paid, before anybody paid: it is for relayers.
const NOT_LISTED: &str =
    "registrations are listed by the node's private server (rpc_private_listen) and to clients in rpc_unlimited only";
/// Registrations in one page.
const MAX_PAGE: u32 = 1_000;

pub fn register(methods: &mut Methods) -> method::Registered {
    asynchronous(methods, "peg_registerDeposit", |context, mut arguments| async move {
        let terms: Terms = arguments.next("terms")?;
        let proof: Option<PaymentProof> = arguments.optional("payment")?;
        register_deposit(context, &arguments.caller, terms, proof.map(Arc::new)).await
    })?;
    worker(methods, "peg_getRegisteredDeposits", |context, arguments| {
        let cursor = arguments.optional("cursor")?.unwrap_or(0);
        let limit: u32 = arguments.optional("limit")?.unwrap_or(100);
        if arguments.caller.client.limited {
            return Err(error::server(NOT_LISTED));
        }
        page(context, cursor, limit)
    })
}

async fn register_deposit(
    context: Arc<Context>,
    caller: &Caller,
    terms: Terms,
    proof: Option<Arc<PaymentProof>>,
) -> error::Result<Registered> {
    if let Some(upstream) = &context.state.upstream {
        let params = std::iter::once(json!(terms)).chain(proof.iter().map(|proof| json!(proof)));
        upstream.request("peg_registerDeposit", params.collect()).await.map_err(error::upstream)?;
    }
    let checked = {
        let (caller, proof) = (caller.clone(), proof.clone());
        move |context: &Context| check(context, &caller, &terms, proof.as_deref())
    };
    let (registration, arrival) = on_worker(&context, caller, Lane::Long, checked).await?;
    let output_key = registration.output_key;
    let kept = keep(&context, caller, arrival).await?;
    if context.state.upstream.is_none()
        && is_passed_on(&context, caller.client, output_key, kept)
        && context.state.gossip.try_send(Gossip::Registration(registration, proof)).is_err()
    {
        tracing::warn!(%output_key, "gossip is full: the registration is kept by this validator only");
    }
    Ok(Registered { address: shown(&context, output_key), output_key })
}

/// News always; what was known once in a while, for it may have been lost on the way or let go by the others. That counts as a registration
/// of its client, which is answered in any case.
fn is_passed_on(context: &Context, client: Client, output_key: B256, kept: Kept) -> bool {
    let now_ms = now_ms();
    if kept == Kept::Known {
        return context.repeats.may_pass_on_again(output_key, || context.shares.register(client).is_ok(), now_ms);
    }
    context.repeats.passed_on(output_key, now_ms);
    true
}

/// The registration of terms, and what is to be kept of it. Only a new one without a payment counts
/// towards the client's limit.
fn check(
    context: &Context,
    caller: &Caller,
    terms: &Terms,
    proof: Option<&PaymentProof>,
) -> error::Result<(Registration, Arrival)> {
    let registration = registration(context.chain(), terms, &caller.stop).map_err(error::register)?;
    if proof.is_none() {
        let known = context.chain().registration(registration.output_key).map_err(|error| error::store(&error))?;
        if known.is_none() {
            context.shares.register(caller.client)?;
        }
    }
    let arrival = context.state.arrival(registration.clone(), Origin::USERS, proof, &caller.stop);
    let arrival = arrival.map_err(error::register)?;
    Ok((registration, arrival))
}

/// Waits until it is on disk, with whatever else arrives meanwhile.
async fn keep(context: &Arc<Context>, caller: &Caller, arrival: Arrival) -> error::Result<Kept> {
    let answered = context.state.registrar.enqueue(arrival).map_err(|error| error::limit(error.to_string()))?;
    on_worker(context, caller, Lane::Short, |context| {
        context.state.registrar.write(context.chain(), now_ms());
        Ok(())
    })
    .await?;
    let answered = tokio::time::timeout_at(caller.deadline.into(), answered).await;
    match answered.map_err(|_| error::deadline(context.settings.deadline))? {
        Ok(Ok(Kept::No)) => Err(error::limit(RegistrationError::TooMany.to_string())),
        Ok(Ok(kept)) => Ok(kept),
        Ok(Err(error)) => Err(error::store(&error)),
        Err(_) => Err(error::server("internal error")),
    }
}

fn page(context: &Context, cursor: u64, limit: u32) -> error::Result<peg::Registrations> {
    let limit = limit.clamp(1, MAX_PAGE) as usize;
    let found = context.chain().registrations_with_payments(cursor, limit).map_err(|error| error::store(&error))?;
    let next = found.last().map_or(cursor, |(cursor, ..)| *cursor);
    let deposits = found.into_iter().map(|(cursor, registration, paid)| peg::Registration {
        cursor,
        terms: registration.terms,
        address: shown(context, registration.output_key),
        output_key: registration.output_key,
        paid: paid.map(|Payment { txid, vout }| OutPoint { txid: Txid::from_byte_array(txid.0), vout }),
    });
    Ok(peg::Registrations { deposits: deposits.collect(), next })
}

fn shown(context: &Context, output_key: B256) -> String {
    address(output_key, context.bitcoin_network()).unwrap_or_default()
}
