//! A node whose chain began with a copied state: what was before is an error that says so, never "no such block".

use alloy_primitives::Address;
use contracts::address::BRIDGE;
use serde_json::{Value, json};

use super::world::{CHAIN, World, allocation};
use crate::{
    block::Header,
    chain::{
        Chain, Retention,
        snapshot::{PART_BYTES, Restore, Want, answer},
    },
    execution::Stop,
    io::db::{Database, Frozen},
    state::store::Store as _,
    testing::genesis,
};

/// More than the headers that a copy brings of the blocks before it.
const BLOCKS: u64 = 300;

/// A chain with many blocks: its last, and its tables.
fn source() -> (Header, Frozen) {
    let directory = tempfile::tempdir().expect("a directory for tests");
    let open = || Database::open(directory.path()).expect("a directory of ours");
    let chain = Chain::open_with(genesis(), open(), Retention::default(), &allocation()).expect("the genesis is right");
    for _ in 0..BLOCKS {
        let now_ms = 1000 * (chain.head().timestamp + 1);
        let block = chain.propose(chain.head_hash(), now_ms, Address::ZERO, [].into_iter(), &Stop::never());
        chain.finalize(&block.expect("the head is known")).expect("our own block");
    }
    let head = chain.head();
    drop(chain);
    (head, open().freeze().expect("the system has threads"))
}

/// Copies the state after the last block.
fn copy((head, source): (Header, Frozen), database: &Database) {
    let (mut restore, begun) = Restore::begin(head, &[7; 100]);
    database.write(begun).expect("the disk works");
    while let Want::Part(part) = restore.next(database).expect("the disk works") {
        let asked = part.clone();
        let answered = source.read(move |tables| answer(tables, BLOCKS, &asked, PART_BYTES));
        let answered = answered.expect("it serves").expect("the disk works").expect("asked for what is there");
        let batch = restore.take(database, CHAIN, &part, &answered).expect("the truth");
        database.write(batch).expect("the disk works");
    }
    let first = genesis().build_with_allocation(&allocation()).expect("the genesis is right");
    database.write(restore.finish(database, &first).expect("covered")).expect("the disk works");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_before_a_copied_state_is_an_error_that_names_the_oldest_block() {
    let world = World::prepared(|database| copy(source(), database), |_| ()).await;
    assert_eq!(world.get("eth_blockNumber", json!([])).await, json!(format!("{BLOCKS:#x}")));
    let asked = |number: u64| -> Vec<(&str, Value)> {
        let tag = format!("{number:#x}");
        vec![
            ("eth_getBlockByNumber", json!([tag, false])),
            ("eth_getBlockByNumber", json!([tag, true])),
            ("eth_getHeaderByNumber", json!([tag])),
            ("eth_getBlockReceipts", json!([tag])),
            ("eth_getBlockTransactionCountByNumber", json!([tag])),
            ("eth_getUncleCountByBlockNumber", json!([tag])),
            ("eth_getTransactionByBlockNumberAndIndex", json!([tag, "0x0"])),
            ("peg_getBlock", json!([number])),
        ]
    };
    for number in [1, 2, BLOCKS - 257] {
        for (method, parameters) in asked(number) {
            let (code, message) = world.refusal(method, parameters).await;
            assert_eq!(code, -32_000, "{method} of block {number}: {message}");
            assert!(message.contains(&BLOCKS.to_string()), "{method} of block {number}: {message}");
            assert!(message.contains("was never here") && !message.contains("pruned"), "{method}: {message}");
        }
    }
    // A block is run again on the state before it.
    for (method, parameters) in [
        ("debug_traceBlockByNumber", json!([format!("{BLOCKS:#x}")])),
        ("debug_traceCall", json!([{}, format!("{:#x}", BLOCKS - 1)])),
        ("ots_getContractCreator", json!([BRIDGE])),
        ("ots_getTransactionBySenderAndNonce", json!([BRIDGE, 0])),
    ] {
        let (code, message) = world.refusal(method, parameters).await;
        assert!(code == -32_000 && message.contains(&BLOCKS.to_string()), "{method}: {code} {message}");
    }
    for (method, list) in [
        ("peg_getDeposits", "deposits"),
        ("peg_getWithdrawals", "withdrawals"),
        ("peg_getVaultTransactions", "vaultTransactions"),
    ] {
        let listed = world.get(method, json!([])).await;
        assert_eq!(
            listed,
            json!({ list: [], "next": null, "sinceBlock": BLOCKS }),
            "{method} says what may be missing"
        );
    }
    // What is there is answered, and what is yet to come is not there.
    for (method, parameters) in asked(BLOCKS) {
        assert_eq!(world.get(method, parameters).await.is_null(), method.ends_with("Index"), "{method}");
    }
    for (method, parameters) in asked(BLOCKS + 1) {
        let answered = world.ask(method, parameters).await;
        assert!(answered.is_ok_and(|answer| answer.is_null()), "{method}");
    }
}
