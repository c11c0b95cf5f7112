//! Proposals: what hides whom, who waits for whom, and any ledger against what it would refuse.

use super::*;
use crate::peg::Content;
use crate::vault_tx::draft::{Built, build};
use crate::vault_tx::example::{
    RULES, deposit, empty, ledger, ledger as ledger_of, outpoint, output, payout as paying, sat, vault_key, withdrawal,
};
use crate::vault_tx::facts::{Deposit, LedgerFacts, Output};
use crate::vault_tx::layout::MAX_VSIZE;
use bitcoin::{Amount, ScriptBuf};
use proptest::prelude::*;

mod stream;

/// Beyond the patience of whoever asked at 0.
const LATER: u64 = 10 * PATIENCE_S;

fn at(rate: u64) -> Conditions {
    Conditions {
        rate,
        usual_rate: 5_000,
        low_rate: 1_000,
        now_s: 60,
        tip: 1_100,
        recovery_delay: 26_000,
        budget: Budget::default(),
    }
}

fn made(content: &Content, ledger: &LedgerFacts) -> Built {
    let built = build(content, ledger).expect("the ledger takes what is planned");
    assert_eq!(built.content, *content, "and skips nothing");
    built
}

// ------------------------------------------------------------------ sweeps

fn with_deposits(deposits: &[Deposit]) -> LedgerFacts {
    let deposits = deposits.iter().enumerate().map(|(number, deposit)| (outpoint(number), *deposit)).collect();
    LedgerFacts { deposits, ..empty() }
}

#[test]
fn deposits_that_cannot_pay_hide_nobody() {
    let mut deposits = vec![deposit(100_000, 112); 10_000];
    deposits[9_999] = deposit(100_000, 113);
    let ledger = with_deposits(&deposits);
    assert_eq!(sweep(&ledger, &at(1_000)).expect("one can pay").deposits, [outpoint(9_999)]);
    assert_eq!(sweep(&ledger, &at(1_010)), None);
}

#[test]
fn a_sweep_takes_as_many_as_the_ledger_and_the_budget_allow_the_oldest_first() {
    let aged = |height| Deposit { height, ..deposit(100_000, 5_000) };
    let ledger = with_deposits(&(0..200).map(|number| aged(2_000 - number)).collect::<Vec<_>>());
    let content = sweep(&ledger, &at(1_000)).expect("swept");
    assert_eq!(content.deposits.len(), RULES.max_inputs);
    assert!((136..200).all(|number| content.deposits.contains(&outpoint(number))));
    made(&content, &ledger);
    for (budget, most) in [
        (Budget { inputs: 3, ..Budget::default() }, 3),
        (Budget { vsize: 300, ..Budget::default() }, 4),
        (Budget { gas: 700_000, ..Budget::default() }, 5),
    ] {
        let content = sweep(&ledger, &Conditions { budget, ..at(1_000) }).expect("swept");
        assert_eq!(content.deposits.len(), most, "{budget:?}");
    }
}

#[test]
fn a_deposit_beyond_the_cap_waits_and_a_smaller_one_behind_it_does_not() {
    let mut ledger = with_deposits(&[deposit(500_000, 5_000), deposit(600_000, 5_000), deposit(300_000, 5_000)]);
    ledger.cap_left = sat(800_000);
    assert_eq!(sweep(&ledger, &at(1_000)).expect("swept").deposits, [outpoint(0), outpoint(2)]);
}

#[test]
fn what_another_sweep_spends_is_left_to_it() {
    let busy = Deposit { in_use: true, was_bound: true, ..deposit(100_000, 5_000) };
    let ledger = with_deposits(&[busy, deposit(100_000, 5_000)]);
    assert_eq!(sweep(&ledger, &at(1_000)).expect("swept").deposits, [outpoint(1)]);
}

#[test]
fn an_empty_reserve_waits_for_company_or_for_a_deposit_that_is_for_it() {
    let lone = with_deposits(&[deposit(100_000, 50_000)]);
    let poor = |deposits: &[Deposit]| LedgerFacts { reserve_sat: 0, ..with_deposits(deposits) };
    assert!(sweep(&lone, &at(1_000)).is_some());
    assert_eq!(sweep(&poor(&[deposit(100_000, 50_000)]), &at(1_000)), None);
    // Each pays for 35 vB that all share.
    assert!(sweep(&poor(&[deposit(100_000, 50_000); 8]), &at(1_000)).is_some());
    let first = Deposit { for_reserve: true, ..deposit(100_000, 5_000) };
    let content = sweep(&poor(&[deposit(100_000, 50_000), first]), &at(1_000)).expect("a network begins");
    assert_eq!(content.deposits, [outpoint(1)], "by that alone: it is no pass for others");
    let credit = LedgerFacts { credit: sat(300), ..poor(&[deposit(100_000, 50_000)]) };
    assert!(sweep(&credit, &at(1_000)).is_some(), "the reserve may be overdrawn by what a lone one costs");
}

// Gifts to the reserve are cheap: they may not keep others out of every sweep.
#[test]
fn deposits_for_the_reserve_do_not_hold_up_older_ones() {
    let gift = Deposit { for_reserve: true, height: 1_001, ..deposit(1_000, 900) };
    let mut deposits = vec![gift; 100];
    deposits[99] = deposit(100_000, 5_000);
    let content = sweep(&with_deposits(&deposits), &at(1_000)).expect("swept");
    assert!(content.deposits.contains(&outpoint(99)));
}

#[test]
fn what_was_bound_before_a_spike_and_the_reserve_cannot_pay_stops_no_other_deposit() {
    // Their maximum is far from enough: each would cost the reserve almost 29,000, and the others bring 19,000 more than they cost.
    let old = Deposit { was_bound: true, height: 990, ..deposit(100_000, 200) };
    let mut deposits = vec![deposit(1_000_000, 900_000); 5];
    (deposits[0], deposits[1]) = (old, old);
    let ledger = LedgerFacts { reserve_sat: 1_000, ..with_deposits(&deposits) };
    let content = sweep(&ledger, &at(500_000)).expect("the others");
    assert_eq!((content.deposits.len(), content.deposits.contains(&outpoint(0))), (3, false));
    let rich = LedgerFacts { reserve_sat: 1_000_000, ..ledger };
    assert_eq!(sweep(&rich, &at(500_000)).expect("all").deposits.len(), 5);
}

// Its owner could take it back, and end the sweep of all that are in it.
#[test]
fn a_deposit_whose_reclaim_is_near_is_swept_apart_from_others() {
    let old = Deposit { height: 90, ..deposit(100_000, 5_000) };
    let mut ledger = with_deposits(&[deposit(100_000, 5_000), old, deposit(100_000, 5_000), old]);
    let at_half = Conditions { tip: 90 + 504, ..at(1_000) };
    assert_eq!(sweep(&ledger, &at_half).expect("swept").deposits.len(), 4);
    let past = Conditions { tip: 90 + 505, ..at(1_000) };
    assert_eq!(sweep(&ledger, &past).expect("swept").deposits, [outpoint(0), outpoint(2)]);
    ledger.deposits.retain(|_, deposit| *deposit == old);
    assert_eq!(sweep(&ledger, &past).expect("swept").deposits, [outpoint(1), outpoint(3)]);
}

#[test]
fn deposits_of_two_epochs_are_swept_apart() {
    let mut ledger = with_deposits(&[deposit(100_000, 5_000), Deposit { epoch: 2, ..deposit(100_000, 5_000) }]);
    let first = sweep(&ledger, &at(1_000)).expect("swept");
    assert_eq!((first.epoch, first.deposits), (1, vec![outpoint(0)]));
    ledger.deposits.get_mut(&outpoint(0)).expect("there").in_use = true;
    let second = sweep(&ledger, &at(1_000)).expect("swept");
    assert_eq!((second.epoch, second.deposits), (2, vec![outpoint(1)]));
}

// ------------------------------------------------------------------ payouts

#[test]
fn withdrawals_that_cannot_pay_at_this_rate_hide_nobody() {
    let mut queue = vec![(10_000, 115); 10_000];
    queue[9_999] = (10_000, 116);
    let ledger = ledger(&[1_000_000], &queue);
    assert_eq!(payout(&ledger, &at(1_000)).expect("one can pay").withdrawals, [10_000]);
    assert_eq!(payout(&ledger, &at(1_020)), None);
}

#[test]
fn a_withdrawal_that_cannot_be_funded_stops_none_behind_it() {
    for now_s in [60, LATER, LATER * 100] {
        let ledger = ledger(&[1_000_000], &[(9_000_000, 5_000), (10_000, 5_000), (20_000, 5_000)]);
        let content = payout(&ledger, &Conditions { now_s, ..at(1_000) }).expect("the small ones");
        assert_eq!(content.withdrawals, [2, 3]);
    }
}

#[test]
fn payouts_do_not_wait_for_deposits_nor_these_for_them() {
    let mut ledger = ledger(&[1_000_000], &[(10_000, 5_000)]);
    ledger.deposits = with_deposits(&[deposit(100_000, 5_000), deposit(100, 5_000)]).deposits;
    let (payout, sweep) = (payout(&ledger, &at(1_000)), sweep(&ledger, &at(1_000)));
    assert_eq!(payout.expect("paid").withdrawals, [1]);
    assert_eq!(sweep.expect("swept").deposits, [outpoint(0)]);
}

#[test]
fn a_payout_spends_the_fewest_outputs_and_leaves_the_large_ones_whole() {
    let paid_from = |outputs: &[u64], amounts: &[u64]| {
        let queue: Vec<(u64, u64)> = amounts.iter().map(|amount| (*amount, 5_000)).collect();
        let ledger = ledger(outputs, &queue);
        let content = payout(&ledger, &at(1_000)).expect("paid");
        made(&content, &ledger);
        content.outputs
    };
    let outputs = [10_000, 90_000, 60_000, 900_000, 20_000];
    assert_eq!(paid_from(&outputs, &[50_000]), [3]);
    assert_eq!(paid_from(&outputs, &[70_000]), [2]);
    assert_eq!(paid_from(&outputs, &[500_000]), [4]);
    assert_eq!(paid_from(&outputs, &[910_000]), [4, 5], "the largest, and the smallest that does");
    assert_eq!(paid_from(&outputs, &[980_000]), [4, 2]);
}

#[test]
fn ties_are_to_a_rooted_output_and_others_may_help_it() {
    let mut ledger = ledger(&[50_000, 900_000, 800_000], &[(500_000, 5_000), (10_000, 5_000)]);
    for number in [2, 3] {
        ledger.outputs.get_mut(&number).expect("there").is_rooted = false;
    }
    let content = payout(&ledger, &at(1_000)).expect("paid");
    assert_eq!(content.outputs, [1, 3], "the rooted one first, and the smallest that suffices");
    made(&content, &ledger);
    ledger.outputs.get_mut(&1).expect("there").is_rooted = false;
    assert_eq!(payout(&ledger, &at(1_000)), None);
}

#[test]
fn outputs_in_use_or_of_another_epoch_pay_no_first_ties() {
    let mut ledger = ledger(&[500_000, 400_000, 300_000], &[(10_000, 5_000)]);
    ledger.outputs.get_mut(&3).expect("there").in_use = true;
    ledger.outputs.get_mut(&2).expect("there").epoch = 0;
    assert_eq!(payout(&ledger, &at(1_000)).expect("paid").outputs, [1]);
}

#[test]
fn nothing_is_tied_while_first_ties_are_stopped_and_no_more_than_the_window() {
    let mut ledger = ledger(&[9_000_000], &[(60_000, 5_000), (60_000, 5_000), (30_000, 5_000)]);
    ledger.window_left = sat(100_000);
    assert_eq!(payout(&ledger, &at(1_000)).expect("paid").withdrawals, [1, 3]);
    ledger.window_left = sat(0);
    assert_eq!(payout(&ledger, &at(1_000)), None);
}

#[test]
fn what_is_tied_to_an_idle_output_is_paid_from_it_whatever_is_stopped() {
    let mut ledger = ledger(&[100_000, 900_000], &[(80_000, 90), (10_000, 5_000), (90_000, 50_000)]);
    ledger.withdrawals.get_mut(&1).expect("there").tie = Some(1);
    ledger.window_left = sat(0);
    let content = payout(&ledger, &at(1_000)).expect("paid again");
    assert_eq!((content.outputs.as_slice(), content.withdrawals.as_slice()), (&[1][..], &[1][..]));
    assert_eq!(made(&content, &ledger).charges, [sat(90)], "its maximum");
    // Where its output alone does not suffice another helps.
    ledger.withdrawals.get_mut(&3).expect("there").tie = Some(1);
    let both = payout(&ledger, &at(1_000)).expect("paid again");
    assert_eq!((both.outputs.as_slice(), both.withdrawals.as_slice()), (&[1, 2][..], &[1, 3][..]));
    // What another version is about to pay is left to it.
    ledger.outputs.get_mut(&1).expect("there").in_use = true;
    assert_eq!(payout(&ledger, &at(1_000)), None);
}

#[test]
fn an_output_that_something_is_tied_to_pays_nobody_else_and_is_not_moved() {
    let mut ledger = ledger(&[100_000, 900_000], &[(80_000, 5_000), (10_000, 5_000)]);
    let tied = ledger.withdrawals.get_mut(&1).expect("there");
    (tied.tie, tied.amount) = (Some(1), sat(2_000_000));
    assert_eq!(payout(&ledger, &at(1_000)).expect("the other").outputs, [2]);
    let old = Conditions { tip: 20_000, ..at(1_000) };
    assert_eq!(consolidation(&ledger, &old).expect("the other").outputs, [2]);
}

#[test]
fn equal_withdrawals_from_the_same_output_are_paid_at_another_rate() {
    let mut ledger = ledger(&[100_000], &[(10_000, 5_000), (10_000, 5_000)]);
    let first = made(&Content { reserve_sat: 500, ..paying(&[1], &[1], 1_000) }, &ledger);
    ledger.bound.insert(first.transaction.compute_txid());
    ledger.withdrawals.remove(&1);
    let content = payout(&ledger, &at(1_000)).expect("paid");
    assert!(content.rate > 1_000 && content.rate < 1_010, "{}", content.rate);
    made(&content, &ledger);
}

#[test]
fn a_payout_fits_the_budget() {
    let ledger = ledger(&[1_000_000_000], &vec![(10_000, 5_000); 10_000]);
    let count = |budget| {
        let content = payout(&ledger, &Conditions { budget, ..at(1_000) }).expect("paid");
        made(&content, &ledger);
        content.withdrawals.len()
    };
    let all = Budget::default();
    assert_eq!(count(all), RULES.max_payouts);
    assert_eq!(count(Budget { payouts: 7, ..all }), 7);
    assert_eq!(count(Budget { vsize: 1_000, ..all }), 28);
    assert_eq!(count(Budget { gas: 1_000_000, ..all }), 31);
    let many = ledger_of(&[20_000; 60], &[(100_000, 5_000), (30_000, 5_000)]);
    let few = Conditions { budget: Budget { inputs: 2, ..all }, ..at(1_000) };
    assert_eq!(payout(&many, &few).expect("the small one").withdrawals, [2]);
}

#[test]
fn a_poor_reserve_pays_one_with_little_and_waits_with_none() {
    let poor = |reserve_sat| LedgerFacts { reserve_sat, ..ledger(&[60_000, 60_000], &[(100_000, 5_000)]) };
    assert!(payout(&poor(1_000), &at(1_000)).is_some());
    assert_eq!(payout(&poor(0), &at(1_000)), None, "alone it costs the reserve something");
    let several = LedgerFacts { reserve_sat: -7, ..ledger(&[500_000], &[(10_000, 5_000); 12]) };
    assert!(payout(&several, &at(1_000)).is_some(), "together they cost it nothing");
}

// Around what there is: either it is paid, or the others are.
#[test]
fn a_withdrawal_as_large_as_the_vault_never_stops_everything() {
    for reserve_sat in [0, 200, 1_000_000] {
        for amount in (199_000..201_200).step_by(7) {
            let mut queue = vec![(amount, 5_000)];
            queue.extend([(2_000, 1_000); 12]);
            let ledger = LedgerFacts { reserve_sat, ..ledger(&[100_000, 100_000], &queue) };
            for now_s in [60, LATER] {
                let content = payout(&ledger, &Conditions { now_s, ..at(1_000) });
                made(&content.unwrap_or_else(|| panic!("{amount} at {now_s} stops all")), &ledger);
            }
        }
    }
}

// ------------------------------------------------------------------ consolidation

#[test]
fn too_many_outputs_are_joined_when_that_is_cheap_and_enough_are_left() {
    let amounts: Vec<u64> = (0..40).map(|number| 10_000 + number).collect();
    let ledger = ledger(&amounts, &[]);
    assert_eq!(consolidation(&ledger, &at(3_000)), None, "not cheap");
    let content = consolidation(&ledger, &at(1_000)).expect("joined");
    assert_eq!(content.outputs.len(), 40 - (FEWEST_OUTPUTS + MOST_OUTPUTS) / 2 + 1);
    assert!((1..=21).all(|number| content.outputs.contains(&number)), "the smallest");
    made(&content, &ledger);
    assert!(is_wanted(&content, &ledger, &at(1_200)));
    let few = ledger_of(&amounts[..32], &[]);
    assert_eq!(consolidation(&few, &at(1_000)), None);
}

#[test]
fn a_consolidation_that_wastes_the_reserve_is_not_wanted() {
    let ledger = ledger(&[100_000; 10], &[]);
    assert!(!is_wanted(&paying(&[1, 2], &[], 1_000), &ledger, &at(1_000)), "there are few");
    let many = ledger_of(&[100_000; 40], &[]);
    assert!(is_wanted(&paying(&[1, 2], &[], 1_000), &many, &at(1_000)));
    assert!(!is_wanted(&paying(&[1, 2], &[], 50_000), &many, &at(1_000)), "at ten times what is usual");
    let mut one_old = ledger_of(&[100_000; 10], &[]);
    one_old.outputs.get_mut(&1).expect("there").height = 0;
    let later = Conditions { tip: 6_500, ..at(1_000) };
    assert!(is_wanted(&paying(&[1], &[], 1_000), &one_old, &later));
    assert!(!is_wanted(&paying(&[1, 2], &[], 1_000), &one_old, &later), "an old one is no excuse for a young one");
}

#[test]
fn a_reserve_that_cannot_pay_for_all_joins_fewer() {
    let ledger = LedgerFacts { reserve_sat: 1_400, ..ledger(&[10_000; 40], &[]) };
    let content = consolidation(&ledger, &at(1_000)).expect("joined");
    assert!((2..21).contains(&content.outputs.len()), "{}", content.outputs.len());
    assert_eq!(consolidation(&LedgerFacts { reserve_sat: 300, ..ledger }, &at(1_000)), None);
}

#[test]
fn every_output_is_moved_before_half_of_its_recovery_delay() {
    let mut ledger = ledger(&[100_000; 10], &[]);
    ledger.outputs.get_mut(&4).expect("there").height = 500;
    // Blocks after 500, at a high and at a low rate.
    let on = |age: u32, rate: u64| Conditions { tip: 500 + age, recovery_delay: 1_600, ..at(rate) };
    ledger.outputs.iter_mut().filter(|(number, _)| **number != 4).for_each(|(_, output)| output.height = 1_100);
    assert_eq!(consolidation(&ledger, &on(599, 1_000)), None);
    assert_eq!(consolidation(&ledger, &on(600, 1_000)).expect("cheap").outputs, [4]);
    assert_eq!(consolidation(&ledger, &on(699, 90_000)), None);
    let content = consolidation(&ledger, &on(700, 90_000)).expect("at any rate");
    assert_eq!(content.outputs, [4]);
    assert!(is_wanted(&content, &ledger, &on(700, 90_000)));
    assert!(late_outputs(&ledger, &on(799, 1_000)).is_empty());
    assert_eq!(late_outputs(&ledger, &on(800, 1_000)), [4]);
}

#[test]
fn a_refresh_leaves_enough_outputs_apart() {
    let ledger = ledger(&[100_000; 10], &[]);
    let old = Conditions { tip: 20_000, ..at(1_000) };
    assert_eq!(consolidation(&ledger, &old).expect("moved").outputs.len(), 3, "eight are left");
    let few = ledger_of(&[100_000; 4], &[]);
    assert_eq!(consolidation(&few, &old).expect("moved").outputs.len(), 1);
}

#[test]
fn outputs_of_an_old_epoch_are_moved_to_the_key_in_force() {
    let mut ledger = ledger(&[100_000; 3], &[]);
    ledger.epoch = 2;
    let content = consolidation(&ledger, &at(5_000)).expect("moved");
    assert_eq!((content.epoch, content.outputs.len()), (1, 3));
    assert!(is_wanted(&content, &ledger, &at(5_000)));
}

#[test]
fn outputs_are_joined_for_a_withdrawal_that_wants_more_than_a_payout_may_spend() {
    let ledger = ledger(&[100_000; 10], &[(700_000, 5_000), (10_000, 5_000)]);
    let on = |now_s| Conditions { now_s, budget: Budget { inputs: 4, ..Budget::default() }, ..at(5_000) };
    assert_eq!(consolidation(&ledger, &on(60)), None, "it is not overdue");
    let content = consolidation(&ledger, &on(LATER)).expect("joined");
    assert_eq!(content.outputs.len(), 4);
    assert!(is_wanted(&content, &ledger, &on(LATER)));
    assert_eq!(payout(&ledger, &on(LATER)).expect("the small one goes on").withdrawals, [2]);
}

// ------------------------------------------------------------------ versions

fn replaced<'a>(built: &'a Built) -> Replaced<'a> {
    Replaced { content: &built.content, fee: built.fee, vsize: built.vsize, bound_rate: built.content.rate }
}

/// The ledger once a payout is bound.
fn bound(mut ledger: LedgerFacts, content: &Content) -> (LedgerFacts, Built) {
    let built = build(content, &ledger).expect("bound");
    for id in &built.content.withdrawals {
        ledger.withdrawals.get_mut(id).expect("there").tie = Some(built.content.outputs[0]);
    }
    for number in &built.content.outputs {
        ledger.outputs.get_mut(number).expect("there").in_use = true;
    }
    for outpoint in &built.content.deposits {
        let deposit = ledger.deposits.get_mut(outpoint).expect("there");
        (deposit.was_bound, deposit.in_use) = (true, true);
    }
    ledger.bound.insert(built.transaction.compute_txid());
    (ledger, built)
}

fn replaces(built: &Built, by: &Built) -> bool {
    let more = by.fee.to_sat() >= built.fee.to_sat() + by.vsize;
    more && by.fee.to_sat() * built.vsize > built.fee.to_sat() * by.vsize
}

#[test]
fn another_version_spends_the_same_output_and_replaces_the_first() {
    let (ledger, first) =
        bound(ledger(&[500_000, 80_000], &[(100_000, 300), (10_000, 5_000)]), &paying(&[1], &[1, 2], 1_000));
    let content = version(&replaced(&first), &ledger, &at(20_000)).expect("another");
    assert_eq!((content.outputs.as_slice(), content.withdrawals.as_slice()), (&[1][..], &[1, 2][..]));
    let second = made(&content, &ledger);
    assert!(replaces(&first, &second));
    assert_eq!(second.charges, [sat(300), sat(66 * 20 + 50)], "at most the maximum; the reserve has the rest");
}

#[test]
fn a_version_is_never_cheaper_and_pays_what_a_node_wants_for_relaying_it() {
    let (ledger, first) = bound(ledger(&[500_000], &[(100_000, 5_000)]), &paying(&[1], &[1], 20_000));
    for rate in [1_000, 20_000, 20_100, 21_000] {
        let content = version(&replaced(&first), &ledger, &at(rate)).expect("another");
        let second = made(&content, &ledger);
        assert!(replaces(&first, &second) && content.rate < 21_100, "{rate}: {}", content.rate);
    }
    // What was spent on its child counts too.
    let with_child = Replaced { fee: sat(60_000), ..replaced(&first) };
    let second = made(&version(&with_child, &ledger, &at(21_000)).expect("another"), &ledger);
    assert!(second.fee >= sat(60_000 + second.vsize));
}

// At 2,001 sat a 1,000 vB, steps of one make the same bytes, which the ledger binds once
#[test]
fn a_version_is_found_where_the_rate_is_still_that_of_what_is_bound() {
    for rate in 2_000..2_010 {
        let (ledger, first) = bound(ledger(&[500_000], &[(100_000, 5_000)]), &paying(&[1], &[1], rate));
        let content = version(&replaced(&first), &ledger, &at(rate)).expect("another");
        assert!(replaces(&first, &made(&content, &ledger)), "{rate}");
    }
}

#[test]
fn a_version_that_the_reserve_cannot_pay_waits() {
    let (ledger, first) = bound(ledger(&[500_000], &[(100_000, 300)]), &paying(&[1], &[1], 1_000));
    let poor = LedgerFacts { reserve_sat: 1_000, ..ledger.clone() };
    assert_eq!(version(&replaced(&first), &poor, &at(200_000)), None);
    assert!(version(&replaced(&first), &ledger, &at(200_000)).is_some());
}

/// So many that let 160 sat be charged are bound over output 1 at 2 sat/vB; others came later.
fn poor_and_later(poor: u64, later: &[(u64, u64)]) -> (LedgerFacts, Built) {
    let queue: Vec<(u64, u64)> = (0..poor).map(|_| (10_000, 190)).chain(later.iter().copied()).collect();
    let ids: Vec<u64> = (1..=poor).collect();
    let mut facts = ledger(&[20_000_000], &queue);
    // Equal ones make equal bytes.
    for (id, withdrawal) in &mut facts.withdrawals {
        withdrawal.amount = sat(withdrawal.amount.to_sat() + id);
    }
    let (mut facts, built) = bound(facts, &paying(&[1], &ids, 2_000));
    facts.reserve_sat = 0;
    (facts, built)
}

// The attack: 160 who pay little, then fees rise 25 times and the reserve is empty.
#[test]
fn who_pays_little_does_not_hold_an_output_in_a_fee_spike() {
    let (ledger, first) = poor_and_later(160, &[(500_000, 60_000); 4]);
    assert_eq!(first.content.withdrawals.len(), 160);
    let content = version(&replaced(&first), &ledger, &at(50_000)).expect("the others are paid");
    assert_eq!((content.outputs.as_slice(), content.withdrawals.as_slice()), (&[1][..], &[161, 162, 163, 164][..]));
    assert!(replaces(&first, &made(&content, &ledger)));
    // One alone, where the reserve has what a lone payout costs.
    let (mut lone, first) = poor_and_later(160, &[(500_000, 60_000)]);
    lone.reserve_sat = 12_000;
    let content = version(&replaced(&first), &lone, &at(50_000)).expect("it is paid");
    assert!(content.withdrawals.ends_with(&[161]) && content.withdrawals.len() < 10, "{content:?}");
    assert!(replaces(&first, &made(&content, &lone)));
}

#[test]
fn the_poor_stay_in_a_version_while_the_reserve_pays_for_them_who_lacks_least_first() {
    let (mut ledger, first) = poor_and_later(20, &[(500_000, 60_000); 4]);
    ledger.withdrawals.get_mut(&7).expect("there").max_fee = sat(900);
    ledger.reserve_sat = 1_000_000;
    assert_eq!(version(&replaced(&first), &ledger, &at(50_000)).expect("all").withdrawals.len(), 20, "nobody joins");
    ledger.reserve_sat = 8_000;
    let some = version(&replaced(&first), &ledger, &at(50_000)).expect("some");
    let poor: Vec<u64> = some.withdrawals.iter().copied().filter(|id| *id <= 20).collect();
    assert!(poor.contains(&7) && (2..10).contains(&poor.len()), "{some:?}");
    assert!(some.withdrawals.ends_with(&[21, 22, 23, 24]));
    let one_more = (1..=20).find(|id| !poor.contains(id)).expect("somebody is left out");
    let mut more = some.clone();
    more.withdrawals.push(one_more);
    more.withdrawals.sort_unstable();
    assert_eq!(super::proposal::propose(more, &ledger), None, "the reserve pays for no more");
}

#[test]
fn nobody_joins_a_version_that_is_hardly_dearer_than_what_is_bound() {
    let (ledger, first) = poor_and_later(160, &[(500_000, 60_000); 4]);
    let bound_rate = |bound_rate| Replaced { bound_rate, ..replaced(&first) };
    assert_eq!(version(&bound_rate(25_001), &ledger, &at(50_000)), None);
    assert!(version(&bound_rate(25_000), &ledger, &at(50_000)).is_some());
    // Who is tied and pays its charge is paid at any rate.
    let (mut tied, first) = poor_and_later(160, &[(500_000, 60_000); 4]);
    (161..=164).for_each(|id| tied.withdrawals.get_mut(&id).expect("there").tie = Some(1));
    let content = version(&replaced(&first), &tied, &at(50_000)).expect("they are paid");
    assert_eq!(content.withdrawals, [161, 162, 163, 164]);
}

#[test]
fn an_idle_output_that_only_the_poor_are_tied_to_pays_others() {
    let (mut ledger, _) = poor_and_later(160, &[(500_000, 60_000); 4]);
    ledger.outputs.get_mut(&1).expect("there").in_use = false;
    assert_eq!(payout(&ledger, &at(50_000)).expect("the others").withdrawals, [161, 162, 163, 164]);
    assert_eq!(payout(&ledger, &at(2_000)).expect("all again").withdrawals.len(), 160);
}

#[test]
fn a_version_of_a_sweep_leaves_out_deposits_that_cannot_pay_where_the_reserve_does_not() {
    let mut deposits = vec![deposit(1_000_000, 900_000); 4];
    deposits[0] = deposit(100_000, 200);
    let (mut ledger, first) =
        bound(with_deposits(&deposits), &sweep(&with_deposits(&deposits), &at(1_000)).expect("all"));
    assert_eq!(first.content.deposits.len(), 4);
    ledger.reserve_sat = 500;
    let content = version(&replaced(&first), &ledger, &at(500_000)).expect("the others");
    assert!(content.deposits.len() == 3 && !content.deposits.contains(&outpoint(0)), "{content:?}");
    assert!(replaces(&first, &made(&content, &ledger)));
}

#[test]
fn a_version_takes_further_outputs_where_the_first_does_not_suffice_any_more() {
    let small = 100_000 + 240 + 400;
    let (ledger, first) = bound(ledger(&[small, 300_000, 200_000], &[(100_000, 300)]), &paying(&[1], &[1], 1_000));
    let content = version(&replaced(&first), &ledger, &at(100_000)).expect("another");
    assert_eq!(content.outputs, [1, 2]);
    assert!(replaces(&first, &made(&content, &ledger)));
}

#[test]
fn whatever_is_tied_to_an_output_is_in_the_next_version_over_it() {
    let queue = [(100_000, 5_000), (10_000, 5_000), (20_000, 5_000)];
    let (mut ledger, first) = bound(ledger(&[500_000], &queue), &paying(&[1], &[1, 2], 1_000));
    ledger.withdrawals.get_mut(&3).expect("there").tie = Some(1);
    ledger.withdrawals.remove(&2);
    assert_eq!(version(&replaced(&first), &ledger, &at(9_000)).expect("another").withdrawals, [1, 3]);
    ledger.outputs.remove(&1);
    assert_eq!(version(&replaced(&first), &ledger, &at(9_000)), None, "its output is gone");
}

#[test]
fn a_sweep_has_another_version_without_what_was_spent_meanwhile() {
    let ledger = with_deposits(&[deposit(100_000, 300), deposit(100_000, 300)]);
    let (mut ledger, first) = bound(ledger.clone(), &sweep(&ledger, &at(1_000)).expect("swept"));
    let both = version(&replaced(&first), &ledger, &at(9_000)).expect("another");
    assert_eq!(both.deposits, [outpoint(0), outpoint(1)]);
    assert!(replaces(&first, &made(&both, &ledger)));
    ledger.deposits.remove(&outpoint(0));
    assert_eq!(version(&replaced(&first), &ledger, &at(9_000)).expect("another").deposits, [outpoint(1)]);
    ledger.deposits.clear();
    assert_eq!(version(&replaced(&first), &ledger, &at(9_000)), None);
}

// ------------------------------------------------------------------ anything

prop_compose! {
    fn any_ledger()(
        deposits in prop::collection::vec((1_000u64..2_000_000, 50u64..40_000, 0u32..9), 0..90),
        outputs in prop::collection::vec((330u64..3_000_000, 0u32..8, 0u32..30_000), 0..45),
        withdrawals in prop::collection::vec((1_000u64..900_000, 100u64..30_000, 0u32..60, 0usize..4), 0..300),
        reserve_sat in -1_000i64..200_000,
        (window, cap) in (0u64..9_000_000, 0u64..40_000_000),
        coming in prop::collection::vec(1_000u64..3_000_000, 0..4),
    ) -> LedgerFacts {
        let coming = coming.into_iter().map(sat).collect();
        let mut ledger = LedgerFacts { reserve_sat, window_left: sat(window), cap_left: sat(cap), coming, ..empty() };
        for (number, (amount, max_fee, kind)) in deposits.into_iter().enumerate() {
            let deposit = deposit(amount, max_fee);
            let minted = (kind == 3).then_some(sat(amount / 2));
            let deposit = Deposit { was_bound: kind < 2, in_use: kind == 0, minted, epoch: 1 - kind / 8, ..deposit };
            ledger.deposits.insert(outpoint(number), deposit);
        }
        for (number, (amount, kind, height)) in (1..).zip(outputs) {
            let output = output(number, amount);
            let output = Output { is_rooted: kind > 2, in_use: kind == 3, epoch: 1 - kind / 7, height, ..output };
            ledger.outputs.insert(number, output);
        }
        for (id, (amount, max_fee, tie, kind)) in (1..).zip(withdrawals) {
            let mut withdrawal = withdrawal(amount, max_fee.min(amount - 600));
            withdrawal.tie = Some(tie).filter(|tie| ledger.outputs.contains_key(tie) && *tie % 4 == 0);
            withdrawal.script = ScriptBuf::from_bytes(vec![0; [22, 23, 25, 34][kind]]);
            withdrawal.asked_at = id * 100;
            ledger.withdrawals.insert(id, withdrawal);
        }
        ledger
    }
}

proptest! {
    /// The ledger takes each proposal whole, within every budget, and the reserve's part is fair.
    #[test]
    fn every_proposal_is_one_the_ledger_takes_whole(
        ledger in any_ledger(),
        rate in 500u64..60_000,
        now_s in 0u64..40_000,
        (inputs, payouts, vsize) in (1usize..64, 1usize..200, 400u64..=MAX_VSIZE),
    ) {
        let budget = Budget { inputs, payouts, vsize, ..Budget::default() };
        let on = Conditions { now_s, tip: 31_000, budget, ..at(rate) };
        for content in [sweep(&ledger, &on), payout(&ledger, &on), consolidation(&ledger, &on)].into_iter().flatten() {
            let built = made(&content, &ledger);
            prop_assert!(built.transaction.input.len() <= inputs && content.withdrawals.len() <= payouts);
            prop_assert!(content.reserve_sat <= fair_reserve(&content, &ledger).expect("it is taken").to_sat());
            prop_assert!(content.outputs.iter().all(|number| !ledger.outputs[number].in_use));
            prop_assert!(content.deposits.iter().all(|outpoint| !ledger.deposits[outpoint].in_use));
        }
    }

    /// Another version of any payout replaces it, and pays everyone it paid but those who let too little be charged at its rate.
    #[test]
    fn every_version_replaces_what_it_is_a_version_of(ledger in any_ledger(), rate in 1_000u64..30_000, next in 1_000u64..90_000) {
        let Some(content) = payout(&ledger, &at(rate)) else { return Ok(()) };
        let (ledger, first) = bound(ledger, &content);
        let Some(content) = version(&replaced(&first), &ledger, &at(next)) else { return Ok(()) };
        let second = made(&content, &ledger);
        prop_assert!(replaces(&first, &second));
        let is_left_out = |id: &u64| is_poor(&ledger.withdrawals[id], second.content.rate, &ledger);
        prop_assert!(first.content.withdrawals.iter().all(|id| second.content.withdrawals.contains(id) || is_left_out(id)));
        prop_assert_eq!(first.content.outputs[0], second.content.outputs[0]);
    }
}

/// Amounts are given back whole: what the reserve has is what fees bring less what miners get.
#[test]
fn nothing_is_lost_between_withdrawals_miners_and_the_reserve() {
    let ledger = ledger(&[500_000], &[(100_000, 5_000), (10_000, 5_000)]);
    let built = made(&payout(&ledger, &at(3_000)).expect("paid"), &ledger);
    let out: Amount = built.transaction.output.iter().map(|output| output.value).sum();
    assert_eq!(out + built.fee, sat(500_000));
    assert_eq!(built.transaction.output[0].script_pubkey, crate::vault::script(vault_key()));
}
