//! Whole relayers in one process, in simulated time, over the real contracts: from key generation through deposits, payouts, fee spikes, thefts and
//! reorganisations, while relayers die and bitcoinds fail. `SEED=7 cargo test --test simulated_relayers` repeats one run.

use std::time::Duration;

use alloy_primitives::{Address, B256};
use bitcoin::Amount;
use bridge::board::Kind;
use bridge::io::sidechain::Call;
use bridge::relay::view::BlockLog;
use contracts::address::{BRIDGE, DEPOSITS, SIGNING_BOARD, VAULT};
use contracts::alloy_sol_types::SolEvent;
use contracts::coin::wei;
use contracts::{Bridge, Deposits, SigningBoard, Vault, vault};
use rand::Rng;
use sidechain::testing::Key;
use tests::simulated::faults::{Fault, Lie};
use tests::simulated::world::{World, simulate};

const DEPOSIT: Amount = Amount::from_sat(1_000_000);
const MAX_FEE: Amount = Amount::from_sat(10_000);
/// Time between two blocks of the simulated Bitcoin, once somebody mines.
const BITCOIN_INTERVAL: Duration = Duration::from_secs(5);
/// `IBridge.WithdrawalStatus`.
const TIED: u8 = 2;
const PAID: u8 = 3;

fn somebody(number: u8) -> Address {
    Address::repeat_byte(number)
}

/// Pays to it are told apart by their number.
fn script(number: u8) -> bitcoin::ScriptBuf {
    bitcoin::ScriptBuf::from_bytes([&[0x00, 0x14], &[number; 20][..]].concat())
}

/// Mines until coins have reached an account.
async fn until_minted(world: &mut World, account: Address) {
    let sidechain = world.sidechain.clone();
    world.mine_until("coins are minted", move || (!sidechain.balance(account).is_zero()).then_some(())).await;
}

async fn until_paid(world: &mut World, ids: &[u64]) {
    let (sidechain, ids) = (world.sidechain.clone(), ids.to_vec());
    let paid = move || {
        let status =
            |id: &u64| sidechain.view(BRIDGE, &Bridge::withdrawalCall { id: alloy_primitives::U256::from(*id) }).status;
        ids.iter().all(|id| status(id) == PAID).then_some(())
    };
    world.mine_until("the withdrawals are paid", paid).await;
}

/// The books balance, and nothing is missing.
fn expect_whole(world: &World) {
    let books = world.sidechain.books();
    let owed = i128::from(books.supply_sat)
        + i128::from(books.unclaimed_sat)
        + i128::from(books.owed_sat)
        + i128::from(books.reserve_sat)
        + i128::from(books.unminted_sat);
    assert_eq!(
        owed,
        i128::from(books.vault_sat) + i128::from(books.unswept_sat) + i128::from(books.lost_sat),
        "{books:?}"
    );
    assert_eq!((books.unswept_sat, books.lost_sat), (0, 0), "{books:?}");
    assert!(books.reserve_sat >= 0, "{books:?}");
}

/// Somebody with coins, who can withdraw them.
async fn owner_of_coins(world: &mut World, number: u64, amount: Amount) -> Key {
    let (key, owner) = (world.until_open().await, Key::new(number));
    world.deposit(key, owner.address, amount);
    until_minted(world, owner.address).await;
    owner
}

fn count(world: &World) -> u32 {
    world.sidechain.view(VAULT, &Vault::vaultTransactionCountCall {})
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
fn a_deposit_is_proven_swept_and_minted_and_a_withdrawal_is_paid() {
    simulate(1..3, |mut world| async move {
        let owner = owner_of_coins(&mut world, 1, DEPOSIT).await;
        expect_whole(&world);
        let half = Amount::from_sat(400_000);
        let id = world.withdraw(&owner, &script(1), half, MAX_FEE).await;
        until_paid(&mut world, &[id]).await;
        let paid = world.bitcoin.paid(&script(1));
        assert!(paid < half && paid > Amount::from_sat(390_000), "{paid}");
        expect_whole(&world);
    });
}

#[test]
fn a_deposit_is_minted_while_one_relayer_is_dead_and_bitcoinds_fail_now_and_then() {
    simulate(1..4, |mut world| async move {
        let key = world.until_open().await;
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
        // The dead one comes back, and another may die.
        world.start(dead);
        world.kill((dead + 1) % 4).await;
        world.deposit(key, somebody(2), DEPOSIT);
        until_minted(&mut world, somebody(2)).await;
        expect_whole(&world);
    });
}

// time    key - proposal - approvals of all [all bitcoinds hang] - bound - shares - signed
#[test]
fn signing_goes_on_while_every_bitcoind_hangs() {
    simulate(1..3, |mut world| async move {
        let key = world.until_open().await;
        let shares = world.posts(Kind::Shares).len();
        let bound = count(&world);
        world.deposit(key, somebody(1), DEPOSIT);
        world.bitcoin.mine(3);
        let sidechain = world.sidechain.clone();
        let is_bound = move || (sidechain.view(VAULT, &Vault::vaultTransactionCountCall {}) > bound).then_some(());
        world.until("it is bound", is_bound).await;
        world.pass(Duration::from_millis(500)).await;
        world.operators.iter().for_each(|operator| operator.bitcoind.set(Some(Fault::Hangs)));
        let start_ms = world.now_ms();
        shared(&mut world, shares + 3).await;
        let took_ms = world.now_ms() - start_ms;
        assert!(took_ms < 5_000, "shares took {took_ms} ms: longer than two blocks and two looks at the board");
        world.operators.iter().for_each(|operator| operator.bitcoind.set(None));
        until_minted(&mut world, somebody(1)).await;
    });
}

// The first vault transaction cannot be broadcast: every bitcoind hangs when it is handed to it.
#[test]
fn an_action_that_hangs_delays_neither_signing_nor_another_action() {
    simulate(1..3, |mut world| async move {
        let key = world.until_open().await;
        let (shares, bound) = (world.posts(Kind::Shares).len(), count(&world));
        for operator in &world.operators {
            operator.bitcoind.set_method("sendrawtransaction", Some(Fault::Hangs));
        }
        world.deposit(key, somebody(1), DEPOSIT);
        world.bitcoin.mine(3);
        shared(&mut world, shares + 3).await;
        world.pass(Duration::from_secs(1)).await;
        // All that a second deposit needs happens while the first broadcast hangs: headers, proof, proposal, signing.
        let start_ms = world.now_ms();
        world.deposit(key, somebody(2), DEPOSIT);
        world.bitcoin.mine(1);
        shared(&mut world, shares + 6).await;
        let took_ms = world.now_ms() - start_ms;
        assert!(took_ms < 20_000, "the second one took {took_ms} ms, as if it had waited for the first");
        assert_eq!(count(&world), bound + 2);
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
        world.deposit(key, BRIDGE, DEPOSIT);
        world.bitcoin.mine(3);
        let sidechain = world.sidechain.clone();
        world
            .until("the light client has the headers", || (sidechain.info().bitcoin_tip.height == 3).then_some(()))
            .await;
        // Without an estimate nothing is bound, however long that takes.
        world.pass(Duration::from_secs(60)).await;
        assert_eq!(count(&world), 0, "bound at a guess");
        world.operators.iter().for_each(|operator| operator.bitcoind.set_method("estimatesmartfee", None));
        world.until_open().await;
        expect_whole(&world);
    });
}

#[test]
fn a_hundred_and_sixty_withdrawals_that_cannot_be_paid_at_the_present_rate_do_not_delay_one_that_can() {
    simulate(1..2, |mut world| async move {
        let owner = owner_of_coins(&mut world, 1, Amount::from_sat(20_000_000)).await;
        world.bitcoin.estimate(Some(bitcoin::FeeRate::from_sat_per_vb_u32(20)));
        world.pass(Duration::from_secs(60)).await;
        let floor =
            world.sidechain.view(BRIDGE, &Bridge::floorFeeCall { scriptLength: alloy_primitives::U256::from(22) });
        let mut poor = Vec::new();
        for _ in 0..160 {
            poor.push(world.withdraw(&owner, &script(1), Amount::from_sat(10_000), Amount::from_sat(floor)).await);
        }
        let rich = world.withdraw(&owner, &script(2), Amount::from_sat(100_000), MAX_FEE).await;
        until_paid(&mut world, &[rich]).await;
        assert!(poor.iter().all(|id| world.withdrawal(*id).status < TIED), "they cannot pay");
        // And when fees fall, they are paid too.
        world.bitcoin.estimate(Some(bitcoin::FeeRate::from_sat_per_vb_u32(1)));
        world.pass(Duration::from_secs(60)).await;
        until_paid(&mut world, &poor).await;
        expect_whole(&world);
    });
}

// estimate 2 sat/vB - payout in the mempool - 60 sat/vB: nothing below 30 is mined
#[test]
fn a_payout_that_a_fee_spike_leaves_behind_is_replaced_within_six_blocks() {
    simulate(1..3, |mut world| async move {
        let owner = owner_of_coins(&mut world, 1, DEPOSIT).await;
        let bound = count(&world);
        let id = world.withdraw(&owner, &script(1), Amount::from_sat(400_000), MAX_FEE).await;
        let sidechain = world.sidechain.clone();
        world
            .until("it is tied", move || {
                (sidechain.view(BRIDGE, &Bridge::withdrawalCall { id: alloy_primitives::U256::from(id) }).status
                    == TIED)
                    .then_some(())
            })
            .await;
        world.pass(Duration::from_secs(10)).await;
        world.bitcoin.estimate(Some(bitcoin::FeeRate::from_sat_per_vb_u32(60)));
        world.bitcoin.mine_only_above(bitcoin::FeeRate::from_sat_per_vb_u32(30));
        world.pass(Duration::from_secs(60)).await;
        for _ in 0..6 {
            world.bitcoin.mine(1);
            world.pass(Duration::from_secs(20)).await;
        }
        assert_eq!(world.withdrawal(id).status, PAID, "{} vault transactions since", count(&world) - bound);
        expect_whole(&world);
    });
}

/// The newest vault transaction's content and rate.
fn newest(world: &World) -> vault::IVault::Content {
    let logs = world.sidechain.logs(&[VAULT], 0, world.sidechain.head());
    let bound = logs.iter().rev().find_map(|log| Vault::Bound::decode_log(&log.log).ok());
    bound.expect("one was bound").data.content
}

// estimate 2 sat/vB - payout - 60 sat/vB: nothing below 30 is mined, and a hostile member makes a version at each block, from 20 on each a little dearer
#[test]
fn a_member_that_makes_a_little_dearer_version_at_every_block_holds_no_payout_below_the_rate_of_the_day() {
    simulate(1..3, |mut world| async move {
        let owner = owner_of_coins(&mut world, 1, DEPOSIT).await;
        let id = world.withdraw(&owner, &script(1), Amount::from_sat(400_000), MAX_FEE).await;
        let (sidechain, number) = (world.sidechain.clone(), alloy_primitives::U256::from(id));
        let status = move || sidechain.view(BRIDGE, &Bridge::withdrawalCall { id: number }).status;
        world.until("it is tied", || (status() == TIED).then_some(())).await;
        world.pass(Duration::from_secs(10)).await;
        world.bitcoin.estimate(Some(bitcoin::FeeRate::from_sat_per_vb_u32(60)));
        world.bitcoin.mine_only_above(bitcoin::FeeRate::from_sat_per_vb_u32(30));
        world.pass(Duration::from_secs(60)).await;
        world.kill(3).await;
        let (network, member) = (world.sidechain.info().network_id, world.account(3));
        let mut rate = 20_000;
        let mut hostile = 0;
        for _ in 0..6 {
            let before = newest(&world);
            hostile += u32::from((20_000..30_000).contains(&before.rate));
            // What a lone payout costs besides its own output.
            let content = vault::IVault::Content { rate, reserveSat: rate * 130 / 1_000, ..before };
            let propose = Call::new(VAULT, &Vault::proposeCall { network, place: 3, content });
            assert!(world.sidechain.send_free(&member, &propose), "it may propose");
            rate += 100;
            world.bitcoin.mine(1);
            world.pass(Duration::from_secs(20)).await;
        }
        assert!(hostile > 0, "it tried");
        assert_eq!(world.withdrawal(id).status, PAID, "at {}", newest(&world).rate);
        expect_whole(&world);
    });
}

// 160 that pay little are tied at 2 sat/vB - 60 sat/vB: nothing below 30 is mined - four come later
#[test]
fn who_pays_little_holds_up_nobody_in_a_fee_spike_and_is_paid_once_later() {
    simulate(1..2, |mut world| async move {
        let (key, owner) = (world.until_open_with(Amount::from_sat(6_000)).await, Key::new(1));
        world.deposit(key, owner.address, Amount::from_sat(20_000_000));
        until_minted(&mut world, owner.address).await;
        let sidechain = world.sidechain.clone();
        let is_rooted = move || {
            let page = sidechain.view(VAULT, &Vault::liveOutputsCall { after_: 0, limit: 100 });
            let is_rooted = |number: &u32| {
                let output = sidechain.view(VAULT, &Vault::vaultTransactionCall { number: *number });
                output.rooted && output.changeSat > 10_000_000
            };
            page.numbers.iter().any(is_rooted).then_some(())
        };
        world.mine_until("withdrawals may be tied to it", is_rooted).await;
        // All in one payout.
        world.bitcoin.estimate(None);
        world.pass(Duration::from_secs(60)).await;
        let length = alloy_primitives::U256::from(22);
        let floor = world.sidechain.view(BRIDGE, &Bridge::floorFeeCall { scriptLength: length });
        // Their charge at 2 sat/vB, and some satoshis more.
        let most = floor + 70;
        let mut poor = Vec::new();
        for number in 0..160 {
            let amount = Amount::from_sat(10_000 + number);
            poor.push(world.withdraw(&owner, &script(1), amount, Amount::from_sat(most)).await);
        }
        world.bitcoin.estimate(Some(bitcoin::FeeRate::from_sat_per_vb_u32(2)));
        let (sidechain, ids) = (world.sidechain.clone(), poor.clone());
        let status = move |id: &u64| {
            sidechain.view(BRIDGE, &Bridge::withdrawalCall { id: alloy_primitives::U256::from(*id) }).status
        };
        world.until("they are tied", || ids.iter().all(|id| status(id) == TIED).then_some(())).await;
        world.pass(Duration::from_secs(10)).await;
        world.bitcoin.estimate(Some(bitcoin::FeeRate::from_sat_per_vb_u32(60)));
        world.bitcoin.mine_only_above(bitcoin::FeeRate::from_sat_per_vb_u32(30));
        let mut rich = Vec::new();
        for _ in 0..4 {
            rich.push(world.withdraw(&owner, &script(2), Amount::from_sat(500_000), MAX_FEE).await);
        }
        world.pass(Duration::from_secs(60)).await;
        for _ in 0..8 {
            world.bitcoin.mine(1);
            world.pass(Duration::from_secs(20)).await;
        }
        assert!(rich.iter().all(|id| world.withdrawal(*id).status == PAID), "they wait for those who pay little");
        assert!(
            poor.iter().filter(|id| world.withdrawal(**id).status != PAID).count() > 150,
            "no reserve pays for them"
        );
        // And when fees fall, once what they were tied to is finally spent, they are paid, once.
        world.bitcoin.estimate(Some(bitcoin::FeeRate::from_sat_per_vb_u32(1)));
        world.bitcoin.mine_only_above(bitcoin::FeeRate::ZERO);
        world.pass(Duration::from_secs(60)).await;
        until_paid(&mut world, &poor).await;
        world.bitcoin.mine(5);
        world.pass(Duration::from_secs(30)).await;
        let paid = world.bitcoin.paid(&script(1)).to_sat();
        let asked: u64 = (10_000..10_160).sum();
        assert!((asked - 160 * most..asked).contains(&paid), "{paid} of {asked}");
        expect_whole(&world);
    });
}

// deposits 1, 2 and 3 are bound together - something that no miner takes spends 1 in every mempool
#[test]
fn a_reclaim_that_no_miner_takes_holds_up_none_of_the_other_deposits() {
    simulate(1..3, |mut world| async move {
        let key = world.until_open().await;
        let bound = count(&world);
        let contested = world.deposit(key, somebody(1), DEPOSIT);
        world.deposit(key, somebody(2), DEPOSIT);
        world.deposit(key, somebody(3), DEPOSIT);
        world.bitcoin.mine(1);
        if world.seed == 2 {
            // Before anything is bound.
            world.bitcoin.contest(&contested);
        }
        let sidechain = world.sidechain.clone();
        let is_bound = move || (sidechain.view(VAULT, &Vault::vaultTransactionCountCall {}) > bound).then_some(());
        world.until("they are swept", is_bound).await;
        world.bitcoin.contest(&contested);
        for _ in 0..6 {
            world.pass(Duration::from_secs(20)).await;
            world.bitcoin.mine(1);
        }
        world.pass(Duration::from_secs(20)).await;
        for number in [2, 3] {
            assert!(!world.sidechain.balance(somebody(number)).is_zero(), "{number} waits for 1");
        }
        assert!(world.sidechain.balance(somebody(1)).is_zero(), "nothing of it is in a block");
        // Its owner lets go of it.
        world.bitcoin.lose_mempool();
        until_minted(&mut world, somebody(1)).await;
        expect_whole(&world);
    });
}

// best    ... [deposit] - [sweep] - 6 more       rival   ... 9 blocks without them, and no mempool kept the payment
#[test]
fn a_funding_that_a_deep_reorganisation_and_every_mempool_lost_is_handed_in_again() {
    simulate(1..3, |mut world| async move {
        let key = world.until_open().await;
        world.deposit(key, somebody(1), DEPOSIT);
        until_minted(&mut world, somebody(1)).await;
        world.bitcoin.mine(4);
        world.pass(Duration::from_secs(30)).await;
        let minted = world.sidechain.balance(somebody(1));
        world.bitcoin.reorganise_and_forget(8);
        world.pass(Duration::from_secs(30)).await;
        let sidechain = world.sidechain.clone();
        let is_whole = move || (sidechain.books().unswept_sat == 0).then_some(());
        world.mine_until("it is paid and swept again", is_whole).await;
        assert_eq!(world.sidechain.balance(somebody(1)), minted, "nothing is minted twice");
        expect_whole(&world);
    });
}

// A member dies with the nonces of a proposal that is closed while it is away; its node errs while it starts again
#[test]
fn a_relayer_that_starts_again_forgets_old_nonces_keeps_what_it_signed_and_learns_its_key_after_errors() {
    simulate(1..2, |mut world| async move {
        let key = world.until_open().await;
        world.kill(0).await;
        let folder = world.folder(0);
        let (old, log) = (folder.join("signing-4000000000"), folder.join("signed.log"));
        std::fs::write(&old, [7; 100]).expect("a file");
        let signed = std::fs::read(&log).expect("it signed").len();
        assert!(signed > 0);
        world.operators[0].node.set_method("eth_call", Some(Fault::Errs));
        world.start(0);
        world.pass(Duration::from_secs(30)).await;
        world.operators[0].node.set_method("eth_call", None);
        // It is needed now.
        world.kill(1).await;
        world.deposit(key, somebody(1), DEPOSIT);
        until_minted(&mut world, somebody(1)).await;
        assert!(!old.exists(), "what it held is of no use to anybody");
        assert!(std::fs::read(&log).expect("there").len() >= signed, "a promise is never forgotten");
    });
}

#[test]
fn a_mempool_that_lost_everything_gets_it_again() {
    simulate(1..3, |mut world| async move {
        let owner = owner_of_coins(&mut world, 1, DEPOSIT).await;
        let id = world.withdraw(&owner, &script(1), Amount::from_sat(400_000), MAX_FEE).await;
        for _ in 0..5 {
            world.pass(Duration::from_secs(10)).await;
            world.bitcoin.lose_mempool();
        }
        world.pass(Duration::from_secs(20)).await;
        until_paid(&mut world, &[id]).await;
        expect_whole(&world);
    });
}

// best    ... [deposit] - [sweep] - x            rival   ... [deposit] - y - z: the sweep is mined again later
#[test]
fn a_reorganisation_unsettles_what_it_took_and_it_settles_again() {
    simulate(1..3, |mut world| async move {
        let key = world.until_open().await;
        world.deposit(key, somebody(1), DEPOSIT);
        until_minted(&mut world, somebody(1)).await;
        world.pass(Duration::from_secs(10)).await;
        world.bitcoin.reorganise(2);
        world.pass(Duration::from_secs(30)).await;
        world.deposit(key, somebody(2), DEPOSIT);
        until_minted(&mut world, somebody(2)).await;
        let sidechain = world.sidechain.clone();
        world.mine_until("everything is swept again", move || (sidechain.books().unswept_sat == 0).then_some(())).await;
        assert!(world.sidechain.balance(somebody(1)) <= wei(DEPOSIT.to_sat()), "nothing is minted twice");
        expect_whole(&world);
    });
}

// best    ... [deposits 1 and 2] - [sweep]       rival   ... - - - [2, and what spends the funding of 1]
#[test]
fn a_deposit_whose_funding_is_spent_twice_stops_no_other_and_is_gone_in_the_end() {
    simulate(1..3, |mut world| async move {
        let key = world.until_open().await;
        let bound = count(&world);
        let twice = world.deposit(key, somebody(1), DEPOSIT);
        world.deposit(key, somebody(2), DEPOSIT);
        world.bitcoin.mine(1);
        let sidechain = world.sidechain.clone();
        let is_bound = move || (sidechain.view(VAULT, &Vault::vaultTransactionCountCall {}) > bound).then_some(());
        world.until("both are swept", is_bound).await;
        world.pass(Duration::from_secs(3)).await;
        world.bitcoin.double_spend(1, &twice);
        world.pass(Duration::from_secs(10)).await;
        let start_ms = world.now_ms();
        until_minted(&mut world, somebody(2)).await;
        assert!(world.now_ms() - start_ms < 60_000, "the other one waited for it");
        let sidechain = world.sidechain.clone();
        let gone = move || sidechain.logs(&[DEPOSITS], 0, sidechain.head()).iter().any(is_gone).then_some(());
        world.mine_until("it is gone", gone).await;
        let minted = world.sidechain.balance(somebody(1));
        let books = world.sidechain.books();
        assert_eq!(books.lost_sat > 0, !minted.is_zero(), "lost is what was minted, and nothing else: {books:?}");
    });
}

fn is_gone(log: &bridge::relay::view::BlockLog) -> bool {
    log.log.topics().first() == Some(&Deposits::DepositGone::SIGNATURE_HASH)
}

/// What a hostile member sends at every block: proposals of what honest ones want, each in place of the last, and junk to the board.
fn harass(world: &World, network: B256, deposits: &[(B256, u32)], outputs: &[u32], withdrawals: &[u64]) {
    let member = world.account(3);
    let outpoint = |(txid, vout): &(B256, u32)| vault::IVault::Outpoint { txid: *txid, vout: *vout };
    let content = |deposits: &[(B256, u32)], outputs: &[u32], withdrawals: &[u64]| vault::IVault::Content {
        epoch: 1,
        rate: 2_000,
        reserveSat: 0,
        deposits: deposits.iter().map(outpoint).collect(),
        outputs: outputs.to_vec(),
        withdrawals: withdrawals.to_vec(),
    };
    let turn = world.now_ms() / 500 % 3;
    let call = match turn {
        0 if !deposits.is_empty() => {
            Call::new(VAULT, &Vault::proposeCall { network, place: 0, content: content(deposits, &[], &[]) })
        }
        1 if !outputs.is_empty() => {
            Call::new(VAULT, &Vault::proposeCall { network, place: 1, content: content(&[], outputs, withdrawals) })
        }
        _ => {
            let (number, attempt) = (count(world).max(1), 1 + u32::try_from(world.now_ms() / 500).expect("short"));
            let payload = vec![0xee; 5_000].into();
            Call::new(SIGNING_BOARD, &SigningBoard::postSigningCall { network, number, attempt, kind: 3, payload })
        }
    };
    world.sidechain.send_free(&member, &call);
}

#[test]
fn a_hostile_members_proposals_silence_and_junk_posts_stop_nothing() {
    simulate(1..3, |mut world| async move {
        let owner = owner_of_coins(&mut world, 1, DEPOSIT).await;
        let key = world.until_key().await;
        // From now on its relayer is silent, and it sends what it likes.
        world.kill(3).await;
        let network = world.sidechain.info().network_id;
        let id = world.withdraw(&owner, &script(1), Amount::from_sat(300_000), MAX_FEE).await;
        world.deposit(key, somebody(5), DEPOSIT);
        let is_done =
            |world: &World| world.withdrawal(id).status == PAID && !world.sidechain.balance(somebody(5)).is_zero();
        let mut blocks = 0;
        while !is_done(&world) {
            assert!(blocks < 60, "not paid and minted after {blocks} Bitcoin blocks");
            world.bitcoin.mine(1);
            blocks += 1;
            for _ in 0..10 {
                let proven = world.proven();
                let live = world.sidechain.view(VAULT, &Vault::liveOutputsCall { after_: 0, limit: 100 }).numbers;
                harass(&world, network, &proven, &live[..live.len().min(1)], &[id]);
                world.pass(Duration::from_millis(500)).await;
            }
        }
        expect_whole(&world);
    });
}

#[test]
fn relayers_that_all_die_and_come_back_miss_nothing() {
    simulate(1..3, |mut world| async move {
        let owner = owner_of_coins(&mut world, 1, DEPOSIT).await;
        let key = world.until_key().await;
        for round in 0..4u8 {
            let id = world.withdraw(&owner, &script(round), Amount::from_sat(100_000), MAX_FEE).await;
            world.deposit(key, somebody(10 + round), DEPOSIT);
            let wait = world.rng.gen_range(0..8_000);
            world.pass(Duration::from_millis(wait)).await;
            for operator in 0..4 {
                world.kill(operator).await;
            }
            world.bitcoin.mine(2);
            world.pass(Duration::from_secs(3)).await;
            (0..4).for_each(|operator| world.start(operator));
            until_paid(&mut world, &[id]).await;
            until_minted(&mut world, somebody(10 + round)).await;
        }
        expect_whole(&world);
    });
}

/// Bound vault transactions as `change` has them.
fn bound_as(mut logs: Vec<BlockLog>, change: impl Fn(&mut Vault::Bound)) -> Vec<BlockLog> {
    for log in &mut logs {
        if let Ok(bound) = Vault::Bound::decode_log(&log.log) {
            let mut bound = bound.data;
            change(&mut bound);
            log.log.data = bound.encode_log_data();
        }
    }
    logs
}

fn without<E: SolEvent>(mut logs: Vec<BlockLog>) -> Vec<BlockLog> {
    logs.retain(|log| log.log.topics().first() != Some(&E::SIGNATURE_HASH));
    logs
}

/// Each proposal with a hash that is not of its content.
fn other_content(mut logs: Vec<BlockLog>) -> Vec<BlockLog> {
    for log in &mut logs {
        if let Ok(proposed) = Vault::Proposed::decode_log(&log.log) {
            let mut proposed = proposed.data;
            proposed.contentHash = B256::repeat_byte(7);
            log.log.data = proposed.encode_log_data();
        }
    }
    logs
}

fn no_transaction(logs: Vec<BlockLog>) -> Vec<BlockLog> {
    bound_as(logs, |bound| bound.transaction = vec![1, 2, 3].into())
}

fn other_change(logs: Vec<BlockLog>) -> Vec<BlockLog> {
    bound_as(logs, |bound| bound.changeSat += 1)
}

/// The last output pays to somebody else, and the txid fits.
fn other_payee(logs: Vec<BlockLog>) -> Vec<BlockLog> {
    use bitcoin::consensus::{deserialize, serialize};
    bound_as(logs, |bound| {
        let mut transaction: bitcoin::Transaction = deserialize(&bound.transaction).expect("the ledger's own");
        transaction.output[1].script_pubkey = script(66);
        bound.txid = B256::from(bitcoin::hashes::Hash::to_byte_array(transaction.compute_txid()));
        bound.transaction = serialize(&transaction).into();
    })
}

/// Another proposal's number, whose nonces are kept.
fn other_proposal(logs: Vec<BlockLog>) -> Vec<BlockLog> {
    bound_as(logs, |bound| bound.proposal = bound.proposal.saturating_sub(256))
}

#[test]
fn what_every_node_told_wrongly_for_a_while_is_put_right_within_a_minute_of_the_truth() {
    let lies: [(&str, Lie); 5] = [
        ("bytes that are no transaction", no_transaction),
        ("another amount of change", other_change),
        ("another payee", other_payee),
        ("another proposal", other_proposal),
        ("another content", other_content),
    ];
    told_wrongly(lies, Duration::from_secs(1));
}

#[test]
fn what_every_node_left_out_for_a_while_is_found_when_all_that_is_open_is_read_again() {
    let lies: [(&str, Lie); 4] = [
        ("no bound transactions", without::<Vault::Bound>),
        ("no posts", without::<SigningBoard::Posted>),
        ("no proposals", without::<Vault::Proposed>),
        ("no withdrawals", without::<Bridge::WithdrawalQueued>),
    ];
    told_wrongly(lies, Duration::from_secs(90));
}

/// A withdrawal is asked for while every node lies so; it is paid once they tell the truth, after so much time, and nothing else ever is.
fn told_wrongly<const N: usize>(lies: [(&str, Lie); N], wait: Duration) {
    for (what, lie) in lies {
        println!("{what}");
        simulate(1..2, |mut world| async move {
            let owner = owner_of_coins(&mut world, 1, DEPOSIT).await;
            world.operators.iter().for_each(|operator| operator.node.set_lie(Some(lie)));
            let id = world.withdraw(&owner, &script(1), Amount::from_sat(400_000), MAX_FEE).await;
            for _ in 0..4 {
                world.pass(BITCOIN_INTERVAL).await;
                world.bitcoin.mine(1);
            }
            assert_ne!(world.withdrawal(id).status, PAID, "{what} does not even delay: the test shows nothing");
            world.operators.iter().for_each(|operator| operator.node.set_lie(None));
            world.pass(wait).await;
            let start_ms = world.now_ms();
            until_paid(&mut world, &[id]).await;
            let took_s = (world.now_ms() - start_ms) / 1_000;
            assert!(took_s <= 100, "{what}: paid after {took_s} s");
            assert_eq!(world.bitcoin.paid(&script(66)), Amount::ZERO, "{what}");
            expect_whole(&world);
        });
    }
}

async fn shared(world: &mut World, count: usize) {
    let start_ms = world.now_ms();
    while world.posts(Kind::Shares).len() < count {
        assert!(world.now_ms() - start_ms < 60_000, "there are not {count} shares after a minute");
        world.pass(Duration::from_millis(50)).await;
    }
}
