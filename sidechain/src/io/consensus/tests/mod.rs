//! The engine over a chain that executes nothing: blocks are real, state is a list. Tested are order, finality,
//! certificates, pacing and recovery. Runs on the deterministic runtime: one seed, one history.

mod byzantine;
mod catch_up;
mod chain;
mod ledger;
mod muted;
mod network;
mod old_blocks;

use std::{
    sync::atomic::Ordering,
    time::{Duration, SystemTime},
};

use commonware_runtime::{Clock as _, Runner as _, deterministic};

use super::Application as _;
use network::{Network, Runtime};

fn simulate<F: Future<Output = ()>>(seed: u64, run: impl FnOnce(Runtime) -> F) {
    let config = deterministic::Config::default().with_seed(seed).with_timeout(Some(Duration::from_secs(600)));
    deterministic::Runner::new(config).start(run);
}

#[test]
fn four_validators_make_the_same_blocks_final() {
    for seed in 0..3 {
        simulate(seed, |runtime| async move {
            let mut network = Network::new(runtime, 4, true, |_| None).await;
            for i in 0..4 {
                network.start(i).await;
            }
            network.sleep(20).await;
            network.check();
            let heads = network.heads();
            // A heartbeat of 2 s: about ten empty blocks, no storm of them.
            assert!(heads.iter().all(|head| (6..=12).contains(head)), "{heads:?}");
            let certified = network.ledgers[0].last.lock().iter().filter(|(_, c)| c.is_some()).count();
            assert!(certified as u64 + 1 >= heads[0], "{certified} of {heads:?} have their own certificate");
        });
    }
}

#[test]
fn a_transaction_waits_for_the_interval_and_not_for_the_heartbeat() {
    simulate(1, |runtime| async move {
        let mut network = Network::new(runtime, 4, false, |_| None).await;
        for i in 0..4 {
            network.start(i).await;
        }
        network.sleep(5).await;
        for nonce in 0..10 {
            let before: SystemTime = network.runtime.current();
            network.ledgers.iter().for_each(|ledger| ledger.submit(nonce));
            while network.ledgers.iter().any(|ledger| ledger.has_work(alloy_primitives::B256::ZERO)) {
                network.runtime.sleep(Duration::from_millis(10)).await;
            }
            let took = network.runtime.current().duration_since(before).expect("time passes");
            assert!(took < Duration::from_millis(900), "final after {took:?}");
        }
        network.check();
    });
}

#[test]
fn who_doubts_its_clock_neither_proposes_nor_votes_until_it_is_right_again() {
    simulate(2, |runtime| async move {
        let mut network = Network::new(runtime, 4, true, |_| None).await;
        for i in 0..4 {
            network.start(i).await;
        }
        network.sleep(6).await;
        let doubt = |network: &Network, i: usize, doubts| network.ledgers[i].in_doubt.store(doubts, Ordering::Relaxed);
        doubt(&network, 3, true);
        network.sleep(3).await;
        let then = network.heads();
        let proposed = network.ledgers[3].proposed.load(Ordering::Relaxed);
        network.sleep(30).await;
        let now = network.heads();
        assert!(now[0] >= then[0] + 5, "three are enough: {then:?} {now:?}");
        assert!(now[3] + 1 >= now[0], "it follows all the same: {now:?}");
        assert_eq!(network.ledgers[3].proposed.load(Ordering::Relaxed), proposed, "it does not lead");
        // With one more in doubt there is no quorum: nothing becomes final by a vote that is not believed.
        doubt(&network, 2, true);
        network.sleep(10).await;
        let then = network.heads();
        network.sleep(30).await;
        assert_eq!(network.heads(), then, "its vote is not given");
        doubt(&network, 2, false);
        doubt(&network, 3, false);
        network.sleep(40).await;
        assert!(network.heads().iter().all(|head| *head > then[0] + 3), "{then:?} {:?}", network.heads());
        network.check();
    });
}

#[test]
fn a_killed_validator_returns_and_catches_up() {
    for seed in 0..3 {
        simulate(seed, |runtime| async move {
            let mut network = Network::new(runtime, 4, true, |_| None).await;
            for i in 0..4 {
                network.start(i).await;
            }
            network.sleep(6).await;
            network.kill(2).await;
            let then = network.heads();
            network.sleep(40).await;
            let now = network.heads();
            assert_eq!(then[2], now[2], "it is dead");
            // Its rounds are skipped at once after the first: the others make a block in little more than a heartbeat.
            assert!(now[0] >= then[0] + 12, "the others went on: {then:?} {now:?}");
            network.start(2).await;
            network.sleep(10).await;
            let heads = network.heads();
            assert!(heads[2] + 1 >= heads[0], "it caught up: {heads:?}");
            assert!(heads[2] > now[0]);
            network.check();
        });
    }
}

#[test]
fn a_network_continues_after_all_were_killed_at_once() {
    simulate(7, |runtime| async move {
        let mut network = Network::new(runtime, 4, true, |_| None).await;
        for round in 0..3 {
            for i in 0..4 {
                network.start(i).await;
            }
            network.sleep(11 + round).await;
            let heads = network.heads();
            for i in 0..4 {
                network.kill(i).await;
            }
            network.check();
            assert!(*heads.iter().max().expect("four") >= 3 * (round + 1), "{heads:?}");
        }
    });
}

// Blocks are on disk once, so what a chain lost comes from the others.
#[test]
fn a_chain_that_is_an_older_copy_or_gone_is_filled_up_from_the_other_validators() {
    for kept in [1, 4] {
        simulate(5, |runtime| async move {
            let mut network = Network::new(runtime, 4, true, |_| None).await;
            for i in 0..4 {
                network.start(i).await;
            }
            network.sleep(20).await;
            network.kill(1).await;
            let had = network.ledgers[1].head();
            assert!(had as usize > kept);
            network.ledgers[1] = network.ledgers[1].older(kept);
            network.start(1).await;
            network.sleep(20).await;
            assert!(network.ledgers[1].head() > had, "{:?}", network.heads());
            network.check();
            // Its vote counts: with another one dead, it is needed.
            network.kill(0).await;
            let before = network.heads()[1];
            network.sleep(30).await;
            assert!(network.heads()[1] > before + 2, "{before} {:?}", network.heads());
            network.check();
        });
    }
}

// What the engine put on disk, and the application could not take before the end.
#[test]
fn a_block_that_is_final_but_not_executed_survives_a_full_disk_and_needs_no_peer() {
    simulate(6, |runtime| async move {
        let mut network = Network::new(runtime, 4, false, |_| None).await;
        for i in 0..4 {
            network.start(i).await;
        }
        network.sleep(10).await;
        network.ledgers[2].fill_up(true);
        network.sleep(10).await;
        let (head, ahead) = (network.ledgers[2].head(), network.ledgers[2].ahead.lock().len() as u64);
        assert!(ahead > 0, "nothing waits behind {head}");
        for i in 0..4 {
            network.kill(i).await;
        }
        network.ledgers[2].fill_up(false);
        network.start(2).await;
        network.sleep(2).await;
        assert_eq!(network.ledgers[2].head(), head + ahead, "{:?}", network.heads());
        assert!(network.ledgers[2].ahead.lock().is_empty(), "they are kept once");
        network.check();
    });
}

#[test]
fn two_of_four_make_nothing_final() {
    simulate(3, |runtime| async move {
        let mut network = Network::new(runtime, 4, true, |_| None).await;
        network.start(0).await;
        network.start(1).await;
        network.sleep(30).await;
        assert_eq!(network.heads(), [0; 4]);
        network.start(2).await;
        network.sleep(20).await;
        assert!(network.heads()[0] > 2, "a third makes the quorum: {:?}", network.heads());
        network.check();
    });
}

// Validators 1, 2 and 3 refuse any block that starts with transaction 5; validator 0 knows only that transaction.
#[test]
fn an_invalid_block_gets_no_quorum_and_costs_one_round() {
    simulate(4, |runtime| async move {
        let mut network = Network::new(runtime, 4, true, |i| (i > 0).then_some(5)).await;
        for i in 0..4 {
            network.start(i).await;
        }
        network.sleep(5).await;
        network.ledgers[0].submit(5);
        network.sleep(30).await;
        network.check();
        let heads = network.heads();
        assert!(heads[1] > 6, "{heads:?}");
        assert!(network.ledgers[1].last.lock().iter().all(|(block, _)| block.transactions.is_empty()));
    });
}
