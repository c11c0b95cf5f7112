//! Whole relayers in one process, in simulated time: from key generation through a peg-in to settlement, while relayers die
//! and bitcoinds fail. `SEED=7 cargo test --test simulated_relayers` repeats one run.

use std::time::Duration;

use alloy_primitives::{Address, B256, U256};
use bitcoin::Amount;
use bridge::board::Kind;
use contracts::Bridge;
use contracts::address::BRIDGE;
use contracts::coin::WEI_PER_SAT;
use rand::Rng;
use tests::simulated::faults::Fault;
use tests::simulated::world::{World, simulate};

const DEPOSIT: Amount = Amount::from_sat(1_000_000);
/// Time between two blocks of the simulated Bitcoin, once somebody mines.
const BITCOIN_INTERVAL: Duration = Duration::from_secs(5);

fn somebody(number: u8) -> Address {
    Address::repeat_byte(number)
}

/// Mines until coins have reached an account.
async fn until_minted(world: &mut World, account: Address) {
    let mut blocks = 0;
    while world.sidechain.balance(account).is_zero() {
        assert!(blocks < 60, "nothing is minted after {blocks} Bitcoin blocks");
        world.bitcoin.mine(1);
        world.pass(BITCOIN_INTERVAL).await;
        blocks += 1;
    }
}

/// Every coin outside the bridge is backed by a vaulted satoshi.
fn expect_whole(world: &World, accounts: &[Address]) {
    let ledger = world.sidechain.info().ledger;
    let minted: U256 = accounts.iter().map(|account| world.sidechain.balance(*account)).sum();
    assert_eq!(minted / U256::from(WEI_PER_SAT) + U256::from(ledger.held_sat), U256::from(ledger.vault_sat));
    assert_eq!((ledger.owed_sat, ledger.deficit_sat), (0, 0));
}

/// The same members, keys and chain id: only what the operators agreed on is another network's.
#[test]
fn a_relayer_takes_no_part_on_a_network_that_its_genesis_file_does_not_make() {
    simulate(1..3, |mut world| async move {
        let right = world.sidechain.identity();
        let (mut other_file, mut other_block) = (right, right);
        other_file.network_id = B256::repeat_byte(7);
        other_block.genesis = B256::repeat_byte(8);
        for wrong in [other_file, other_block] {
            world.kill(0).await;
            world.start_as(0, wrong);
            world.pass(Duration::from_secs(60)).await;
            assert!(!world.posts(Kind::DkgRound1).contains(&1), "it posts to a network that is not its own");
            assert_eq!(world.sidechain.info().group_key, None);
        }
        // The wrong file left nothing behind.
        world.kill(0).await;
        world.start(0);
        world.until_key().await;
    });
}

#[test]
fn a_deposit_is_minted_while_one_relayer_is_dead_and_bitcoinds_fail_now_and_then() {
    simulate(1..4, |mut world| async move {
        let key = world.until_key().await;
        world.bitcoin.mine(3);
        let dead = world.rng.gen_range(0..4);
        world.kill(dead).await;
        world.deposit(key, somebody(1), DEPOSIT);
        let mut blocks = 0;
        while world.sidechain.balance(somebody(1)).is_zero() {
            assert!(blocks < 60, "nothing is minted after {blocks} Bitcoin blocks");
            // One bitcoind after the other goes away for a while.
            let victim = world.rng.gen_range(0..4);
            let fault = [None, Some(Fault::Refuses), Some(Fault::Hangs)][world.rng.gen_range(0..3)];
            world.operators[victim].bitcoind.set(fault);
            world.bitcoin.mine(1);
            world.pass(BITCOIN_INTERVAL).await;
            world.operators[victim].bitcoind.set(None);
            blocks += 1;
        }
        expect_whole(&world, &[somebody(1)]);

        // The dead one comes back, and another may die.
        world.start(dead);
        world.kill((dead + 1) % 4).await;
        world.deposit(key, somebody(2), DEPOSIT);
        until_minted(&mut world, somebody(2)).await;
        expect_whole(&world, &[somebody(1), somebody(2)]);
    });
}

// time    key - proposal - commitments of all [all bitcoinds hang] - shares - signed
#[test]
fn signing_goes_on_while_every_bitcoind_hangs() {
    simulate(1..3, |mut world| async move {
        let key = world.until_key().await;
        world.deposit(key, somebody(1), DEPOSIT);
        world.bitcoin.mine(3);
        committed(&mut world, 3).await;
        world.operators.iter().for_each(|operator| operator.bitcoind.set(Some(Fault::Hangs)));
        let start_ms = world.now_ms();
        shared(&mut world, 3).await;
        let took_ms = world.now_ms() - start_ms;
        assert!(took_ms < 4_000, "shares took {took_ms} ms: longer than two blocks and two looks at the board");
        world.operators.iter().for_each(|operator| operator.bitcoind.set(None));
        until_minted(&mut world, somebody(1)).await;
    });
}

// The first vault transaction cannot be broadcast: every bitcoind hangs when it is handed to it.
#[test]
fn an_action_that_hangs_delays_neither_signing_nor_another_action() {
    simulate(1..3, |mut world| async move {
        let key = world.until_key().await;
        let hang = |world: &World| {
            let hangs = |operator: &tests::simulated::world::Operator| {
                operator.bitcoind.set_method("sendrawtransaction", Some(Fault::Hangs));
            };
            world.operators.iter().for_each(hangs);
        };
        hang(&world);
        world.deposit(key, somebody(1), DEPOSIT);
        world.bitcoin.mine(3);
        shared(&mut world, 3).await;
        world.pass(Duration::from_secs(1)).await;
        // All that a second deposit needs happens while the first broadcast hangs: headers, proposal, signing.
        let start_ms = world.now_ms();
        world.deposit(key, somebody(2), DEPOSIT);
        world.bitcoin.mine(1);
        shared(&mut world, 6).await;
        let took_ms = world.now_ms() - start_ms;
        assert!(took_ms < 12_000, "the second one took {took_ms} ms, as if it had waited for the first");
        assert_eq!(world.sidechain.view(BRIDGE, &Bridge::vaultTransactionCountCall {}), U256::from(2));
    });
}

// Every bitcoind has an error of its own for questions that a deposit does not need: nothing else is different.
#[test]
fn a_question_that_every_bitcoind_answers_with_an_error_stops_no_other() {
    simulate(1..3, |mut world| async move {
        for method in ["getblockfilter", "estimatesmartfee"] {
            world.operators.iter().for_each(|operator| operator.bitcoind.set_method(method, Some(Fault::Errs)));
        }
        let key = world.until_key().await;
        world.deposit(key, somebody(1), DEPOSIT);
        world.bitcoin.mine(3);
        let sidechain = world.sidechain.clone();
        world
            .until("the light client has the headers", || (sidechain.info().bitcoin_tip.height == 3).then_some(()))
            .await;
        // Without an estimate nothing is proposed, however long that takes.
        world.pass(Duration::from_secs(60)).await;
        let proposed = || sidechain.view(BRIDGE, &Bridge::vaultTransactionCountCall {});
        assert_eq!(proposed(), U256::ZERO, "proposed at a guess");
        world.operators.iter().for_each(|operator| operator.bitcoind.set_method("estimatesmartfee", None));
        until_minted(&mut world, somebody(1)).await;
        expect_whole(&world, &[somebody(1)]);
    });
}

async fn committed(world: &mut World, count: usize) {
    let mut posts = 0;
    while posts < count {
        world.pass(Duration::from_millis(50)).await;
        posts = world.posts(Kind::Commitments).len();
    }
}

async fn shared(world: &mut World, count: usize) {
    let start_ms = world.now_ms();
    while world.posts(Kind::Shares).len() < count {
        assert!(world.now_ms() - start_ms < 60_000, "there are not {count} shares after a minute");
        world.pass(Duration::from_millis(50)).await;
    }
}
