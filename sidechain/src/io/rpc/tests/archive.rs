//! What can be asked about the first blocks, of a node that prunes, of an archive, and of one that became the other.

use alloy_primitives::{Address, Bytes, U256};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::world::{NOBODY, World, call, create, hash, transfer};
use crate::block::Transaction;
use crate::chain::Retention;
use crate::testing::Key;

/// The least that may be configured.
const PRUNED: Retention = Retention {
    state_blocks: Some(Retention::MIN_STATE_BLOCKS),
    proof_blocks: Some(Retention::MIN_STATE_BLOCKS),
    body_blocks: Some(Retention::MIN_BODY_BLOCKS),
};

/// More blocks than that.
const MANY: u64 = 160;

/// Of the key that pays in each block.
const PAYER: u64 = 1;

fn new(retention: Retention) -> World {
    World::keeping(tempfile::tempdir().expect("a directory for tests"), retention)
}

/// Makes blocks of one payment of 5 wei each.
fn grow(world: &World, nonces: std::ops::Range<u64>) {
    for nonce in nonces {
        take(world, &transfer(&Key::new(PAYER), nonce));
    }
}

fn take(world: &World, transaction: &Transaction) {
    world.state.admit(&super::world::raw(transaction), 1).expect("it is good");
    world.mine();
}

/// The questions at a block, with what an archive answers at block 1 of [`grow`].
fn questions(number: u64) -> Vec<(&'static str, Value)> {
    let tag = format!("{number:#x}");
    vec![
        ("eth_getBalance", json!([NOBODY, tag])),
        ("eth_call", json!([{ "to": NOBODY }, tag])),
        ("eth_getProof", json!([NOBODY, [], tag])),
        ("debug_traceBlockByNumber", json!([format!("{:#x}", number + 1), { "tracer": "callTracer" }])),
    ]
}

/// Everything is there, and is that block's.
async fn answers(world: &World, number: u64) {
    let balance = json!(format!("{:#x}", 5 * number));
    let mut told = Vec::new();
    for (method, parameters) in questions(number) {
        told.push(world.get(method, parameters).await);
    }
    assert_eq!((&told[0], &told[1], &told[2]["balance"]), (&balance, &json!("0x"), &balance), "block {number}");
    let traced = hash(&transfer(&Key::new(PAYER), number));
    assert_eq!(
        (&told[3][0]["txHash"], &told[3][0]["result"]["value"]),
        (&json!(traced), &json!("0x5")),
        "block {number}"
    );
}

/// Nothing is there, and every error says from where on there is something.
async fn is_pruned(world: &World, number: u64, oldest: u64) {
    for (method, parameters) in questions(number) {
        let (code, message) = world.refusal(method, parameters).await;
        assert_eq!(code, -32_000, "{method} at block {number}: {message}");
        assert!(message.contains(&oldest.to_string()), "{method} at block {number}: {message}, wanted {oldest}");
    }
}

async fn again(world: World, retention: Retention) -> World {
    let directory: TempDir = world.end().await;
    World::keeping(directory, retention)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_answers_about_its_first_block_for_ever_and_after_a_restart() {
    let mut world = new(Retention::ARCHIVE);
    grow(&world, 0..MANY);
    answers(&world, 1).await;
    world = again(world, Retention::ARCHIVE).await;
    answers(&world, 1).await;
    grow(&world, MANY..MANY + 10);
    for number in [1, 2, MANY / 2, MANY] {
        answers(&world, number).await;
    }
    // It becomes an ordinary node: the next block prunes, a bit at a time, and what is too old is an error at once.
    world = again(world, PRUNED).await;
    answers(&world, 1).await;
    grow(&world, MANY + 10..MANY + 11);
    let oldest = MANY + 11 - Retention::MIN_STATE_BLOCKS;
    is_pruned(&world, 1, oldest).await;
    answers(&world, oldest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_becomes_an_archive_keeps_what_it_has_from_then_on_and_says_where_that_begins() {
    let mut world = new(PRUNED);
    grow(&world, 0..MANY);
    let oldest = MANY - Retention::MIN_STATE_BLOCKS;
    is_pruned(&world, 1, oldest).await;
    answers(&world, oldest).await;
    world = again(world, Retention::ARCHIVE).await;
    grow(&world, MANY..2 * MANY);
    is_pruned(&world, oldest - 1, oldest).await;
    answers(&world, oldest).await;
    let capabilities = world.get("eth_capabilities", json!([])).await;
    assert_eq!(capabilities["state"]["oldestBlock"], json!(format!("{oldest:#x}")), "{capabilities}");
    world = again(world, Retention::ARCHIVE).await;
    answers(&world, oldest).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_calls_a_contract_as_it_was() {
    let world = new(Retention::ARCHIVE);
    let key = Key::new(2);
    take(&world, &create(&key, 0));
    let counter: Address = key.address.create(0);
    for nonce in 1..=MANY {
        take(&world, &call(&key, nonce, counter, U256::ZERO, Bytes::new()));
    }
    for number in [1, 2, 77, MANY] {
        let slot = world.get("eth_getStorageAt", json!([counter, "0x0", format!("{number:#x}")])).await;
        assert_eq!(slot, json!(format!("{:#066x}", number - 1)));
        let proof = world.get("eth_getProof", json!([counter, ["0x0"], format!("{number:#x}")])).await;
        assert_eq!(proof["storageProof"][0]["value"], json!(format!("{:#x}", number - 1)));
    }
}
