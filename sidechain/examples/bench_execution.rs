//! Rates of the sidechain's core on this machine: `cargo run -p causeway-sidechain --features testing --example bench_execution`.
//! Prints a table; asserts nothing about time.

use std::time::{Duration, Instant};

use alloy_primitives::Address;
use sidechain::{
    block::{Transaction, recover},
    chain::{Chain, Retention},
    execution::Stop,
    io::db::Database,
    state::store::{Memory, Store},
    testing::{Key, genesis, stranger},
};

const TRANSFERS: u64 = 10_000;
const SENDERS: u64 = 1_000;

fn main() {
    let mut genesis = genesis();
    // Room for all transfers in one block.
    genesis.block.gas_limit = 2 * 21_000 * TRANSFERS;
    let allocation: Vec<_> = (0..SENDERS).map(|number| (Key::new(number).address, 100_000_000)).collect();
    let transfers = transfers(genesis.chain_id);
    println!("{TRANSFERS} transfers from {SENDERS} senders to {TRANSFERS} new accounts, one block");

    let directory = tempfile::tempdir().expect("a place for files");
    let open = |name: &str| Database::open(&directory.path().join(name)).expect("free");
    let retention = Retention::default();
    let chain = Chain::open_with(genesis.clone(), open("a"), retention, &allocation).expect("right");
    let cold = Chain::open_with(genesis.clone(), open("b"), retention, &allocation).expect("right");
    let memory = Chain::open_with(genesis, Memory::default(), retention, &allocation).expect("right");
    run(&chain, &cold, &memory, transfers);
}

fn run<S: Store, T: Store, M: Store>(
    chain: &Chain<S>,
    cold: &Chain<T>,
    memory: &Chain<M>,
    transfers: Vec<Transaction>,
) {
    let rate = |what: &str, time: Duration| {
        let per_second = u128::from(TRANSFERS) * 1_000_000 / time.as_micros().max(1);
        println!("{what:<58} {:>7} ms {per_second:>9} /s", time.as_millis());
    };
    let now_ms = 1_700_000_100_000;

    let start = Instant::now();
    let chain_id = chain.genesis().chain_id;
    let recovered = transfers.iter().map(|transfer| recover(transfer.inner().clone(), chain_id));
    assert!(recovered.flatten().count() == transfers.len());
    rate("recover senders, one core", start.elapsed());

    let start = Instant::now();
    let block = chain
        .propose(chain.head_hash(), now_ms, Address::ZERO, transfers.iter().cloned(), &Stop::never())
        .expect("proposed");
    assert_eq!(block.transactions.len() as u64, TRANSFERS);
    rate("propose: execution, state root, other roots", start.elapsed());

    let start = Instant::now();
    chain.finalize(&block).expect("stored").expect("new");
    rate("finalize: one synced rocksdb batch", start.elapsed());

    transfers.iter().for_each(|transfer| cold.remember_sender(transfer));
    let start = Instant::now();
    cold.verify(&block, now_ms, &Stop::never()).expect("valid");
    rate("verify, senders known", start.elapsed());

    let start = Instant::now();
    memory.verify(&block, now_ms, &Stop::never()).expect("valid");
    rate("verify, senders recovered, store in memory", start.elapsed());

    let start = Instant::now();
    let state = chain.state_at(1).expect("kept");
    for number in 0..TRANSFERS {
        state.proof(stranger(number), &[]).expect("in the window");
    }
    rate("prove an account (eth_getProof)", start.elapsed());
}

fn transfers(chain_id: u64) -> Vec<Transaction> {
    let keys: Vec<_> = (0..SENDERS).map(Key::new).collect();
    let rounds = 0..TRANSFERS / SENDERS;
    rounds
        .flat_map(|round| (0..SENDERS).map(move |sender| (round, sender)))
        .map(|(round, sender)| {
            let index = usize::try_from(sender).expect("small");
            keys[index].transfer(chain_id, round, stranger(round * SENDERS + sender), 1)
        })
        .collect()
}
