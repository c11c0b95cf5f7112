//! The chain on rocksdb: restarts, and directories that cannot be used.

use super::*;
use crate::io::db::Database;

fn block_of_everything(nonce: u64) -> Vec<Transaction> {
    let [alice, bob] = [Key::new(1), Key::new(2)];
    vec![create(&alice, nonce, &COUNTER), bob.transfer(CHAIN, nonce, Address::repeat_byte(0xf1), 7)]
}

#[test]
fn a_node_that_dies_between_blocks_goes_on_where_it_was() {
    let directory = tempfile::tempdir().expect("a place for files");
    let path = directory.path().join("chain");
    let memory = chain();
    let mut blocks = Vec::new();
    for nonce in 0..5 {
        let chain = open(Database::open(&path).expect("free"));
        assert_eq!(chain.head(), memory.head(), "what was final before is final after");
        // Executed and pending, but not final: lost with the process, without harm.
        chain
            .propose(chain.head_hash(), NOW_MS, Address::ZERO, block_of_everything(nonce).into_iter(), &Stop::never())
            .expect("proposed");
        let finalized = next(&chain, block_of_everything(nonce));
        // The same block from memory: equal in every root.
        memory.finalize(&finalized.block).expect("executed").expect("new");
        blocks.push(finalized.block.clone());
        // Dropped without ceremony, like the process.
    }
    let chain = open(Database::open(&path).expect("free"));
    for block in &blocks {
        assert!(chain.finalize(block).expect("idempotent").is_none());
        assert_eq!(chain.block(block.hash()).expect("kept").as_ref(), Some(block));
    }
    for number in 0..=5u64 {
        assert_eq!(balance(&chain, number, Address::repeat_byte(0xf1)), U256::from(7 * number));
        let proof = chain.state_at(number).expect("kept").proof(Key::new(1).address, &[]).expect("in the window");
        let expected = memory.state_at(number).expect("kept").proof(Key::new(1).address, &[]).expect("in the window");
        assert_eq!(proof, expected);
    }
}

#[test]
fn a_directory_in_use_and_a_file_in_its_place_are_told() {
    let directory = tempfile::tempdir().expect("a place for files");
    let path = directory.path().join("chain");
    let first = Database::open(&path).expect("free");
    let error = Database::open(&path).err().expect("in use");
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("in use by another process"), "{error}");
    drop(first);
    Database::open(&path).expect("free again");
    let file = directory.path().join("file");
    std::fs::write(&file, "x").expect("written");
    assert!(matches!(Database::open(&file), Err(OpenError::Store(StoreError::Io { .. }))));
}
