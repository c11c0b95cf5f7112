use alloy_primitives::Address;
use payments::account_signature;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::testing::{self, NOW, PAYEE, PAYER, amount, payer, token};

const CLOCK: Clock = Clock { wall: NOW, block: NOW - 1 };
const TERMS: Terms = Terms { authorizer: PAYEE, delay_s: 86_400, least_deposit: 1_000 };

fn till() -> Till {
    Till { batch: Some(TERMS), ..testing::till() }
}

fn accepted() -> Requirements {
    TERMS.requirements(&token(), PAYEE, amount(), 300, None).expect("a price")
}

fn config() -> Config {
    Config {
        payer: PAYER,
        payer_authorizer: PAYER,
        receiver: PAYEE,
        receiver_authorizer: PAYEE,
        token: token().contract,
        withdraw_delay: 86_400,
        salt: B256::ZERO,
    }
}

/// A deposit with a voucher, as a client makes it, with a change.
fn payload(change: impl FnOnce(&mut Value)) -> PaymentPayload {
    let domain = Domain::new(token().chain_id);
    let id = config().id(domain);
    let salt = B256::repeat_byte(9);
    let terms = DepositTerms { amount: 5_000, valid_after: NOW - 600, valid_before: NOW + 300, salt };
    let signature = account_signature::sign(terms.digest(&token(), id, PAYER), &payer().secret());
    let mut payload = json!({
        "type": "deposit",
        "channelConfig": config(),
        "voucher": {
            "channelId": id, "maxClaimableAmount": "250",
            "signature": account_signature::sign(domain.voucher(id, 250), &payer().secret()),
        },
        "deposit": { "amount": "5000", "authorization": { "erc3009Authorization": {
            "validAfter": (NOW - 600).to_string(), "validBefore": (NOW + 300).to_string(), "salt": salt, "signature": signature,
        } } },
    });
    change(&mut payload);
    PaymentPayload { x402_version: VERSION, accepted: accepted(), payload, resource: None }
}

fn checked(payload: &PaymentPayload) -> Result<Deposit, Refusal> {
    let brought = Brought::read(payload)?;
    brought.check_terms(&till(), &TERMS, &payload.accepted)?;
    brought.check_voucher(&token())?;
    brought.deposit().expect("one").check(&brought, 1_000, CLOCK, &token())
}

fn code(change: impl FnOnce(&mut Value)) -> &'static str {
    checked(&payload(change)).err().map_or("none", |refusal| refusal.code())
}

/// The other form of a signature, which anybody can make of it.
fn malleated(signature: &Value) -> Value {
    let order =
        U256::from_be_bytes(alloy_primitives::hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"));
    let mut bytes = signature.as_str().expect("hex").parse::<Bytes>().expect("hex").to_vec();
    let s = U256::from_be_slice(&bytes[32..64]);
    bytes[32..64].copy_from_slice(&(order - s).to_be_bytes::<32>());
    bytes[64] = 55 - bytes[64];
    json!(Bytes::from(bytes))
}

#[test]
fn a_deposit_with_a_voucher_is_taken_and_either_half_of_another_is_not() {
    assert_eq!(checked(&payload(|_| ())).expect("right").terms.amount, 5_000);
    let foreign = account_signature::sign(B256::repeat_byte(1), &payer().secret());
    assert_eq!(code(|payload| payload["voucher"]["signature"] = json!(foreign)), "voucher-wrong-signer");
    let place = "/deposit/authorization/erc3009Authorization/signature";
    assert_eq!(code(|payload| *payload.pointer_mut(place).expect("it") = json!(foreign)), "deposit-wrong-signer");
}

#[test]
fn each_thing_that_a_channel_can_say_otherwise_is_refused_by_its_own_code() {
    let other = json!(Address::repeat_byte(7));
    for (field, value, want) in [
        ("token", other.clone(), "channel-in-other-token"),
        ("receiver", other.clone(), "channel-of-other-payee"),
        ("receiverAuthorizer", other.clone(), "other-authorizer"),
        ("withdrawDelay", json!(900), "other-delay"),
        ("withdrawDelay", json!(86_401), "other-delay"),
        ("payerAuthorizer", json!(Address::ZERO), "no-payer-authorizer"),
        ("payerAuthorizer", other.clone(), "other-channel"),
        ("payer", other, "other-channel"),
        ("salt", json!(B256::repeat_byte(1)), "other-channel"),
    ] {
        assert_eq!(code(|payload| payload["channelConfig"][field] = value), want, "{field}");
    }
    assert_eq!(code(|payload| payload["voucher"]["channelId"] = json!(B256::repeat_byte(1))), "other-channel");
    let elsewhere =
        PaymentPayload { accepted: Requirements { network: "eip155:1".into(), ..accepted() }, ..payload(|_| ()) };
    assert_eq!(checked(&elsewhere).expect_err("another chain").code(), "channel-of-other-chain");
}

#[test]
fn signatures_have_one_form() {
    let place = "/deposit/authorization/erc3009Authorization/signature";
    assert_eq!(
        code(|payload| payload["voucher"]["signature"] = malleated(&payload["voucher"]["signature"])),
        "voucher-high-s"
    );
    assert_eq!(
        code(|payload| *payload.pointer_mut(place).expect("it") =
            malleated(&payload.pointer(place).expect("it").clone())),
        "deposit-high-s"
    );
    for wrong in [
        "0x",
        "0x11",
        &format!("0x{}", "11".repeat(64)),
        &format!("0x{}", "11".repeat(66)),
        &format!("0x{}", "11".repeat(10_000)),
    ] {
        assert_eq!(code(|payload| payload["voucher"]["signature"] = json!(wrong)), "voucher-malformed-signature");
        assert_eq!(
            code(|payload| *payload.pointer_mut(place).expect("it") = json!(wrong)),
            "deposit-malformed-signature"
        );
    }
}

#[test]
fn a_deposit_has_to_be_large_enough_and_valid_for_as_long_as_it_takes() {
    let set = |name: &'static str, value: String| {
        move |payload: &mut Value| payload["deposit"]["authorization"]["erc3009Authorization"][name] = value.into()
    };
    assert_eq!(code(|payload| payload["deposit"]["amount"] = "999".into()), "deposit-too-small");
    assert_eq!(code(|payload| payload["deposit"]["amount"] = "5001".into()), "deposit-wrong-signer");
    assert_eq!(code(set("validBefore", (NOW + MARGIN_S).to_string())), "deposit-expired");
    assert_eq!(code(set("validAfter", NOW.to_string())), "deposit-not-yet-valid");
    assert_eq!(
        code(|payload| payload["deposit"]["authorization"] = json!({ "permit2Authorization": {} })),
        "no-authorization"
    );
    let late = Brought::read(&payload(|_| ())).expect("ours");
    let wrong = Clock { wall: NOW, block: NOW - 31 };
    let refusal = late.deposit().expect("one").check(&late, 1_000, wrong, &token()).expect_err("a wrong clock");
    assert_eq!(refusal.code(), "clock-wrong");
}

#[test]
fn what_cannot_be_read_is_told_apart() {
    assert_eq!(code(|payload| payload["type"] = "claim".into()), "unknown-payload");
    assert_eq!(code(|payload| *payload = json!({})), "unknown-payload");
    for (kind, want) in
        [("voucher", "malformed-voucher"), ("deposit", "malformed-deposit"), ("refund", "malformed-refund")]
    {
        for (place, value) in [
            ("/voucher", json!(null)),
            ("/voucher/maxClaimableAmount", json!(250)),
            ("/voucher/maxClaimableAmount", json!("-1")),
            ("/voucher/maxClaimableAmount", json!("340282366920938463463374607431768211456")),
            ("/channelConfig/withdrawDelay", json!("86400")),
        ] {
            let changed = |payload: &mut Value| {
                payload["type"] = kind.into();
                *payload.pointer_mut(place).expect("it is there") = value;
            };
            assert_eq!(code(changed), want, "{place}");
        }
    }
}

proptest! {
    #[test]
    fn no_payload_panics(text in "[ -~]{0,60}", kind in "(voucher|deposit|refund|x)", number in any::<u64>()) {
        for value in [json!(text), json!(number), json!([text]), json!({ "type": kind, "voucher": text }), json!(null)] {
            for place in ["", "/channelConfig", "/channelConfig/withdrawDelay", "/voucher", "/voucher/maxClaimableAmount", "/voucher/signature", "/deposit", "/deposit/amount"] {
                let changed = payload(|payload| *payload.pointer_mut(place).expect("it is there") = value.clone());
                let _ = checked_any(&changed);
            }
        }
    }
}

fn checked_any(payload: &PaymentPayload) -> Result<(), Refusal> {
    let brought = Brought::read(payload)?;
    brought.check_terms(&till(), &TERMS, &payload.accepted)?;
    brought.check_voucher(&token()).map(drop)
}
