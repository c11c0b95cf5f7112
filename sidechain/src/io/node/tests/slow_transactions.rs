//! Transactions that take long for their gas, and nodes that go on.

use std::{
    ops::Deref,
    thread,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex};

use super::{super::application::NodeApplication, maker::Maker};
use crate::{
    block::{Block, Transaction},
    chain::Offers,
    execution::{BlockError, Progress, Stop},
    io::{
        consensus::{Application as _, Verdict},
        node_state::{
            AdmitError,
            building::{Build, Timing},
        },
    },
    limits::MAX_TRANSACTION_GAS,
    mempool::{FIRST_HOLD_MS, Refused},
    testing::{Key, genesis},
};

const COIN_SAT: u64 = 100_000_000;
const NOW_MS: u64 = 1_700_000_100_000;
/// Deploys JUMPDEST, PUSH0, JUMP: uses all gas that it gets.
const LOOP: [u8; 12] = hex!("60038060095f395ff3" "5b5f56");

struct World {
    maker: Maker,
    chain_id: u64,
    contract: Address,
}

impl Deref for World {
    type Target = Maker;

    fn deref(&self) -> &Maker {
        &self.maker
    }
}

impl World {
    /// A node with coins for the keys 1 to 60, on whose chain the loop is deployed.
    fn new() -> Self {
        let mut genesis = genesis();
        // The time is to end, not the gas.
        genesis.block.gas_limit = 1_000_000_000;
        let allocation: Vec<_> = (1..=60).map(|number| (Key::new(number).address, COIN_SAT)).collect();
        let chain_id = genesis.chain_id;
        let contract = Key::new(60).address.create(0);
        let world = Self { maker: Maker::new(genesis, &allocation), chain_id, contract };
        let deploy = Key::new(60).send(chain_id, 0, 200_000, TxKind::Create, U256::ZERO, Bytes::from_static(&LOOP));
        let chain = &world.state.chain;
        let block = chain
            .propose(chain.head_hash(), NOW_MS, Address::ZERO, std::iter::once(deploy), &Stop::never())
            .expect("the head is known");
        world.make_final(&block, NOW_MS);
        world
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

    fn build(&self, application: &NodeApplication, stop: &Stop) -> Result<Block, String> {
        application.build(self.state.chain.head_hash(), NOW_MS, Address::ZERO, stop)
    }
}

// A leader fills a block by its own clock. Where those who vote are slower, or busier, no quorum checks it in time, and the next leader
// would make the same one again.
#[test]
fn after_blocks_that_were_not_checked_in_time_smaller_ones_are_made() {
    let world = World::new();
    let (leader, voter) = (World::new(), NodeApplication::new(world.state.clone()));
    let application = NodeApplication::new(leader.state.clone());
    let pay = |key: u64, nonce| Key::new(key).transfer(world.chain_id, nonce, Address::repeat_byte(9), 1);
    let payments: Vec<_> = (1..=50).map(|key| pay(key, 0)).collect();
    for maker in [&world, &leader] {
        assert!(payments.iter().all(|payment| maker.admit(payment, NOW_MS).is_ok()));
    }
    let build = |application: &NodeApplication| {
        let parent = application.state.chain.head_hash();
        application.build(parent, NOW_MS, Address::ZERO, &Stop::never()).expect("its own head")
    };
    let full = build(&application);
    assert!(full.transactions.len() > 10);
    let whole = voter.time_of_a_block();
    let given_up = Stop::default();
    given_up.stop();
    assert!(matches!(voter.check(&full, NOW_MS, &given_up), Verdict::Unknown(_)));
    assert_eq!(voter.time_of_a_block(), whole / 2, "a voter that was too slow leads with less");
    assert_eq!(voter.check(&full, NOW_MS, &Stop::never()), Verdict::Valid);
    assert!(voter.time_of_a_block() > whole / 2, "and with more again when it is in time");
    // Another block became final in the place of the leader's: it got no quorum.
    let other = leader.state.chain.propose(
        full.header.parent_hash,
        NOW_MS + 1_000,
        Address::ZERO,
        std::iter::empty(),
        &Stop::never(),
    );
    leader.make_final(&other.expect("its own head"), NOW_MS);
    build(&application);
    assert_eq!(application.time_of_a_block(), whole / 2);
}

// The only one that waits needs more than a small block has, so nothing is in the blocks that are checked in time.
#[test]
fn empty_blocks_that_are_checked_in_time_make_way_for_large_ones_again() {
    let (leader, voter) = (World::new(), NodeApplication::new(World::new().state.clone()));
    let whole = voter.time_of_a_block();
    let empty = leader.build(&NodeApplication::new(leader.state.clone()), &Stop::never()).expect("built");
    assert!(empty.transactions.is_empty());
    let given_up = Stop::default();
    given_up.stop();
    while voter.time_of_a_block() > whole / 16 {
        assert!(matches!(voter.check(&empty, NOW_MS, &given_up), Verdict::Unknown(_)));
    }
    let mut blocks = 0;
    while voter.time_of_a_block() < whole {
        assert_eq!(voter.check(&empty, NOW_MS, &Stop::never()), Verdict::Valid);
        blocks += 1;
        assert!(blocks <= 32, "as many empty ones");
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

/// Execution with a bug that one transaction sets off.
struct Trap<'a, 'b> {
    offers: &'a mut Build<'b>,
    culprit: B256,
}

impl Offers for Trap<'_, '_> {
    fn next(&mut self, progress: Progress) -> Option<(Transaction, Stop)> {
        let next = self.offers.next(progress)?;
        assert!(*next.0.tx_hash() != self.culprit, "a bug");
        Some(next)
    }

    fn left_out(&mut self, transaction: &Transaction) {
        self.offers.left_out(transaction);
    }

    fn skipped(&mut self, transaction: &Transaction, error: &BlockError) {
        self.offers.skipped(transaction, error);
    }
}

#[test]
fn who_sets_off_a_panic_leaves_and_waits_and_the_next_block_holds_all_others() {
    let world = World::new();
    let application = NodeApplication::new(world.state.clone());
    let transfer = |key: u64| Key::new(key).transfer(world.chain_id, 0, Address::repeat_byte(7), 1);
    let (culprit, others) = (transfer(2), [transfer(1), transfer(3), transfer(4)]);
    world.wait(others.iter().chain([&culprit]));
    let build = || {
        let head = world.state.chain.head_hash();
        application.build_by((head, NOW_MS, Address::ZERO), &Stop::never(), |offers| {
            let mut trap = Trap { offers, culprit: *culprit.tx_hash() };
            world.state.chain.propose_offered(head, NOW_MS, Address::ZERO, &mut trap, &Stop::never())
        })
    };
    let block = build().expect("an empty one");
    assert!(block.transactions.is_empty() && !world.contains(&culprit));
    let refused = world.admit(&culprit, NOW_MS + FIRST_HOLD_MS - 1).expect_err("held back");
    assert!(matches!(refused, AdmitError::Refused(Refused::Held { .. })), "{refused}");
    assert!(others.iter().all(|transaction| world.contains(transaction)), "nobody else is blamed");
    assert_eq!(build().expect("built").transactions.len(), others.len());
}

#[test]
fn a_build_ends_when_its_time_is_over_with_what_it_has() {
    let world = World::new();
    let waiting: Vec<_> = (1..=50).map(|key| world.slow(key, 0, 10_000_000)).collect();
    // What one takes on this machine now, so that several fit and by far not all.
    world.wait(&waiting[..1]);
    let unhurried = Timing::new(Duration::from_secs(600), Duration::from_secs(600));
    let started = Instant::now();
    let one = world.build(&NodeApplication::with_timing(world.state.clone(), unhurried), &Stop::never());
    assert_eq!(one.expect("built").transactions.len(), 1);
    let budget = 8 * started.elapsed();

    let application = NodeApplication::with_timing(world.state.clone(), Timing::new(budget, budget));
    world.wait(&waiting[1..]);
    let started = Instant::now();
    let block = world.build(&application, &Stop::never()).expect("built");
    println!("{} transactions in {:?} of {budget:?}", block.transactions.len(), started.elapsed());
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
