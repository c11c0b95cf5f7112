//! Transactions of users: refused in the words that clients look for, or waiting for a block.

use alloy_consensus::{SignableTransaction, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::{Encodable2718, eip7702::SignedAuthorization};
use alloy_primitives::{Bytes, Signature, TxKind, U256};
use serde_json::{Value, json};

use super::world::{CHAIN, NOBODY, World, hash, repriced, transfer};
use crate::block::Transaction;
use crate::testing::Key;

#[tokio::test(flavor = "multi_thread")]
async fn bad_transactions_are_refused_in_geths_words() {
    let world = World::halted(|_| ()).await;
    let key = Key::new(1);
    let refusals = [
        (key.transfer(1, 0, NOBODY, 5), "invalid chain id for signer: have 1 want 51717"),
        (Key::new(99).transfer(CHAIN, 0, NOBODY, 5), "insufficient funds for gas * price + value"),
        (key.send(CHAIN, 0, 20_999, NOBODY.into(), U256::ZERO, Bytes::new()), "intrinsic gas too low"),
        (key.send(CHAIN, 0, (1 << 24) + 1, NOBODY.into(), U256::ZERO, Bytes::new()), "transaction gas limit too high"),
        (
            key.send(CHAIN, 0, 1_000_000, TxKind::Create, U256::ZERO, vec![0; 49_153].into()),
            "max initcode size exceeded",
        ),
        (repriced(&key, &transfer(&key, 0), 999_999), "transaction underpriced"),
    ];
    for (transaction, words) in refusals {
        let error = world.send(&transaction).await.unwrap_err();
        assert_eq!(error.code(), -32000, "{error}");
        assert!(error.message().starts_with(words), "{error}");
    }
    let first = transfer(&key, 0);
    world.send(&first).await.unwrap();
    let other = key.transfer(CHAIN, 0, NOBODY, 6);
    assert!(world.send(&other).await.unwrap_err().message().starts_with("replacement transaction underpriced"));
    world.send(&repriced(&key, &other, 20_000_000)).await.unwrap();
    world.mine();
    assert!(world.send(&first).await.unwrap_err().message().starts_with("nonce too low: next nonce 1, tx nonce 0"));
    assert_eq!(world.get("eth_getTransactionByHash", json!([hash(&first)])).await, Value::Null, "it was replaced");
    let (code, message) = world.refusal("eth_sendRawTransaction", json!(["0x1234"])).await;
    assert_eq!(code, -32000);
    assert!(message.starts_with("not a transaction"), "{message}");
    let (code, _) = world.refusal("eth_sendRawTransaction", json!([7])).await;
    assert_eq!(code, -32602);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_sent_again_is_answered_with_its_hash_while_it_waits_and_when_it_is_final() {
    let world = World::halted(|_| ()).await;
    let (key, other) = (Key::new(1), Key::new(2));
    let transaction = transfer(&key, 0);
    for _ in 0..3 {
        assert_eq!(world.send(&transaction).await.unwrap(), json!(hash(&transaction)));
    }
    assert_eq!(world.get("txpool_status", json!([])).await["pending"], "0x1");
    world.mine();
    assert_eq!(
        world.send(&transaction).await.unwrap(),
        json!(hash(&transaction)),
        "its first answer may have been lost"
    );
    assert_eq!(world.get("txpool_status", json!([])).await["pending"], "0x0");
    // Another one with the nonce that is used is refused, whoever sends it.
    let second = key.transfer(CHAIN, 0, NOBODY, 6);
    assert!(world.send(&second).await.unwrap_err().message().starts_with("nonce too low: next nonce 1, tx nonce 0"));
    world.send(&transfer(&other, 0)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_each_answered_for_themselves() {
    let world = World::halted(|settings| settings.access.unlimited.push("127.0.0.0/8".parse().unwrap())).await;
    let transfers: Vec<_> = (1..=5).flat_map(|key| (0..60).map(move |nonce| transfer(&Key::new(key), nonce))).collect();
    let strangers: Vec<_> = (100..150).map(|key| Key::new(key).transfer(CHAIN, 0, NOBODY, 5)).collect();
    let answers = futures::future::join_all(transfers.iter().chain(&strangers).map(|sent| world.send(sent))).await;
    for (sent, answer) in transfers.iter().chain(&strangers).zip(answers) {
        match answer {
            Ok(answer) => assert_eq!(answer, json!(hash(sent))),
            Err(error) => {
                assert!(strangers.contains(sent) && error.message().starts_with("insufficient funds"), "{error}")
            }
        }
    }
    assert_eq!(world.get("txpool_status", json!([])).await, json!({ "pending": "0x12c", "queued": "0x0" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegated_account_has_one_transaction_and_none_after_it_is_called_empty() {
    let world = World::halted(|_| ()).await;
    let (alice, bob) = (Key::new(1), Key::new(2));
    // A contract that pays all it has to whoever calls it.
    let giver = Bytes::from_static(&alloy_primitives::hex!("60088060095f395ff3" "5f5f5f5f47335af1"));
    let creation = bob.send(CHAIN, 0, 200_000, TxKind::Create, U256::ZERO, giver);
    world.send(&creation).await.unwrap();
    world.mine();
    let delegation = delegate(&bob, 1, alice.authorize(CHAIN, 0, bob.address.create(0)));
    world.send(&delegation).await.unwrap();
    // While the authorization waits already.
    world.send(&transfer(&alice, 0)).await.unwrap();
    let words = "in-flight transaction limit reached for delegated accounts";
    assert!(world.send(&transfer(&alice, 1)).await.unwrap_err().message().starts_with(words));
    world.state.pool().remove(hash(&transfer(&alice, 0))).unwrap();
    world.mine();
    assert_eq!(world.get("eth_getTransactionCount", json!([alice.address])).await, "0x1", "the authorization took it");
    world.send(&transfer(&alice, 1)).await.unwrap();
    for nonce in 2..6 {
        assert!(world.send(&transfer(&alice, nonce)).await.unwrap_err().message().starts_with(words));
    }
    // The attack: one call makes what waits unpayable, and the account's nonce does not change.
    let call = repriced(&bob, &bob.send(CHAIN, 2, 200_000, alice.address.into(), U256::ZERO, Bytes::new()), 20_000_000);
    world.send(&call).await.unwrap();
    world.mine();
    assert_eq!(world.get("eth_getBalance", json!([alice.address])).await, "0x0");
    assert_eq!(world.get("txpool_status", json!([])).await, json!({ "pending": "0x0", "queued": "0x0" }));
}

fn delegate(sponsor: &Key, nonce: u64, authorization: SignedAuthorization) -> Transaction {
    sponsor.sign(TxEip7702 {
        chain_id: CHAIN,
        nonce,
        gas_limit: 200_000,
        max_fee_per_gas: 10_000_000,
        max_priority_fee_per_gas: 1_000,
        to: NOBODY,
        value: U256::ZERO,
        access_list: Default::default(),
        authorization_list: vec![authorization],
        input: Bytes::new(),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn blobs_and_unprotected_transactions_are_refused_clearly() {
    let world = World::halted(|_| ()).await;
    let blob = TxEip4844 { chain_id: CHAIN, gas_limit: 21_000, max_fee_per_gas: 1, ..TxEip4844::default() };
    let signed = blob.into_signed(Signature::test_signature());
    let bytes: Bytes = alloy_consensus::TxEnvelope::from(signed).encoded_2718().into();
    let (_, message) = world.refusal("eth_sendRawTransaction", json!([bytes])).await;
    assert_eq!(message, "blob transactions (type 3) are not supported by this chain");
    let unprotected = Key::new(1).sign(TxLegacy {
        chain_id: None,
        gas_limit: 21_000,
        gas_price: 2_000_000,
        to: NOBODY.into(),
        ..TxLegacy::default()
    });
    let error = world.send(&unprotected).await.unwrap_err();
    let want = "invalid chain id for signer: have 0 want 51717 (only replay-protected (EIP-155) transactions allowed over RPC)";
    assert_eq!(error.message(), want);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_waits_and_pending_counts_what_does_not() {
    let world = World::halted(|_| ()).await;
    let key = Key::new(1);
    for nonce in [0, 1, 3] {
        world.send(&transfer(&key, nonce)).await.unwrap();
    }
    assert_eq!(world.get("eth_getTransactionCount", json!([key.address, "latest"])).await, "0x0");
    assert_eq!(world.get("eth_getTransactionCount", json!([key.address, "pending"])).await, "0x2");
    assert_eq!(world.get("txpool_status", json!([])).await, json!({ "pending": "0x2", "queued": "0x1" }));
    let content = world.get("txpool_content", json!([])).await;
    let sender = key.address.to_string();
    assert!(content["pending"][&sender]["1"]["hash"].is_string(), "{content}");
    assert!(content["queued"][&sender]["3"]["blockHash"].is_null());
    let of = world.get("txpool_contentFrom", json!([key.address])).await;
    assert_eq!(of["queued"]["3"], content["queued"][&sender]["3"]);
    let waiting = world.get("eth_getTransactionByHash", json!([hash(&transfer(&key, 3))])).await;
    assert!(waiting["blockNumber"].is_null() && waiting["from"] == json!(key.address));
    world.mine();
    assert_eq!(world.get("eth_getTransactionCount", json!([key.address])).await, "0x2");
    assert_eq!(world.get("txpool_status", json!([])).await, json!({ "pending": "0x0", "queued": "0x1" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_shown_without_a_copy_under_the_pool_s_lock() {
    let world = World::halted(|_| ()).await;
    for nonce in 0..3 {
        world.send(&transfer(&Key::new(1), nonce)).await.unwrap();
    }
    let shown: Vec<_> = world.state.pool().content().map(|(_, transaction)| transaction.clone()).collect();
    for transaction in &shown {
        let again = world.state.pool().get(*transaction.tx_hash()).cloned().unwrap();
        assert!(std::sync::Arc::ptr_eq(transaction, &again), "one transaction, counted once more");
    }
    let content = world.get("txpool_content", json!([])).await;
    assert_eq!(content["pending"][Key::new(1).address.to_string()].as_object().unwrap().len(), 3);
}
