//! Free transactions on their way into the pool of a node that got them from its peers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_eips::Encodable2718 as _;
use alloy_primitives::Bytes;
use contracts::address::SIGNING_BOARD;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{NodeState, Source};
use crate::{
    block::Transaction,
    chain::{Chain, Retention},
    io::db::Database,
    limits::{MAX_MEMBER_BYTES, MAX_MEMBER_TRANSACTIONS, MAX_TRANSACTION_GAS},
    mempool::{Limits, Mempool},
    testing::{self, genesis, member},
};

const CHAIN: u64 = 51_717;

const PEER: Source = Source::Peer([1; 32]);

fn node() -> (NodeState, TempDir) {
    let directory = tempfile::tempdir().expect("a directory for tests");
    let database = Database::open(directory.path()).expect("a fresh directory");
    let chain = Chain::open_with(genesis(), database, Retention::default(), &[]).expect("the genesis is right");
    (NodeState::new(Arc::new(chain), Mempool::new(Limits::default()), mpsc::channel(1).0, None), directory)
}

fn post(index: u16, nonce: u64, gas: u64, bytes: usize) -> Transaction {
    let attempt = u32::try_from(nonce).expect("small");
    member(index).free(CHAIN, nonce, gas, SIGNING_BOARD, testing::post(attempt, vec![7; bytes]))
}

/// Asks for the most gas and fails, so that it costs its member no nonce and can be repeated, each time a little different.
fn failing(index: u16, number: usize) -> Bytes {
    let call = testing::post(0, vec![1; 16_385 + number]);
    raw(&member(index).free(CHAIN, 0, MAX_TRANSACTION_GAS, SIGNING_BOARD, call))
}

fn raw(transaction: &Transaction) -> Bytes {
    transaction.encoded_2718().into()
}

/// How long it took until all are in the pool.
fn wait_for(state: &NodeState, wanted: &[Transaction], since: Instant) -> Duration {
    loop {
        let missing = wanted.iter().filter(|wanted| !state.pool().contains(*wanted.tx_hash())).count();
        if missing == 0 {
            return since.elapsed();
        }
        assert!(since.elapsed() < Duration::from_secs(60), "{missing} of {} are missing", wanted.len());
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_honest_member_s_burst_up_to_its_quota_arrives_whole_while_another_floods() {
    let (state, _directory) = node();
    let gas = state.chain.rules().member_gas() / MAX_MEMBER_TRANSACTIONS as u64;
    let burst: Vec<_> = (0..MAX_MEMBER_TRANSACTIONS as u64).map(|nonce| post(2, nonce, gas, 1_000)).collect();
    assert!(burst.iter().map(|one| one.encode_2718_len()).sum::<usize>() <= MAX_MEMBER_BYTES);
    // A third of a thousand of the largest are in front of it.
    (0..333).for_each(|number| state.deliver(PEER, failing(1, number)));
    let since = Instant::now();
    burst.iter().for_each(|transaction| state.deliver(PEER, raw(transaction)));
    let took = wait_for(&state, &burst, since);
    let left = took.as_secs_f64();
    println!("{} transactions of one member were there after {left:.2} s", burst.len());
    // Another block's, while the first waits to become final: the pool has room for them.
    let more: Vec<_> = (64..128).map(|nonce| post(2, nonce, gas, 1_000)).collect();
    more.iter().for_each(|transaction| state.deliver(PEER, raw(transaction)));
    wait_for(&state, &more, Instant::now());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_brings_beyond_its_quota_waits_is_not_lost_and_delays_no_other() {
    let (state, _directory) = node();
    let allowed = state.pool().limits().trials;
    let beyond = usize::try_from((allowed.at_once + allowed.gas_per_s) / MAX_TRANSACTION_GAS).expect("small") + 1;
    let since = Instant::now();
    let mut answers = tokio::task::JoinSet::new();
    for number in 0..beyond {
        let (state, raw) = (state.clone(), failing(1, number));
        answers.spawn(async move { state.submit(PEER, raw).await.expect_err("it fails").to_string() });
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (last, other) = (post(1, 0, 400_000, 100), post(2, 0, 400_000, 100));
    state.deliver(PEER, raw(&last));
    state.deliver(PEER, raw(&other));
    let took_other = wait_for(&state, std::slice::from_ref(&other), since);
    assert!(!state.pool().contains(*last.tx_hash()), "its member's gas is not paid for yet");
    let took = wait_for(&state, std::slice::from_ref(&last), since);
    println!("another member waited {took_other:?}, the one that had so much tried {took:?}");
    assert!(took >= Duration::from_millis(900), "{took:?}: no more than blocks may take of it");
    // Each of the others was run in its turn, and its sender heard what the contract says.
    for answer in answers.join_all().await {
        assert!(!answer.contains("too many"), "{answer}");
    }
}
