//! What goes back for a session's challenge: the draft's payloads, and ours that opens a stream of ticks.

use alloy_primitives::B256;
use payments::authorization::SignedAuthorization;
use payments::stream::SignedStream;
use payments::voucher::SignedVoucher;
use serde_json::{Value, json};

use crate::mpp::{Challenge, SCHEME};
use crate::text::base64url;

/// Has the payee open a channel with a deposit that was signed for, and gives its first voucher.
#[must_use]
pub fn open(
    deposit: &SignedAuthorization,
    salt: B256,
    signer: Option<alloy_primitives::Address>,
    voucher: &SignedVoucher,
) -> Value {
    let mut payload = json!({
        "action": "open",
        "type": "transaction",
        "channelId": voucher.voucher.channel_id,
        "authorization": authorization(deposit),
        "signature": deposit.signature,
        "cumulativeAmount": voucher.voucher.cumulative_amount.to_string(),
        "voucherSignature": voucher.signature,
        "salt": salt,
    });
    if let Some(signer) = signer {
        payload["authorizedSigner"] = json!(signer);
    }
    payload
}

/// Has the payee add a deposit that was signed for to an open channel.
#[must_use]
pub fn top_up(channel: B256, added: &SignedAuthorization) -> Value {
    json!({
        "action": "topUp",
        "type": "transaction",
        "channelId": channel,
        "authorization": authorization(added),
        "signature": added.signature,
        "additionalDeposit": added.authorization.value.to_string(),
    })
}

/// A voucher, or the last one.
#[must_use]
pub fn voucher(voucher: &SignedVoucher, closes: bool) -> Value {
    json!({
        "action": if closes { "close" } else { "voucher" },
        "channelId": voucher.voucher.channel_id,
        "cumulativeAmount": voucher.voucher.cumulative_amount.to_string(),
        "signature": voucher.signature,
    })
}

/// A stream of ticks.
#[must_use]
pub fn stream(stream: &SignedStream) -> Value {
    let terms = &stream.terms;
    json!({
        "action": "stream",
        "channelId": terms.channel_id,
        "stream": {
            "cumulativeAmount": terms.cumulative_amount.to_string(),
            "tickAmount": terms.tick_amount.to_string(),
            "ticks": terms.ticks,
            "root": terms.root,
            "signature": stream.signature,
        },
    })
}

/// `Authorization`'s value.
#[must_use]
pub fn credential(challenge: &Challenge, payload: &Value, source: &str) -> String {
    let credential = json!({ "challenge": challenge, "payload": payload, "source": source });
    format!("{SCHEME} {}", base64url(credential.to_string().as_bytes()))
}

fn authorization(signed: &SignedAuthorization) -> Value {
    let terms = &signed.authorization;
    json!({
        "type": "eip-3009",
        "from": terms.from,
        "to": terms.to,
        "value": terms.value.to_string(),
        "validAfter": terms.valid_after.to_string(),
        "validBefore": terms.valid_before.to_string(),
        "nonce": terms.nonce,
    })
}
