//! Members' transactions without a fee.

use alloy_primitives::Bytes;
use contracts::address::{LIGHT_CLIENT, SIGNING_BOARD};
use contracts::alloy_sol_types::{SolCall, SolEvent};
use contracts::{BitcoinLightClient, SigningBoard};
use serde_json::json;

use super::peg;
use super::world::{CHAIN, NOBODY, World};
use crate::testing::{self, Key, member};

#[tokio::test(flavor = "multi_thread")]
async fn the_free_lane_takes_members_calls_that_succeed() {
    let world = World::new().await;
    let post = |size: usize| testing::post(1, vec![1; size]);
    let posted = world.receipt(&member(1).free(CHAIN, 0, 3_000_000, SIGNING_BOARD, post(100))).await;
    assert_eq!(posted["status"], "0x1");
    assert_eq!(posted["effectiveGasPrice"], "0x0");
    assert_eq!(posted["logs"][0]["topics"][0], json!(SigningBoard::Posted::SIGNATURE_HASH));

    // One that would fail is refused with the contract's reason, and takes no nonce.
    let error = world.send(&member(1).free(CHAIN, 1, 16_000_000, SIGNING_BOARD, post(16_385))).await.unwrap_err();
    assert_eq!(error.code(), 3);
    assert!(error.message().contains("PayloadTooLong") || error.message().contains("reverted"), "{error}");
    assert!(error.data().is_some());
    assert_eq!(world.get("eth_getTransactionCount", json!([member(1).address, "pending"])).await, "0x1");

    for outsider in [
        Key::new(1).free(CHAIN, 0, 3_000_000, SIGNING_BOARD, post(100)),
        member(2).free(CHAIN, 0, 100_000, NOBODY, Bytes::new()),
    ] {
        let error = world.send(&outsider).await.unwrap_err();
        assert_eq!(error.code(), -32000);
        assert!(error.message().starts_with("gas price 0 is only for members"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn free_transactions_that_became_obsolete_leave_the_pool() {
    let world = World::halted(|_| ()).await;
    // Both bring the same header: the second cannot succeed once the first is final.
    let input: Bytes = BitcoinLightClient::submitCall { headers: peg::first_header().into() }.abi_encode().into();
    for index in [1, 2] {
        let submit = member(index).free(CHAIN, 0, 1_000_000, LIGHT_CLIENT, input.clone());
        world.send(&submit).await.unwrap();
    }
    world.mine();
    let block = world.get("eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(block["transactions"].as_array().unwrap().len(), 1);
    assert_eq!(world.get("txpool_status", json!([])).await, json!({ "pending": "0x0", "queued": "0x0" }));
    assert_eq!(world.get("peg_getInfo", json!([])).await["bitcoinTip"]["height"], 1);
}
