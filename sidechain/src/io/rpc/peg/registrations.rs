//! Deposit registrations: what an address commits to, so that relayers find payments to it.
//!
//! A registration moves no money and is not needed to recover any: the same terms can be presented again at any time, to
//! any node. So the node only bounds how many it keeps and how fast they come.

use std::sync::Arc;

use alloy_primitives::B256;
use api::peg::{self, Registered, Terms};
use jsonrpsee::RpcModule;
use serde_json::json;

use super::super::method::{self, Arguments, on_worker, worker};
use super::super::{context::Context, error};
use super::address::address;
use crate::chain::Registration;
use crate::io::{clock::now_ms, node_state::Gossip};
use crate::peg::registration;

/// Registrations in one page.
const MAX_PAGE: u32 = 1_000;

pub fn register(module: &mut RpcModule<Context>) -> method::Registered {
    module.register_async_method("peg_registerDeposit", |params, context, _| async move {
        let terms: Terms = Arguments::new(&params)?.next("terms")?;
        register_deposit(context, terms).await
    })?;
    worker(module, "peg_getRegisteredDeposits", |context, arguments| {
        let cursor = arguments.optional("cursor")?.unwrap_or(0);
        let limit: u32 = arguments.optional("limit")?.unwrap_or(100);
        page(context, cursor, limit)
    })
}

async fn register_deposit(context: Arc<Context>, terms: Terms) -> error::Result<Registered> {
    if let Some(upstream) = &context.state.upstream {
        upstream.request("peg_registerDeposit", vec![json!(terms)]).await.map_err(error::upstream)?;
    }
    let (registration, new) = on_worker(context.clone(), move |context| keep(context, &terms)).await?;
    let output_key = registration.output_key;
    if new
        && context.state.upstream.is_none()
        && context.state.gossip.try_send(Gossip::Registration(registration)).is_err()
    {
        tracing::warn!(%output_key, "gossip is full: the registration is kept by this validator only");
    }
    Ok(Registered { address: shown(&context, output_key), output_key })
}

/// The registration of terms, and whether it is new. A known one does not count towards the limit.
fn keep(context: &Context, terms: &Terms) -> error::Result<(Registration, bool)> {
    let registration = registration(context.chain(), terms).map_err(error::register)?;
    let known = context.chain().registration(registration.output_key).map_err(|error| error::store(&error))?;
    if known.is_some() {
        return Ok((registration, false));
    }
    admit(context)?;
    let new = context.state.register(&registration).map_err(error::register)?;
    Ok((registration, new))
}

/// Takes a place in this minute's registrations.
fn admit(context: &Context) -> error::Result<()> {
    if context.registrations().take(now_ms()) {
        return Ok(());
    }
    let limit = context.settings.max_registrations_per_minute;
    Err(error::limit(format!(
        "too many deposit registrations: this node takes {limit} a minute, try later or another node"
    )))
}

fn page(context: &Context, cursor: u64, limit: u32) -> error::Result<peg::Registrations> {
    let limit = limit.clamp(1, MAX_PAGE) as usize;
    let found = context.chain().registrations(cursor, limit).map_err(|error| error::store(&error))?;
    let next = found.last().map_or(cursor, |(cursor, _)| *cursor);
    let deposits = found.into_iter().map(|(cursor, registration)| peg::Registration {
        cursor,
        terms: registration.terms,
        address: shown(context, registration.output_key),
        output_key: registration.output_key,
    });
    Ok(peg::Registrations { deposits: deposits.collect(), next })
}

fn shown(context: &Context, output_key: B256) -> String {
    address(output_key, context.bitcoin_network()).unwrap_or_default()
}
