//! Transactions that take long for their gas, and nodes that go on.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use alloy_eips::Encodable2718 as _;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex};
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{application::NodeApplication, building::Timing};
use crate::{
    block::Transaction,
    chain::{Chain, Retention},
    execution::Stop,
    io::{
        consensus::{Application as _, Verdict},
        db::Database,
        node_state::{AdmitError, NodeState},
    },
    limits::MAX_TRANSACTION_GAS,
    mempool::{FIRST_HOLD_MS, Limits, Mempool, Refused},
    testing::{Key, genesis},
};

const COIN_SAT: u64 = 100_000_000;
const NOW_MS: u64 = 1_700_000_100_000;
/// Deploys JUMPDEST, PUSH0, JUMP: uses all gas that it gets.
const LOOP: [u8; 12] = hex!("60038060095f395ff3" "5b5f56");

struct World {
    state: NodeState,
    chain_id: u64,
    contract: Address,
    _directory: TempDir,
}

impl World {
    /// A node with coins for the keys 1 to 60, on whose chain the loop is deployed.
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a place for files");
        let store = Database::open(&directory.path().join("chain")).expect("free");
        let mut genesis = genesis();
        // The time is to end, not the gas.
        genesis.block.gas_limit = 1_000_000_000;
        let allocation: Vec<_> = (1..=60).map(|number| (Key::new(number).address, COIN_SAT)).collect();
        let chain_id = genesis.chain_id;
        let chain = Chain::open_with(genesis, store, Retention::default(), &allocation).expect("right");
        let state = NodeState::new(Arc::new(chain), Mempool::new(Limits::default()), mpsc::channel(1).0, None);
        let contract = Key::new(60).address.create(0);
        let world = Self { state, chain_id, contract, _directory: directory };
        let deploy = Key::new(60).send(chain_id, 0, 200_000, TxKind::Create, U256::ZERO, Bytes::from_static(&LOOP));
        let chain = &world.state.chain;
        let block = chain
            .propose(chain.head_hash(), NOW_MS, Address::ZERO, std::iter::once(deploy), &Stop::never())
            .expect("the head is known");
        let finalized = chain.finalize(&block).expect("stored").expect("new");
        world.state.on_finalized(finalized, NOW_MS).expect("the store works");
        world
    }

    fn admit(&self, transaction: &Transaction, now_ms: u64) -> Result<B256, AdmitError> {
        self.state.admit(&transaction.inner().encoded_2718(), now_ms)
    }

    /// Puts them into the pool.
    fn wait<'a>(&self, transactions: impl IntoIterator<Item = &'a Transaction>) {
        for transaction in transactions {
            self.admit(transaction, NOW_MS).expect("taken");
        }
    }

    fn slow(&self, key: u64, nonce: u64, gas: u64) -> Transaction {
        Key::new(key).send(self.chain_id, nonce, gas, self.contract.into(), U256::ZERO, Bytes::new())
    }

    fn contains(&self, transaction: &Transaction) -> bool {
        self.state.pool().contains(*transaction.tx_hash())
    }

    fn build(&self, application: &NodeApplication, stop: &Stop) -> Result<crate::block::Block, String> {
        application.build(self.state.chain.head_hash(), NOW_MS, Address::ZERO, stop)
    }
}

#[test]
fn who_takes_too_long_waits_while_all_others_are_served() {
    let world = World::new();
    let application = NodeApplication::with_timing(
        world.state.clone(),
        Timing::new(Duration::from_secs(60), Duration::from_millis(20)),
    );
    let slow = [world.slow(1, 0, MAX_TRANSACTION_GAS), world.slow(2, 0, MAX_TRANSACTION_GAS)];
    let ordinary: Vec<_> =
        (3..=12).map(|key| Key::new(key).transfer(world.chain_id, 0, Address::repeat_byte(7), 1)).collect();
    world.wait(slow.iter().chain(&ordinary));

    // While this machine is busy nobody is blamed, so it may take some builds.
    let started = Instant::now();
    while world.contains(&slow[0]) {
        let block = world.build(&application, &Stop::never()).expect("built");
        assert_eq!(block.transactions.len(), ordinary.len(), "all ordinary ones, and none of the slow");
        assert!(started.elapsed() < Duration::from_secs(60), "it is evicted");
    }
    assert!(world.contains(&slow[1]), "after the first, the other was not tried");

    // Again, another one, the same account: all wait. Nobody else does.
    for again in [&slow[0], &world.slow(1, 0, 100_000), &world.slow(1, 1, 21_000)] {
        let refused = world.admit(again, NOW_MS + FIRST_HOLD_MS - 1).expect_err("held back");
        assert!(matches!(refused, AdmitError::Refused(Refused::Held { left_ms: 1, .. })), "{refused}");
    }
    world.admit(&world.slow(13, 0, MAX_TRANSACTION_GAS), NOW_MS).expect("others are not held back");
    world.admit(&slow[0], NOW_MS + FIRST_HOLD_MS).expect("it waited");
}

#[test]
fn a_build_ends_when_its_time_is_over_with_what_it_has() {
    let world = World::new();
    let budget = Duration::from_millis(300);
    let application = NodeApplication::with_timing(world.state.clone(), Timing::new(budget, budget));
    let waiting: Vec<_> = (1..=50).map(|key| world.slow(key, 0, 10_000_000)).collect();
    world.wait(&waiting);
    let started = Instant::now();
    let block = world.build(&application, &Stop::never()).expect("built");
    println!("{} transactions in {:?}", block.transactions.len(), started.elapsed());
    assert!((1..waiting.len()).contains(&block.transactions.len()), "{}", block.transactions.len());
    assert!(waiting.iter().all(|transaction| world.contains(transaction)), "nobody is blamed");
    assert_eq!(application.check(&block, NOW_MS, &Stop::never()), Verdict::Valid, "what was executed is usable");
}

#[test]
fn builds_and_checks_that_nobody_waits_for_end_at_once() {
    let world = World::new();
    let application = NodeApplication::with_timing(
        world.state.clone(),
        Timing::new(Duration::from_secs(600), Duration::from_secs(600)),
    );
    let waiting: Vec<_> = (1..=12).map(|key| world.slow(key, 0, MAX_TRANSACTION_GAS)).collect();
    world.wait(&waiting);
    let soon = |stop: &Stop| {
        let stop = stop.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(10));
            stop.stop();
        })
    };
    let stop = Stop::default();
    let timer = soon(&stop);
    assert!(world.build(&application, &stop).expect_err("stopped").contains("stopped"));
    timer.join().expect("no panic");
    assert!(waiting.iter().all(|transaction| world.contains(transaction)), "nobody is blamed");

    let block = world.build(&application, &Stop::never()).expect("built");
    let other = World::new();
    let checker = NodeApplication::new(other.state.clone());
    let stop = Stop::default();
    let timer = soon(&stop);
    assert!(matches!(checker.check(&block, NOW_MS, &stop), Verdict::Unknown(_)), "it cannot tell");
    timer.join().expect("no panic");
    assert_eq!(checker.check(&block, NOW_MS, &Stop::never()), Verdict::Valid);
}
