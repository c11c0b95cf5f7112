//! Transactions that users send.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_consensus::Transaction as _;
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rpc_types_eth::TransactionReceipt;
use serde_json::json;

use super::super::awaited::Arrived;
use super::super::context::Context;
use super::super::method::{Arguments, Caller, Methods, Registered, asynchronous, on_worker};
use super::super::numbers::Form;
use super::super::shares::Resource;
use super::super::workers::Lane;
use super::super::{convert, error};
use super::fees::Count;
use super::transactions::receipt_of;
use crate::access::Client;
use crate::io::node_state::{Admitted, Gossip, Source};

/// How long `eth_sendRawTransactionSync` waits unless its caller says (EIP-7966), and how long it may wait at most: less than a request may take.
const WAIT: Duration = Duration::from_secs(2);
const MOST_WAIT: Duration = Duration::from_secs(8);

/// Time before a request's own deadline in which the answer is given.
const TO_ANSWER: Duration = Duration::from_millis(100);

pub fn register(methods: &mut Methods) -> Registered {
    asynchronous(methods, "eth_sendRawTransaction", |context, mut arguments| async move {
        let raw: Bytes = arguments.hex("transaction")?;
        send_raw(&context, arguments.caller.client, raw).await
    })?;
    asynchronous(methods, "eth_sendRawTransactionSync", |context, mut arguments| async move {
        let raw: Bytes = arguments.hex("transaction")?;
        let wait = wait(&mut arguments);
        send_and_wait(&context, &arguments.caller, raw, wait).await
    })
}

/// Puts a transaction into the pool and passes it on: to the other validators, or to the node this one follows.
pub async fn send_raw(context: &Context, client: Client, raw: Bytes) -> error::Result<B256> {
    if let Some(upstream) = &context.state.upstream {
        upstream.request("eth_sendRawTransaction", vec![json!(raw)]).await.map_err(error::upstream)?;
    }
    let Admitted { hash, pass_on } = match context.state.submit(Source::Client(client.source), raw.clone()).await {
        // The followed node has taken it: whether this node knows it already, or is behind, does not matter to the user.
        Err(_) if context.state.upstream.is_some() => return Ok(keccak256(&raw)),
        admitted => admitted.map_err(error::admit)?,
    };
    let passes_on = pass_on && context.state.upstream.is_none();
    if passes_on && context.state.gossip.try_send(Gossip::Transaction(raw)).is_err() {
        tracing::warn!(%hash, "gossip is full: the transaction waits for a block of this validator");
    }
    Ok(hash)
}

/// One that is out of range, or no number, counts as not given (EIP-7966).
fn wait(arguments: &mut Arguments) -> Duration {
    let asked = arguments.optional_as::<Count>(Form::QuantityOrInteger, "timeout").ok().flatten();
    let asked = asked.map(|asked| Duration::from_millis(asked.number()));
    asked.filter(|asked| !asked.is_zero() && *asked <= MOST_WAIT).unwrap_or(WAIT)
}

/// Sends, and waits for the receipt as long as its caller likes. It counts as a subscription meanwhile, and holds no thread.
async fn send_and_wait(
    context: &Arc<Context>,
    caller: &Caller,
    raw: Bytes,
    wait: Duration,
) -> error::Result<TransactionReceipt> {
    let _place = context.shares.hold(caller.client, Resource::Subscriptions, 1)?;
    let hash = keccak256(&raw);
    // Before it is sent: no block is missed.
    let mut waits = context.awaited.wait_for(hash);
    send_raw(context, caller.client, raw).await?;
    if is_behind_a_gap(context, hash) {
        return Err(error::unready(hash));
    }
    let end = (Instant::now() + wait).min(caller.deadline.checked_sub(TO_ANSWER).unwrap_or(caller.deadline));
    loop {
        // What does not wait any more may be final already, by this or an earlier sending.
        if !context.state.pool().contains(hash)
            && let Some(receipt) =
                on_worker(context, caller, Lane::Short, move |context| receipt_of(context, hash)).await?
        {
            return Ok(receipt);
        }
        match tokio::time::timeout_at(end.into(), waits.arrival()).await {
            Err(_) => return Err(error::not_in_time(hash, wait)),
            Ok(Arrived::In(block, index)) => {
                return convert::receipt(&block, index).ok_or_else(|| error::server("internal error"));
            }
            Ok(Arrived::Perhaps) => waits = context.awaited.wait_for(hash),
        }
    }
}

/// Whether it waits for a transaction of the same sender that is not there.
fn is_behind_a_gap(context: &Context, hash: B256) -> bool {
    let pool = context.state.pool();
    pool.get(hash).is_some_and(|transaction| pool.pending_nonce(transaction.signer(), 0) < transaction.nonce())
}
