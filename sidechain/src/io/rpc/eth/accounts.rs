//! Signing for the developer accounts of `causeway dev` ([`Developers`](super::super::developer::Developers)), as anvil and hardhat do for theirs.

use std::sync::Arc;

use alloy_consensus::SignableTransaction as _;
use alloy_eips::Encodable2718 as _;
use alloy_primitives::{Address, B256, Bytes, Signature, U256, eip191_hash_message};
use alloy_rpc_types_eth::TransactionRequest;
use serde_json::{Value, json};

use super::super::context::Context;
use super::super::error;
use super::super::method::{Arguments, Caller, Methods, Registered, asynchronous, inline, on_worker, worker};
use super::super::preview::pending;
use super::super::workers::Lane;
use super::fill::filled;
use super::send::send_raw;
use super::typed_data::signing_hash;
use crate::block::TxEnvelope;
use crate::chain::Setting;
use crate::io::clock::now_ms;

pub fn register(methods: &mut Methods) -> Registered {
    inline(methods, "eth_accounts", |context, _| Ok(context.developers.addresses()))?;
    worker(methods, "eth_sign", |context, arguments| {
        let (address, message): (Address, Bytes) = (arguments.hex("address")?, arguments.next("message")?);
        signature(context, address, eip191_hash_message(message))
    })?;
    // The first name is EIP-712's, the second that of wallets, where the first may mean an older form.
    worker(methods, "eth_signTypedData", sign_typed_data)?;
    worker(methods, "eth_signTypedData_v4", sign_typed_data)?;
    asynchronous(methods, "eth_signTransaction", |context, mut arguments| async move {
        let request = arguments.transaction()?;
        let signed = signed(&context, &arguments.caller, request).await?;
        let mut shown = serde_json::to_value(&signed).map_err(|_| error::server("internal error"))?;
        shown["gasPrice"] = json!(U256::from(alloy_consensus::Transaction::max_fee_per_gas(&signed)));
        Ok(json!({ "raw": Bytes::from(signed.encoded_2718()), "tx": shown }))
    })?;
    asynchronous(methods, "eth_sendTransaction", |context, mut arguments| async move {
        let request = arguments.transaction()?;
        context.developers.check(request.from.unwrap_or_default())?;
        let turn = tokio::time::timeout_at(arguments.caller.deadline.into(), context.developers.turn.lock()).await;
        let _turn = turn.map_err(|_| error::deadline(context.settings.deadline))?;
        let signed = signed(&context, &arguments.caller, request).await?;
        send_raw(&context, arguments.caller.client, signed.encoded_2718().into()).await
    })
}

fn sign_typed_data(context: &Context, arguments: &mut Arguments) -> error::Result<Bytes> {
    let (address, said): (Address, Value) = (arguments.hex("address")?, arguments.next("typed data")?);
    context.developers.check(address)?;
    signature(context, address, signing_hash(said)?)
}

fn signature(context: &Context, address: Address, hash: B256) -> error::Result<Bytes> {
    Ok(context.developers.sign(address, hash)?.as_bytes().to_vec().into())
}

/// The transaction that a developer means, with what was left out, and signed. What waits of the same sender counts as done: scripts send one after
/// the other without looking.
async fn signed(context: &Arc<Context>, caller: &Caller, request: TransactionRequest) -> error::Result<TxEnvelope> {
    let from = request.from.unwrap_or_default();
    context.developers.check(from)?;
    let waits = context.state.pool().content_from(from).next().is_some();
    let setting = if waits { Setting::In(pending(context, caller).await?) } else { Setting::Next { now_ms: now_ms() } };
    let stop = caller.stop.clone();
    let work = move |context: &Context| {
        let filled = filled(context, request, setting, &stop)?;
        let signature: Signature = context.developers.sign(from, filled.signature_hash())?;
        Ok(filled.into_envelope(signature))
    };
    on_worker(context, caller, Lane::Long, work).await
}
