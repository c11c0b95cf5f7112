//! The `peg` namespace, whose shapes are derived from the types that the node and its clients share.

use api::{peg, snapshot};
use serde_json::json;

use super::description::{Description, Shape, answer, method, named, parameter};

pub fn methods() -> Vec<Description> {
    [bridge(), registrations(), deposits(), withdrawals(), vault(), chain(), subscriptions()].concat()
}

fn bridge() -> Vec<Description> {
    vec![
        method("peg_getInfo", "Parameters, keys, sums and the light client's tip.", answer::<peg::Info>()),
        method("peg_getLimits", "What bounds deposits and withdrawals now.", answer::<peg::Limits>()),
        method("peg_quote", "What a deposit and a withdrawal pay at a rate.", answer::<peg::Quote>())
            .takes("scriptLength", named("integer"))
            .takes("rate", named("integer")),
    ]
}

fn registrations() -> Vec<Description> {
    vec![
        method(
            "peg_registerDeposit",
            "The deposit address of terms, told to the relayers.",
            answer::<peg::Registered>(),
        )
        .wants("terms", parameter::<peg::Terms>())
        .takes("payment", parameter::<peg::PaymentProof>()),
        method("peg_getRegisteredDeposits", "Registrations, to relayers.", answer::<peg::Registrations>())
            .takes("cursor", named("integer"))
            .takes("limit", named("integer")),
    ]
}

fn deposits() -> Vec<Description> {
    vec![
        method("peg_getDeposit", "Deposits to an address, or the one at an outpoint.", answer::<peg::DepositReport>())
            .wants("address or outpoint", named("string"))
            .takes("from", parameter::<peg::DepositPlace>()),
        method("peg_getDeposits", "The newest deposits.", answer::<peg::DepositList>())
            .takes("wanted", parameter::<peg::DepositsWanted>())
            .takes("before", parameter::<peg::DepositPlace>())
            .takes("limit", limit(100)),
    ]
}

fn withdrawals() -> Vec<Description> {
    vec![
        method("peg_getWithdrawal", "A withdrawal.", answer::<Option<peg::Withdrawal>>()).wants("id", named("integer")),
        method("peg_getWithdrawals", "The newest withdrawals.", answer::<peg::WithdrawalList>())
            .takes("wanted", parameter::<peg::WithdrawalsWanted>())
            .takes("below", named("integer"))
            .takes("limit", limit(100)),
    ]
}

fn vault() -> Vec<Description> {
    vec![
        method("peg_getVaultTransaction", "A vault transaction.", answer::<Option<peg::VaultTransaction>>())
            .wants("number", named("integer")),
        method("peg_getVaultTransactions", "The newest vault transactions.", answer::<peg::VaultTransactionList>())
            .takes("below", named("integer"))
            .takes("limit", limit(50)),
        method("peg_getVault", "What the vault has to spend, and what waits for Bitcoin.", answer::<peg::Vault>()),
    ]
}

fn chain() -> Vec<Description> {
    vec![
        method("peg_getFinality", "A header and the proof that it is final.", answer::<peg::Finality>())
            .takes("block", named("blockNumberOrTagOrHash")),
        method("peg_getBlock", "A whole block and that proof.", answer::<Option<peg::FollowedBlock>>())
            .wants("number", named("integer")),
        method("peg_getSnapshots", "Blocks after which the state can be copied.", answer::<Vec<snapshot::Offer>>()),
        method("peg_getSnapshotPart", "A part of such a state, as RLP.", named("bytes"))
            .wants("number", named("integer"))
            .wants("part", parameter::<snapshot::Part>()),
    ]
}

fn subscriptions() -> Vec<Description> {
    let kind = Shape::Json(json!({ "type": "string", "enum": ["deposit", "withdrawal"] }));
    let subject = Shape::Json(json!({ "anyOf": [{ "type": "string" }, { "type": "integer", "minimum": 1 }] }));
    vec![
        method(
            "peg_subscribe",
            "Over a WebSocket: follows a deposit or a withdrawal; the subscription's id.",
            named("subscriptionId"),
        )
        .wants("subscription", kind)
        .wants("address, outpoint or id", subject),
        method("peg_unsubscribe", "Ends a subscription; whether there was one.", named("boolean"))
            .wants("subscription id", named("subscriptionId")),
    ]
}

fn limit(most: usize) -> Shape {
    Shape::Json(json!({ "type": "integer", "minimum": 1, "maximum": most }))
}
