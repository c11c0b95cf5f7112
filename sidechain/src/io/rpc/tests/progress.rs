//! `peg_subscribe`: what a client hears of a deposit and a withdrawal on their way, and when it hears no more.

use std::time::Duration;

use alloy_primitives::{Bytes, U256};
use api::peg::{DepositProgress, DepositStatus, WithdrawalProgress, WithdrawalStatus};
use contracts::Bridge;
use contracts::address::BRIDGE;
use contracts::alloy_sol_types::SolCall;
use contracts::coin::wei;
use jsonrpsee::core::client::{ClientT as _, Subscription, SubscriptionClientT};
use jsonrpsee::core::params::ArrayParams;
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::ledger::{payout, sweep};
use super::ledger_world::LedgerWorld;
use super::world::{World, call};
use crate::testing::{Key, genesis, stranger};

async fn client(world: &World) -> WsClient {
    WsClientBuilder::default().build(format!("ws://{}", world.server.address)).await.unwrap()
}

async fn subscribe(client: &WsClient, params: Value) -> Subscription<Value> {
    let mut list = ArrayParams::new();
    for param in params.as_array().expect("a list") {
        list.insert(param).unwrap();
    }
    client.subscribe("peg_subscribe", list, "peg_unsubscribe").await.unwrap()
}

async fn next<T: DeserializeOwned>(subscription: &mut Subscription<Value>) -> T {
    let message = tokio::time::timeout(Duration::from_secs(20), subscription.next()).await;
    serde_json::from_value(message.expect("in time").expect("not closed").unwrap())
        .expect("the shape that clients read")
}

/// Nothing comes for a while.
async fn silent(subscription: &mut Subscription<Value>) {
    let message = tokio::time::timeout(Duration::from_millis(300), subscription.next()).await;
    assert!(message.is_err(), "{message:?}");
}

/// Whether there was such a subscription.
async fn unsubscribe(client: &WsClient, id: &Value) -> bool {
    client.request("peg_unsubscribe", vec![id.clone()]).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_is_followed_from_nothing_to_its_coins_one_message_for_each_block_that_changes_it() {
    let mut peg = LedgerWorld::new().await;
    let (_, output) = peg.deposit(stranger(9));
    let client = client(&peg.world).await;
    let address = output.address(mainchain::Network::Regtest).to_string();
    let mut by_address = subscribe(&client, json!(["deposit", address])).await;
    let present: DepositProgress = next(&mut by_address).await;
    assert_eq!((present.address.as_ref(), present.deposits.len(), present.ended), (Some(&address), 0, false));

    let paid = peg.pay(&[(BRIDGE, 1_000_000), (stranger(9), 2_000_000)]).await;
    let proven: DepositProgress = next(&mut by_address).await;
    assert_eq!((proven.deposits[0].txid, proven.deposits[0].status), (paid[1].txid, DepositStatus::Proven));
    assert!(proven.block.number > present.block.number && !proven.ended);
    let mut by_outpoint = subscribe(&client, json!(["deposit", paid[1].to_string()])).await;
    let same: DepositProgress = next(&mut by_outpoint).await;
    assert_eq!((&same.deposits, &same.address), (&proven.deposits, &proven.address));

    peg.mine(Vec::new()).await;
    let deeper: DepositProgress = next(&mut by_address).await;
    assert_eq!(deeper.deposits[0].confirmations, 2);
    // What others do changes nothing.
    peg.world.receipt(&super::world::transfer(&Key::new(1), 0)).await;
    peg.pay(&[(stranger(8), 3_000_000)]).await;
    let deeper: DepositProgress = next(&mut by_address).await;
    assert_eq!(deeper.deposits[0].confirmations, 3, "by the header alone");
    silent(&mut by_address).await;

    let bound = peg.bind(sweep(paid.clone(), 1_000)).await;
    let is_bound: DepositProgress = next(&mut by_address).await;
    assert!(is_bound.deposits[0].bound && is_bound.deposits.len() == 1);
    peg.settle(&bound).await;
    let mut last: DepositProgress = next(&mut by_address).await;
    while !last.ended {
        assert!(last.deposits[0].minted_sat.is_none());
        last = next(&mut by_address).await;
    }
    assert_eq!((last.deposits[0].status, last.deposits[0].swept_by), (DepositStatus::Minted, Some(1)));
    peg.mine(Vec::new()).await;
    silent(&mut by_address).await;

    let gone = subscribe(&client, json!(["deposit", address])).await;
    drop(gone);
    let mut ended = subscribe(&client, json!(["deposit", address])).await;
    let at_once: DepositProgress = next(&mut ended).await;
    assert!(at_once.ended, "what has ended is told once");
    let held = &peg.world.server.context().shares;
    for _ in 0..100 {
        if held.count(super::super::shares::Resource::Subscriptions).1 == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("those that ended hold their places");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_is_followed_until_what_paid_it_is_final() {
    let mut peg = LedgerWorld::new().await;
    let paid = peg.pay(&[(BRIDGE, 1_000_000), (stranger(9), 2_000_000)]).await;
    let swept = peg.bind(sweep(paid, 1_000)).await;
    peg.settle(&swept).await;
    for _ in 1..genesis().bridge.final_blocks {
        peg.mine(Vec::new()).await;
    }
    let client = client(&peg.world).await;
    let mut subscription = subscribe(&client, json!(["withdrawal", 1])).await;
    let nothing: WithdrawalProgress = next(&mut subscription).await;
    assert!(nothing.withdrawal.is_none() && !nothing.ended);

    let script: Bytes = [&[0x51, 0x20][..], &Key::new(8).public()[1..]].concat().into();
    let input = Bridge::withdrawCall { script, maxFeeSat: 2_000 }.abi_encode();
    peg.world.receipt(&call(&Key::new(1), 0, BRIDGE, wei(50_000), input)).await;
    let status = |progress: &WithdrawalProgress| progress.withdrawal.as_ref().map(|withdrawal| withdrawal.status);
    let queued: WithdrawalProgress = next(&mut subscription).await;
    assert_eq!(status(&queued), Some(WithdrawalStatus::Queued));
    let raise = Bridge::raiseCall { id: U256::from(1), maxFeeSat: 3_000 }.abi_encode();
    peg.world.receipt(&call(&Key::new(1), 1, BRIDGE, wei(0), raise)).await;
    let raised: WithdrawalProgress = next(&mut subscription).await;
    assert_eq!(raised.withdrawal.as_ref().map(|withdrawal| withdrawal.max_fee_sat), Some(3_000));
    peg.mine(Vec::new()).await;
    silent(&mut subscription).await;

    let bound = peg.bind(payout(1, vec![1], 1_000)).await;
    let tied: WithdrawalProgress = next(&mut subscription).await;
    assert_eq!((status(&tied), tied.confirmations), (Some(WithdrawalStatus::Tied), 0));
    peg.settle(&bound).await;
    let settled: WithdrawalProgress = next(&mut subscription).await;
    assert_eq!((status(&settled), settled.confirmations, settled.ended), (Some(WithdrawalStatus::Paid), 1, false));
    for confirmations in 2..=genesis().bridge.final_blocks {
        peg.mine(Vec::new()).await;
        let deeper: WithdrawalProgress = next(&mut subscription).await;
        assert_eq!(deeper.confirmations, confirmations);
        assert_eq!(deeper.ended, confirmations == genesis().bridge.final_blocks);
    }
    peg.mine(Vec::new()).await;
    silent(&mut subscription).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_is_given_up_is_not_heard_of_again_and_a_strange_one_is_refused() {
    let world = World::halted(|_| ()).await;
    let client = client(&world).await;
    let id: Value = client.request("peg_subscribe", vec![json!("withdrawal"), json!(1)]).await.unwrap();
    assert!(unsubscribe(&client, &id).await, "there was one");
    assert!(!unsubscribe(&client, &id).await, "and is none");
    for (params, words) in [
        (json!(["nonsense"]), "no subscription is called nonsense: deposit or withdrawal"),
        (json!(["deposit"]), "missing value for required argument 1: address or outpoint"),
        (json!(["deposit", "nonsense"]), "neither an address nor an outpoint"),
        (json!(["withdrawal", "x"]), "invalid argument 1: id"),
    ] {
        let refused = client.request::<Value, _>("peg_subscribe", params.as_array().unwrap().clone()).await;
        let words_got = refused.expect_err("refused").to_string();
        assert!(words_got.contains(words), "{words_got}");
    }
    let (code, message) = world.refusal("peg_subscribe", json!(["withdrawal", 1])).await;
    assert_eq!((code, message.contains("need a WebSocket")), (-32601, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_so_many_subscriptions_as_its_bound_says() {
    let world = World::halted(|settings| settings.rules.by_address.subscriptions = 2).await;
    let client = client(&world).await;
    let mut ids: Vec<Value> = Vec::new();
    for id in 1..=2 {
        ids.push(client.request("peg_subscribe", vec![json!("withdrawal"), json!(id)]).await.unwrap());
    }
    let refused = client.request::<Value, _>("peg_subscribe", vec![json!("withdrawal"), json!(3)]).await;
    assert!(refused.expect_err("refused").to_string().contains("too many subscriptions: at most 2"));
    // One that is given up makes room at once.
    for id in 4..20 {
        let given_up = ids.pop().expect("two");
        assert!(unsubscribe(&client, &given_up).await);
        ids.push(client.request("peg_subscribe", vec![json!("withdrawal"), json!(id)]).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_no_room_for_a_message_loses_the_subscription_and_is_told() {
    let world = World::halted(|settings| {
        settings.patience = Duration::from_secs(1);
        // Room for an error, and not for a message beside what the server counts for each.
        settings.rules.by_address.outgoing_bytes = 256 + 260;
    })
    .await;
    let client = client(&world).await;
    let mut subscription = subscribe(&client, json!(["deposit", format!("{}:0", "11".repeat(32))])).await;
    silent(&mut subscription).await;
    let closed = tokio::time::timeout(Duration::from_secs(10), subscription.next()).await.expect("in time");
    println!("{closed:?} {:?}", subscription.close_reason());
    assert!(closed.is_none(), "{closed:?}");
}
