//! BLOCKHASH: right on every branch, and never from the disk, whatever it costs to ask.

use std::time::{Duration, Instant};

use super::{counting::Counting, *};
use crate::limits::MAX_TRANSACTION_GAS;

/// JUMPDEST, the hash of the block GAS & 255 before this one, POP, to 0.
const HASHES: [u8; 11] = hex!("5b5a60ff16430340505f56");
/// The same with NOT instead of BLOCKHASH.
const NUMBERS: [u8; 11] = hex!("5b5a60ff16430319505f56");
/// JUMPDEST, the keccak of a word, POP, to 0.
const KECCAKS: [u8; 8] = hex!("5b60205f20505f56");
/// Slot 0 = hash of the block that the call data says.
const KEEPS: [u8; 6] = hex!("5f35405f5500");

fn ask<S: Store>(chain: &Chain<S>, contract: Address, gas: u64) {
    let call = Call { to: contract.into(), gas: Some(gas), ..Call::default() };
    let outcome = chain.simulate(chain.head().number, &call, &Stop::never()).expect("runs");
    assert_eq!(outcome.gas_used, gas, "it runs until its gas is used");
}

#[test]
fn asking_for_block_hashes_reads_nothing() {
    let store = Arc::new(Counting::default());
    let chain = open(store.clone());
    let hashes = deployed(&chain, &Key::new(1), 0, &HASHES);
    let numbers = deployed(&chain, &Key::new(1), 1, &NUMBERS);
    (0..300).for_each(|_| drop(next(&chain, Vec::new())));
    let reads = |work: &dyn Fn()| {
        let before = store.reads();
        work();
        store.reads() - before
    };
    for contract in [hashes, numbers] {
        ask(&chain, contract, 100_000);
    }
    assert_eq!(reads(&|| ask(&chain, hashes, 1_000_000)), reads(&|| ask(&chain, numbers, 1_000_000)));
    let propose = |contract| {
        let asks = Key::new(2).send(CHAIN, 0, 1_000_000, TxKind::Call(contract), U256::ZERO, Bytes::new());
        let candidates = std::iter::once(asks);
        let block = chain.propose(chain.head_hash(), NOW_MS, PROPOSER, candidates, &Stop::never()).expect("proposed");
        assert_eq!(block.header.gas_used, 1_000_000);
    };
    assert_eq!(reads(&|| propose(hashes)), reads(&|| propose(numbers)));
}

#[test]
fn the_costliest_transaction_of_block_hashes_takes_no_longer_than_one_of_keccak() {
    let chain = chain();
    let hashes = deployed(&chain, &Key::new(1), 0, &HASHES);
    let keccaks = deployed(&chain, &Key::new(1), 1, &KECCAKS);
    (0..300).for_each(|_| drop(next(&chain, Vec::new())));
    // The machine is not alone: the fastest of some.
    let time = |contract| {
        let runs = (0..5).map(|_| {
            let start = Instant::now();
            ask(&chain, contract, MAX_TRANSACTION_GAS);
            start.elapsed()
        });
        runs.min().unwrap_or(Duration::MAX)
    };
    let (hashes, keccaks) = (time(hashes), time(keccaks));
    println!("block hashes {hashes:?}, keccak {keccaks:?}");
    assert!(hashes < 3 * keccaks, "block hashes {hashes:?}, keccak {keccaks:?}");
}

// 0 - .. - 3 - 4a - 5a
//            \ 4b - 5b
#[test]
fn each_branch_has_its_own_hashes() {
    let chain = chain();
    let contract = deployed(&chain, &Key::new(1), 0, &KEEPS);
    next(&chain, Vec::new());
    let three = next(&chain, Vec::new()).hash;
    let propose = |parent, transactions: Vec<Transaction>| {
        chain.propose(parent, NOW_MS, PROPOSER, transactions.into_iter(), &Stop::never()).expect("proposed")
    };
    for wei in [1, 2] {
        let four = propose(three, vec![Key::new(2).transfer(CHAIN, 0, PROPOSER, wei)]).hash();
        for (asked, answer) in [(4, four), (3, three), (1, chain.block_hash(1)), (5, B256::ZERO)] {
            let asks = call(&Key::new(3), 0, contract, U256::from(asked).to_be_bytes::<32>());
            let five = propose(four, vec![asks]);
            let view = chain.view(five.hash()).expect("kept");
            let kept = view.storage(contract, U256::ZERO).expect("in memory");
            assert_eq!(B256::from(kept), answer, "block {asked} seen from {}", five.hash());
        }
    }
}

#[test]
fn the_last_256_are_known_after_a_restart_too() {
    let store = Arc::new(Memory::default());
    let hashes: Vec<_> = {
        let chain = open(store.clone());
        deployed(&chain, &Key::new(1), 0, &KEEPS);
        (0..300).for_each(|_| drop(next(&chain, Vec::new())));
        (0..=chain.head().number).map(|number| chain.block_hash(number)).collect()
    };
    let chain = open(store);
    let contract = Key::new(1).address.create(0);
    for (nonce, (asked, there)) in [(46, true), (45, false), (301, true), (302, false)].into_iter().enumerate() {
        // The block that asks has number 302 and so sees 46 to 301.
        let asks = call(&Key::new(2), 0, contract, U256::from(asked).to_be_bytes::<32>());
        let now_ms = NOW_MS + 1_000 * nonce as u64;
        let block = chain.propose(chain.head_hash(), now_ms, PROPOSER, std::iter::once(asks), &Stop::never());
        let view = chain.view(block.expect("proposed").hash()).expect("kept");
        let kept = B256::from(view.storage(contract, U256::ZERO).expect("in memory"));
        assert_eq!(kept, if there { hashes[asked] } else { B256::ZERO }, "block {asked}");
    }
}

impl<S: Store> Chain<S> {
    fn block_hash(&self, number: u64) -> B256 {
        self.header(number).expect("in memory").expect("final").hash_slow()
    }
}
